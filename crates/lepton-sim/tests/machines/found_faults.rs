//! Faults that simulations once found: each test holds what should happen.

use lepton_protocol::frame::{Address, Step};
use lepton_sim::{End, FaultKind, SimFault, Simulation, Stop, When, identity_of, reseal};

use crate::kit::{Toy, check, intercepted, run};

fn cause(end: &End) -> &str {
    match end {
        End::Fault(cause) => cause,
        _ => panic!("{end:?}"),
    }
}

/// A party that did not take the public state with one exchange gets it with the next.
#[test]
fn a_party_that_missed_the_public_state_is_told_again() {
    let config = intercepted(Toy::default().config(45), |seen| {
        let missed = seen
            .read()
            .is_some_and(|frame| frame.step == Step::Begin && frame.place.round == 3);
        if missed && seen.to == Address::Party(1) {
            return Vec::new();
        }
        vec![seen.pass()]
    });
    let outcome = run(config);
    check(&outcome).unwrap();
    for sum in &outcome.sums {
        assert_eq!(
            sum.survivors.contains(&1),
            sum.exchange != 3,
            "exchange {}: {:?}",
            sum.exchange,
            outcome.faults[1]
        );
    }
}

/// FT-14, DESIGN "Nothing is lost": a job killed in its last exchange still comes to its end, with the model it has.
#[test]
fn ft_14_a_job_killed_in_its_final_evaluation_comes_to_its_end() {
    let toy = Toy::private(8.0);
    let last = run(toy.config(31)).sums.last().unwrap().exchange;
    let killed = (100..)
        .step_by(5)
        .map(|steps| {
            let mut config = toy.config(31);
            config.stop = Some(Stop::Steps(steps));
            run(config)
        })
        .find(|killed| {
            let asked = |sent: &lepton_sim::Sent| sent.exchange == last;
            killed.frames.iter().filter(|sent| asked(sent)).count() > 6
        })
        .unwrap();
    assert_eq!(killed.end, End::Killed);
    let outcome = Simulation::resumed(toy.config(31), killed.durable)
        .unwrap()
        .run();
    assert_eq!(outcome.end, End::Over);
    assert_eq!(outcome.training.rounds_done(), 3);
}

/// FT-10 with the final evaluation lost instead of the process: the same.
#[test]
fn ft_10_a_lost_final_evaluation_does_not_lose_the_model() {
    let mut config = Toy::private(8.0).config(31);
    for party in [1, 2] {
        config.faults.push(SimFault {
            party,
            when: When::Exchange {
                from: 6,
                after: 1,
                until: 7,
            },
            kind: FaultKind::Slow(10_300),
        });
    }
    let outcome = run(config);
    check(&outcome).unwrap();
    assert_eq!(outcome.end, End::Over);
}

/// A set-up that fails names the party whose connection broke and nobody else.
#[test]
fn a_failed_set_up_names_the_party_that_is_gone() {
    for after in [1, 2] {
        let mut config = Toy::default().config(46);
        config.faults = vec![SimFault {
            party: 1,
            when: When::Exchange {
                from: 0,
                after,
                until: 1,
            },
            kind: FaultKind::Drop,
        }];
        let outcome = run(config);
        if outcome.end == End::Over {
            continue;
        }
        let cause = cause(&outcome.end);
        assert!(cause.contains("party 1"), "{cause}");
        assert!(
            !cause.contains("party 0") && !cause.contains("party 2"),
            "{cause}"
        );
    }
}

/// A set-up that fails for a forged advert names the forger.
#[test]
fn a_failed_set_up_names_the_party_whose_advert_is_wrong() {
    let config = intercepted(Toy::default().config(47), |seen| {
        let advert = seen.read().is_some_and(|frame| frame.step == Step::Advert);
        if advert && seen.from == Address::Party(2) {
            let key = identity_of(47, seen.from);
            return vec![seen.with(reseal(seen.bytes, &key, |frame| frame.body[5] ^= 1))];
        }
        vec![seen.pass()]
    });
    let outcome = run(config);
    let cause = cause(&outcome.end);
    assert!(cause.contains("party 2"), "{cause}");
}

/// A set-up that waits for the slot keys waits for party 0 alone, and says so.
#[test]
fn a_failed_set_up_names_party_0_for_the_slot_keys() {
    let config = intercepted(Toy::default().config(48), |seen| {
        let keys = seen
            .read()
            .is_some_and(|frame| frame.step == Step::SlotKeys);
        if keys { Vec::new() } else { vec![seen.pass()] }
    });
    let outcome = run(config);
    let cause = cause(&outcome.end);
    assert!(cause.contains("party 0"), "{cause}");
    assert!(!cause.contains("party 1"), "{cause}");
}
