//! Keys that were written and have no effect in the mode of this job.
//!
//! One file serves with and without a privacy goal, so such keys are no error; the report lists them.

use super::build::Sections;
use super::words::{Categories, Noise, Objective, Unit};

type Reasons = Vec<(&'static str, &'static str)>;

/// Every key without effect in these sections, written or not, and why.
pub(super) fn without_effect(sections: &Sections, objective: Objective) -> Reasons {
    let mut keys = categories(sections, objective);
    let unit = sections.privacy.as_ref().map(|privacy| privacy.unit);
    if unit != Some(Unit::Person) {
        let why = "whose row it is matters with unit = \"person\" only; the column is no input";
        keys.push(("data.person", why));
    }
    let Some(privacy) = &sections.privacy else {
        let why = "records are sampled only with a privacy goal; training.batch applies";
        keys.push(("training.sampling_rate", why));
        return keys;
    };
    if privacy.unit == Unit::Party {
        keys.extend(party());
        return keys;
    }
    if privacy.noise == Noise::Distributed {
        let why = "with distributed noise every round is one step, taken by all parties together";
        keys.extend(["training.local_epochs", "training.local_steps"].map(|key| (key, why)));
    }
    let why =
        "with a privacy goal the steps are those of [privacy], on clipped and noised gradients";
    let replaced = [
        "training.batch",
        "training.optimiser",
        "training.learning_rate",
        "training.momentum",
        "training.server_optimiser",
        "training.server_learning_rate",
        "training.proximal",
    ];
    keys.extend(replaced.map(|key| (key, why)));
    let why = "with a privacy goal the gradient of every record is cut to privacy.clip";
    keys.push(("training.clip_update", why));
    keys
}

/// A party trains as without a goal, and its whole update is cut (PU-03, PU-04).
fn party() -> Reasons {
    let trains = "with unit = \"party\" parties train by the settings of [training]";
    vec![
        (
            "training.sampling_rate",
            "with unit = \"party\" nothing is sampled: who takes part is public",
        ),
        ("privacy.optimiser", trains),
        ("privacy.learning_rate", trains),
        (
            "training.clip_update",
            "with unit = \"party\" every update is cut to privacy.clip",
        ),
    ]
}

fn categories(sections: &Sections, objective: Objective) -> Reasons {
    let mut keys = Vec::new();
    let columns = sections.prepare.categories == Categories::Discover;
    let classes = objective == Objective::Classes && sections.data.classes.is_none();
    if !columns && !classes {
        keys.push((
            "prepare.slots",
            "no categories and no classes are discovered",
        ));
        keys.push((
            "prepare.min_parties",
            "no categories and no classes are discovered",
        ));
    } else if sections.privacy.is_some() {
        keys.push((
            "prepare.min_parties",
            "with a privacy goal the noised count of a category decides whether it is kept",
        ));
    }
    if sections.prepare.categories == Categories::Drop && !sections.prepare.values.is_empty() {
        keys.push(("prepare.values", "category columns are left out"));
    }
    keys
}
