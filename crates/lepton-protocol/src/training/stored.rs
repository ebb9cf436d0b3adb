//! What the coordinator stores of a job: its checkpoint, and who signed the running exchange.

use serde::{Deserialize, Serialize};

use super::{Stage, Training};
use crate::exchange::Kind;
use crate::plan::{Plan, PlanError};
use crate::store::{Record, Store};

/// Key under which the coordinator keeps its checkpoint.
pub const CHECKPOINT: &str = "checkpoint.json";

/// Key under which it keeps who signed the running exchange: small, since it is written in the middle of each.
const SIGNED: &str = "signed.json";

/// A checkpoint as stored.
#[derive(Serialize, Deserialize)]
struct Checkpoint<T> {
    format: String,
    epoch: u64,
    training: T,
}

/// Who signed which exchange, as stored.
#[derive(Serialize, Deserialize)]
struct SignedSet {
    number: u64,
    kind: Kind,
    parties: Vec<u16>,
}

impl Training {
    /// Reads a checkpoint; gives the epoch it was written in.
    ///
    /// # Errors
    /// What is wrong with the file, in words.
    pub fn from_bytes(bytes: &[u8]) -> Result<(u64, Self), String> {
        let checkpoint: Checkpoint<Self> = serde_json::from_slice(bytes)
            .map_err(|error| format!("the checkpoint cannot be read: {error}"))?;
        if checkpoint.format != "lepton-checkpoint/2" {
            return Err(format!(
                "the checkpoint has format {}, which this version does not know",
                checkpoint.format
            ));
        }
        Ok((checkpoint.epoch, checkpoint.training))
    }

    /// Writes a checkpoint.
    ///
    /// # Errors
    /// Never in practice; what failed, in words.
    pub fn to_bytes(&self, epoch: u64) -> Result<Vec<u8>, String> {
        let checkpoint = Checkpoint {
            format: "lepton-checkpoint/2".to_owned(),
            epoch,
            training: self,
        };
        serde_json::to_vec(&checkpoint)
            .map_err(|error| format!("the checkpoint cannot be written: {error}"))
    }

    /// Remembers who signed the running exchange; the record is to be made durable before anybody hears of it.
    pub(crate) fn signed_by(&mut self, kind: Kind, parties: Vec<u16>) -> Result<Record, String> {
        let set = SignedSet {
            number: self.number,
            kind,
            parties,
        };
        let value = serde_json::to_vec(&set).map_err(|error| error.to_string())?;
        self.signed = Some((set.kind, set.parties));
        Ok(Record {
            key: SIGNED.to_owned(),
            value,
        })
    }

    /// [`Training::resumed`] where every program runs on, perhaps with more parties than before (rule LJ-08): without a privacy goal an interrupted round or evaluation cost nothing, and is begun anew from the
    /// same parameters, over the same parties if a set was shown (rules FT-11, JC-09).
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn reopened(&mut self, plan: &Plan) -> Result<(), PlanError> {
        let joined = self.grow(plan);
        let interrupted = (self.tries > 0 && plan.privacy().is_none()).then_some(self.stage);
        let notes = self.notes.len();
        self.resumed(plan)?;
        match interrupted {
            Some(Stage::Round) => {
                self.begun = self.begun.saturating_sub(1);
                self.notes.truncate(notes);
            }
            Some(Stage::Evaluation) => self.stage = Stage::Evaluation,
            _ => {}
        }
        if let Some(joined) = joined {
            self.grown(joined, plan);
        }
        Ok(())
    }

    /// What a coordinator's store holds of a job; `None` when it holds nothing.
    ///
    /// # Errors
    /// What is wrong with the store, in words.
    pub fn restore(store: &dyn Store) -> Result<Option<Self>, String> {
        let read = |key: &str| store.get(key).map_err(|error| error.to_string());
        let Some(checkpoint) = read(CHECKPOINT)? else {
            return Ok(None);
        };
        let (_, mut training) = Self::from_bytes(&checkpoint)?;
        if let Some(bytes) = read(SIGNED)? {
            let set: SignedSet = serde_json::from_slice(&bytes)
                .map_err(|error| format!("the record of a signed set cannot be read: {error}"))?;
            // Of an earlier exchange it says nothing any more, nor of one that was absorbed.
            if set.number == training.number && training.tries > 0 {
                training.signed = Some((set.kind, set.parties));
            }
        }
        Ok(Some(training))
    }
}
