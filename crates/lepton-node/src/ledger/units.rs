//! Whether a job protects the persons that a budget protects (LG-14): what only the rows can tell.

use std::collections::BTreeMap;

use lepton_protocol::ledger::{Book, BudgetError, LedgerError, Reserved, Unit};

use super::JobTable;
use super::cells::Key;

/// For each table the blocks its rows lie in, each with the column that stands for a row of the block there.
pub(super) type Places = Vec<BTreeMap<u32, Option<String>>>;

/// On a budget for persons: every table has a column that tells them apart, a job for persons means the same column, and nobody is at two parties, each of
/// which would protect its part alone.
pub(super) fn check(
    (book, key): (&Book, &Key),
    reserved: &Reserved,
    (tables, places): (&[JobTable], &Places),
) -> Result<(), LedgerError> {
    if reserved.unit < Unit::Person {
        // Refused by the unit alone.
        return Ok(());
    }
    let for_persons = |number: &u32| {
        let block = book.blocks().get(*number as usize);
        block.is_some_and(|block| block.budget.unit() == Unit::Person)
    };
    let mut seats_of: BTreeMap<u64, &str> = BTreeMap::new();
    for (table, blocks) in tables.iter().zip(places) {
        let mut columns: Vec<&Option<String>> = blocks
            .iter()
            .filter(|(number, _)| for_persons(number))
            .map(|(_, column)| column)
            .collect();
        columns.dedup();
        for column in columns {
            let name = table.cells.name();
            let Some(column) = column else {
                return Err(spread(format!(
                    "{name} holds people with a budget of their own, and no column that tells them apart; put the id column back"
                )));
            };
            if reserved.unit == Unit::Person && reserved.person.as_ref() != Some(column) {
                return Err(spread(format!(
                    "{} tells persons apart by {}, and the budget of the people in {name} by column `{column}`; set data.person to it",
                    reserved.title,
                    reserved.person.as_deref().unwrap_or("nothing")
                )));
            }
            for (seat, rows) in &table.seats {
                for person in table.cells.select(rows).ids(key, column) {
                    let other = seats_of.insert(person, seat).filter(|other| other != seat);
                    if let Some(other) = other {
                        return Err(spread(format!(
                            "somebody in {name} has records at {other} and at {seat}, each of which protects its part alone; deal the rows so that each person is at one party"
                        )));
                    }
                }
            }
        }
    }
    Ok(())
}

fn spread(words: String) -> LedgerError {
    BudgetError::Spread(words).into()
}
