//! The same circuits among parties that may cheat: whoever changes anything is caught, and nobody gets a wrong result.
//!
//! The protocol, its numbered rules (`AS-nn`) and its limits are in `docs/protocols/authenticated-shares.md`: SPDZ's online phase over the field of
//! `2^61 - 1` elements, with a trusted dealer; no truncation. A party is [`Joining`] → [`Exchange`], many times → [`Outputs`](crate::Outputs); the
//! dealer is [`deal`]. The caller's duties are those of the crate's other machines.

mod check;
mod dealer;
mod exchange;
mod field;
mod joining;
mod table;

pub use dealer::deal;
pub use exchange::{Exchange, Progress};
pub use joining::Joining;

use crate::circuit::{Circuit, Op};
use crate::{CircuitError, Session};

/// A session of this protocol: messages of the other one do not fit it (AS-01).
///
/// Refuses circuits with truncations, and those of which a value may exceed `2^60 - 1`.
fn session(session: &Session) -> Result<Session, CircuitError> {
    let circuit = session.circuit();
    for node in &circuit.nodes {
        if let Op::Truncate(_, bits) = node.op {
            let have = node.range.fraction_bits + bits;
            return Err(CircuitError::Truncation { bits, have });
        }
        if node.range.bound > field::HALF {
            return Err(CircuitError::Overflow(node.range.bound.into()));
        }
    }
    Ok(session.derived("lepton/mpc/authenticated/v1", longest(circuit)))
}

/// Bytes of the longest content of a message.
fn longest(circuit: &Circuit) -> usize {
    let words = [
        2 * dealt(circuit) + 1,
        circuit
            .parties
            .all()
            .map(|p| circuit.input_words(p))
            .max()
            .unwrap_or(0),
        circuit
            .nodes
            .iter()
            .map(|node| node.opened(&circuit.nodes))
            .sum(),
        outputs(circuit),
    ];
    // Beside words: a transcript's hash and two commitments, or two seeds.
    8 * words.into_iter().max().unwrap_or(0) + 96
}

/// Values that the dealer authenticates (AS-03).
fn dealt(circuit: &Circuit) -> usize {
    let inputs: usize = circuit.parties.all().map(|p| circuit.input_words(p)).sum();
    inputs + circuit.dealt()
}

/// Entries of all outputs.
fn outputs(circuit: &Circuit) -> usize {
    let opened = circuit
        .nodes
        .iter()
        .filter(|node| matches!(node.op, Op::Open(_)));
    opened.map(|node| node.len).sum()
}

#[cfg(test)]
mod tests;
