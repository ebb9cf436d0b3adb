//! Who computes what, and what every message is bound to (MP-01).

use core::fmt;
use std::sync::Arc;

use lepton_crypto::{Digest, hash};

use crate::{Circuit, CircuitError};

/// A party's position among the parties of a computation, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyIndex(u16);

impl PartyIndex {
    /// The position.
    #[must_use]
    pub const fn new(index: u16) -> Self {
        Self(index)
    }

    /// The position as a number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether this party adds the public constants (MP-08).
    pub(crate) const fn leads(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for PartyIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of parties: 2 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parties(u16);

impl Parties {
    /// The most parties: each sends its openings to every other one.
    pub const MOST: u16 = 64;

    /// `count` parties. Refuses fewer than 2 and more than [`Self::MOST`].
    pub const fn new(count: u16) -> Result<Self, CircuitError> {
        if count < 2 || count > Self::MOST {
            return Err(CircuitError::Parties(count));
        }
        Ok(Self(count))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// All positions, ascending.
    pub fn all(self) -> impl DoubleEndedIterator<Item = PartyIndex> + ExactSizeIterator {
        (0..self.0).map(PartyIndex)
    }

    /// All positions but `party`'s, ascending.
    pub(crate) fn others(self, party: PartyIndex) -> impl Iterator<Item = PartyIndex> {
        self.all().filter(move |other| *other != party)
    }

    pub(crate) const fn contains(self, party: PartyIndex) -> bool {
        party.0 < self.0
    }
}

/// Who sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The dealer of MP-07.
    Dealer,
    /// A party.
    Party(PartyIndex),
}

impl Sender {
    fn bytes(self) -> [u8; 2] {
        match self {
            Self::Dealer => u16::MAX,
            Self::Party(party) => party.0,
        }
        .to_le_bytes()
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dealer => f.write_str("dealer"),
            Self::Party(party) => write!(f, "party {party}"),
        }
    }
}

/// Bytes for one party, to be carried over a private, authenticated channel: they hold shares.
pub struct Message {
    /// The receiver.
    pub to: PartyIndex,
    /// What it is to be given.
    pub body: Vec<u8>,
}

/// One computation of one circuit. Its identifier is used once, ever (MP-13).
#[derive(Clone)]
pub struct Session {
    circuit: Arc<Circuit>,
    digest: Digest,
    longest: usize,
}

impl Session {
    /// The computation `id` of `circuit`; all parties and the dealer make it of the same two.
    #[must_use]
    pub fn new(id: [u8; 32], circuit: Arc<Circuit>) -> Self {
        let digest = hash("lepton/mpc/session/v1", &[&id, circuit.digest().as_ref()]);
        Self {
            longest: circuit.longest(),
            circuit,
            digest,
        }
    }

    /// What is computed.
    #[must_use]
    pub fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// The same computation under another protocol, named by `domain`, whose messages have contents of up to `longest` bytes.
    pub(crate) fn derived(&self, domain: &str, longest: usize) -> Self {
        Self {
            circuit: Arc::clone(&self.circuit),
            digest: hash(domain, &[self.digest.as_ref()]),
            longest,
        }
    }

    /// Bytes of the longest content that a message can have.
    pub(crate) const fn longest(&self) -> usize {
        self.longest
    }

    /// What a message from `from` to `to` is bound to.
    pub(crate) fn binding(&self, from: Sender, to: PartyIndex) -> Digest {
        hash(
            "lepton/mpc/message/v1",
            &[
                self.digest.as_ref(),
                &from.bytes(),
                &Sender::Party(to).bytes(),
            ],
        )
    }
}
