//! Keys, passphrases and shares from files, and into new ones (EV-16).

use std::fs::File;
use std::io::Read;
use std::path::Path;

use lepton_crypto::Zeroizing;
use lepton_crypto::envelope::{
    EnvelopeError, Key, MAX_KEY_FILE, MAX_SHARE_FILE, Passphrase, PublicKey, Share, SigningKey,
    SigningPublic,
};

use super::output::Target;
use crate::error::NodeError;
use crate::files::only_owner_reads;

/// A passphrase from the only line of a file that only its owner reads.
///
/// # Errors
/// [`NodeError`].
pub fn read_passphrase(path: &Path) -> Result<Passphrase, NodeError> {
    let bytes = secret(path, 4096)?;
    Passphrase::new(&bytes).map_err(|error| at(path, error))
}

/// A private or AES key from a file that only its owner reads.
///
/// # Errors
/// [`NodeError`].
pub fn read_key(path: &Path, passphrase: Option<&Passphrase>) -> Result<Key, NodeError> {
    let bytes = secret(path, MAX_KEY_FILE)?;
    Key::from_file(&bytes, passphrase).map_err(|error| match error {
        EnvelopeError::DoesNotOpen => NodeError::Data(format!(
            "{}: the key file does not open: wrong passphrase, or it was altered",
            path.display()
        )),
        other => at(path, other),
    })
}

/// A public key.
///
/// # Errors
/// [`NodeError`].
pub fn read_public_key(path: &Path) -> Result<PublicKey, NodeError> {
    let bytes = limited(path, MAX_KEY_FILE)?;
    PublicKey::from_file(&bytes).map_err(|error| at(path, error))
}

/// A key that signs.
///
/// # Errors
/// [`NodeError`]; [`NodeError::Use`] for a key of another kind.
pub fn read_signing_key(
    path: &Path,
    passphrase: Option<&Passphrase>,
) -> Result<SigningKey, NodeError> {
    match read_key(path, passphrase)? {
        Key::Signing(key) => Ok(key),
        other => Err(not_for_signatures(path, &other.kind())),
    }
}

/// A public key that checks signatures.
///
/// # Errors
/// [`NodeError`]; [`NodeError::Use`] for a key of another kind.
pub fn read_signer(path: &Path) -> Result<SigningPublic, NodeError> {
    match read_public_key(path)? {
        PublicKey::Signing(key) => Ok(key),
        other => Err(not_for_signatures(path, &other.kind())),
    }
}

fn not_for_signatures(path: &Path, kind: &str) -> NodeError {
    NodeError::Use(format!(
        "{}: it is a key of the kind {kind}, and an Ed25519 key is needed: make one with `lepton vault key generate --kind ed25519`",
        path.display()
    ))
}

/// A share of a key, from a file that only its owner reads.
///
/// # Errors
/// [`NodeError`].
pub fn read_share(path: &Path) -> Result<Share, NodeError> {
    let bytes = secret(path, MAX_SHARE_FILE)?;
    Share::from_file(&bytes).map_err(|error| at(path, error))
}

/// Writes a new file of mode 0600 that appears whole or not at all.
///
/// # Errors
/// [`NodeError`].
pub fn write_new(target: &Target, bytes: &[u8]) -> Result<(), NodeError> {
    let mut sink = target.open()?;
    sink.write(bytes)?;
    sink.finish()
}

fn at(path: &Path, error: EnvelopeError) -> NodeError {
    let text = format!("{}: {error}", path.display());
    match error {
        EnvelopeError::Use(_) => NodeError::Use(text),
        _ => NodeError::Data(text),
    }
}

fn secret(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, NodeError> {
    only_owner_reads(path)?;
    limited(path, limit)
}

/// The bytes of a file of at most `limit`.
pub(crate) fn limited(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, NodeError> {
    let failed = |error| NodeError::file(path, &error);
    let file = File::open(path).map_err(failed)?;
    // Of one size from the start, so that growing leaves no copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    file.take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > limit {
        return Err(NodeError::Data(format!(
            "{}: it is longer than such a file ever is",
            path.display()
        )));
    }
    Ok(bytes)
}
