//! What one record changes in a party's vectors before noise: never more than the sensitivity that the noise is calibrated to (PR-06, PR-08, FT-05,
//! FT-13), and never anything on the other side of the split (FT-03).
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that does not find what it needs has failed"
)]

use chacha20::ChaCha20Rng;
use lepton_learn::RawColumn;
use lepton_protocol::exchange::Kind;
use lepton_protocol::frame::Place;
use lepton_protocol::job::Job;
use lepton_protocol::party::Work;
use lepton_protocol::plan::Plan;
use lepton_protocol::public::{Moments, PublicState};
use lepton_protocol::work::{PartyRows, Worker};
use proptest::prelude::*;
use rand_core::SeedableRng;

/// One row: age, dose, site, ward, outcome.
type Row = (
    Option<f64>,
    Option<f64>,
    Option<String>,
    Option<String>,
    Option<String>,
);

#[derive(Debug, Clone)]
struct World {
    missing: &'static str,
    model: &'static str,
    weights: &'static str,
    regression: bool,
    rows: Vec<Row>,
    /// Appended last, so that the sample of the others stays as it is.
    record: Row,
    parameters: Vec<f32>,
    /// Digits that the coordinator changes in the public state it sends: position and value.
    lies: Vec<(prop::sample::Index, u8)>,
    seed: u64,
}

fn number() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        4 => (-20.0_f64..150.0).prop_map(Some),
        1 => any::<f64>().prop_map(Some),
        1 => Just(None),
    ]
}

fn word() -> impl Strategy<Value = Option<String>> {
    prop_oneof![4 => "[a-e]".prop_map(Some), 1 => "\\PC{0,6}".prop_map(Some), 1 => Just(None)]
}

fn class() -> impl Strategy<Value = Option<String>> {
    prop_oneof![4 => "[sw]".prop_map(Some), 1 => Just(None)]
}

fn row() -> impl Strategy<Value = Row> {
    (number(), number(), word(), word(), class())
}

fn parameter() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => -3.0_f32..3.0,
        1 => Just(0.0_f32),
        1 => any::<f32>().prop_filter("finite", |x| x.is_finite()),
    ]
}

fn world() -> impl Strategy<Value = World> {
    let settings = (
        prop::sample::select(vec!["mean", "indicator", "drop"]),
        prop::sample::select(vec![
            "kind = \"logistic\"",
            "kind = \"mlp\"\nhidden = [4]",
            // A discovered column and a declared one as vectors (PR-09).
            "kind = \"mlp\"\nhidden = [4]\nembeddings = { site = 3, ward = 2 }",
        ]),
        prop::sample::select(vec!["none", "balanced"]),
        any::<bool>(),
    );
    let data = (
        prop::collection::vec(row(), 0..12),
        row(),
        prop::collection::vec(parameter(), 40),
        prop::collection::vec((any::<prop::sample::Index>(), b'0'..=b'9'), 0..6),
        any::<u64>(),
    );
    (settings, data).prop_map(|(settings, (rows, record, parameters, lies, seed))| World {
        missing: settings.0,
        model: settings.1,
        weights: settings.2,
        regression: settings.3,
        rows,
        record,
        parameters,
        lies,
        seed,
    })
}

impl World {
    fn plan(&self) -> Plan {
        let (label, classes) = if self.regression {
            ("number", "")
        } else {
            ("category", "classes = [\"s\", \"w\"]\n")
        };
        let model = match (self.regression, self.model) {
            (true, "kind = \"logistic\"") => "kind = \"linear\"",
            (_, model) => model,
        };
        let weights = if self.regression {
            "none"
        } else {
            self.weights
        };
        let text = format!(
            "[job]\nname = \"toy\"\n[data]\ntable = \"toy.csv\"\nlabel = \"outcome\"\nfeatures = [\"age\", \"dose\", \"site\", \"ward\"]\n{classes}\
             [data.types]\nage = \"number\"\ndose = \"number\"\nsite = \"category\"\nward = \"category\"\noutcome = \"{label}\"\n\
             [prepare]\nslots = 256\nmissing = \"{}\"\n[prepare.bounds]\nage = [0, 100]\ndose = [-1, 1]\n{}\
             [prepare.values]\nward = [\"a\", \"b\"]\n\
             [model]\n{model}\n[training]\nrounds = 3\nsampling_rate = 0.5\nclass_weights = \"{weights}\"\n\
             [privacy]\nepsilon = 8\ndelta = 1e-5\nclip = 1.0\n",
            self.missing,
            if self.regression {
                "outcome = [0, 10]\n"
            } else {
                ""
            },
        );
        let job = Job::parse("toy", &text, &[]).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        Plan::new(job, 4).unwrap_or_else(|error| panic!("{error}"))
    }

    fn columns(&self, with_record: bool) -> Vec<RawColumn> {
        let rows: Vec<&Row> = self
            .rows
            .iter()
            .chain(with_record.then_some(&self.record))
            .collect();
        let number = |name: &str, of: fn(&Row) -> Option<f64>| RawColumn::Numeric {
            name: name.to_owned(),
            values: rows.iter().map(|row| of(row)).collect(),
        };
        let word = |name: &str, of: fn(&Row) -> Option<String>| RawColumn::Category {
            name: name.to_owned(),
            values: rows.iter().map(|row| of(row)).collect(),
        };
        let outcome = if self.regression {
            number("outcome", |row| row.0.map(|age| age / 7.0))
        } else {
            word("outcome", |row| row.4.clone())
        };
        vec![
            number("age", |row| row.0),
            number("dose", |row| row.1),
            word("site", |row| row.2.clone()),
            word("ward", |row| row.3.clone()),
            outcome,
        ]
    }

    fn public(&self, plan: &Plan) -> PublicState {
        let mut public = PublicState {
            rows: 40.0,
            class_counts: if self.regression {
                Vec::new()
            } else {
                vec![30.0, 10.0]
            },
            ..PublicState::default()
        };
        public
            .kept
            .insert("site".to_owned(), (0..6).map(|k| k * 40).collect());
        let moments = plan.numbers().into_iter().map(|(name, _)| {
            let (lo, hi) = plan.range_of(name, &PublicState::default());
            let (mean, std) = (lo + (hi - lo) * 0.4, (hi - lo) * 0.3);
            (name.to_owned(), Moments { mean, std })
        });
        public.moments = Some(moments.collect());
        public.derive(plan).unwrap();
        self.told(plan, public)
    }

    /// The public state as a lying coordinator sends it; what a party refuses is no lie worth looking at.
    fn told(&self, plan: &Plan, honest: PublicState) -> PublicState {
        let mut wire = honest.to_wire();
        let digits: Vec<usize> = (0..wire.len())
            .filter(|at| wire[*at].is_ascii_digit())
            .collect();
        for (at, digit) in &self.lies {
            wire[*at.get(&digits)] = *digit;
        }
        PublicState::from_wire(&wire, plan)
            .ok()
            .filter(|told| plan.exchange(Kind::Training, told).is_ok())
            .unwrap_or(honest)
    }

    /// The vector of `kind` without noise, the record on the training side, the hold-out side, both or none; `None` if the party declines.
    fn vector(&self, plan: &Plan, kind: Kind, train: bool, hold_out: bool) -> Option<Vec<i64>> {
        let work = self.work(plan, kind);
        let mut worker = self.worker(train, hold_out);
        let mut rng = ChaCha20Rng::seed_from_u64(self.seed);
        let vector = worker.contribute(plan, &work, &mut rng);
        vector
            .ok()
            .inspect(|vector| assert_eq!(vector.len(), work.exchange.len))
    }

    fn worker(&self, train: bool, hold_out: bool) -> Worker {
        Worker::new(PartyRows {
            train: self.columns(train),
            hold_out: self.columns(hold_out),
        })
    }

    fn work(&self, plan: &Plan, kind: Kind) -> Work {
        let public = self.public(plan);
        let mut exchange = plan.exchange(kind, &public).unwrap();
        exchange.noise = None;
        let len = plan.model_len(&public).unwrap();
        let parameters = self.parameters.iter().cycle().take(len);
        Work {
            place: Place {
                job: [0; 32],
                epoch: 1,
                round: 1,
                attempt: 1,
            },
            exchange,
            training_round: 1,
            public,
            parameters: parameters.map(|value| f64::from(*value)).collect(),
            slot_key: Some(lepton_crypto::Seed::from_bytes([5; 32])),
        }
    }

    /// Squared Euclidean distance that the record makes, in integer units.
    fn distance(&self, plan: &Plan, kind: Kind) -> f64 {
        let without = self.vector(plan, kind, false, false);
        let with = self.vector(plan, kind, true, true);
        assert_eq!(
            without.is_some(),
            with.is_some(),
            "a record decides whether a party declines"
        );
        let (without, with) = (without.unwrap_or_default(), with.unwrap_or_default());
        let squares = without.iter().zip(&with);
        squares
            .map(|(a, b)| {
                let difference = (i128::from(*a) - i128::from(*b)) as f64;
                difference * difference
            })
            .sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// PR-06, PR-08: the survey changes by one in one slot per discovered column.
    #[test]
    fn pr_08_a_record_changes_the_survey_by_at_most_its_sensitivity(world in world()) {
        let plan = world.plan();
        let limit = plan.discovered().len() as f64;
        prop_assert!(world.distance(&plan, Kind::Survey) <= limit);
    }

    /// PR-06, PR-08: the statistics, in units of 2^20.
    #[test]
    fn pr_08_a_record_changes_the_statistics_by_at_most_its_sensitivity(world in world()) {
        let plan = world.plan();
        let classes = if world.regression { 0.0 } else { 1.0 };
        let squared = 1.0 + classes + 0.3125 * plan.numbers().len() as f64;
        let distance = world.distance(&plan, Kind::Statistics);
        prop_assert!(distance <= squared * 2.0_f64.powi(40), "{distance}");
    }

    /// FT-05: the integer gradient, for whatever finite parameters the coordinator sends.
    #[test]
    fn ft_05_a_record_changes_the_gradient_by_at_most_its_sensitivity(world in world()) {
        let plan = world.plan();
        let public = world.public(&plan);
        let len = plan.model_len(&public).unwrap();
        let eta = lepton_learn::float_error_eta(&plan.model_spec(&public).unwrap(), lepton_protocol::plan::MAX_ROWS).unwrap();
        let sensitivity = plan.gradient_scale(len, &public) * plan.clip(&public).unwrap().get() * (1.0 + eta) + (len as f64).sqrt();
        let distance = world.distance(&plan, Kind::Training).sqrt();
        prop_assert!(distance <= sensitivity, "{distance} > {sensitivity}");
    }

    /// Buffers kept from step to step change no step.
    #[test]
    fn ft_05_a_step_does_not_depend_on_the_steps_before(world in world()) {
        let plan = world.plan();
        let (work, mut rng) = (world.work(&plan, Kind::Training), ChaCha20Rng::seed_from_u64(world.seed));
        let mut same = ChaCha20Rng::seed_from_u64(world.seed);
        let mut kept = world.worker(true, true);
        for _ in 0..3 {
            let one = kept.contribute(&plan, &work, &mut rng).ok();
            prop_assert_eq!(one, world.worker(true, true).contribute(&plan, &work, &mut same).ok());
        }
    }

    /// FT-13: evaluations, likewise.
    #[test]
    fn ft_13_a_record_changes_an_evaluation_by_at_most_its_sensitivity(world in world()) {
        let plan = world.plan();
        for kind in [Kind::Evaluation, Kind::FinalEvaluation] {
            let limit = lepton_learn::eval_sensitivity(&plan.layout(kind, &world.public(&plan)));
            let distance = world.distance(&plan, kind).sqrt();
            prop_assert!(distance <= limit, "{kind:?}: {distance} > {limit}");
        }
    }

    /// FT-03: training exchanges do not see a hold-out record, evaluations do not see a training record.
    #[test]
    fn ft_03_each_exchange_touches_one_side(world in world()) {
        let plan = world.plan();
        for kind in [Kind::Survey, Kind::Statistics, Kind::Training] {
            prop_assert_eq!(world.vector(&plan, kind, false, true), world.vector(&plan, kind, false, false));
        }
        for kind in [Kind::Evaluation, Kind::FinalEvaluation] {
            prop_assert_eq!(world.vector(&plan, kind, true, false), world.vector(&plan, kind, false, false));
        }
    }
}

/// The noise of every exchange is calibrated to the sensitivities that the properties above check: at least z times them over the honest parties.
#[test]
fn the_plan_calibrates_to_these_sensitivities() {
    for regression in [false, true] {
        let world = World {
            missing: "mean",
            model: "kind = \"logistic\"",
            weights: "none",
            regression,
            rows: Vec::new(),
            record: (None, None, None, None, None),
            parameters: vec![0.0],
            lies: Vec::new(),
            seed: 0,
        };
        let plan = world.plan();
        let public = world.public(&plan);
        let privacy = plan.privacy().unwrap();
        let honest = f64::from(privacy.shares.honest).sqrt();
        let classes = if regression { 0.0 } else { 1.0 };
        let squared = 1.0 + classes + 0.3125 * plan.numbers().len() as f64;
        let cases = [
            (
                Kind::Survey,
                privacy.prepare.get(),
                (plan.discovered().len() as f64).sqrt(),
            ),
            (
                Kind::Statistics,
                privacy.prepare.get(),
                squared.sqrt() * 2.0_f64.powi(20),
            ),
        ];
        for (kind, z, sensitivity) in cases {
            let noise = plan.exchange(kind, &public).unwrap().noise.unwrap();
            assert!(noise.sigma as f64 * honest >= z * sensitivity, "{kind:?}");
        }
    }
}

/// FT-26: what leaves a party has an entry for every row of every table, and rows that nobody looked up carry the same noise as all others.
/// One party holds ward "a" alone and one "b" alone, and ward has 1,024 numbers a row: their deviations differ from sigma by
/// more than a sixth with a chance below 1e-10 each.
#[test]
fn ft_26_a_table_row_that_nobody_looked_up_carries_its_noise() {
    let row = |ward: &str| {
        let text = |word: &str| Some(word.to_owned());
        (Some(3.0), Some(0.5), text("a"), text(ward), text("s"))
    };
    let world = |ward: &str| World {
        missing: "mean",
        model: "kind = \"mlp\"\nhidden = [4]\nembeddings = { ward = 1024 }",
        weights: "none",
        regression: false,
        rows: vec![row(ward); 8],
        record: row(ward),
        parameters: vec![0.25],
        lies: Vec::new(),
        seed: 3,
    };
    let party = |ward: &str| {
        let world = world(ward);
        let plan = world.plan();
        let mut work = world.work(&plan, Kind::Training);
        let silent = world.vector(&plan, Kind::Training, false, false).unwrap();
        work.exchange = plan.exchange(Kind::Training, &work.public).unwrap();
        let sigma = work.exchange.noise.as_ref().unwrap().sigma as f64;
        let mut rng = ChaCha20Rng::seed_from_u64(11);
        let mut worker = world.worker(false, false);
        let noised = worker.contribute(&plan, &work, &mut rng).unwrap();
        assert_eq!(noised.len(), plan.model_len(&work.public).unwrap());
        (silent, noised, sigma)
    };
    for (ward, own, other) in [("a", 0, 1), ("b", 1, 0)] {
        let (silent, noised, sigma) = party(ward);
        let of = |vector: &[i64], level: usize| vector[level * 1024..(level + 1) * 1024].to_vec();
        assert!(of(&silent, own).iter().any(|value| *value != 0));
        for level in [other, 2] {
            assert_eq!(of(&silent, level), [0; 1024]);
            let row = of(&noised, level);
            let square: f64 = row.iter().map(|value| (*value as f64).powi(2)).sum();
            let deviation = (square / 1024.0).sqrt();
            assert!(
                (deviation / sigma - 1.0).abs() < 1.0 / 6.0,
                "{deviation} {sigma}"
            );
        }
    }
}

/// A single record must not decide whether a party declines: declining is seen by everybody and carries no noise.
#[test]
fn pr_08_a_record_does_not_decide_whether_a_party_declines() {
    let world = World {
        missing: "mean",
        model: "kind = \"logistic\"",
        weights: "none",
        regression: false,
        rows: vec![(Some(3.0), None, None, None, Some("s".to_owned()))],
        record: (Some(3.0), None, None, None, Some("unheard of".to_owned())),
        parameters: vec![0.0],
        lies: Vec::new(),
        seed: 0,
    };
    let plan = world.plan();
    for kind in [Kind::Statistics, Kind::Training, Kind::FinalEvaluation] {
        world.distance(&plan, kind);
    }
}

/// What leaves a party says nothing about its numbers; the full text, which the owner reads, does.
#[test]
fn what_a_party_says_of_its_work_holds_no_number_of_its_own() {
    use lepton_protocol::plan::PlanError;
    use lepton_protocol::work::WorkError;
    let overflow = lepton_ring::RingError::FixedPointOverflow(8_765_432.25);
    let ring = WorkError::Plan(PlanError::Ring(overflow));
    assert!(ring.to_string().contains("8765432.25"), "{ring}");
    let learn = WorkError::Plan(PlanError::Learn(lepton_learn::LearnError::Diverged));
    for error in [ring, learn] {
        assert_eq!(
            error.public_words(),
            "its rows do not fit the job, or training diverged; its own log says why"
        );
    }
}
