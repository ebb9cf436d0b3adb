//! Model, model card and report of a finished job, as the coordinator knows it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lepton_protocol::plan::Plan;
use lepton_protocol::report::Report;
use lepton_protocol::training::Training;

use super::epoch::Tally;
use crate::error::NodeError;
use crate::federation::Outcome;
use crate::model_file;
use crate::random::Entropy;
use crate::run_folder::{RunFile, RunFolder};
use crate::simulate::hex;
use crate::summary::{self, Finished};
use crate::tables::{Federation, Source};

/// Files that are handed over, with their places in the folder.
const FILES: [(&str, &str); 5] = [
    (model_file::FILE, "model/model.safetensors"),
    ("model_card.md", "model/model_card.md"),
    ("report.json", "report.json"),
    ("report.html", "report.html"),
    ("job.toml", "job.toml"),
];

/// What is known of the job.
pub(super) struct Facts {
    pub(super) folder: PathBuf,
    pub(super) job_text: String,
    pub(super) job: [u8; 32],
    pub(super) names: Vec<String>,
    pub(super) started: String,
    pub(super) epoch: u64,
    pub(super) tally: Tally,
    pub(super) plan: Plan,
    pub(super) training: Training,
    pub(super) began: Instant,
}

/// Writes everything; what an earlier attempt left is replaced.
pub(super) fn write(facts: Facts) -> Result<Report, NodeError> {
    let folder = RunFolder::adopt(&facts.folder)?;
    folder.write("job.toml", facts.job_text.as_bytes())?;
    let split = format!("{} parties, a table each", facts.names.len());
    summary::write_federated(Finished {
        federation: Federation {
            plan: facts.plan,
            job_text: facts.job_text,
            job_digest: facts.job,
            // The coordinator has nobody's rows.
            parties: Vec::new(),
            split,
            values: BTreeMap::new(),
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
            },
            scenario: None,
            job_sha256: hex(&facts.job),
            started: facts.started,
            epoch: facts.epoch,
        },
        folder,
        names: facts.names,
        entropy: Entropy::System,
        began: facts.began,
    })
}

/// Reads what is handed over.
pub(super) fn read(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, NodeError> {
    let file = |(name, place): &(&str, &str)| {
        let path = folder.join(place);
        let bytes = std::fs::read(&path).map_err(|error| NodeError::file(&path, &error))?;
        Ok(((*name).to_owned(), bytes))
    };
    FILES.iter().map(file).collect()
}
