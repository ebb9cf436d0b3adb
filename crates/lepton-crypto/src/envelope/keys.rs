//! Keys of all kinds, and their JWK (RFC 7517) form.

use aws_lc_rs::rsa::KeySize;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::EnvelopeError;
use super::agree::{Curve, CurvePrivate, CurvePublic};
use super::hybrid::{self, HybridPrivate, HybridPublic};
use super::rsa::{RsaPrivate, RsaPublic};
use super::signing::{SigningKey, SigningPublic};
use super::text::{Json, Object, Writer, b64, bytes_of, text_of};
use crate::sha256;

/// A key to which anybody can encrypt, or with which anybody can check signatures.
#[derive(Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA of 3072 or 4096 bits.
    Rsa(RsaPublic),
    /// P-256 or X25519.
    Curve(CurvePublic),
    /// X25519 with ML-KEM-768.
    Hybrid(Box<HybridPublic>),
    /// Ed25519: for signatures only.
    Signing(SigningPublic),
}

/// A secret key.
pub enum Key {
    /// RSA of 3072 or 4096 bits.
    Rsa(RsaPrivate),
    /// P-256 or X25519.
    Curve(CurvePrivate),
    /// X25519 with ML-KEM-768.
    Hybrid(Box<HybridPrivate>),
    /// AES of 128, 192 or 256 bits: who can encrypt to it can decrypt.
    Aes(AesKey),
    /// Ed25519: for signatures only.
    Signing(SigningKey),
}

/// A raw AES key.
pub struct AesKey(Zeroizing<Vec<u8>>);

/// Kinds of keys that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with a modulus of 3072 bits.
    Rsa3072,
    /// RSA with a modulus of 4096 bits.
    Rsa4096,
    /// ECDH on NIST P-256.
    P256,
    /// X25519.
    X25519,
    /// X25519 with ML-KEM-768.
    Hybrid,
    /// AES of 128 bits.
    Aes128,
    /// AES of 192 bits.
    Aes192,
    /// AES of 256 bits.
    Aes256,
    /// Ed25519, for signatures.
    Ed25519,
}

impl AesKey {
    /// Refuses other lengths than 16, 24 and 32 bytes. The bytes must be uniformly random: a passphrase is no AES key.
    ///
    /// # Errors
    /// [`EnvelopeError::Key`].
    pub fn new(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        match bytes.len() {
            16 | 24 | 32 => Ok(Self(Zeroizing::new(bytes.to_vec()))),
            _ => Err(EnvelopeError::Key("an AES key has 16, 24 or 32 bytes")),
        }
    }

    fn random(length: usize, rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new(vec![0; length]);
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Key {
    /// A fresh key. RSA and ML-KEM keys are drawn by the library below, the others from `rng`.
    ///
    /// # Errors
    /// [`EnvelopeError::Internal`] when there is no entropy.
    pub fn generate(kind: KeyKind, rng: &mut impl CryptoRng) -> Result<Self, EnvelopeError> {
        Ok(match kind {
            KeyKind::Rsa3072 => Self::Rsa(RsaPrivate::generate(KeySize::Rsa3072)?),
            KeyKind::Rsa4096 => Self::Rsa(RsaPrivate::generate(KeySize::Rsa4096)?),
            KeyKind::P256 => Self::Curve(CurvePrivate::generate(Curve::P256, rng)?),
            KeyKind::X25519 => Self::Curve(CurvePrivate::generate(Curve::X25519, rng)?),
            KeyKind::Hybrid => Self::Hybrid(Box::new(HybridPrivate::generate(rng)?)),
            KeyKind::Aes128 => Self::Aes(AesKey::random(16, rng)),
            KeyKind::Aes192 => Self::Aes(AesKey::random(24, rng)),
            KeyKind::Aes256 => Self::Aes(AesKey::random(32, rng)),
            KeyKind::Ed25519 => Self::Signing(SigningKey::generate(rng)),
        })
    }

    /// The public half; an AES key has none.
    #[must_use]
    pub fn public(&self) -> Option<PublicKey> {
        match self {
            Self::Rsa(key) => Some(PublicKey::Rsa(key.public().clone())),
            Self::Curve(key) => Some(PublicKey::Curve(key.public().clone())),
            Self::Hybrid(key) => Some(PublicKey::Hybrid(Box::new(key.public().clone()))),
            Self::Signing(key) => Some(PublicKey::Signing(key.public())),
            Self::Aes(_) => None,
        }
    }

    /// What kind of key it is, for people.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Aes(key) => format!("AES-{}", 8 * key.0.len()),
            other => other.public().map(|key| key.kind()).unwrap_or_default(),
        }
    }

    /// The private key as a JWK. Dangerous: unencrypted.
    ///
    /// # Errors
    /// [`EnvelopeError::Key`] for a key that cannot be taken apart.
    pub fn to_jwk(&self) -> Result<Zeroizing<String>, EnvelopeError> {
        let public = |key: Option<PublicKey>| match key {
            Some(key) => key.members(Writer::new()),
            None => Writer::new(),
        };
        let writer = public(self.public());
        Ok(match self {
            Self::Rsa(key) => key.private_jwk(writer)?,
            Self::Curve(key) => writer.bytes("d", key.scalar()),
            Self::Signing(key) => writer.bytes("d", key.seed()),
            Self::Hybrid(key) => key.private_jwk(writer),
            Self::Aes(key) => writer.bytes("k", key.bytes()).text("kty", "oct"),
        }
        .end())
    }

    /// A private JWK. Refuses keys whose private and public halves differ, whose `use` is not that of their kind, or whose `alg` is another than the one
    /// that its kind of key is for (EV-07).
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn from_jwk(text: &[u8]) -> Result<Self, EnvelopeError> {
        let jwk = Json::object(text)?;
        let key = match text_of(&jwk, "kty") {
            Some("RSA") => Self::Rsa(RsaPrivate::from_private_jwk(&jwk)?),
            Some("OKP") if is_ed25519(&jwk) => {
                Self::Signing(SigningKey::from_seed(&bytes_of(&jwk, "d", NO_D)?)?)
            }
            Some("EC" | "OKP") => {
                let curve = CurvePublic::from_jwk(&jwk)?.curve;
                let scalar = bytes_of(&jwk, "d", NO_D)?;
                Self::Curve(CurvePrivate::from_scalar(curve, &scalar)?)
            }
            Some(hybrid::KTY) => Self::Hybrid(Box::new(HybridPrivate::from_private_jwk(&jwk)?)),
            Some("oct") => Self::Aes(AesKey::new(&bytes_of(&jwk, "k", "a key has no `k`")?)?),
            _ => return Err(EnvelopeError::Key("its `kty` is none that is known here")),
        };
        match key.public() {
            Some(public) if public != PublicKey::from_object(&jwk)? => Err(EnvelopeError::Key(
                "its private and its public half do not belong together",
            )),
            Some(_) => Ok(key),
            None => {
                let algs = ["A128KW", "A192KW", "A256KW", "dir"];
                check_use(&jwk, ("enc", &algs)).map(|()| key)
            }
        }
    }
}

impl PublicKey {
    /// A public JWK. Refuses one that holds private members, so that nobody hands a private key around by mistake.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn from_jwk(text: &[u8]) -> Result<Self, EnvelopeError> {
        let jwk = Json::object(text)?;
        if ["d", "k", "priv"]
            .iter()
            .any(|name| jwk.contains_key(*name))
        {
            return Err(EnvelopeError::Key(
                "it is a private key; only its public half may be given to others",
            ));
        }
        Self::from_object(&jwk)
    }

    fn from_object(jwk: &Object) -> Result<Self, EnvelopeError> {
        if text_of(jwk, "kty") == Some("OKP") && is_ed25519(jwk) {
            check_use(jwk, ("sig", &["EdDSA", "Ed25519"]))?;
            return SigningPublic::from_jwk(jwk).map(Self::Signing);
        }
        let (key, alg) = match text_of(jwk, "kty") {
            Some("RSA") => (Self::Rsa(RsaPublic::from_jwk(jwk)?), "RSA-OAEP-256"),
            Some("EC" | "OKP") => (Self::Curve(CurvePublic::from_jwk(jwk)?), "ECDH-ES+A256KW"),
            Some(hybrid::KTY) => (
                Self::Hybrid(Box::new(HybridPublic::from_jwk(jwk)?)),
                "lepton.X25519MLKEM768+A256KW",
            ),
            _ => {
                return Err(EnvelopeError::Key(
                    "its `kty` is none of a public key that is known here",
                ));
            }
        };
        check_use(jwk, ("enc", &[alg]))?;
        Ok(key)
    }

    /// The public key as a JWK.
    #[must_use]
    pub fn to_jwk(&self) -> String {
        self.members(Writer::new()).end().to_string()
    }

    /// The thumbprint (RFC 7638) by which envelopes name their recipients.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        b64(sha256(self.to_jwk().as_bytes()).as_bytes())
    }

    /// The key, if it checks signatures.
    #[must_use]
    pub const fn signing(&self) -> Option<SigningPublic> {
        match self {
            Self::Signing(key) => Some(*key),
            Self::Rsa(_) | Self::Curve(_) | Self::Hybrid(_) => None,
        }
    }

    /// What kind of key it is, for people.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Rsa(key) => format!("RSA-{}", key.bits()),
            Self::Curve(key) => match key.curve {
                Curve::P256 => "P-256".to_owned(),
                Curve::X25519 => "X25519".to_owned(),
            },
            Self::Hybrid(_) => "X25519 with ML-KEM-768".to_owned(),
            Self::Signing(_) => "Ed25519".to_owned(),
        }
    }

    fn members(&self, writer: Writer) -> Writer {
        match self {
            Self::Rsa(key) => key.jwk(writer),
            Self::Curve(key) => key.jwk(writer),
            Self::Hybrid(key) => key.jwk(writer),
            Self::Signing(key) => key.jwk(writer),
        }
    }
}

const NO_D: &str = "a private key has no `d`";

fn is_ed25519(jwk: &Object) -> bool {
    text_of(jwk, "crv") == Some("Ed25519")
}

/// EV-07: a JWK that says what it is for is used for nothing else.
fn check_use(jwk: &Object, (purpose, algs): (&str, &[&str])) -> Result<(), EnvelopeError> {
    if jwk.contains_key("use") && text_of(jwk, "use") != Some(purpose) {
        return Err(EnvelopeError::Key(
            "its `use` is another than what such keys are used for here",
        ));
    }
    let alg = jwk.get("alg").map(|alg| alg.text().unwrap_or_default());
    if alg.is_some_and(|alg| !algs.contains(&alg)) {
        return Err(EnvelopeError::Key(
            "its `alg` is another than what such keys are used for here",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    const KINDS: [KeyKind; 8] = [
        KeyKind::Rsa3072,
        KeyKind::P256,
        KeyKind::X25519,
        KeyKind::Hybrid,
        KeyKind::Aes128,
        KeyKind::Aes192,
        KeyKind::Aes256,
        KeyKind::Ed25519,
    ];

    #[test]
    fn keys_survive_their_jwk() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        for kind in KINDS {
            let key = Key::generate(kind, &mut rng).unwrap();
            let jwk = key.to_jwk().unwrap();
            let again = Key::from_jwk(jwk.as_bytes()).unwrap();
            assert_eq!(*again.to_jwk().unwrap(), *jwk, "{kind:?}");
            if let Some(public) = key.public() {
                assert!(PublicKey::from_jwk(public.to_jwk().as_bytes()).unwrap() == public);
                assert!(
                    PublicKey::from_jwk(jwk.as_bytes()).is_err(),
                    "a private key is no public key"
                );
                assert!(Key::from_jwk(public.to_jwk().as_bytes()).is_err());
                let other = Key::generate(kind, &mut rng).unwrap().public().unwrap();
                let (name, part) = match kind {
                    KeyKind::Rsa3072 => ("n", text_member(&other, "n")),
                    _ => ("x", text_member(&other, "x")),
                };
                let mixed = jwk.replace(&text_member(&public, name), &part);
                assert!(Key::from_jwk(mixed.as_bytes()).is_err(), "{kind:?}");
            }
        }
    }

    fn text_member(key: &PublicKey, name: &str) -> String {
        let object = Json::object(key.to_jwk().as_bytes()).unwrap();
        text_of(&object, name).unwrap().to_owned()
    }

    /// RFC 7638 §3.1 (an RSA key of 2048 bits: refused as a key, so its thumbprint is taken of the members), and RFC 8037 appendix A.3's form for OKP keys.
    #[test]
    fn thumbprints() {
        let jwk = r#"{"e":"AQAB","kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}"#;
        assert_eq!(
            b64(sha256(jwk.as_bytes()).as_bytes()),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
        assert!(matches!(
            PublicKey::from_jwk(jwk.as_bytes()),
            Err(EnvelopeError::Key("an RSA key must have 3072 or 4096 bits"))
        ));
        let key = PublicKey::from_jwk(br#"{"x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08","crv":"X25519","kid":"Bob","kty":"OKP"}"#).unwrap();
        assert_eq!(
            key.to_jwk(),
            r#"{"crv":"X25519","kty":"OKP","x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"}"#
        );
    }

    #[test]
    fn a_jwk_is_used_as_it_says() {
        let key = |more: &str| {
            format!(
                r#"{{"kty":"OKP","crv":"X25519","x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"{more}}}"#
            )
        };
        for fine in ["", r#","use":"enc""#, r#","alg":"ECDH-ES+A256KW""#] {
            assert!(PublicKey::from_jwk(key(fine).as_bytes()).is_ok(), "{fine}");
        }
        for bad in [
            r#","use":"sig""#,
            r#","alg":"ECDH-ES""#,
            r#","alg":1"#,
            r#","kty":"OKP""#,
            r#","use":1"#,
        ] {
            assert!(PublicKey::from_jwk(key(bad).as_bytes()).is_err(), "{bad}");
        }
        let signing = |more: &str| key(more).replace("X25519", "Ed25519");
        for fine in [
            "",
            r#","use":"sig""#,
            r#","alg":"EdDSA""#,
            r#","alg":"Ed25519""#,
        ] {
            let key = PublicKey::from_jwk(signing(fine).as_bytes()).unwrap();
            assert_eq!(key.kind(), "Ed25519");
        }
        for bad in [r#","use":"enc""#, r#","alg":"ES256""#] {
            assert!(
                PublicKey::from_jwk(signing(bad).as_bytes()).is_err(),
                "{bad}"
            );
        }
    }
}
