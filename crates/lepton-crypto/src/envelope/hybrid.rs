//! X25519 with ML-KEM-768 (FIPS 203): holds if either does (EV-10).

use aws_lc_rs::digest::{SHA3_256, digest};
use aws_lc_rs::kem::{DecapsulationKey, ML_KEM_768};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::agree::{Curve, CurvePrivate, CurvePublic};
use super::header::Alg;
use super::text::{Object, Writer, bytes_of};
use super::{EnvelopeError, entropy};
use crate::hkdf;

/// Bytes of an encapsulation key, a decapsulation key and a ciphertext of ML-KEM-768 (FIPS 203 table 3).
const PUBLIC: usize = 1184;
const PRIVATE: usize = 2400;
const CIPHERTEXT: usize = 1088;
/// `kty` of our JWK.
pub(super) const KTY: &str = "lepton.X25519MLKEM768";
const SALT: &[u8] = b"lepton X25519MLKEM768 v1";

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct HybridPublic {
    curve: CurvePublic,
    kem: Vec<u8>,
}

/// A private key.
pub struct HybridPrivate {
    curve: CurvePrivate,
    kem: Zeroizing<Vec<u8>>,
    public: HybridPublic,
}

impl HybridPublic {
    /// A key-wrapping key and the ciphertexts that carry it.
    pub(super) fn encapsulate(
        &self,
        rng: &mut impl CryptoRng,
    ) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), EnvelopeError> {
        let (ciphertext, kem_secret) = entropy::ml_kem_encapsulate(&self.kem)?;
        let ephemeral = CurvePrivate::generate(Curve::X25519, rng)?;
        let curve_secret = ephemeral
            .agree(&self.curve)
            .map_err(|_| EnvelopeError::Key("it is no usable point of its curve"))?;
        let both = [ciphertext.as_slice(), &ephemeral.public().bytes].concat();
        Ok((self.combine(&kem_secret, &curve_secret, &both), both))
    }

    /// Both secrets, both ciphertexts, both public keys.
    fn combine(&self, kem: &[u8], curve: &[u8], ciphertexts: &[u8]) -> Zeroizing<Vec<u8>> {
        let (kem_ciphertext, curve_ciphertext) =
            ciphertexts.split_at_checked(CIPHERTEXT).unwrap_or_default();
        let secret = Zeroizing::new([kem, curve].concat());
        let mut prk = Zeroizing::new([0; 32]);
        hkdf::extract(SALT, &secret, &mut prk);
        let mut info = Vec::new();
        let parts = [
            Alg::Hybrid.name().as_bytes(),
            kem_ciphertext,
            curve_ciphertext,
            &self.kem,
            &self.curve.bytes,
        ];
        for part in parts {
            info.extend((part.len() as u64).to_le_bytes());
            info.extend(part);
        }
        let mut out = Zeroizing::new([0; 32]);
        hkdf::expand(&prk, &[&info], &mut out);
        Zeroizing::new(out.to_vec())
    }

    pub(super) fn jwk(&self, writer: Writer) -> Writer {
        writer
            .text("kty", KTY)
            .bytes("pub", &self.kem)
            .bytes("x", &self.curve.bytes)
    }

    pub(super) fn from_jwk(jwk: &Object) -> Result<Self, EnvelopeError> {
        let curve = bytes_of(jwk, "x", "a hybrid key has no `x`")?;
        let kem = bytes_of(jwk, "pub", "a hybrid key has no `pub`")?;
        if kem.len() != PUBLIC {
            return Err(EnvelopeError::Key(
                "an ML-KEM-768 encapsulation key has 1184 bytes",
            ));
        }
        // The library checks the key itself (FIPS 203 §7.2) when it first uses it.
        entropy::ml_kem_encapsulate(&kem)?;
        Ok(Self {
            curve: CurvePublic::new(Curve::X25519, &curve)?,
            kem: kem.to_vec(),
        })
    }
}

impl HybridPrivate {
    pub(super) fn generate(rng: &mut impl CryptoRng) -> Result<Self, EnvelopeError> {
        let curve = CurvePrivate::generate(Curve::X25519, rng)?;
        Self::new(curve, entropy::ml_kem_key()?)
    }

    /// Checks the decapsulation key as FIPS 203 §7.3 does: its length, and the hash of the encapsulation key in it; and that the two halves work together.
    fn new(curve: CurvePrivate, kem: Zeroizing<Vec<u8>>) -> Result<Self, EnvelopeError> {
        const BAD: EnvelopeError = EnvelopeError::Key("it is no ML-KEM-768 decapsulation key");
        if kem.len() != PRIVATE {
            return Err(BAD);
        }
        let public = kem.get(1152..1152 + PUBLIC).ok_or(BAD)?.to_vec();
        let hash = kem.get(1152 + PUBLIC..1152 + PUBLIC + 32).ok_or(BAD)?;
        if digest(&SHA3_256, &public).as_ref() != hash {
            return Err(BAD);
        }
        let (ciphertext, secret) = entropy::ml_kem_encapsulate(&public)?;
        if !crate::ct_eq(&decapsulate(&kem, &ciphertext)?, &secret) {
            return Err(BAD);
        }
        let public = HybridPublic {
            curve: curve.public().clone(),
            kem: public,
        };
        Ok(Self { curve, kem, public })
    }

    pub(super) const fn public(&self) -> &HybridPublic {
        &self.public
    }

    pub(super) fn decapsulate(&self, both: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        let (ciphertext, point) = both
            .split_at_checked(CIPHERTEXT)
            .filter(|(_, point)| point.len() == 32)
            .ok_or(EnvelopeError::Malformed("`ek` has another length"))?;
        let kem_secret = decapsulate(&self.kem, ciphertext)?;
        let point = CurvePublic {
            curve: Curve::X25519,
            bytes: point.to_vec(),
        };
        let curve_secret = self.curve.agree(&point)?;
        Ok(self.public.combine(&kem_secret, &curve_secret, both))
    }

    pub(super) fn private_jwk(&self, writer: Writer) -> Writer {
        writer
            .bytes("d", self.curve.scalar())
            .bytes("priv", &self.kem)
    }

    pub(super) fn from_private_jwk(jwk: &Object) -> Result<Self, EnvelopeError> {
        let scalar = bytes_of(jwk, "d", "a private hybrid key has no `d`")?;
        let kem = bytes_of(jwk, "priv", "a private hybrid key has no `priv`")?;
        Self::new(CurvePrivate::from_scalar(Curve::X25519, &scalar)?, kem)
    }
}

fn decapsulate(key: &[u8], ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let key = DecapsulationKey::new(&ML_KEM_768, key)
        .map_err(|_| EnvelopeError::Key("it is no ML-KEM-768 decapsulation key"))?;
    key.decapsulate(ciphertext.into())
        .map(|secret| Zeroizing::new(secret.as_ref().to_vec()))
        .map_err(|_| EnvelopeError::DoesNotOpen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn both_halves_matter() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let key = HybridPrivate::generate(&mut rng).unwrap();
        let (secret, both) = key.public().encapsulate(&mut rng).unwrap();
        assert_eq!(both.len(), CIPHERTEXT + 32);
        assert_eq!(*key.decapsulate(&both).unwrap(), *secret);
        for i in [0, 500, CIPHERTEXT - 1, CIPHERTEXT, CIPHERTEXT + 30] {
            let mut bad = both.clone();
            bad[i] ^= 1;
            assert!(
                key.decapsulate(&bad)
                    .map_or(true, |other| *other != *secret),
                "{i}"
            );
        }
        assert!(key.decapsulate(&both[1..]).is_err());
        // A key with the same half of ML-KEM and another of X25519, and the other way round.
        let other = HybridPrivate::generate(&mut rng).unwrap();
        let mixed = HybridPrivate::new(
            CurvePrivate::from_scalar(Curve::X25519, other.curve.scalar()).unwrap(),
            key.kem.clone(),
        )
        .unwrap();
        assert!(*mixed.decapsulate(&both).unwrap() != *secret);
        let mixed = HybridPrivate::new(
            CurvePrivate::from_scalar(Curve::X25519, key.curve.scalar()).unwrap(),
            other.kem.clone(),
        )
        .unwrap();
        assert!(*mixed.decapsulate(&both).unwrap() != *secret);
    }

    /// EV-10 written out again, with other means: HKDF of the library below over the framed parts.
    #[test]
    fn the_combiner_is_the_documents() {
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        let key = HybridPrivate::generate(&mut rng).unwrap();
        let both = [5; CIPHERTEXT + 32];
        let info: Vec<u8> = [
            Alg::Hybrid.name().as_bytes(),
            &both[..CIPHERTEXT],
            &both[CIPHERTEXT..],
            &key.public.kem,
            &key.public.curve.bytes,
        ]
        .iter()
        .flat_map(|part| [&(part.len() as u64).to_le_bytes(), *part].concat())
        .collect();
        let prk =
            aws_lc_rs::hkdf::Salt::new(aws_lc_rs::hkdf::HKDF_SHA256, b"lepton X25519MLKEM768 v1")
                .extract(&[[1; 32], [2; 32]].concat());
        let mut expected = [0; 32];
        let info = [info.as_slice()];
        prk.expand(&info, aws_lc_rs::hkdf::HKDF_SHA256)
            .unwrap()
            .fill(&mut expected)
            .unwrap();
        assert_eq!(*key.public.combine(&[1; 32], &[2; 32], &both), expected);
    }

    #[test]
    fn refuses_damaged_keys() {
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        let key = HybridPrivate::generate(&mut rng).unwrap();
        for i in [0, 1151, 1152, 1152 + PUBLIC, 1152 + PUBLIC + 31] {
            let mut kem = key.kem.clone();
            kem[i] ^= 1;
            let curve = CurvePrivate::from_scalar(Curve::X25519, key.curve.scalar()).unwrap();
            assert!(HybridPrivate::new(curve, kem).is_err(), "{i}");
        }
    }
}
