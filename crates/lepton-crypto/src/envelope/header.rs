//! Names of algorithms and of what an envelope is for.

use aws_lc_rs::aead;
use aws_lc_rs::hmac::{self, HMAC_SHA256};

use super::EnvelopeError;
use super::text::{Object, text_of};

/// How a content key reaches its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alg {
    RsaOaep256,
    EcdhEsA256Kw,
    A128Kw,
    A192Kw,
    A256Kw,
    Dir,
    Pbes2Hs256,
    Pbes2Hs512,
    Argon2id,
    Hybrid,
}

impl Alg {
    const ALL: [Self; 10] = [
        Self::RsaOaep256,
        Self::EcdhEsA256Kw,
        Self::A128Kw,
        Self::A192Kw,
        Self::A256Kw,
        Self::Dir,
        Self::Pbes2Hs256,
        Self::Pbes2Hs512,
        Self::Argon2id,
        Self::Hybrid,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::RsaOaep256 => "RSA-OAEP-256",
            Self::EcdhEsA256Kw => "ECDH-ES+A256KW",
            Self::A128Kw => "A128KW",
            Self::A192Kw => "A192KW",
            Self::A256Kw => "A256KW",
            Self::Dir => "dir",
            Self::Pbes2Hs256 => "PBES2-HS256+A128KW",
            Self::Pbes2Hs512 => "PBES2-HS512+A256KW",
            Self::Argon2id => "lepton.ARGON2ID+A256KW",
            Self::Hybrid => "lepton.X25519MLKEM768+A256KW",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alg| alg.name() == name)
    }

    pub(super) const fn of_passphrase(self) -> bool {
        matches!(self, Self::Pbes2Hs256 | Self::Pbes2Hs512 | Self::Argon2id)
    }
}

/// How the content is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Enc {
    /// AES-128-GCM.
    A128Gcm,
    /// AES-192-GCM.
    A192Gcm,
    /// AES-256-GCM.
    #[default]
    A256Gcm,
}

impl Enc {
    /// The name of RFC 7518 §5.1.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A128Gcm => "A128GCM",
            Self::A192Gcm => "A192GCM",
            Self::A256Gcm => "A256GCM",
        }
    }

    /// The content encryption of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::A128Gcm, Self::A192Gcm, Self::A256Gcm]
            .into_iter()
            .find(|enc| enc.name() == name)
    }

    pub(super) const fn key_len(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A192Gcm => 24,
            Self::A256Gcm => 32,
        }
    }

    pub(super) fn cipher(self, key: &[u8]) -> Result<aead::LessSafeKey, EnvelopeError> {
        let algorithm = match self {
            Self::A128Gcm => &aead::AES_128_GCM,
            Self::A192Gcm => &aead::AES_192_GCM,
            Self::A256Gcm => &aead::AES_256_GCM,
        };
        aead::UnboundKey::new(algorithm, key)
            .map(aead::LessSafeKey::new)
            .map_err(|_| EnvelopeError::DoesNotOpen)
    }

    /// EV-02: what a header says of its content key.
    pub(super) fn commitment(self, key: &[u8]) -> hmac::Tag {
        let message = [
            b"lepton envelope v1 commitment\0".as_slice(),
            self.name().as_bytes(),
        ];
        hmac::sign(&hmac::Key::new(HMAC_SHA256, key), &message.concat())
    }
}

/// What an envelope holds; asked for when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A value of the user's.
    Value,
    /// The key of a stream (EV-13); opened as nothing else.
    Stream,
    /// A private key as a JWK.
    Key,
    /// A private key as a JWK, encrypted to a custodian (KY-07).
    Escrow,
}

/// What the protected header says that an envelope holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Value,
    /// A value inside a JWS (EV-19).
    SignedValue,
    Stream,
    /// The key of a stream that ends with a signature (EV-20).
    SignedStream,
    /// The chunk key of a stream that was made behind another header (EV-21).
    RewrappedStream,
    Key,
    Escrow,
}

impl Purpose {
    pub(super) const fn content(self) -> Content {
        match self {
            Self::Value => Content::Value,
            Self::Stream => Content::Stream,
            Self::Key => Content::Key,
            Self::Escrow => Content::Escrow,
        }
    }
}

impl Content {
    const NAMED: [Self; 6] = [
        Self::Stream,
        Self::SignedStream,
        Self::RewrappedStream,
        Self::Escrow,
        Self::Key,
        Self::SignedValue,
    ];

    /// The member of the header that says it, if any.
    pub(super) const fn member(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Value => None,
            Self::SignedValue => Some(("cty", "JOSE")),
            Self::Stream => Some(("typ", "lepton-stream")),
            Self::SignedStream => Some(("typ", "lepton-stream-signed")),
            Self::RewrappedStream => Some(("typ", "lepton-stream-rewrapped")),
            Self::Key => Some(("cty", "jwk+json")),
            Self::Escrow => Some(("typ", "lepton-escrow")),
        }
    }

    /// What a protected header says; a stream's and an escrow's `typ` comes before any `cty`.
    pub(super) fn of(protected: &Object) -> Self {
        let said = |content: &Self| {
            content
                .member()
                .is_some_and(|(name, value)| text_of(protected, name) == Some(value))
        };
        Self::NAMED.into_iter().find(said).unwrap_or(Self::Value)
    }

    pub(super) const fn is_stream(self) -> bool {
        matches!(
            self,
            Self::Stream | Self::SignedStream | Self::RewrappedStream
        )
    }
}
