//! Honest computations against plain arithmetic, known answers, what the shares show, and an attack per rule.

mod honest;
mod known;
mod ranges;
mod refusals;
mod uniform;

use std::sync::Arc;

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::shares::from_bytes;
use crate::*;

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn party(index: usize) -> PartyIndex {
    PartyIndex::new(u16::try_from(index).unwrap())
}

pub(crate) fn parties(count: usize) -> Parties {
    Parties::new(u16::try_from(count).unwrap()).unwrap()
}

/// A message with its sender.
pub(crate) struct Sent {
    pub(crate) from: Sender,
    pub(crate) to: PartyIndex,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn sent(from: Sender, messages: Vec<Message>) -> impl Iterator<Item = Sent> {
    let sent = move |Message { to, body }| Sent { from, to, body };
    messages.into_iter().map(sent)
}

/// Everything sent in a computation.
pub(crate) struct Transcript {
    pub(crate) messages: Vec<Sent>,
    /// By exchange: the opened words.
    pub(crate) opened: Vec<Vec<u64>>,
    /// By party; all equal where parties are honest.
    pub(crate) outputs: Vec<Outputs>,
}

/// All parties before the first message is given to anybody.
pub(crate) struct Started {
    pub(crate) machines: Vec<Sharing>,
    pub(crate) messages: Vec<Sent>,
}

/// Starts every party, party `i` with a generator of its own.
pub(crate) fn start(session: &Session, inputs: &[Vec<Vec<i64>>], seed: u64) -> Started {
    let circuit = session.circuit();
    let mut messages = Vec::new();
    if circuit.needs_dealer() {
        let dealt = deal(session, &mut rng(seed ^ u64::MAX)).unwrap();
        messages.extend(sent(Sender::Dealer, dealt));
    }
    let machines = circuit
        .parties()
        .all()
        .zip(inputs)
        .zip(0..)
        .map(|((p, inputs), i)| {
            let rng = &mut rng(seed ^ (i << 32));
            let (machine, shared) = Sharing::start(session.clone(), p, inputs, rng).unwrap();
            messages.extend(sent(Sender::Party(p), shared));
            machine
        });
    let machines = machines.collect();
    Started { machines, messages }
}

/// Runs what was started, `alter` given every message of an exchange before it is delivered.
pub(crate) fn finish(mut started: Started, mut alter: impl FnMut(&mut Sent)) -> Transcript {
    let mut all = Vec::new();
    for mut message in started.messages {
        alter(&mut message);
        let machine = &mut started.machines[usize::from(message.to.get())];
        machine.receive(message.from, &message.body).unwrap();
        all.push(message);
    }
    let mut exchange = Vec::new();
    let mut machines = Vec::new();
    for (i, machine) in started.machines.into_iter().enumerate() {
        let (machine, messages) = machine.advance().map_err(|(_, fault)| fault).unwrap();
        exchange.extend(sent(Sender::Party(party(i)), messages));
        machines.push(machine);
    }
    let mut opened = Vec::new();
    loop {
        for message in &mut exchange {
            alter(message);
            let machine = &mut machines[usize::from(message.to.get())];
            machine.receive(message.from, &message.body).unwrap();
        }
        opened.push(words_of(&exchange));
        all.append(&mut exchange);
        let (mut ahead, mut outputs) = (Vec::new(), Vec::new());
        for (i, machine) in machines.into_iter().enumerate() {
            match machine.advance().map_err(|(_, fault)| fault).unwrap() {
                Next::Done(output) => outputs.push(output),
                Next::Opening(machine, messages) => {
                    exchange.extend(sent(Sender::Party(party(i)), messages));
                    ahead.push(machine);
                }
            }
        }
        machines = ahead;
        if machines.is_empty() {
            return Transcript {
                messages: all,
                opened,
                outputs,
            };
        }
    }
}

/// The sum over the senders of what they showed in an exchange.
fn words_of(exchange: &[Sent]) -> Vec<u64> {
    let mut seen = std::collections::BTreeMap::new();
    for message in exchange {
        if let Sender::Party(p) = message.from {
            seen.insert(p, content(&message.body));
        }
    }
    let mut sum = vec![0u64; seen.values().next().unwrap().len() / 8];
    for bytes in seen.values() {
        crate::shares::add(&mut sum, &from_bytes(bytes, bytes.len() / 8).unwrap());
    }
    sum
}

/// The bytes of the content field: the last one of a message.
pub(crate) fn content(body: &[u8]) -> Vec<u8> {
    let at = content_at(body);
    body[at..].to_vec()
}

/// Where the content begins: behind the digest (34 bytes), the step (2, none for dealing), tag and length.
pub(crate) fn content_at(body: &[u8]) -> usize {
    let mut at = 34;
    at += if body[at] == 0x10 { 2 } else { 0 };
    assert_eq!(body[at], 0x1a);
    at += 1;
    while body[at] >= 0x80 {
        at += 1;
    }
    at + 1
}

pub(crate) fn session(id: u8, circuit: Circuit) -> Session {
    Session::new([id; 32], Arc::new(circuit))
}

pub(crate) fn run(session: &Session, inputs: &[Vec<Vec<i64>>], seed: u64) -> Transcript {
    finish(start(session, inputs, seed), |_| {})
}
