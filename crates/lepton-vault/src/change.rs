//! New keys: rotation, other roots, re-encryption, and versions that go (rules VA-10, VA-11, VA-17).

use lepton_crypto::Seed;

use crate::catalog::{Catalog, TableEntry};
use crate::document::{Signer, Statement};
use crate::error::VaultError;
use crate::grant::end_grant;
use crate::key::{fresh, open, seal, unwrap, wrap};
use crate::owner::{Vault, new_root};
use crate::read::{Scan, SealedTable};
use crate::root::RootOfTrust;
use crate::seal::unseal;

impl Vault {
    /// Makes a new vault key and new table keys, and wraps everything below them anew. Column keys and files stay. `root`, which opened the vault, gets a
    /// new slot; other roots keep theirs, so that who had an earlier vault key and catalog reaches the new one through them (rule VA-11).
    ///
    /// # Errors
    /// [`VaultError::Use`] when `root` does not open the vault, [`VaultError::Damaged`], [`VaultError::Io`]; the vault is then as it was.
    pub fn rotate(&mut self, root: &dyn RootOfTrust) -> Result<(), VaultError> {
        self.change_roots(root, None, &[])
    }

    /// Adds a root, and takes away those that `remove` names, in one step with a rotation. Where one is taken away only `root`, which opened the vault,
    /// and the new one can stay: the slots of others are known to whoever is taken away.
    ///
    /// # Errors
    /// [`VaultError::Use`] when a name is no root's, a third root would stay, or none would be left; otherwise as [`Vault::rotate`].
    pub fn change_roots(
        &mut self,
        root: &dyn RootOfTrust,
        add: Option<&dyn RootOfTrust>,
        remove: &[String],
    ) -> Result<(), VaultError> {
        let at = self.own_root(root)?;
        let stays = self.stays(at, remove)?;
        let mut catalog = self.catalog.clone();
        if remove.is_empty() {
            catalog.roots.remove(at);
        } else {
            catalog.roots.clear();
        }
        let (mut catalog, key) = self.rotated(catalog)?;
        if stays {
            let renewed = new_root(&catalog.vault, root, &key)?;
            catalog.roots.insert(at.min(catalog.roots.len()), renewed);
        }
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

    /// Which of the vault's roots this is.
    fn own_root(&self, root: &dyn RootOfTrust) -> Result<usize, VaultError> {
        let vault = &self.catalog.vault;
        for (at, entry) in self.catalog.roots.iter().enumerate() {
            let slot = root.unwrap(vault, &entry.slot)?;
            let key = slot.and_then(|slot| unwrap(&slot, &["vault key", vault], &entry.vault_key));
            if key.is_some_and(|key| key == self.key) {
                return Ok(at);
            }
        }
        Err(VaultError::Use(
            "this root does not open the vault; give the one that it was opened with".to_owned(),
        ))
    }

    /// Whether the root at hand stays when those that `remove` names go; an error when others would stay with it.
    fn stays(&self, at: usize, remove: &[String]) -> Result<bool, VaultError> {
        let roots = self.catalog.roots.iter();
        let names: Vec<String> = roots.map(|root| root.slot.name()).collect();
        if let Some(unknown) = remove.iter().find(|name| !names.contains(name)) {
            return Err(VaultError::Use(format!(
                "the vault has no root {unknown}; it has {}",
                names.join(", ")
            )));
        }
        let mut kept = names.iter().enumerate();
        let third = kept.find(|(number, name)| *number != at && !remove.contains(name));
        if let (false, Some((_, name))) = (remove.is_empty(), third) {
            return Err(VaultError::Use(format!(
                "the root {name} would stay, and whoever is taken away can know its slot: remove it in the same step, and let its custodian be added again afterwards"
            )));
        }
        Ok(names.get(at).is_some_and(|own| !remove.contains(own)))
    }

    /// Seals the last version of a table anew under fresh keys and drops all older versions, files and keys. Grants go on with the new one, but for the one
    /// that `revoke` names: that is taken back in the same step.
    ///
    /// # Errors
    /// As [`Vault::seal`], [`Vault::rotate`] and [`Vault::revoke`].
    pub fn reencrypt(
        &mut self,
        table: &str,
        revoke: Option<&str>,
        when: &str,
        party: Option<&Signer>,
    ) -> Result<Statement, VaultError> {
        let (edition, manifest, keys) = self.latest(table)?;
        let mut entry = self.catalog.table(table)?.clone();
        if let Some(name) = revoke {
            end_grant(&mut entry, table, name)?;
        }
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

    /// Drops all versions of a table but the last `keep`: their keys, manifests and grants leave the catalog, then their files are removed. Gives the versions
    /// that went. The catalog of before is replaced and not overwritten.
    ///
    /// # Errors
    /// [`VaultError::Use`] for `keep` 0, or when there is no such table; otherwise as [`Vault::rotate`], but for a file that cannot be removed: the versions are
    /// gone from the catalog then, and the next change of the vault removes it.
    pub fn prune(&mut self, table: &str, keep: usize) -> Result<Vec<u64>, VaultError> {
        let mut entry = self.catalog.table(table)?.clone();
        if keep == 0 {
            return Err(VaultError::Use(
                "a table keeps at least one version; to destroy it, shred it".to_owned(),
            ));
        }
        let kept = entry
            .versions
            .split_off(entry.versions.len().saturating_sub(keep));
        let old = std::mem::replace(&mut entry.versions, kept);
        let gone: Vec<u64> = old.iter().map(|version| version.version).collect();
        if gone.is_empty() {
            return Ok(gone);
        }
        for grant in entry.grants.values_mut() {
            grant.versions.retain(|version, _| !gone.contains(version));
        }
        let mut catalog = self.catalog.clone();
        catalog.tables.insert(table.to_owned(), entry);
        let (catalog, key) = self.rotated(catalog)?;
        self.commit(catalog, key)?;
        for version in old {
            self.remove_files(table, &version.file)?;
        }
        Ok(gone)
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::owner::unlock;
    use crate::root::KeyFile;

    /// Whether who has a catalog of before and a root that opened it gets the vault key of now through any slot.
    fn walks(before: &(Catalog, Seed), folder: &Path) -> bool {
        let (old, key) = before;
        let (now, _) = Catalog::read(folder).unwrap();
        let known = old.roots.iter().filter_map(|root| {
            let place = ["slot key", old.vault.as_str(), &root.slot.name()];
            unwrap(key, &place, &root.slot_key)
        });
        let opens = |slot: &Seed| {
            let mut roots = now.roots.iter();
            roots.any(|root| unwrap(slot, &["vault key", &now.vault], &root.vault_key).is_some())
        };
        known.into_iter().any(|slot| opens(&slot))
    }

    #[test]
    fn a_removed_root_reaches_no_later_vault_key() {
        let folder = tempfile::tempdir().unwrap();
        let key = |name: &str| KeyFile::create(&folder.path().join(name)).unwrap();
        let (first, second, third) = (key("a"), key("b"), key("c"));
        let at = folder.path().join("vault");
        let mut vault = Vault::init(&at, &first).unwrap();
        vault.change_roots(&first, Some(&second), &[]).unwrap();
        drop(vault);
        let before = unlock(&at, &first).unwrap();
        let mut vault = Vault::open(&at, &second).unwrap();
        // The other root's slot stays at a plain rotation.
        vault.rotate(&second).unwrap();
        assert!(walks(&before, &at));
        let names = vault.catalog.listing().roots;
        vault.change_roots(&second, Some(&third), &[]).unwrap();
        let first_only = &names[..1];
        assert!(vault.change_roots(&second, None, first_only).is_err());
        assert!(vault.change_roots(&first, None, &[]).is_ok());
        let all = vault.catalog.listing().roots;
        let others = [all[0].clone(), all[2].clone()];
        vault.change_roots(&second, None, &others).unwrap();
        assert!(!walks(&before, &at));
        assert_eq!(vault.catalog.roots.len(), 1);
        assert!(vault.change_roots(&first, None, &[]).is_err());
        drop(vault);
        assert!(unlock(&at, &second).is_ok() && unlock(&at, &first).is_err());
        // A single root's own slot is new after each rotation.
        let before = unlock(&at, &second).unwrap();
        let mut vault = Vault::open(&at, &second).unwrap();
        vault.rotate(&second).unwrap();
        assert!(!walks(&before, &at));
    }
}
