//! Messages and calls that are refused; the computation then ends as if they had never come (MP-12, MP-13).

use proptest::prelude::*;

use super::*;

fn product_circuit(n: usize, len: usize) -> Circuit {
    let mut c = CircuitBuilder::new(parties(n));
    let encoding = Encoding::integers(1000).unwrap();
    let x = c.input(party(0), len, encoding).unwrap();
    let y = c.input(party(1), len, encoding).unwrap();
    let product = c.multiply(x, y).unwrap();
    c.open(product).unwrap();
    c.finish().unwrap()
}

fn inputs() -> Vec<Vec<Vec<i64>>> {
    vec![vec![vec![6, -7]], vec![vec![8, 9]], vec![]]
}

fn refusal(result: Result<(), Fault>) -> (Sender, MessageReason) {
    match result.unwrap_err() {
        Fault::Message(sender, reason) => (sender, reason),
        other => panic!("{other}"),
    }
}

/// Offers `attack` to the receiver of message `target` just before that message, and checks that it is refused for `reason` and that the result is right.
fn refused_before(
    target: impl Fn(&Sent) -> bool,
    attack: impl Fn(&Sent) -> (Sender, Vec<u8>),
    reason: MessageReason,
) {
    let session = session(1, product_circuit(3, 2));
    let started = start(&session, &inputs(), 3);
    let mut machines = started.machines;
    let mut hits = 0;
    for message in started.messages {
        let machine = &mut machines[usize::from(message.to.get())];
        if target(&message) {
            let (from, body) = attack(&message);
            let missing = machine.missing();
            assert_eq!(refusal(machine.receive(from, &body)), (from, reason));
            assert_eq!(machine.missing(), missing);
            hits += 1;
        }
        machine.receive(message.from, &message.body).unwrap();
    }
    assert_eq!(hits, 1);
    let started = Started {
        machines,
        messages: Vec::new(),
    };
    let outputs = finish(started, |_| {}).outputs;
    assert!(outputs.iter().all(|o| o.all()[0].encoded == [48, -63]));
}

fn is(from: Sender, to: usize) -> impl Fn(&Sent) -> bool {
    move |message| message.from == from && message.to == party(to)
}

const OWNER: Sender = Sender::Party(PartyIndex::new(0));

#[test]
fn altered_messages_are_refused() {
    let cut = |m: &Sent| (m.from, m.body[..m.body.len() - 1].to_vec());
    refused_before(is(OWNER, 2), cut, MessageReason::Malformed);
    let empty = |m: &Sent| (m.from, Vec::new());
    refused_before(is(OWNER, 2), empty, MessageReason::Foreign);
    let long = |m: &Sent| (m.from, [m.body.as_slice(), &[0; 4096]].concat());
    refused_before(is(OWNER, 2), long, MessageReason::TooLong);
    let digest = |m: &Sent| {
        let mut body = m.body.clone();
        body[5] ^= 1;
        (m.from, body)
    };
    refused_before(is(OWNER, 2), digest, MessageReason::Foreign);
    refused_before(is(Sender::Dealer, 0), digest, MessageReason::Foreign);
}

/// The digest covers sender, receiver, session and circuit (MP-01).
#[test]
fn foreign_messages_are_refused() {
    let under_another_name = |m: &Sent| (Sender::Party(party(1)), m.body.clone());
    refused_before(is(OWNER, 2), under_another_name, MessageReason::Foreign);
    let other = |id, circuit| {
        let started = start(&session(id, circuit), &inputs(), 3);
        let found = started.messages.into_iter().find(is(OWNER, 2));
        found.unwrap().body
    };
    let replay = other(2, product_circuit(3, 2));
    refused_before(
        is(OWNER, 2),
        |m| (m.from, replay.clone()),
        MessageReason::Foreign,
    );
    let mut wider = CircuitBuilder::new(parties(3));
    let bound = Encoding::integers(1001).unwrap();
    let x = wider.input(party(0), 2, bound).unwrap();
    let y = wider.input(party(1), 2, bound).unwrap();
    let product = wider.multiply(x, y).unwrap();
    wider.open(product).unwrap();
    let told_otherwise = other(1, wider.finish().unwrap());
    refused_before(
        is(OWNER, 2),
        |m| (m.from, told_otherwise.clone()),
        MessageReason::Foreign,
    );
    // What was sent to party 1 is not for party 2.
    let session = session(1, product_circuit(3, 2));
    let started = start(&session, &inputs(), 3);
    let elsewhere = started
        .messages
        .into_iter()
        .find(is(OWNER, 1))
        .unwrap()
        .body;
    refused_before(
        is(OWNER, 2),
        |m| (m.from, elsewhere.clone()),
        MessageReason::Foreign,
    );
}

#[test]
fn second_messages_and_strangers_are_refused() {
    let session = session(1, product_circuit(3, 2));
    let mut started = start(&session, &inputs(), 3);
    for message in &started.messages {
        let machine = &mut started.machines[usize::from(message.to.get())];
        machine.receive(message.from, &message.body).unwrap();
        let again = refusal(machine.receive(message.from, &message.body));
        assert_eq!(again, (message.from, MessageReason::Duplicate));
    }
    let machine = &mut started.machines[2];
    for stranger in [2, 3, 64] {
        let from = Sender::Party(party(stranger));
        let body = &started.messages[0].body;
        assert_eq!(
            refusal(machine.receive(from, body)),
            (from, MessageReason::Unexpected)
        );
    }
}

/// Parties ahead of this one, and late copies: named as such, so that the caller can offer the former again.
#[test]
fn early_and_late_messages_are_refused() {
    let session = session(1, product_circuit(3, 2));
    let Started { machines, messages } = start(&session, &inputs(), 3);
    let late = messages
        .iter()
        .find(|m| is(OWNER, 1)(m))
        .unwrap()
        .body
        .clone();
    let mut machines = machines;
    for message in &messages {
        let machine = &mut machines[usize::from(message.to.get())];
        machine.receive(message.from, &message.body).unwrap();
    }
    let mut machines = machines.into_iter();
    let (_, ahead) = machines
        .next()
        .unwrap()
        .advance()
        .map_err(|(_, f)| f)
        .unwrap();
    let early = ahead.into_iter().find(|m| m.to == party(1)).unwrap().body;
    let mut behind = machines.next().unwrap();
    assert_eq!(
        refusal(behind.receive(OWNER, &early)),
        (OWNER, MessageReason::Early)
    );
    let (mut opening, _) = behind.advance().map_err(|(_, f)| f).unwrap();
    assert_eq!(
        refusal(opening.receive(OWNER, &late)),
        (OWNER, MessageReason::Late)
    );
    let dealer = refusal(opening.receive(Sender::Dealer, &late));
    assert_eq!(dealer, (Sender::Dealer, MessageReason::Unexpected));
    opening.receive(OWNER, &early).unwrap();
    let again = refusal(opening.receive(OWNER, &early));
    assert_eq!(again, (OWNER, MessageReason::Duplicate));
    let Err((opening, fault)) = opening.advance() else {
        panic!("party 2 is missing")
    };
    let missing = CallerReason::Missing(Sender::Party(party(2)));
    assert_eq!(fault, Fault::Caller(missing));
    assert_eq!(opening.missing(), Some(Sender::Party(party(2))));
}

/// Content of another length than the circuit's: made by a party whose circuit digest is the same, so by one that deviates.
#[test]
fn content_of_another_length_is_refused() {
    let shorter = |m: &Sent| {
        let at = content_at(&m.body);
        let mut body = m.body[..m.body.len() - 8].to_vec();
        body[at - 1] -= 8;
        (m.from, body)
    };
    refused_before(is(OWNER, 2), shorter, MessageReason::Length);
    refused_before(is(Sender::Dealer, 0), shorter, MessageReason::Length);
}

#[test]
fn wrong_calls_are_refused() {
    let session = session(1, product_circuit(3, 2));
    let start = |p: usize, inputs: &[Vec<i64>]| {
        let started = Sharing::start(session.clone(), party(p), inputs, &mut rng(1));
        started.map(|_| ()).unwrap_err()
    };
    let reasons = [
        (3, vec![], CallerReason::Party(party(3))),
        (0, vec![], CallerReason::Inputs { have: 0, need: 1 }),
        (
            2,
            vec![vec![1, 2]],
            CallerReason::Inputs { have: 1, need: 0 },
        ),
        (
            0,
            vec![vec![1]],
            CallerReason::Length {
                input: 0,
                have: 1,
                need: 2,
            },
        ),
        (
            0,
            vec![vec![1, -1001]],
            CallerReason::Bound {
                input: 0,
                position: 1,
                bound: 1000,
            },
        ),
        (
            0,
            vec![vec![i64::MIN, 0]],
            CallerReason::Bound {
                input: 0,
                position: 0,
                bound: 1000,
            },
        ),
    ];
    for (p, inputs, reason) in reasons {
        assert_eq!(start(p, &inputs), Fault::Caller(reason));
    }
    let (machine, _) = Sharing::start(session.clone(), party(2), &[], &mut rng(1)).unwrap();
    let (machine, fault) = machine.advance().map(|_| ()).unwrap_err();
    assert_eq!(fault, Fault::Caller(CallerReason::Missing(Sender::Dealer)));
    assert_eq!(machine.missing(), Some(Sender::Dealer));
}

/// A sum needs no dealer: one that deals anyway is refused.
#[test]
fn a_dealer_without_use_is_refused() {
    let mut c = CircuitBuilder::new(parties(2));
    let x = c
        .input(party(0), 1, Encoding::integers(9).unwrap())
        .unwrap();
    c.open(x).unwrap();
    let session = session(1, c.finish().unwrap());
    let refused = deal(&session, &mut rng(1)).map(|_| ()).unwrap_err();
    assert_eq!(refused, Fault::Caller(CallerReason::NoDealer));
    let (mut machine, _) = Sharing::start(session, party(1), &[], &mut rng(1)).unwrap();
    let unexpected = (Sender::Dealer, MessageReason::Unexpected);
    assert_eq!(refusal(machine.receive(Sender::Dealer, &[])), unexpected);
    // Nor has a party without inputs anything to send before the opening.
    let stranger = machine.receive(Sender::Party(party(1)), &[]);
    assert_eq!(refusal(stranger).1, MessageReason::Unexpected);
}

proptest! {
    /// Arbitrary bytes, and honest messages with any one byte changed, never panic; what is taken has the length the circuit says.
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index, flip in 1u8..) {
        let session = session(1, product_circuit(3, 2));
        let mut started = start(&session, &inputs(), 3);
        prop_assert!(started.machines[2].receive(OWNER, &bytes).is_err());
        for mut message in started.messages {
            let i = at.index(message.body.len());
            message.body[i] ^= flip;
            let machine = &mut started.machines[usize::from(message.to.get())];
            let taken = machine.receive(message.from, &message.body);
            // Only content may change unseen: shares have no redundancy.
            prop_assert_eq!(taken.is_ok(), i >= content_at_unchecked(&message.body));
        }
    }
}

/// Where the content of a message of the first two steps begins, whatever was changed.
fn content_at_unchecked(body: &[u8]) -> usize {
    match body.len() {
        68 => 36, // a seed of the dealer
        70 => 38, // a seed of an owner
        _ => 36,  // the dealer's words: six of them
    }
}
