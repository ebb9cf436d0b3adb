//! Checkpoints of a job at the coordinator: kept with the state that the round reached, in one piece (rules JC-30, JC-31).

use lepton_protocol::control::{FileLine, MAX_PART_BYTES};
use lepton_protocol::job::Checkpoints;
use lepton_protocol::plan::Plan;
use lepton_protocol::progress::Progress;
use lepton_protocol::store::{Record as Stored, Store};
use lepton_protocol::training::Training;

use super::Desk;
use super::course::{Course, Ending};
use super::shelf::Shelf;
use crate::checkpoint::{CheckpointDoc, Due, Of, due};
use crate::daemon::effective;
use crate::daemon::record::actor;
use crate::error::NodeError;
use crate::model_file::FILE as MODEL;
use crate::store::SqlStore;
use lepton_crypto::sha256;

/// Where results have checkpoints.
const FOLDER: &str = "checkpoints/";

/// What is said of one.
const DOC: &str = "checkpoint.json";

/// Keys of a place.
fn keys(place: u32) -> (String, String) {
    (format!("kept-{place}.json"), format!("kept-{place}.model"))
}

impl Course {
    /// What these events add to what the step has to keep.
    pub(super) fn checkpoints(
        &self,
        (plan, training): (&Plan, &Training),
        progress: &[Progress],
    ) -> Result<Vec<Stored>, Ending> {
        let record = self.shelf.record();
        let names = self.roster();
        let of = Of {
            plan,
            training,
            job: &self.shelf.job,
            epoch: record.epoch,
            names: &names,
        };
        let mut all = Vec::new();
        for due in due(plan, progress) {
            match due {
                Due::Keep { round, place } => {
                    let checkpoint = of.checkpoint(round)?;
                    let (doc, model) = keys(place);
                    all.push(stored(doc, checkpoint.doc.to_bytes()?));
                    all.push(stored(model, checkpoint.model));
                }
                Due::Measured { round, place } => {
                    let kept = doc_in(&self.store(), place)?;
                    if let Some(kept) = kept.filter(|kept| kept.round == round) {
                        let curve = of.curve(round);
                        let doc = CheckpointDoc { curve, ..kept };
                        all.push(stored(keys(place).0, doc.to_bytes()?));
                    }
                }
            }
        }
        Ok(all)
    }
}

fn stored(key: String, value: Vec<u8>) -> Stored {
    Stored { key, value }
}

fn doc_in(store: &SqlStore, place: u32) -> Result<Option<CheckpointDoc>, NodeError> {
    let bytes = store.get(&keys(place).0)?;
    let read = |bytes: Vec<u8>| {
        serde_json::from_slice(&bytes)
            .map_err(|error| NodeError::Data(format!("a kept checkpoint cannot be read: {error}")))
    };
    bytes.map(read).transpose()
}

/// Where one job's checkpoints are.
pub(super) struct Kept {
    store: SqlStore,
    kept: Option<Checkpoints>,
}

impl Kept {
    pub(super) fn of(desk: &Desk, shelf: &Shelf) -> Self {
        let parsed = effective::admit(shelf.record().submission.text());
        Self {
            store: desk.setup.database.store(&actor(&shelf.job)),
            kept: parsed.ok().and_then(|job| job.training().checkpoints),
        }
    }

    /// All of them, the earliest round first, each with its place.
    fn docs(&self) -> Result<Vec<(u32, CheckpointDoc)>, NodeError> {
        let places = 0..self.kept.map_or(0, |kept| kept.most.get());
        let mut all = Vec::new();
        for place in places {
            all.extend(doc_in(&self.store, place)?.map(|doc| (place, doc)));
        }
        all.sort_by_key(|(_, doc)| doc.round);
        Ok(all)
    }

    /// What is handed over.
    pub(super) fn list(&self) -> Result<Vec<FileLine>, NodeError> {
        let mut lines = Vec::new();
        for (place, doc) in self.docs()? {
            let at = |name: &str| format!("{FOLDER}{}/{name}", doc.round);
            let said = self.store.get(&keys(place).0)?.unwrap_or_default();
            lines.push(FileLine {
                name: at(DOC),
                bytes: said.len() as u64,
                sha256: *sha256(&said).as_bytes(),
            });
            lines.push(FileLine {
                name: at(MODEL),
                bytes: doc.bytes,
                sha256: crate::hex::unhex(&doc.sha256).unwrap_or_default(),
            });
        }
        Ok(lines)
    }

    /// A part of what is handed over, from a byte on; empty at its end.
    pub(super) fn part(&self, name: &str, from: u64) -> Result<Vec<u8>, NodeError> {
        let bytes = self.file(name)?;
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
        let end = bytes.len().min(from.saturating_add(MAX_PART_BYTES));
        Ok(bytes.get(from..end).unwrap_or_default().to_vec())
    }

    fn file(&self, name: &str) -> Result<Vec<u8>, NodeError> {
        let place = name
            .strip_prefix(FOLDER)
            .and_then(|rest| rest.split_once('/'));
        let (round, file) = place.unwrap_or((name, ""));
        let docs = self.docs()?;
        let found = docs.iter().find(|(_, doc)| doc.round.to_string() == round);
        let key = match (found, file) {
            (Some((place, _)), DOC) => keys(*place).0,
            (Some((place, _)), MODEL) => keys(*place).1,
            _ => return Err(NodeError::Use(unknown(name, &docs))),
        };
        Ok(self.store.get(&key)?.unwrap_or_default())
    }
}

/// Whether a name is that of a part of a checkpoint.
pub(super) fn is_one(name: &str) -> bool {
    name.starts_with(FOLDER)
}

fn unknown(name: &str, docs: &[(u32, CheckpointDoc)]) -> String {
    let rounds: Vec<String> = docs.iter().map(|(_, doc)| doc.round.to_string()).collect();
    match rounds.as_slice() {
        [] => format!("{name}: the job keeps no checkpoints, or has come to none yet"),
        rounds => format!(
            "{name} is not kept; kept are those of round {}",
            rounds.join(", ")
        ),
    }
}
