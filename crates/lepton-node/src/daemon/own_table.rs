//! A party's own table, held against a job. What the coordinator is told names columns of the job; everything else stays here (rule JC-04).

use lepton_protocol::control::Refusal;
use lepton_protocol::job::Job;
use lepton_protocol::plan::Plan;
use lepton_protocol::work::PartyRows;
use lepton_table::{ColumnType, ReadOptions, Table, TableError, split};

use crate::config::TableConfig;
use crate::error::NodeError;
use crate::tables::{self, Part, sealed};

/// Why a table does not fit.
pub(crate) struct Mismatch {
    /// What may leave the party.
    pub(crate) public: Refusal,
    /// For the party's own log.
    pub(crate) own: String,
}

impl Mismatch {
    fn new(rule: &str, public: String, own: &dyn std::fmt::Display) -> Self {
        Self {
            public: Refusal::new(rule, public),
            own: own.to_string(),
        }
    }

    fn unsaid(own: &dyn std::fmt::Display) -> Self {
        let public = "its table cannot be read for this job; its own log says why";
        Self::new("data.table", public.to_owned(), own)
    }
}

/// How many rows a table has, before anything else is asked of it (rule PO-05); one that cannot be split counts as empty.
pub(crate) fn rows_of(job: &Job, config: &TableConfig) -> Result<u64, Mismatch> {
    let rows = match config.sealed().map_err(|error| Mismatch::unsaid(&error))? {
        Some(sealed) => sealed.rows(),
        None => {
            let read = Table::from_path(&config.path, &ReadOptions::default())
                // The types that the job states may be what it needs.
                .or_else(|_| Table::from_path(&config.path, &tables::read_options(job)));
            read.map_err(|error| typed(job, &error))?.rows() as u64
        }
    };
    Ok(if rows < split::MIN_ROWS as u64 {
        0
    } else {
        rows
    })
}

/// Reads the table and checks its columns and types.
pub(crate) fn read(job: &Job, name: &str, config: &TableConfig) -> Result<Part, Mismatch> {
    let path = &config.path;
    let typed_read = || {
        let read = sealed::read(path, &tables::read_options(job), config.key.as_deref());
        read.map_err(|error| match error {
            NodeError::Table(error) => typed(job, &error),
            other => Mismatch::unsaid(&other),
        })
    };
    let found = match config.sealed().map_err(|error| Mismatch::unsaid(&error))? {
        // A column that was not granted is not there.
        Some(sealed) => sealed.columns(),
        None => match Table::from_path(path, &ReadOptions::default()) {
            Ok(table) => table.columns(),
            // The types that the job states may be what it needs.
            Err(_) => typed_read()?.columns(),
        },
    };
    let label = std::iter::once(&job.data().label);
    for wanted in job.data().features.iter().flatten().chain(label) {
        if !found.iter().any(|(column, _)| column == wanted) {
            let words = format!("its table has no column `{wanted}`");
            return Err(Mismatch::new("data.features", words.clone(), &words));
        }
    }
    stated(job, config, &found)?;
    let table = typed_read()?;
    let part = Part {
        name: name.to_owned(),
        table,
    };
    tables::check_part(job, &part).map_err(|error| Mismatch::unsaid(&error))?;
    Ok(part)
}

/// Divides the rows (rule FT-03) and makes the checks that need the plan.
pub(crate) fn rows(plan: &Plan, part: &Part) -> Result<PartyRows, Mismatch> {
    // Rows with another label than the job's classes are left out without a word (rule PR-04): which labels there are is nobody else's business.
    let divided = tables::party_table(plan, part);
    Ok(divided
        .map_err(|error: NodeError| Mismatch::unsaid(&error))?
        .rows)
}

/// What the owner says a column holds is what a job must take it for. Nothing is said of columns that are not `found`, such as those that were not granted.
fn stated(job: &Job, config: &TableConfig, found: &[(String, ColumnType)]) -> Result<(), Mismatch> {
    let other = |(column, own): &(&String, _)| {
        let there = found.iter().any(|(name, _)| name == *column);
        let asked = job.data().types.get(*column);
        there && asked.is_some_and(|asked| asked != *own)
    };
    let Some((column, own)) = config.types.iter().find(other) else {
        return Ok(());
    };
    let words = format!("column `{column}` of its table is a {own}, as its owner says");
    Err(Mismatch::new("data.types", words.clone(), &words))
}

/// A cell that is no number says so of its column only, and only if the job names that column.
fn typed(job: &Job, error: &TableError) -> Mismatch {
    let column = match error {
        TableError::NotANumber { column, .. } | TableError::NotFinite { column, .. } => column,
        _ => return Mismatch::unsaid(error),
    };
    if !job.data().types.contains_key(column) {
        return Mismatch::unsaid(error);
    }
    let public = format!("column `{column}` of its table does not hold numbers only");
    Mismatch::new("data.types", public, error)
}
