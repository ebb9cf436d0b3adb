//! Destruction (rule VA-12).

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use crate::catalog::{CATALOG, TableEntry};
use crate::document::{CERTIFICATE, Certificate, INTENTION, Signer};
use crate::error::VaultError;
use crate::owner::Vault;

const WHAT: &str = "All keys that opened the table were taken out of the vault and its vault key was replaced; the catalog that held them was overwritten once, and the data files were removed.";

/// Of a destruction that was interrupted, and completed when the vault was opened next.
const WHAT_RECOVERED: &str = "All keys that opened the table were taken out of the vault and its vault key was replaced, and the data files were removed. The program was interrupted: the catalog that held the keys was replaced, but it is not known that it was overwritten.";

const NOT_REACHED: [&str; 7] = [
    "copies of data files together with column keys, at those to whom columns were granted",
    "backups of the vault from before, with a root that opened it then",
    "what disks keep of catalogs from before the last one, which were replaced and never overwritten, and of the removed data files, with a root that opened the vault then",
    "remnants on solid-state disks, in snapshots and journals, with a root that opened the vault then",
    "roots in escrow, with any of these",
    "plain copies of the table: the file it was sealed from, exports, swapped memory",
    "models, reports and statistics made from the table, audit logs and ledgers",
];

impl Vault {
    /// Destroys a table: its keys, manifests, grants and files. Gives the certificate and where it was written.
    ///
    /// # Errors
    /// [`VaultError::Use`] when there is no such table; [`VaultError::Io`]. After an error the table either still is there, or its destruction is
    /// completed when the vault is opened next.
    pub fn shred(
        &mut self,
        table: &str,
        when: &str,
        party: Option<&Signer>,
    ) -> Result<(Certificate, PathBuf), VaultError> {
        let entry = self.catalog.table(table)?.clone();
        let certificate = self.certificate(table, &entry, when)?;
        let pending = self.pending(&certificate);
        let intention = self.sign(INTENTION, &certificate, None)?;
        self.disk.replace(&pending, &intention)?;
        let path = self.disk.folder().join(CATALOG);
        let mut old = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(VaultError::io(&path))?;
        let mut catalog = self.catalog.clone();
        catalog.tables.remove(table);
        let (catalog, key) = self.rotated(catalog)?;
        self.commit(catalog, key)?;
        self.disk.overwrite(&path, &mut old)?;
        for version in &entry.versions {
            self.remove_files(table, &version.file)?;
        }
        // Somebody's own file may be in it.
        let _ = fs::remove_dir(self.folder_of(table));
        let path = self.certify(&certificate, &pending, party)?;
        Ok((certificate, path))
    }

    /// Completes what a killed program had begun, or forgets what it had not.
    pub(crate) fn finish_destructions(&self) -> Result<(), VaultError> {
        let folder = self.disk.folder();
        for entry in fs::read_dir(folder).map_err(VaultError::io(folder))? {
            let path = entry.map_err(VaultError::io(folder))?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if !name.starts_with("vault.destroyed-") {
                continue;
            }
            if name.ends_with(".partial") {
                self.disk.remove(&path)?;
            } else if name.ends_with(".pending") {
                self.finish_destruction(&path)?;
            }
        }
        Ok(())
    }

    fn finish_destruction(&self, pending: &Path) -> Result<(), VaultError> {
        let bytes = fs::read(pending).map_err(VaultError::io(pending))?;
        let signed = self.intention(&bytes)?;
        // Under its own name only: a copy would be certified once more.
        let Some(mut certificate) = signed.filter(|found| self.pending(found) == pending) else {
            return Err(VaultError::damaged(
                pending,
                "it is no intention to destroy that this vault signed",
            ));
        };
        let mut tables = self.catalog.tables.values();
        let there = tables.any(|entry| entry.id == certificate.table_id);
        if there || pending.with_extension("json").exists() {
            return self.disk.remove(pending);
        }
        WHAT_RECOVERED.clone_into(&mut certificate.what);
        self.certify(&certificate, pending, None).map(drop)
    }

    fn certify(
        &self,
        certificate: &Certificate,
        pending: &Path,
        party: Option<&Signer>,
    ) -> Result<PathBuf, VaultError> {
        let path = pending.with_extension("json");
        self.disk
            .replace(&path, &self.sign(CERTIFICATE, certificate, party)?)?;
        self.disk.remove(pending)?;
        Ok(path)
    }

    fn pending(&self, certificate: &Certificate) -> PathBuf {
        let Certificate {
            table, table_id, ..
        } = certificate;
        let name = format!("vault.destroyed-{table}-{table_id}.pending");
        self.disk.folder().join(name)
    }

    fn certificate(
        &self,
        table: &str,
        entry: &TableEntry,
        when: &str,
    ) -> Result<Certificate, VaultError> {
        let key = self.table_key(entry)?;
        let version = |version: &crate::catalog::VersionEntry| {
            let edition = self.edition(entry, version.version);
            let (manifest, _) =
                crate::seal::unseal(&edition, &key, version).ok_or_else(|| self.damaged())?;
            Ok((version.version, manifest.sha256))
        };
        let versions = entry.versions.iter().map(version);
        Ok(Certificate {
            vault: self.catalog.vault.clone(),
            table: table.to_owned(),
            table_id: entry.id.clone(),
            versions: versions.collect::<Result<_, VaultError>>()?,
            grants: entry.grants.keys().cloned().collect(),
            destroyed: when.to_owned(),
            what: WHAT.to_owned(),
            not_reached: NOT_REACHED.map(str::to_owned).to_vec(),
        })
    }
}
