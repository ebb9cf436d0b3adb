//! Jobs that begin from a given model: what every party holds the coordinator's word against (rules JC-34, JC-35).

use lepton_protocol::exchange::Kind;
use lepton_protocol::progress::Progress;
use lepton_protocol::training::StartModel;
use lepton_sim::{SimConfig, SimOutcome};

use crate::kit::{Toy, check, run};

fn toy(rounds: u32) -> Toy {
    Toy {
        rounds,
        discovered: false,
        ..Toy::default()
    }
}

/// The same over half of the rows: their means and deviations are others.
fn halved(rounds: u32) -> SimConfig {
    let mut config = toy(rounds).config(77);
    for party in &mut config.parties {
        let half: Vec<usize> = (0..12).collect();
        let columns = party.rows.train.iter();
        party.rows.train = columns.map(|column| column.select(&half)).collect();
    }
    config
}

/// The model that a job ended with, changed in one number.
fn model(outcome: &SimOutcome, add: f64) -> StartModel {
    let training = &outcome.training;
    let preparation = training.public().preparation.clone().unwrap();
    let mut parameters = training.parameters().to_vec();
    parameters[0] += add;
    StartModel::new(parameters, preparation)
}

fn with(toy: &Toy, start: &StartModel, signed: &StartModel) -> SimOutcome {
    let config = SimConfig {
        start: Some(start.clone()),
        signed_start: Some(signed.clone()),
        ..toy.config(77)
    };
    let outcome = run(config);
    check(&outcome).unwrap();
    outcome
}

fn refused(outcome: &SimOutcome) -> usize {
    let refused = outcome.faults.iter().flatten();
    refused
        .filter(|fault| fault.contains("the model to start from"))
        .count()
}

/// The scaling of the first job stays, whatever the rows of the second one are, and the first round's sum is made at the start's parameters.
#[test]
fn jc_35_training_goes_on_from_the_very_model() {
    let first = run(toy(2).config(31));
    let start = model(&first, 0.0);
    let spec = first.plan.model_spec(first.training.public()).unwrap();
    start.check(&first.plan, &spec).unwrap();
    let mut other = spec.clone();
    other.inputs += 1;
    assert!(start.check(&first.plan, &other).is_err());
    let endless = model(&first, f64::INFINITY);
    let words = endless.check(&first.plan, &spec).unwrap_err();
    assert!(words.to_string().contains("finite"), "{words}");
    let fresh = run(halved(1));
    let outcome = run(SimConfig {
        start: Some(start.clone()),
        signed_start: Some(start),
        ..halved(1)
    });
    check(&outcome).unwrap();
    assert!(outcome.is_over());
    let preparation = |outcome: &SimOutcome| outcome.training.public().preparation.clone();
    assert_eq!(preparation(&outcome), preparation(&first));
    assert_ne!(preparation(&fresh), preparation(&first));
    let rows = |outcome: &SimOutcome| outcome.training.public().rows;
    assert_eq!((rows(&outcome), rows(&first)), (48.0, 96.0));
    assert_eq!(refused(&outcome), 0);
}

/// Without a fault in between: two rounds, and one round from where one round had come, are the same model. Full batches: nothing is drawn.
#[test]
fn jc_33_one_and_one_are_two() {
    let full = |rounds| {
        let mut config = toy(rounds).config(31);
        config.job = config.job.replace("batch = 8", "batch = 100");
        config.job = config.job.replace("local_steps = 2", "local_steps = 1");
        config
    };
    let (one, two) = (run(full(1)), run(full(2)));
    let start = model(&one, 0.0);
    let outcome = run(SimConfig {
        start: Some(start.clone()),
        signed_start: Some(start),
        ..full(1)
    });
    assert!(outcome.is_over());
    let pairs = outcome
        .training
        .parameters()
        .iter()
        .zip(two.training.parameters());
    for (found, expected) in pairs {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
    assert_ne!(one.training.parameters(), two.training.parameters());
}

/// A coordinator that begins from other parameters, or behind another scaling, than the submitter signed gets no sum of them.
#[test]
fn jc_34_parties_take_no_part_in_what_nobody_signed() {
    let first = run(toy(2).config(31));
    let signed = model(&first, 0.0);
    let trained = |outcome: &SimOutcome| {
        let sums = outcome.sums.iter();
        sums.filter(|sum| sum.kind == Kind::Training).count()
    };
    assert_eq!(trained(&with(&toy(1), &signed, &signed)), 1);
    let other_parameters = model(&first, 1e-3);
    let elsewhere = run(halved(2));
    let mut other_scaling = first.training.public().preparation.clone().unwrap();
    let theirs = elsewhere.training.public().preparation.clone().unwrap();
    other_scaling.columns[0] = theirs.columns[0].clone();
    assert_ne!(
        Some(&other_scaling),
        first.training.public().preparation.as_ref()
    );
    let other_scaling = StartModel::new(first.training.parameters().to_vec(), other_scaling);
    for twin in [other_parameters, other_scaling] {
        let outcome = with(&toy(1), &twin, &signed);
        assert_eq!(trained(&outcome), 0, "{:?}", outcome.end);
        assert_eq!(outcome.training.rounds_done(), 0);
        assert!(refused(&outcome) > 0, "{:?}", outcome.faults);
    }
}

/// Under a goal each round has noise of its own, and a job from a given start is charged like any other.
#[test]
fn jc_36_a_start_costs_what_a_new_job_costs() {
    use lepton_protocol::ledger::Ledger as _;
    let toy = Toy::private(8.0);
    let first = run(toy.config(31));
    let outcome = with(&toy, &model(&first, 0.0), &model(&first, 0.0));
    assert!(outcome.is_over());
    let charges = |outcome: &SimOutcome| outcome.durable.ledgers[0].charges().len();
    assert_eq!(charges(&outcome), charges(&first));
    assert!(charges(&first) > 0);
    let evaluated = |progress: &Progress| matches!(progress, Progress::Evaluated { .. });
    assert!(outcome.events.iter().any(|(_, event)| evaluated(event)));
}
