//! Key agreement.

use core::fmt;

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use rand_core::CryptoRng;

use crate::{CryptoError, Seed};

const SALT: &[u8] = b"lepton/agreement/v1";

/// An X25519 private key (RFC 7748 §6.1), for one epoch.
pub struct AgreementKey {
    private: PrivateKey,
    public: AgreementPublic,
}

/// An X25519 public key as stored or received: not yet known to be usable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgreementPublic([u8; 32]);

impl AgreementKey {
    /// A fresh key.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::from_scalar(Seed::random(rng).as_bytes())
    }

    fn from_scalar(scalar: &[u8; 32]) -> Self {
        let private = PrivateKey::from_private_key(&X25519, scalar)
            .expect("every 32-byte string is an X25519 private key");
        let point = private
            .compute_public_key()
            .expect("an X25519 private key has a public key");
        let mut public = [0; 32];
        public.copy_from_slice(point.as_ref());
        Self {
            private,
            public: AgreementPublic(public),
        }
    }

    /// The public key.
    #[must_use]
    pub const fn public(&self) -> AgreementPublic {
        self.public
    }

    /// The secret shared with the owner of `peer`, the same on both sides: HKDF (RFC 5869) of the X25519 output, bound to both public keys in
    /// byte order. Refuses points of small order, whose output is zero (RFC 7748 §6.1), and one's own key.
    pub fn agree(&self, peer: &AgreementPublic) -> Result<Seed, CryptoError> {
        if *peer == self.public {
            return Err(CryptoError::BadPublicKey);
        }
        let extracted = self.raw(peer, |shared| Seed::extract(SALT, shared))?;
        let (low, high) = (self.public.min(*peer), self.public.max(*peer));
        Ok(extracted.derive("pair", &[low.0, high.0].concat()))
    }

    fn raw<T>(
        &self,
        peer: &AgreementPublic,
        use_secret: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, CryptoError> {
        let peer = UnparsedPublicKey::new(&X25519, peer.0);
        agree(&self.private, peer, CryptoError::BadPublicKey, |shared| {
            // The library refuses the zero output already; this holds should it ever stop doing so.
            if crate::ct_eq(shared, &[0; 32]) {
                Err(CryptoError::BadPublicKey)
            } else {
                Ok(use_secret(shared))
            }
        })
    }
}

impl AgreementPublic {
    /// A public key as received.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of RFC 7748 §5.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Refuses points of small order without holding a private key: every clamped scalar is a multiple of the cofactor, so any fixed one sends
    /// exactly those points to zero.
    pub fn check(&self) -> Result<(), CryptoError> {
        AgreementKey::from_scalar(&[0x40; 32]).raw(self, |_| ())
    }
}

impl TryFrom<&[u8]> for AgreementPublic {
    type Error = CryptoError;

    fn try_from(bytes: &[u8]) -> Result<Self, CryptoError> {
        bytes.try_into().map(Self).map_err(|_| CryptoError::Length {
            have: bytes.len(),
            need: 32,
        })
    }
}

impl fmt::Debug for AgreementPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgreementPublic(")?;
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_hex::hex32;

    /// RFC 7748 §6.1.
    #[test]
    fn rfc_7748() {
        let alice = AgreementKey::from_scalar(&hex32(
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        ));
        let bob = AgreementKey::from_scalar(&hex32(
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        ));
        assert_eq!(
            bob.public().0,
            hex32("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
        );
        assert_eq!(
            alice.public().0,
            hex32("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
        );
        let shared = hex32("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        assert_eq!(alice.raw(&bob.public(), <[u8]>::to_vec).unwrap(), shared);
        assert_eq!(bob.raw(&alice.public(), <[u8]>::to_vec).unwrap(), shared);
        assert!(alice.agree(&bob.public()).unwrap() == bob.agree(&alice.public()).unwrap());
    }

    /// The points of order 1, 2, 4 and 8 and their non-canonical encodings (RFC 7748 §6.1 and §7).
    #[test]
    fn refuses_small_order() {
        let points = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        let key = AgreementKey::from_scalar(&[9; 32]);
        for point in points.map(|p| AgreementPublic::from_bytes(hex32(p))) {
            assert!(
                matches!(key.agree(&point), Err(CryptoError::BadPublicKey)),
                "{point:?}"
            );
            assert_eq!(point.check(), Err(CryptoError::BadPublicKey), "{point:?}");
        }
        assert_eq!(key.public().check(), Ok(()));
        assert!(key.agree(&key.public()).is_err());
    }

    #[test]
    fn pairs_have_different_secrets() {
        let [a, b, c] = [1u8, 2, 3].map(|s| AgreementKey::from_scalar(&[s; 32]));
        assert!(a.agree(&b.public()).unwrap() != a.agree(&c.public()).unwrap());
    }
}
