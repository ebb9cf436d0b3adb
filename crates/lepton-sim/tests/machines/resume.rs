//! FT-14: every process dies at some moment, and the job goes on in a new epoch.

use lepton_protocol::exchange::Kind;
use lepton_protocol::ledger::Ledger as _;
use lepton_protocol::training::Training;
use lepton_sim::{End, SimOutcome, Simulation, Stop};

use crate::kit::{Toy, check, run};

fn killed_after(toy: &Toy, steps: u64) -> SimOutcome {
    let mut config = toy.config(31);
    config.stop = Some(Stop::Steps(steps));
    let outcome = run(config);
    check(&outcome).unwrap();
    outcome
}

fn resumed(toy: &Toy, killed: SimOutcome, stop: Option<Stop>) -> SimOutcome {
    let mut config = toy.config(31);
    config.stop = stop;
    let outcome = Simulation::resumed(config, killed.durable).unwrap().run();
    check(&outcome).unwrap();
    outcome
}

/// Exchange numbers never repeat, in whatever epoch.
fn assert_numbers(outcome: &SimOutcome) {
    for ledger in &outcome.durable.ledgers {
        let rounds: Vec<u64> = ledger.charges().iter().map(|charge| charge.round).collect();
        assert!(rounds.is_sorted_by(|a, b| a < b), "{rounds:?}");
    }
}

/// Rounds begun are rounds done and rounds that a note calls lost.
fn assert_counted(outcome: &SimOutcome, rounds: u32) {
    let training = &outcome.training;
    let lost = training
        .notes()
        .iter()
        .filter(|note| note.contains("interrupted and left out"));
    let lost = u32::try_from(lost.count()).unwrap();
    assert!(training.rounds_done() + lost <= rounds);
    if training
        .notes()
        .iter()
        .all(|note| !note.contains("fit the privacy goal"))
    {
        assert_eq!(training.rounds_done() + lost, rounds);
    }
    assert!(training.counts().1 >= u64::from(lost));
}

fn without_goal() -> Toy {
    Toy {
        discovered: false,
        ..Toy::default()
    }
}

/// Killed at every moment before the last exchange, with and without a goal.
#[test]
fn ft_14_a_job_killed_at_any_moment_comes_to_its_end() {
    for toy in [Toy::default(), without_goal(), Toy::private(8.0)] {
        let whole = run(toy.config(31));
        let last = whole.sums.iter().map(|sum| sum.exchange).max().unwrap();
        for steps in (1..whole.steps).step_by(19) {
            let killed = killed_after(&toy, steps);
            if killed.frames.iter().any(|sent| sent.exchange == last) {
                break;
            }
            let outcome = resumed(&toy, killed, None);
            assert_eq!(outcome.end, End::Over, "killed after {steps} events");
            assert_numbers(&outcome);
            assert_counted(&outcome, toy.rounds);
        }
    }
}

/// Killed over and over: the goal holds whatever is left of the job.
#[test]
fn ft_14_a_job_killed_again_and_again_never_passes_its_goal() {
    let toy = Toy {
        rounds: 6,
        ..Toy::private(3.0)
    };
    for every in [45, 70, 110] {
        let mut outcome = killed_after(&toy, every);
        for _ in 0..12 {
            if outcome.end != End::Killed {
                break;
            }
            outcome = resumed(&toy, outcome, Some(Stop::Steps(every)));
            assert_numbers(&outcome);
        }
        assert!(outcome.training.rounds_done() <= toy.rounds);
    }
}

/// Without faults a resumed job that was killed between two exchanges loses that one round and nothing else.
#[test]
fn ft_10_an_interrupted_round_is_left_out_and_counted() {
    let toy = Toy::private(8.0);
    let whole = run(toy.config(31));
    let third = whole.frames.iter().position(|sent| sent.exchange == 3);
    assert!(third.is_some());
    let killed = (1..)
        .map(|steps| killed_after(&toy, steps))
        .find(|killed| killed.frames.iter().any(|sent| sent.exchange == 3))
        .unwrap();
    assert_eq!(killed.training.rounds_done(), 1);
    let outcome = resumed(&toy, killed, None);
    assert_eq!(outcome.end, End::Over);
    assert_eq!(outcome.training.rounds_done(), 2);
    assert_eq!(outcome.training.counts().1, 1);
    assert!(outcome.training.notes()[0].contains("round 2 was interrupted and left out"));
    let done: Vec<u64> = outcome.sums.iter().map(|sum| sum.exchange).collect();
    assert!(!done.contains(&3) && done[0] == 4);
}

/// What comes back from a checkpoint is what went in; other formats are refused in words.
#[test]
fn checkpoints_round_trip() {
    let outcome = run(Toy::private(8.0).config(32));
    let bytes = outcome.training.to_bytes(7).unwrap();
    let (epoch, back) = Training::from_bytes(&bytes).unwrap();
    assert_eq!(epoch, 7);
    assert_eq!(back.to_bytes(7).unwrap(), bytes);
    assert_eq!(back.parameters(), outcome.training.parameters());
    assert_eq!(back.charges(), outcome.training.charges());
    for bad in ["", "{}", "null", "[1]"] {
        assert!(Training::from_bytes(bad.as_bytes()).is_err());
    }
    let other = String::from_utf8(bytes.clone())
        .unwrap()
        .replace("lepton-checkpoint/2", "lepton-checkpoint/9");
    assert!(
        Training::from_bytes(other.as_bytes())
            .unwrap_err()
            .contains("lepton-checkpoint/9")
    );
    for cut in (0..bytes.len()).step_by(97) {
        assert!(Training::from_bytes(&bytes[..cut]).is_err());
    }
}

/// A resumed job goes on from the sums it has: nothing that was opened is asked for again.
#[test]
fn ft_14_preparation_is_not_repeated() {
    let toy = Toy::default();
    let killed = killed_after(&toy, 130);
    assert!(killed.training.public().preparation.is_some());
    let outcome = resumed(&toy, killed, None);
    let again = [Kind::Survey, Kind::Statistics];
    assert!(outcome.sums.iter().all(|sum| !again.contains(&sum.kind)));
}
