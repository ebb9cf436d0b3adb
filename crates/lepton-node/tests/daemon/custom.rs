//! Custom models (docs/protocols/custom-models.md): the same in one process and over daemons, and refused where nothing trains them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lepton_learn::{
    ClipNorm, Examples, GradientWorkspace, Matrix, Model, ModelKind, ModelSpec, Outputs, Precision,
    Predictions,
};
use lepton_node::error::NodeError;
use lepton_node::model_file::ModelFile;
use lepton_node::simulate::{Done, Place, Request, Using, run_charged};
use lepton_node::tables::Source;
use lepton_node::trainers::Trainers;
use lepton_protocol::trainer::{Round, Trainer, TrainerError};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use crate::whole::{TUMOURS, data, finish, report, tumours};

const CUSTOM: [&str; 3] = [
    "model.kind=custom",
    "model.shapes=[[1, 3], [1]]",
    "training.rounds=12",
];
const RECORD: [&str; 5] = [
    "privacy.epsilon=8",
    "privacy.delta=1e-5",
    "privacy.clip=1.0",
    "privacy.learning_rate=0.3",
    "training.sampling_rate=0.5",
];

/// Logistic regression without Lepton's knowledge, with full-batch steps.
struct Steps {
    fits: Arc<AtomicU32>,
}

fn spec() -> ModelSpec {
    ModelSpec {
        kind: ModelKind::Logistic,
        inputs: 3,
        outputs: Outputs::Classes(2),
        l2: 0.0,
    }
}

fn failed(error: impl std::fmt::Display) -> TrainerError {
    TrainerError(error.to_string())
}

impl Steps {
    fn trainers() -> (Trainers, Arc<AtomicU32>) {
        let fits = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&fits);
        let trainers = Trainers::new(move |party| {
            assert!(!party.is_empty());
            let fits = Arc::clone(&counted);
            Ok(Box::new(Self { fits }))
        });
        (trainers, fits)
    }

    fn sum(parameters: &[f64], rows: &Examples) -> Result<Vec<f64>, TrainerError> {
        let mut workspace = GradientWorkspace::new(&spec(), Precision::Double).map_err(failed)?;
        let widest = ClipNorm::new(1e9).map_err(failed)?;
        let all: Vec<usize> = (0..rows.len()).collect();
        let sum = workspace.clipped_gradient_sum(parameters, (rows, &all), widest, None);
        Ok(sum.map_err(failed)?.sum.clone())
    }
}

impl Trainer for Steps {
    fn fit(
        &mut self,
        parameters: &[f64],
        train: &Examples,
        round: &Round,
    ) -> Result<Vec<f64>, TrainerError> {
        self.fits.fetch_add(1, Ordering::Relaxed);
        assert!(round.settings.learning_rate > 0.0);
        let mut new = parameters.to_vec();
        for _ in 0..20 {
            let gradient = Self::sum(&new, train)?;
            let step = 0.5 / train.len().max(1) as f64;
            new.iter_mut()
                .zip(gradient)
                .for_each(|(value, by)| *value -= step * by);
        }
        Ok(new)
    }

    fn predict(&mut self, parameters: &[f64], x: &Matrix) -> Result<Predictions, TrainerError> {
        let model = Model::new(spec(), parameters.to_vec()).map_err(failed)?;
        model.predict(x).map_err(failed)
    }

    fn gradient(
        &mut self,
        parameters: &[f64],
        record: &Examples,
    ) -> Result<Vec<f64>, TrainerError> {
        Self::sum(parameters, record)
    }

    fn has_gradient(&self) -> bool {
        true
    }
}

async fn simulated(
    folder: &TempDir,
    extra: &[&str],
    trainers: Trainers,
) -> Result<Done, NodeError> {
    let job = folder.path().join("job.toml");
    std::fs::write(&job, TUMOURS).unwrap();
    // The same noise in every run of the test.
    let all = ["job.insecure_seed=5"].iter().chain(&CUSTOM).chain(extra);
    let source = Source {
        job,
        overrides: all.map(|text| (*text).to_owned()).collect(),
        data: Some(data("breast_cancer.csv")),
        party_data: Vec::new(),
        vault_key: None,
    };
    let request = Request::New {
        source,
        scenario: None,
        folder: Place::At(folder.path().join("run")),
        comparison: true,
    };
    let (events, _inbox) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(false);
    let using = Using {
        trainers,
        ..Using::default()
    };
    run_charged(request, using, ("", ""), events, stopped).await
}

/// CM-05, CM-06, CM-10: without a goal, for records, for whole parties (three of them say nothing under that much noise); nobody pretends to know the model.
#[tokio::test(flavor = "multi_thread")]
async fn a_custom_model_learns_in_one_process() {
    let whole = [
        "privacy.unit=party",
        "privacy.epsilon=500",
        "privacy.delta=1e-3",
        "privacy.clip=2.0",
    ];
    for (extra, least) in [(&[][..], 0.88), (&RECORD[..], 0.75), (&whole[..], 0.0)] {
        let folder = tempfile::tempdir().unwrap();
        let (trainers, fits) = Steps::trainers();
        let done = simulated(&folder, extra, trainers).await.unwrap();
        let report = done.report;
        assert!(
            report.metrics.accuracy.unwrap() > least,
            "{extra:?} {:?}",
            report.metrics
        );
        assert!(report.baselines.is_none() && report.importance.is_empty());
        assert!(
            report
                .parties
                .iter()
                .all(|party| party.rows_train.is_some())
        );
        assert_eq!(report.model.kind, "custom");
        // Records are asked about one by one, and nobody gets them all.
        let asked = fits.load(Ordering::Relaxed);
        assert_eq!(asked, if extra == RECORD { 0 } else { 3 * 12 });
        let model = ModelFile::load(&done.folder).unwrap();
        let names: Vec<_> = lepton_learn::tensors(model.model.spec()).unwrap();
        assert_eq!(
            names
                .iter()
                .map(|tensor| tensor.name.as_str())
                .collect::<Vec<_>>(),
            ["tensor0", "tensor1"]
        );
        let rows = data("breast_cancer.csv");
        let refused = lepton_node::predict::predict(&model, &rows).map(drop);
        let words = refused.unwrap_err().to_string();
        assert!(words.contains("the program it belongs to"), "{words}");
    }
}

/// CM-01: over daemons, with the policy and the ledger of each.
#[tokio::test(flavor = "multi_thread")]
async fn a_custom_model_learns_over_daemons() {
    for extra in [&[][..], &RECORD[..]] {
        let all: Vec<&str> = CUSTOM.iter().chain(extra).copied().collect();
        let (mut world, text) = tumours(&all);
        let (trainers, fits) = Steps::trainers();
        world.trainers = trainers;
        world.with_ledgers(100.0);
        world.up().await;
        let end = finish(&world, &text).await;
        assert!(end.starts_with("finished: 12 of 12 rounds"), "{end}");
        assert!(report(&world, &text).await.metrics.accuracy.unwrap() > 0.75);
        assert_eq!(fits.load(Ordering::Relaxed) > 0, extra.is_empty());
    }
}

/// CM-01: in words for each side.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_trainer_a_custom_model_is_refused() {
    let (mut world, text) = tumours(&CUSTOM);
    world.up().await;
    let end = finish(&world, &text).await;
    assert!(end.contains("refused (party.trainer)"), "{end}");
    let folder = tempfile::tempdir().unwrap();
    let refused = simulated(&folder, &[], Trainers::default())
        .await
        .err()
        .unwrap();
    assert!(
        refused.to_string().contains("lepton_ai.run(job, party="),
        "{refused}"
    );
    assert!(!folder.path().join("run").exists());
}

/// CM-04: what a real party keeps to itself ends a simulation, with the trainer's own words.
#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_tells_why_a_trainer_failed() {
    struct Raises;
    impl Trainer for Raises {
        fn fit(&mut self, _: &[f64], _: &Examples, _: &Round) -> Result<Vec<f64>, TrainerError> {
            Err(TrainerError("ZeroDivisionError in line 3".to_owned()))
        }
        fn predict(&mut self, _: &[f64], _: &Matrix) -> Result<Predictions, TrainerError> {
            Err(TrainerError("ZeroDivisionError in line 5".to_owned()))
        }
        fn gradient(&mut self, _: &[f64], _: &Examples) -> Result<Vec<f64>, TrainerError> {
            Err(TrainerError("ZeroDivisionError in line 7".to_owned()))
        }
        fn has_gradient(&self) -> bool {
            false
        }
    }
    let trainers = || Trainers::new(|_| Ok(Box::new(Raises)));
    let goal = [
        "privacy.unit=party",
        "privacy.epsilon=500",
        "privacy.delta=1e-3",
    ];
    let folder = tempfile::tempdir().unwrap();
    let failed = simulated(&folder, &goal, trainers()).await.err().unwrap();
    assert!(
        failed.to_string().contains("ZeroDivisionError in line 3"),
        "{failed}"
    );
    let folder = tempfile::tempdir().unwrap();
    let failed = simulated(&folder, &RECORD, trainers()).await.err().unwrap();
    assert!(
        failed.to_string().contains("a gradient for each record"),
        "{failed}"
    );
}
