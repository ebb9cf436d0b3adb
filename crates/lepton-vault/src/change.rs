//! New keys: rotation, other roots, re-encryption (rules VA-10, VA-11).

use lepton_crypto::Seed;

use crate::catalog::{Catalog, TableEntry};
use crate::document::{Signer, Statement};
use crate::error::VaultError;
use crate::key::{fresh, open, seal, unwrap, wrap};
use crate::owner::{Vault, new_root};
use crate::read::{Scan, SealedTable};
use crate::root::RootOfTrust;
use crate::seal::unseal;

impl Vault {
    /// Makes a new vault key and new table keys, and wraps everything below them anew. Column keys and files stay.
    ///
    /// # Errors
    /// [`VaultError::Damaged`], [`VaultError::Io`]; the vault is then as it was.
    pub fn rotate(&mut self) -> Result<(), VaultError> {
        let (catalog, key) = self.rotated(self.catalog.clone())?;
        self.commit(catalog, key)
    }

    /// Adds a root, and takes away those that `remove` names, in one step with a rotation.
    ///
    /// # Errors
    /// [`VaultError::Use`] when a name is no root's, or none would be left; otherwise as [`Vault::rotate`].
    pub fn change_roots(
        &mut self,
        add: Option<&dyn RootOfTrust>,
        remove: &[String],
    ) -> Result<(), VaultError> {
        let mut catalog = self.catalog.clone();
        for name in remove {
            let before = catalog.roots.len();
            catalog.roots.retain(|root| root.slot.name() != *name);
            if catalog.roots.len() == before {
                let names: Vec<String> =
                    catalog.roots.iter().map(|root| root.slot.name()).collect();
                return Err(VaultError::Use(format!(
                    "the vault has no root {name}; it has {}",
                    names.join(", ")
                )));
            }
        }
        let (mut catalog, key) = self.rotated(catalog)?;
        if let Some(root) = add {
            catalog.roots.push(new_root(&catalog.vault, root, &key)?);
        }
        if catalog.roots.is_empty() {
            return Err(VaultError::Use(
                "nobody could open the vault without this root; add another one".to_owned(),
            ));
        }
        self.commit(catalog, key)
    }

    /// Seals the last version of a table anew under fresh keys and drops all older versions, files and keys. Grants go on with the new one.
    ///
    /// # Errors
    /// As [`Vault::seal`] and [`Vault::rotate`].
    pub fn reencrypt(
        &mut self,
        table: &str,
        when: &str,
        party: Option<&Signer>,
    ) -> Result<Statement, VaultError> {
        let (edition, manifest, keys) = self.latest(table)?;
        let mut entry = self.catalog.table(table)?.clone();
        let file = entry.version(None)?.file.clone();
        let sealed = SealedTable::new(&self.folder_of(table), &file, edition, (manifest, keys))?;
        let rows = sealed.read(&Scan::default())?;
        let key = self.table_key(&entry)?;
        let written = self.write(table, &entry, &key, (&rows, when, party))?;
        entry
            .grants
            .values_mut()
            .for_each(|grant| grant.versions.clear());
        self.extend_grants(&mut entry, &key, &written)?;
        entry.next += 1;
        let old = std::mem::replace(&mut entry.versions, vec![written.entry]);
        let mut catalog = self.catalog.clone();
        catalog.tables.insert(table.to_owned(), entry);
        let (catalog, key) = self.rotated(catalog)?;
        self.commit(catalog, key)?;
        for version in old {
            self.remove_files(table, &version.file)?;
        }
        Ok(written.statement)
    }

    /// Removes a data file and its statement.
    pub(crate) fn remove_files(&self, table: &str, file: &str) -> Result<(), VaultError> {
        let folder = self.folder_of(table);
        let stem = file.split('.').next().unwrap_or(file);
        self.disk.remove(&folder.join(file))?;
        self.disk
            .remove(&folder.join(format!("{stem}.statement.json")))
    }

    /// `catalog`, whose entries are under this vault's keys, under new ones.
    pub(crate) fn rotated(&self, mut catalog: Catalog) -> Result<(Catalog, Seed), VaultError> {
        let key = fresh()?;
        let vault = catalog.vault.clone();
        for root in &mut catalog.roots {
            let name = root.slot.name();
            let place = ["slot key", vault.as_str(), name.as_str()];
            let slot = unwrap(&self.key, &place, &root.slot_key).ok_or_else(|| self.damaged())?;
            root.slot_key = wrap(&key, &place, &slot)?;
            root.vault_key = wrap(&slot, &["vault key", &vault], &key)?;
        }
        let place = ["signing key", vault.as_str()];
        let signing = unwrap(&self.key, &place, &catalog.signing_key);
        catalog.signing_key = wrap(&key, &place, &signing.ok_or_else(|| self.damaged())?)?;
        for entry in catalog.tables.values_mut() {
            let old = self.table_key(entry)?;
            let new = fresh()?;
            entry.key = wrap(&key, &["table key", &vault, &entry.id], &new)?;
            self.rewrap(entry, &old, &new)?;
        }
        Ok((catalog, key))
    }

    /// Everything under a table's key, under a new one.
    fn rewrap(&self, entry: &mut TableEntry, old: &Seed, new: &Seed) -> Result<(), VaultError> {
        let mut versions = entry.versions.clone();
        for version in &mut versions {
            let edition = self.edition(entry, version.version);
            let (manifest, keys) = unseal(&edition, old, version).ok_or_else(|| self.damaged())?;
            let file = version.file.clone();
            *version = crate::seal::version_entry(&edition, new, (file, &manifest, &keys))?;
        }
        entry.versions = versions;
        let vault = &self.catalog.vault;
        for (name, grant) in &mut entry.grants {
            let place = ["grant key", vault, &entry.id, name];
            let holder = unwrap(old, &place, &grant.key).ok_or_else(|| self.damaged())?;
            grant.key = wrap(new, &place, &holder)?;
            let place = ["grant columns", vault, &entry.id, name];
            let list = open(old, &place, &grant.columns).ok_or_else(|| self.damaged())?;
            grant.columns = seal(new, &place, &list)?;
        }
        Ok(())
    }
}
