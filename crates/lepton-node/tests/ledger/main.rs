//! The durable ledger on the disk: races, restarts, and twins that were tampered with (LG-06 to LG-10).
#![expect(
    clippy::disallowed_methods,
    reason = "a test of files reads and writes files"
)]
#![cfg(test)]

mod rows;
mod support;
mod tampered;

use std::sync::Arc;

use lepton_protocol::ledger::{BudgetError, LedgerError};
use support::{Desk, PARTY, at_one_party, budget, charge, planned, reserved, used};

#[test]
fn what_was_charged_is_there_after_a_restart() {
    let desk = Desk::with_jobs();
    let ledger = desk.open().unwrap();
    let book = ledger.book().unwrap();
    assert_eq!(
        (book.jobs()["first"].charges, book.jobs()["first"].closed),
        (3, true)
    );
    assert_eq!(
        (book.jobs()["second"].charges, book.jobs()["second"].closed),
        (3, false)
    );
    let before = used(&ledger);
    assert!(matches!(
        ledger.charge("first", PARTY, &charge(4)),
        Err(LedgerError::Budget(BudgetError::Repeated(..)))
    ));
    assert!(matches!(
        ledger.charge("second", PARTY, &charge(1)),
        Err(LedgerError::Budget(BudgetError::Repeated(..)))
    ));
    // A run that resumes keeps its reservation and pays nothing for asking again.
    desk.reserve(&ledger, "second", 5, "data.csv").unwrap();
    assert_eq!(used(&ledger), before);
    let ended = desk.reserve(&ledger, "first", 5, "data.csv").unwrap_err();
    assert!(ended.to_string().contains("it has ended"), "{ended}");
    ledger.charge("second", PARTY, &charge(4)).unwrap();
    ledger.close("second").unwrap();
    assert!(used(&ledger).0 < before.0);
    desk.verify(Vec::new()).unwrap();
}

/// A run cannot go on with rows of other data sets, nor have two parties of one name.
#[test]
fn a_run_goes_on_where_its_rows_lay() {
    let desk = Desk::with_jobs();
    let ledger = desk.open().unwrap();
    desk.table("other.csv", 100..120);
    ledger
        .set_budget("other", (desk.cells("other.csv"), None), budget(1.0))
        .unwrap();
    let moved = desk.reserve(&ledger, "second", 5, "other.csv").unwrap_err();
    assert!(
        matches!(moved, LedgerError::Budget(BudgetError::Moved(_))),
        "{moved}"
    );
    let tables = ["data.csv", "other.csv"].map(|name| at_one_party(desk.cells(name), PARTY));
    let twice = ledger.reserve(reserved("twice", 1), tables.to_vec(), planned(1));
    assert!(
        twice.unwrap_err().to_string().contains("are called party"),
        "the second table would go uncharged"
    );
}

/// LG-06: eight connections, each on a thread of its own, want twice what there is.
#[test]
fn a_race_never_passes_the_budget() {
    let desk = Arc::new(Desk::new(1.0));
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let desk = Arc::clone(&desk);
            std::thread::spawn(move || {
                let ledger = desk.open().unwrap();
                let mut admitted = 0;
                for number in 0..6 {
                    let job = format!("{thread}-{number}");
                    match desk.reserve(&ledger, &job, 2, "data.csv") {
                        Err(LedgerError::Budget(BudgetError::Exceeded(_))) => continue,
                        result => result.unwrap(),
                    }
                    for round in 0..2 {
                        ledger.charge(&job, PARTY, &charge(round)).unwrap();
                    }
                    admitted += 1;
                }
                admitted
            })
        })
        .collect();
    let admitted: u64 = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    let ledger = desk.open().unwrap();
    let (used, capacity) = used(&ledger);
    let cost = used / admitted;
    assert!(
        used <= capacity && used + cost > capacity,
        "{admitted} jobs use {used} of {capacity}"
    );
    assert!(admitted < 48);
    desk.verify(Vec::new()).unwrap();
}
