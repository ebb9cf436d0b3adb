//! What a report says of a plan beside its figures.

use crate::plan::Plan;
use crate::privacy::{NoiseAt, PrivacyPlan};

/// What the reader should know of robust combination and of cut updates (rules FT-18 to FT-21).
pub(super) fn of(plan: &Plan) -> Vec<String> {
    let mut notes = Vec::new();
    // Rule JC-36: what the start has cost stands in the ledgers of its own job.
    if let Some(start) = &plan.job().model().start {
        notes.push(format!(
            "training began from a given model ({start}), behind its scaling of the inputs; what is said here of privacy is about this job alone: what that model was made from is not charged in it"
        ));
    }
    if let Some(groups) = plan.groups() {
        let (count, floor) = (groups.count(), groups.floor());
        notes.push(format!(
            "updates were combined over {count} groups of parties: in every round the coordinator saw {count} sums, each over at least {floor} parties ({} of them honest), not one sum over all",
            floor - plan.parameters().colluders()
        ));
        notes.push(format!(
            "in each number up to {} of the {count} groups may hold bad updates without moving the result out of the range of the others; a party reaches the sum of its own group only, whatever its program sends (preparation and metrics are summed over all parties)",
            groups.rule().tolerates(count)
        ));
        let distributed = |privacy: &&PrivacyPlan| privacy.goal.noise == NoiseAt::Distributed;
        if let Some(privacy) = plan.privacy().filter(distributed) {
            notes.push(format!(
                "the noise of a training sum is that of one group: at least {} honest shares are in it (in sums of statistics and metrics, {})",
                privacy.training_shares.honest, privacy.shares.honest
            ));
        }
    }
    if let Some(norm) = plan.clip_update() {
        notes.push(format!(
            "parties cut their updates to norm {norm} (training.clip_update); that binds parties that run this program unchanged, and no others"
        ));
    }
    notes
}
