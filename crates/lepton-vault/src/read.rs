//! A sealed table read where it lies (rule VA-08): the seam for jobs and query engines.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use lepton_crypto::{Seed, Zeroizing};
use lepton_table::{ColumnType, Table};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::encryption::decrypt::{FileDecryptionProperties, KeyRetriever};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use crate::blocks::Verified;
use crate::catalog::{Catalog, internal, once_more, table_place};
use crate::error::VaultError;
use crate::key::copy;
use crate::manifest::{Edition, Keys, Manifest};
use crate::merkle::column_root;
use crate::owner::{table_key, unlock};
use crate::pkmt::Material;
use crate::root::{KeyFile, RootOfTrust};
use crate::seal::unseal;

/// A version of a table, as far as the key at hand opens it. The columns that it does not open are as if they were not there.
pub struct SealedTable {
    path: PathBuf,
    edition: Edition,
    manifest: Manifest,
    keys: Keys,
    file: Verified,
    metadata: ArrowReaderMetadata,
}

/// What to read of a table. The default is everything that the key opens.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scan {
    /// Columns, in this order; all that the key opens if none are named.
    pub columns: Option<Vec<String>>,
    /// Row groups in which no row can be within all of these are left out. The rows of the others come whole: a filter is the caller's.
    pub between: Vec<Between>,
    /// Rows of a batch at most; 8192 if zero.
    pub batch_rows: usize,
}

/// Numbers of a column from `low` to `high`, both included.
#[derive(Debug, Clone, PartialEq)]
pub struct Between {
    /// A column of numbers.
    pub column: String,
    /// The least.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

impl SealedTable {
    /// Opens the table at `VAULT/TABLE` with a key file: one of a root, or the holder's of a grant (rule VA-09).
    ///
    /// # Errors
    /// [`VaultError::Refused`] when the key opens nothing of it, [`VaultError::Use`] when there is no such table, [`VaultError::Damaged`], [`VaultError::Io`].
    pub fn open_with(path: &Path, key: &KeyFile) -> Result<Self, VaultError> {
        // A change that was made meanwhile removes files that the catalog of before names.
        once_more(|| Self::open_with_once(path, key))
    }

    fn open_with_once(path: &Path, key: &KeyFile) -> Result<Self, VaultError> {
        let (folder, name) = place_of(path)?;
        let (catalog, _) = Catalog::read(&folder)?;
        let own = key.id();
        let is_root = |slot: &crate::root::Slot| slot.about.get("id") == Some(&own);
        if catalog.roots.iter().any(|entry| is_root(&entry.slot)) {
            return Self::open_once(path, key, None);
        }
        let entry = catalog.table(&name)?;
        let (edition, manifest, keys) = crate::grant::open_grant(&catalog, entry, key.key())
            .ok_or_else(|| {
                VaultError::Refused(format!(
                    "{}: this key opens nothing of the table: it was not granted, or was revoked; ask the owner for a grant",
                    path.display()
                ))
            })?;
        let file = entry.version(Some(edition.version))?.file.clone();
        Self::new(path, &file, edition, (manifest, keys))
    }

    /// Opens a version of the table at `VAULT/TABLE` with a root, the last one if none is named.
    ///
    /// # Errors
    /// As [`SealedTable::open_with`].
    pub fn open(
        path: &Path,
        root: &dyn RootOfTrust,
        version: Option<u64>,
    ) -> Result<Self, VaultError> {
        once_more(|| Self::open_once(path, root, version))
    }

    fn open_once(
        path: &Path,
        root: &dyn RootOfTrust,
        version: Option<u64>,
    ) -> Result<Self, VaultError> {
        let (folder, name) = place_of(path)?;
        let (catalog, key) = unlock(&folder, root)?;
        let entry = catalog.table(&name)?;
        let version = entry.version(version)?;
        let edition = Edition {
            vault: catalog.vault.clone(),
            table: entry.id.clone(),
            version: version.version,
        };
        let table_key = table_key(&catalog.vault, &key, entry);
        let unsealed = table_key.and_then(|key| unseal(&edition, &key, version));
        let unsealed = unsealed
            .ok_or_else(|| VaultError::damaged(path, "its entry in the catalog was changed"))?;
        Self::new(path, &version.file, edition, unsealed)
    }

    pub(crate) fn new(
        path: &Path,
        file: &str,
        edition: Edition,
        (manifest, keys): (Manifest, Keys),
    ) -> Result<Self, VaultError> {
        let data = path.join(file);
        let opened = File::open(&data).map_err(VaultError::io(&data))?;
        let changed = || VaultError::damaged(&data, "it was changed since it was sealed");
        let length = opened.metadata().map_err(VaultError::io(&data))?.len();
        if length != manifest.bytes {
            return Err(changed());
        }
        let blocks = manifest.blocks().ok_or_else(changed)?;
        let file = Verified::new(opened, length, blocks).ok_or_else(changed)?;
        let retriever = Arc::new(Retriever::of(&edition, &keys));
        let properties = FileDecryptionProperties::with_key_retriever(retriever)
            .with_aad_prefix(edition.aad_prefix())
            .build()
            .map_err(internal)?;
        let options = ArrowReaderOptions::new().with_file_decryption_properties(properties);
        let metadata = ArrowReaderMetadata::load(&file, options)
            .map_err(|error| VaultError::damaged(&data, error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            edition,
            manifest,
            keys,
            file,
            metadata,
        })
    }

    /// Where it is: `VAULT/TABLE`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.edition.version
    }

    /// How many rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.manifest.rows
    }

    /// The columns that the key opens, with their types, in the table's order.
    #[must_use]
    pub fn columns(&self) -> Vec<(String, ColumnType)> {
        let known = |at: &usize| self.manifest.columns.get(*at);
        let columns = self.keys.columns.keys().filter_map(known);
        columns
            .map(|column| (column.name.clone(), column.kind()))
            .collect()
    }

    /// The table's Merkle root, hexadecimal.
    #[must_use]
    pub fn merkle_root(&self) -> &str {
        &self.manifest.root
    }

    /// When it was sealed, as the sealer's clock said.
    #[must_use]
    pub fn sealed(&self) -> &str {
        &self.manifest.sealed
    }

    /// The Arrow schema of a scan.
    ///
    /// # Errors
    /// [`VaultError::Refused`] for a column that is not there or not granted.
    pub fn schema(&self, scan: &Scan) -> Result<SchemaRef, VaultError> {
        let whole = self.metadata.schema();
        let fields = self.positions(scan)?.into_iter();
        let fields: Vec<_> = fields
            .filter_map(|at| whole.fields().get(at).cloned())
            .collect();
        Ok(Arc::new(Schema::new(fields)))
    }

    /// How many row groups a scan reads, of how many.
    ///
    /// # Errors
    /// As [`SealedTable::schema`].
    pub fn row_groups(&self, scan: &Scan) -> Result<(usize, usize), VaultError> {
        Ok((
            self.groups(scan)?.len(),
            self.metadata.metadata().num_row_groups(),
        ))
    }

    /// Reads batch by batch.
    ///
    /// # Errors
    /// As [`SealedTable::schema`]; an item is an error when the file was changed.
    pub fn batches(
        &self,
        scan: &Scan,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, VaultError>> + use<>, VaultError> {
        let positions = self.positions(scan)?;
        let file = self.metadata.metadata().file_metadata();
        let mask = ProjectionMask::leaves(file.schema_descr(), positions.iter().copied());
        let rows = if scan.batch_rows == 0 {
            8192
        } else {
            scan.batch_rows
        };
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.file.clone(),
            self.metadata.clone(),
        )
        .with_projection(mask)
        .with_row_groups(self.groups(scan)?)
        .with_batch_size(rows)
        .build()
        .map_err(|error| VaultError::damaged(&self.path, error.to_string()))?;
        // The reader keeps the file's order: put the asked one in its place.
        let mut sorted = positions.clone();
        sorted.sort_unstable();
        let order: Vec<usize> = positions
            .iter()
            .filter_map(|at| sorted.binary_search(at).ok())
            .collect();
        let path = self.path.clone();
        Ok(reader.map(move |batch| {
            batch
                .and_then(|batch| batch.project(&order))
                .map_err(|error| VaultError::damaged(&path, error.to_string()))
        }))
    }

    /// The rows of a scan as a table; its name is the path, so that a ledger knows it again.
    ///
    /// # Errors
    /// As [`SealedTable::batches`]; [`VaultError::Table`] when there is more text than one table holds.
    pub fn read(&self, scan: &Scan) -> Result<Table, VaultError> {
        let scan = Scan {
            batch_rows: 1 << 16,
            ..scan.clone()
        };
        let batches: Vec<RecordBatch> = self.batches(&scan)?.collect::<Result<_, _>>()?;
        let whole = arrow_select::concat::concat_batches(&self.schema(&scan)?, &batches)
            .map_err(internal)?;
        Ok(Table::from_batch(&self.path.display().to_string(), whole)?)
    }

    /// Computes the Merkle roots of the columns that the key opens from their cells (rule VA-13), and says whether they are the manifest's.
    ///
    /// # Errors
    /// As [`SealedTable::read`].
    pub fn check_roots(&self) -> Result<bool, VaultError> {
        let table = self.read(&Scan::default())?;
        for (at, key) in &self.keys.columns {
            let Some(column) = self.manifest.columns.get(*at) else {
                return Ok(false);
            };
            if column_root(&table, &column.name, key)?.to_string() != column.root {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn positions(&self, scan: &Scan) -> Result<Vec<usize>, VaultError> {
        match &scan.columns {
            None => Ok(self.keys.columns.keys().copied().collect()),
            Some(names) => names.iter().map(|name| self.position(name)).collect(),
        }
    }

    fn position(&self, name: &str) -> Result<usize, VaultError> {
        let at = self.manifest.position(name);
        let granted = at.filter(|at| self.keys.columns.contains_key(at));
        granted.ok_or_else(|| {
            VaultError::Refused(format!(
                "{}: the key at hand opens no column {name:?} of this table",
                self.path.display()
            ))
        })
    }

    fn groups(&self, scan: &Scan) -> Result<Vec<usize>, VaultError> {
        let mut wanted = Vec::with_capacity(scan.between.len());
        for between in &scan.between {
            wanted.push((self.position(&between.column)?, between));
        }
        let groups = self.metadata.metadata().row_groups().iter().enumerate();
        let may =
            |group: &RowGroupMetaData| wanted.iter().all(|(at, wish)| overlaps(group, *at, wish));
        Ok(groups
            .filter(|(_, group)| may(group))
            .map(|(number, _)| number)
            .collect())
    }
}

/// Whether a row group may have a row within the bounds; without statistics it may.
fn overlaps(group: &RowGroupMetaData, at: usize, wish: &Between) -> bool {
    match group
        .columns()
        .get(at)
        .and_then(|column| column.statistics())
    {
        Some(Statistics::Double(found)) => match (found.min_opt(), found.max_opt()) {
            (Some(least), Some(largest)) => *least <= wish.high && *largest >= wish.low,
            _ => true,
        },
        _ => true,
    }
}

fn place_of(path: &Path) -> Result<(PathBuf, String), VaultError> {
    table_place(path).ok_or_else(|| {
        VaultError::Use(format!(
            "{}: this is no table of a vault; name it as VAULT/TABLE",
            path.display()
        ))
    })
}

/// Gives the Parquet reader the data keys of the columns whose keys are here.
struct Retriever(Vec<(String, Seed)>);

impl Retriever {
    fn of(edition: &Edition, keys: &Keys) -> Self {
        let columns = keys.columns.iter().map(|(at, key)| (at + 1, key));
        let all = std::iter::once((0, &keys.footer)).chain(columns);
        Self(
            all.map(|(at, key)| (edition.key_name(at), copy(key)))
                .collect(),
        )
    }
}

impl KeyRetriever for Retriever {
    fn retrieve_key(&self, about: &[u8]) -> Result<Vec<u8>, ParquetError> {
        let lacking = || ParquetError::General("the key is not here".to_owned());
        let material = Material::read(about).ok_or_else(lacking)?;
        let named = |(name, _): &&(String, Seed)| *name == material.master_key_id;
        let (_, master) = self.0.iter().find(named).ok_or_else(lacking)?;
        let key: Zeroizing<Vec<u8>> = material.unwrap(master.as_bytes()).ok_or_else(lacking)?;
        Ok(key.to_vec())
    }
}
