//! Secret seeds.

use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{CryptoError, ct_eq, hkdf};

/// 32 secret bytes from which keys are derived. Zeroized on drop, without `Debug` and `Clone`, equal in constant time.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A fresh uniform seed.
    #[must_use]
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Self([0; 32]);
        rng.fill_bytes(&mut seed.0);
        seed
    }

    /// A seed from 32 bytes, which must be uniform and secret; the caller wipes its own copy.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret bytes. Dangerous: they must not be logged, compared with `==` or copied to memory that is not zeroized.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A seed that depends on this one, a label and a context, and from which this one cannot be found: HKDF-Expand of RFC 5869 §2.3 with
    /// SHA-256, its `info` the length-prefixed label followed by the context. (Extraction is skipped as RFC 5869 §3.3 allows: a seed is uniform.)
    #[must_use]
    pub fn derive(&self, label: &str, context: &[u8]) -> Self {
        let mut out = Self([0; 32]);
        hkdf::expand(
            &self.0,
            &[
                &(label.len() as u64).to_le_bytes(),
                label.as_bytes(),
                context,
            ],
            &mut out.0,
        );
        out
    }

    /// The seed that HKDF-Extract makes of secret material that is not uniform.
    pub(crate) fn extract(salt: &[u8], secret: &[u8]) -> Self {
        let mut out = Self([0; 32]);
        hkdf::extract(salt, secret, &mut out.0);
        out
    }
}

impl TryFrom<&[u8]> for Seed {
    type Error = CryptoError;

    fn try_from(bytes: &[u8]) -> Result<Self, CryptoError> {
        let mut seed = Self([0; 32]);
        if bytes.len() != seed.0.len() {
            return Err(CryptoError::Length {
                have: bytes.len(),
                need: seed.0.len(),
            });
        }
        seed.0.copy_from_slice(bytes);
        Ok(seed)
    }
}

impl PartialEq for Seed {
    fn eq(&self, other: &Self) -> bool {
        ct_eq(&self.0, &other.0)
    }
}

impl Eq for Seed {}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn leaves_differ_by_label_and_context() {
        let root = Seed::random(&mut ChaCha20Rng::from_seed([1; 32]));
        assert!(root.derive("a", b"x") == root.derive("a", b"x"));
        assert!(root.derive("a", b"x") != root.derive("a", b"y"));
        assert!(root.derive("a", b"x") != root.derive("b", b"x"));
        assert!(root.derive("ab", b"x") != root.derive("a", b"bx"));
        assert!(root.derive("a", b"x") != root);
    }

    #[test]
    fn refuses_other_lengths() {
        assert!(matches!(
            Seed::try_from([0u8; 31].as_slice()),
            Err(CryptoError::Length { have: 31, need: 32 })
        ));
    }
}
