//! The bodies of messages, written from the table in `docs/protocols/masked-sum.md`: for adversaries that edit them and for the checker that reads
//! them without the code under test.

use lepton_crypto::{Digest, HashPrefix, hash};
use prost::Message;

/// A digest, share or seed.
pub(crate) const WORD: usize = 32;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AdvertBody {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct InputBody {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) binding: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) vector: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(crate) sealed: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) columns: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) secrets: Vec<u8>,
    #[prost(bytes = "vec", tag = "15")]
    pub(crate) proof: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DealerBody {
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
pub(crate) struct ViewBody {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) binding: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) survivors: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) dealers: Vec<DealerBody>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) tree: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AgreeBody {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) binding: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SignerBody {
    #[prost(uint32, tag = "1")]
    pub(crate) party: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BundleBody {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) binding: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) signers: Vec<SignerBody>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OpenBody {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) survivor_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) entries: Vec<u8>,
}

/// Edits a body; bytes that are no such body come back as they are.
pub(crate) fn edit<M: Message + Default>(bytes: &[u8], change: impl FnOnce(&mut M)) -> Vec<u8> {
    match M::decode(bytes) {
        Ok(mut message) => {
            change(&mut message);
            message.encode_to_vec()
        }
        Err(_) => bytes.to_vec(),
    }
}

/// The digest of the commitments to what a dealer gives a holder, by rank of the secret (SA-09): of entries that are shares where `is_share` says so,
/// and commitments elsewhere.
pub(crate) fn column_digest(
    binding: &[u8],
    (dealer, holder): (u16, u16),
    entries: &[u8],
    is_share: impl Fn(u8) -> bool,
) -> Digest {
    let parts: [&[u8]; 3] = [binding, &dealer.to_le_bytes(), &holder.to_le_bytes()];
    let commit = HashPrefix::new("lepton/masked-sum/share/v2", &parts);
    let mut commitments = entries.to_vec();
    for (rank, entry) in (0..=u8::MAX).zip(commitments.chunks_exact_mut(WORD)) {
        if is_share(rank) {
            let tail = [&[rank], &*entry].concat();
            entry.copy_from_slice(commit.finish(&tail).as_ref());
        }
    }
    hash("lepton/masked-sum/column/v1", &[&commitments])
}
