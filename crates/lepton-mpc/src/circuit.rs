//! What is computed: public, and checked when it is made (MP-01, MP-04).

use std::collections::BTreeMap;

use lepton_crypto::{Digest, hash};
use thiserror::Error;

use crate::range::Range;
use crate::{Encoding, Parties, PartyIndex};

/// Why a circuit cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CircuitError {
    /// Fewer than 2 or more than 64 parties.
    #[error("{0} parties cannot compute together: 2 to 64 can")]
    Parties(u16),
    /// An owner that is not one of the parties.
    #[error("party {0} is not among the circuit's parties")]
    Owner(PartyIndex),
    /// A bound beyond `2^62 - 1` or more than 61 fraction bits.
    #[error("an input's bound must be below 2^62 steps, its fraction bits below 62")]
    Encoding,
    /// A wire of another circuit.
    #[error("the wire belongs to another circuit")]
    Wire,
    /// Vectors of different lengths.
    #[error("lengths differ: {0} and {1}")]
    Length(usize, usize),
    /// A vector without entries, or one too long to number its bytes.
    #[error("{0} entries cannot be computed with: give at least one, and at most 2^32")]
    Size(usize),
    /// Fixed-point formats that cannot be added.
    #[error("fraction bits differ: {0} and {1}; truncate one of them first")]
    FractionBits(u8, u8),
    /// More bits than there are, or none.
    #[error("{bits} bits cannot be dropped where the fraction has {have}")]
    Truncation {
        /// Bits to drop.
        bits: u8,
        /// Fraction bits of the wire.
        have: u8,
    },
    /// A value, or the bound on its error, that may not fit (MP-04).
    #[error(
        "a value may reach {0} steps, or more than 61 fraction bits, beyond the ring: lower the inputs' bounds or fraction bits, or truncate earlier"
    )]
    Overflow(u128),
    /// Nothing is opened.
    #[error("the circuit has no output")]
    NoOutput,
}

/// A value of a circuit under construction: a shared vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire(pub(crate) usize);

/// What a node does; operands come before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    /// A party's input.
    Input(PartyIndex, Encoding),
    /// The sum of two wires.
    Add(Wire, Wire),
    /// Their difference.
    Subtract(Wire, Wire),
    /// A public factor.
    Scale(Wire, i64),
    /// A public summand.
    Offset(Wire, Vec<i64>),
    /// The sum of all entries.
    Total(Wire),
    /// Entry by entry (MP-09).
    Multiply(Wire, Wire),
    /// The sum of products (MP-09).
    Inner(Wire, Wire),
    /// Dropped digits (MP-10).
    Truncate(Wire, u8),
    /// An output.
    Open(Wire),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) op: Op,
    pub(crate) len: usize,
    pub(crate) range: Range,
    /// Openings before the value is there (MP-11).
    pub(crate) depth: u32,
}

impl Node {
    /// Words that the node opens, after which it is done.
    pub(crate) fn opened(&self, nodes: &[Self]) -> usize {
        match &self.op {
            Op::Multiply(..) => 2 * self.len,
            Op::Inner(x, _) => 2 * nodes.get(x.0).map_or(0, |x| x.len),
            Op::Truncate(..) | Op::Open(_) => self.len,
            _ => 0,
        }
    }

    /// Words that the dealer makes for the node (MP-07).
    pub(crate) fn dealt(&self, nodes: &[Self]) -> usize {
        match &self.op {
            Op::Multiply(..) | Op::Truncate(..) => 3 * self.len,
            Op::Inner(..) => self.opened(nodes) + 1,
            _ => 0,
        }
    }
}

impl Node {
    /// No two different operations or lengths have the same bytes; ranges and depths follow from these.
    fn bytes(&self) -> Vec<u8> {
        let wire = |wire: &Wire| (wire.0 as u64).to_le_bytes().to_vec();
        let (kind, rest) = match &self.op {
            Op::Input(owner, encoding) => (
                0,
                [owner.get().to_le_bytes().as_slice(), &encoding.bytes()].concat(),
            ),
            Op::Add(x, y) => (1, [wire(x), wire(y)].concat()),
            Op::Subtract(x, y) => (2, [wire(x), wire(y)].concat()),
            Op::Scale(x, factor) => (3, [wire(x), factor.to_le_bytes().to_vec()].concat()),
            Op::Offset(x, values) => {
                let values = values.iter().flat_map(|v| v.to_le_bytes());
                (4, wire(x).into_iter().chain(values).collect())
            }
            Op::Total(x) => (5, wire(x)),
            Op::Multiply(x, y) => (6, [wire(x), wire(y)].concat()),
            Op::Inner(x, y) => (7, [wire(x), wire(y)].concat()),
            Op::Truncate(x, bits) => (8, [wire(x), vec![*bits]].concat()),
            Op::Open(x) => (9, wire(x)),
        };
        let len = (self.len as u64).to_le_bytes();
        [&[kind], len.as_slice(), &rest].concat()
    }
}

/// A public arithmetic circuit whose values cannot overflow, with its owners, bounds and outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circuit {
    pub(crate) parties: Parties,
    pub(crate) nodes: Vec<Node>,
}

impl Circuit {
    /// The parties.
    #[must_use]
    pub fn parties(&self) -> Parties {
        self.parties
    }

    /// Whether the dealer of MP-07 is needed: where there are products or truncations.
    #[must_use]
    pub fn needs_dealer(&self) -> bool {
        self.dealt() > 0
    }

    /// Exchanges of openings, after the inputs were shared.
    #[must_use]
    pub fn exchanges(&self) -> u32 {
        self.nodes.iter().map(|node| node.depth).max().unwrap_or(0)
    }

    /// Number of input vectors that `party` owns.
    #[must_use]
    pub fn inputs_of(&self, party: PartyIndex) -> usize {
        self.inputs(party).count()
    }

    /// Words that the dealer makes.
    pub(crate) fn dealt(&self) -> usize {
        self.nodes.iter().map(|node| node.dealt(&self.nodes)).sum()
    }

    /// Bytes of the longest content of a message: the dealer's, an opening, or a seed.
    pub(crate) fn longest(&self) -> usize {
        let mut opened = BTreeMap::new();
        for node in &self.nodes {
            *opened.entry(node.depth).or_insert(0) += node.opened(&self.nodes);
        }
        let words = opened.into_values().max().unwrap_or(0);
        8 * words.max(self.dealt()).max(4)
    }

    /// Encodings and lengths of the inputs of `party`, in order.
    pub(crate) fn inputs(&self, party: PartyIndex) -> impl Iterator<Item = (Encoding, usize)> {
        self.nodes.iter().filter_map(move |node| match node.op {
            Op::Input(owner, encoding) if owner == party => Some((encoding, node.len)),
            _ => None,
        })
    }

    /// Entries of all inputs of `party`.
    pub(crate) fn input_words(&self, party: PartyIndex) -> usize {
        self.inputs(party).map(|(_, len)| len).sum()
    }

    /// Covers everything: parties and nodes, with what determines their lengths and ranges.
    pub(crate) fn digest(&self) -> Digest {
        let nodes: Vec<_> = self.nodes.iter().map(Node::bytes).collect();
        let parties = self.parties.get().to_le_bytes();
        let mut parts: Vec<&[u8]> = vec![&parties];
        parts.extend(nodes.iter().map(Vec::as_slice));
        hash("lepton/mpc/circuit/v1", &parts)
    }
}
