//! The catalog of a vault: its whole key tree in one file (rules VA-03, VA-04).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lepton_crypto::{Seed, ct_eq, hash};
use serde::{Deserialize, Serialize};

use crate::error::VaultError;
use crate::key::Sealed;
use crate::root::Slot;

/// Name of the catalog in a vault's folder.
pub const CATALOG: &str = "vault.json";

const FORMAT: u32 = 1;
/// A catalog beyond this is not read into memory.
const LARGEST: u64 = 256 << 20;

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tagged {
    catalog: Catalog,
    tag: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Catalog {
    pub(crate) format: u32,
    /// Random name of the vault.
    pub(crate) vault: String,
    /// How often it was changed.
    pub(crate) generation: u64,
    pub(crate) roots: Vec<RootEntry>,
    /// The vault's own signing key.
    pub(crate) public_key: String,
    pub(crate) signing_key: Sealed,
    pub(crate) tables: BTreeMap<String, TableEntry>,
}

/// A root's slot holds a key of its own, so that the vault key can be replaced without the other roots.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RootEntry {
    /// The slot's key under the root.
    pub(crate) slot: Slot,
    /// The vault key under the slot's key.
    pub(crate) vault_key: Sealed,
    /// The slot's key under the vault key.
    pub(crate) slot_key: Sealed,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableEntry {
    /// Random name of the table: one that is made anew under the same name is another.
    pub(crate) id: String,
    pub(crate) key: Sealed,
    /// Number of the next version.
    pub(crate) next: u64,
    pub(crate) versions: Vec<VersionEntry>,
    pub(crate) grants: BTreeMap<String, GrantEntry>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionEntry {
    pub(crate) version: u64,
    /// Name of the data file in the table's folder.
    pub(crate) file: String,
    /// The footer's key, then the columns' in their order.
    pub(crate) keys: Vec<Sealed>,
    pub(crate) manifest: Sealed,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantEntry {
    /// Public name of the holder's key.
    pub(crate) holder: String,
    /// The holder's key under the table's: new versions are granted with it.
    pub(crate) key: Sealed,
    /// The columns, for the owner, under the table's key.
    pub(crate) columns: Sealed,
    /// What the holder opens: one for each version that it was granted.
    pub(crate) versions: BTreeMap<u64, Sealed>,
}

/// What can be told of a vault without any key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// Random name of the vault.
    pub vault: String,
    /// The vault's public signing key, hexadecimal.
    pub public_key: String,
    /// Its roots: kind and public name.
    pub roots: Vec<String>,
    /// Its tables.
    pub tables: Vec<TableShown>,
}

/// A table in a [`Listing`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableShown {
    /// Its name.
    pub name: String,
    /// Its versions.
    pub versions: Vec<u64>,
    /// How many columns the last version has.
    pub columns: usize,
    /// Its grants.
    pub grants: Vec<GrantShown>,
}

/// A grant in a [`Listing`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrantShown {
    /// Its name.
    pub name: String,
    /// Public name of the holder's key.
    pub holder: String,
    /// Versions that it opens.
    pub versions: Vec<u64>,
}

impl Catalog {
    pub(crate) fn new(vault: String, public_key: String, signing_key: Sealed) -> Self {
        Self {
            format: FORMAT,
            vault,
            generation: 0,
            roots: Vec::new(),
            public_key,
            signing_key,
            tables: BTreeMap::new(),
        }
    }

    /// Reads a catalog; its tag is for those who have the vault key to check.
    pub(crate) fn read(folder: &Path) -> Result<(Self, String), VaultError> {
        // Without the lock the file may be one that was replaced and is being overwritten (rule VA-12).
        once_more(|| Self::read_once(folder))
    }

    fn read_once(folder: &Path) -> Result<(Self, String), VaultError> {
        let path = folder.join(CATALOG);
        let about = fs::metadata(&path).map_err(|_| {
            VaultError::Use(format!(
                "{}: there is no vault here; make one with `lepton vault init`",
                folder.display()
            ))
        })?;
        if about.len() > LARGEST {
            return Err(VaultError::damaged(&path, "it is too large for a catalog"));
        }
        let bytes = fs::read(&path).map_err(VaultError::io(&path))?;
        let damaged = |error: serde_json::Error| {
            VaultError::damaged(&path, format!("it is no catalog of a vault ({error})"))
        };
        let Tagged { catalog, tag } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if catalog.format != FORMAT {
            return Err(VaultError::Use(format!(
                "{}: its format is {}, this version knows {FORMAT}; take a newer lepton",
                path.display(),
                catalog.format
            )));
        }
        // Names become paths.
        let sound = |name: &String| check_name(name).is_ok();
        let files = catalog.tables.values().flat_map(|table| &table.versions);
        if !catalog.tables.keys().all(sound) || !files.map(|entry| &entry.file).all(sound) {
            return Err(VaultError::damaged(&path, "it names a file elsewhere"));
        }
        Ok((catalog, tag))
    }

    /// The bytes of the file.
    pub(crate) fn to_bytes(&self, vault_key: &Seed) -> Result<Vec<u8>, VaultError> {
        let tagged = Tagged {
            tag: self.tag(vault_key)?,
            catalog: self.clone(),
        };
        let mut bytes = serde_json::to_vec(&tagged).map_err(internal)?;
        bytes.push(b'\n');
        fits(bytes.len() as u64)?;
        Ok(bytes)
    }

    /// Whether `tag` was made of this catalog under `vault_key`.
    pub(crate) fn is_tagged(&self, vault_key: &Seed, tag: &str) -> Result<bool, VaultError> {
        Ok(ct_eq(self.tag(vault_key)?.as_bytes(), tag.as_bytes()))
    }

    fn tag(&self, vault_key: &Seed) -> Result<String, VaultError> {
        let key = vault_key.derive("lepton vault catalog tag", self.vault.as_bytes());
        let body = serde_json::to_vec(self).map_err(internal)?;
        Ok(hash("lepton vault catalog", &[key.as_bytes(), &body]).to_string())
    }

    /// A table, or an error that names those that are there.
    pub(crate) fn table(&self, name: &str) -> Result<&TableEntry, VaultError> {
        self.tables.get(name).ok_or_else(|| self.no_table(name))
    }

    pub(crate) fn table_mut(&mut self, name: &str) -> Result<&mut TableEntry, VaultError> {
        let missing = self.no_table(name);
        self.tables.get_mut(name).ok_or(missing)
    }

    fn no_table(&self, name: &str) -> VaultError {
        let names: Vec<&str> = self.tables.keys().map(String::as_str).collect();
        let there = match names.as_slice() {
            [] => "it has none".to_owned(),
            names => format!("it has {}", names.join(", ")),
        };
        VaultError::Use(format!("the vault has no table {name:?}; {there}"))
    }

    pub(crate) fn listing(&self) -> Listing {
        let grant = |(name, grant): (&String, &GrantEntry)| GrantShown {
            name: name.clone(),
            holder: grant.holder.clone(),
            versions: grant.versions.keys().copied().collect(),
        };
        let table = |(name, table): (&String, &TableEntry)| TableShown {
            name: name.clone(),
            versions: table.versions.iter().map(|entry| entry.version).collect(),
            columns: table
                .versions
                .last()
                .map_or(0, |entry| entry.keys.len().saturating_sub(1)),
            grants: table.grants.iter().map(grant).collect(),
        };
        Listing {
            vault: self.vault.clone(),
            public_key: self.public_key.clone(),
            roots: self.roots.iter().map(|root| root.slot.name()).collect(),
            tables: self.tables.iter().map(table).collect(),
        }
    }
}

impl TableEntry {
    /// A version, the last one if none is named.
    pub(crate) fn version(&self, wanted: Option<u64>) -> Result<&VersionEntry, VaultError> {
        let found = match wanted {
            None => self.versions.last(),
            Some(wanted) => self.versions.iter().find(|entry| entry.version == wanted),
        };
        found.ok_or_else(|| VaultError::Use("the table has no such version".to_owned()))
    }
}

/// Vault and table of a path `VAULT/TABLE`; `None` when this is no table of a vault.
#[must_use]
pub fn table_place(path: &Path) -> Option<(PathBuf, String)> {
    let name = path.file_name()?.to_str()?;
    let folder = path.parent()?;
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let inside = folder.join(CATALOG).is_file() && check_name(name).is_ok();
    inside.then(|| (folder.to_owned(), name.to_owned()))
}

/// A catalog that is not read is not written either.
fn fits(length: u64) -> Result<(), VaultError> {
    if length <= LARGEST {
        return Ok(());
    }
    Err(VaultError::Use(format!(
        "the vault's catalog would have {length} bytes, and {LARGEST} are the most that it may have; drop older versions (`lepton vault revoke --reencrypt`), revoke grants, or make another vault for further tables"
    )))
}

/// Tries again, once, what found a file missing or broken that another program may have replaced meanwhile. Where it was not replaced the error is the same.
pub(crate) fn once_more<T>(attempt: impl Fn() -> Result<T, VaultError>) -> Result<T, VaultError> {
    match attempt() {
        Err(VaultError::Damaged { .. }) => attempt(),
        Err(VaultError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => attempt(),
        done => done,
    }
}

/// A name for a new table, which becomes a folder's: none that a file system which takes upper and lower case for the same would mix up with another.
pub(crate) fn check_new_name(name: &str, catalog: &Catalog) -> Result<(), VaultError> {
    check_name(name)?;
    if catalog.tables.contains_key(name) {
        return Ok(());
    }
    let mut names = catalog.tables.keys();
    if let Some(known) = names.find(|known| known.eq_ignore_ascii_case(name)) {
        return Err(VaultError::Use(format!(
            "{name:?} differs from the table {known:?} in upper and lower case only; take another name"
        )));
    }
    check_name(&name.to_ascii_lowercase())
}

/// A name that is a plain file name: letters, digits, `-`, `_` and `.`, not at the beginning.
pub(crate) fn check_name(name: &str) -> Result<(), VaultError> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let ours = name.starts_with("vault.");
    if name.is_empty()
        || name.len() > 64
        || name.starts_with('.')
        || ours
        || !name.chars().all(plain)
    {
        return Err(VaultError::Use(format!(
            "{name:?} is no name for a table or a grant: take at most 64 letters, digits, `-`, `_` and `.`, the last not at the beginning, and not `vault.`"
        )));
    }
    Ok(())
}

pub(crate) fn internal(error: impl std::fmt::Display) -> VaultError {
    VaultError::Internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_be_read_is_not_written() {
        assert!(fits(LARGEST).is_ok());
        assert!(matches!(fits(LARGEST + 1), Err(VaultError::Use(_))));
    }
}
