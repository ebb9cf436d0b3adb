//! Keys, signatures, key agreement, authenticated encryption, key derivation and secret sharing.
//!
//! A thin, typed layer over `aws-lc-rs`, and a batched form of Shamir's secret sharing: every secret is zeroized on drop, shows nothing under `Debug` and compares in constant
//! time; every use carries a domain or a label, so that bytes made for one purpose are worthless for another. Randomness is an argument.

mod additive_fft;
mod aead;
mod agreement;
pub mod envelope;
mod error;
mod gf256;
mod hash;
mod hkdf;
mod identity;
pub mod merkle;
mod prefix;
mod seed;
pub mod sharing;

pub use aead::{SEAL_OVERHEAD, open, seal};
pub use agreement::{AgreementKey, AgreementPublic};
pub use error::CryptoError;
pub use hash::{Digest, ct_eq, hash, long_hash, sha256};
pub use identity::{IdentityKey, IdentityPublic, Signature};
pub use prefix::HashPrefix;
pub use seed::Seed;
pub use zeroize::Zeroizing;

#[cfg(test)]
mod test_hex {
    /// Bytes of a hexadecimal constant.
    pub(crate) fn hex(s: &str) -> Vec<u8> {
        (0..s.len() / 2)
            .map(|i| u8::from_str_radix(&s[2 * i..2 * i + 2], 16).unwrap())
            .collect()
    }

    pub(crate) fn hex32(s: &str) -> [u8; 32] {
        hex(s).try_into().unwrap()
    }
}
