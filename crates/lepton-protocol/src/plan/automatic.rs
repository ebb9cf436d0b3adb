//! Settings of private training chosen from public figures (rule FT-23).

use lepton_learn::{ModelSpec, Outputs, SuggestInput, suggest};

use super::build::{features_of, label_of};
use super::embed::tables;
use super::family::model_kind;
use super::{FeatureKind, LabelKind, PlanError};
use crate::job::{self, Job, Override};

/// Inputs, or rows of its table, that a column is taken to become whose categories are not known yet.
const DISCOVERED_INPUTS: usize = 16;

/// What the job's [`open_keys`](Job::open_keys) become for `parties` parties; none where nothing is open. The job must name its columns.
///
/// # Errors
/// [`PlanError`] when the job does not name its columns, or no number can be suggested.
pub fn choose(job: &Job, parties: u16) -> Result<Vec<Override>, PlanError> {
    let open = job.open_keys();
    let Some((privacy, population)) = job
        .privacy()
        .and_then(|privacy| Some((privacy, privacy.population?)))
        .filter(|_| !open.is_empty())
    else {
        return Ok(Vec::new());
    };
    let training = f64::from(population.get()) * (1.0 - job.data().test_fraction.get());
    let local = privacy.noise == job::Noise::Local;
    // With local noise a party's rows stand alone against it.
    let rows = training
        / if local {
            f64::from(parties.max(1))
        } else {
            1.0
        };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and 10^9"
    )]
    let rows = rows.max(1.0) as usize;
    let spec = foreseen(job)?;
    let found = suggest(SuggestInput {
        rows,
        spec: &spec,
        epsilon: privacy.epsilon.get(),
    })?;
    let steps = match (local, job.training().local) {
        (true, job::LocalWork::Steps(steps)) => steps.get(),
        (true, job::LocalWork::Epochs(epochs)) => passes(epochs.get(), found.sampling_rate),
        (false, _) => 1,
    };
    let value_of = |key: &str| match key {
        "training.rounds" => found.steps.div_ceil(steps).max(1).to_string(),
        "training.sampling_rate" => format!("{:?}", found.sampling_rate),
        "privacy.clip" => format!("{:?}", found.clip.get()),
        _ => format!("{:?}", found.learning_rate),
    };
    let overrides = open.iter().map(|key| {
        Override::parse(&format!("{key}={}", value_of(key)))
            .map_err(|error| PlanError::Data(error.to_string()))
    });
    overrides.collect()
}

/// Steps that `epochs` passes over the rows make at the public rate.
fn passes(epochs: u32, rate: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to a small range"
    )]
    let steps = (f64::from(epochs) / rate).round().clamp(1.0, 1e5) as u32;
    steps
}

/// The model as far as the job alone tells its size.
fn foreseen(job: &Job) -> Result<ModelSpec, PlanError> {
    let indicator = usize::from(job.prepare().missing == job::Missing::Indicator);
    let (mut inputs, mut embedded) = (0, Vec::new());
    let features = features_of(job)?;
    for feature in &features {
        let spread = indicator
            + match &feature.kind {
                FeatureKind::Number(_) => 1,
                FeatureKind::Declared(values) => values.len() + 1,
                FeatureKind::Discovered => DISCOVERED_INPUTS,
            };
        if job.model().embeddings().contains_key(&feature.name) {
            embedded.push((feature.name.as_str(), inputs, spread));
            inputs += 1;
        } else {
            inputs += spread;
        }
    }
    Ok(ModelSpec {
        kind: model_kind(job, tables(job, embedded)),
        inputs,
        outputs: match label_of(job) {
            LabelKind::Declared(classes) => Outputs::Classes(classes.len()),
            LabelKind::Discovered => Outputs::Classes(2),
            LabelKind::Number(_) => Outputs::Regression,
        },
        l2: 0.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    fn job(sets: &[&str]) -> Job {
        let text = "[job]\nname = \"n\"\n[data]\ntable = \"n.csv\"\nlabel = \"y\"\nclasses = [\"a\", \"b\"]\n\
            features = [\"x\", \"z\"]\ntypes = { x = \"number\", y = \"category\", z = \"category\" }\n\
            [prepare]\nbounds = { x = [0, 1] }\n[model]\nkind = \"logistic\"\n";
        let sets: Vec<Override> = sets
            .iter()
            .map(|set| Override::parse(set).unwrap())
            .collect();
        Job::parse("n.toml", text, &sets).unwrap()
    }

    fn chosen(sets: &[&str], parties: u16) -> Job {
        let open = job(sets);
        let found = choose(&open, parties).unwrap();
        Job::parse("n.toml", &open.to_toml(), &found).unwrap()
    }

    /// FT-23: the rule of DP-18 for the training rows among the public number; what the job says stays.
    #[test]
    fn what_is_open_is_suggested_and_what_is_written_stays() {
        let found = chosen(&["privacy.population=10000", "data.test_fraction=0.5"], 3);
        let spec = ModelSpec {
            kind: lepton_learn::ModelKind::Logistic,
            inputs: 17,
            outputs: Outputs::Classes(2),
            l2: 0.0,
        };
        let (rows, epsilon) = (5000, 3.0);
        let rule = suggest(SuggestInput {
            rows,
            spec: &spec,
            epsilon,
        })
        .unwrap();
        let privacy = found.privacy().unwrap();
        assert_eq!(privacy.clip.first(), rule.clip.get());
        assert_eq!(privacy.sampling_rate.get(), rule.sampling_rate);
        assert_eq!(privacy.learning_rate.get(), rule.learning_rate);
        assert_eq!(found.training().rounds.get(), rule.steps);
        assert!(found.open_keys().is_empty());
        Plan::new(found, 3).unwrap();

        let kept = chosen(
            &[
                "privacy.population=10000",
                "privacy.clip=0.5",
                "training.rounds=7",
            ],
            3,
        );
        assert_eq!(kept.privacy().unwrap().clip.first(), 0.5);
        assert_eq!(kept.training().rounds.get(), 7);
        assert!(choose(&job(&["privacy.epsilon=3"]), 3).unwrap().is_empty());
    }

    /// FT-23: an embedded column is one input and a table.
    #[test]
    fn an_embedded_column_is_foreseen_as_its_table() {
        let sets = ["model.kind=mlp", "model.embeddings.z=3"];
        let spec = foreseen(&job(&sets)).unwrap();
        assert_eq!(spec.inputs, 2);
        // 16 rows of 3; 32 units behind 1 + 3 inputs; one score.
        assert_eq!(lepton_learn::param_len(&spec).unwrap(), 48 + 5 * 32 + 33);
    }

    /// FT-23: alone against local noise, a party has its own rows only, and several steps are one round.
    #[test]
    fn local_noise_counts_a_partys_rows_and_steps() {
        let sets = [
            "privacy.population=9000",
            "privacy.noise=local",
            "training.local_steps=5",
        ];
        let found = chosen(&sets, 3);
        let alone = chosen(&["privacy.population=3000"], 1);
        assert_eq!(
            found.training().rounds.get(),
            alone.training().rounds.get().div_ceil(5)
        );
        let rate = |job: &Job| job.privacy().unwrap().sampling_rate.get();
        assert_eq!(rate(&found), rate(&alone));
    }

    #[test]
    fn an_open_job_is_not_planned() {
        let refusal = Plan::new(job(&["privacy.population=5000"]), 3).unwrap_err();
        assert!(
            refusal
                .to_string()
                .contains("training.rounds is still open"),
            "{refusal}"
        );
    }
}
