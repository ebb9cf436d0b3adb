//! Custom models: a program of the party's own trains, behind the same bounds (docs/protocols/custom-models.md).
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that does not find what it needs has failed"
)]

use chacha20::ChaCha20Rng;
use lepton_learn::{
    ClipNorm, Examples, GradientWorkspace, Matrix, Model, ModelKind, ModelSpec, Outputs, Precision,
    Predictions, RawColumn,
};
use lepton_protocol::exchange::Kind;
use lepton_protocol::frame::Place;
use lepton_protocol::job::Job;
use lepton_protocol::party::Work;
use lepton_protocol::plan::Plan;
use lepton_protocol::public::{Moments, PublicState};
use lepton_protocol::trainer::{Round, Trainer, TrainerError, unfit};
use lepton_protocol::work::{PartyRows, WorkError, Worker};
use proptest::prelude::*;
use rand_core::SeedableRng;

/// Two numbers and whether.
type Row = (f64, f64, bool);

const SEED: u64 = 11;

const CUSTOM: &str = "kind = \"custom\"\nshapes = [[1, 2], [1]]";
const NATIVE: &str = "kind = \"logistic\"";

const PARTY: &str = "[privacy]\nunit = \"party\"\nepsilon = 8\ndelta = 1e-3\nclip = 0.5\n";
const RECORD: &str = "[privacy]\nunit = \"record\"\nepsilon = 8\ndelta = 1e-5\nclip = 0.5\n";
const PERSON: &str = "[privacy]\nunit = \"person\"\nepsilon = 8\ndelta = 1e-5\nclip = 0.5\n";

fn text(model: &str, privacy: &str) -> String {
    let rate = if privacy.contains("record") || privacy.contains("person") {
        "sampling_rate = 1.0\n"
    } else {
        ""
    };
    format!(
        "[job]\nname = \"toy\"\n[data]\ntables = [\"k.csv\", \"l.csv\", \"m.csv\", \"n.csv\"]\nlabel = \"sick\"\nfeatures = [\"a\", \"b\"]\nclasses = [\"w\", \"s\"]\nperson = \"id\"\n\
         [data.types]\na = \"number\"\nb = \"number\"\nsick = \"category\"\n[prepare.bounds]\na = [0, 10]\nb = [0, 10]\n\
         [model]\n{model}\n[training]\nrounds = 3\nbatch = 4\nlocal_epochs = 2\n{rate}{privacy}"
    )
}

fn parsed(text: &str) -> Result<Job, String> {
    Job::parse("toy", text, &[]).map_err(|errors| errors.to_string())
}

fn plan(model: &str, privacy: &str) -> Plan {
    Plan::new(parsed(&text(model, privacy)).unwrap(), 4).unwrap()
}

fn columns(rows: &[Row]) -> Vec<RawColumn> {
    let number = |name: &str, of: &dyn Fn(&Row) -> f64| RawColumn::Numeric {
        name: name.to_owned(),
        values: rows.iter().map(|row| Some(of(row))).collect(),
    };
    let words = |name: &str, of: &dyn Fn(&Row) -> String| RawColumn::Category {
        name: name.to_owned(),
        values: rows.iter().map(|row| Some(of(row))).collect(),
    };
    vec![
        number("a", &|row| row.0),
        number("b", &|row| row.1),
        words("sick", &|row| if row.2 { "s" } else { "w" }.to_owned()),
        words("id", &|row| format!("p{}", (row.0 * 3.0).floor())),
    ]
}

fn public(plan: &Plan) -> PublicState {
    let moments = Moments {
        mean: 5.0,
        std: 2.5,
    };
    let mut public = PublicState {
        rows: 40.0,
        class_counts: vec![20.0, 20.0],
        moments: Some([("a".to_owned(), moments), ("b".to_owned(), moments)].into()),
        ..PublicState::default()
    };
    public.derive(plan).unwrap();
    public
}

/// The party's answer without noise, and what its owner alone is told.
fn answer(
    plan: &Plan,
    kind: Kind,
    rows: &[Row],
    trainer: Option<Box<dyn Trainer>>,
) -> (Result<Vec<i64>, WorkError>, Option<String>) {
    let public = public(plan);
    let mut exchange = plan.exchange(kind, &public).unwrap();
    exchange.noise = None;
    let work = Work {
        place: Place {
            job: [0; 32],
            epoch: 1,
            round: 1,
            attempt: 1,
        },
        exchange,
        training_round: 2,
        public,
        parameters: vec![0.5, -0.25, 0.125],
        slot_key: None,
    };
    let rows = PartyRows {
        train: columns(rows),
        hold_out: columns(rows),
    };
    let mut worker = Worker::with_trainer(rows, trainer);
    let mut rng = ChaCha20Rng::seed_from_u64(SEED);
    let answer = worker.contribute(plan, &work, &mut rng);
    if let Ok(vector) = &answer {
        assert_eq!(vector.len(), work.exchange.len);
    }
    (answer, worker.take_complaint())
}

fn spec() -> ModelSpec {
    ModelSpec {
        kind: ModelKind::Logistic,
        inputs: 2,
        outputs: Outputs::Classes(2),
        l2: 0.0,
    }
}

/// Logistic regression, as the model that comes with Lepton, from outside.
struct Logistic;

fn failed(error: impl std::fmt::Display) -> TrainerError {
    TrainerError(error.to_string())
}

impl Trainer for Logistic {
    fn fit(
        &mut self,
        parameters: &[f64],
        train: &Examples,
        round: &Round,
    ) -> Result<Vec<f64>, TrainerError> {
        assert_eq!(round.number, 2);
        let mut rng = ChaCha20Rng::seed_from_u64(SEED);
        lepton_learn::train_local(&spec(), parameters, train, &round.settings, &mut rng)
            .map_err(failed)
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
        assert_eq!(record.len(), 1);
        let mut workspace = GradientWorkspace::new(&spec(), Precision::Double).map_err(failed)?;
        let widest = ClipNorm::new(1e9).map_err(failed)?;
        let sum = workspace.clipped_gradient_sum(parameters, (record, &[0]), widest, None);
        Ok(sum.map_err(failed)?.sum.clone())
    }

    fn has_gradient(&self) -> bool {
        true
    }
}

fn rows() -> Vec<Row> {
    let number = |index: usize, times: usize| (index * times % 100) as f64 / 10.0;
    let row = |index| {
        let (a, b) = (number(index, 37), number(index, 53));
        (a, b, a + 0.5 * b > 6.0)
    };
    (0..40).map(row).collect()
}

/// CM-06, CM-07: what it computes is what the model that comes with Lepton computes.
#[test]
fn a_trainer_from_outside_gives_what_the_own_one_gives() {
    let rows = rows();
    let both = |kind, privacy: &str| {
        let own = answer(&plan(NATIVE, privacy), kind, &rows, None).0.unwrap();
        let (custom, complaint) = answer(
            &plan(CUSTOM, privacy),
            kind,
            &rows,
            Some(Box::new(Logistic)),
        );
        assert_eq!(complaint, None);
        (own, custom.unwrap())
    };
    let (own, custom) = both(Kind::Training, "");
    assert_eq!(own, custom);
    for privacy in ["", PARTY, RECORD, PERSON] {
        let (own, custom) = both(Kind::FinalEvaluation, privacy);
        assert_eq!(own, custom, "{privacy}");
        assert!(own.iter().any(|sum| *sum != 0));
    }
    // A whole update is rounded by draws of its own, less than a step away each time.
    let (own, custom) = both(Kind::Training, PARTY);
    assert!(
        own.iter()
            .zip(&custom)
            .all(|(own, custom)| (own - custom).abs() <= 2)
    );
    assert!(own.iter().any(|value| value.abs() > 10));
    // Single precision there, double here.
    for privacy in [RECORD, PERSON] {
        let (own, custom) = both(Kind::Training, privacy);
        let largest = own.iter().map(|value| value.abs()).max().unwrap();
        let apart = |(own, custom): (&i64, &i64)| (own - custom).abs();
        let most = own.iter().zip(&custom).map(apart).max().unwrap();
        assert!(
            largest > 1000 && most * 10_000 < largest,
            "{own:?} {custom:?}"
        );
    }
}

/// What a broken trainer does.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    Raises,
    Short,
    NotFinite,
    Shares,
}

struct Broken(Fault);

const SECRET: &str = "record 17 has 4.2";

impl Broken {
    fn numbers(&self, len: usize) -> Result<Vec<f64>, TrainerError> {
        match self.0 {
            Fault::Raises => Err(TrainerError(SECRET.to_owned())),
            Fault::Short => Ok(vec![0.0; len - 1]),
            Fault::NotFinite => Ok(vec![f64::NAN; len]),
            Fault::Shares => Ok(vec![0.8; len]),
        }
    }
}

impl Trainer for Broken {
    fn fit(&mut self, p: &[f64], _: &Examples, _: &Round) -> Result<Vec<f64>, TrainerError> {
        self.numbers(p.len())
    }

    fn predict(&mut self, _: &[f64], x: &Matrix) -> Result<Predictions, TrainerError> {
        let data = self.numbers(2 * x.rows())?;
        Ok(Predictions::Probabilities { classes: 2, data })
    }

    fn gradient(&mut self, p: &[f64], _: &Examples) -> Result<Vec<f64>, TrainerError> {
        self.numbers(p.len())
    }

    fn has_gradient(&self) -> bool {
        false
    }
}

/// CM-03, CM-04: a failure is told in constant words or, under a goal, to the owner alone.
#[test]
fn failures_say_nothing_of_the_rows() {
    for fault in [Fault::Raises, Fault::Short, Fault::NotFinite, Fault::Shares] {
        for kind in [Kind::Training, Kind::FinalEvaluation] {
            // Numbers that add up to something else are parameters like any others.
            if (fault, kind) == (Fault::Shares, Kind::Training) {
                continue;
            }
            let asked = |privacy: &str| {
                let trainer: Box<dyn Trainer> = Box::new(Broken(fault));
                answer(&plan(CUSTOM, privacy), kind, &rows(), Some(trainer))
            };
            let (open, _) = asked("");
            let words = open.unwrap_err().public_words();
            assert!(
                !words.contains("17") && words.contains("its own log"),
                "{words}"
            );
            for privacy in [PARTY, RECORD, PERSON] {
                let (kept, complaint) = asked(privacy);
                assert!(kept.unwrap().iter().all(|value| *value == 0), "{fault:?}");
                assert!(complaint.is_some(), "{fault:?} {privacy}");
            }
        }
    }
}

/// CM-01: no trainer, and one that cannot do what the goal needs.
#[test]
fn a_job_without_its_trainer_does_not_run() {
    let (nothing, _) = answer(&plan(CUSTOM, ""), Kind::Training, &rows(), None);
    assert!(matches!(nothing, Err(WorkError::NoTrainer)));
    let broken = Broken(Fault::Short);
    let words = unfit(&plan(CUSTOM, RECORD), &broken).unwrap();
    assert!(words.contains("unit = \"party\""), "{words}");
    assert_eq!(unfit(&plan(CUSTOM, PARTY), &broken), None);
    assert_eq!(unfit(&plan(CUSTOM, ""), &broken), None);
    assert_eq!(unfit(&plan(CUSTOM, RECORD), &Logistic), None);
}

/// CM-09, and shapes that are no shapes.
#[test]
fn what_a_trainer_cannot_be_held_to_is_refused() {
    let refusal = |model: &str, more: &str| {
        let text = text(model, "").replace("batch = 4\n", &format!("batch = 4\n{more}"));
        parsed(&text).unwrap_err()
    };
    assert!(refusal("kind = \"custom\"", "").contains("shapes"));
    assert!(refusal("kind = \"logistic\"\nshapes = [[1]]", "").contains("model.shapes"));
    for (model, more) in [
        (format!("{CUSTOM}\nl2 = 0.1"), ""),
        (CUSTOM.to_owned(), "proximal = 0.1\n"),
        (CUSTOM.to_owned(), "class_weights = \"balanced\"\n"),
    ] {
        let words = refusal(&model, more);
        assert!(words.contains("its trainer alone knows"), "{words}");
    }
    for shapes in [
        "[]",
        "[1, 2]",
        "[[0]]",
        "[[1, 1, 1, 1, 1, 1, 1, 1, 1]]",
        "[[\"a\"]]",
    ] {
        let words = refusal(&format!("kind = \"custom\"\nshapes = {shapes}"), "");
        assert!(words.contains("model.shapes"), "{shapes}: {words}");
    }
    let job = parsed(&text("kind = \"custom\"\nshapes = [[1, 2], []]", "")).unwrap();
    let again = parsed(&job.to_toml()).unwrap();
    assert_eq!(job, again);
}

/// Trains as [`Logistic`] does, and says that it needs exact sums.
struct Exact(Logistic);

impl Trainer for Exact {
    fn fit(&mut self, p: &[f64], train: &Examples, r: &Round) -> Result<Vec<f64>, TrainerError> {
        self.0.fit(p, train, r)
    }
    fn predict(&mut self, p: &[f64], x: &Matrix) -> Result<Predictions, TrainerError> {
        self.0.predict(p, x)
    }
    fn gradient(&mut self, p: &[f64], record: &Examples) -> Result<Vec<f64>, TrainerError> {
        self.0.gradient(p, record)
    }
    fn has_gradient(&self) -> bool {
        true
    }
    fn exact_sums(&self) -> bool {
        true
    }
}

/// CM-11.
#[test]
fn exact_sums_and_a_goal_exclude_each_other() {
    for goal in [RECORD, PERSON, PARTY] {
        let words = unfit(&plan(CUSTOM, goal), &Exact(Logistic)).unwrap();
        assert!(words.contains("exact sums"), "{words}");
    }
    assert_eq!(unfit(&plan(CUSTOM, ""), &Exact(Logistic)), None);
}

/// Gives any numbers at all, by the record alone.
struct Wild(Vec<f64>);

impl Trainer for Wild {
    fn fit(&mut self, _: &[f64], _: &Examples, _: &Round) -> Result<Vec<f64>, TrainerError> {
        Ok(self.0.clone())
    }

    fn predict(&mut self, _: &[f64], x: &Matrix) -> Result<Predictions, TrainerError> {
        // CM-07: records are predicted one by one.
        assert_eq!(x.rows(), 1);
        let share = (f64::from(x.row(0)[0]) * self.0[0]).sin().abs();
        Ok(Predictions::Probabilities {
            classes: 2,
            data: vec![share, 1.0 - share],
        })
    }

    fn gradient(&mut self, _: &[f64], record: &Examples) -> Result<Vec<f64>, TrainerError> {
        let first = f64::from(record.x().row(0)[0]);
        Ok(self.0.iter().map(|value| value * first * 1e6).collect())
    }

    fn has_gradient(&self) -> bool {
        true
    }
}

/// What the noise of this exchange is calibrated to.
fn sensitivity(plan: &Plan, kind: Kind) -> f64 {
    let noise = plan.exchange(kind, &public(plan)).unwrap().noise.unwrap();
    let honest = f64::from(plan.privacy().unwrap().training_shares.honest).sqrt();
    noise.sigma as f64 * honest / noise.event.noise_multiplier().get()
}

fn moved(a: &[i64], b: &[i64]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| ((a - b) as f64).powi(2));
    squares.sum::<f64>().sqrt()
}

proptest! {
    /// CM-05, CM-07: one record more moves a sum by no more than the noise is calibrated to, whatever the trainer says.
    #[test]
    fn one_record_moves_no_more_than_the_sensitivity(
        wild in proptest::collection::vec(any::<f64>(), 3),
        a in 0.0_f64..10.0, b in 0.0_f64..10.0, sick: bool,
    ) {
        for kind in [Kind::Training, Kind::FinalEvaluation] {
            for privacy in [RECORD, PERSON] {
                let plan = plan(CUSTOM, privacy);
                let sum = |rows: &[Row]| {
                    let trainer: Box<dyn Trainer> = Box::new(Wild(wild.clone()));
                    let (vector, complaint) = answer(&plan, kind, rows, Some(trainer));
                    // Something is summed, not left out for a failure.
                    let sound = wild.iter().all(|value| value.abs() < 1e290);
                    assert!(!sound || complaint.is_none(), "{complaint:?}");
                    vector.unwrap()
                };
                // A person of its own.
                let more: Vec<Row> = rows().into_iter().chain([(a.min(9.99) + 40.0, b, sick)]).collect();
                let distance = moved(&sum(&rows()), &sum(&more));
                let most = sensitivity(&plan, kind);
                prop_assert!(distance <= most, "{} {}", distance, most);
            }
        }
    }
}
