//! What parties refuse, who is told why, and what a lost attempt leaves behind (FT-09, FT-11, SA-13, SA-15, SA-21).

use lepton_protocol::exchange::Kind;
use lepton_protocol::frame::{Address, Step};
use lepton_protocol::ledger::Ledger as _;
use lepton_protocol::party::{EPOCH, epoch_of};
use lepton_protocol::progress::Progress;
use lepton_protocol::store::Store as _;
use lepton_protocol::wire::DeclineIn;
use lepton_sim::{
    Delivery, End, FaultKind, Frame, MemoryStore, Seen, SimConfig, SimFault, SimOutcome,
    Simulation, Stop, When, identity_of, reseal,
};
use prost::Message as _;

use crate::kit::{Toy, check, intercepted, run};

fn cause(end: &End) -> &str {
    match end {
        End::Fault(cause) => cause,
        _ => panic!("{end:?}"),
    }
}

/// A job whose statistics are exact sums, so that survivor sets are recorded (FT-11).
fn without_goal() -> Toy {
    Toy {
        discovered: false,
        ..Toy::default()
    }
}

/// Frames of one step in one exchange.
fn of(seen: &Seen<'_>, step: Step, exchange: u64) -> bool {
    let frame = seen.read();
    frame.is_some_and(|frame| frame.step == step && frame.place.round == exchange)
}

/// SA-21: a party that starts again enters no epoch that it entered before, whoever asks: the number is durable before its advert leaves.
#[test]
fn sa_21_a_restarted_party_enters_no_epoch_twice() {
    let entered = |forget: bool| {
        let mut first = Toy::default().config(71);
        first.stop = Some(Stop::Steps(20));
        let killed = run(first);
        let mut durable = killed.durable;
        assert_eq!(durable.epoch, 1);
        // A coordinator that opens epoch 1 again.
        durable.epoch = 0;
        if forget {
            durable.stores.fill(MemoryStore::default());
        }
        let outcome = Simulation::resumed(Toy::default().config(71), durable)
            .unwrap()
            .run();
        let adverts = outcome.frames.iter();
        let adverts = adverts
            .filter(|sent| sent.step == Some(Step::Advert))
            .count();
        (adverts, outcome)
    };
    let (adverts, outcome) = entered(false);
    assert_eq!(adverts, 0, "a party entered epoch 1 twice");
    for faults in &outcome.faults {
        assert!(faults[0].contains("a frame of epoch 1"), "{faults:?}");
    }
    assert_eq!(entered(true).0, 4, "the twin: parties that forget");
}

/// SA-21: what a party persists before its advert is the epoch itself.
#[test]
fn sa_21_the_epoch_is_durable_before_the_advert() {
    let outcome = run(Toy::default().config(72));
    for store in &outcome.durable.stores {
        let record = store.get(EPOCH).unwrap().unwrap();
        assert_eq!(epoch_of(&record), Some(1));
    }
    assert_eq!(epoch_of(&[1]), None);
}

/// SA-13: parties to whom a bundle does not open say whose it is, at once; the coordinator need not wait for them.
#[test]
fn sa_13_a_bundle_that_does_not_open_names_its_dealer() {
    let config = intercepted(Toy::private(8.0).config(73), |seen| {
        if of(&seen, Step::Input, 2) && seen.from == Address::Party(3) {
            let key = identity_of(73, seen.from);
            return vec![seen.with(reseal(seen.bytes, &key, spoil_bundles))];
        }
        vec![seen.pass()]
    });
    let outcome = run(config);
    check(&outcome).unwrap();
    let told: Vec<(u64, u16, &str)> = outcome
        .events
        .iter()
        .filter_map(|(at, event)| match event {
            Progress::Declined { party, reason, .. } => Some((*at, *party, reason.as_str())),
            _ => None,
        })
        .collect();
    let parties: Vec<u16> = told.iter().map(|(_, party, _)| *party).collect();
    assert!(
        parties.contains(&0)
            && parties.contains(&1)
            && parties.contains(&2)
            && !parties.contains(&3),
        "{told:?}"
    );
    for (at, _, reason) in told {
        assert!(
            reason.contains("the bundle of party 3 does not open"),
            "{reason}"
        );
        assert!(at < 10_000, "nobody waits for the deadline");
    }
    assert!(outcome.sums.iter().all(|sum| sum.exchange != 2));
    assert!(outcome.is_over());
}

/// Field 3 of message (a): every sealed bundle gets another first byte.
fn spoil_bundles(frame: &mut Frame) {
    let mut input = wire::Input::decode(frame.body.as_slice()).unwrap();
    input.sealed.iter_mut().for_each(|bundle| bundle[0] ^= 1);
    frame.body = input.encode_to_vec();
}

/// Message (a) as `docs/protocols/masked-sum.md` encodes it, written down once more: what a party with a program of its own can send.
mod wire {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Input {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) binding: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) vector: Vec<u8>,
        #[prost(bytes = "vec", repeated, tag = "3")]
        pub(super) sealed: Vec<Vec<u8>>,
        #[prost(bytes = "vec", tag = "4")]
        pub(super) columns: Vec<u8>,
        #[prost(bytes = "vec", tag = "5")]
        pub(super) secrets: Vec<u8>,
    }
}

/// SA-15, FT-11: a party that contradicts others about pair seeds ends its attempt, and binds the job to nothing: the sum comes about without it.
#[test]
fn ft_11_a_set_that_was_never_shown_binds_nobody() {
    let mut config = intercepted(without_goal().config(74), |seen| {
        if of(&seen, Step::Input, 1) && seen.from == Address::Party(3) {
            let key = identity_of(74, seen.from);
            let lie = |frame: &mut Frame| {
                let mut input = wire::Input::decode(frame.body.as_slice()).unwrap();
                input.secrets[0] ^= 1;
                frame.body = input.encode_to_vec();
            };
            return vec![seen.with(reseal(seen.bytes, &key, lie))];
        }
        vec![seen.pass()]
    });
    config.faults.push(SimFault {
        party: 3,
        when: When::Exchange {
            from: 2,
            after: 0,
            until: 100,
        },
        kind: FaultKind::Drop,
    });
    let outcome = run(config);
    check(&outcome).unwrap();
    let lost = outcome.events.iter().any(|(_, event)| {
        matches!(event, Progress::Abandoned { reason, .. } if reason.contains("commit to different pair seeds"))
    });
    assert!(lost, "{:?}", outcome.events);
    assert!(outcome.is_over(), "{:?}", outcome.end);
    assert!(outcome.sums.iter().all(|sum| sum.survivors == [0, 1, 2]));
}

/// The first exchange is signed by all and lost before it is opened: nobody's openings arrive.
fn signed_and_lost(
    mut config: SimConfig,
    also: impl Fn(&Seen<'_>) -> Option<Vec<Delivery>> + 'static,
) -> SimConfig {
    config.patience = 10_000;
    intercepted(config, move |seen| {
        if of(&seen, Step::Open, 1) {
            return Vec::new();
        }
        also(&seen).unwrap_or_else(|| vec![seen.pass()])
    })
}

fn summed_sets(outcome: &SimOutcome, kind: Kind) -> Vec<Vec<u16>> {
    let sums = outcome.sums.iter().filter(|sum| sum.kind == kind);
    sums.map(|sum| sum.survivors.clone()).collect()
}

/// FT-11: the coordinator waits for who signed and is gone, not for five attempts without it.
#[test]
fn ft_11_a_signer_that_is_gone_is_waited_for() {
    let mut config = signed_and_lost(without_goal().config(75), |_| None);
    config.faults.push(SimFault {
        party: 3,
        when: When::Time(2_000, 35_000),
        kind: FaultKind::Drop,
    });
    let outcome = run(config);
    check(&outcome).unwrap();
    assert!(outcome.is_over(), "{:?}", outcome.end);
    let everybody = vec![vec![0, 1, 2, 3]];
    assert_eq!(summed_sets(&outcome, Kind::Statistics), everybody);
    let waits = |event: &Progress| matches!(event, Progress::Note { text } if text.contains("waiting for party 3"));
    assert!(outcome.events.iter().any(|(_, event)| waits(event)));
    // It is asked again as soon as it is back.
    let back = outcome
        .events
        .iter()
        .find(|(_, event)| matches!(event, Progress::Summed { .. }));
    assert!(
        back.is_some_and(|(at, _)| (35_000..36_000).contains(at)),
        "{back:?}"
    );
}

/// A reply of this party: it declines.
fn declining(seen: &Seen<'_>, seed: u64) -> Vec<Delivery> {
    let key = identity_of(seed, seen.from);
    let decline = DeclineIn {
        reason: "it has other things to do".to_owned(),
        refused: false,
    };
    let bytes = reseal(seen.bytes, &key, |frame| {
        frame.step = Step::Decline;
        frame.body = decline.encode_to_vec();
    });
    vec![seen.with(bytes)]
}

/// FT-11: the set that all have signed is asked for again, although in a later attempt one declines before it is shown a set, and the others stay silent.
#[test]
fn ft_11_a_party_that_declines_early_does_not_free_the_others() {
    let config = signed_and_lost(without_goal().config(76), |seen| {
        match (of(seen, Step::Input, 2), seen.from) {
            (true, Address::Party(3)) => Some(declining(seen, 76)),
            (true, _) => Some(Vec::new()),
            _ => None,
        }
    });
    let outcome = run(without_party_3(3, config));
    check(&outcome).unwrap();
    let everybody = vec![vec![0, 1, 2, 3]];
    assert_eq!(summed_sets(&outcome, Kind::Statistics), everybody);
    assert!(
        nobody_was_asked_for_another_set(&outcome),
        "{:?}",
        outcome.events
    );
}

/// FT-11: one survivor declines the set; what the others sent is lost, so they may have signed it.
#[test]
fn ft_11_one_that_declines_does_not_speak_for_those_who_may_have_signed() {
    let config = intercepted(without_goal().config(77), |seen| {
        match (of(&seen, Step::Agree, 1), seen.from) {
            (true, Address::Party(2)) => declining(&seen, 77),
            (true, _) => Vec::new(),
            _ => vec![seen.pass()],
        }
    });
    let outcome = run(without_party_3(2, config));
    check(&outcome).unwrap();
    let everybody = vec![vec![0, 1, 2, 3]];
    assert_eq!(summed_sets(&outcome, Kind::Statistics), everybody);
    assert!(
        nobody_was_asked_for_another_set(&outcome),
        "{:?}",
        outcome.events
    );
}

/// Party 3 is gone in one exchange: a coordinator that has forgotten who signed would go on without it.
fn without_party_3(exchange: u64, mut config: SimConfig) -> SimConfig {
    config.faults.push(SimFault {
        party: 3,
        when: When::Exchange {
            from: exchange,
            after: 0,
            until: exchange + 1,
        },
        kind: FaultKind::Drop,
    });
    config
}

fn nobody_was_asked_for_another_set(outcome: &SimOutcome) -> bool {
    outcome.events.iter().all(|(_, event)| {
        !matches!(event, Progress::Declined { reason, .. } if reason.contains("another set"))
    })
}

/// A set-up that a party refuses says so, not that it was silent; the party's own log says why.
#[test]
fn a_refused_slot_key_is_named_as_the_cause() {
    let config = intercepted(Toy::default().config(78), |seen| {
        let frame = seen.read();
        if frame.is_some_and(|frame| frame.step == Step::SlotKey) && seen.to == Address::Party(2) {
            let key = identity_of(78, Address::Coordinator);
            return vec![seen.with(reseal(seen.bytes, &key, |frame| frame.body[5] ^= 1))];
        }
        vec![seen.pass()]
    });
    let outcome = run(config);
    let cause = cause(&outcome.end);
    assert!(
        cause.contains("party 2 declined: it refuses the slot key"),
        "{cause}"
    );
    assert!(
        outcome.faults[2][0].contains("did not seal"),
        "{:?}",
        outcome.faults
    );
}

/// FT-09: what a ledger holds stays with its party.
#[test]
fn ft_09_the_coordinator_hears_no_figures_of_a_ledger() {
    let first = run(Toy::private(4.0).config(79));
    let mut config = Toy::private(4.0).config(79);
    config.parties[1].spent = first.durable.ledgers[1].charges().to_vec();
    let outcome = run(config);
    check(&outcome).unwrap();
    let reasons = outcome.events.iter().filter_map(|(_, event)| match event {
        Progress::Declined { reason, .. } => Some(reason.as_str()),
        _ => None,
    });
    let reasons: std::collections::BTreeSet<&str> = reasons.collect();
    assert_eq!(
        reasons.into_iter().collect::<Vec<_>>(),
        ["its privacy ledger refuses this exchange"]
    );
    let own = &outcome.faults[1];
    assert!(own.iter().any(|line| line.contains("epsilon")), "{own:?}");
}

/// The end says how many rounds are in the model that is kept, not how many there were.
#[test]
fn the_end_counts_the_rounds_of_the_model_that_is_kept() {
    let toy = Toy {
        rounds: 40,
        more: "early_stop = { metric = \"accuracy\", patience = 1 }\n",
        ..Toy::default()
    };
    let outcome = run(toy.config(80));
    check(&outcome).unwrap();
    let (kept, done) = (
        outcome.training.rounds_in_model(),
        outcome.training.rounds_done(),
    );
    assert!(kept < done, "{kept} of {done}");
    for finale in outcome.finished.iter().flatten() {
        assert_eq!(finale.rounds, kept);
    }
    assert_eq!(outcome.finished.iter().flatten().count(), 4);
}
