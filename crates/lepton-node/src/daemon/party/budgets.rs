//! A party's ledger as its jobs use it: a reservation for each turn of a job, and a memory of how far the ledger has come, in the party's store.

use std::sync::Arc;

use lepton_crypto::IdentityKey;
use lepton_protocol::control::{JobDigest, Refusal};
use lepton_protocol::plan::Plan;
use lepton_table::Table;

use super::owner::No;
use crate::daemon::record::Documents;
use crate::error::NodeError;
use crate::hex::hex;
use crate::ledger::{DurableLedger, JobLedger, SignedHead};
use crate::store::Database;

const HEAD: &str = "head";

/// The party's ledger, if it has one.
pub(super) struct Budgets {
    ledger: Option<Arc<DurableLedger>>,
    /// Where the ledger stood when it was last written to, signed by this party.
    seen: Documents,
}

impl Budgets {
    /// Holds the ledger against what this party has seen of it (rule LG-07).
    ///
    /// # Errors
    /// [`NodeError`] when the ledger was set back, or does not hold by itself.
    pub(super) fn open(
        ledger: Option<Arc<DurableLedger>>,
        database: &Database,
    ) -> Result<Self, NodeError> {
        let seen = Documents::new(database, "ledger");
        if let Some(ledger) = &ledger {
            let head: Option<String> = seen.load(HEAD)?;
            let head = head.as_deref().and_then(SignedHead::parse);
            ledger.verify(head.into_iter().collect())?;
        }
        Ok(Self { ledger, seen })
    }

    /// Remembers where the ledger stands.
    fn note(&self, identity: &IdentityKey) -> Result<(), NodeError> {
        let Some(ledger) = &self.ledger else {
            return Ok(());
        };
        let (name, head) = (ledger.book()?.ledger().to_owned(), ledger.head()?);
        let signed = SignedHead::sign(&name, head, identity);
        self.seen.save(HEAD, &signed.to_json()?)
    }

    /// The whole cost of a job with a goal, set aside before anything of it is sampled (rules FT-08, JC-05). Exact sums are the policy's to allow (PO-09).
    pub(super) fn reserve(
        &self,
        (job, turn): (&JobDigest, u32),
        (seat, identity): (&str, &IdentityKey),
        (plan, table): (&Plan, &Table),
    ) -> Result<Option<JobLedger>, No> {
        let ledger = self.ledger.as_ref().filter(|_| plan.privacy().is_some());
        let Some(ledger) = ledger else {
            return Ok(None);
        };
        let name = name(job, turn);
        let reserved = JobLedger::of_party(Arc::clone(ledger), (&name, seat), (plan, table));
        // What is left of a budget is the party's own business.
        let reserved = reserved.map_err(|error| No {
            refusal: Refusal::new("ledger.budget", "its privacy ledger does not cover the job"),
            rule: None,
            own: error.to_string(),
        })?;
        self.note(identity)?;
        Ok(Some(reserved))
    }

    /// What was set aside for a turn and not charged is free again (rule JC-12).
    pub(super) fn close(
        &self,
        (job, turn): (&JobDigest, u32),
        identity: &IdentityKey,
    ) -> Result<(), NodeError> {
        let Some(ledger) = &self.ledger else {
            return Ok(());
        };
        let name = name(job, turn);
        let open = ledger.book()?;
        if open.jobs().get(&name).is_some_and(|job| !job.closed) {
            ledger.close(&name)?;
        }
        self.note(identity)
    }

    /// The first turn from `turn` on that has not ended: a restored store may not know how often the job did, the ledger does.
    pub(super) fn open_turn(&self, job: &JobDigest, mut turn: u32) -> Result<u32, NodeError> {
        let Some(ledger) = &self.ledger else {
            return Ok(turn);
        };
        let book = ledger.book()?;
        let ended = |turn: u32| {
            let found = book.jobs().get(&name(job, turn));
            found.is_some_and(|job| job.closed)
        };
        while ended(turn) {
            turn += 1;
        }
        Ok(turn)
    }
}

fn name(job: &JobDigest, turn: u32) -> String {
    format!("{}-{turn}", hex(job))
}
