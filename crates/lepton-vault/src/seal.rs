//! From a table to an encrypted file (rules VA-05 to VA-07).

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use lepton_crypto::Seed;
use lepton_table::Table;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::blocks::{Hashed, Hashing};
use crate::catalog::{TableEntry, VersionEntry, check_new_name, internal};
use crate::document::{Signer, Statement};
use crate::error::VaultError;
use crate::key::{copy, fresh, open, random_name, seal, unwrap, wrap};
use crate::manifest::{ColumnEntry, Edition, Keys, Manifest, joined};
use crate::merkle::Roots;
use crate::owner::Vault;
use crate::pkmt::Material;

/// Rows of a row group: what a reader can leave out.
const GROUP_ROWS: usize = 1 << 18;

/// A version that is on the disk and not in the catalog yet.
pub(crate) struct Written {
    pub(crate) edition: Edition,
    pub(crate) entry: VersionEntry,
    pub(crate) manifest: Manifest,
    pub(crate) keys: Keys,
    pub(crate) statement: Statement,
}

impl Vault {
    /// Seals a table as the first or next version under `name`; `when` is the caller's time. The file that it was read from stays as it is.
    ///
    /// # Errors
    /// [`VaultError::Use`] for a name that cannot be one or a table without columns, [`VaultError::Io`]; the vault is then as it was.
    pub fn seal(
        &mut self,
        name: &str,
        table: &Table,
        when: &str,
        party: Option<&Signer>,
    ) -> Result<Statement, VaultError> {
        check_new_name(name, &self.catalog)?;
        let mut catalog = self.catalog.clone();
        let (mut entry, key) = self.entry(name)?;
        let written = self.write(name, &entry, &key, (table, when, party))?;
        self.extend_grants(&mut entry, &key, &written)?;
        entry.next += 1;
        entry.versions.push(written.entry);
        catalog.tables.insert(name.to_owned(), entry);
        self.commit(catalog, copy(&self.key))?;
        Ok(written.statement)
    }

    /// The entry of a table, a new one if there is none, and its key.
    fn entry(&self, name: &str) -> Result<(TableEntry, Seed), VaultError> {
        if let Some(entry) = self.catalog.tables.get(name) {
            return Ok((entry.clone(), self.table_key(entry)?));
        }
        let (id, key) = (random_name()?, fresh()?);
        let wrapped = wrap(&self.key, &["table key", &self.catalog.vault, &id], &key)?;
        let entry = TableEntry {
            id,
            key: wrapped,
            next: 1,
            versions: Vec::new(),
            grants: BTreeMap::new(),
        };
        Ok((entry, key))
    }

    /// Writes data file and statement; the catalog does not know them yet.
    pub(crate) fn write(
        &self,
        name: &str,
        entry: &TableEntry,
        key: &Seed,
        (table, when, party): (&Table, &str, Option<&Signer>),
    ) -> Result<Written, VaultError> {
        if table.columns().is_empty() {
            return Err(VaultError::Use(
                "a table without columns cannot be sealed".to_owned(),
            ));
        }
        let edition = self.edition(entry, entry.next);
        let keys = Keys::fresh(table.columns().len())?;
        let folder = self.folder_of(name);
        self.disk.make_folder(&folder)?;
        let stem = format!("v{}-{}", edition.version, random_name()?);
        let file = format!("{stem}.parquet");
        let path = folder.join(&file);
        let hashed = self.write_data(&path, table, &edition, &keys);
        if hashed.is_err() {
            // Nothing names it; the failure itself is reported.
            let _ = std::fs::remove_file(&path);
        }
        let manifest = manifest(table, &keys, &hashed?, when)?;
        let statement = Statement::of(name, &edition, &file, &manifest);
        let beside = folder.join(format!("{stem}.statement.json"));
        self.disk
            .replace(&beside, &self.signed(&statement, party)?)?;
        Ok(Written {
            entry: version_entry(&edition, key, (file, &manifest, &keys))?,
            edition,
            manifest,
            keys,
            statement,
        })
    }

    fn write_data(
        &self,
        path: &Path,
        table: &Table,
        edition: &Edition,
        keys: &Keys,
    ) -> Result<Hashed, VaultError> {
        let file = self.disk.create(path)?;
        let (file, hashed) = write_parquet(file, table, edition, keys).map_err(|error| {
            // What the disk said is inside.
            match error {
                ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
                    Ok(source) => VaultError::io(path)(*source),
                    Err(other) => internal(other),
                },
                other => internal(other),
            }
        })?;
        self.disk.settle(path, &file)?;
        Ok(hashed)
    }
}

impl Keys {
    fn fresh(columns: usize) -> Result<Self, VaultError> {
        let columns = (0..columns).map(|at| Ok((at, fresh()?)));
        Ok(Self {
            footer: fresh()?,
            columns: columns.collect::<Result<_, VaultError>>()?,
        })
    }
}

/// Encrypted modules only pass to `file`.
fn write_parquet(
    file: File,
    table: &Table,
    edition: &Edition,
    keys: &Keys,
) -> Result<(File, Hashed), ParquetError> {
    let other = |error: VaultError| ParquetError::General(error.to_string());
    let material = |place: usize, master: &Seed| -> Result<(Vec<u8>, Vec<u8>), ParquetError> {
        let data_key = fresh().map_err(other)?;
        let name = edition.key_name(place);
        let material = Material::single(name, place == 0, master, &data_key);
        let bytes = material.to_bytes().map_err(other)?;
        Ok((data_key.as_bytes().to_vec(), bytes))
    };
    let (key, about) = material(0, &keys.footer)?;
    let mut builder = FileEncryptionProperties::builder(key)
        .with_footer_key_metadata(about)
        .with_aad_prefix(edition.aad_prefix())
        .with_aad_prefix_storage(true);
    for ((at, master), name) in keys.columns.iter().zip(table.column_names()) {
        let (key, about) = material(at + 1, master)?;
        builder = builder.with_column_key_and_metadata(&name, key, about);
    }
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .with_file_encryption_properties(builder.build()?)
        .build();
    let batch = table.batch();
    let hashing = Hashing::new(file);
    let mut writer = ArrowWriter::try_new(hashing, batch.schema(), Some(properties))?;
    writer.write(batch)?;
    Ok(writer.into_inner()?.finish())
}

fn manifest(
    table: &Table,
    keys: &Keys,
    hashed: &Hashed,
    when: &str,
) -> Result<Manifest, VaultError> {
    let roots = Roots::of(table, keys)?;
    let columns = table.columns().into_iter().zip(&roots.columns);
    Ok(Manifest {
        columns: columns
            .map(|((name, kind), root)| ColumnEntry {
                name,
                kind: kind.word().to_owned(),
                root: root.to_string(),
            })
            .collect(),
        rows: table.rows() as u64,
        bytes: hashed.bytes,
        sha256: hashed.sha256.to_string(),
        blocks: joined(&hashed.blocks),
        root: roots.table.to_string(),
        sealed: when.to_owned(),
    })
}

pub(crate) fn version_entry(
    edition: &Edition,
    key: &Seed,
    (file, manifest, keys): (String, &Manifest, &Keys),
) -> Result<VersionEntry, VaultError> {
    let mut wrapped =
        vec![edition.bound("footer key", "", |place| wrap(key, place, &keys.footer))?];
    for (column, inner) in manifest.columns.iter().zip(keys.columns.values()) {
        wrapped.push(edition.bound("column key", &column.name, |place| wrap(key, place, inner))?);
    }
    let bytes = manifest.to_bytes()?;
    Ok(VersionEntry {
        version: edition.version,
        file,
        keys: wrapped,
        manifest: edition.bound("manifest", "", |place| seal(key, place, &bytes))?,
    })
}

/// Manifest and keys of a version, by the table's key.
pub(crate) fn unseal(
    edition: &Edition,
    key: &Seed,
    version: &VersionEntry,
) -> Option<(Manifest, Keys)> {
    let bytes = edition.bound("manifest", "", |place| open(key, place, &version.manifest))?;
    let manifest = Manifest::from_bytes(&bytes).ok()?;
    let (footer, columns) = version.keys.split_first()?;
    let footer = edition.bound("footer key", "", |place| unwrap(key, place, footer))?;
    let mut found = BTreeMap::new();
    for (at, (column, wrapped)) in manifest.columns.iter().zip(columns).enumerate() {
        let inner = edition.bound("column key", &column.name, |place| {
            unwrap(key, place, wrapped)
        })?;
        found.insert(at, inner);
    }
    let columns = found;
    (columns.len() == manifest.columns.len()).then_some((manifest, Keys { footer, columns }))
}
