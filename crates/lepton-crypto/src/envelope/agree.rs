//! ECDH on P-256 and X25519: keys, ephemeral keys, shared secrets (EV-11).

use aws_lc_rs::agreement::{
    Algorithm, ECDH_P256, ParsedPublicKey, PrivateKey, UnparsedPublicKey, X25519, agree,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::EnvelopeError;
use super::text::{Object, Writer, bytes_of, text_of};

/// The curve of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// Curve25519 (RFC 7748).
    X25519,
}

/// A public key: an uncompressed point of 65 bytes, or 32 bytes of X25519.
#[derive(Clone, PartialEq, Eq)]
pub struct CurvePublic {
    pub(super) curve: Curve,
    pub(super) bytes: Vec<u8>,
}

/// A private key: a scalar of 32 bytes.
pub struct CurvePrivate {
    scalar: Zeroizing<Vec<u8>>,
    public: CurvePublic,
}

impl Curve {
    const fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::P256 => &ECDH_P256,
            Self::X25519 => &X25519,
        }
    }
}

/// Whether the little-endian number is below 2^255 - 19: agreements reduce it, and a key of several encodings would have several thumbprints.
fn is_reduced(bytes: &[u8]) -> bool {
    match bytes {
        [low, middle @ .., high] => {
            *high < 0x7f || (*high == 0x7f && (*low < 0xed || middle.iter().any(|b| *b != 0xff)))
        }
        _ => false,
    }
}

impl CurvePublic {
    /// Refuses what is no point of the curve, and what every agreement would refuse.
    pub(super) fn new(curve: Curve, bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let key = Self {
            curve,
            bytes: bytes.to_vec(),
        };
        let fine = match curve {
            Curve::P256 => {
                bytes.len() == 65
                    && bytes.first() == Some(&4)
                    && ParsedPublicKey::try_from(UnparsedPublicKey::new(&ECDH_P256, bytes)).is_ok()
            }
            Curve::X25519 => {
                is_reduced(bytes)
                    && crate::AgreementPublic::try_from(bytes)
                        .is_ok_and(|public| public.check().is_ok())
            }
        };
        if fine {
            Ok(key)
        } else {
            Err(EnvelopeError::Key("it is no usable point of its curve"))
        }
    }

    /// The members of RFC 7638 §3.2 (RFC 8037 §2 for X25519), in their order.
    pub(super) fn jwk(&self, writer: Writer) -> Writer {
        match self.curve {
            Curve::X25519 => writer
                .text("crv", "X25519")
                .text("kty", "OKP")
                .bytes("x", &self.bytes),
            Curve::P256 => {
                let (x, y) = self.bytes.split_at_checked(33).unwrap_or_default();
                writer
                    .text("crv", "P-256")
                    .text("kty", "EC")
                    .bytes("x", x.get(1..).unwrap_or_default())
                    .bytes("y", y)
            }
        }
    }

    pub(super) fn from_jwk(jwk: &Object) -> Result<Self, EnvelopeError> {
        const MISSING: &str = "a curve's key lacks a coordinate";
        let x = bytes_of(jwk, "x", MISSING)?;
        match (text_of(jwk, "kty"), text_of(jwk, "crv")) {
            (Some("OKP"), Some("X25519")) => Self::new(Curve::X25519, &x),
            (Some("EC"), Some("P-256")) => {
                let y = bytes_of(jwk, "y", MISSING)?;
                if x.len() != 32 || y.len() != 32 {
                    return Err(EnvelopeError::Key("a coordinate of P-256 has 32 bytes"));
                }
                Self::new(Curve::P256, &[&[4], x.as_slice(), &y].concat())
            }
            _ => Err(EnvelopeError::Key("its curve is neither P-256 nor X25519")),
        }
    }
}

impl CurvePrivate {
    /// A fresh key. (A P-256 scalar outside of 1..n is drawn again: chance 2^-32.)
    pub(super) fn generate(curve: Curve, rng: &mut impl CryptoRng) -> Result<Self, EnvelopeError> {
        for _ in 0..64 {
            let mut scalar = Zeroizing::new([0; 32]);
            rng.fill_bytes(scalar.as_mut());
            if let Ok(key) = Self::from_scalar(curve, scalar.as_ref()) {
                return Ok(key);
            }
        }
        Err(EnvelopeError::Internal("the generator gives no scalar"))
    }

    pub(super) fn from_scalar(curve: Curve, scalar: &[u8]) -> Result<Self, EnvelopeError> {
        const BAD: EnvelopeError = EnvelopeError::Key("it is no private key of its curve");
        let key = PrivateKey::from_private_key(curve.algorithm(), scalar).map_err(|_| BAD)?;
        let public = key.compute_public_key().map_err(|_| BAD)?;
        Ok(Self {
            scalar: Zeroizing::new(scalar.to_vec()),
            public: CurvePublic {
                curve,
                bytes: public.as_ref().to_vec(),
            },
        })
    }

    pub(super) const fn public(&self) -> &CurvePublic {
        &self.public
    }

    pub(super) fn scalar(&self) -> &[u8] {
        &self.scalar
    }

    /// The shared secret Z: the x coordinate, or X25519's output. Refuses another curve, points off the curve and the zero output.
    pub(super) fn agree(&self, peer: &CurvePublic) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        const BAD: EnvelopeError = EnvelopeError::DoesNotOpen;
        let curve = self.public.curve;
        if peer.curve != curve {
            return Err(BAD);
        }
        let key = PrivateKey::from_private_key(curve.algorithm(), &self.scalar).map_err(|_| BAD)?;
        let peer = UnparsedPublicKey::new(curve.algorithm(), peer.bytes.as_slice());
        agree(&key, peer, BAD, |secret| {
            Ok(Zeroizing::new(secret.to_vec()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::text::Json;
    use crate::test_hex::hex;

    /// A key has one encoding, and so one thumbprint.
    #[test]
    fn other_encodings_of_a_key_are_refused() {
        let bob = hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        assert!(CurvePublic::new(Curve::X25519, &bob).is_ok());
        let mut high = bob;
        high[31] |= 0x80;
        assert!(CurvePublic::new(Curve::X25519, &high).is_err());
        // 2^255 - 19 + 9: the base point, not reduced.
        let mut base = [0xff; 32];
        (base[0], base[31]) = (0xed + 9, 0x7f);
        assert!(CurvePublic::new(Curve::X25519, &base).is_err());
        base = [0; 32];
        base[0] = 9;
        assert!(CurvePublic::new(Curve::X25519, &base).is_ok());
    }

    /// RFC 8037 appendix A.6, with Bob's private key from RFC 7748 §6.1.
    #[test]
    fn rfc_8037_ecdh() {
        let bob = CurvePrivate::from_scalar(
            Curve::X25519,
            &hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"),
        )
        .unwrap();
        let jwk = Json::object(br#"{"kty":"OKP","crv":"X25519","kid":"Bob","x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"}"#).unwrap();
        assert!(CurvePublic::from_jwk(&jwk).unwrap() == *bob.public());
        let epk = Json::object(
            br#"{"kty":"OKP","crv":"X25519","x":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"}"#,
        )
        .unwrap();
        let z = bob.agree(&CurvePublic::from_jwk(&epk).unwrap()).unwrap();
        assert_eq!(
            *z,
            hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
        );
    }

    /// RFC 7518 appendix C: Z of Alice's ephemeral key and Bob's key.
    #[test]
    fn rfc_7518_ecdh() {
        let alice = Json::object(br#"{"kty":"EC","crv":"P-256","x":"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0","y":"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps"}"#).unwrap();
        let bob = CurvePrivate::from_scalar(
            Curve::P256,
            &crate::envelope::text::unb64("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw").unwrap(),
        )
        .unwrap();
        let z = bob.agree(&CurvePublic::from_jwk(&alice).unwrap()).unwrap();
        assert_eq!(z[..4], [158, 86, 217, 29]);
        assert_eq!(z[28..], [140, 254, 144, 196]);
    }

    #[test]
    fn refuses_points_off_the_curve() {
        let mut point = CurvePrivate::from_scalar(Curve::P256, &[7; 32])
            .unwrap()
            .public()
            .bytes
            .clone();
        assert!(CurvePublic::new(Curve::P256, &point).is_ok());
        point[64] ^= 1;
        assert!(CurvePublic::new(Curve::P256, &point).is_err());
        assert!(CurvePublic::new(Curve::P256, &[0]).is_err());
        assert!(CurvePublic::new(Curve::X25519, &[0; 32]).is_err());
        assert!(CurvePrivate::from_scalar(Curve::P256, &[0; 32]).is_err());
        assert!(CurvePrivate::from_scalar(Curve::P256, &[0xff; 32]).is_err());
    }
}
