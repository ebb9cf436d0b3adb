//! What can go wrong.

use thiserror::Error;

/// A refused cryptographic operation. Messages say nothing about secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CryptoError {
    /// A byte string of the wrong length for its type.
    #[error("wrong length: {have} bytes where {need} are needed")]
    Length {
        /// What was given.
        have: usize,
        /// What is needed.
        need: usize,
    },
    /// A signature that does not verify for this key, domain and message.
    #[error("the signature does not verify")]
    BadSignature,
    /// An X25519 public key of small order, or one's own.
    #[error("the key-agreement public key is of small order or otherwise unusable")]
    BadPublicKey,
    /// Sealed bytes that do not open under this key and associated data.
    #[error("the sealed message does not open: altered, or sealed for another key or context")]
    BadSeal,
    /// A threshold or number of shares that cannot be used.
    #[error(
        "cannot share a secret with threshold {threshold} among {shares}: 2 <= threshold <= shares <= 255 is needed"
    )]
    BadSharing {
        /// The asked threshold.
        threshold: u8,
        /// The asked number of shares.
        shares: usize,
    },
    /// Fewer distinct shares than the threshold.
    #[error("{have} distinct shares where {need} are needed")]
    TooFewShares {
        /// Distinct shares given.
        have: usize,
        /// The threshold.
        need: usize,
    },
    /// More shares than the threshold where exactly that many are needed.
    #[error("{have} shares where exactly {need} are needed: leave some out")]
    TooManyShares {
        /// Shares given.
        have: usize,
        /// The threshold.
        need: usize,
    },
    /// Shares that repeat an index or carry index 0.
    #[error("share index {0} is zero or repeated")]
    BadShareIndex(u8),
    /// A position outside a Merkle tree, or not above the one before it.
    #[error("position {0} is outside the tree or not in ascending order")]
    BadPosition(usize),
    /// A Merkle proof with too few or too many digests.
    #[error("a proof of {have} digests does not fit the known positions")]
    BadProofLength {
        /// Digests given.
        have: usize,
    },
}
