//! Envelopes: data that the right key opens, and that nobody else can change (`docs/protocols/envelope.md`).
//!
//! [`seal`] and [`open`] make and open JWE (RFC 7516), for small values; [`Sealer`] and [`Opener`] stream data of any length. Content keys, nonces, salts and
//! ephemeral keys come from the generator that the caller passes in; RSA and ML-KEM draw from the library's own (`entropy`). An envelope says nothing of who
//! made it.

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
mod stream;
mod text;
mod wrap;

pub use agree::{Curve, CurvePrivate, CurvePublic};
pub use derive::{Cost, Passphrase};
pub use error::EnvelopeError;
pub use header::{Enc, Purpose};
pub use hybrid::{HybridPrivate, HybridPublic};
pub use jwe::{Lock, Opened, open, seal};
pub use keyfile::{KeyFormat, MAX_KEY_FILE, Protection};
pub use keys::{AesKey, Key, KeyKind, PublicKey};
pub use parse::MAX_JWE;
pub use recipient::{Recipient, Unlock};
pub use rsa::{RsaPrivate, RsaPublic};
pub use shares::{MAX_SHARE_FILE, Share, recover, split};
pub use stream::{CHUNK, CHUNK_OVERHEAD, MAGIC, Opener, PREFIX, Sealer, Whole};

/// Most bytes of a value in one JWE; what is longer goes into a stream.
pub const MAX_VALUE: usize = 16 << 20;
