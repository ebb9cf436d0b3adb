//! Tables of vaults, read where they lie (rules VA-08 and VA-09), beside tables in plain files.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use lepton_table::{ColumnType, ReadOptions, Table, TableError};
use lepton_vault::{KeyFile, Scan, SealedTable, VaultError, table_place};

use crate::config::TableConfig;
use crate::error::NodeError;

impl TableConfig {
    /// The table as its key opens it, if it is in a vault.
    pub(crate) fn sealed(&self) -> Result<Option<SealedTable>, NodeError> {
        opened(&self.path, self.key.as_deref())
    }
}

/// Reads the table at `path`: a file, or `VAULT/TABLE` with the key file. Of the latter come the columns that the key opens.
pub(crate) fn read(
    path: &Path,
    options: &ReadOptions,
    key: Option<&Path>,
) -> Result<Table, NodeError> {
    match opened(path, key)? {
        None => Ok(Table::from_path(path, options)?),
        Some(sealed) => typed(sealed.read(&Scan::default())?, options),
    }
}

fn opened(path: &Path, key: Option<&Path>) -> Result<Option<SealedTable>, NodeError> {
    if table_place(path).is_none() {
        return Ok(None);
    }
    let key = key.ok_or_else(|| {
        NodeError::Use(format!(
            "{}: this table is in a vault; say which key file opens it (--vault-key, or key_file beside the path in party.toml)",
            path.display()
        ))
    })?;
    let opened = SealedTable::open_with(path, &KeyFile::open(key)?);
    Ok(Some(opened?))
}

/// The types that a job declares in place of those the table was sealed with.
fn typed(table: Table, options: &ReadOptions) -> Result<Table, NodeError> {
    let columns = table.columns();
    let other = |(name, kind): &(String, ColumnType)| {
        let declared = options.types.get(name);
        declared.is_some_and(|declared| declared != kind)
    };
    if !columns.iter().any(other) {
        return Ok(table);
    }
    let mut arrays: Vec<(String, ArrayRef, bool)> = Vec::new();
    for (name, kind) in columns {
        let declared = options.types.get(&name).copied().unwrap_or(kind);
        let array: ArrayRef = match (kind, declared) {
            (ColumnType::Number, ColumnType::Category) => {
                Arc::new(StringArray::from(table.texts(&name)?))
            }
            (ColumnType::Category, ColumnType::Number) => Arc::new(numbers(&table, &name)?),
            (ColumnType::Number, ColumnType::Number) => Arc::new(table.numeric(&name)?.clone()),
            (ColumnType::Category, ColumnType::Category) => {
                Arc::new(table.category(&name)?.clone())
            }
        };
        arrays.push((name, array, true));
    }
    let batch = RecordBatch::try_from_iter_with_nullable(arrays)
        .map_err(|error| NodeError::Internal(error.to_string()))?;
    Ok(Table::from_batch(table.name(), batch)?)
}

/// A column of texts as numbers; the line in an error is the row's number.
fn numbers(table: &Table, name: &str) -> Result<Float64Array, TableError> {
    let mut cells = Vec::with_capacity(table.rows());
    for (row, cell) in table.category(name)?.iter().enumerate() {
        let number = match cell.map(|text| text.trim().parse::<f64>()) {
            None => None,
            Some(Ok(number)) => Some(number),
            Some(Err(_)) => {
                return Err(TableError::NotANumber {
                    table: table.name().to_owned(),
                    line: row as u64 + 1,
                    column: name.to_owned(),
                    value: cell.unwrap_or_default().to_owned(),
                    declared: true,
                    numbers: 0,
                    values: 0,
                });
            }
        };
        cells.push(number);
    }
    Ok(Float64Array::from(cells))
}

impl From<VaultError> for NodeError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Use(words) => Self::Use(words),
            VaultError::Refused(words) => Self::Refused(words),
            VaultError::Table(error) => Self::Table(error),
            VaultError::Internal(words) => Self::Internal(words),
            VaultError::Io { place, source } => Self::file(Path::new(&place), &source),
            other => Self::Data(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn sealed(text: &str) -> Table {
        Table::from_csv_bytes("t", text.as_bytes(), &ReadOptions::default()).unwrap()
    }

    #[test]
    fn declared_types_are_taken() {
        let types = BTreeMap::from([
            ("a".to_owned(), ColumnType::Category),
            ("b".to_owned(), ColumnType::Number),
        ]);
        let options = ReadOptions::with_types(types);
        let read = typed(sealed("a,b\n1,x\n2.5,\n"), &options);
        assert!(matches!(
            read,
            Err(NodeError::Table(TableError::NotANumber { line: 1, .. }))
        ));
        let text =
            ReadOptions::with_types(BTreeMap::from([("b".to_owned(), ColumnType::Category)]));
        let table = Table::from_csv_bytes("t", b"a,b\n1,7\n2.5,\n", &text).unwrap();
        let read = typed(table, &options).unwrap();
        let texts: Vec<_> = read.category("a").unwrap().iter().collect();
        assert_eq!(texts, [Some("1"), Some("2.5")]);
        let numbers: Vec<_> = read.numeric("b").unwrap().iter().collect();
        assert_eq!(numbers, [Some(7.0), None]);
    }
}
