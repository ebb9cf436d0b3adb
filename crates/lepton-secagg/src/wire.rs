//! Message bodies as they come from outside: unverified, of bounded size.

use prost::Message;

use crate::{Parameters, VectorSpec};

/// A hash, key, share or seed.
pub(crate) const WORD: usize = 32;

/// Bytes that field tags and lengths may take beside the content of one element.
const SLACK: usize = 16;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyAdvertIn {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MaskedInputIn {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) binding: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) vector: Vec<u8>,
    /// By holder; the sender's own entry is empty.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(crate) sealed: Vec<Vec<u8>>,
    /// By holder, then by secret.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) shares: Vec<u8>,
    /// By secret.
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) secrets: Vec<u8>,
    /// Reserved: must be empty.
    #[prost(bytes = "vec", tag = "15")]
    pub(crate) proof: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DealerIn {
    #[prost(uint32, tag = "1")]
    pub(crate) party: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) vector: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) secrets: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) columns: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) sealed: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SurvivorViewIn {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) binding: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) dealers: Vec<DealerIn>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SignatureIn {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) binding: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SignerIn {
    #[prost(uint32, tag = "1")]
    pub(crate) party: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SignatureBundleIn {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) binding: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) signers: Vec<SignerIn>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct OpeningsIn {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) survivor_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) shares: Vec<u8>,
}

/// Decodes a body of at most `limit` bytes; `None` when it is longer or malformed.
pub(crate) fn decode<M: Message + Default>(bytes: &[u8], limit: usize) -> Option<M> {
    if bytes.len() > limit {
        None
    } else {
        M::decode(bytes).ok()
    }
}

/// The largest advert.
pub(crate) const ADVERT_LIMIT: usize = 32 + 64 + SLACK;

/// The largest signature body.
pub(crate) const SIGNATURE_LIMIT: usize = WORD + 64 + SLACK;

/// The bytes of a sealed bundle of `n` shares.
pub(crate) fn sealed_len(params: &Parameters) -> usize {
    params.n() * WORD + lepton_crypto::SEAL_OVERHEAD
}

/// The largest message (a); `None` when it overflows.
pub(crate) fn input_limit(params: &Parameters, spec: &VectorSpec) -> Option<usize> {
    let n = params.n();
    spec.packed_len()?
        .checked_add(n * (sealed_len(params) + SLACK) + (n * n + n + 1) * WORD + 4 * SLACK)
}

/// The largest view.
pub(crate) fn view_limit(params: &Parameters) -> usize {
    let n = params.n();
    n * (sealed_len(params) + (n + 2) * WORD + 3 * SLACK) + WORD + SLACK
}

/// The largest bundle of signatures.
pub(crate) fn bundle_limit(params: &Parameters) -> usize {
    params.n() * (64 + SLACK) + WORD + SLACK
}

/// The largest openings body.
pub(crate) fn openings_limit(params: &Parameters) -> usize {
    (params.n() * params.n() + 1) * WORD + SLACK
}
