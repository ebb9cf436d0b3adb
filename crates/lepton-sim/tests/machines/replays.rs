//! A coordinator, or whoever recorded its frames, that repeats, skips or redresses a step.

use lepton_protocol::exchange::Kind;
use lepton_protocol::frame::{Address, Step};
use lepton_protocol::ledger::Ledger as _;
use lepton_protocol::wire::BeginIn;
use lepton_sim::{Delivery, End, Frame, identity_of, reseal};
use prost::Message as _;

use crate::kit::{Toy, check, intercepted, run};
use crate::training::declines;

fn change_begin(frame: &mut Frame, change: impl FnOnce(&mut BeginIn)) {
    let mut begin = BeginIn::decode(frame.body.as_slice()).unwrap();
    change(&mut begin);
    frame.body = begin.encode_to_vec();
}

/// PR-02: a coordinator that hands out no slot key and begins the survey at once must not get one under a key that everybody knows.
#[test]
fn pr_02_no_survey_without_the_slot_key() {
    let mut plan = None;
    let config = intercepted(Toy::default().config(41), move |seen| {
        let frame = seen.read().unwrap();
        let key = identity_of(41, Address::Coordinator);
        if frame.step != Step::SlotKey || seen.to == Address::Party(0) {
            return vec![seen.pass()];
        }
        // Instead of the sealed key: the beginning of the survey, to every party.
        let begin = plan.get_or_insert_with(|| {
            let begin = BeginIn {
                kind: Kind::Survey as u32,
                ..BeginIn::default()
            };
            begin.encode_to_vec()
        });
        let forged = reseal(seen.bytes, &key, |frame| {
            (frame.step, frame.place.round, frame.place.attempt) = (Step::Begin, 1, 1);
            frame.body.clone_from(begin);
        });
        vec![seen.with(forged)]
    });
    let outcome = run(config);
    let inputs: Vec<Address> = outcome
        .frames
        .iter()
        .filter(|sent| sent.step == Some(Step::Input))
        .map(|sent| sent.from)
        .collect();
    assert!(inputs.is_empty(), "surveyed without a slot key: {inputs:?}");
}

/// FT-11, SA-20: a field that the vector does not depend on must not make the same inputs look like others.
#[test]
fn ft_11_an_idle_field_does_not_make_a_second_set() {
    let forge = crate::kit::With(|seen: lepton_sim::Seen<'_>| {
        let frame = seen.read().unwrap();
        if frame.step != Step::Begin || frame.place.round != 1 {
            return vec![seen.pass()];
        }
        let key = identity_of(8, Address::Coordinator);
        let state = br#"{"kept":{},"ranges":{},"moments":null,"rows":5.0,"class_counts":[]}"#;
        let forged = reseal(seen.bytes, &key, |frame| {
            change_begin(frame, |begin| begin.prepared = state.to_vec());
        });
        vec![seen.with(forged)]
    });
    let outcome = crate::training::after_a_signed_set(true, Some(Box::new(forge)));
    assert!(declines(&outcome).len() >= 3, "{:?}", outcome.events);
    assert_eq!(outcome.sums[0].survivors, [0, 1, 2, 3]);
}

/// FT-08: one charge for one exchange, however often its beginning arrives.
#[test]
fn ft_08_a_replayed_begin_is_not_charged_again() {
    for later in [0, 2, 300] {
        let config = intercepted(Toy::private(8.0).config(43), move |seen| {
            let frame = seen.read().unwrap();
            let mut out = vec![seen.pass()];
            if frame.step == Step::Begin && seen.to == Address::Party(1) && frame.place.round == 3 {
                out.push(Delivery {
                    later,
                    ..seen.pass()
                });
            }
            out
        });
        let outcome = run(config);
        check(&outcome).unwrap();
        let ledger = &outcome.durable.ledgers[1];
        let rounds: Vec<u64> = ledger.charges().iter().map(|charge| charge.round).collect();
        assert_eq!(rounds, [1, 2, 3, 4, 5, 6], "later by {later}");
        assert!(outcome.sums.iter().all(|sum| sum.survivors.contains(&1)));
    }
}

/// "A bad message changes nothing": adverts that arrive again must not throw a party out of its epoch.
#[test]
fn adverts_that_arrive_again_change_nothing() {
    let config = intercepted(Toy::default().config(44), move |seen| {
        let mut out = vec![seen.pass()];
        if seen.read().is_some_and(|frame| frame.step == Step::Adverts)
            && seen.to == Address::Party(1)
        {
            out.push(Delivery {
                later: 400,
                ..seen.pass()
            });
        }
        out
    });
    let outcome = run(config);
    check(&outcome).unwrap();
    assert_eq!(outcome.end, End::Over);
    assert!(outcome.sums.iter().all(|sum| sum.survivors.contains(&1)));
}
