//! Whose fault it is.

use thiserror::Error;

use crate::{PartyIndex, Sender};

/// A refusal that names the culprit. The sender is the one to which the caller attributed the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// A party or the dealer sent what it must not send (MP-12); nothing has changed.
    #[error("{0}: {1}")]
    Message(Sender, #[source] MessageReason),
    /// Somebody changed what was opened; who, is not known, and there is no result (AS-07).
    #[error("what was opened does not fit its MACs: a party cheated, and there is no result")]
    Cheated,
    /// The program around the machine used it wrongly.
    #[error("wrong use: {0}")]
    Caller(#[source] CallerReason),
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MessageReason {
    /// Longer than any message of the circuit can be; it was not read.
    #[error("the message is longer than any of the circuit's can be")]
    TooLong,
    /// Not a message.
    #[error("the message is malformed")]
    Malformed,
    /// A message of another session, circuit, sender or receiver.
    #[error("the message belongs to another session, circuit, sender or receiver")]
    Foreign,
    /// A message of a later step: offer it again after the next move.
    #[error("the message belongs to a later step: offer it again after the next move")]
    Early,
    /// A message of an earlier step.
    #[error("the message belongs to an earlier step")]
    Late,
    /// Content of another length than the circuit says, or words that are no elements of the field.
    #[error("the content has the wrong length, or is not of the field")]
    Length,
    /// A second message where one is allowed.
    #[error("sent a second message for this step")]
    Duplicate,
    /// The sender was told something else than this party: somebody cheats (AS-04).
    #[error("the sender was told something else than this party: somebody cheats")]
    Transcript,
    /// Not what the sender committed to (AS-07).
    #[error("this is not what the sender committed to: it cheats")]
    Commitment,
    /// From somebody who has nothing to send at this step.
    #[error("has nothing to send at this step")]
    Unexpected,
}

/// What the program around the machine did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CallerReason {
    /// Not one of the circuit's parties.
    #[error("party {0} is not among the circuit's parties")]
    Party(PartyIndex),
    /// Another number of input vectors than the party owns.
    #[error("{have} input vectors where the party owns {need}")]
    Inputs {
        /// Vectors given.
        have: usize,
        /// Vectors owned.
        need: usize,
    },
    /// An input vector of another length than the circuit says.
    #[error("input {input} has {have} entries where the circuit says {need}")]
    Length {
        /// Which of the party's inputs, from 0.
        input: usize,
        /// Entries given.
        have: usize,
        /// Entries agreed.
        need: usize,
    },
    /// A value beyond the bound that was agreed (MP-04).
    #[error("input {input}, entry {position} exceeds the agreed bound of {bound} steps")]
    Bound {
        /// Which of the party's inputs, from 0.
        input: usize,
        /// Its position.
        position: usize,
        /// The bound, in steps of the encoding.
        bound: u64,
    },
    /// Messages are missing.
    #[error("messages are still missing: from {0} first")]
    Missing(Sender),
    /// A circuit with truncations or too large values (AS-01).
    #[error(
        "authenticated shares cannot compute this circuit: no truncation, no value beyond 2^60 - 1"
    )]
    Circuit,
    /// A circuit without products and truncations.
    #[error("the circuit needs no dealer")]
    NoDealer,
}

impl From<CallerReason> for Fault {
    fn from(reason: CallerReason) -> Self {
        Self::Caller(reason)
    }
}
