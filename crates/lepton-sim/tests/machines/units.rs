//! Jobs whose unit of privacy is more than a record, in whole runs (docs/protocols/privacy-units.md).

use lepton_protocol::ledger::{Ledger as _, Side};
use lepton_sim::{FaultKind, SimFault, When};

use crate::kit::{Toy, check, run, spent};

const PARTY: &str = "[privacy]\nunit = \"party\"\nepsilon = 20\ndelta = 1e-3\nclip = 1.0\n";

fn toy(more: &'static str) -> Toy {
    Toy {
        parties: 12,
        rounds: 4,
        discovered: false,
        more,
        ..Toy::default()
    }
}

/// PU-02: all of a party's charges are on one side, and together they use the goal and no more.
#[test]
fn pu_02_a_whole_run_keeps_the_goal() {
    let outcome = run(toy(PARTY).config(3));
    check(&outcome).unwrap();
    assert!(outcome.is_over());
    assert!(outcome.training.metrics().is_some());
    // The public count of parties stands where rows would be counted (PU-06).
    assert_eq!(outcome.training.public().rows, 12.0);
    for ledger in &outcome.durable.ledgers {
        assert!(
            ledger
                .charges()
                .iter()
                .all(|charge| charge.side == Side::Training)
        );
        let epsilon = spent(&outcome, ledger, Side::Training);
        assert!((19.0..=20.0).contains(&epsilon), "{epsilon}");
    }
}

/// FT-10, PU-02: a round lost after its charge shortens the training, not the final evaluation.
#[test]
fn pu_02_a_lost_round_leaves_room_for_the_evaluation() {
    let mut config = toy(PARTY).config(4);
    for party in [2, 3] {
        config.faults.push(SimFault {
            party,
            when: When::Exchange {
                from: 2,
                after: 0,
                until: 3,
            },
            kind: FaultKind::Slow(10_300),
        });
    }
    let outcome = run(config);
    check(&outcome).unwrap();
    assert!(outcome.is_over(), "{:?} {:?}", outcome.end, outcome.events);
    assert!(outcome.training.rounds_done() < 4);
    assert!(
        outcome.training.metrics().is_some(),
        "{:?}",
        outcome.training.notes()
    );
}

/// PU-05: with hardly any noise the mean update of equal parties learns the rule, over all parties and over groups.
#[test]
fn pu_05_the_mean_of_updates_learns() {
    let all = "[privacy]\nunit = \"party\"\nepsilon = 1e6\ndelta = 1e-3\nclip = 5.0\n";
    let outcome = run(Toy {
        rounds: 30,
        ..toy(all)
    }
    .config(5));
    check(&outcome).unwrap();
    let loss = outcome.training.metrics().unwrap().loss.unwrap();
    let first = outcome.training.curve()[0].loss.unwrap();
    assert!(loss < 0.6 && loss < first, "{first} {loss}");
}
