//! The model that a job ended with, as a party keeps it: with the key of the category slots, which the coordinator does not have.

use std::collections::BTreeMap;
use std::path::Path;

use lepton_protocol::control::JobDigest;
use lepton_protocol::party::Finished;
use lepton_protocol::plan::Plan;

use crate::error::NodeError;
use crate::hex::hex;
use crate::released::Released;

/// Writes `model/` into the folder of the job.
pub(super) fn save_model(
    folder: &Path,
    (plan, job): (&Plan, &JobDigest),
    finished: &Finished,
) -> Result<(), NodeError> {
    let goal = plan.privacy().map(|privacy| &privacy.goal);
    let file = Released {
        plan,
        public: &finished.public,
        parameters: &finished.parameters,
        slot_key: finished.slot_key.as_ref(),
        slot_names: BTreeMap::new(),
        // What was spent is at most the goal; the exact figure is in the coordinator's report.
        privacy: goal.map(|goal| (goal.epsilon.get(), goal.delta.get())),
        unit: goal.map(|_| plan.unit().to_string()),
        job_sha256: hex(job),
        rounds: finished.rounds,
    }
    .file()?;
    file.save(&folder.join("model"))
}
