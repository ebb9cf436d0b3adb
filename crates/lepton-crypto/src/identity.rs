//! Long-lived signing identities.

use core::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use rand_core::CryptoRng;

use crate::{CryptoError, Seed};

/// An Ed25519 signing key (RFC 8032 §5.1).
pub struct IdentityKey(Ed25519KeyPair);

/// The public half of an [`IdentityKey`]: what a federation's member list holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityPublic([u8; 32]);

/// A 64-byte Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl IdentityKey {
    /// A fresh key.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::from_seed(Seed::random(rng))
    }

    /// The key of a stored 32-byte private seed (RFC 8032 §5.1.5), which serves no other purpose.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the seed is consumed: it must not feed anything else"
    )]
    pub fn from_seed(seed: Seed) -> Self {
        Self(
            Ed25519KeyPair::from_seed_unchecked(seed.as_bytes())
                .expect("every 32-byte string is an Ed25519 seed"),
        )
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> IdentityPublic {
        use aws_lc_rs::signature::KeyPair;
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        IdentityPublic(bytes)
    }

    /// Signs the length-prefixed domain followed by the message.
    #[must_use]
    pub fn sign(&self, domain: &str, message: &[u8]) -> Signature {
        self.sign_raw(&framed(domain, message))
    }

    pub(crate) fn sign_raw(&self, message: &[u8]) -> Signature {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.0.sign(message).as_ref());
        Signature(bytes)
    }
}

impl IdentityPublic {
    /// A public key as stored or received. Whether it is a point of the curve shows at the first verification.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of RFC 8032 §5.1.2.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Checks that the key's owner signed `message` in `domain`.
    pub fn verify(
        &self,
        domain: &str,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        self.verify_raw(&framed(domain, message), signature)
    }

    pub(crate) fn verify_raw(
        self,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        UnparsedPublicKey::new(&ED25519, self.0)
            .verify(message, &signature.0)
            .map_err(|_| CryptoError::BadSignature)
    }
}

impl Signature {
    /// A signature as received.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes of RFC 8032 §5.1.6.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 64] {
        self.0
    }
}

impl TryFrom<&[u8]> for IdentityPublic {
    type Error = CryptoError;

    fn try_from(bytes: &[u8]) -> Result<Self, CryptoError> {
        bytes.try_into().map(Self).map_err(|_| CryptoError::Length {
            have: bytes.len(),
            need: 32,
        })
    }
}

impl TryFrom<&[u8]> for Signature {
    type Error = CryptoError;

    fn try_from(bytes: &[u8]) -> Result<Self, CryptoError> {
        bytes.try_into().map(Self).map_err(|_| CryptoError::Length {
            have: bytes.len(),
            need: 64,
        })
    }
}

impl fmt::Display for IdentityPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for IdentityPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityPublic({self})")
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature")
    }
}

fn framed(domain: &str, message: &[u8]) -> Vec<u8> {
    [
        &(domain.len() as u64).to_le_bytes(),
        domain.as_bytes(),
        message,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_hex::{hex, hex32};

    /// RFC 8032 §7.1, tests 1 to 3.
    #[test]
    fn rfc_8032() {
        let cases = [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                "",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                "72",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
            (
                "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
                "af82",
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
            ),
        ];
        for (seed, public, message, signature) in cases {
            let key = IdentityKey::from_seed(Seed::from_bytes(hex32(seed)));
            assert_eq!(key.public().to_bytes(), hex32(public));
            let signed = key.sign_raw(&hex(message));
            assert_eq!(signed.to_bytes().to_vec(), hex(signature));
            assert_eq!(key.public().verify_raw(&hex(message), &signed), Ok(()));
        }
    }

    #[test]
    fn refuses_other_domains_messages_keys_and_bits() {
        let key = IdentityKey::from_seed(Seed::from_bytes([5; 32]));
        let signature = key.sign("domain", b"message");
        assert_eq!(
            key.public().verify("domain", b"message", &signature),
            Ok(())
        );
        for (domain, message) in [
            ("domai", b"nmessage".as_slice()),
            ("domain", b"messagf"),
            ("other", b"message"),
        ] {
            assert_eq!(
                key.public().verify(domain, message, &signature),
                Err(CryptoError::BadSignature)
            );
        }
        let stranger = IdentityKey::from_seed(Seed::from_bytes([6; 32])).public();
        assert!(stranger.verify("domain", b"message", &signature).is_err());
        let mut bytes = signature.to_bytes();
        bytes[40] ^= 1;
        assert!(
            key.public()
                .verify("domain", b"message", &Signature::from_bytes(bytes))
                .is_err()
        );
    }
}
