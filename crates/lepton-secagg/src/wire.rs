//! Message bodies as they come from outside: unverified, of bounded size.

use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::survivors::Survivors;
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
    /// To the sender's part of the graph's seed; empty when the graph is complete.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) commitment: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RevealIn {
    /// Digest of all adverts, as the sender was shown them.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) adverts: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) part: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MaskedInputIn {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) binding: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) vector: Vec<u8>,
    /// By neighbour.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(crate) sealed: Vec<Vec<u8>>,
    /// Digests of the commitments to shares, by rank of the holder.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) columns: Vec<u8>,
    /// Commitments to secrets, by rank.
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) secrets: Vec<u8>,
    /// Reserved: must be empty.
    #[prost(bytes = "vec", tag = "15")]
    pub(crate) proof: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DealerIn {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) vector: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) secrets: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) columns: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) sealed: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SurvivorViewIn {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) binding: Vec<u8>,
    /// One bit per roster position.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) survivors: Vec<u8>,
    /// The reader's surviving neighbours, ascending.
    #[prost(message, repeated, tag = "3")]
    pub(crate) dealers: Vec<DealerIn>,
    /// Digests of the hash tree that the reader cannot compute.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) tree: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SignatureIn {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) binding: Vec<u8>,
    /// Empty from a party outside the committee.
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
    /// By dealer, then by rank of the secret: a share where one is opened, else the commitment to it.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) entries: Vec<u8>,
}

/// Decodes a body of at most `limit` bytes; `None` when it is longer or malformed.
pub(crate) fn decode<M: Message + Default>(bytes: &[u8], limit: usize) -> Option<M> {
    if bytes.len() > limit {
        None
    } else {
        M::decode(bytes).ok()
    }
}

/// A message (a), its vector left where it lies: the rest, decoded, and the vector. `None` when the body is longer than `limit`, malformed, or has
/// more than one vector.
///
/// A coordinator reads a vector once, to add it, and has many to read: copying each to memory of its own would cost as much as adding it.
pub(crate) fn decode_input(bytes: &[u8], limit: usize) -> Option<(MaskedInputIn, &[u8])> {
    if bytes.len() > limit {
        return None;
    }
    let mut rest = Vec::new();
    let mut vector: Option<&[u8]> = None;
    let mut tail = bytes;
    while !tail.is_empty() {
        let start = tail;
        let (tag, wire_type) = decode_key(&mut tail).ok()?;
        if tag == VECTOR_TAG && wire_type == WireType::LengthDelimited {
            let len = usize::try_from(decode_varint(&mut tail).ok()?).ok()?;
            let (found, after) = tail.split_at_checked(len)?;
            if vector.replace(found).is_some() {
                return None;
            }
            tail = after;
        } else {
            skip_field(wire_type, tag, &mut tail, DecodeContext::default()).ok()?;
            rest.extend_from_slice(start.get(..start.len() - tail.len())?);
        }
    }
    let message = MaskedInputIn::decode(rest.as_slice()).ok()?;
    Some((message, vector.unwrap_or_default()))
}

/// The number of [`MaskedInputIn::vector`].
const VECTOR_TAG: u32 = 2;

/// The largest advert.
pub(crate) const ADVERT_LIMIT: usize = 32 + 64 + WORD + SLACK;

/// The largest reveal.
pub(crate) const REVEAL_LIMIT: usize = 2 * WORD + SLACK;

/// The largest signature body.
pub(crate) const SIGNATURE_LIMIT: usize = WORD + 64 + SLACK;

/// The bytes of a sealed bundle of `members` shares.
pub(crate) const fn sealed_len(members: usize) -> usize {
    members * WORD + lepton_crypto::SEAL_OVERHEAD
}

/// The largest closed neighbourhood.
fn most(params: &Parameters) -> usize {
    usize::from(params.neighbours()) + 1
}

/// The largest message (a); `None` when it overflows.
pub(crate) fn input_limit(params: &Parameters, spec: &VectorSpec) -> Option<usize> {
    let m = most(params);
    spec.packed_len()?
        .checked_add(m * (sealed_len(m) + SLACK) + (2 * m + 1) * WORD + 5 * SLACK)
}

/// The largest view.
pub(crate) fn view_limit(params: &Parameters) -> usize {
    let m = most(params);
    let tree = params.n() * WORD;
    m * (sealed_len(m) + (m + 2) * WORD + 5 * SLACK)
        + tree
        + Survivors::byte_len(params)
        + WORD
        + 4 * SLACK
}

/// The largest bundle of signatures.
pub(crate) fn bundle_limit(params: &Parameters) -> usize {
    usize::from(params.committee()) * (64 + SLACK) + WORD + SLACK
}

/// The largest openings body.
pub(crate) fn openings_limit(params: &Parameters) -> usize {
    let m = most(params);
    (m * m + 1) * WORD + 2 * SLACK
}
