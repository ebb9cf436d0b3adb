//! Entries of the durable ledger and the chain that holds them (LG-06).

use std::collections::BTreeMap;

use lepton_crypto::{Digest, hash};
use serde::{Deserialize, Serialize};

use super::Charge;
use super::amount::Curve;
use super::budget::Budget;
use super::pace::Pace;
use crate::job::Unit;

/// Version of the entries.
pub const FORMAT: &str = "lepton-ledger/1";

/// One line of the ledger: when (the owner's clock; no limit depends on it, spending plans do) and what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// RFC 3339.
    pub at: String,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// The first entry.
    Created {
        /// [`FORMAT`].
        format: String,
        /// Random name of this ledger: what peers sign.
        ledger: String,
        /// Hash of the key of its fingerprints: under another key every known row would look new.
        key_sha256: String,
    },
    /// A data set gets its budget, its lineage and its first block.
    BudgetSet {
        /// Its name.
        data: String,
        /// For its life.
        budget: Budget,
        /// Which rows.
        rows: Rows,
    },
    /// A table was seen that shares rows with known lineages: under whatever name, it is charged to them, and its new rows share the latest block of the first.
    Seen {
        /// The name it goes by.
        data: String,
        /// Every lineage it shares rows with, most rows first.
        lineages: Vec<u32>,
        /// Rows not seen before.
        rows: Rows,
    },
    /// The owner opened a new block for rows never seen before.
    Renewed {
        /// Data set.
        data: String,
        /// For the life of these rows.
        budget: Budget,
        /// Which rows.
        rows: Rows,
    },
    /// The owner changed how fast the budgets of a data set may be spent, or when to be warned (LG-13).
    Planned {
        /// Data set.
        data: String,
        /// In place of the plan before.
        plan: Vec<Pace>,
        /// As before where absent.
        warn_at: Option<f64>,
    },
    /// A job is about to begin: its whole schedule is set aside.
    Reserved(Reserved),
    /// A release is about to be sampled.
    Charged {
        /// Job.
        job: String,
        /// Party, as the job knows it.
        seat: String,
        /// The release.
        charge: Charge,
        /// Its cost.
        cost: Curve,
    },
    /// A job ended, by itself or by its owner's word (LG-12): what it set aside and did not charge is free again; it can charge nothing more.
    Closed {
        /// Job.
        job: String,
    },
}

/// Rows of a table, as the ledger remembers them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// How many distinct rows (or ids) are new.
    pub new: usize,
    /// How many were known.
    pub known: usize,
    /// SHA-256 of the fingerprints stored with this entry.
    pub fingerprints: String,
    /// The column that stands for a row, where one is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// What a job sets aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reserved {
    /// Unique name of the job's run.
    pub job: String,
    /// In words.
    pub title: String,
    /// Epsilon of the job's own goal, for people.
    pub epsilon: f64,
    /// Delta of the job's own goal.
    pub delta: f64,
    /// Blocks that each party's rows lie in.
    pub seats: BTreeMap<String, Vec<u32>>,
    /// What the job protects.
    pub unit: Unit,
    /// The column that tells its persons apart, where it protects persons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// The loss of the whole schedule to one unit ([`cost`](super::planned_cost)).
    pub curve: Curve,
}

/// Where a chain stands: what peers countersign (LG-07).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many entries.
    pub count: u64,
    /// Hash of the last.
    pub hash: Digest,
}

impl Head {
    /// Before the first entry.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            count: 0,
            hash: hash("lepton durable ledger start", &[]),
        }
    }

    /// After one more entry, whose bytes are `body`.
    #[must_use]
    pub fn after(&self, body: &[u8]) -> Self {
        let count = self.count + 1;
        Self {
            count,
            hash: hash(
                "lepton durable ledger entry",
                &[&count.to_be_bytes(), self.hash.as_ref(), body],
            ),
        }
    }

    /// What is signed about the head of `ledger`.
    #[must_use]
    pub fn statement(&self, ledger: &str) -> Vec<u8> {
        [
            &(ledger.len() as u64).to_be_bytes()[..],
            ledger.as_bytes(),
            &self.count.to_be_bytes(),
            self.hash.as_ref(),
        ]
        .concat()
    }
}
