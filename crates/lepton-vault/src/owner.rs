//! A vault opened by its owner, to be changed.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use lepton_crypto::{IdentityKey, Seed};

use crate::catalog::{CATALOG, Catalog, Listing, RootEntry, TableEntry, internal};
use crate::disk::{Disk, LOCK, make_folders, partial};
use crate::error::VaultError;
use crate::key::{fresh, random_name, unwrap, wrap};
use crate::manifest::{Edition, Keys, Manifest};
use crate::root::RootOfTrust;

/// A vault under the hand of its owner. No other program changes it as long as this lives.
pub struct Vault {
    pub(crate) disk: Disk,
    pub(crate) catalog: Catalog,
    pub(crate) key: Seed,
}

impl Vault {
    /// Makes a vault in a new or empty folder.
    ///
    /// # Errors
    /// [`VaultError::Use`] when there is something in the folder; [`VaultError::Io`].
    pub fn init(folder: &Path, root: &dyn RootOfTrust) -> Result<Self, VaultError> {
        make_folders(folder)?;
        // Before the lock, which would make a file in somebody's folder, and after it, when nobody else makes a vault here.
        empty(folder)?;
        let disk = Disk::lock(folder)?;
        empty(folder)?;
        let (key, signing) = (fresh()?, fresh()?);
        let vault = random_name()?;
        let signing_key = wrap(&key, &["signing key", &vault], &signing)?;
        let public = IdentityKey::from_seed(signing).public().to_string();
        let mut catalog = Catalog::new(vault, public, signing_key);
        catalog.roots.push(new_root(&catalog.vault, root, &key)?);
        let mut made = Self {
            disk,
            catalog: catalog.clone(),
            key: fresh()?,
        };
        made.commit(catalog, key)?;
        Ok(made)
    }

    /// Opens a vault to change it, and tidies up after a program that was killed.
    ///
    /// # Errors
    /// [`VaultError::Refused`] when `root` does not open it, [`VaultError::Damaged`], [`VaultError::Io`], [`VaultError::Use`] while another program changes it.
    pub fn open(folder: &Path, root: &dyn RootOfTrust) -> Result<Self, VaultError> {
        // Before the lock, which would make a file in a folder that is none.
        Catalog::read(folder)?;
        let disk = Disk::lock(folder)?;
        let (catalog, key) = unlock(folder, root)?;
        let vault = Self { disk, catalog, key };
        vault.tidy()?;
        Ok(vault)
    }

    /// What can be told of a vault without a key.
    ///
    /// # Errors
    /// [`VaultError`] when there is none.
    pub fn list(folder: &Path) -> Result<Listing, VaultError> {
        Ok(Catalog::read(folder)?.0.listing())
    }

    /// Calls `step` with a word before every effect on the disk. For tests that stop the program there.
    pub fn on_step(&mut self, step: Box<dyn Fn(&str) + Send + Sync>) {
        self.disk.on_step(step);
    }

    /// Puts a new catalog in the place of the old one (rule VA-03).
    pub(crate) fn commit(&mut self, mut catalog: Catalog, key: Seed) -> Result<(), VaultError> {
        catalog.generation += 1;
        let path = self.disk.folder().join(CATALOG);
        self.disk.replace(&path, &catalog.to_bytes(&key)?)?;
        (self.catalog, self.key) = (catalog, key);
        Ok(())
    }

    pub(crate) fn folder_of(&self, table: &str) -> PathBuf {
        self.disk.folder().join(table)
    }

    /// The vault's own signing key.
    pub(crate) fn signing_key(&self) -> Result<IdentityKey, VaultError> {
        let place = ["signing key", &self.catalog.vault];
        let seed = unwrap(&self.key, &place, &self.catalog.signing_key);
        Ok(IdentityKey::from_seed(seed.ok_or_else(|| self.damaged())?))
    }

    pub(crate) fn table_key(&self, entry: &TableEntry) -> Result<Seed, VaultError> {
        table_key(&self.catalog.vault, &self.key, entry).ok_or_else(|| self.damaged())
    }

    pub(crate) fn edition(&self, entry: &TableEntry, version: u64) -> Edition {
        Edition {
            vault: self.catalog.vault.clone(),
            table: entry.id.clone(),
            version,
        }
    }

    /// The last version of a table, with all keys.
    pub(crate) fn latest(&self, name: &str) -> Result<(Edition, Manifest, Keys), VaultError> {
        let entry = self.catalog.table(name)?;
        let version = entry.version(None)?;
        let edition = self.edition(entry, version.version);
        let key = self.table_key(entry)?;
        let (manifest, keys) =
            crate::seal::unseal(&edition, &key, version).ok_or_else(|| self.damaged())?;
        Ok((edition, manifest, keys))
    }

    pub(crate) fn damaged(&self) -> VaultError {
        let path = self.disk.folder().join(CATALOG);
        VaultError::damaged(&path, "a key or a manifest in it was changed")
    }

    /// Removes what a killed program left: files that the catalog does not name.
    fn tidy(&self) -> Result<(), VaultError> {
        let folder = self.disk.folder();
        self.disk.remove(&partial(&folder.join(CATALOG)))?;
        for entry in fs::read_dir(folder).map_err(VaultError::io(folder))? {
            let path = entry.map_err(VaultError::io(folder))?.path();
            if path.is_dir() {
                self.tidy_table(&path)?;
            }
        }
        self.finish_destructions()
    }

    fn tidy_table(&self, folder: &Path) -> Result<(), VaultError> {
        let name = folder.file_name().and_then(|name| name.to_str());
        let entry = name.and_then(|name| self.catalog.tables.get(name));
        for file in fs::read_dir(folder).map_err(VaultError::io(folder))? {
            let path = file.map_err(VaultError::io(folder))?.path();
            let stem = path.file_name().and_then(|name| name.to_str());
            let stem = stem.and_then(|name| name.split('.').next());
            let named = entry.is_some_and(|entry| {
                let mut versions = entry.versions.iter();
                versions.any(|version| version.file.split('.').next() == stem)
            });
            // Only files of the kind that this program writes: who put something else there may want it.
            if !named && stem.is_some_and(is_ours) {
                self.disk.remove(&path)?;
            }
        }
        if entry.is_none() {
            // Not ours, or not empty: it stays.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }
}

/// Nothing is in a folder but what a program left that was killed while it made a vault there.
fn empty(folder: &Path) -> Result<(), VaultError> {
    let ours = [
        OsStr::new(LOCK).to_owned(),
        partial(Path::new(CATALOG)).into_os_string(),
    ];
    for entry in fs::read_dir(folder).map_err(VaultError::io(folder))? {
        let name = entry.map_err(VaultError::io(folder))?.file_name();
        if !ours.contains(&name) {
            return Err(VaultError::Use(format!(
                "{}: there is something in this folder; name a new one",
                folder.display()
            )));
        }
    }
    Ok(())
}

/// `v1-0011223344556677`.
fn is_ours(stem: &str) -> bool {
    let parts = stem.strip_prefix('v').and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(version, random)| {
        version.parse::<u64>().is_ok()
            && random.len() == 16
            && random.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Reads a catalog and its vault key.
pub(crate) fn unlock(folder: &Path, root: &dyn RootOfTrust) -> Result<(Catalog, Seed), VaultError> {
    let (catalog, tag) = Catalog::read(folder)?;
    for entry in &catalog.roots {
        let Some(slot) = root.unwrap(&catalog.vault, &entry.slot)? else {
            continue;
        };
        let place = ["vault key", &catalog.vault];
        let Some(key) = unwrap(&slot, &place, &entry.vault_key) else {
            continue;
        };
        if !catalog.is_tagged(&key, &tag)? {
            let problem = "it was changed by somebody without the vault's key";
            return Err(VaultError::damaged(&folder.join(CATALOG), problem));
        }
        return Ok((catalog, key));
    }
    Err(VaultError::Refused(format!(
        "{}: this key or passphrase does not open the vault; take the one it was made with",
        folder.display()
    )))
}

/// The key of a table.
pub(crate) fn table_key(vault: &str, key: &Seed, entry: &TableEntry) -> Option<Seed> {
    unwrap(key, &["table key", vault, &entry.id], &entry.key)
}

/// A slot for a root, with the vault key inside.
pub(crate) fn new_root(
    vault: &str,
    root: &dyn RootOfTrust,
    key: &Seed,
) -> Result<RootEntry, VaultError> {
    let slot_key = fresh()?;
    let slot = root.wrap(vault, &slot_key)?;
    if root
        .unwrap(vault, &slot)?
        .is_none_or(|again| again != slot_key)
    {
        return Err(internal("a root does not unwrap what it wrapped"));
    }
    Ok(RootEntry {
        vault_key: wrap(&slot_key, &["vault key", vault], key)?,
        slot_key: wrap(key, &["slot key", vault, &slot.name()], &slot_key)?,
        slot,
    })
}
