//! What one unit of privacy changes where it is more than a record: never more than the sensitivity that the noise is calibrated to
//! (docs/protocols/privacy-units.md).
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that does not find what it needs has failed"
)]

use chacha20::ChaCha20Rng;
use lepton_dp::rdp::Accountant;
use lepton_learn::RawColumn;
use lepton_protocol::exchange::Kind;
use lepton_protocol::frame::Place;
use lepton_protocol::job::{Job, Unit};
use lepton_protocol::ledger::{Side, planned};
use lepton_protocol::party::Work;
use lepton_protocol::plan::Plan;
use lepton_protocol::public::{Moments, PublicState};
use lepton_protocol::work::{PartyRows, Worker};
use proptest::prelude::*;
use rand_core::SeedableRng;

/// Age and outcome.
type Row = (Option<f64>, Option<bool>);

fn job(more: &str, privacy: &str) -> String {
    format!(
        "[job]\nname = \"toy\"\n[data]\ntable = \"toy.csv\"\nlabel = \"outcome\"\nfeatures = [\"age\", \"ward\"]\nclasses = [\"s\", \"w\"]\n\
         [data.types]\nage = \"number\"\nward = \"category\"\noutcome = \"category\"\n\
         [prepare.bounds]\nage = [0, 100]\n[prepare.values]\nward = [\"a\", \"b\"]\n\
         [model]\nkind = \"logistic\"\n[training]\nrounds = 6\nlocal_steps = 3\nbatch = 4\n{more}\n\
         [evaluation]\nevery = 2\n\
         [privacy]\nunit = \"party\"\nepsilon = 8\ndelta = 1e-3\nclip = 0.5\n{privacy}\n"
    )
}

fn plan(parties: u16, more: &str, privacy: &str) -> Plan {
    let job = Job::parse("toy", &job(more, privacy), &[]).unwrap_or_else(|error| panic!("{error}"));
    Plan::new(job, parties).unwrap_or_else(|error| panic!("{error}"))
}

/// Whose row each is: three in turn, or the ids given.
fn with_ids(mut columns: Vec<RawColumn>, ids: &[u8]) -> Vec<RawColumn> {
    columns.push(RawColumn::Category {
        name: "id".to_owned(),
        values: ids
            .iter()
            .map(|id| (*id > 0).then(|| format!("p{id}")))
            .collect(),
    });
    columns
}

fn columns(rows: &[Row]) -> Vec<RawColumn> {
    let word = |yes: bool, words: [&str; 2]| words[usize::from(yes)].to_owned();
    vec![
        RawColumn::Numeric {
            name: "age".to_owned(),
            values: rows.iter().map(|row| row.0).collect(),
        },
        RawColumn::Category {
            name: "ward".to_owned(),
            values: rows
                .iter()
                .map(|row| row.0.map(|age| word(age > 50.0, ["a", "b"])))
                .collect(),
        },
        RawColumn::Category {
            name: "outcome".to_owned(),
            values: rows
                .iter()
                .map(|row| row.1.map(|sick| word(sick, ["w", "s"])))
                .collect(),
        },
    ]
}

fn public(plan: &Plan) -> PublicState {
    let mut public = PublicState {
        rows: 20.0,
        class_counts: vec![12.0, 8.0],
        ..PublicState::default()
    };
    let moments = Moments {
        mean: 40.0,
        std: 20.0,
    };
    public.moments = Some([("age".to_owned(), moments)].into());
    public.derive(plan).unwrap();
    public
}

/// The party's vector without noise, from these rows and parameters.
fn vector(plan: &Plan, kind: Kind, rows: &[Row], from: (&[f64], u64)) -> Vec<i64> {
    vector_of(plan, kind, columns(rows), from)
}

fn vector_of(
    plan: &Plan,
    kind: Kind,
    columns: Vec<RawColumn>,
    (parameters, seed): (&[f64], u64),
) -> Vec<i64> {
    let public = public(plan);
    let mut exchange = plan.exchange(kind, &public).unwrap();
    exchange.noise = None;
    let len = plan.model_len(&public).unwrap();
    let work = Work {
        place: Place {
            job: [0; 32],
            epoch: 1,
            round: 1,
            attempt: 1,
        },
        exchange,
        training_round: 1,
        public,
        parameters: parameters.iter().copied().cycle().take(len).collect(),
        slot_key: None,
    };
    let mut worker = Worker::new(PartyRows {
        train: columns.clone(),
        hold_out: columns,
    });
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let vector = worker.contribute(plan, &work, &mut rng).unwrap();
    assert_eq!(vector.len(), work.exchange.len);
    vector
}

fn norm(vector: &[i64]) -> f64 {
    let squares = vector
        .iter()
        .map(|value| i128::from(*value) * i128::from(*value));
    (squares.sum::<i128>() as f64).sqrt()
}

/// What the noise of this exchange is calibrated to.
fn sensitivity(plan: &Plan, kind: Kind) -> f64 {
    let noise = plan.exchange(kind, &public(plan)).unwrap().noise.unwrap();
    let honest = f64::from(plan.privacy().unwrap().training_shares.honest).sqrt();
    noise.sigma as f64 * honest / noise.event.noise_multiplier().get()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let number = prop_oneof![4 => (-20.0_f64..150.0).prop_map(Some), 1 => any::<f64>().prop_map(Some), 1 => Just(None)];
    prop::collection::vec((number, prop::option::weighted(0.9, any::<bool>())), 0..40)
}

fn parameter() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => -3.0_f64..3.0,
        1 => any::<f32>().prop_filter("finite", |x| x.is_finite()).prop_map(f64::from),
    ]
}

const KINDS: [Kind; 4] = [
    Kind::Statistics,
    Kind::Training,
    Kind::Evaluation,
    Kind::FinalEvaluation,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// PU-03, PU-06, PU-07: a party's vector is no longer than the sensitivity, and a party without rows contributes zeros, so that this is
    /// what its presence changes (PU-01). It never declines.
    #[test]
    fn pu_01_a_party_changes_no_sum_by_more_than_the_sensitivity(
        rows in rows(), rate in 1e-3_f64..1e6, parameters in prop::collection::vec(parameter(), 8), seed in any::<u64>(),
    ) {
        let plan = plan(30, &format!("learning_rate = {rate}"), "");
        for kind in KINDS {
            let full = vector(&plan, kind, &rows, (&parameters, seed));
            let limit = sensitivity(&plan, kind) * (1.0 + 1e-9);
            prop_assert!(norm(&full) <= limit, "{kind:?}: {} > {limit}", norm(&full));
            let empty = vector(&plan, kind, &[], (&parameters, seed));
            prop_assert!(empty.iter().all(|value| *value == 0), "{kind:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// PU-10: one record moves gradient and count together by no more than what the noise is calibrated to.
    #[test]
    fn pu_10_a_record_moves_gradient_and_count_within_the_sensitivity(
        rows in rows(), age in -20.0_f64..150.0, sick in any::<bool>(), parameters in prop::collection::vec(parameter(), 8), seed in any::<u64>(),
    ) {
        let text = job("sampling_rate = 1.0", "clip_start = 0.3")
            .replace("clip = 0.5", "clip = \"adaptive\"")
            .replace("\"party\"", "\"record\"");
        let plan = Plan::new(Job::parse("toy", &text, &[]).unwrap(), 30).unwrap();
        let more = [rows.clone(), vec![(Some(age), Some(sick))]].concat();
        let [without, with] = [&rows, &more].map(|rows| vector(&plan, Kind::Training, rows, (&parameters, seed)));
        let moved: Vec<i64> = without.iter().zip(&with).map(|(a, b)| b - a).collect();
        let limit = sensitivity(&plan, Kind::Training) * (1.0 + 1e-9);
        prop_assert!(norm(&moved) <= limit, "{} > {limit}", norm(&moved));
        prop_assert!(moved[0] != 0, "a sampled record counts");
    }
}

fn person_plan(privacy: &str) -> Plan {
    let text = job("sampling_rate = 1.0", privacy)
        .replace("\"party\"", "\"person\"")
        .replace(
            "[data]\n",
            "[data]\nsplit = { by = \"column\", column = \"site\" }\nperson = \"id\"\n",
        );
    Plan::new(
        Job::parse("toy", &text, &[]).unwrap_or_else(|error| panic!("{error}")),
        30,
    )
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// PU-12, PU-13: taking all rows of one person away moves no vector by more than the sensitivity, wherever the rows stand.
    #[test]
    fn pu_12_a_person_moves_no_sum_by_more_than_the_sensitivity(
        rows in rows(), ids in prop::collection::vec(0_u8..5, 40), parameters in prop::collection::vec(parameter(), 8), seed in any::<u64>(),
    ) {
        let plan = person_plan("");
        let ids = &ids[..rows.len()];
        let kept: Vec<usize> = (0..rows.len()).filter(|row| ids[*row] != 4).collect();
        let without: Vec<Row> = kept.iter().map(|row| rows[*row]).collect();
        let without_ids: Vec<u8> = kept.iter().map(|row| ids[*row]).collect();
        for kind in KINDS {
            let with = vector_of(&plan, kind, with_ids(columns(&rows), ids), (&parameters, seed));
            let less = vector_of(&plan, kind, with_ids(columns(&without), &without_ids), (&parameters, seed));
            let moved: Vec<i64> = with.iter().zip(&less).map(|(a, b)| a - b).collect();
            let limit = sensitivity(&plan, kind) * (1.0 + 1e-9);
            prop_assert!(norm(&moved) <= limit, "{kind:?}: {} > {limit}", norm(&moved));
        }
    }
}

/// PU-11, PU-13: persons are counted, rows without an id are nobody's, and however many rows a person has, it moves a sum alike. The twin: as records,
/// the same rows move it many times as far.
#[test]
fn pu_13_a_person_counts_once() {
    let plan = person_plan("");
    let rows = vec![(Some(30.0), Some(true)); 9];
    let ids = [1, 1, 1, 1, 1, 1, 1, 0, 2];
    let counted = vector_of(
        &plan,
        Kind::Statistics,
        with_ids(columns(&rows), &ids),
        (&[0.3], 1),
    );
    assert_eq!(counted[0], 2 << 20);
    let one = vector_of(
        &plan,
        Kind::Training,
        with_ids(columns(&rows[..7]), &ids[..7]),
        (&[0.3], 1),
    );
    assert!(norm(&one) <= sensitivity(&plan, Kind::Training));
    let text = job("sampling_rate = 1.0", "").replace("\"party\"", "\"record\"");
    let records = Plan::new(Job::parse("toy", &text, &[]).unwrap(), 30).unwrap();
    let many = vector(&records, Kind::Training, &rows[..7], (&[0.3], 1));
    assert!(norm(&many) > 2.0 * sensitivity(&records, Kind::Training));
}

/// FT-03, PU-11: persons are on one side each, so the sides compose in parallel, and sampling amplifies.
#[test]
fn pu_11_sides_of_persons_are_apart() {
    let plan = person_plan("");
    assert_eq!(
        (plan.unit(), plan.person_column()),
        (Unit::Person, Some("id"))
    );
    assert_eq!(plan.side(Kind::Training), Side::Training);
    assert_eq!(plan.side(Kind::FinalEvaluation), Side::HoldOut);
}

/// The bound is not slack: an update that is cut comes within a hundredth of it, and so do the means of like rows. The twin of the property.
#[test]
fn pu_03_the_sensitivity_is_reached() {
    let plan = plan(30, "learning_rate = 100.0", "");
    let rows = vec![(Some(100.0), Some(true)); 9];
    for kind in [Kind::Training, Kind::FinalEvaluation] {
        let found = norm(&vector(&plan, kind, &rows, (&[0.3], 1)));
        let limit = sensitivity(&plan, kind);
        // Of an evaluation's entries the loss, below 1, is the only one that is not full.
        let least = if kind == Kind::Training { 0.99 } else { 0.8 };
        assert!(found > limit * least, "{kind:?}: {found} of {limit}");
    }
}

/// PU-02: everything is on one side, and the whole of it is within the goal, using nearly all.
#[test]
fn pu_02_all_exchanges_together_keep_the_goal() {
    for (parties, more) in [(30, ""), (30, "combine = \"median\"\ngroups = 3")] {
        let plan = plan(parties, more, "");
        assert_eq!(plan.unit(), Unit::Party);
        let goal = plan.privacy().unwrap().goal;
        let mut total = Accountant::new();
        for part in planned(&plan).unwrap() {
            assert_eq!(part.side, Side::Training);
            assert_eq!(part.event.sampling_rate().get(), 1.0);
            total.add(&part.event, part.count).unwrap();
        }
        let epsilon = total.epsilon(goal.delta).unwrap().0.get();
        assert!(
            epsilon <= goal.epsilon.get() && epsilon > 0.97 * goal.epsilon.get(),
            "{epsilon}"
        );
        // And as really charged, noise in shares.
        let public = public(&plan);
        let mut charged = Accountant::new();
        for (kind, count) in [
            (Kind::Statistics, 1),
            (Kind::Training, 6),
            (Kind::Evaluation, 2),
            (Kind::FinalEvaluation, 1),
        ] {
            let charge = plan
                .exchange(kind, &public)
                .unwrap()
                .charge(1, 1, 1)
                .unwrap();
            assert_eq!(charge.side, Side::Training);
            charged.add(&charge.event, count).unwrap();
        }
        assert!(charged.epsilon(goal.delta).unwrap().0.get() <= goal.epsilon.get());
    }
}

/// PU-04: a charge is never cheaper than the unsampled mechanism, whatever `sampling_rate` says.
#[test]
fn pu_04_nothing_is_amplified() {
    let without = plan(30, "", "");
    let with = plan(30, "sampling_rate = 0.01", "");
    assert_eq!(without.privacy(), with.privacy());
    assert_eq!(with.job().inactive_keys()[0].0, "training.sampling_rate");
}

fn refusal(text: &str) -> String {
    match Job::parse("toy", text, &[]) {
        Err(errors) => errors.to_string(),
        Ok(job) => Plan::new(job, 30).unwrap_err().to_string(),
    }
}

/// PU-04, PU-08: what cannot be had for a party is refused, and the message says what to do.
#[test]
fn pu_08_what_a_party_cannot_have_is_refused() {
    let local = refusal(&job("", "noise = \"local\""));
    assert!(local.contains("noise = \"distributed\""), "{local}");
    let nobody = refusal(&job("sampling_rate = 0.1", "").replace("\"party\"", "\"person\""));
    assert!(nobody.contains("person = \"…\" under [data]"), "{nobody}");
    let apart = job("sampling_rate = 0.1", "")
        .replace("\"party\"", "\"person\"")
        .replace("[data]\n", "[data]\nperson = \"id\"\n");
    let apart = refusal(&apart);
    assert!(apart.contains("dealt apart"), "{apart}");
    let start = refusal(&job("", "clip_start = 2.0"));
    assert!(start.contains("privacy.clip_start contradicts"), "{start}");
    let adaptive = job("sampling_rate = 0.1", "noise = \"local\"")
        .replace("clip = 0.5", "clip = \"adaptive\"")
        .replace("\"party\"", "\"record\"");
    let adaptive = refusal(&adaptive);
    assert!(
        adaptive.contains("whose count lies in the sum"),
        "{adaptive}"
    );
    let text = job("", "").replace("[prepare.values]\nward = [\"a\", \"b\"]\n", "");
    let discovered = refusal(&text);
    assert!(
        discovered.contains("`ward`") && discovered.contains("[prepare.values]"),
        "{discovered}"
    );
}

/// PU-10: the count is part of what the noise hides, and it is there: cut updates count −k, whole ones k, parties without rows nothing.
#[test]
fn pu_10_the_count_is_within_the_sensitivity() {
    let rows = vec![(Some(100.0), Some(true)); 9];
    for (rate, sign) in [("100.0", -1), ("1e-9", 1)] {
        let more = format!("learning_rate = {rate}");
        let text = job(&more, "").replace("clip = 0.5", "clip = \"adaptive\"");
        let plan = Plan::new(Job::parse("toy", &text, &[]).unwrap(), 30).unwrap();
        let found = vector(&plan, Kind::Training, &rows, (&[0.3], 1));
        assert_eq!(found[0].signum(), sign);
        let limit = sensitivity(&plan, Kind::Training) * (1.0 + 1e-9);
        assert!(norm(&found) <= limit);
        // Without the count the sensitivity would be passed by nothing; with it, by nothing either, but it is used.
        assert!(found[0].unsigned_abs() as f64 > limit / 9.0);
        let empty = vector(&plan, Kind::Training, &[], (&[0.3], 1));
        assert!(empty.iter().all(|value| *value == 0));
    }
}

/// PU-10: the norm that a coordinator tells changes nothing about the ratio of noise to sensitivity, and none is taken where the job has a fixed one.
#[test]
fn pu_10_a_norm_from_the_coordinator_weakens_nothing() {
    for unit in ["party", "record"] {
        let text = job("sampling_rate = 0.5", "")
            .replace("clip = 0.5", "clip = \"adaptive\"")
            .replace("unit = \"party\"", &format!("unit = \"{unit}\""));
        let plan = Plan::new(Job::parse("toy", &text, &[]).unwrap(), 30).unwrap();
        let z = plan.privacy().unwrap().training.get();
        for norm in [2.0_f64.powi(-40), 1e-3, 0.7, 1.0, 33.0, 2.0_f64.powi(20)] {
            let told = PublicState {
                clip: Some(norm),
                ..public(&plan)
            };
            let told = PublicState::from_wire(&told.to_wire(), &plan).unwrap();
            assert_eq!(told.clip, Some(norm));
            let noise = plan.exchange(Kind::Training, &told).unwrap().noise.unwrap();
            assert!(
                noise.event.noise_multiplier().get() >= z * (1.0 - 1e-9),
                "{unit} {norm}"
            );
        }
        for norm in [0.0, -1.0, 1e13] {
            let told = PublicState {
                clip: Some(norm),
                ..public(&plan)
            };
            assert!(PublicState::from_wire(&told.to_wire(), &plan).is_err());
        }
    }
    let fixed = plan(30, "", "");
    let told = PublicState {
        clip: Some(1.0),
        ..public(&fixed)
    };
    assert!(PublicState::from_wire(&told.to_wire(), &fixed).is_err());
}
