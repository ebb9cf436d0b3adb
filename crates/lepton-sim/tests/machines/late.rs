//! Parties that join between two epochs (docs/protocols/late-join.md), at the level of rounds: the machines of coordinator and parties, the daemons' part played by the test.

use lepton_protocol::exchange::Kind;
use lepton_protocol::late::may_grow;
use lepton_protocol::ledger::Ledger as _;
use lepton_protocol::training::Training;
use lepton_sim::{End, SimOutcome, Simulation, Stop};

use crate::kit::{Toy, check, run};

const LATE: &str = "[protection]\ncolluders = 1\ndrops = 0\n";

fn toy(private: bool) -> Toy {
    let toy = Toy {
        rounds: 5,
        discovered: false,
        more: LATE,
        ..Toy::default()
    };
    match private {
        true => Toy {
            epsilon: Some(8.0),
            ..toy
        },
        false => toy,
    }
}

fn with(toy: &Toy, parties: u16) -> Toy {
    Toy {
        parties,
        ..toy.clone()
    }
}

fn killed_after(toy: &Toy, steps: u64) -> SimOutcome {
    let mut config = toy.config(47);
    config.job = late(&config.job);
    config.stop = Some(Stop::Steps(steps));
    run(config)
}

/// The toy's job, which others may join.
fn late(job: &str) -> String {
    job.replacen("[training]\n", "[training]\nlate_join = 9\n", 1)
}

fn grown(toy: &Toy, killed: SimOutcome) -> SimOutcome {
    let mut config = toy.config(47);
    config.job = late(&config.job);
    let outcome = Simulation::grown(config, killed.durable).unwrap().run();
    check(&outcome).unwrap();
    outcome
}

fn count(outcome: &SimOutcome, kind: Kind) -> usize {
    outcome.sums.iter().filter(|sum| sum.kind == kind).count()
}

/// Where a job stands in the store.
fn stored(outcome: &SimOutcome) -> Option<Training> {
    let mut training = Training::restore(&outcome.durable.coordinator).unwrap()?;
    training.reopened(&outcome.plan).unwrap();
    Some(training)
}

/// LJ-03, LJ-08: whenever a party comes to a job with a goal, the job ends, nobody passes the goal, and the newcomer is charged for what came after it alone.
#[test]
fn a_party_joins_at_any_moment_and_the_goal_holds() {
    let toy = toy(true);
    let mut config = toy.config(47);
    config.job = late(&config.job);
    let whole = run(config).steps;
    let mut came = 0;
    for steps in (1..whole).step_by(23) {
        let killed = killed_after(&toy, steps);
        let Some(then) = stored(&killed).filter(Training::may_grow) else {
            continue;
        };
        let (rows, old) = (then.public().rows, killed.plan.clone());
        let before: Vec<usize> = killed
            .durable
            .ledgers
            .iter()
            .map(|one| one.charges().len())
            .collect();
        let outcome = grown(&with(&toy, 5), killed);
        assert_eq!(may_grow(&old, &outcome.plan), Ok(()));
        assert_eq!(outcome.end, End::Over, "joined after {steps} events");
        let training = &outcome.training;
        let step = &training.joined()[0];
        assert_eq!((step.before, step.after), (4, 5));
        assert_eq!(training.first_round(4), Some(step.round));
        assert_eq!([0, 3].map(|place| training.first_round(place)), [None; 2]);
        assert!((training.public().rows - rows * 1.25).abs() < 1e-9);
        // Every sum of the new epoch had the newcomer in it, and all its charges are of that epoch.
        assert!(outcome.sums.iter().all(|sum| sum.survivors.contains(&4)));
        let charges = outcome.durable.ledgers.iter().map(|one| one.charges());
        let charges: Vec<_> = charges.collect();
        assert!(charges[4].iter().all(|charge| charge.epoch == 2));
        assert_eq!(charges[4].len() + before[0], charges[0].len());
        let prepared = ["survey", "statistics"];
        assert!(
            charges[4]
                .iter()
                .all(|charge| !prepared.contains(&charge.kind.as_str()))
        );
        came += 1;
    }
    assert!(came >= 5, "{came}");
}

/// FT-11, LJ-02: places do not change, so a party that signed a set for its exact sum signs no longer one, even if the coordinator lets parties in
/// when it may not.
#[test]
fn exact_inputs_that_were_signed_for_are_not_summed_with_newcomers() {
    let toy = toy(false);
    let mut config = toy.config(47);
    config.job = late(&config.job);
    let whole = run(config);
    let (mut refused, mut went_on) = (0, 0);
    for steps in (1..whole.steps).step_by(7) {
        let killed = killed_after(&toy, steps);
        let Some(then) = stored(&killed).filter(|then| then.rounds_left() > 0) else {
            continue;
        };
        let trained = count(&killed, Kind::Training);
        let prepared = count(&killed, Kind::Statistics);
        let evaluated = count(&killed, Kind::Evaluation);
        let allowed = then.may_grow();
        let mut config = with(&toy, 7).config(47);
        config.job = late(&config.job);
        let outcome = Simulation::grown(config, killed.durable).unwrap().run();
        assert_eq!(outcome.violations, [] as [String; 0]);
        // No sum of the first epoch is made again over more parties.
        assert!(
            count(&outcome, Kind::Statistics) + prepared <= 1,
            "after {steps}"
        );
        assert!(
            count(&outcome, Kind::Training) + trained <= 5,
            "after {steps}"
        );
        assert!(
            count(&outcome, Kind::Evaluation) + evaluated <= 2,
            "after {steps}"
        );
        if allowed {
            assert_eq!(outcome.end, End::Over, "joined after {steps} events");
            assert_eq!(count(&outcome, Kind::Training) + trained, 5);
            assert!(outcome.sums.iter().all(|sum| sum.survivors.len() == 7));
            went_on += 1;
        } else if then.public().preparation.is_some() {
            // That sum is left out, or waited for in vain.
            let sums = [Kind::Training, Kind::Evaluation].map(|kind| count(&outcome, kind));
            let missing = sums[0] + trained < 5 || sums[1] + evaluated < 2;
            assert!(missing, "{:?} after {steps}", outcome.end);
            refused += 1;
        }
    }
    assert!(went_on >= 5 && refused >= 1, "{went_on} {refused}");
}
