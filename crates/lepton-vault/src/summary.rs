//! What a table is like, for its owner's eyes only (rule VA-16).

use lepton_table::{ColumnType, Table, TableError};
use serde::Serialize;

/// Categories that are shown of a column.
const SHOWN: usize = 8;

/// One column. It is made of raw cells: it stays on the owner's terminal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnSummary {
    /// Its name.
    pub name: String,
    /// `number` or `category`.
    pub kind: String,
    /// Cells without a value.
    pub missing: usize,
    /// Different values.
    pub distinct: usize,
    /// Least number.
    pub least: Option<f64>,
    /// Largest number.
    pub largest: Option<f64>,
    /// Mean of the numbers.
    pub mean: Option<f64>,
    /// The most frequent categories with how many rows have each.
    pub most: Vec<(String, usize)>,
}

/// Describes every column.
///
/// # Errors
/// [`TableError`] never in practice.
pub fn describe(table: &Table) -> Result<Vec<ColumnSummary>, TableError> {
    let columns = table.columns().into_iter();
    columns
        .map(|(name, kind)| match kind {
            ColumnType::Number => number(table, name),
            ColumnType::Category => category(table, name),
        })
        .collect()
}

fn number(table: &Table, name: String) -> Result<ColumnSummary, TableError> {
    let mut values: Vec<f64> = table.numeric(&name)?.iter().flatten().collect();
    values.sort_unstable_by(f64::total_cmp);
    let count = values.len();
    // Of each its part: a sum of large numbers would not be finite.
    let mean = values.iter().map(|value| value / count as f64).sum();
    let (least, largest) = (values.first().copied(), values.last().copied());
    values.dedup();
    Ok(ColumnSummary {
        kind: ColumnType::Number.word().to_owned(),
        missing: table.rows() - count,
        distinct: values.len(),
        least,
        largest,
        mean: (count > 0).then_some(mean),
        most: Vec::new(),
        name,
    })
}

fn category(table: &Table, name: String) -> Result<ColumnSummary, TableError> {
    let mut values = table.distinct_values(&name)?;
    let present: usize = values.iter().map(|(_, count)| count).sum();
    let distinct = values.len();
    values.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
    values.truncate(SHOWN);
    Ok(ColumnSummary {
        kind: ColumnType::Category.word().to_owned(),
        missing: table.rows() - present,
        distinct,
        least: None,
        largest: None,
        mean: None,
        most: values,
        name,
    })
}
