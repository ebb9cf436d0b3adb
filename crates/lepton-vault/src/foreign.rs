//! Encrypted Parquet files of other tools, to be imported (rule VA-15).

use std::collections::BTreeMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lepton_crypto::Zeroizing;
use lepton_table::{Table, TableError};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::encryption::decrypt::{FileDecryptionProperties, KeyRetriever};
use parquet::errors::ParquetError;

use crate::disk::only_owner_reads;
use crate::error::VaultError;
use crate::pkmt::Material;

/// Largest whole number that a `Float64` column holds exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Keys of 16, 24 or 32 bytes by name: master keys by the `masterKeyID` of `PKMT1` key metadata, or data keys by the plain text of the metadata.
#[derive(Default)]
pub struct ForeignKeys(BTreeMap<String, Zeroizing<Vec<u8>>>);

impl ForeignKeys {
    /// Reads a JSON object of names with keys in base64, from a file that only its owner may read.
    ///
    /// # Errors
    /// [`VaultError::Use`] when it is something else; [`VaultError::Io`].
    pub fn from_file(path: &Path) -> Result<Self, VaultError> {
        only_owner_reads(path)?;
        let text = Zeroizing::new(std::fs::read(path).map_err(VaultError::io(path))?);
        Self::from_json(&text).ok_or_else(|| {
            VaultError::Use(format!(
                "{}: this is no JSON object of key names with keys of 16, 24 or 32 bytes in base64",
                path.display()
            ))
        })
    }

    fn from_json(text: &[u8]) -> Option<Self> {
        let named: BTreeMap<String, Zeroizing<String>> =
            serde_json::from_slice::<BTreeMap<String, String>>(text)
                .ok()?
                .into_iter()
                .map(|(name, key)| (name, Zeroizing::new(key)))
                .collect();
        let decode = |(name, key): (String, Zeroizing<String>)| {
            let key = Zeroizing::new(STANDARD.decode(key.as_bytes()).ok()?);
            [16, 24, 32].contains(&key.len()).then_some((name, key))
        };
        named
            .into_iter()
            .map(decode)
            .collect::<Option<_>>()
            .map(Self)
    }
}

struct Retriever(ForeignKeys);

impl KeyRetriever for Retriever {
    fn retrieve_key(&self, about: &[u8]) -> Result<Vec<u8>, ParquetError> {
        let lacking = || ParquetError::General("a key is not there".to_owned());
        let keys = &self.0.0;
        let key = match Material::read(about) {
            Some(material) => keys
                .get(&material.master_key_id)
                .and_then(|master| material.unwrap(master)),
            None => std::str::from_utf8(about)
                .ok()
                .and_then(|name| keys.get(name).cloned()),
        };
        Ok(key.ok_or_else(lacking)?.to_vec())
    }
}

/// Reads an encrypted Parquet file of numbers and texts whole, with the keys its owner gives.
///
/// # Errors
/// [`VaultError::Use`] when the keys do not open it or it is damaged, [`VaultError::Table`] for a column of another type or a number that would be rounded.
pub fn read_foreign(path: &Path, keys: ForeignKeys) -> Result<Table, VaultError> {
    let file = File::open(path).map_err(VaultError::io(path))?;
    let bad = |problem: &dyn std::fmt::Display| {
        VaultError::Use(format!(
            "{}: cannot be read as encrypted Parquet with these keys ({problem}); check the keys, or get the file again",
            path.display()
        ))
    };
    let properties = FileDecryptionProperties::with_key_retriever(Arc::new(Retriever(keys)))
        .build()
        .map_err(|error| bad(&error))?;
    let read = || -> Result<(Arc<Schema>, Vec<RecordBatch>), String> {
        let options = ArrowReaderOptions::new().with_file_decryption_properties(properties);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
            .map_err(|error| error.to_string())?;
        let schema = builder.schema().clone();
        let reader = builder.build().map_err(|error| error.to_string())?;
        let batches = reader.collect::<Result<_, _>>();
        Ok((schema, batches.map_err(|error| error.to_string())?))
    };
    // The lengths in a damaged file are not authenticated, and the reader below panics on some of them.
    let (schema, batches) = catch_unwind(AssertUnwindSafe(read))
        .map_err(|_| bad(&"it is damaged"))?
        .map_err(|error| bad(&error))?;
    let whole =
        arrow_select::concat::concat_batches(&schema, &batches).map_err(|error| bad(&error))?;
    plain(&path.display().to_string(), &whole)
}

/// The columns as numbers and texts.
fn plain(name: &str, batch: &RecordBatch) -> Result<Table, VaultError> {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let plain = column(array).ok_or_else(|| TableError::UnsupportedType {
            table: name.to_owned(),
            column: field.name().clone(),
            found: field.data_type().to_string(),
        })?;
        fields.push(Field::new(field.name(), plain.data_type().clone(), true));
        arrays.push(plain);
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(crate::catalog::internal)?;
    Ok(Table::from_batch(name, batch)?)
}

fn column(array: &ArrayRef) -> Option<ArrayRef> {
    Some(match array.data_type() {
        DataType::Float64 | DataType::Utf8 => Arc::clone(array),
        DataType::Float32 => numbers::<Float32Type>(array, |value| Some(value.into()))?,
        DataType::Int8 => numbers::<Int8Type>(array, |value| Some(value.into()))?,
        DataType::Int16 => numbers::<Int16Type>(array, |value| Some(value.into()))?,
        DataType::Int32 => numbers::<Int32Type>(array, |value| Some(value.into()))?,
        DataType::UInt8 => numbers::<UInt8Type>(array, |value| Some(value.into()))?,
        DataType::UInt16 => numbers::<UInt16Type>(array, |value| Some(value.into()))?,
        DataType::UInt32 => numbers::<UInt32Type>(array, |value| Some(value.into()))?,
        DataType::Int64 => numbers::<Int64Type>(array, |value| exact(value as f64))?,
        DataType::UInt64 => numbers::<UInt64Type>(array, |value| exact(value as f64))?,
        DataType::LargeUtf8 => Arc::new(StringArray::from_iter(array.as_string::<i64>())),
        DataType::Utf8View => Arc::new(StringArray::from_iter(array.as_string_view())),
        DataType::Boolean => {
            let word = |value: bool| if value { "true" } else { "false" };
            let words = array.as_boolean().iter().map(|cell| cell.map(word));
            Arc::new(StringArray::from_iter(words))
        }
        _ => return None,
    })
}

fn exact(value: f64) -> Option<f64> {
    (value.abs() <= EXACT).then_some(value)
}

/// `None` when a value would be rounded.
fn numbers<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    convert: impl Fn(T::Native) -> Option<f64>,
) -> Option<ArrayRef> {
    let cells = array.as_primitive::<T>().iter();
    let cells = cells.map(|cell| match cell {
        None => Some(None),
        Some(value) => convert(value).map(Some),
    });
    let cells: Option<Vec<Option<f64>>> = cells.collect();
    Some(Arc::new(Float64Array::from(cells?)))
}
