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

/// PU-10: the norm follows the updates, over all parties and over groups, for records and for parties; the goal is kept. A norm that starts far too
/// large comes down by a fifth a round, whatever the noise, within the range of the count.
#[test]
fn pu_10_the_norm_follows_the_updates() {
    const ADAPTIVE: &str =
        "epsilon = 1e4\ndelta = 1e-3\nclip = \"adaptive\"\nclip_start = 1000.0\n";
    for (unit, groups) in [
        ("party", ""),
        ("party", "combine = \"median\"\ngroups = 3\n"),
        ("record", ""),
    ] {
        let privacy = format!("[privacy]\nunit = \"{unit}\"\n{ADAPTIVE}");
        let toy = Toy {
            rounds: 20,
            ..toy(privacy.leak())
        };
        let mut config = toy.config(6);
        config.job = config
            .job
            .replace("[evaluation]", &format!("{groups}[evaluation]"));
        let outcome = run(config);
        check(&outcome).unwrap();
        assert!(outcome.is_over(), "{unit} {:?}", outcome.end);
        let norm = outcome.training.public().clip.unwrap();
        // Nothing is cut at 1,000: the share is 1, and each of the 20 rounds takes exp(-0.1).
        let undisturbed = 1000.0 * (-2.0_f64).exp();
        assert!(
            (norm / undisturbed - 1.0).abs() < 0.1,
            "{unit} {groups:?}: {norm}"
        );
    }
}
