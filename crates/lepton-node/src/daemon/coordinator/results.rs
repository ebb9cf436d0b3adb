//! Model, model card and report of a finished job, as the coordinator knows it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Instant;

use lepton_crypto::{IdentityKey, sha256};
use lepton_protocol::control::{FileLine, MAX_PART_BYTES};
use lepton_protocol::plan::Plan;
use lepton_protocol::report::Report;
use lepton_protocol::training::Training;

use super::epoch::Tally;
use crate::error::NodeError;
use crate::federation::Outcome;
use crate::hex::hex;
use crate::random::Entropy;
use crate::run_folder::{RunFile, RunFolder};
use crate::summary::{self, Finished};
use crate::tables::{Federation, Source};

/// Files that are handed over: the privacy report names them by these places.
const FILES: [&str; 7] = [
    "model/model.safetensors",
    "model/model_card.md",
    "report.json",
    "report.html",
    "privacy.json",
    "keys/coordinator.pem",
    "job.toml",
];

/// What is known of the job.
pub(super) struct Facts {
    pub(super) folder: PathBuf,
    pub(super) job_text: String,
    pub(super) job: [u8; 32],
    pub(super) names: Vec<String>,
    pub(super) started: String,
    pub(super) epoch: u64,
    pub(super) restored: bool,
    pub(super) tally: Tally,
    pub(super) plan: Plan,
    pub(super) training: Training,
    pub(super) identity: IdentityKey,
    pub(super) began: Instant,
}

/// Writes everything; what an earlier attempt left is replaced.
pub(super) fn write(facts: Facts) -> Result<Report, NodeError> {
    let folder = RunFolder::adopt(&facts.folder)?;
    folder.write("job.toml", facts.job_text.as_bytes())?;
    let split = format!("{} parties, a table each", facts.names.len());
    let finished = Finished {
        federation: Federation {
            plan: facts.plan,
            job_text: facts.job_text,
            job_digest: facts.job,
            // The coordinator has nobody's rows.
            parties: Vec::new(),
            split,
            values: BTreeMap::new(),
            reads: Vec::new(),
        },
        outcome: Outcome {
            training: facts.training,
            slot_key: None,
            parties: facts.tally.parties,
            messages: facts.tally.messages,
            clock: facts.tally.clock,
        },
        run: RunFile {
            format: "lepton-run/1".to_owned(),
            source: Source {
                job: PathBuf::from("job.toml"),
                overrides: Vec::new(),
                data: None,
                party_data: Vec::new(),
                vault_key: None,
            },
            scenario: None,
            job_sha256: hex(&facts.job),
            rows_sha256: Vec::new(),
            started: facts.started,
            epoch: facts.epoch,
            comparison: false,
            released_only: true,
            ledger: None,
        },
        folder,
        names: facts.names,
        entropy: Entropy::System,
        began: facts.began,
        // Every party keeps a ledger of its own.
        ledger_head: None,
        restored: facts.restored,
    };
    summary::write_federated(finished, facts.identity)
}

/// What is handed over.
pub(super) fn list(folder: &Path) -> Result<Vec<FileLine>, NodeError> {
    let line = |name: &&str| {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).map_err(|error| NodeError::file(&path, &error))?;
        Ok(FileLine {
            name: (*name).to_owned(),
            bytes: bytes.len() as u64,
            sha256: *sha256(&bytes).as_bytes(),
        })
    };
    FILES.iter().map(line).collect()
}

/// A part of what is handed over, from a byte on; empty at its end.
pub(super) fn part(folder: &Path, name: &str, from: u64) -> Result<Vec<u8>, NodeError> {
    if !FILES.contains(&name) {
        return Err(NodeError::Use(format!("there is no result {name}")));
    }
    let path = folder.join(name);
    let read = || {
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut part = Vec::new();
        file.take(MAX_PART_BYTES as u64).read_to_end(&mut part)?;
        Ok(part)
    };
    read().map_err(|error: std::io::Error| NodeError::file(&path, &error))
}
