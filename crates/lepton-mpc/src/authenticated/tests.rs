//! Honest computations, and cheaters at every step: no honest party ever gets a wrong result.

use std::collections::BTreeMap;
use std::sync::Arc;

use lepton_ring::FixedPoint;
use proptest::prelude::*;

use super::check::{Which, coefficients, commitment};
use super::field::{Element, expand, from_bytes};
use super::{Exchange, Joining, Progress, deal};
use crate::tests::{Sent, content, content_at, parties, party, rng, sent};
use crate::{
    CallerReason, Circuit, CircuitBuilder, CircuitError, Encoding, Fault, MessageReason, Sender,
    Session, local,
};

/// Two levels of products, an inner product, sums and public numbers, of three parties of whom two own inputs.
fn circuit() -> Circuit {
    let mut c = CircuitBuilder::new(parties(3));
    let encoding = Encoding::integers(1 << 12).unwrap();
    let x = c.input(party(0), 2, encoding).unwrap();
    let y = c.input(party(1), 2, encoding).unwrap();
    let z = c.input(party(0), 2, encoding).unwrap();
    let product = c.multiply(x, y).unwrap();
    let inner = c.inner_product(product, z).unwrap();
    let thrice = c.scale(z, -3).unwrap();
    let less = c.subtract(product, thrice).unwrap();
    let moved = c.offset(less, &[7, -8]).unwrap();
    let total = c.total(moved).unwrap();
    for output in [inner, moved, total] {
        c.open(output).unwrap();
    }
    c.finish().unwrap()
}

/// Phases of [`circuit`]: inputs, two levels, coins, commit, reveal, outputs, coins, commit, reveal.
const PHASES: usize = 10;

fn plain(x: [i64; 2], y: [i64; 2], z: [i64; 2]) -> Vec<Vec<i64>> {
    let product = [x[0] * y[0], x[1] * y[1]];
    let moved = [product[0] + 3 * z[0] + 7, product[1] + 3 * z[1] - 8];
    vec![
        vec![product[0] * z[0] + product[1] * z[1]],
        moved.to_vec(),
        vec![moved[0] + moved[1]],
    ]
}

/// How the computation ended for a party.
#[derive(Debug, PartialEq)]
enum End {
    Result(Vec<Vec<i64>>),
    Refused(Fault),
    Waiting,
}

struct Run {
    ends: Vec<End>,
    /// Exchanges that anybody began.
    phases: usize,
    dealt: Vec<Vec<u8>>,
}

/// Runs all parties, `alter` given every message of a phase, from 0, before it is delivered. Who sends altered messages remembers the last of them
/// as what it said: one that says the same to all keeps a transcript like theirs.
fn drive(
    circuit: Circuit,
    inputs: &[Vec<Vec<i64>>],
    seed: u64,
    mut alter: impl FnMut(usize, &mut Sent),
) -> Run {
    let session = Session::new([4; 32], Arc::new(circuit));
    let dealt = deal(&session, &mut rng(seed)).unwrap();
    let mut machines: Vec<Option<Exchange>> = Vec::new();
    let mut post = Vec::new();
    for (i, message) in dealt.iter().enumerate() {
        let rng = &mut rng(seed ^ (1 << 40) ^ i as u64);
        let mut joining = Joining::start(&session, party(i), &inputs[i], rng).unwrap();
        joining.receive(Sender::Dealer, &message.body).unwrap();
        let (machine, messages) = joining.advance().map_err(|(_, fault)| fault).unwrap();
        machines.push(Some(machine));
        post.extend(sent(Sender::Party(party(i)), messages));
    }
    let mut ends: Vec<_> = machines.iter().map(|_| End::Waiting).collect();
    let mut phases = 0;
    while !post.is_empty() {
        for message in &mut post {
            alter(phases, message);
            if let Sender::Party(from) = message.from
                && let Some(machine) = &mut machines[usize::from(from.get())]
            {
                machine.said(content(&message.body)[32..].to_vec());
            }
            let to = usize::from(message.to.get());
            if let Some(machine) = &mut machines[to]
                && let Err(fault) = machine.receive(message.from, &message.body)
            {
                ends[to] = End::Refused(fault);
                machines[to] = None;
            }
        }
        post.clear();
        phases += 1;
        for i in 0..machines.len() {
            match machines[i].take().map(Exchange::advance) {
                None | Some(Ok(Progress::Waiting(_))) => {}
                Some(Err(fault)) => ends[i] = End::Refused(fault),
                Some(Ok(Progress::Done(outputs))) => {
                    let outputs = outputs.all().iter().map(|o| o.encoded.clone());
                    ends[i] = End::Result(outputs.collect());
                }
                Some(Ok(Progress::Exchange(machine, messages))) => {
                    machines[i] = Some(*machine);
                    post.extend(sent(Sender::Party(party(i)), messages));
                }
            }
        }
    }
    let dealt = dealt.into_iter().map(|message| message.body).collect();
    Run {
        ends,
        phases,
        dealt,
    }
}

fn owned(x: [i64; 2], y: [i64; 2], z: [i64; 2]) -> Vec<Vec<Vec<i64>>> {
    vec![vec![x.to_vec(), z.to_vec()], vec![y.to_vec()], vec![]]
}

fn some() -> Vec<Vec<Vec<i64>>> {
    owned([3, -5], [4, 6], [-1, 2])
}

fn right() -> End {
    End::Result(plain([3, -5], [4, 6], [-1, 2]))
}

/// Adds 1 to the element at `at` of what a message says behind the transcript; changes a bit where there is none, but a hash.
fn add_one(message: &mut Sent, at: usize) {
    let at = content_at(&message.body) + 32 + 8 * at;
    let bytes = message.body[at..at + 8].try_into().unwrap();
    match Element::from_bytes(bytes) {
        Some(e) => message.body[at..at + 8].copy_from_slice(&e.plus(Element::of(1)).to_bytes()),
        None => message.body[at] ^= 1,
    }
}

fn pair() -> impl Strategy<Value = [i64; 2]> {
    prop::array::uniform2(-4096i64..=4096)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// AS-01, AS-02, AS-05, AS-08: all parties get what plain arithmetic gives, in `k + 8` exchanges.
    #[test]
    fn honest_parties_get_the_right_result(x in pair(), y in pair(), z in pair(), seed: u64) {
        let run = drive(circuit(), &owned(x, y, z), seed, |_, _| {});
        prop_assert_eq!(run.phases, PHASES);
        for end in run.ends {
            prop_assert_eq!(end, End::Result(plain(x, y, z)));
        }
    }

    /// Any change of one byte of any message of a cheater, to one party or to all: honest parties get the right result or none.
    #[test]
    fn no_change_gives_a_wrong_result(
        phase in 0..PHASES, at in any::<prop::sample::Index>(), flip in 1u8.., to_all: bool, seed: u64,
    ) {
        let run = drive(circuit(), &some(), seed, |now, message| {
            let hit = to_all || message.to == party(0);
            if now == phase && message.from == Sender::Party(party(2)) && hit {
                let begin = content_at(&message.body);
                let i = begin + at.index(message.body.len() - begin);
                message.body[i] ^= flip;
            }
        });
        for end in &run.ends[..2] {
            prop_assert!(!matches!(end, End::Result(_)) || *end == right(), "{end:?}");
        }
        // Who was lied to has no result at all.
        prop_assert!(!matches!(run.ends[0], End::Result(_)));
    }
}

/// AS-06 to AS-08: a share changed alike for all is found by the check, before any party shows a share of an output.
#[test]
fn changed_openings_are_found_before_outputs() {
    for phase in [1, 2] {
        let run = drive(circuit(), &some(), 5, |now, message| {
            if now == phase && message.from == Sender::Party(party(2)) {
                add_one(message, 1);
            }
        });
        assert_eq!(run.phases, 6, "outputs are the seventh");
        assert!(
            run.ends
                .iter()
                .all(|end| *end == End::Refused(Fault::Cheated))
        );
    }
}

/// AS-08: a share of an output changed alike for all is found before the output is given out.
#[test]
fn changed_outputs_are_found() {
    let run = drive(circuit(), &some(), 6, |now, message| {
        if now == 6 && message.from == Sender::Party(party(1)) {
            add_one(message, 0);
        }
    });
    assert_eq!(run.phases, PHASES);
    assert!(
        run.ends
            .iter()
            .all(|end| *end == End::Refused(Fault::Cheated))
    );
}

/// AS-04: different words for different parties are found by those who compare what they were told.
#[test]
fn different_words_for_different_parties_are_found() {
    for phase in [0, 1, 2, 4, 6] {
        let run = drive(circuit(), &some(), 7, |now, message| {
            let cheats = now == phase && message.from == Sender::Party(party(1));
            if cheats && message.to == party(0) {
                add_one(message, 0);
            }
        });
        for i in [0, 2] {
            let honest = &run.ends[i];
            let told = matches!(
                honest,
                End::Refused(Fault::Message(_, MessageReason::Transcript))
            );
            assert!(told, "phase {phase}, party {i}: {honest:?}");
        }
    }
}

/// AS-05, AS-07: coins and parts of the sum are those that were committed to.
#[test]
fn other_coins_and_parts_than_committed_are_refused() {
    for phase in [3, 5, 7, 9] {
        let run = drive(circuit(), &some(), 8, |now, message| {
            if now == phase && message.from == Sender::Party(party(1)) {
                add_one(message, 0);
            }
        });
        let refused = Fault::Message(Sender::Party(party(1)), MessageReason::Commitment);
        for i in [0, 2] {
            assert_eq!(run.ends[i], End::Refused(refused));
        }
    }
}

/// A cheater that changes a word and its part of the sum to match, with a key: its guess, or the true one, which nobody has. The latter gets through,
/// so the attack is the right one, and the key's secrecy is what stops it (AS-02).
fn forge(key: impl Fn(&[Vec<u8>]) -> Element) -> Run {
    let session =
        crate::authenticated::session(&Session::new([4; 32], Arc::new(circuit()))).unwrap();
    let key = key(&drive(circuit(), &some(), 9, |_, _| {}).dealt);
    let cheater = party(2);
    let mut coins = BTreeMap::new();
    let mut opening = Vec::new();
    // The cheater's own part, as the honest machine inside it will open it: known to it at the commitment, taken here from a run before.
    let mut own = Vec::new();
    drive(circuit(), &some(), 9, |now, message| {
        if now == 1 && message.from == Sender::Party(cheater) {
            add_one(message, 0);
        }
        if now == 5 && message.from == Sender::Party(cheater) {
            own = content(&message.body)[32..].to_vec();
        }
    });
    drive(circuit(), &some(), 9, |now, message| {
        let payload = content(&message.body)[32..].to_vec();
        if now == 3
            && let Sender::Party(p) = message.from
        {
            coins.insert(p, payload);
        }
        if message.from != Sender::Party(cheater) {
            return;
        }
        let at = content_at(&message.body) + 32;
        match now {
            1 => add_one(message, 0),
            4 => {
                let factor = coefficients(&coins, 12)[0];
                let part = Element::from_bytes(own[..8].try_into().unwrap()).unwrap();
                let forged = part.plus(key.times(factor));
                opening = [forged.to_bytes().as_slice(), &own[8..]].concat();
                let digest = commitment(&session, cheater, Which::OnTheWay, &opening);
                message.body[at..].copy_from_slice(digest.as_ref());
            }
            5 => message.body[at..].copy_from_slice(&opening),
            _ => {}
        }
    })
}

#[test]
fn forging_takes_the_key() {
    let guessed = forge(|_| Element::of(12_345));
    for i in [0, 1] {
        assert_eq!(guessed.ends[i], End::Refused(Fault::Cheated));
    }
    let known = forge(|dealt| {
        let words = 2 * crate::authenticated::dealt(&circuit()) + 1;
        let shares = dealt.iter().enumerate().map(|(i, body)| {
            let rest = content(body)[32..].to_vec();
            if i == 0 {
                from_bytes(&rest, words).unwrap()[0]
            } else {
                expand(
                    &lepton_crypto::Seed::from_bytes(rest.try_into().unwrap()),
                    1,
                )[0]
            }
        });
        shares.fold(Element::ZERO, Element::plus)
    });
    for i in [0, 1] {
        let forged = &known.ends[i];
        assert!(
            matches!(forged, End::Result(_)) && *forged != right(),
            "{forged:?}"
        );
    }
}

/// The driver of both protocols: the same result, at the price of the exchanges of the checks.
#[test]
fn both_protocols_compute_the_same() {
    let circuit = Arc::new(circuit());
    let (plain, before) = local::run(Arc::clone(&circuit), &some(), &mut rng(1)).unwrap();
    let (checked, traffic) = local::run_authenticated(circuit, &some(), &mut rng(2)).unwrap();
    assert_eq!(plain, checked);
    assert_eq!((before.exchanges, traffic.exchanges), (3, 10));
    assert_eq!(traffic.messages, 3 + 10 * 6);
}

/// AS-01: circuits that the field cannot hold.
#[test]
fn circuits_that_do_not_fit_are_refused() {
    let start = |circuit| {
        let session = Session::new([4; 32], Arc::new(circuit));
        let joining = Joining::start(&session, party(1), &[], &mut rng(1)).map(|_| ());
        (joining, deal(&session, &mut rng(1)).map(|_| ()))
    };
    let mut wide = CircuitBuilder::new(parties(2));
    let x = wide
        .input(party(0), 1, Encoding::integers(1 << 60).unwrap())
        .unwrap();
    wide.open(x).unwrap();
    let mut short = CircuitBuilder::new(parties(2));
    let real = Encoding::reals(FixedPoint::new(4), 9).unwrap();
    let x = short.input(party(0), 1, real).unwrap();
    let x = short.truncate(x, 3).unwrap();
    short.open(x).unwrap();
    let refused = Err(Fault::Caller(CallerReason::Circuit));
    let (joining, dealt) = start(wide.finish().unwrap());
    assert_eq!(
        (joining, dealt),
        (refused, Err(CircuitError::Overflow(1 << 60)))
    );
    let (joining, dealt) = start(short.finish().unwrap());
    let truncation = CircuitError::Truncation { bits: 3, have: 4 };
    assert_eq!((joining, dealt), (refused, Err(truncation)));
    let mut fits = CircuitBuilder::new(parties(2));
    let x = fits
        .input(party(0), 1, Encoding::integers((1 << 60) - 1).unwrap())
        .unwrap();
    fits.open(x).unwrap();
    assert_eq!(start(fits.finish().unwrap()), (Ok(()), Ok(())));
}

/// MP-12: foreign, second, early and late messages, and those of strangers.
#[test]
fn messages_out_of_place_are_refused() {
    let session = Session::new([4; 32], Arc::new(circuit()));
    let dealt = deal(&session, &mut rng(1)).unwrap();
    let mut joining = Joining::start(&session, party(1), &[vec![1, 2]], &mut rng(2)).unwrap();
    let refusal = |result: Result<(), Fault>| match result {
        Err(Fault::Message(_, reason)) => reason,
        other => panic!("{other:?}"),
    };
    let other = refusal(joining.receive(Sender::Dealer, &dealt[2].body));
    assert_eq!(other, MessageReason::Foreign);
    let semi_honest = &crate::deal(&session, &mut rng(1)).unwrap()[1].body;
    let other = refusal(joining.receive(Sender::Dealer, semi_honest));
    assert_eq!(other, MessageReason::Foreign);
    let short = &dealt[1].body[..dealt[1].body.len() - 1];
    assert_eq!(
        refusal(joining.receive(Sender::Dealer, short)),
        MessageReason::Malformed
    );
    joining.receive(Sender::Dealer, &dealt[1].body).unwrap();
    let again = refusal(joining.receive(Sender::Dealer, &dealt[1].body));
    assert_eq!(again, MessageReason::Duplicate);
    let early = refusal(joining.receive(Sender::Party(party(0)), &dealt[1].body));
    assert_eq!(early, MessageReason::Early);
    let (mut machine, messages) = joining.advance().map_err(|(_, fault)| fault).unwrap();
    assert_eq!(machine.missing(), Some(Sender::Party(party(0))));
    for from in [
        Sender::Dealer,
        Sender::Party(party(1)),
        Sender::Party(party(3)),
    ] {
        let stranger = refusal(machine.receive(from, &messages[0].body));
        assert_eq!(stranger, MessageReason::Unexpected);
    }
    let reflected = refusal(machine.receive(Sender::Party(party(0)), &messages[0].body));
    assert_eq!(reflected, MessageReason::Foreign);
    let late = refusal(machine.receive(Sender::Party(party(2)), &[]));
    assert_eq!(late, MessageReason::Foreign);
    assert!(matches!(machine.advance(), Ok(Progress::Waiting(_))));
}
