//! Which rows a table holds, as keyed fingerprints that stay on the owner's machine (LG-08).

use std::path::Path;

use lepton_crypto::Zeroizing;
use lepton_table::{ColumnType, ReadOptions, Table};

use crate::error::NodeError;

/// The text of every cell of a table, however its columns are typed.
#[derive(Clone)]
pub struct Cells {
    name: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Key of a ledger's fingerprints.
pub(super) type Key = Zeroizing<[u8; 32]>;

impl Cells {
    /// Reads a table.
    ///
    /// # Errors
    /// [`NodeError::Table`] naming file and line.
    pub fn read(path: &Path) -> Result<Self, NodeError> {
        Self::of(&Table::from_path(path, &ReadOptions::default())?)
    }

    /// Reads a table that may lie in a vault, as its key file opens it.
    ///
    /// # Errors
    /// [`NodeError`] as for a job's table.
    pub fn read_with(path: &Path, vault_key: Option<&Path>) -> Result<Self, NodeError> {
        let options = ReadOptions::default();
        Self::of(&crate::tables::sealed::read(path, &options, vault_key)?)
    }

    /// The cells of a table that was read already; its name is the path it was read from.
    ///
    /// # Errors
    /// [`NodeError::Table`] never in practice.
    pub fn of(table: &Table) -> Result<Self, NodeError> {
        let columns = table.columns();
        let mut rows = vec![Vec::with_capacity(columns.len()); table.rows()];
        for (name, kind) in &columns {
            // A column that is a number in one table and a category in the next gives equal cells.
            let cells: Vec<String> = match kind {
                ColumnType::Number => table.numeric(name)?.iter().map(number).collect(),
                ColumnType::Category => {
                    let texts = table.category(name)?.iter();
                    texts.map(|cell| text(cell.unwrap_or_default())).collect()
                }
            };
            rows.iter_mut()
                .zip(cells)
                .for_each(|(row, cell)| row.push(cell));
        }
        Ok(Self {
            // One name for one file, however it was reached.
            name: std::fs::canonicalize(table.name()).map_or_else(
                |_| table.name().to_owned(),
                |path| path.display().to_string(),
            ),
            header: columns.into_iter().map(|(name, _)| name).collect(),
            rows,
        })
    }

    /// Where it came from.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Columns in their order.
    #[must_use]
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// These rows alone, counted from 0.
    pub(super) fn select(&self, rows: &[usize]) -> Self {
        let kept = rows.iter().filter_map(|row| self.rows.get(*row).cloned());
        Self {
            name: self.name.clone(),
            header: self.header.clone(),
            rows: kept.collect(),
        }
    }

    /// Fingerprints of its distinct rows, ascending.
    pub(super) fn whole(&self, key: &Key) -> Vec<u64> {
        distinct(self.rows.iter().map(|row| of_row(key, row, None)))
    }

    /// Of its distinct rows, each without the cell in `column`.
    pub(super) fn without(&self, key: &Key, column: &str) -> Vec<u64> {
        let place = self.place(column);
        distinct(self.rows.iter().map(|row| of_row(key, row, place)))
    }

    /// Of the distinct values of `column`; none when there is no such column.
    pub(super) fn ids(&self, key: &Key, column: &str) -> Vec<u64> {
        let place = self.place(column);
        let cells = self.rows.iter().filter_map(|row| row.get(place?));
        distinct(cells.map(|cell| print(key, "id", &[cell.as_bytes()])))
    }

    fn place(&self, column: &str) -> Option<usize> {
        self.header.iter().position(|name| name == column)
    }
}

fn distinct(prints: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut prints: Vec<u64> = prints.collect();
    prints.sort_unstable();
    prints.dedup();
    prints
}

/// The order and the names of columns do not matter: a table whose columns were moved or renamed has the same rows.
fn of_row(key: &Key, row: &[String], left_out: Option<usize>) -> u64 {
    let kept = row
        .iter()
        .enumerate()
        .filter(|(place, _)| Some(*place) != left_out);
    let mut cells: Vec<&[u8]> = kept.map(|(_, cell)| cell.as_bytes()).collect();
    cells.sort_unstable();
    print(key, "row", &cells)
}

fn print(key: &Key, kind: &str, cells: &[&[u8]]) -> u64 {
    let parts: Vec<&[u8]> = [key.as_slice(), kind.as_bytes()]
        .into_iter()
        .chain(cells.iter().copied())
        .collect();
    let digest = lepton_crypto::hash("lepton row fingerprint", &parts);
    let first = digest.as_bytes().iter().take(8);
    first.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn number(cell: Option<f64>) -> String {
    cell.map_or_else(String::new, |number| format!("{:?}", number + 0.0))
}

/// `1.0`, `01` and ` 1 ` are one cell.
fn text(cell: &str) -> String {
    let cell = cell.trim();
    match cell.parse::<f64>() {
        Ok(value) if value.is_finite() => number(Some(value)),
        _ => cell.to_owned(),
    }
}

/// As stored: eight bytes each, big endian, ascending.
pub(super) fn to_bytes(prints: &[u64]) -> Vec<u8> {
    prints
        .iter()
        .flat_map(|print| print.to_be_bytes())
        .collect()
}

/// Back from the store; bytes beyond the last whole fingerprint show in the stored digest.
pub(super) fn from_bytes(bytes: &[u8]) -> Vec<u64> {
    let chunks = bytes.as_chunks::<8>().0;
    chunks
        .iter()
        .map(|chunk| u64::from_be_bytes(*chunk))
        .collect()
}

/// How many fingerprints two ascending lists share.
pub(super) fn shared(a: &[u64], b: &[u64]) -> usize {
    let (few, many) = if a.len() < b.len() { (a, b) } else { (b, a) };
    few.iter()
        .filter(|print| many.binary_search(print).is_ok())
        .count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Whatever types a job gives the columns, the rows have the same fingerprints.
    #[test]
    fn types_do_not_matter() {
        let csv = b"a,b,c\n 01,x,1e3\n-0,,0.5\n2.50,NA,7\n";
        let read = |types: &[(&str, ColumnType)]| {
            let types: BTreeMap<_, _> = types
                .iter()
                .map(|(name, kind)| ((*name).to_owned(), *kind))
                .collect();
            let table = Table::from_csv_bytes("t.csv", csv, &ReadOptions::with_types(types));
            Cells::of(&table.unwrap()).unwrap()
        };
        let all = |kind| read(&[("a", kind), ("c", kind)]);
        let (numbers, words) = (all(ColumnType::Number), all(ColumnType::Category));
        assert_eq!(numbers.rows, words.rows);
        assert_eq!(numbers.rows[0], ["1.0", "x", "1000.0"]);
        assert_eq!(numbers.rows[1][..2], ["0.0", ""]);
    }
}
