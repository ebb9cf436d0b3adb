//! The durable ledger on the disk: races, restarts, and twins that were tampered with (LG-06 to LG-10).
#![expect(
    clippy::disallowed_methods,
    reason = "a test of files reads and writes files"
)]
#![cfg(test)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use lepton_crypto::IdentityKey;
use lepton_dp::rdp::Event;
use lepton_dp::{Delta, Epsilon, NoiseMultiplier};
use lepton_node::ledger::{Cells, DurableLedger, SignedHead};
use lepton_protocol::ledger::{
    Budget, BudgetError, Charge, LedgerError, Planned, Reserved, Side, Unit, planned_cost,
};
use rand_core::SeedableRng;
use sqlx::{Connection, SqliteConnection};

const PARTY: &str = "party";

/// A folder with a table and a ledger whose data set `rows` has a budget.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new(epsilon: f64) -> Self {
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        desk.table("data.csv", 0..40);
        let ledger = DurableLedger::open_or_create(&desk.ledger(), clock).unwrap();
        ledger
            .set_budget("rows", (desk.cells("data.csv"), None), budget(epsilon))
            .unwrap();
        desk
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    fn open(&self) -> Result<DurableLedger, LedgerError> {
        DurableLedger::open(&self.ledger(), clock)
    }

    fn table(&self, name: &str, rows: std::ops::Range<u32>) {
        let text: String = rows
            .map(|row| format!("{row},{}\n", row * row + 7))
            .collect();
        std::fs::write(self.folder.path().join(name), format!("a,b\n{text}")).unwrap();
    }

    fn cells(&self, name: &str) -> Cells {
        Cells::read(&self.folder.path().join(name)).unwrap()
    }

    fn reserve(
        &self,
        ledger: &DurableLedger,
        job: &str,
        count: u64,
        table: &str,
    ) -> Result<(), LedgerError> {
        ledger.reserve(
            reserved(job, count),
            vec![(self.cells(table), vec![PARTY.to_owned()])],
            planned(count),
        )
    }

    /// A ledger with a job of three charges, closed, and one still open.
    fn with_jobs() -> Self {
        let desk = Self::new(4.0);
        let ledger = desk.open().unwrap();
        for job in ["first", "second"] {
            desk.reserve(&ledger, job, 5, "data.csv").unwrap();
            for round in 0..3 {
                ledger.charge(job, PARTY, &charge(round)).unwrap();
            }
        }
        ledger.close("first").unwrap();
        desk
    }

    /// Runs a statement with nothing in its way, as somebody with the file could.
    fn tamper(&self, statement: &'static str) {
        let url = format!("sqlite://{}", self.ledger().display());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            for trigger in [
                "entries_u",
                "entries_d",
                "fingerprints_u",
                "fingerprints_d",
                "witnesses_d",
                "secret_u",
            ] {
                sqlx::query(sqlx::AssertSqlSafe(format!("DROP TRIGGER {trigger}")))
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
            sqlx::query(statement)
                .execute(&mut connection)
                .await
                .unwrap();
            connection.close().await.unwrap();
        });
    }

    /// What verification finds, opening included.
    fn verify(&self, heads: Vec<SignedHead>) -> Result<(), LedgerError> {
        self.open()?.verify(heads).map(|_| ())
    }
}

fn clock() -> String {
    "2026-01-02T03:04:05Z".to_owned()
}

fn budget(epsilon: f64) -> Budget {
    let numbers = (Epsilon::new(epsilon).unwrap(), Delta::new(1e-6).unwrap());
    Budget::new(Unit::Record, numbers, Budget::WARN_AT).unwrap()
}

fn event() -> Event {
    Event::Gaussian {
        noise_multiplier: NoiseMultiplier::new(20.0).unwrap(),
    }
}

fn planned(count: u64) -> Vec<Planned> {
    vec![Planned {
        side: Side::Training,
        event: event(),
        count,
        charges: count,
    }]
}

fn reserved(job: &str, count: u64) -> Reserved {
    Reserved {
        job: job.to_owned(),
        title: format!("job `{job}`"),
        epsilon: 1.0,
        delta: 1e-6,
        seats: BTreeMap::new(),
        curve: planned_cost(&planned(count)).unwrap(),
    }
}

fn charge(round: u64) -> Charge {
    Charge {
        side: Side::Training,
        kind: "training".to_owned(),
        epoch: 1,
        round,
        attempt: 0,
        event: event(),
        count: 1,
    }
}

fn identity(seed: u8) -> IdentityKey {
    IdentityKey::generate(&mut ChaCha20Rng::from_seed([seed; 32]))
}

fn signed(ledger: &DurableLedger, seed: u8) -> SignedHead {
    let name = ledger.book().unwrap().ledger().to_owned();
    SignedHead::sign(&name, ledger.head().unwrap(), &identity(seed))
}

fn copy(from: &Path, to: &Path) {
    for end in ["", "-wal", "-shm"] {
        let with = |path: &Path| PathBuf::from(format!("{}{end}", path.display()));
        if with(from).exists() {
            std::fs::copy(with(from), with(to)).unwrap();
        } else {
            let _ = std::fs::remove_file(with(to));
        }
    }
}

fn used(ledger: &DurableLedger) -> (u64, u64) {
    let book = ledger.book().unwrap();
    let block = &book.blocks()[0];
    (
        block.used().at(block.budget.order()).units(),
        block.budget.capacity().units(),
    )
}

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
    let tables = ["data.csv", "other.csv"].map(|name| (desk.cells(name), vec![PARTY.to_owned()]));
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

impl Desk {
    fn twin(&self) -> Self {
        let twin = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        copy(&self.ledger(), &twin.ledger());
        twin
    }

    fn tamper_with(&self, statements: &str) {
        self.tamper(Box::leak(statements.to_owned().into_boxed_str()));
    }
}
