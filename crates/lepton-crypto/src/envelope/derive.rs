//! Keys from agreed secrets and from passphrases.

use std::num::NonZeroU32;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::pbkdf2::{PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512, derive as pbkdf2};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::EnvelopeError;
use super::header::Alg;

/// A passphrase. Its strength is its own: see the assumptions of `docs/protocols/envelope.md`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Passphrase(Vec<u8>);

impl Passphrase {
    /// The bytes without one line end behind them. Refuses an empty passphrase, and one of more than 1024 bytes.
    ///
    /// # Errors
    /// [`EnvelopeError::Use`].
    pub fn new(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.len() > 1024 {
            return Err(EnvelopeError::Use(
                "a passphrase has 1 to 1024 bytes, in the first line of its file",
            ));
        }
        if line.contains(&b'\n') {
            return Err(EnvelopeError::Use(
                "a passphrase is one line; the file has several",
            ));
        }
        Ok(Self(line.to_vec()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The cost of trying one passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// PBKDF2 (RFC 8018 §5.2).
    Pbes2 {
        /// Iterations.
        iterations: u32,
    },
    /// Argon2id, version 1.3 (RFC 9106).
    Argon2id {
        /// Memory in KiB.
        memory: u32,
        /// Passes over it.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
}

impl Cost {
    /// What we write for the portable form.
    pub const PORTABLE: Self = Self::Pbes2 {
        iterations: 210_000,
    };
    /// What we write otherwise: the second choice of RFC 9106 §4.
    pub const STRONG: Self = Self::Argon2id {
        memory: 64 * 1024,
        passes: 3,
        lanes: 4,
    };

    /// EV-09: refuses what would cost a reader more than it is worth, and what costs an attacker nothing.
    pub(super) fn check(self) -> Result<(), EnvelopeError> {
        let fine = match self {
            Self::Pbes2 { iterations } => (1_000..=2_000_000).contains(&iterations),
            Self::Argon2id {
                memory,
                passes,
                lanes,
            } => {
                (1..=16).contains(&lanes)
                    && (1..=10).contains(&passes)
                    && (8 * lanes..=256 * 1024).contains(&memory)
            }
        };
        if fine {
            Ok(())
        } else {
            Err(EnvelopeError::Refused(format!(
                "a key derivation of {self:?}"
            )))
        }
    }
}

/// The key-wrapping key of a passphrase.
pub(super) fn from_passphrase(
    alg: Alg,
    passphrase: &Passphrase,
    salt: &[u8],
    cost: Cost,
) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    cost.check()?;
    if !(8..=64).contains(&salt.len()) {
        return Err(EnvelopeError::Refused(
            "a salt that is not 8 to 64 bytes".to_owned(),
        ));
    }
    let (hash, length) = match alg {
        Alg::Pbes2Hs256 => (PBKDF2_HMAC_SHA256, 16),
        _ => (PBKDF2_HMAC_SHA512, 32),
    };
    let mut out = Zeroizing::new(vec![0; length]);
    match cost {
        // RFC 7518 §4.8.1.1: the salt is led by the algorithm's name.
        Cost::Pbes2 { iterations } => pbkdf2(
            hash,
            NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN),
            &[alg.name().as_bytes(), &[0], salt].concat(),
            passphrase.bytes(),
            &mut out,
        ),
        Cost::Argon2id {
            memory,
            passes,
            lanes,
        } => {
            let params = Params::new(memory, passes, lanes, Some(length))
                .map_err(|_| EnvelopeError::Refused("an impossible Argon2 cost".to_owned()))?;
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(passphrase.bytes(), salt, &mut out)
                .map_err(|_| EnvelopeError::Internal("Argon2id failed"))?;
        }
    }
    Ok(out)
}

/// The Concat KDF of RFC 7518 §4.6.2 for outputs of up to 32 bytes: one block of SHA-256.
pub(super) fn concat(
    secret: &[u8],
    algorithm: &str,
    (apu, apv): (&[u8], &[u8]),
    length: usize,
) -> Zeroizing<Vec<u8>> {
    let mut context = Context::new(&SHA256);
    context.update(&1u32.to_be_bytes());
    context.update(secret);
    for part in [algorithm.as_bytes(), apu, apv] {
        context.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        context.update(part);
    }
    let bits = u32::try_from(8 * length).unwrap_or(u32::MAX);
    context.update(&bits.to_be_bytes());
    let block = context.finish();
    Zeroizing::new(block.as_ref().iter().take(length).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::text::unb64;
    use crate::test_hex::hex;

    /// RFC 7518 appendix C.
    #[test]
    fn rfc_7518_concat_kdf() {
        let z = [
            158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49,
            110, 163, 218, 128, 106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
        ];
        let key = concat(&z, "A128GCM", (b"Alice", b"Bob"), 16);
        assert_eq!(*key, *unb64("VqqN6vgjbSBcIijNcacQGg").unwrap());
    }

    /// RFC 7517 appendix C.4: the key of the passphrase, with the salt there (algorithm, zero, salt input).
    #[test]
    fn rfc_7517_pbes2() {
        let salt = [
            217, 96, 147, 112, 150, 117, 70, 247, 127, 8, 155, 137, 174, 42, 80, 215,
        ];
        let passphrase =
            Passphrase::new("Thus from my lips, by yours, my sin is purged.".as_bytes()).unwrap();
        let cost = Cost::Pbes2 { iterations: 4096 };
        let key = from_passphrase(Alg::Pbes2Hs256, &passphrase, &salt, cost).unwrap();
        assert_eq!(
            *key,
            [
                110, 171, 169, 92, 129, 92, 109, 117, 233, 242, 116, 233, 170, 14, 24, 75
            ]
        );
    }

    /// The primitive below: RFC 9106 §5.3 (with its secret and associated data, which the library takes and we do not use).
    #[test]
    fn rfc_9106_argon2id() {
        let params = argon2::ParamsBuilder::new()
            .m_cost(32)
            .t_cost(3)
            .p_cost(4)
            .data(argon2::AssociatedData::new(&[4; 12]).unwrap())
            .output_len(32)
            .build()
            .unwrap();
        let argon2 =
            Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
        let mut out = [0; 32];
        argon2
            .hash_password_into(&[1; 32], &[2; 16], &mut out)
            .unwrap();
        assert_eq!(
            out.as_slice(),
            hex("0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659")
        );
    }

    #[test]
    fn costs_are_capped() {
        let argon = |memory, passes, lanes| Cost::Argon2id {
            memory,
            passes,
            lanes,
        };
        assert!(Cost::STRONG.check().is_ok() && Cost::PORTABLE.check().is_ok());
        for cost in [
            argon(256 * 1024 + 1, 1, 1),
            argon(64 * 1024, 11, 1),
            argon(64 * 1024, 0, 1),
            argon(64 * 1024, 1, 17),
            argon(64 * 1024, 1, 0),
            argon(7, 1, 1),
            Cost::Pbes2 { iterations: 999 },
            Cost::Pbes2 {
                iterations: 2_000_001,
            },
        ] {
            assert!(
                matches!(cost.check(), Err(EnvelopeError::Refused(_))),
                "{cost:?}"
            );
        }
    }

    #[test]
    fn a_passphrase_is_one_line() {
        assert_eq!(Passphrase::new(b"a b\r\n").unwrap().bytes(), b"a b");
        assert_eq!(Passphrase::new(b"a b").unwrap().bytes(), b"a b");
        for bad in [b"".as_slice(), b"\n", b"a\nb\n", b"a\n\n"] {
            assert!(Passphrase::new(bad).is_err());
        }
    }
}
