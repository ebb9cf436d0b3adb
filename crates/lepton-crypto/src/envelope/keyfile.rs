//! Key files in any of their forms (EV-17).

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::derive::{Cost, Passphrase};
use super::header::{Content, Enc, Purpose};
use super::jwe::{Lock, content_of, open, seal};
use super::keys::{AesKey, Key, PublicKey};
use super::recipient::Unlock;
use super::shares::Share;
use super::{EnvelopeError, pem};

/// Most bytes of a key file.
pub const MAX_KEY_FILE: usize = 64 << 10;

/// Whoever gives a passphrase believes the file to be encrypted, and would take one that somebody put there for it.
pub(super) const NOT_ENCRYPTED: EnvelopeError =
    EnvelopeError::Use("the key file is not encrypted; leave out its passphrase");

/// How a private key is protected in its file.
#[derive(Clone, Copy)]
pub enum Protection<'a> {
    /// Under a passphrase.
    Passphrase(&'a Passphrase),
    /// Not at all: who can read the file has the key.
    InsecurePlain,
}

/// The form of a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFormat {
    /// PKCS#8 or SubjectPublicKeyInfo in PEM: RSA, P-256, X25519, Ed25519.
    Pem,
    /// JWK, or a JWE of it: every kind.
    Jwk,
}

/// What a file of a key is, as far as it says without any passphrase.
pub enum KeyFile {
    /// A public key.
    Public(PublicKey),
    /// A private or AES key that is not encrypted.
    Plain(Key),
    /// A private or AES key under a passphrase.
    Encrypted,
    /// A key in escrow.
    Escrow,
    /// A share of a key.
    Share(Share),
}

impl KeyFile {
    /// What the bytes of a file are; nothing if they are no key.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if let Ok(key) = PublicKey::from_file(bytes) {
            return Some(Self::Public(key));
        }
        if let Ok(share) = Share::from_file(bytes) {
            return Some(Self::Share(share));
        }
        if Key::is_encrypted(bytes) {
            return Some(Self::Encrypted);
        }
        let text = text_of_file(bytes).unwrap_or_default();
        if content_of(text) == Some(Content::Escrow) {
            return Some(Self::Escrow);
        }
        Key::from_file(bytes, None).ok().map(Self::Plain)
    }
}

impl<'a> Protection<'a> {
    const fn passphrase(self) -> Option<&'a Passphrase> {
        match self {
            Self::Passphrase(passphrase) => Some(passphrase),
            Self::InsecurePlain => None,
        }
    }
}

impl Key {
    /// The form that a key of this kind is written in if nobody says otherwise: the one that most tools read.
    #[must_use]
    pub const fn usual_format(&self) -> KeyFormat {
        match self {
            Self::Rsa(_) | Self::Curve(_) | Self::Signing(_) => KeyFormat::Pem,
            Self::Hybrid(_) | Self::Aes(_) => KeyFormat::Jwk,
        }
    }

    /// The text of a key file. An encrypted JWK costs what [`Cost::STRONG`] says.
    ///
    /// # Errors
    /// [`EnvelopeError::Use`] for a form that the kind of key does not have.
    pub fn to_file(
        &self,
        format: KeyFormat,
        protection: Protection<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Zeroizing<String>, EnvelopeError> {
        if format == KeyFormat::Pem {
            return pem::private_to_pem(self, protection.passphrase(), rng);
        }
        let jwk = self.to_jwk()?;
        let mut text = match protection {
            Protection::InsecurePlain => jwk,
            Protection::Passphrase(passphrase) => {
                let lock = Lock::Passphrase(passphrase, Cost::STRONG);
                let jwk = jwk.as_bytes();
                Zeroizing::new(seal(lock, Enc::A256Gcm, Purpose::Key, jwk, rng)?)
            }
        };
        text.push('\n');
        Ok(text)
    }

    /// Whether a file is one of a key under a passphrase.
    #[must_use]
    pub fn is_encrypted(bytes: &[u8]) -> bool {
        let Ok(text) = text_of_file(bytes) else {
            return false;
        };
        pem::is_encrypted(text) || content_of(text) == Some(Content::Key)
    }

    /// A private or AES key from its file: PEM, JWK, a JWE of a JWK, or 16, 24 or 32 raw bytes.
    ///
    /// # Errors
    /// [`EnvelopeError`]; [`EnvelopeError::Use`] for a passphrase to a file that is not encrypted.
    pub fn from_file(bytes: &[u8], passphrase: Option<&Passphrase>) -> Result<Self, EnvelopeError> {
        let plain = |key| match passphrase {
            None => Ok(key),
            Some(_) => Err(NOT_ENCRYPTED),
        };
        if matches!(bytes.len(), 16 | 24 | 32) {
            return raw(bytes).and_then(plain);
        }
        let text = text_of_file(bytes)?;
        if text.starts_with("-----BEGIN") {
            return pem::private_from_pem(text, passphrase);
        }
        if !is_jwe(text) {
            return Self::from_jwk(text.as_bytes()).and_then(plain);
        }
        let passphrase = passphrase.ok_or(EnvelopeError::Use(
            "the key file is encrypted; give the file with its passphrase",
        ))?;
        let jwk = open(text, Unlock::Passphrase(passphrase), Purpose::Key)?.plaintext;
        Self::from_jwk(&jwk)
    }
}

impl PublicKey {
    /// The form that a public key of this kind is written in if nobody says otherwise.
    #[must_use]
    pub const fn usual_format(&self) -> KeyFormat {
        match self {
            Self::Rsa(_) | Self::Curve(_) | Self::Signing(_) => KeyFormat::Pem,
            Self::Hybrid(_) => KeyFormat::Jwk,
        }
    }

    /// The text of a public key's file.
    ///
    /// # Errors
    /// [`EnvelopeError::Use`] for a form that the kind of key does not have.
    pub fn to_file(&self, format: KeyFormat) -> Result<String, EnvelopeError> {
        match format {
            KeyFormat::Pem => pem::public_to_pem(self),
            KeyFormat::Jwk => Ok(self.to_jwk() + "\n"),
        }
    }

    /// A public key from its file: PEM or JWK.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn from_file(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let text = text_of_file(bytes)?;
        if text.starts_with("-----BEGIN") {
            pem::public_from_pem(text)
        } else {
            Self::from_jwk(text.as_bytes())
        }
    }
}

/// 16 bytes can also be a sentence somebody typed: what is text is taken for that. Of random keys of 16 bytes this refuses fewer than one in 100 000, of longer ones next to none.
fn raw(bytes: &[u8]) -> Result<Key, EnvelopeError> {
    let typed = |text: &str| text.chars().all(|c| c.is_whitespace() || !c.is_control());
    if std::str::from_utf8(bytes).is_ok_and(typed) {
        return Err(EnvelopeError::Key(
            "its file holds text; a raw AES key is 16, 24 or 32 random bytes (one that looks like text goes into a JWK)",
        ));
    }
    AesKey::new(bytes).map(Key::Aes)
}

fn text_of_file(bytes: &[u8]) -> Result<&str, EnvelopeError> {
    const BAD: EnvelopeError =
        EnvelopeError::Key("its file is none of PEM, JWK, encrypted JWK or 16, 24 or 32 raw bytes");
    if bytes.len() > MAX_KEY_FILE {
        return Err(BAD);
    }
    std::str::from_utf8(bytes)
        .map(str::trim_ascii)
        .map_err(|_| BAD)
}

fn is_jwe(text: &str) -> bool {
    !text.starts_with('{') && text.bytes().filter(|byte| *byte == b'.').count() == 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::KeyKind;
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn every_form_comes_back() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let (good, bad) = (
            Passphrase::new(b"good").unwrap(),
            Passphrase::new(b"bad").unwrap(),
        );
        for kind in [
            KeyKind::Rsa3072,
            KeyKind::P256,
            KeyKind::X25519,
            KeyKind::Hybrid,
            KeyKind::Ed25519,
            KeyKind::Aes192,
        ] {
            let key = Key::generate(kind, &mut rng).unwrap();
            let jwk = key.to_jwk().unwrap();
            for format in [KeyFormat::Pem, KeyFormat::Jwk] {
                let write = |protection, rng: &mut _| key.to_file(format, protection, rng);
                if format == KeyFormat::Pem && key.usual_format() == KeyFormat::Jwk {
                    assert!(write(Protection::InsecurePlain, &mut rng).is_err());
                    continue;
                }
                let plain = write(Protection::InsecurePlain, &mut rng).unwrap();
                let again = Key::from_file(plain.as_bytes(), None).unwrap();
                let locked = Key::from_file(plain.as_bytes(), Some(&good));
                assert!(matches!(locked, Err(NOT_ENCRYPTED)), "{kind:?}");
                assert_eq!(*again.to_jwk().unwrap(), *jwk, "{kind:?}");
                let sealed = write(Protection::Passphrase(&good), &mut rng).unwrap();
                let again = Key::from_file(sealed.as_bytes(), Some(&good)).unwrap();
                assert_eq!(*again.to_jwk().unwrap(), *jwk, "{kind:?}");
                assert!(Key::from_file(sealed.as_bytes(), None).is_err());
                assert!(Key::from_file(sealed.as_bytes(), Some(&bad)).is_err());
                assert!(PublicKey::from_file(plain.as_bytes()).is_err());
                assert!(PublicKey::from_file(sealed.as_bytes()).is_err());
                if let Some(public) = key.public() {
                    let text = public.to_file(format).unwrap();
                    assert!(PublicKey::from_file(text.as_bytes()).unwrap() == public);
                    assert!(Key::from_file(text.as_bytes(), Some(&good)).is_err());
                }
            }
        }
    }

    /// EV-17: a value is no key, and a key no value, though both open under the passphrase.
    #[test]
    fn keys_and_values_are_told_apart() {
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        let passphrase = Passphrase::new(b"good").unwrap();
        let key = Key::generate(KeyKind::Aes128, &mut rng).unwrap();
        let jwk = key.to_jwk().unwrap();
        let lock = Lock::Passphrase(&passphrase, Cost::Pbes2 { iterations: 1000 });
        let unlock = Unlock::Passphrase(&passphrase);
        for purpose in [Purpose::Value, Purpose::Key] {
            let text = seal(lock, Enc::A256Gcm, purpose, jwk.as_bytes(), &mut rng).unwrap();
            let as_key = Key::from_file(text.as_bytes(), Some(&passphrase));
            assert_eq!(as_key.is_ok(), purpose == Purpose::Key);
            let as_value = open(&text, unlock, Purpose::Value);
            assert_eq!(as_value.is_ok(), purpose == Purpose::Value);
        }
    }

    #[test]
    fn a_raw_key_is_random_bytes() {
        assert!(Key::from_file(&[200; 16], None).is_ok());
        let passphrase = Passphrase::new(b"good").unwrap();
        assert!(Key::from_file(&[200; 16], Some(&passphrase)).is_err());
        for bad in [
            b"p@ss: w\xc3\xb6rd, 42!".as_slice(),
            b"0123456789abcdef0123456789abcdef",
            b"correct horse ba",
            &[200; 17],
            b"",
            b"{}",
        ] {
            assert!(Key::from_file(bad, None).is_err());
        }
    }
}
