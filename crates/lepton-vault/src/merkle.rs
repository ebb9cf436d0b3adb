//! Merkle roots of a version (rule VA-13).

use arrow_array::{Array, Float64Array, StringArray};
use lepton_crypto::merkle::MerkleTree;
use lepton_crypto::{Digest, Seed, hash};
use lepton_table::{ColumnType, Table};

use crate::error::VaultError;
use crate::manifest::Keys;

/// Rows of a leaf.
const LEAF_ROWS: usize = 64;

/// The roots of a table.
pub(crate) struct Roots {
    pub(crate) columns: Vec<Digest>,
    pub(crate) table: Digest,
}

impl Roots {
    /// Of a whole table; the keys are those of its columns.
    pub(crate) fn of(table: &Table, keys: &Keys) -> Result<Self, VaultError> {
        let described = table.columns();
        let mut columns = Vec::with_capacity(described.len());
        for ((name, _), key) in described.iter().zip(keys.columns.values()) {
            columns.push(column_root(table, name, key)?);
        }
        Ok(Self {
            table: table_root(&described, table.rows() as u64, &columns),
            columns,
        })
    }
}

/// The root of one column.
pub(crate) fn column_root(table: &Table, name: &str, key: &Seed) -> Result<Digest, VaultError> {
    let salts = key.derive("lepton vault merkle salt", b"");
    let rows = table.rows();
    let leaf = |number: usize, cells: &[u8]| {
        let salt = salts.derive("leaf", &(number as u64).to_le_bytes());
        hash("lepton vault leaf v1", &[salt.as_bytes(), cells])
    };
    let mut cells = Vec::new();
    let leaves: Vec<Digest> = match table.column_type(name)? {
        ColumnType::Number => {
            let column = table.numeric(name)?;
            let mut each = |number: usize| {
                numbers(column, number * LEAF_ROWS, &mut cells);
                leaf(number, &cells)
            };
            (0..rows.div_ceil(LEAF_ROWS)).map(&mut each).collect()
        }
        ColumnType::Category => {
            let column = table.category(name)?;
            let mut each = |number: usize| {
                texts(column, number * LEAF_ROWS, &mut cells);
                leaf(number, &cells)
            };
            (0..rows.div_ceil(LEAF_ROWS)).map(&mut each).collect()
        }
    };
    Ok(MerkleTree::new(&leaves).root())
}

/// Over names, types, number of rows and the columns' roots.
fn table_root(described: &[(String, ColumnType)], rows: u64, columns: &[Digest]) -> Digest {
    let mut parts: Vec<Vec<u8>> = vec![rows.to_le_bytes().to_vec()];
    for ((name, kind), root) in described.iter().zip(columns) {
        parts.push(name.as_bytes().to_vec());
        parts.push(kind.word().as_bytes().to_vec());
        parts.push(root.as_bytes().to_vec());
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    hash("lepton vault table v1", &parts)
}

fn numbers(column: &Float64Array, start: usize, out: &mut Vec<u8>) {
    out.clear();
    for row in start..(start + LEAF_ROWS).min(column.len()) {
        out.push(u8::from(column.is_valid(row)));
        if column.is_valid(row) {
            out.extend_from_slice(&column.value(row).to_bits().to_le_bytes());
        }
    }
}

fn texts(column: &StringArray, start: usize, out: &mut Vec<u8>) {
    out.clear();
    for row in start..(start + LEAF_ROWS).min(column.len()) {
        out.push(u8::from(column.is_valid(row)));
        if column.is_valid(row) {
            let text = column.value(row).as_bytes();
            out.extend_from_slice(&(text.len() as u64).to_le_bytes());
            out.extend_from_slice(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_table::ReadOptions;

    fn root(text: &str, key: u8) -> Digest {
        let table = Table::from_csv_bytes("t", text.as_bytes(), &ReadOptions::default()).unwrap();
        column_root(&table, "a", &Seed::from_bytes([key; 32])).unwrap()
    }

    /// The definition written out for one leaf: SHA-256 over framed parts, by the tree of the crypto crate.
    #[test]
    fn a_root_follows_the_definition() {
        let salt = Seed::from_bytes([3; 32])
            .derive("lepton vault merkle salt", b"")
            .derive("leaf", &0_u64.to_le_bytes());
        let mut cells = vec![1];
        cells.extend(1.5_f64.to_bits().to_le_bytes());
        cells.push(0);
        let leaf = hash("lepton vault leaf v1", &[salt.as_bytes(), &cells]);
        assert_eq!(root("a,b\n1.5,x\n,y\n", 3), MerkleTree::new(&[leaf]).root());
    }

    #[test]
    fn every_cell_order_and_key_counts() {
        let rows = |change: usize| -> String {
            let cell = |row: usize| format!("{}\n", if row == change { 1000 } else { row });
            std::iter::once("a\n".to_owned())
                .chain((0..200).map(cell))
                .collect()
        };
        let whole = root(&rows(999), 1);
        assert_eq!(whole, root(&rows(999), 1));
        assert_ne!(whole, root(&rows(999), 2));
        for row in [0, 63, 64, 199] {
            assert_ne!(whole, root(&rows(row), 1), "{row}");
        }
    }
}
