//! Models of rounds before the last: what is kept of them, in a federation and in a simulation (rule JC-30).

use std::collections::BTreeMap;

use lepton_crypto::sha256;
use lepton_protocol::plan::Plan;
use lepton_protocol::progress::Progress;
use lepton_protocol::report::CurvePoint;
use lepton_protocol::training::Training;
use serde::{Deserialize, Serialize};

use crate::error::NodeError;
use crate::hex::hex;
use crate::released::Released;

/// What is said of a checkpoint beside its model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointDoc {
    /// `lepton-checkpoint-model/1`.
    pub format: String,
    /// The job's digest, lower-case hexadecimal.
    pub job: String,
    /// The job's name.
    pub name: String,
    /// The last training round that is in it.
    pub round: u32,
    /// Rounds that the job planned.
    pub rounds: u32,
    /// In which epoch the job was.
    pub epoch: u64,
    /// Who takes part.
    pub parties: Vec<String>,
    /// Length of the model's file.
    pub bytes: u64,
    /// SHA-256 of the model's file, lower-case hexadecimal: what a job that begins from it names.
    pub sha256: String,
    /// The job's privacy goal, which covers this release with all others of the job; none where its sums are exact (rule JC-32).
    pub goal: Option<(f64, f64)>,
    /// Metrics up to this round.
    pub curve: Vec<CurvePoint>,
    /// What the reader should know, as far as the job had come.
    pub notes: Vec<String>,
}

/// A model as it stood after a round, as its file's bytes.
pub(crate) struct Checkpoint {
    pub(crate) doc: CheckpointDoc,
    pub(crate) model: Vec<u8>,
}

/// Of which job.
pub(crate) struct Of<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) training: &'a Training,
    pub(crate) job: &'a [u8; 32],
    pub(crate) epoch: u64,
    pub(crate) names: &'a [String],
}

/// What a step means for checkpoints.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The model is to be kept in this place as that of this round.
    Keep { round: u32, place: u32 },
    /// The model of this round, if it stands in this place, has been measured.
    Measured { round: u32, place: u32 },
}

/// What is to be done after these events.
pub(crate) fn due(plan: &Plan, progress: &[Progress]) -> Vec<Due> {
    let Some(kept) = plan.job().training().checkpoints else {
        return Vec::new();
    };
    let one = |progress: &Progress| match progress {
        Progress::Trained { round, .. } => {
            let (round, place) = (*round, kept.place(*round)?);
            Some(Due::Keep { round, place })
        }
        Progress::Evaluated { point } => {
            let (round, place) = (point.round, kept.place(point.round)?);
            Some(Due::Measured { round, place })
        }
        _ => None,
    };
    progress.iter().filter_map(one).collect()
}

impl Of<'_> {
    /// The model as it would be released now (rule FT-16).
    pub(crate) fn checkpoint(&self, round: u32) -> Result<Checkpoint, NodeError> {
        let (plan, training) = (self.plan, self.training);
        let goal = plan.privacy().map(|privacy| &privacy.goal);
        let goal = goal.map(|goal| (goal.epsilon.get(), goal.delta.get()));
        let parameters = training.released();
        let file = Released {
            plan,
            public: training.public(),
            parameters: &parameters,
            // Nobody but the parties has it, and what a coordinator keeps is for others.
            slot_key: None,
            slot_names: BTreeMap::new(),
            privacy: goal,
            unit: goal.map(|_| plan.unit().to_string()),
            job_sha256: hex(self.job),
            rounds: training.rounds_done(),
        };
        let model = file.file()?.to_bytes()?;
        let doc = CheckpointDoc {
            format: "lepton-checkpoint-model/1".to_owned(),
            job: hex(self.job),
            name: plan.job().name().to_string(),
            round,
            rounds: plan.rounds(),
            epoch: self.epoch,
            parties: self.names.to_vec(),
            bytes: model.len() as u64,
            sha256: hex(sha256(&model).as_bytes()),
            goal,
            curve: self.curve(round),
            notes: training.notes().to_vec(),
        };
        Ok(Checkpoint { doc, model })
    }

    /// The learning curve up to a round.
    pub(crate) fn curve(&self, round: u32) -> Vec<CurvePoint> {
        let points = self.training.curve().iter();
        points
            .filter(|point| point.round <= round)
            .copied()
            .collect()
    }
}

impl CheckpointDoc {
    /// As it is kept and handed over.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, NodeError> {
        serde_json::to_vec_pretty(self).map_err(|error| NodeError::Internal(error.to_string()))
    }

    /// What was measured of the model of its round, if anything.
    #[must_use]
    pub fn measured(&self) -> Option<&CurvePoint> {
        self.curve.iter().find(|point| point.round == self.round)
    }
}
