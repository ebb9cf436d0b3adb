//! Envelopes: data that the right key opens, and that nobody else can change (`docs/protocols/envelope.md`).
//!
//! [`seal`] and [`open`] make and open JWE (RFC 7516), for small values; [`Sealer`] and [`Opener`] stream data of any length. Content keys, nonces, salts and
//! ephemeral keys come from the generator that the caller passes in; RSA and ML-KEM draw from the library's own (`entropy`). Who made an envelope shows only where it is signed: [`seal_signed`],
//! [`open_signed`].

mod agree;
mod derive;
mod entropy;
mod error;
mod header;
mod hybrid;
mod jwe;
mod keyfile;
mod keys;
mod parse;
mod pem;
mod recipient;
mod rsa;
mod shares;
mod signing;
mod stream;
mod stream_open;
mod text;
mod wrap;

pub use agree::{Curve, CurvePrivate, CurvePublic};
pub use derive::{Cost, Passphrase};
pub use error::EnvelopeError;
pub use header::{Enc, Purpose};
pub use hybrid::{HybridPrivate, HybridPublic};
pub use jwe::{Lock, Opened, open, open_signed, seal, seal_signed};
pub use keyfile::{KeyFile, KeyFormat, MAX_KEY_FILE, Protection};
pub use keys::{AesKey, Key, KeyKind, PublicKey};
pub use parse::MAX_JWE;
pub use recipient::{Recipient, Unlock};
pub use rsa::{RsaPrivate, RsaPublic};
pub use shares::{MAX_SHARE_FILE, Share, recover, split};
pub use signing::{Origin, SigningKey, SigningPublic};
pub use stream::{CHUNK, CHUNK_OVERHEAD, LAST_OVERHEAD, MAGIC, PREFIX, Sealer};
pub use stream_open::{Body, Opener, Whole};

/// Most bytes of a value in one JWE; what is longer goes into a stream.
pub const MAX_VALUE: usize = 16 << 20;

/// A private key as a JWK, encrypted to custodians for safekeeping: opened as nothing else (KY-07).
///
/// # Errors
/// Those of [`seal`].
pub fn escrow(
    key: &Key,
    custodians: &[Recipient],
    rng: &mut impl rand_core::CryptoRng,
) -> Result<String, EnvelopeError> {
    let jwk = key.to_jwk()?;
    let lock = Lock::Keys(custodians);
    seal(lock, Enc::A256Gcm, Purpose::Escrow, jwk.as_bytes(), rng)
}

/// The key that was given into escrow, by a custodian's key.
///
/// # Errors
/// Those of [`open`]; [`EnvelopeError::Key`] for what is no key.
pub fn from_escrow(text: &str, custodian: &[Key]) -> Result<Key, EnvelopeError> {
    let opened = open(text, Unlock::Keys(custodian), Purpose::Escrow)?;
    Key::from_jwk(&opened.plaintext)
}
