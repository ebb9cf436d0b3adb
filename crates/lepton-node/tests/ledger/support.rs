//! A folder with a table and a ledger, and what tests do with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chacha20::ChaCha20Rng;
use lepton_crypto::IdentityKey;
use lepton_dp::rdp::Event;
use lepton_dp::{Delta, Epsilon, NoiseMultiplier};
use lepton_node::ledger::{Cells, DurableLedger, JobTable, SignedHead};
use lepton_protocol::ledger::{
    Budget, Charge, LedgerError, Planned, Reserved, Side, Unit, planned_cost,
};
use rand_core::SeedableRng;
use sqlx::{Connection, SqliteConnection};

pub(crate) const PARTY: &str = "party";

/// A folder with a table and a ledger whose data set `rows` has a budget.
pub(crate) struct Desk {
    pub(crate) folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new(epsilon: f64) -> Self {
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

    pub(crate) fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    pub(crate) fn open(&self) -> Result<DurableLedger, LedgerError> {
        DurableLedger::open(&self.ledger(), clock)
    }

    pub(crate) fn table(&self, name: &str, rows: std::ops::Range<u32>) {
        let text: String = rows
            .map(|row| format!("{row},{}\n", row * row + 7))
            .collect();
        std::fs::write(self.folder.path().join(name), format!("a,b\n{text}")).unwrap();
    }

    pub(crate) fn cells(&self, name: &str) -> Cells {
        Cells::read(&self.folder.path().join(name)).unwrap()
    }

    pub(crate) fn reserve(
        &self,
        ledger: &DurableLedger,
        job: &str,
        count: u64,
        table: &str,
    ) -> Result<(), LedgerError> {
        ledger.reserve(
            reserved(job, count),
            vec![at_one_party(self.cells(table), PARTY)],
            planned(count),
        )
    }

    /// A ledger with a job of three charges, closed, and one still open.
    pub(crate) fn with_jobs() -> Self {
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
    pub(crate) fn tamper(&self, statement: &'static str) {
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
    pub(crate) fn verify(&self, heads: Vec<SignedHead>) -> Result<(), LedgerError> {
        self.open()?.verify(heads).map(|_| ())
    }
}

pub(crate) fn clock() -> String {
    "2026-01-02T03:04:05Z".to_owned()
}

pub(crate) fn budget(epsilon: f64) -> Budget {
    let numbers = (Epsilon::new(epsilon).unwrap(), Delta::new(1e-6).unwrap());
    Budget::new(Unit::Record, numbers, Budget::WARN_AT).unwrap()
}

pub(crate) fn event() -> Event {
    Event::Gaussian {
        noise_multiplier: NoiseMultiplier::new(20.0).unwrap(),
    }
}

pub(crate) fn at_one_party(cells: Cells, seat: &str) -> JobTable {
    JobTable {
        cells,
        seats: vec![(seat.to_owned(), (0..1000).collect())],
    }
}

pub(crate) fn planned(count: u64) -> Vec<Planned> {
    vec![Planned {
        side: Side::Training,
        event: event(),
        count,
        charges: count,
    }]
}

pub(crate) fn reserved(job: &str, count: u64) -> Reserved {
    Reserved {
        job: job.to_owned(),
        title: format!("job `{job}`"),
        epsilon: 1.0,
        delta: 1e-6,
        seats: BTreeMap::new(),
        unit: Unit::Record,
        person: None,
        curve: planned_cost(&planned(count), Unit::Record).unwrap(),
    }
}

pub(crate) fn charge(round: u64) -> Charge {
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

pub(crate) fn identity(seed: u8) -> IdentityKey {
    IdentityKey::generate(&mut ChaCha20Rng::from_seed([seed; 32]))
}

pub(crate) fn signed(ledger: &DurableLedger, seed: u8) -> SignedHead {
    let name = ledger.book().unwrap().ledger().to_owned();
    SignedHead::sign(&name, ledger.head().unwrap(), &identity(seed))
}

pub(crate) fn copy(from: &Path, to: &Path) {
    for end in ["", "-wal", "-shm"] {
        let with = |path: &Path| PathBuf::from(format!("{}{end}", path.display()));
        if with(from).exists() {
            std::fs::copy(with(from), with(to)).unwrap();
        } else {
            let _ = std::fs::remove_file(with(to));
        }
    }
}

pub(crate) fn used(ledger: &DurableLedger) -> (u64, u64) {
    let book = ledger.book().unwrap();
    let block = &book.blocks()[0];
    (
        block.used().at(block.budget.order()).units(),
        block.budget.capacity().units(),
    )
}

impl Desk {
    pub(crate) fn twin(&self) -> Self {
        let twin = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        copy(&self.ledger(), &twin.ledger());
        twin
    }

    pub(crate) fn tamper_with(&self, statements: &str) {
        self.tamper(Box::leak(statements.to_owned().into_boxed_str()));
    }
}
