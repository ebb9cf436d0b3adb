//! Parquet in.

use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;

use crate::batches::check_types;
use crate::file::{check_cells, contained};
use crate::{Format, ReadOptions, Table, TableError};

/// Reads a whole file.
pub(crate) fn read(name: &str, bytes: Vec<u8>, options: &ReadOptions) -> Result<Table, TableError> {
    if bytes.is_empty() {
        return Err(TableError::Empty {
            table: name.to_owned(),
        });
    }
    if bytes.starts_with(b"PARE") {
        return Err(TableError::Encrypted {
            table: name.to_owned(),
        });
    }
    contained(name, Format::Parquet, || decode(name, bytes, options))
}

fn decode(name: &str, bytes: Vec<u8>, options: &ReadOptions) -> Result<Table, TableError> {
    let refused = |error: ParquetError| refused(name, &error.to_string());
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(
        Bytes::from(bytes),
        ArrowReaderOptions::new(),
    );
    let builder = builder.map_err(refused)?;
    let schema = builder.schema().clone();
    check_types(name, &schema, options)?;
    let rows = builder.metadata().file_metadata().num_rows();
    let rows = usize::try_from(rows).unwrap_or(usize::MAX);
    check_cells(name, (schema.fields().len(), rows), options.most_cells)?;
    let reader = builder.build().map_err(refused)?;
    let batches =
        reader.map(|batch| batch.map_err(|error| self::refused(name, &error.to_string())));
    Table::from_batches(name, &schema, batches, options)
}

/// A library's error; it names parts of the format, not of the data.
fn refused(name: &str, problem: &str) -> TableError {
    let table = name.to_owned();
    let about = |words: &[&str]| words.iter().any(|word| problem.contains(word));
    if about(&["Disabled feature", "feature enabled", "compression"]) {
        let remedy = "with Snappy, Zstandard or none";
        return TableError::Compressed { table, remedy };
    }
    if about(&["ecrypt"]) {
        return TableError::Encrypted { table };
    }
    TableError::Malformed {
        table,
        format: Format::Parquet,
        problem: problem.chars().take(200).collect(),
    }
}
