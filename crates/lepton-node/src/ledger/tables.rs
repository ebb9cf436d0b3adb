//! Which lineages a table belongs to (LG-08, LG-09).

use std::collections::BTreeSet;

use lepton_protocol::ledger::{Book, Budget, BudgetError, LedgerError, Rows, What};

use super::cells::{self, Cells, Key};
use super::database::Draft;

/// The state, the stored fingerprints by block, and their key.
pub(super) type Known<'k> = (&'k Book, &'k [(u32, Vec<u64>)], &'k Key);

/// What a ledger makes of a table.
struct Look {
    /// Rows in common with each block, where there are any.
    shared: Vec<(u32, usize)>,
    /// Rows in no block.
    new: Vec<u64>,
    /// Distinct rows.
    rows: usize,
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
    for id in ids(book) {
        let Some(look) = look(known, table, id.as_deref()) else {
            continue;
        };
        if let Some((block, shared)) = most(&look) {
            return Err(BudgetError::Known {
                data: name_of(book, block),
                shared,
                rows: look.rows,
            }
            .into());
        }
    }
    let look = look(known, table, id.as_deref()).ok_or_else(|| no_column(table, &id))?;
    let block = u32::try_from(book.blocks().len()).unwrap_or(u32::MAX);
    let (rows, prints) = (rows(&look, id), (block, look.new));
    let what = What::BudgetSet {
        data: data.to_owned(),
        budget,
        rows,
    };
    Ok(vec![Draft {
        what,
        prints: Some(prints),
    }])
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
    let id = newest.id.clone();
    let look = look(known, table, id.as_deref()).ok_or_else(|| no_column(table, &id))?;
    if look.new.is_empty() {
        return Err(BudgetError::NoNewRows(look.rows).into());
    }
    let block = u32::try_from(book.blocks().len()).unwrap_or(u32::MAX);
    let (rows, prints) = (rows(&look, id), (block, look.new));
    let what = What::Renewed {
        data: data.to_owned(),
        budget: budget.unwrap_or(newest.budget),
        rows,
    };
    Ok(vec![Draft {
        what,
        prints: Some(prints),
    }])
}

/// Blocks that a job's table lies in, and an entry where it was not seen like this before.
pub(super) fn touched(
    known: Known<'_>,
    table: &Cells,
    ledger: &str,
) -> Result<(Vec<u32>, Option<Draft>), LedgerError> {
    let (book, _, _) = known;
    let looks: Vec<(Option<String>, Look)> = ids(book)
        .into_iter()
        .filter_map(|id| look(known, table, id.as_deref()).map(|look| (id, look)))
        .collect();
    let mut shared: Vec<(u32, usize)> = looks
        .iter()
        .flat_map(|(_, look)| look.shared.clone())
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
    let mut blocks: BTreeSet<u32> = shared.iter().map(|(block, _)| *block).collect();
    // New rows share the newest block of the first lineage, as its blocks remember rows.
    let home = lineage_of(book, first).and_then(|lineage| book.blocks_of(lineage).last().copied());
    let home_id = home
        .and_then(|home| book.blocks().get(home as usize))
        .and_then(|block| block.id.clone());
    let here = looks.into_iter().find(|(id, _)| *id == home_id);
    let known_name = book.names().get(table.name()) == Some(&lineages);
    let draft = here
        .filter(|(_, look)| !look.new.is_empty() || !known_name)
        .map(|(id, look)| {
            if !look.new.is_empty() {
                blocks.extend(home);
            }
            let stored = rows(&look, id);
            let prints = (home.unwrap_or_default(), look.new);
            let data = if known_name || !book.names().contains_key(table.name()) {
                table.name().to_owned()
            } else {
                format!("{} ({})", table.name(), book.names().len())
            };
            Draft {
                what: What::Seen {
                    data,
                    lineages,
                    rows: stored,
                },
                prints: Some(prints),
            }
        });
    Ok((blocks.into_iter().collect(), draft))
}

fn look((book, prints, key): Known<'_>, table: &Cells, id: Option<&str>) -> Option<Look> {
    let own = table.fingerprints(key, id)?;
    let mut shared: Vec<(u32, usize)> = Vec::new();
    let mut seen = vec![false; own.len()];
    for (number, stored) in prints {
        let block = book.blocks().get(*number as usize);
        if block.is_none_or(|block| block.id.as_deref() != id) {
            continue;
        }
        let common = cells::shared(&own, stored);
        if common == 0 {
            continue;
        }
        match shared.iter_mut().find(|(known, _)| known == number) {
            Some((_, rows)) => *rows += common,
            None => shared.push((*number, common)),
        }
        for (print, seen) in own.iter().zip(&mut seen) {
            *seen |= stored.binary_search(print).is_ok();
        }
    }
    let new = own
        .iter()
        .zip(&seen)
        .filter(|(_, seen)| !**seen)
        .map(|(print, _)| *print)
        .collect();
    Some(Look {
        shared,
        new,
        rows: own.len(),
    })
}

/// How blocks of this ledger remember rows: whole, or by a column.
fn ids(book: &Book) -> BTreeSet<Option<String>> {
    book.blocks().iter().map(|block| block.id.clone()).collect()
}

fn most(look: &Look) -> Option<(u32, usize)> {
    look.shared.iter().copied().max_by_key(|(_, rows)| *rows)
}

fn lineage_of(book: &Book, block: u32) -> Option<u32> {
    book.blocks().get(block as usize).map(|block| block.lineage)
}

/// A name to use in a command.
fn name_of(book: &Book, block: u32) -> String {
    lineage_of(book, block).map_or_else(String::new, |lineage| book.title(lineage).to_owned())
}

fn rows(look: &Look, id: Option<String>) -> Rows {
    Rows {
        new: look.new.len(),
        known: look.rows - look.new.len(),
        fingerprints: lepton_crypto::sha256(&cells::to_bytes(&look.new)).to_string(),
        id,
    }
}

fn no_column(table: &Cells, id: &Option<String>) -> BudgetError {
    BudgetError::Use(format!(
        "{} has no column `{}` to tell people apart; it has {}",
        table.name(),
        id.as_deref().unwrap_or_default(),
        table.header().join(", ")
    ))
}
