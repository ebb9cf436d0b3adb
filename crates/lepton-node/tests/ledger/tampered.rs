//! Ledgers that were changed, rolled back or replaced (LG-06, LG-07, LG-10).

use std::path::Path;

use lepton_node::ledger::{DurableLedger, SignedHead};

use crate::support::{Desk, PARTY, budget, charge, clock, copy, identity, signed};

/// LG-06, LG-10, corrupted twins: one changed byte in any column of any entry.
#[test]
fn a_flipped_byte_anywhere_is_found() {
    let desk = Desk::with_jobs();
    desk.verify(Vec::new()).unwrap();
    let count = desk.open().unwrap().head().unwrap().count;
    assert_eq!(count, 12);
    for number in 1..=count {
        for change in [
            "body = substr(body, 1, length(body) / 2) || char(unicode(substr(body, length(body) / 2 + 1, 1)) + 1) || substr(body, length(body) / 2 + 2)",
            "body = body || ' '",
            "hash = zeroblob(32)",
            "previous = zeroblob(32)",
            "number = number + 1000",
        ] {
            let twin = desk.twin();
            twin.tamper_with(&format!(
                "PRAGMA foreign_keys = OFF; UPDATE entries SET {change} WHERE number = {number}"
            ));
            let found = twin.verify(Vec::new());
            assert!(found.is_err(), "entry {number}, {change}");
        }
    }
    let twin = desk.twin();
    twin.tamper("UPDATE fingerprints SET prints = substr(prints, 9) WHERE entry = 2");
    assert!(
        twin.verify(Vec::new())
            .unwrap_err()
            .to_string()
            .contains("fingerprints of entry 2")
    );
    let twin = desk.twin();
    twin.tamper("DELETE FROM entries WHERE number = 5");
    assert!(twin.verify(Vec::new()).is_err());
}

/// LG-06, LG-10: fingerprints decide what is charged, so they are compared with the chain whenever they decide, and their key whenever the file is opened.
#[test]
fn changed_fingerprints_and_another_key_decide_nothing() {
    let desk = Desk::with_jobs();
    for change in [
        "UPDATE fingerprints SET prints = zeroblob(length(prints)) WHERE entry = 2",
        "UPDATE fingerprints SET prints = substr(prints, 9) WHERE entry = 2",
        "UPDATE fingerprints SET entry = 7 WHERE entry = 2",
        "DELETE FROM fingerprints WHERE entry = 2",
        "INSERT INTO fingerprints (entry, prints) VALUES (7, x'0000000000000000')",
    ] {
        let twin = desk.twin();
        std::fs::copy(
            desk.folder.path().join("data.csv"),
            twin.folder.path().join("data.csv"),
        )
        .unwrap();
        twin.tamper(change);
        let ledger = twin.open().unwrap();
        for refused in [
            twin.reserve(&ledger, "third", 1, "data.csv"),
            ledger.set_budget("fresh", (twin.cells("data.csv"), None), budget(9.0)),
            ledger.verify(Vec::new()).map(|_| ()),
        ] {
            let words = refused.unwrap_err().to_string();
            assert!(
                words.contains("the fingerprints of entry"),
                "{change}: {words}"
            );
        }
    }
    let twin = desk.twin();
    twin.tamper("UPDATE secret SET key = zeroblob(32)");
    let words = twin.open().map(|_| ()).unwrap_err().to_string();
    assert!(words.contains("its key is not the one"), "{words}");
}

/// LG-10: a chain that somebody computed anew, with a charge that costs less.
#[test]
fn a_cheaper_charge_in_a_valid_chain_is_found() {
    let desk = Desk::with_jobs();
    let history = desk.open().unwrap().history().unwrap();
    let mut head = lepton_protocol::ledger::Head::empty();
    let mut statements = String::from("PRAGMA foreign_keys = OFF;");
    for stored in &history {
        let mut body = stored.body.clone();
        if stored.number == 5 {
            let cost = body.find("\"cost\":[").unwrap() + 8;
            let end = cost + body[cost..].find(']').unwrap();
            let cheaper: Vec<String> = body[cost..end]
                .split(',')
                .map(|amount| (amount.parse::<u64>().unwrap() / 2).to_string())
                .collect();
            body.replace_range(cost..end, &cheaper.join(","));
        }
        let next = head.after(body.as_bytes());
        let body = body.replace('\'', "''");
        statements += &format!(
            "UPDATE entries SET previous = x'{}', body = '{body}', hash = x'{}' WHERE number = {};",
            head.hash, next.hash, stored.number
        );
        head = next;
    }
    desk.tamper_with(&statements);
    let found = desk.verify(Vec::new()).unwrap_err().to_string();
    assert!(
        found.contains("entry 5 charges less than its release costs"),
        "{found}"
    );
}

/// LG-07: rolled back and replaced ledgers do not have the heads that others signed.
#[test]
fn countersigned_heads_show_a_roll_back() {
    let desk = Desk::with_jobs();
    let early = signed(&desk.open().unwrap(), 7);
    let old = desk.folder.path().join("old.db");
    copy(&desk.ledger(), &old);
    let ledger = desk.open().unwrap();
    ledger.charge("second", PARTY, &charge(4)).unwrap();
    let late = signed(&ledger, 8);
    ledger.record_countersignature(&late).unwrap();
    desk.verify(vec![early.clone(), late.clone()]).unwrap();
    // A signature that is not the signer's, and one on a head that never was.
    let mut forged = late.clone();
    forged.signer = identity(9).public();
    assert!(
        ledger
            .record_countersignature(&forged)
            .unwrap_err()
            .to_string()
            .contains("not genuine")
    );
    let mut ahead = ledger.head().unwrap();
    ahead.count += 1;
    let ahead = SignedHead::sign(&late.ledger, ahead, &identity(8));
    assert!(ledger.record_countersignature(&ahead).is_err());
    assert_eq!(
        SignedHead::parse(&late.to_json().unwrap()),
        Some(late.clone())
    );
    // The last entry deleted: the signature kept beside it shows it.
    let twin = desk.twin();
    twin.tamper("DELETE FROM entries WHERE number = 13");
    assert!(
        twin.verify(Vec::new())
            .unwrap_err()
            .to_string()
            .contains("rolled back")
    );
    // An old copy of the file has no such signature: those that others kept do.
    drop(ledger);
    copy(&old, &desk.ledger());
    desk.verify(vec![early.clone()]).unwrap();
    assert!(
        desk.verify(vec![early, late.clone()])
            .unwrap_err()
            .to_string()
            .contains("rolled back")
    );
    // The same, gone on differently.
    desk.open().unwrap().close("second").unwrap();
    assert!(
        desk.verify(vec![late.clone()])
            .unwrap_err()
            .to_string()
            .contains("went on differently")
    );
    let other = Desk::new(4.0);
    assert!(
        other
            .verify(vec![late])
            .unwrap_err()
            .to_string()
            .contains("replaced")
    );
}

/// A file that is exchanged under an open ledger.
#[test]
fn an_open_ledger_notices_that_entries_went_away() {
    let desk = Desk::with_jobs();
    let ledger = desk.open().unwrap();
    desk.tamper("DELETE FROM entries WHERE number = 12");
    let error = ledger
        .charge("second", PARTY, &charge(4))
        .unwrap_err()
        .to_string();
    assert!(error.contains("rolled back"), "{error}");
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new(1.0);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&desk.ledger()), 0o600);
    std::fs::set_permissions(desk.ledger(), std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = desk.open().map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
}

#[test]
fn what_is_no_ledger_is_not_opened() {
    let desk = Desk::new(1.0);
    let missing = DurableLedger::open(&desk.folder.path().join("none.db"), clock)
        .map(|_| ())
        .unwrap_err();
    assert!(
        missing.to_string().contains("lepton budget set"),
        "{missing}"
    );
    let table = desk.folder.path().join("data.csv");
    #[cfg(unix)]
    std::fs::set_permissions(&table, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert!(DurableLedger::open(&table, clock).is_err());
}
