//! Grants: some columns for whoever has a key file (rules VA-09, VA-10).

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lepton_crypto::{Seed, Zeroizing};

use crate::catalog::{Catalog, GrantEntry, TableEntry, check_name, internal};
use crate::error::VaultError;
use crate::key::{copy, open, seal, unwrap, wrap};
use crate::manifest::{Edition, Keys, Manifest};
use crate::owner::Vault;
use crate::root::{KeyFile, id};
use crate::seal::Written;

/// Where a grant's holder has its key.
pub enum GrantFile<'a> {
    /// A new file is made.
    New(&'a Path),
    /// The holder has one already.
    Known(&'a KeyFile),
}

impl Vault {
    /// Grants columns of the last version of `table`, and of versions to come, to the holder of a key file.
    ///
    /// # Errors
    /// [`VaultError::Use`] for a grant that exists, a column that does not, or none; [`VaultError::Io`].
    pub fn grant(
        &mut self,
        table: &str,
        name: &str,
        columns: &[String],
        file: &GrantFile<'_>,
    ) -> Result<(), VaultError> {
        check_name(name)?;
        let mut entry = self.catalog.table(table)?.clone();
        let key = self.table_key(&entry)?;
        if entry.grants.contains_key(name) {
            return Err(VaultError::Use(format!(
                "there is a grant {name:?} of {table} already; revoke it, or take another name"
            )));
        }
        let (edition, manifest, keys) = self.latest(table)?;
        let body = body(&manifest, &keys, columns)?;
        let holder = match file {
            GrantFile::New(path) => copy(KeyFile::create(path)?.key()),
            GrantFile::Known(file) => copy(file.key()),
        };
        let public = id(&holder);
        if entry.grants.values().any(|grant| grant.holder == public) {
            return Err(VaultError::Use(
                "this key has a grant of the table already; revoke that first".to_owned(),
            ));
        }
        let (vault, at) = (self.catalog.vault.clone(), entry.id.clone());
        let list = serde_json::to_vec(columns).map_err(internal)?;
        let sealed = edition.bound("grant", &public, |place| seal(&holder, place, &body))?;
        let grant = GrantEntry {
            key: wrap(&key, &["grant key", &vault, &at, name], &holder)?,
            columns: seal(&key, &["grant columns", &vault, &at, name], &list)?,
            holder: public,
            versions: BTreeMap::from([(edition.version, sealed)]),
        };
        entry.grants.insert(name.to_owned(), grant);
        self.put(table, entry)
    }

    /// Takes a grant back: its key opens nothing here any more. What its holder copied stays with the holder.
    ///
    /// # Errors
    /// [`VaultError::Use`] when there is no such grant; [`VaultError::Io`].
    pub fn revoke(&mut self, table: &str, name: &str) -> Result<(), VaultError> {
        let mut entry = self.catalog.table(table)?.clone();
        end_grant(&mut entry, table, name)?;
        self.put(table, entry)
    }

    /// The number of a table's last version.
    ///
    /// # Errors
    /// [`VaultError::Use`] when there is no such table.
    pub fn last_version(&self, table: &str) -> Result<u64, VaultError> {
        Ok(self.catalog.table(table)?.version(None)?.version)
    }

    /// The columns of each grant of a table.
    ///
    /// # Errors
    /// [`VaultError`] when there is no such table.
    pub fn granted(&self, table: &str) -> Result<BTreeMap<String, Vec<String>>, VaultError> {
        let entry = self.catalog.table(table)?;
        let key = self.table_key(entry)?;
        let names = entry.grants.iter();
        names
            .map(|(name, grant)| Ok((name.clone(), self.columns_of(entry, &key, (name, grant))?)))
            .collect()
    }

    fn columns_of(
        &self,
        entry: &TableEntry,
        key: &Seed,
        (name, grant): (&str, &GrantEntry),
    ) -> Result<Vec<String>, VaultError> {
        let place = ["grant columns", &self.catalog.vault, &entry.id, name];
        let list = open(key, &place, &grant.columns).ok_or_else(|| self.damaged())?;
        serde_json::from_slice(&list).map_err(internal)
    }

    /// Grants a new version to those who have all their columns in it.
    pub(crate) fn extend_grants(
        &self,
        entry: &mut TableEntry,
        key: &Seed,
        written: &Written,
    ) -> Result<(), VaultError> {
        let mut grants = entry.grants.clone();
        for (name, grant) in &mut grants {
            let columns = self.columns_of(entry, key, (name, grant))?;
            let place = ["grant key", &self.catalog.vault, &entry.id, name];
            let holder = unwrap(key, &place, &grant.key).ok_or_else(|| self.damaged())?;
            let Ok(body) = body(&written.manifest, &written.keys, &columns) else {
                continue;
            };
            let edition = &written.edition;
            let bound = edition.bound("grant", &grant.holder, |place| seal(&holder, place, &body));
            grant.versions.insert(edition.version, bound?);
        }
        entry.grants = grants;
        Ok(())
    }

    pub(crate) fn put(&mut self, table: &str, entry: TableEntry) -> Result<(), VaultError> {
        let mut catalog = self.catalog.clone();
        *catalog.table_mut(table)? = entry;
        self.commit(catalog, copy(&self.key))
    }

    /// The footer's and columns' keys of the last version by the names in the file's key metadata, as a JSON object of base64: for other tools that read
    /// Parquet. Whoever has this text reads these columns for ever.
    ///
    /// # Errors
    /// [`VaultError::Use`] for a column that does not exist.
    pub fn parquet_keys(
        &self,
        table: &str,
        columns: &[String],
    ) -> Result<Zeroizing<String>, VaultError> {
        let (edition, manifest, keys) = self.latest(table)?;
        let mut parts = vec![(edition.key_name(0), &keys.footer)];
        for at in chosen(&manifest, columns)? {
            let key = keys.columns.get(&at).ok_or_else(|| self.damaged())?;
            parts.push((edition.key_name(at + 1), key));
        }
        Ok(parquet_keys(&parts))
    }
}

/// Takes a grant out of a table's entry.
pub(crate) fn end_grant(entry: &mut TableEntry, table: &str, name: &str) -> Result<(), VaultError> {
    if entry.grants.remove(name).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = entry.grants.keys().map(String::as_str).collect();
    let there = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    Err(VaultError::Use(format!(
        "{table} has no grant {name:?}; it has {there}"
    )))
}

/// A JSON object of key names with keys in base64.
#[must_use]
pub fn parquet_keys(keys: &[(String, &Seed)]) -> Zeroizing<String> {
    // In one buffer that is wiped: one that grows would leave parts behind.
    let length = keys.iter().map(|(name, _)| name.len() + 60).sum::<usize>();
    let mut text = Zeroizing::new(String::with_capacity(length + 8));
    text.push('{');
    for (number, (name, key)) in keys.iter().enumerate() {
        let encoded = Zeroizing::new(STANDARD.encode(key.as_bytes()));
        text.push_str(if number == 0 { "\n  \"" } else { ",\n  \"" });
        text.push_str(name);
        text.push_str("\": \"");
        text.push_str(&encoded);
        text.push('"');
    }
    text.push_str("\n}\n");
    text
}

/// What the holder's key opens: the last version that it was granted.
pub(crate) fn open_grant(
    catalog: &Catalog,
    entry: &TableEntry,
    holder: &Seed,
) -> Option<(Edition, Manifest, Keys)> {
    let public = id(holder);
    let mut grants = entry.grants.values();
    let grant = grants.find(|grant| grant.holder == public)?;
    let (version, sealed) = grant.versions.last_key_value()?;
    let edition = Edition {
        vault: catalog.vault.clone(),
        table: entry.id.clone(),
        version: *version,
    };
    let body = edition.bound("grant", &public, |place| open(holder, place, sealed))?;
    let (manifest, keys) = parse(&body)?;
    Some((edition, manifest, keys))
}

fn chosen(manifest: &Manifest, columns: &[String]) -> Result<Vec<usize>, VaultError> {
    if columns.is_empty() {
        return Err(VaultError::Use("name the columns to be granted".to_owned()));
    }
    let position = |name: &String| {
        manifest.position(name).ok_or_else(|| {
            let there: Vec<&str> = manifest.columns.iter().map(|c| c.name.as_str()).collect();
            let there = there.join(", ");
            VaultError::Use(format!("the table has no column {name:?}; it has {there}"))
        })
    };
    columns.iter().map(position).collect()
}

/// Footer key, number of columns, each with its position and key, manifest.
fn body(
    manifest: &Manifest,
    keys: &Keys,
    columns: &[String],
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let chosen = chosen(manifest, columns)?;
    let rest = manifest.to_bytes()?;
    let mut out = Zeroizing::new(Vec::with_capacity(36 + 36 * chosen.len() + rest.len()));
    out.extend_from_slice(keys.footer.as_bytes());
    out.extend_from_slice(&number(chosen.len())?);
    for at in chosen {
        let key = keys.columns.get(&at);
        let key = key.ok_or_else(|| internal("a column has no key"))?;
        out.extend_from_slice(&number(at)?);
        out.extend_from_slice(key.as_bytes());
    }
    out.extend_from_slice(&rest);
    Ok(out)
}

fn number(count: usize) -> Result<[u8; 4], VaultError> {
    u32::try_from(count).map(u32::to_le_bytes).map_err(internal)
}

fn parse(body: &[u8]) -> Option<(Manifest, Keys)> {
    let (footer, rest) = body.split_first_chunk::<32>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let mut columns = BTreeMap::new();
    for _ in 0..u32::from_le_bytes(*count) {
        let (at, tail) = rest.split_first_chunk::<4>()?;
        let (key, tail) = tail.split_first_chunk::<32>()?;
        let at = usize::try_from(u32::from_le_bytes(*at)).ok()?;
        columns.insert(at, Seed::from_bytes(*key));
        rest = tail;
    }
    let footer = Seed::from_bytes(*footer);
    Some((Manifest::from_bytes(rest).ok()?, Keys { footer, columns }))
}
