//! A party in one exchange after another: inputs, openings, check, outputs, check.

use std::collections::BTreeMap;

use lepton_crypto::{Digest, hash};

use super::check::{Secrets, Unchecked, Which, coefficients, commitment};
use super::field::{Element, from_bytes, to_bytes};
use super::table::{Shares, Table};
use crate::wire::{FIRST_OPENING, Way};
use crate::{Fault, Message, MessageReason, Outputs, PartyIndex, Sender, Session};

/// Bytes of a hash, coin or commitment.
const HASH: usize = 32;

/// A party that has sent its message of an exchange, the same to all, and waits for those of the others.
pub struct Exchange {
    session: Session,
    party: PartyIndex,
    step: u32,
    phase: Phase,
    /// Of everything that all parties sent before (AS-04).
    transcript: Digest,
    /// By party, this one among them: what was sent in this exchange.
    came: BTreeMap<PartyIndex, Vec<u8>>,
    table: Table,
    checks: Checks,
    outputs: Vec<Element>,
}

/// What the checks need from one exchange to another.
struct Checks {
    secrets: Secrets,
    unchecked: Unchecked,
    /// This party's shares of what this exchange opens.
    shares: Shares,
    /// By party: to the coins of both checks.
    coins: BTreeMap<PartyIndex, Vec<u8>>,
    /// This party's part of the sum that is 0 if nobody cheated.
    part: Element,
    /// By party: to the parts of the sum.
    parts: BTreeMap<PartyIndex, Vec<u8>>,
}

/// What an exchange is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Inputs,
    Level(u32),
    Coins(Which),
    Commit(Which),
    Reveal(Which),
    Outputs,
}

/// Where a party stands.
pub enum Progress {
    /// Messages are missing; nothing has changed.
    Waiting(Box<Exchange>),
    /// Another exchange has begun: the messages are to be sent.
    Exchange(Box<Exchange>, Vec<Message>),
    /// Everything is opened and checked.
    Done(Outputs),
}

impl Exchange {
    /// Begins with the inputs under their masks, and commitments to coins (AS-05).
    pub(super) fn begin(
        session: Session,
        party: PartyIndex,
        table: Table,
        secrets: Secrets,
        masked: &[Element],
    ) -> (Self, Vec<Message>) {
        let committed = [Which::OnTheWay, Which::Outputs].map(|which| {
            let coin = secrets.coin(which);
            commitment(&session, party, which, coin.as_bytes())
        });
        let [first, last] = &committed;
        let payload = [first.as_ref(), last.as_ref(), &to_bytes(masked)].concat();
        let mut exchange = Self {
            transcript: hash("lepton/mpc/transcript/v1", &[]),
            step: FIRST_OPENING - 1,
            phase: Phase::Inputs,
            came: BTreeMap::new(),
            checks: Checks {
                secrets,
                unchecked: Unchecked::default(),
                shares: Shares::default(),
                part: Element::ZERO,
                coins: BTreeMap::new(),
                parts: BTreeMap::new(),
            },
            outputs: Vec::new(),
            table,
            party,
            session,
        };
        let messages = exchange.say(payload);
        (exchange, messages)
    }

    /// Takes a message of another party. A refused one changes nothing (MP-12); one that is refused for its transcript or for what it committed to
    /// says that somebody cheats, and the computation cannot end (AS-04, AS-07).
    pub fn receive(&mut self, from: Sender, body: &[u8]) -> Result<(), Fault> {
        let refused = |reason| Fault::Message(from, reason);
        let Sender::Party(peer) = from else {
            return Err(refused(MessageReason::Unexpected));
        };
        if !self.session.circuit().parties().contains(peer) || peer == self.party {
            return Err(refused(MessageReason::Unexpected));
        }
        let way = Way {
            from,
            to: self.party,
            step: self.step,
        };
        let content = way.read(&self.session, body, |content| Some(content.to_vec()))?;
        let (transcript, payload) = content
            .split_first_chunk::<HASH>()
            .ok_or_else(|| refused(MessageReason::Length))?;
        if transcript != self.transcript.as_ref() {
            return Err(refused(MessageReason::Transcript));
        }
        self.check(peer, payload).map_err(refused)?;
        if self.came.contains_key(&peer) {
            return Err(refused(MessageReason::Duplicate));
        }
        self.came.insert(peer, payload.to_vec());
        Ok(())
    }

    /// The first from whom a message is missing.
    #[must_use]
    pub fn missing(&self) -> Option<Sender> {
        let mut others = self.session.circuit().parties().others(self.party);
        others
            .find(|party| !self.came.contains_key(party))
            .map(Sender::Party)
    }

    /// Uses what came, and begins the next exchange or ends. Ends without a result if somebody cheated (AS-07).
    pub fn advance(mut self) -> Result<Progress, Fault> {
        if self.missing().is_some() {
            return Ok(Progress::Waiting(Box::new(self)));
        }
        let came = core::mem::take(&mut self.came);
        let mut parts = vec![self.transcript.as_ref()];
        parts.extend(came.values().map(Vec::as_slice));
        self.transcript = hash("lepton/mpc/transcript/v1", &parts);
        let payload = match self.phase {
            Phase::Inputs => {
                self.take_inputs(&came);
                self.level(1)
            }
            Phase::Level(level) => {
                let words = self.take_opened(&came);
                self.table.opened(level, &words);
                self.level(level + 1)
            }
            Phase::Coins(which) => self.commit(which, &came),
            Phase::Commit(which) => {
                self.checks.parts = came;
                self.phase = Phase::Reveal(which);
                self.opening_of_part(which)
            }
            Phase::Reveal(which) => {
                let sum = came.values().map(|payload| first(payload));
                if sum.fold(Element::ZERO, Element::plus) != Element::ZERO {
                    return Err(Fault::Cheated);
                }
                if which == Which::Outputs {
                    return Ok(Progress::Done(self.finish()));
                }
                self.open_outputs()
            }
            Phase::Outputs => {
                self.outputs = self.take_opened(&came);
                self.coin(Which::Outputs)
            }
        };
        self.step += 1;
        let messages = self.say(payload);
        Ok(Progress::Exchange(Box::new(self), messages))
    }
}

/// From one exchange to the next: each gives what this party says there.
impl Exchange {
    /// The openings of a level of products, or the first check behind the last level.
    fn level(&mut self, level: u32) -> Vec<u8> {
        if level > self.table.levels() {
            return self.coin(Which::OnTheWay);
        }
        self.phase = Phase::Level(level);
        let shares = self.table.masked(level);
        self.open(shares)
    }

    fn open_outputs(&mut self) -> Vec<u8> {
        self.checks.unchecked = Unchecked::default();
        self.phase = Phase::Outputs;
        let shares = self.table.outputs();
        self.open(shares)
    }

    /// Shares of values, without those of MACs (AS-06).
    fn open(&mut self, shares: Shares) -> Vec<u8> {
        let values: Vec<_> = shares.iter().map(|share| share.value).collect();
        self.checks.shares = shares;
        to_bytes(&values)
    }

    fn coin(&mut self, which: Which) -> Vec<u8> {
        self.phase = Phase::Coins(which);
        self.checks.secrets.coin(which).as_bytes().to_vec()
    }

    fn commit(&mut self, which: Which, coins: &BTreeMap<PartyIndex, Vec<u8>>) -> Vec<u8> {
        let unchecked = &self.checks.unchecked;
        let coefficients = coefficients(coins, unchecked.len());
        let part = unchecked.part(self.table.key(), &coefficients);
        self.checks.shares = Shares::default();
        self.phase = Phase::Commit(which);
        self.checks.part = part;
        let opening = self.opening_of_part(which);
        let digest = commitment(&self.session, self.party, which, &opening);
        digest.as_ref().to_vec()
    }
}

/// What is read and written.
impl Exchange {
    /// The message of this exchange to everybody, and to this party itself.
    fn say(&mut self, payload: Vec<u8>) -> Vec<Message> {
        let content = [self.transcript.as_ref(), &payload].concat();
        self.came.insert(self.party, payload);
        let others = self.session.circuit().parties().others(self.party);
        let messages = others.map(|to| {
            let way = Way {
                from: Sender::Party(self.party),
                to,
                step: self.step,
            };
            Message {
                to,
                body: way.write(&self.session, content.clone()),
            }
        });
        messages.collect()
    }

    /// Whether `peer` may say this here.
    fn check(&self, peer: PartyIndex, payload: &[u8]) -> Result<(), MessageReason> {
        let circuit = self.session.circuit();
        let elements = |bytes, len| {
            from_bytes(bytes, len)
                .map(|_| ())
                .ok_or(MessageReason::Length)
        };
        let committed = |which, commitments: &BTreeMap<PartyIndex, Vec<u8>>, at: usize| {
            let digest = commitment(&self.session, peer, which, payload);
            let made = commitments
                .get(&peer)
                .and_then(|all| all.get(at..at + HASH));
            let holds = made == Some(digest.as_ref());
            holds.then_some(()).ok_or(MessageReason::Commitment)
        };
        match self.phase {
            Phase::Inputs => {
                let masked = payload.get(2 * HASH..).ok_or(MessageReason::Length)?;
                elements(masked, circuit.input_words(peer))
            }
            Phase::Level(_) | Phase::Outputs => elements(payload, self.checks.shares.len()),
            Phase::Coins(which) => committed(which, &self.checks.coins, HASH * which as usize),
            Phase::Commit(_) if payload.len() == HASH => Ok(()),
            Phase::Commit(_) => Err(MessageReason::Length),
            Phase::Reveal(which) => {
                elements(payload.get(..8).unwrap_or_default(), 1)?;
                committed(which, &self.checks.parts, 0)
            }
        }
    }

    fn take_inputs(&mut self, came: &BTreeMap<PartyIndex, Vec<u8>>) {
        let mut shown = Vec::new();
        for (party, payload) in came {
            let (commitments, masked) = payload.split_at_checked(2 * HASH).unwrap_or_default();
            self.checks.coins.insert(*party, commitments.to_vec());
            let masked = from_bytes(masked, masked.len() / 8).unwrap_or_default();
            shown.push(masked.to_vec());
        }
        self.table.inputs(shown);
    }

    /// What the shares that came add up to, to be checked.
    fn take_opened(&mut self, came: &BTreeMap<PartyIndex, Vec<u8>>) -> Vec<Element> {
        let mut words = vec![Element::ZERO; self.checks.shares.len()];
        for payload in came.values() {
            let shares = from_bytes(payload, words.len()).unwrap_or_default();
            for (word, share) in words.iter_mut().zip(shares.iter()) {
                *word = word.plus(*share);
            }
        }
        self.checks.unchecked.push(&words, &self.checks.shares);
        words
    }

    /// This party's part of the sum, and what hid it.
    fn opening_of_part(&self, which: Which) -> Vec<u8> {
        let blind = self.checks.secrets.blind(which);
        [self.checks.part.to_bytes().as_slice(), blind.as_bytes()].concat()
    }

    fn finish(self) -> Outputs {
        let words = self.outputs.into_iter().map(Element::signed);
        Outputs::of(self.session.circuit(), words)
    }
}

#[cfg(test)]
impl Exchange {
    /// A cheater remembers what it really said.
    pub(super) fn said(&mut self, payload: Vec<u8>) {
        self.came.insert(self.party, payload);
    }
}

/// The element that a payload begins with; it was checked when it came.
fn first(payload: &[u8]) -> Element {
    let bytes = payload.first_chunk().copied().unwrap_or_default();
    Element::from_bytes(bytes).unwrap_or_default()
}
