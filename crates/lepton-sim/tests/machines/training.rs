//! FT-04 to FT-14 as they show in whole runs.

use lepton_protocol::exchange::Kind;
use lepton_protocol::frame::{Address, Step};
use lepton_protocol::ledger::{Charge, Ledger as _, Side};
use lepton_protocol::progress::Progress;
use lepton_sim::{End, FaultKind, SimConfig, SimFault, SimOutcome, Simulation, When};

use crate::kit::{Toy, check, rows, run, spent};

fn at(party: u16, exchange: u64, after: u8) -> SimFault {
    SimFault {
        party,
        when: When::Exchange {
            from: exchange,
            after,
            until: exchange + 1,
        },
        kind: FaultKind::Drop,
    }
}

/// Parties 2 and 3 become too slow after their signature in the first exchange, so it is lost although its survivor set is signed; in its second
/// attempt party 3 is absent.
pub(crate) fn two_sets_for_one_state(mut config: SimConfig) -> SimConfig {
    for party in [2, 3] {
        config.faults.push(SimFault {
            party,
            when: When::Exchange {
                from: 1,
                after: 2,
                until: 2,
            },
            kind: FaultKind::Slow(10_300),
        });
    }
    config.faults.push(at(3, 2, 0));
    config
}

pub(crate) fn declines(outcome: &SimOutcome) -> Vec<(u16, String)> {
    let mut all = Vec::new();
    for (_, event) in &outcome.events {
        if let Progress::Declined {
            party,
            reason,
            refused: true,
        } = event
        {
            all.push((*party, reason.clone()));
        }
    }
    all
}

fn charges(outcome: &SimOutcome, party: usize) -> &[Charge] {
    outcome.durable.ledgers[party].charges()
}

#[test]
fn ft_04_the_planned_exchanges_use_the_goal_and_do_not_pass_it() {
    for noise in ["distributed", "local"] {
        let toy = Toy {
            noise,
            ..Toy::private(4.0)
        };
        let outcome = run(toy.config(1));
        check(&outcome).unwrap();
        assert!(outcome.is_over());
        for ledger in &outcome.durable.ledgers {
            for side in [Side::Training, Side::HoldOut] {
                let epsilon = spent(&outcome, ledger, side);
                assert!(
                    (3.6..=4.0).contains(&epsilon),
                    "{noise} {side:?}: {epsilon}"
                );
            }
        }
    }
}

#[test]
fn ft_04_a_goal_that_no_noise_meets_is_refused_before_it_starts() {
    let toy = Toy {
        rounds: 1_000,
        ..Toy::private(1e-6)
    };
    let error = Simulation::new(toy.config(1)).err().map(|e| e.to_string());
    assert!(error.is_some_and(|text| text.contains("privacy")));
}

/// FT-06: with local noise every private step is charged, and the noise is the party's own whole.
#[test]
fn ft_06_every_local_step_is_charged() {
    let toy = Toy {
        noise: "local",
        ..Toy::private(8.0)
    };
    let outcome = run(toy.config(2));
    check(&outcome).unwrap();
    let steps = u64::from(outcome.plan.local_steps());
    assert_eq!(steps, 2);
    for party in 0..4 {
        let all = charges(&outcome, party).iter();
        let counts: Vec<u64> = all
            .filter(|charge| charge.kind == "training")
            .map(|charge| charge.count)
            .collect();
        assert_eq!(counts, [steps; 3]);
    }
}

/// FT-07: nobody has a row, and still every vector of a noised exchange carries noise.
#[test]
fn ft_07_an_empty_sample_contributes_noise() {
    let mut config = Toy::private(4.0).config(3);
    for party in &mut config.parties {
        party.rows = rows(0, 0);
    }
    let outcome = run(config);
    check(&outcome).unwrap();
    for sum in outcome.sums.iter().filter(|sum| sum.kind == Kind::Training) {
        assert!(sum.sum.iter().any(|value| *value != 0));
    }
    assert!(outcome.sums.iter().any(|sum| sum.kind == Kind::Training));
}

/// FT-08: who was asked has paid, whether the sum came about or not; and [`check`] has seen that no work went out without its charge.
#[test]
fn ft_08_a_lost_exchange_stays_charged() {
    let mut config = Toy::private(8.0).config(4);
    // Two of four are lost before their input: the second exchange is abandoned after parties 0 and 1 have paid.
    config.faults = vec![at(2, 2, 1), at(3, 2, 1)];
    config.faults.push(at(1, 2, 1));
    let outcome = run(config);
    check(&outcome).unwrap();
    for party in 0..4 {
        let rounds: Vec<u64> = charges(&outcome, party).iter().map(|c| c.round).collect();
        assert!(rounds.contains(&2), "party {party}: {rounds:?}");
    }
    assert!(outcome.sums.iter().all(|sum| sum.exchange != 2));
}

/// FT-09: a ledger that is nearly used up declines, the coordinator names the party and says why, and nobody is charged beyond the goal.
#[test]
fn ft_09_a_ledger_that_refuses_is_named() {
    let first = run(Toy::private(4.0).config(5));
    let mut config = Toy::private(4.0).config(5);
    for party in [1, 2] {
        config.parties[party].spent = charges(&first, party).to_vec();
    }
    let before = config.parties[1].spent.len();
    let outcome = run(config);
    check(&outcome).unwrap();
    let End::Fault(cause) = &outcome.end else {
        panic!("{:?}", outcome.end);
    };
    assert!(
        cause.contains("party 1 declined: its privacy ledger refuses this exchange"),
        "{cause}"
    );
    assert!(outcome.sums.is_empty());
    assert_eq!(
        charges(&outcome, 1).len(),
        before,
        "a refused charge counts"
    );
    let named: Vec<u16> = declines(&outcome).iter().map(|(party, _)| *party).collect();
    assert!(named.contains(&1) && named.contains(&2) && !named.contains(&0));
}

/// FT-09 with a party to spare: the others go on without the one whose ledger is empty.
#[test]
fn ft_09_the_others_go_on_without_it() {
    let first = run(Toy::private(4.0).config(5));
    let mut config = Toy::private(4.0).config(5);
    config.parties[1].spent = charges(&first, 1).to_vec();
    let outcome = run(config);
    check(&outcome).unwrap();
    assert!(outcome.is_over());
    assert!(outcome.sums.iter().all(|sum| sum.survivors == [0, 2, 3]));
    assert!(declines(&outcome).iter().all(|(party, _)| *party == 1));
}

/// FT-10: a lost round is left out, its number is never used again, and the count says so.
#[test]
fn ft_10_a_lost_round_is_not_repeated() {
    for toy in [
        Toy::private(8.0),
        Toy {
            discovered: false,
            ..Toy::default()
        },
    ] {
        let mut config = toy.config(6);
        config.patience = 1_000;
        // In exchange 3, the second training round, two parties are too slow to be in time.
        for party in [1, 2] {
            config.faults.push(SimFault {
                party,
                when: When::Exchange {
                    from: 3,
                    after: 0,
                    until: 4,
                },
                kind: FaultKind::Slow(1_300),
            });
        }
        let outcome = run(config);
        check(&outcome).unwrap();
        assert!(outcome.is_over());
        assert_eq!(outcome.training.rounds_done(), toy.rounds - 1);
        assert_eq!(outcome.training.counts().1, 1);
        assert!(outcome.training.notes()[0].contains("round 2 was lost"));
        let begun: Vec<u64> = outcome
            .frames
            .iter()
            .filter(|sent| sent.step == Some(Step::Begin) && sent.to == Address::Party(0))
            .map(|sent| sent.exchange)
            .collect();
        assert!(begun.is_sorted_by(|a, b| a < b), "{begun:?}");
        let rounds = charges(&outcome, 0).iter().map(|c| (c.epoch, c.round));
        assert!(rounds.is_sorted_by(|a, b| a < b));
    }
}

/// FT-10: a repeated preparation is paid for, and what remains of the goal decides how many rounds there are.
#[test]
fn ft_10_a_repeated_preparation_costs_rounds() {
    let toy = Toy {
        rounds: 20,
        ..Toy::private(2.0)
    };
    let mut config = toy.config(7);
    config.patience = 1_000;
    for party in [1, 2] {
        config.faults.push(SimFault {
            party,
            when: When::Exchange {
                from: 1,
                after: 0,
                until: 4,
            },
            kind: FaultKind::Slow(1_300),
        });
    }
    let outcome = run(config);
    check(&outcome).unwrap();
    assert!(outcome.is_over());
    assert_eq!(outcome.training.counts().1, 3);
    let done = outcome.training.rounds_done();
    assert!((1..20).contains(&done), "{done}");
    assert!(
        outcome
            .training
            .notes()
            .iter()
            .any(|note| note.contains("fit the privacy goal"))
    );
}

/// FT-11: without a goal the same inputs are never summed over a second set.
#[test]
fn ft_11_without_a_goal_a_second_survivor_set_is_refused() {
    let toy = Toy {
        discovered: false,
        ..Toy::default()
    };
    let outcome = run(two_sets_for_one_state(toy.config(8)));
    check(&outcome).unwrap();
    // The coordinator does not even ask for it: it has persisted who signed.
    assert!(declines(&outcome).is_empty());
    assert!(waited_for_the_first_set(&outcome), "{:?}", outcome.events);
    // With everybody back the first set is summed after all.
    assert!(outcome.is_over());
    assert_eq!(outcome.sums[0].kind, Kind::Statistics);
    assert_eq!(outcome.sums[0].survivors, [0, 1, 2, 3]);
}

/// FT-11: with a goal noise and samples are fresh, so the second set is summed.
#[test]
fn ft_11_with_a_goal_a_second_survivor_set_is_signed() {
    let outcome = run(two_sets_for_one_state(Toy::private(8.0).config(8)));
    check(&outcome).unwrap();
    assert!(declines(&outcome).is_empty());
    assert_eq!(outcome.sums[0].exchange, 2);
    assert_eq!(outcome.sums[0].survivors, [0, 1, 2]);
}

/// FT-11 outlives the process: the set is durable, at the coordinator before it is shown and at each party before the signature leaves.
#[test]
fn ft_11_holds_after_a_crash() {
    for forgets in [false, true] {
        let outcome = after_a_signed_set(forgets, None);
        check(&outcome).unwrap();
        // A coordinator that has forgotten asks for another set, and the parties refuse it.
        let refusals = declines(&outcome);
        assert_eq!(refusals.len() >= 3, forgets, "{:?}", outcome.events);
        assert!(
            refusals
                .iter()
                .all(|(_, reason)| reason.contains("already summed over another set"))
        );
        assert_eq!(waited_for_the_first_set(&outcome), !forgets);
        assert_eq!(outcome.sums[0].kind, Kind::Statistics);
        assert_eq!(outcome.sums[0].survivors, [0, 1, 2, 3]);
    }
}

fn waited_for_the_first_set(outcome: &SimOutcome) -> bool {
    outcome.events.iter().any(|(_, event)| {
        matches!(event, Progress::Abandoned { reason, .. } if reason.contains("signed and lost"))
    })
}

/// A job killed once everybody has signed the statistics, resumed without party 3, by a coordinator that may have lost its store.
pub(crate) fn after_a_signed_set(
    forgets: bool,
    intercept: Option<Box<dyn lepton_sim::Interceptor>>,
) -> SimOutcome {
    let toy = Toy {
        discovered: false,
        ..Toy::default()
    };
    let mut config = two_sets_for_one_state(toy.config(8));
    // Before the openings.
    config.stop = Some(lepton_sim::Stop::Time(5_000));
    let killed = run(config);
    assert!(killed.sums.is_empty() && killed.end == End::Killed);
    let mut durable = killed.durable;
    if forgets {
        durable.coordinator = lepton_sim::MemoryStore::default();
    }
    let first = if forgets { 1 } else { 2 };
    let mut config = toy.config(8);
    config.intercept = intercept;
    config.faults = vec![SimFault {
        party: 3,
        when: When::Exchange {
            from: first,
            after: 0,
            until: first + 1,
        },
        kind: FaultKind::Drop,
    }];
    Simulation::resumed(config, durable).unwrap().run()
}

/// FT-12: party 0 has 74,565 = 0x12345 rows. No frame contains that number in any usual form.
#[test]
fn ft_12_the_weight_is_inside_the_masked_vector() {
    let toy = Toy {
        discovered: false,
        rounds: 1,
        ..Toy::default()
    };
    let mut config = toy.config(9);
    config.parties[0].rows = rows(0, 74_565);
    let outcome = run(config);
    check(&outcome).unwrap();
    assert!(outcome.is_over());
    let training = outcome
        .sums
        .iter()
        .find(|sum| sum.kind == Kind::Training)
        .unwrap();
    assert_eq!(training.sum[0], 74_565 + 3 * 24);
    let forms: [&[u8]; 4] = [
        &[0x45, 0x23, 0x01, 0x00],
        &[0x00, 0x01, 0x23, 0x45],
        &[0xc5, 0xc6, 0x04],
        b"74565",
    ];
    for sent in outcome
        .frames
        .iter()
        .filter(|sent| sent.from == Address::Party(0))
    {
        for form in forms {
            assert!(
                !sent.bytes.windows(form.len()).any(|part| part == form),
                "{:?} in exchange {}",
                sent.step,
                sent.exchange
            );
        }
    }
}

/// FT-13: under a goal every evaluation is charged to the hold-out records and to nothing else.
#[test]
fn ft_13_evaluations_are_charged_to_hold_out_records() {
    let outcome = run(Toy::private(8.0).config(10));
    check(&outcome).unwrap();
    for charge in charges(&outcome, 0) {
        let evaluation = charge.kind.contains("evaluation");
        assert_eq!(charge.side == Side::HoldOut, evaluation, "{}", charge.kind);
    }
    let count = charges(&outcome, 0)
        .iter()
        .filter(|charge| charge.side == Side::HoldOut)
        .count();
    assert_eq!(count, 2);
}
