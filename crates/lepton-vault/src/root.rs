//! Roots of trust: who can open a vault (rule VA-02).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use lepton_crypto::{Seed, Zeroizing};
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::error::VaultError;
use crate::key::{Sealed, fresh, hex, random, unhex, unwrap, wrap};

/// What a vault keeps for one root: who made it, what it needs to be used again, and a key inside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// Kind of root.
    pub provider: String,
    /// Public facts: a salt, a key's name.
    pub about: BTreeMap<String, String>,
    /// The slot's key, wrapped; the vault key is under that.
    pub sealed: Sealed,
}

impl Slot {
    /// Kind and public name.
    #[must_use]
    pub fn name(&self) -> String {
        let public = self.about.get("id").or_else(|| self.about.get("salt"));
        let short: String = public
            .iter()
            .flat_map(|text| text.chars())
            .take(12)
            .collect();
        format!("{}:{short}", self.provider)
    }
}

/// Something that keeps a vault's key: a passphrase, a key file, a token. Others can be added by implementing it.
pub trait RootOfTrust {
    /// A slot with `key` inside, bound to `vault`.
    ///
    /// # Errors
    /// [`VaultError`] when the root cannot be used.
    fn wrap(&self, vault: &str, key: &Seed) -> Result<Slot, VaultError>;

    /// The key inside a slot; `None` when the slot is another root's, or was not made under this one.
    ///
    /// # Errors
    /// [`VaultError`] when the root cannot be used, or the slot asks for more than is allowed.
    fn unwrap(&self, vault: &str, slot: &Slot) -> Result<Option<Seed>, VaultError>;
}

/// A passphrase, stretched with Argon2id (RFC 9106).
pub struct Passphrase(Zeroizing<Vec<u8>>);

/// Cost of a new slot: the second choice of RFC 9106 §4.
const COST: Cost = Cost {
    memory_kib: 64 * 1024,
    passes: 3,
    lanes: 4,
};
/// What a slot may ask for at most; a catalog is read before it is known who wrote it.
const MOST: Cost = Cost {
    memory_kib: 1024 * 1024,
    passes: 16,
    lanes: 16,
};
/// Passphrases below this many bytes are not taken.
const SHORTEST: usize = 8;

#[derive(Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Passphrase {
    /// Takes a passphrase.
    ///
    /// # Errors
    /// [`VaultError::Use`] below 8 bytes.
    pub fn new(text: Zeroizing<Vec<u8>>) -> Result<Self, VaultError> {
        if text.len() < SHORTEST {
            return Err(VaultError::Use(format!(
                "the passphrase has fewer than {SHORTEST} bytes; take several random words"
            )));
        }
        Ok(Self(text))
    }

    /// Reads the first line of a file that only its owner may read.
    ///
    /// # Errors
    /// [`VaultError`] as [`Passphrase::new`], or when the file cannot be read.
    pub fn from_file(path: &Path) -> Result<Self, VaultError> {
        disk::only_owner_reads(path)?;
        let bytes = Zeroizing::new(fs::read(path).map_err(VaultError::io(path))?);
        let line = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).next();
        Self::new(Zeroizing::new(line.unwrap_or_default().to_vec()))
    }

    fn key(&self, salt: &[u8], cost: Cost) -> Result<Seed, VaultError> {
        let bad = |error: argon2::Error| VaultError::Use(format!("Argon2id: {error}"));
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32));
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(bad)?);
        let mut out = Zeroizing::new([0; 32]);
        argon
            .hash_password_into(&self.0, salt, out.as_mut())
            .map_err(bad)?;
        Ok(Seed::from_bytes(*out))
    }
}

impl RootOfTrust for Passphrase {
    fn wrap(&self, vault: &str, key: &Seed) -> Result<Slot, VaultError> {
        let salt = random::<16>()?;
        let root = self.key(salt.as_ref(), COST)?;
        let about = [
            ("salt", hex(salt.as_ref())),
            ("memory_kib", COST.memory_kib.to_string()),
            ("passes", COST.passes.to_string()),
            ("lanes", COST.lanes.to_string()),
        ];
        slot("passphrase", &about, vault, (&root, key))
    }

    fn unwrap(&self, vault: &str, slot: &Slot) -> Result<Option<Seed>, VaultError> {
        if slot.provider != "passphrase" {
            return Ok(None);
        }
        let number = |name: &str, most: u32| -> Result<u32, VaultError> {
            let found = slot.about.get(name).and_then(|text| text.parse().ok());
            found.filter(|value| *value <= most).ok_or_else(|| {
                VaultError::Use(format!(
                    "the vault asks for more Argon2id {name} than {most}, or for none; this is not a vault that lepton made"
                ))
            })
        };
        let cost = Cost {
            memory_kib: number("memory_kib", MOST.memory_kib)?,
            passes: number("passes", MOST.passes)?,
            lanes: number("lanes", MOST.lanes)?,
        };
        let Some(salt) = slot.about.get("salt").and_then(|salt| unhex::<16>(salt)) else {
            return Ok(None);
        };
        let root = self.key(salt.as_ref(), cost)?;
        Ok(inside(vault, slot, &root))
    }
}

/// A file of 64 hexadecimal digits, as the node's store has one: the whole of a key.
pub struct KeyFile {
    path: PathBuf,
    key: Seed,
}

impl KeyFile {
    /// Makes a new one, readable by its owner only.
    ///
    /// # Errors
    /// [`VaultError::Use`] when there is such a file; [`VaultError::Io`].
    pub fn create(path: &Path) -> Result<Self, VaultError> {
        let key = fresh()?;
        let mut text = Zeroizing::new(String::with_capacity(65));
        for byte in key.as_bytes() {
            use std::fmt::Write as _;
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
        disk::write_secret(path, text.as_bytes())?;
        let path = path.to_owned();
        Ok(Self { path, key })
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`VaultError::Use`] when others may read it or it is no key file; [`VaultError::Io`].
    pub fn open(path: &Path) -> Result<Self, VaultError> {
        disk::only_owner_reads(path)?;
        let text = Zeroizing::new(fs::read_to_string(path).map_err(VaultError::io(path))?);
        let Some(bytes) = unhex::<32>(text.trim()) else {
            return Err(VaultError::Use(format!(
                "{}: this is no key file (64 hexadecimal digits)",
                path.display()
            )));
        };
        let path = path.to_owned();
        let key = Seed::from_bytes(*bytes);
        Ok(Self { path, key })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn key(&self) -> &Seed {
        &self.key
    }

    /// A name that tells nothing of the key.
    pub(crate) fn id(&self) -> String {
        id(&self.key)
    }
}

/// The public name of a key.
pub(crate) fn id(key: &Seed) -> String {
    hex(key.derive("lepton vault key name", b"").as_bytes())
        .chars()
        .take(32)
        .collect()
}

impl RootOfTrust for KeyFile {
    fn wrap(&self, vault: &str, key: &Seed) -> Result<Slot, VaultError> {
        slot("key-file", &[("id", self.id())], vault, (&self.key, key))
    }

    fn unwrap(&self, vault: &str, slot: &Slot) -> Result<Option<Seed>, VaultError> {
        let own = slot.provider == "key-file" && slot.about.get("id") == Some(&self.id());
        Ok(own.then(|| inside(vault, slot, &self.key)).flatten())
    }
}

fn slot(
    provider: &str,
    about: &[(&str, String)],
    vault: &str,
    (root, key): (&Seed, &Seed),
) -> Result<Slot, VaultError> {
    let about = about
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    Ok(Slot {
        provider: provider.to_owned(),
        about: about.collect(),
        sealed: wrap(root, &["root slot", vault, provider], key)?,
    })
}

fn inside(vault: &str, slot: &Slot, root: &Seed) -> Option<Seed> {
    unwrap(root, &["root slot", vault, &slot.provider], &slot.sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase(text: &str) -> Passphrase {
        Passphrase::new(Zeroizing::new(text.as_bytes().to_vec())).unwrap()
    }

    /// RFC 9106 appendix B has only vectors with a secret and associated data; this one is of the reference implementation
    /// (`echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32`, its `test.c`).
    #[test]
    fn argon2id_known_answer() {
        let cost = Cost {
            memory_kib: 1 << 16,
            passes: 2,
            lanes: 1,
        };
        let key = phrase("password").key(b"somesalt", cost).unwrap();
        let expected = "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7";
        assert_eq!(hex(key.as_bytes()), expected);
    }

    #[test]
    fn a_slot_opens_with_its_root_only() {
        let key = fresh().unwrap();
        let root = phrase("correct horse");
        let slot = root.wrap("v", &key).unwrap();
        assert!(root.unwrap("v", &slot).unwrap().unwrap() == key);
        assert!(root.unwrap("w", &slot).unwrap().is_none());
        assert!(
            phrase("correct horsf")
                .unwrap("v", &slot)
                .unwrap()
                .is_none()
        );
        assert!(Passphrase::new(Zeroizing::new(b"short".to_vec())).is_err());
    }

    #[test]
    fn what_a_slot_asks_for_is_capped() {
        let root = phrase("correct horse");
        let slot = root.wrap("v", &fresh().unwrap()).unwrap();
        for (name, value) in [
            ("memory_kib", "4294967295"),
            ("passes", "17"),
            ("lanes", "x"),
        ] {
            let mut greedy = slot.clone();
            greedy.about.insert(name.to_owned(), value.to_owned());
            assert!(root.unwrap("v", &greedy).is_err(), "{name}");
        }
    }
}
