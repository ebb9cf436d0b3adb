//! Which data set a table is, and whose guarantee it has (LG-08, LG-09, LG-14).

use lepton_dp::{Delta, Epsilon};
use lepton_node::ledger::JobTable;
use lepton_protocol::ledger::{Budget, BudgetError, LedgerError, Reserved, Unit};

use crate::support::{Desk, PARTY, budget, planned, reserved};

/// LG-08: renamed, moved, cut and extended tables are the same data.
#[test]
fn rows_keep_their_budget_under_any_name() {
    let desk = Desk::new(3.0);
    let ledger = desk.open().unwrap();
    desk.table("renamed.csv", 30..50);
    let again = ledger.set_budget("fresh", (desk.cells("renamed.csv"), None), budget(9.0));
    let Err(LedgerError::Budget(BudgetError::Known { data, shared, rows })) = again else {
        panic!("{again:?}")
    };
    assert_eq!((data.as_str(), shared, rows), ("rows", 10, 20));
    // Other column names, another order, another notation of the same numbers.
    std::fs::write(desk.folder.path().join("moved.csv"), "y,x\n8.0,1\n11,02\n").unwrap();
    desk.reserve(&ledger, "moved", 1, "moved.csv").unwrap();
    assert_eq!(
        ledger.book().unwrap().jobs()["moved"].reserved.seats[PARTY],
        [0]
    );
    // The new rows of a table that was seen have no budget of their own any more.
    desk.reserve(&ledger, "extended", 1, "renamed.csv").unwrap();
    let none = ledger.renew("rows", desk.cells("renamed.csv"), None);
    assert!(matches!(
        none,
        Err(LedgerError::Budget(BudgetError::NoNewRows(20)))
    ));
    desk.table("strange.csv", 500..510);
    let unknown = desk.reserve(&ledger, "strange", 1, "strange.csv");
    assert!(matches!(
        unknown,
        Err(LedgerError::Budget(BudgetError::NoBudget(..)))
    ));
    desk.verify(Vec::new()).unwrap();
}

/// LG-09: a new block for new rows; a job on both pays in both.
#[test]
fn renewal_is_for_new_rows_only() {
    let desk = Desk::new(1.0);
    let ledger = desk.open().unwrap();
    desk.table("more.csv", 20..80);
    desk.table("only_new.csv", 60..80);
    ledger
        .renew("rows", desk.cells("more.csv"), Some(budget(2.0)))
        .unwrap();
    let book = ledger.book().unwrap();
    assert_eq!((book.blocks()[1].rows, book.blocks()[1].lineage), (40, 0));
    desk.reserve(&ledger, "both", 2, "more.csv").unwrap();
    desk.reserve(&ledger, "new", 2, "only_new.csv").unwrap();
    let book = ledger.book().unwrap();
    assert_eq!(book.jobs()["both"].reserved.seats[PARTY], [0, 1]);
    assert_eq!(book.jobs()["new"].reserved.seats[PARTY], [1]);
    let nearest = ledger
        .renew("row", desk.cells("more.csv"), None)
        .unwrap_err();
    assert!(
        nearest.to_string().contains("did you mean `rows`?"),
        "{nearest}"
    );
}

/// An id column tells people apart when everything else about them changed.
#[test]
fn a_declared_id_outlives_other_columns() {
    let desk = Desk::new(1.0);
    let ledger = desk.open().unwrap();
    let write =
        |name: &str, text: &str| std::fs::write(desk.folder.path().join(name), text).unwrap();
    write("people.csv", "id,age\nx1,30\nx2,31\nx3,32\n");
    write("later.csv", "id,age,town\nx2,41,A\nx3,42,B\nx9,43,C\n");
    ledger
        .set_budget(
            "people",
            (desk.cells("people.csv"), Some("id".to_owned())),
            budget(1.0),
        )
        .unwrap();
    desk.reserve(&ledger, "later", 1, "later.csv").unwrap();
    assert_eq!(
        ledger.book().unwrap().jobs()["later"].reserved.seats[PARTY],
        [1]
    );
    assert_eq!(ledger.book().unwrap().blocks()[1].rows, 4);
    // LG-08: renamed, and everything else changed; dropped, and nothing else changed.
    write("renamed.csv", "age,customer\n51,x1\n52,x2\n53,y5\n");
    write("dropped.csv", "years\n30\n99\n");
    for name in ["renamed", "dropped"] {
        let file = format!("{name}.csv");
        let fresh = ledger.set_budget(name, (desk.cells(&file), None), budget(9.0));
        assert!(
            matches!(fresh, Err(LedgerError::Budget(BudgetError::Known { .. }))),
            "{fresh:?}"
        );
        desk.reserve(&ledger, name, 1, &file).unwrap();
        assert_eq!(
            ledger.book().unwrap().jobs()[name].reserved.seats[PARTY],
            [1]
        );
    }
    // The person that came with the renamed table has no budget of its own any more.
    write("again.csv", "id,age\ny5,1\n");
    let none = ledger.renew("people", desk.cells("again.csv"), None);
    assert!(matches!(
        none,
        Err(LedgerError::Budget(BudgetError::NoNewRows(1)))
    ));
    // Other people, of whom it holds nothing.
    write("others.csv", "number,age\nz1,70\nz2,71\n");
    let others = (desk.cells("others.csv"), Some("number".to_owned()));
    ledger.set_budget("others", others, budget(1.0)).unwrap();
    desk.verify(Vec::new()).unwrap();
    let missing = ledger.set_budget(
        "other",
        (desk.cells("people.csv"), Some("name".to_owned())),
        budget(1.0),
    );
    assert!(missing.is_err());
}

/// LG-08, LG-09: a table that lost its id column touches the older blocks too, whose people its rows may be of.
#[test]
fn without_ids_every_block_of_the_lineage_pays() {
    let desk = Desk::new(1.0);
    let ledger = desk.open().unwrap();
    let write =
        |name: &str, text: &str| std::fs::write(desk.folder.path().join(name), text).unwrap();
    write("people.csv", "id,age\nA,30\n");
    write("more.csv", "id,age\nA,31\nB,40\n");
    write("dropped.csv", "age\n31\n");
    let people = (desk.cells("people.csv"), Some("id".to_owned()));
    ledger.set_budget("people", people, budget(1.0)).unwrap();
    let blocks = ledger.book().unwrap().blocks().len();
    ledger
        .renew("people", desk.cells("more.csv"), None)
        .unwrap();
    desk.reserve(&ledger, "job", 1, "dropped.csv").unwrap();
    let seats = ledger.book().unwrap().jobs()["job"].reserved.seats[PARTY].clone();
    let older = u32::try_from(blocks).unwrap() - 1;
    assert_eq!(seats, [older, older + 1]);
}

/// LG-09: new rows do not give a whole party a second budget.
#[test]
fn a_budget_for_a_party_is_not_renewed() {
    let desk = Desk::new(1.0);
    let ledger = desk.open().unwrap();
    let write =
        |name: &str, text: &str| std::fs::write(desk.folder.path().join(name), text).unwrap();
    write("all.csv", "age\n30\n31\n");
    write("next.csv", "age\n50\n51\n");
    let numbers = (Epsilon::new(1.0).unwrap(), Delta::new(1e-6).unwrap());
    let party = Budget::new(Unit::Party, numbers, Budget::WARN_AT).unwrap();
    ledger
        .set_budget("all", (desk.cells("all.csv"), None), party)
        .unwrap();
    let refused = ledger
        .renew("all", desk.cells("next.csv"), None)
        .unwrap_err();
    assert!(refused.to_string().contains("is not renewed"), "{refused}");
}

/// LG-14: a budget for persons takes jobs for the same persons, each of them at one party.
#[test]
fn a_budget_for_persons_wants_their_column() {
    let desk = Desk::new(1.0);
    let ledger = desk.open().unwrap();
    let write =
        |name: &str, text: &str| std::fs::write(desk.folder.path().join(name), text).unwrap();
    write(
        "people.csv",
        "id,house,age\nx1,h1,30\nx1,h2,31\nx2,h1,32\nx3,h3,33\n",
    );
    let numbers = (Epsilon::new(8.0).unwrap(), Delta::new(1e-6).unwrap());
    let persons = Budget::new(Unit::Person, numbers, Budget::WARN_AT).unwrap();
    assert!(
        ledger
            .set_budget("people", (desk.cells("people.csv"), None), persons)
            .is_err()
    );
    let id = Some("id".to_owned());
    ledger
        .set_budget("people", (desk.cells("people.csv"), id), persons)
        .unwrap();
    let ask = |unit: Unit, person: Option<&str>, parts: &[&[usize]], table: &str| {
        let wanted = Reserved {
            unit,
            person: person.map(str::to_owned),
            ..reserved(&format!("{person:?}{parts:?}{table}"), 1)
        };
        let seats = parts.iter().enumerate();
        let seats = seats.map(|(number, rows)| (format!("party-{number}"), rows.to_vec()));
        let table = JobTable {
            cells: desk.cells(table),
            seats: seats.collect(),
        };
        ledger
            .reserve(wanted, vec![table], planned(1))
            .map_err(|error| error.to_string())
    };
    let refused = |done: Result<(), String>, part: &str| {
        let words = done.unwrap_err();
        assert!(words.contains(part), "{words}");
    };
    let (whole, apart): (&[&[usize]], &[&[usize]]) = (&[&[0, 1, 2, 3]], &[&[0, 1, 3], &[2]]);
    refused(
        ask(Unit::Record, None, whole, "people.csv"),
        "is for each person",
    );
    refused(
        ask(Unit::Person, Some("house"), whole, "people.csv"),
        "set data.person",
    );
    refused(
        ask(Unit::Person, Some("id"), &[&[0, 2], &[1, 3]], "people.csv"),
        "has records at",
    );
    ask(Unit::Person, Some("id"), apart, "people.csv").unwrap();
    // Under another name it is the same column; without it nobody can be told apart.
    write("renamed.csv", "house,who\nh7,x1\nh8,x2\n");
    ask(Unit::Person, Some("who"), &[&[0], &[1]], "renamed.csv").unwrap();
    write("dropped.csv", "house,age\nh1,30\nh2,31\n");
    refused(
        ask(Unit::Party, None, &[&[0, 1]], "dropped.csv"),
        "put the id column back",
    );
    desk.verify(Vec::new()).unwrap();
}
