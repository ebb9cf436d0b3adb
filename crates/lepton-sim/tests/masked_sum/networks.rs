//! Mishaps without adversaries: what the parameters tolerate costs no round, what they do not costs the round and says where.

use lepton_secagg::{Fault, Parameters, PartyIndex, Step};
use lepton_sim::Network;
use lepton_sim::masked_sum::{
    AttemptEnd, MaskedSumConfig, MaskedSumOutcome, MaskedSumSim, Mishap, MishapKind, SetUp,
};

fn run(config: MaskedSumConfig) -> MaskedSumOutcome {
    let outcome = MaskedSumSim::new(config).unwrap().run();
    assert_eq!(outcome.violations, [""; 0], "seed {}", outcome.seed);
    outcome
}

fn ten(rounds: u64) -> MaskedSumConfig {
    let params = Parameters::new(10, 3, 3, None, None).unwrap();
    let mut config = MaskedSumConfig::new(7, params);
    config.rounds = rounds;
    config
}

fn leaves(party: u16, round: u64, after: u8) -> Mishap {
    Mishap {
        party,
        round,
        kind: MishapKind::Leaves { after, rounds: 1 },
    }
}

fn parties(list: impl IntoIterator<Item = u16>) -> Vec<PartyIndex> {
    list.into_iter().map(PartyIndex::new).collect()
}

#[test]
fn undisturbed_rounds_are_sums_of_all() {
    for n in 2..=12 {
        let params = Parameters::new(n, 0, 0, None, None).unwrap();
        let mut config = MaskedSumConfig::new(u64::from(n), params);
        (config.rounds, config.set_up) = (3, SetUp::Each);
        let outcome = run(config);
        assert_eq!(outcome.rounds.len(), 3);
        for round in &outcome.rounds {
            assert_eq!(round.attempts, [AttemptEnd::Exact(parties(0..n))]);
        }
        assert!(outcome.party_faults.is_empty() && outcome.refused.is_empty());
    }
}

/// The table *Why the shares of the right dealer are always there*: a drop at any step, and the next round has everybody again without a new set-up.
#[test]
fn who_leaves_is_back_in_the_next_round() {
    for after in 0..=3 {
        let mut config = ten(2);
        config.mishaps = [1, 4, 8].map(|party| leaves(party, 0, after)).to_vec();
        let outcome = run(config);
        let there = match after {
            0 => parties([0, 2, 3, 5, 6, 7, 9]),
            _ => parties(0..10),
        };
        assert_eq!(outcome.rounds[0].attempts, [AttemptEnd::Exact(there)]);
        let everybody = AttemptEnd::Exact(parties(0..10));
        assert_eq!(outcome.rounds[1].attempts, [everybody]);
    }
}

/// SA-19: one drop more than tolerated ends the attempt at the step it is missed in, the retry has no more parties, and the next round is fine.
#[test]
fn sa19_one_too_many_ends_the_attempt_at_its_step() {
    let ends = [Step::Input, Step::Signature, Step::Opening];
    for (after, step) in (0..).zip(ends) {
        let mut config = ten(2);
        config.attempts = 2;
        config.mishaps = [1, 4, 8, 9].map(|party| leaves(party, 0, after)).to_vec();
        let outcome = run(config);
        let ended = |step| {
            AttemptEnd::Aborted(Fault::TooFew {
                have: 6,
                need: 7,
                step,
            })
        };
        let attempts = [ended(step), ended(Step::Input)];
        assert_eq!(outcome.rounds[0].attempts, attempts);
        assert!(outcome.rounds[1].is_exact());
    }
}

/// A crash costs the epoch, and others go on.
#[test]
fn who_is_killed_stays_away() {
    let mut config = ten(3);
    config.mishaps = vec![Mishap {
        party: 2,
        round: 0,
        kind: MishapKind::Killed { after: 1 },
    }];
    let outcome = run(config);
    let without: Vec<_> = parties((0..10).filter(|party| *party != 2));
    let ends: Vec<_> = outcome
        .rounds
        .iter()
        .map(|r| r.attempts[0].clone())
        .collect();
    let [all, fewer] = [parties(0..10), without].map(AttemptEnd::Exact);
    assert_eq!(ends, [all, fewer.clone(), fewer]);
}

/// SA-11: what comes after the survivors are fixed is discarded; the party is there again in the next round.
#[test]
fn sa11_late_messages_are_discarded() {
    let mut config = ten(2);
    config.mishaps = vec![Mishap {
        party: 5,
        round: 0,
        kind: MishapKind::Slow(2_015),
    }];
    let outcome = run(config);
    let without: Vec<_> = parties((0..10).filter(|party| *party != 5));
    assert_eq!(outcome.rounds[0].attempts, [AttemptEnd::Exact(without)]);
    assert!(outcome.out_of_place > 0);
    let everybody = AttemptEnd::Exact(parties(0..10));
    assert_eq!(outcome.rounds[1].attempts, [everybody]);
}

/// A doubled beginning does not make a second message (SA-06), a doubled message is refused (SA-10), and the sum is right.
#[test]
fn sa06_doubled_and_reordered_messages_change_nothing() {
    let mut config = ten(4);
    config.network = Network {
        duplication: 1.0,
        reorder: 0.5,
        ..Network::default()
    };
    let outcome = run(config);
    assert!(outcome.all_exact(), "{:?}", outcome.rounds);
    assert!(!outcome.party_faults.is_empty());
}

/// On a graph that leaves most parties without an agreement with each other.
#[test]
fn sa24_rounds_on_a_sparse_graph() {
    let params = Parameters::insecure_sparse(110, 2, 10, 24).unwrap();
    let mut config = MaskedSumConfig::new(3, params);
    (config.rounds, config.set_up) = (2, SetUp::Each);
    config.mishaps = (0..3).map(|i| leaves(31 * i + 1, 0, 2)).collect();
    let outcome = run(config);
    assert!(outcome.all_exact(), "{:?}", outcome.rounds);
    assert_eq!(outcome.frail, 0);
}
