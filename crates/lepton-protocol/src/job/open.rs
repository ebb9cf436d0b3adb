//! Settings of private training that a job leaves open: chosen by rule from public figures (FT-23).

use super::entries::Entries;
use super::errors::Problems;
use super::tree::Value;
use super::words::PrivateOptimiser;

/// What stands for a number that the rule chooses.
const AUTO: &str = "auto";

/// What `privacy.population` chooses where the job does not.
const KEYS: [&str; 4] = [
    "training.rounds",
    "training.sampling_rate",
    "privacy.clip",
    "privacy.learning_rate",
];

/// Whether a key is written as left to the rule.
pub(super) fn is_left_open(path: &str, value: &Value) -> bool {
    KEYS.contains(&path) && matches!(value, Value::Text(word) if word == AUTO)
}

/// The rule needs its figure, and gives a step size for Adam only.
pub(super) fn check_open(entries: &Entries, problems: &mut Problems) {
    let population = "privacy.population";
    let known = entries.written(population) || entries.is_bad("privacy");
    let open = open_keys(entries);
    for (key, place) in entries.left_open() {
        if !known {
            let what = format!("{key} = \"{AUTO}\" has no population to choose by");
            let remedy = "add population = 5000, or another public number of records, to [privacy]; or write a number here";
            problems.add(place, what, remedy);
        } else if !open.iter().any(|open| open == key) {
            let what = format!("{key} = \"{AUTO}\" has no rule for optimiser = \"sgd\"");
            problems.add(
                place,
                what,
                "write a number, or privacy.optimiser = \"adam\"",
            );
        }
    }
}

/// The keys left open; none without a population.
pub(super) fn open_keys(entries: &Entries) -> Vec<&'static str> {
    if !entries.written("privacy.population") {
        return Vec::new();
    }
    // The rule's step size is one for Adam, whose steps do not depend on the clip.
    let descends = entries.word("privacy.optimiser") == Some(PrivateOptimiser::Sgd);
    let open = |key: &&str| !(entries.written(key) || descends && *key == "privacy.learning_rate");
    KEYS.into_iter().filter(open).collect()
}
