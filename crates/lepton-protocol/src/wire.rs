//! Bodies of the job's own messages. Those of the masked sum belong to `lepton-secagg`.
//!
//! All are unverified: the machines check every field before they use it.

use bytes::Bytes;
use prost::Message;

/// Coordinator to party: what is to be done and with whom.
#[derive(Clone, PartialEq, Message)]
pub struct InviteIn {
    /// The effective job file, canonical text; its SHA-256 is the frame's job digest.
    #[prost(string, tag = "1")]
    pub job: String,
    /// Identity keys of the roster in party order, 32 bytes each.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub roster: Vec<Vec<u8>>,
}

/// Coordinator to party: key adverts of all parties, in party order.
#[derive(Clone, PartialEq, Message)]
pub struct AdvertsIn {
    /// One advert per party.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub adverts: Vec<Vec<u8>>,
}

/// Coordinator to party: the parts of the graph's seed of all parties, in party order.
#[derive(Clone, PartialEq, Message)]
pub struct RevealsIn {
    /// One part per party.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub reveals: Vec<Vec<u8>>,
}

/// Party to coordinator: the slot key sealed for each other party.
#[derive(Clone, PartialEq, Message)]
pub struct SlotKeysIn {
    /// One sealed key per party in party order; empty for the sender itself.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub sealed: Vec<Vec<u8>>,
    /// Commitment to the key.
    #[prost(bytes = "vec", tag = "2")]
    pub commitment: Vec<u8>,
}

/// Coordinator to party: the slot key sealed for it.
#[derive(Clone, PartialEq, Message)]
pub struct SlotKeyIn {
    /// Sealed by the first party; empty for that party itself.
    #[prost(bytes = "vec", tag = "1")]
    pub sealed: Vec<u8>,
    /// Commitment to the key.
    #[prost(bytes = "vec", tag = "2")]
    pub commitment: Vec<u8>,
}

/// Coordinator to party: an exchange begins.
#[derive(Clone, PartialEq, Message)]
pub struct BeginIn {
    /// What kind of exchange, see [`crate::exchange::Kind`].
    #[prost(uint32, tag = "1")]
    pub kind: u32,
    /// Training round it belongs to, from 1; 0 before training.
    #[prost(uint32, tag = "2")]
    pub training_round: u32,
    /// Results of preparation that the party does not hold yet (JSON); empty if unchanged.
    #[prost(bytes = "vec", tag = "3")]
    pub prepared: Vec<u8>,
    /// Model parameters as little-endian `f32`; empty during preparation.
    #[prost(bytes = "bytes", tag = "4")]
    pub parameters: Bytes,
}

/// Party to coordinator: why it does not take part.
#[derive(Clone, PartialEq, Message)]
pub struct DeclineIn {
    /// Reason in words.
    #[prost(string, tag = "1")]
    pub reason: String,
    /// Whether a policy or a budget forbids it (rather than a fault).
    #[prost(bool, tag = "2")]
    pub refused: bool,
}

/// Coordinator to party: the job is over.
#[derive(Clone, PartialEq, Message)]
pub struct FinishIn {
    /// Final parameters as little-endian `f32`.
    #[prost(bytes = "bytes", tag = "1")]
    pub parameters: Bytes,
    /// The preparation (JSON).
    #[prost(bytes = "vec", tag = "2")]
    pub prepared: Vec<u8>,
    /// Rounds that went into the model.
    #[prost(uint32, tag = "3")]
    pub rounds: u32,
}

/// Parameters as they travel: little-endian `f32`.
#[must_use]
pub fn pack_parameters(parameters: impl ExactSizeIterator<Item = f64>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parameters.len() * 4);
    for value in parameters {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "parameters are rounded to f32 before they are published"
        )]
        bytes.extend_from_slice(&(value as f32).to_le_bytes());
    }
    bytes
}

/// Reads parameters; `None` when the length or a value is wrong (rule FT-02: finite, right length, nothing else).
#[must_use]
pub fn unpack_parameters(bytes: &[u8], expected: usize) -> Option<Vec<f64>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    if numbers.len() != expected || !rest.is_empty() {
        return None;
    }
    let numbers = numbers.iter();
    let values: Vec<f64> = numbers
        .map(|bytes| f64::from(f32::from_le_bytes(*bytes)))
        .collect();
    values
        .iter()
        .all(|value| value.is_finite())
        .then_some(values)
}
