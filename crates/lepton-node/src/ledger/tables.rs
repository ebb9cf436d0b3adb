//! Which lineages a table belongs to (LG-08, LG-09).

use std::collections::{BTreeMap, BTreeSet};

use lepton_protocol::ledger::{Book, Budget, BudgetError, LedgerError, Rows, Unit, What};

use super::cells::{self, Cells, Key};
use super::database::Draft;

/// The state, the stored fingerprints by block, and their key.
pub(super) type Known<'k> = (&'k Book, &'k [(u32, Vec<u64>)], &'k Key);

/// What blocks that know rows by one column, or whole, make of a table.
struct Look {
    /// The column that stands for a row here.
    column: Option<String>,
    /// Rows (or ids) in common with each block, where there are any.
    shared: BTreeMap<u32, usize>,
    /// Rows (or ids) in no block.
    new: Vec<u64>,
    /// What such a block remembers besides: whole rows, with and without their ids. Only what is new.
    beside: Vec<u64>,
    /// Distinct rows (or ids).
    rows: usize,
}

/// What a job's table is to the ledger.
pub(super) struct Touched {
    /// The blocks that its rows lie in, each with the column that stands for a row of the block in this table.
    pub(super) blocks: BTreeMap<u32, Option<String>>,
    /// To be appended where the table was not seen like this before.
    pub(super) draft: Option<Draft>,
}

/// A data set's first budget. Rows that have one do not get another, whatever the table is called.
pub(super) fn budget_set(
    known: Known<'_>,
    data: &str,
    (table, id): (&Cells, Option<String>),
    budget: Budget,
) -> Result<Vec<Draft>, LedgerError> {
    let (book, _, _) = known;
    if book.names().contains_key(data) {
        return Err(BudgetError::Taken(data.to_owned()).into());
    }
    if budget.unit() == Unit::Person && id.is_none() {
        let words =
            "a budget for each person needs the column that tells persons apart; name it with --id";
        return Err(BudgetError::Use(words.to_owned()).into());
    }
    has_column(table, id.as_ref())?;
    for kind in ids(book) {
        let look = look(known, table, kind.as_deref());
        if let Some((block, shared)) = most(&look) {
            return Err(BudgetError::Known {
                data: name_of(book, block),
                shared,
                rows: look.rows,
            }
            .into());
        }
    }
    let look = look(known, table, id.as_deref());
    let what = What::BudgetSet {
        data: data.to_owned(),
        budget,
        rows: look.stored(id),
    };
    Ok(vec![look.draft(what)])
}

/// A new block for rows that are in no block.
pub(super) fn renewed(
    known: Known<'_>,
    data: &str,
    table: &Cells,
    budget: Option<Budget>,
) -> Result<Vec<Draft>, LedgerError> {
    let (book, _, _) = known;
    let lineage = book.lineages_of(data)?.first().copied().unwrap_or_default();
    let newest = book.blocks_of(lineage).last();
    let newest = newest.and_then(|number| book.blocks().get(*number as usize));
    let newest =
        newest.ok_or_else(|| BudgetError::Use(format!("data set `{data}` has no block")))?;
    if newest.budget.unit() == Unit::Party {
        let words = format!(
            "the budget of `{data}` is for all its rows together, new ones too; it is not renewed"
        );
        return Err(BudgetError::Use(words).into());
    }
    let id = newest.id.clone();
    has_column(table, id.as_ref())?;
    let look = look(known, table, id.as_deref());
    if look.new.is_empty() {
        return Err(BudgetError::NoNewRows(look.rows).into());
    }
    let budget = budget.unwrap_or(newest.budget);
    if budget.unit() != newest.budget.unit() {
        let words = format!(
            "data set `{data}` protects each {}, its new block too",
            newest.budget.unit()
        );
        return Err(BudgetError::Use(words).into());
    }
    let what = What::Renewed {
        data: data.to_owned(),
        budget,
        rows: look.stored(id),
    };
    Ok(vec![look.draft(what)])
}

/// Blocks that a job's table lies in, and an entry where it was not seen like this before.
pub(super) fn touched(
    known: Known<'_>,
    table: &Cells,
    ledger: &str,
) -> Result<Touched, LedgerError> {
    let (book, _, _) = known;
    let mut looks: BTreeMap<Option<String>, Look> = ids(book)
        .into_iter()
        .map(|id| (id.clone(), look(known, table, id.as_deref())))
        .collect();
    let mut shared: Vec<(u32, usize)> = looks
        .values()
        .flat_map(|look| look.shared.clone())
        .collect();
    shared.sort_by_key(|(block, rows)| (std::cmp::Reverse(*rows), *block));
    let Some((first, _)) = shared.first().copied() else {
        let name = table.name().to_owned();
        return Err(BudgetError::NoBudget(name.clone(), ledger.to_owned(), name).into());
    };
    let mut lineages: Vec<u32> = Vec::new();
    for lineage in shared
        .iter()
        .filter_map(|(block, _)| lineage_of(book, *block))
    {
        if !lineages.contains(&lineage) {
            lineages.push(lineage);
        }
    }
    let mut blocks: BTreeMap<u32, Option<String>> = looks
        .values()
        .flat_map(|look| {
            look.shared
                .keys()
                .map(|block| (*block, look.column.clone()))
        })
        .collect();
    // Whole rows do not tell whose they are: an older block of the lineage may hold the id.
    for (_, look) in looks.iter().filter(|(id, look)| look.column != **id) {
        let lineages = look.shared.keys();
        let lineages: BTreeSet<u32> = lineages.filter_map(|one| lineage_of(book, *one)).collect();
        for block in lineages.into_iter().flat_map(|one| book.blocks_of(one)) {
            blocks.entry(*block).or_insert_with(|| look.column.clone());
        }
    }
    // New rows share the newest block of the first lineage, as its blocks remember rows.
    let home = lineage_of(book, first).and_then(|lineage| book.blocks_of(lineage).last().copied());
    let home_id = home
        .and_then(|home| book.blocks().get(home as usize))
        .and_then(|block| block.id.clone());
    let known_name = book.names().get(table.name()) == Some(&lineages);
    let here = looks.remove(&home_id);
    let here = here.filter(|look| !look.knows_all() || !known_name);
    let draft = here.map(|look| {
        if let Some(home) = home.filter(|_| !look.new.is_empty()) {
            blocks.insert(home, look.column.clone());
        }
        let data = if known_name || !book.names().contains_key(table.name()) {
            table.name().to_owned()
        } else {
            format!("{} ({})", table.name(), book.names().len())
        };
        let what = What::Seen {
            data,
            lineages,
            rows: look.stored(home_id),
        };
        look.draft(what)
    });
    Ok(Touched { blocks, draft })
}

/// The table as blocks see it that know rows by `id`. Where the table has no such column, it may have been renamed: the column that shares most values with
/// these blocks then stands for it. Whole rows are compared in any case, so that dropping the column changes nothing.
fn look((book, prints, key): Known<'_>, table: &Cells, id: Option<&str>) -> Look {
    let of_kind = |number: u32| {
        let block = book.blocks().get(number as usize);
        block.is_some_and(|block| block.id.as_deref() == id)
    };
    let stored: Vec<&(u32, Vec<u64>)> =
        prints.iter().filter(|(block, _)| of_kind(*block)).collect();
    let whole = table.whole(key);
    let column = id.and_then(|id| column_for(table, key, (id, &stored)));
    let (units, mut beside) = match (&column, id) {
        (Some(column), _) => (table.ids(key, column), table.without(key, column)),
        (None, _) => (whole.clone(), Vec::new()),
    };
    if id.is_some() {
        beside.extend(&whole);
    }
    let mut shared: BTreeMap<u32, usize> = BTreeMap::new();
    for (block, stored) in &stored {
        let common = match cells::shared(&units, stored) {
            0 => cells::shared(&whole, stored),
            common => common,
        };
        if common > 0 {
            *shared.entry(*block).or_default() += common;
        }
    }
    let is_new = |print: &u64| {
        let known = |(_, stored): &&(u32, Vec<u64>)| stored.binary_search(print).is_ok();
        !stored.iter().any(known)
    };
    Look {
        column,
        shared,
        rows: units.len(),
        new: units.into_iter().filter(is_new).collect(),
        beside: beside.into_iter().filter(is_new).collect(),
    }
}

/// The column `id`, or the one that holds most of the stored ids; none where no column holds any.
fn column_for(
    table: &Cells,
    key: &Key,
    (id, stored): (&str, &[&(u32, Vec<u64>)]),
) -> Option<String> {
    if table.header().iter().any(|name| name == id) {
        return Some(id.to_owned());
    }
    let shared = |column: &String| -> usize {
        let ids = table.ids(key, column);
        stored
            .iter()
            .map(|(_, stored)| cells::shared(&ids, stored))
            .sum()
    };
    let columns = table.header().iter();
    let best = columns
        .map(|column| (shared(column), column))
        .max_by_key(|(shared, _)| *shared);
    best.filter(|(shared, _)| *shared > 0)
        .map(|(_, column)| column.clone())
}

impl Look {
    fn knows_all(&self) -> bool {
        self.new.is_empty() && self.beside.is_empty()
    }

    /// What the chain says about the fingerprints.
    fn stored(&self, id: Option<String>) -> Rows {
        Rows {
            new: self.new.len(),
            known: self.rows - self.new.len(),
            fingerprints: lepton_crypto::sha256(&cells::to_bytes(&self.all())).to_string(),
            id,
        }
    }

    fn draft(self, what: What) -> Draft {
        Draft {
            what,
            prints: Some(self.all()),
        }
    }

    fn all(&self) -> Vec<u64> {
        let all: BTreeSet<u64> = self.new.iter().chain(&self.beside).copied().collect();
        all.into_iter().collect()
    }
}

/// How blocks of this ledger remember rows: whole, or by a column.
fn ids(book: &Book) -> BTreeSet<Option<String>> {
    book.blocks().iter().map(|block| block.id.clone()).collect()
}

fn most(look: &Look) -> Option<(u32, usize)> {
    let shared = look.shared.iter().map(|(block, rows)| (*block, *rows));
    shared.max_by_key(|(_, rows)| *rows)
}

fn lineage_of(book: &Book, block: u32) -> Option<u32> {
    book.blocks().get(block as usize).map(|block| block.lineage)
}

/// A name to use in a command.
fn name_of(book: &Book, block: u32) -> String {
    lineage_of(book, block).map_or_else(String::new, |lineage| book.title(lineage).to_owned())
}

fn has_column(table: &Cells, id: Option<&String>) -> Result<(), BudgetError> {
    match id.filter(|id| !table.header().contains(id)) {
        None => Ok(()),
        Some(id) => Err(BudgetError::Use(format!(
            "{} has no column `{id}` to tell people apart; it has {}",
            table.name(),
            table.header().join(", ")
        ))),
    }
}
