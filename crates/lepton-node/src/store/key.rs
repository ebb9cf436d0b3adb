//! Encryption of stored values: AES-256-GCM, each value under a key of its own that a random salt derives from the key file's.

use std::fmt::Write as _;
use std::path::Path;

use lepton_crypto::{Seed, Zeroizing, open, seal};

use crate::error::NodeError;
use crate::files::{Durability, only_owner_reads, replace};

/// First byte of a stored value.
const FORMAT: u8 = 1;
const SALT: usize = 32;

/// The key of a key file.
pub(super) struct StoreKey(Seed);

impl StoreKey {
    /// Reads the key file: 64 hexadecimal digits. Makes it if there is none and `new` allows it.
    pub(super) fn load(path: &Path, new: bool) -> Result<Self, NodeError> {
        if !path.exists() {
            if !new {
                return Err(NodeError::Data(format!(
                    "{}: the key of the store is gone, and its values cannot be read without it; restore the file",
                    path.display()
                )));
            }
            let key = Self(Seed::from_bytes(*random::<32>()?));
            // In one buffer that is wiped: one that grows would leave parts of the key behind.
            let mut text = Zeroizing::new(String::with_capacity(2 * key.0.as_bytes().len() + 1));
            for byte in key.0.as_bytes() {
                // Writing to a string cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
            replace(path, text.as_bytes(), Durability::Machine)
                .map_err(|error| NodeError::file(path, &error))?;
            return Ok(key);
        }
        only_owner_reads(path)?;
        let text = std::fs::read_to_string(path).map_err(|error| NodeError::file(path, &error))?;
        let text = Zeroizing::new(text);
        let bytes = crate::hex::unhex(text.trim());
        bytes.map(Seed::from_bytes).map(Self).ok_or_else(|| {
            NodeError::Data(format!(
                "{}: this is no key of a store (64 hexadecimal digits); restore the file",
                path.display()
            ))
        })
    }

    /// Encrypts a value, bound to where it is stored.
    pub(super) fn seal(&self, place: &[&str], value: &[u8]) -> Result<Vec<u8>, NodeError> {
        let salt = random::<SALT>()?;
        // A key that a fresh salt of 256 bits derives is used once: the zero nonce never repeats under it.
        let key = self.0.derive("lepton store value", salt.as_ref());
        let sealed = seal(&key, &bound_to(place), value);
        Ok([[FORMAT].as_slice(), salt.as_slice(), &sealed].concat())
    }

    /// Decrypts what [`StoreKey::seal`] made for the same place; `None` for anything else.
    pub(super) fn open(&self, place: &[&str], stored: &[u8]) -> Option<Vec<u8>> {
        let (format, rest) = stored.split_first()?;
        let (salt, sealed) = rest.split_at_checked(SALT)?;
        if *format != FORMAT {
            return None;
        }
        let key = self.0.derive("lepton store value", salt);
        let value = open(&key, &bound_to(place), sealed).ok()?;
        Some(value.to_vec())
    }

    /// A tag on what the anchor says.
    pub(super) fn tag(&self, text: &str) -> String {
        let key = self.0.derive("lepton store anchor", b"");
        lepton_crypto::hash("lepton store anchor", &[key.as_bytes(), text.as_bytes()]).to_string()
    }
}

/// Owner, actor and name, each with its length: no two places have the same bytes.
fn bound_to(place: &[&str]) -> Vec<u8> {
    let framed = |part: &&str| [&(part.len() as u64).to_be_bytes(), part.as_bytes()].concat();
    place.iter().flat_map(framed).collect()
}

pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, NodeError> {
    use rand_core::Rng;
    let mut bytes = Zeroizing::new([0; N]);
    crate::random::Entropy::System
        .generator("store", 0)?
        .fill_bytes(bytes.as_mut());
    Ok(bytes)
}
