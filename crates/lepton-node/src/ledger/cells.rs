//! Which rows a table holds, as keyed fingerprints that stay on the owner's machine (LG-08).

use std::path::Path;

use lepton_crypto::Zeroizing;
use lepton_table::{ColumnType, ReadOptions, Table};

use crate::error::NodeError;

/// The text of every cell of a table, however its columns would be typed.
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
        let columns = Table::from_csv_path(path, &ReadOptions::default())?.columns();
        // As text: a column that is a number in one table and a category in the next still gives equal cells.
        let texts = columns
            .iter()
            .map(|(name, _)| (name.clone(), ColumnType::Category));
        let table = Table::from_csv_path(path, &ReadOptions::with_types(texts.collect()))?;
        let mut rows = vec![Vec::with_capacity(columns.len()); table.rows()];
        for (name, _) in &columns {
            for (row, cell) in rows.iter_mut().zip(table.category(name)?.iter()) {
                row.push(canonical(cell.unwrap_or_default()));
            }
        }
        Ok(Self {
            // One name for one file, however it was reached.
            name: std::fs::canonicalize(path)
                .unwrap_or_else(|_| path.to_owned())
                .display()
                .to_string(),
            header: columns.into_iter().map(|(name, _)| name).collect(),
            rows,
        })
    }

    /// Where it came from.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fingerprints of its distinct rows, or of the distinct values of the column `id`, ascending; `None` when it has no such column.
    pub(super) fn fingerprints(&self, key: &Key, id: Option<&str>) -> Option<Vec<u64>> {
        let mut prints: Vec<u64> = match id {
            None => self.rows.iter().map(|row| of_row(key, row)).collect(),
            Some(id) => {
                let column = self.header.iter().position(|name| name == id)?;
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells
                    .map(|cell| print(key, "id", &[cell.as_bytes()]))
                    .collect()
            }
        };
        prints.sort_unstable();
        prints.dedup();
        Some(prints)
    }

    /// Columns, for a message.
    pub(super) fn header(&self) -> &[String] {
        &self.header
    }
}

/// The order and the names of columns do not matter: a table whose columns were moved or renamed has the same rows.
fn of_row(key: &Key, row: &[String]) -> u64 {
    let mut cells: Vec<&[u8]> = row.iter().map(String::as_bytes).collect();
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

/// `1.0`, `01` and ` 1 ` are one cell.
fn canonical(cell: &str) -> String {
    let cell = cell.trim();
    match cell.parse::<f64>() {
        Ok(number) if number.is_finite() => format!("{:?}", number + 0.0),
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
