//! From a job and its tables to each simulated party's rows, with every column made explicit in the job.

mod dealing;
mod delta;
pub(crate) mod sealed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lepton_learn::RawColumn;
use lepton_protocol::job::{self, ColumnType, DataSource, Job, Objective, Override, Split};
use lepton_protocol::plan::{FeatureKind, LabelKind, MAX_ROWS, Plan, choose};
use lepton_protocol::work::PartyRows;
use lepton_table::split::{self, PartyPart};
use lepton_table::{ReadOptions, Table};
use serde::{Deserialize, Serialize};

use crate::error::NodeError;
use crate::ledger::TableRead;

/// Where a run's job and rows come from. Kept in the run folder so that a resumed run reads the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The job file.
    pub job: PathBuf,
    /// `--set` overrides as written.
    pub overrides: Vec<String>,
    /// `--data`: one table in place of the job's.
    pub data: Option<PathBuf>,
    /// `--party-data`: one table per party in place of the job's.
    pub party_data: Vec<PathBuf>,
    /// `--vault-key`: opens those of these tables that lie in vaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_key: Option<PathBuf>,
}

/// A job with everything resolved, and each party's rows.
pub struct Federation {
    /// The plan, made from the effective job.
    pub plan: Plan,
    /// The effective job file.
    pub job_text: String,
    /// Its SHA-256.
    pub job_digest: [u8; 32],
    /// The parties in roster order.
    pub parties: Vec<PartyTable>,
    /// How rows came to parties, in words.
    pub split: String,
    /// Every value of each category column over all parties: known to the simulation only.
    pub values: BTreeMap<String, BTreeMap<String, usize>>,
    /// The tables as they were read, for the ledger: it fingerprints what the job trains on, not what lies at the path a moment later.
    pub(crate) reads: Vec<TableRead>,
}

/// One party's rows.
pub struct PartyTable {
    /// Its name.
    pub name: String,
    /// Its rows, divided.
    pub rows: PartyRows,
}

impl Federation {
    /// Reads the job and its tables and deals the rows.
    ///
    /// # Errors
    /// [`NodeError`] naming file, line or party.
    pub fn load(source: &Source) -> Result<Self, NodeError> {
        let job = read_job(source)?;
        let (dealt, reads) = deal(&job, source)?;
        let first = dealt
            .first()
            .ok_or_else(|| NodeError::Use("the job has no parties".to_owned()))?;
        let columns = columns_of(&first.table);
        job.check_columns(&columns)?;
        let job = resolve(source, &job, (&columns, dealt.len()))?;
        for part in &dealt {
            check_part(&job, part)?;
        }
        check_classes(&job, &dealt)?;
        let split = words_for(&job, source, dealt.len());
        let parties = u16::try_from(dealt.len()).map_err(|_| {
            NodeError::Use(format!(
                "{} parties are more than one federation can have",
                dealt.len()
            ))
        })?;
        let job_text = job.to_toml();
        let plan = Plan::new(job, parties)?;
        let tables = dealt
            .iter()
            .map(|part| party_table(&plan, part))
            .collect::<Result<Vec<_>, _>>()?;
        check_declared_classes(&plan, &dealt)?;
        delta::check(&plan, &tables)?;
        check_missing(&plan, &dealt)?;
        Ok(Self {
            values: category_values(&plan, &tables),
            job_digest: *lepton_crypto::sha256(job_text.as_bytes()).as_bytes(),
            job_text,
            plan,
            parties: tables,
            split,
            reads,
        })
    }
}

/// A party's table before its rows are divided.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) table: Table,
}

fn read_job(source: &Source) -> Result<Job, NodeError> {
    let text = read_text(&source.job)?;
    Ok(Job::parse(
        &source.job.display().to_string(),
        &text,
        &overrides(source)?,
    )?)
}

/// Reads a text file with a message that says what to do.
///
/// # Errors
/// [`NodeError::File`].
pub fn read_text(path: &Path) -> Result<String, NodeError> {
    let bytes = std::fs::read(path).map_err(|error| NodeError::file(path, &error))?;
    String::from_utf8(bytes).map_err(|error| NodeError::File {
        place: path.display().to_string(),
        problem: format!(
            "byte {} is not UTF-8 text",
            error.utf8_error().valid_up_to()
        ),
        remedy: "save the file as UTF-8".to_owned(),
    })
}

fn overrides(source: &Source) -> Result<Vec<Override>, NodeError> {
    let parse = |text: &String| {
        Override::parse(text).map_err(|error| NodeError::Use(format!("--set {text}: {error}")))
    };
    source.overrides.iter().map(parse).collect()
}

/// Tables of all parties, before the job's columns are checked.
fn deal(job: &Job, source: &Source) -> Result<(Vec<Part>, Vec<TableRead>), NodeError> {
    let options = read_options(job);
    let folder = source.job.parent().unwrap_or(Path::new("."));
    if !source.party_data.is_empty() {
        return per_party(&source.party_data, &options, source);
    }
    match (&job.data().source, &source.data) {
        (DataSource::PerParty(_), Some(_)) => Err(NodeError::Use(
            "--data gives one table, but this job has one table per party; use --party-data A.csv B.csv …".to_owned(),
        )),
        (DataSource::PerParty(tables), None) => {
            let paths: Vec<PathBuf> = tables.iter().map(|table| folder.join(table)).collect();
            per_party(&paths, &options, source)
        }
        (DataSource::Dealt { table, split }, data) => {
            let path = data.clone().unwrap_or_else(|| folder.join(table));
            let table = sealed::read(&path, &options, source.vault_key.as_deref())?;
            let (mut parts, mut seats) = (Vec::new(), Vec::new());
            for PartyPart { name, rows } in dealing::divide(job, &table, split)? {
                parts.push(Part { name: name.clone(), table: table.select_rows(&rows)? });
                seats.push((name, rows));
            }
            Ok((parts, vec![TableRead { table, seats }]))
        }
    }
}

fn per_party(
    paths: &[PathBuf],
    options: &ReadOptions,
    source: &Source,
) -> Result<(Vec<Part>, Vec<TableRead>), NodeError> {
    let mut parts: Vec<Part> = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let table = sealed::read(path, options, source.vault_key.as_deref())?;
        if let Some(first) = parts.first() {
            first.table.check_same_columns(&table)?;
        }
        if table.rows() < split::MIN_ROWS {
            return Err(NodeError::Data(format!(
                "{}: a party needs at least {} rows and this one has {}; give it more, or leave it out",
                path.display(),
                split::MIN_ROWS,
                table.rows()
            )));
        }
        let stem = path.file_stem().map_or_else(
            || format!("party-{}", index + 1),
            |stem| stem.to_string_lossy().into_owned(),
        );
        let name = free_name(stem, &parts);
        parts.push(Part { name, table });
    }
    let read = |part: &Part| TableRead {
        table: part.table.clone(),
        seats: vec![(part.name.clone(), (0..part.table.rows()).collect())],
    };
    let reads = parts.iter().map(read).collect();
    Ok((parts, reads))
}

/// Files of the same name in several folders, or `a.csv` twice and `a-2.csv`, are still different parties.
fn free_name(stem: String, parts: &[Part]) -> String {
    let taken = |name: &String| parts.iter().any(|part| part.name == *name);
    let numbered = (parts.len() + 1..).map(|number| format!("{stem}-{number}"));
    let free = std::iter::once(stem.clone())
        .chain(numbered)
        .find(|name| !taken(name));
    free.unwrap_or(stem)
}

pub(crate) fn read_options(job: &Job) -> ReadOptions {
    let mut types: BTreeMap<String, lepton_table::ColumnType> = job
        .data()
        .types
        .iter()
        .map(|(name, kind)| (name.clone(), table_type(*kind)))
        .collect();
    for name in job.prepare().values.keys() {
        types
            .entry(name.clone())
            .or_insert(lepton_table::ColumnType::Category);
    }
    if job.objective() == Objective::Classes {
        types.insert(job.data().label.clone(), lepton_table::ColumnType::Category);
    }
    // An id is a text, also where it looks like a number: 007 is not 7.
    if let Some(person) = &job.data().person {
        types.insert(person.clone(), lepton_table::ColumnType::Category);
    }
    ReadOptions::with_types(types)
}

pub(crate) fn table_type(kind: ColumnType) -> lepton_table::ColumnType {
    match kind {
        ColumnType::Number => lepton_table::ColumnType::Number,
        ColumnType::Category => lepton_table::ColumnType::Category,
    }
}

fn columns_of(table: &Table) -> Vec<job::Column> {
    let kind = |kind| match kind {
        lepton_table::ColumnType::Number => ColumnType::Number,
        lepton_table::ColumnType::Category => ColumnType::Category,
    };
    table
        .columns()
        .into_iter()
        .map(|(name, of)| job::Column {
            name,
            kind: kind(of),
        })
        .collect()
}

/// The same job with every column and its type written out, and what it leaves open chosen.
fn resolve(
    source: &Source,
    job: &Job,
    (columns, parties): (&[job::Column], usize),
) -> Result<Job, NodeError> {
    let features = job.feature_columns(columns);
    let quoted = |name: &str| toml_edit::Value::from(name).to_string();
    let names: Vec<String> = features.iter().map(|column| quoted(&column.name)).collect();
    let label = job::Column {
        name: job.data().label.clone(),
        kind: if job.objective() == Objective::Classes {
            ColumnType::Category
        } else {
            ColumnType::Number
        },
    };
    let types: Vec<String> = features
        .iter()
        .chain(std::iter::once(&label))
        .map(|column| {
            format!(
                "{} = {}",
                quoted(&column.name),
                quoted(&column.kind.to_string())
            )
        })
        .collect();
    let mut all = overrides(source)?;
    for text in [
        format!("data.features=[{}]", names.join(", ")),
        format!("data.types={{{}}}", types.join(", ")),
    ] {
        all.push(
            Override::parse(&text)
                .map_err(|error| NodeError::Use(format!("the table's column names: {error}")))?,
        );
    }
    let (name, text) = (source.job.display().to_string(), read_text(&source.job)?);
    let job = Job::parse(&name, &text, &all)?;
    let chosen = choose(&job, u16::try_from(parties).unwrap_or(u16::MAX))?;
    if chosen.is_empty() {
        return Ok(job);
    }
    all.extend(chosen);
    Ok(Job::parse(&name, &text, &all)?)
}

pub(crate) fn check_part(job: &Job, part: &Part) -> Result<(), NodeError> {
    let features = job.data().features.clone().unwrap_or_default();
    let by_party =
        |error: lepton_table::TableError| NodeError::Data(format!("party {}: {error}", part.name));
    let mut used = features;
    used.push(job.data().label.clone());
    part.table.check_usable(&used).map_err(by_party)
}

/// A label with a single class over all parties cannot be learnt; a single party may well hold one class only.
fn check_classes(job: &Job, parts: &[Part]) -> Result<(), NodeError> {
    if job.objective() != Objective::Classes {
        return Ok(());
    }
    let tables: Vec<Table> = parts.iter().map(|part| part.table.clone()).collect();
    let name = parts
        .first()
        .map_or("", |part| part.table.name())
        .to_owned();
    Table::concat(&name, &tables)?.check_classes(&job.data().label)?;
    Ok(())
}

pub(crate) fn check_declared_classes(plan: &Plan, parts: &[Part]) -> Result<(), NodeError> {
    let LabelKind::Declared(classes) = plan.label() else {
        return Ok(());
    };
    for part in parts {
        for (value, _) in part.table.distinct_values(plan.label_name())? {
            if !classes.contains(&value) {
                return Err(NodeError::Data(format!(
                    "party {}: column `{}` holds \"{value}\", which data.classes ({}) does not list; add it there or correct the rows",
                    part.name,
                    plan.label_name(),
                    classes.join(", ")
                )));
            }
        }
    }
    Ok(())
}

/// With `missing = "refuse"` a gap is found before anything starts. Rows without a label are left out and may have gaps.
pub(crate) fn check_missing(plan: &Plan, parts: &[Part]) -> Result<(), NodeError> {
    if plan.missing() != lepton_learn::Missing::Refuse {
        return Ok(());
    }
    for part in parts {
        let label = raw_column(&part.table, plan.label_name())?;
        for feature in plan.features() {
            let column = raw_column(&part.table, &feature.name)?;
            let gap =
                |row: &usize| label.category(*row).is_some() && column.category(*row).is_none();
            if let Some(row) = (0..column.len()).find(gap) {
                return Err(NodeError::Data(format!(
                    "{}, column {:?}: the value is missing, and the job says missing = \"refuse\"; fill it, or set prepare.missing to \"mean\", \"indicator\" or \"drop\"",
                    place_of_row(&part.table, row),
                    feature.name
                )));
            }
        }
    }
    Ok(())
}

/// `file:line` of a row, or its number where the table has no lines.
pub(crate) fn place_of_row(table: &Table, row: usize) -> String {
    match table.line_of(row) {
        Some(line) => format!("{}:{line}", table.name()),
        None => format!("{}, row {}", table.name(), row + 1),
    }
}

/// Cleans a party's rows and divides them (rules PR-07, PR-08, FT-03).
pub(crate) fn party_table(plan: &Plan, part: &Part) -> Result<PartyTable, NodeError> {
    let mut names: Vec<String> = plan
        .features()
        .iter()
        .map(|feature| feature.name.clone())
        .collect();
    let label = names.len();
    names.push(plan.label_name().to_owned());
    // Whose row it is decides which rows are the same, on which side they are, and what they count (PU-11).
    let person = plan.person_column().map(|column| {
        names.push(column.to_owned());
        names.len() - 1
    });
    let columns = names
        .iter()
        .map(|name| raw_column(&part.table, name))
        .collect::<Result<Vec<_>, _>>()?;
    let mut rows: Vec<usize> = match plan.job().prepare().duplicates {
        job::Duplicates::Keep => (0..part.table.rows()).collect(),
        job::Duplicates::Drop => lepton_learn::distinct_rows(&columns)?,
    };
    let drop_missing = plan.missing() == lepton_learn::Missing::Drop;
    rows.retain(|row| {
        let needed = columns
            .iter()
            .enumerate()
            .filter(|(index, _)| drop_missing || *index == label || Some(*index) == person);
        needed
            .into_iter()
            .all(|(_, column)| column.category(*row).is_some())
    });
    let (test, train): (Vec<usize>, Vec<usize>) =
        rows.into_iter()
            .partition(|row| match person.and_then(|index| columns.get(index)) {
                Some(ids) => is_held_out(plan, std::slice::from_ref(ids), *row),
                None => is_held_out(plan, &columns, *row),
            });
    if plan.unit() != job::Unit::Party && train.len().max(test.len()) > MAX_ROWS {
        return Err(NodeError::Data(format!(
            "party {}: more than {MAX_ROWS} rows on one side, the most one exchange can take; split the party",
            part.name
        )));
    }
    let select = |rows: &[usize]| -> Vec<RawColumn> {
        columns.iter().map(|column| column.select(rows)).collect()
    };
    Ok(PartyTable {
        name: part.name.clone(),
        rows: PartyRows {
            train: select(&train),
            hold_out: select(&test),
        },
    })
}

/// A record's own coin (rule FT-03): a hash of the record and the job's public seed. No other record has a say in it, so adding or removing
/// one moves no other from one side to the other; equal records fall on the same side.
fn is_held_out(plan: &Plan, columns: &[RawColumn], row: usize) -> bool {
    let seed = plan.job().data().split_seed.to_be_bytes();
    let digest = lepton_crypto::hash(
        "lepton hold-out",
        &[&seed, &lepton_learn::row_key(columns, row)],
    );
    let coin = digest
        .as_bytes()
        .iter()
        .take(4)
        .fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    f64::from(coin) < plan.job().data().test_fraction.get() * f64::from(u32::MAX)
}

/// One column of a table as the preparation reads it.
///
/// # Errors
/// [`NodeError`] when the table has no such column.
pub fn raw_column(table: &Table, name: &str) -> Result<RawColumn, NodeError> {
    let name = name.to_owned();
    Ok(match table.column_type(&name)? {
        lepton_table::ColumnType::Number => {
            let values = table.numeric(&name)?.iter().collect();
            RawColumn::Numeric { name, values }
        }
        lepton_table::ColumnType::Category => {
            let values = table
                .category(&name)?
                .iter()
                .map(|value| value.map(str::to_owned))
                .collect();
            RawColumn::Category { name, values }
        }
    })
}

/// For each discovered column, every value and how many parties hold it among their training rows.
fn category_values(
    plan: &Plan,
    parties: &[PartyTable],
) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut all: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    let discovered = plan
        .features()
        .iter()
        .filter(|feature| feature.kind == FeatureKind::Discovered);
    let mut names: Vec<&str> = discovered.map(|feature| feature.name.as_str()).collect();
    if *plan.label() == LabelKind::Discovered {
        names.push(plan.label_name());
    }
    for (name, party) in names
        .iter()
        .flat_map(|name| parties.iter().map(move |party| (*name, party)))
    {
        let Some(column) = party.rows.train.iter().find(|column| column.name() == name) else {
            continue;
        };
        let mut held: Vec<String> = (0..column.len())
            .filter_map(|row| column.category(row).map(std::borrow::Cow::into_owned))
            .collect();
        held.sort_unstable();
        held.dedup();
        let counts = all.entry(name.to_owned()).or_default();
        held.into_iter()
            .for_each(|value| *counts.entry(value).or_default() += 1);
    }
    all
}

fn words_for(job: &Job, source: &Source, parties: usize) -> String {
    let own = !source.party_data.is_empty();
    match &job.data().source {
        DataSource::PerParty(_) => format!("{parties} parties, a table each"),
        _ if own => format!("{parties} parties, a table each"),
        DataSource::Dealt {
            split: Split::Column { column, .. },
            ..
        } => {
            format!("{parties} parties by the value of column `{column}`")
        }
        DataSource::Dealt {
            split: Split::Even { .. },
            ..
        } => format!("{parties} parties of equal size, rows dealt at random"),
        DataSource::Dealt {
            split: Split::Hash { .. },
            ..
        } => format!("{parties} parties, each row dealt by a hash of itself"),
        DataSource::Dealt {
            split: Split::Dirichlet { alpha, .. },
            ..
        } => {
            format!(
                "{parties} parties with skewed labels (Dirichlet, alpha = {})",
                alpha.get()
            )
        }
    }
}

/// A digest of a party's training and hold-out rows, in their order.
pub(crate) fn rows_digest(rows: &PartyRows) -> String {
    let digest = |columns: &[RawColumn]| {
        let rows = columns.first().map_or(0, RawColumn::len);
        let keys: Vec<Vec<u8>> = (0..rows)
            .map(|row| lepton_learn::row_key(columns, row))
            .collect();
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        lepton_crypto::hash("lepton run rows", &keys)
    };
    let sides = [&rows.train, &rows.hold_out].map(|side| digest(side));
    let [train, hold_out] = &sides;
    lepton_crypto::hash("lepton run party", &[train.as_ref(), hold_out.as_ref()]).to_string()
}
