//! Checkpoints of a simulated run, in its folder (rule JC-30).

use std::path::{Path, PathBuf};

use lepton_protocol::coordinator::Coordinator;
use lepton_protocol::progress::Progress;

use crate::checkpoint::{CheckpointDoc, Due, Of, due};
use crate::error::NodeError;
use crate::files::{Durability, replace};
use crate::model_file::FILE as MODEL;

const DOC: &str = "checkpoint.json";

/// Where a run keeps its checkpoints, each in a folder that is called after its round.
pub(super) struct Kept {
    pub(super) folder: PathBuf,
    pub(super) job: [u8; 32],
    pub(super) epoch: u64,
    pub(super) names: Vec<String>,
}

impl Kept {
    /// Keeps what is due after these events.
    pub(super) fn note(
        &self,
        coordinator: &Coordinator,
        progress: &[Progress],
    ) -> Result<(), NodeError> {
        let (plan, training) = (coordinator.plan(), coordinator.training());
        let of = Of {
            plan,
            training,
            job: &self.job,
            epoch: self.epoch,
            names: &self.names,
        };
        for due in due(plan, progress) {
            match due {
                Due::Keep { round, .. } => {
                    let kept = of.checkpoint(round)?;
                    self.write(round, (&kept.doc.to_bytes()?, &kept.model))?;
                    self.let_go(coordinator, round)?;
                }
                Due::Measured { round, .. } => self.measured(&of, round)?,
            }
        }
        Ok(())
    }

    fn place(&self, round: u32) -> PathBuf {
        self.folder.join(round.to_string())
    }

    /// The folder is there only once both files are.
    fn write(&self, round: u32, (doc, model): (&[u8], &[u8])) -> Result<(), NodeError> {
        let place = self.place(round);
        let partial = self.folder.join(format!("{round}.partial"));
        remove(&partial)?;
        std::fs::create_dir_all(&partial).map_err(|error| NodeError::file(&partial, &error))?;
        for (name, bytes) in [(MODEL, model), (DOC, doc)] {
            let path = partial.join(name);
            replace(&path, bytes, Durability::Process)
                .map_err(|error| NodeError::file(&path, &error))?;
        }
        // Of an earlier start of the run, which came to this round too.
        remove(&place)?;
        std::fs::rename(&partial, &place).map_err(|error| NodeError::file(&place, &error))
    }

    /// The oldest one, once there are more than the job keeps.
    fn let_go(&self, coordinator: &Coordinator, round: u32) -> Result<(), NodeError> {
        let Some(kept) = coordinator.plan().job().training().checkpoints else {
            return Ok(());
        };
        let span = kept.every.get().saturating_mul(kept.most.get());
        match round.checked_sub(span) {
            Some(oldest) if oldest > 0 => remove(&self.place(oldest)),
            _ => Ok(()),
        }
    }

    fn measured(&self, of: &Of<'_>, round: u32) -> Result<(), NodeError> {
        let path = self.place(round).join(DOC);
        let Ok(bytes) = std::fs::read(&path) else {
            // It was lost, or let go.
            return Ok(());
        };
        let read = |error: serde_json::Error| {
            NodeError::Data(format!("{}: cannot be read ({error})", path.display()))
        };
        let mut doc: CheckpointDoc = serde_json::from_slice(&bytes).map_err(read)?;
        doc.curve = of.curve(round);
        replace(&path, &doc.to_bytes()?, Durability::Process)
            .map_err(|error| NodeError::file(&path, &error))
    }
}

fn remove(folder: &Path) -> Result<(), NodeError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(NodeError::file(folder, &error))
        }
        _ => Ok(()),
    }
}
