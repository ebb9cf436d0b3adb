//! Raw columns as they come from a table.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::error::{LearnError, expect_len};

/// One named column; `None` is a missing value. NaN and infinite numbers count as missing.
#[derive(Debug, Clone, PartialEq)]
pub enum RawColumn {
    /// Numbers.
    Numeric {
        /// Column name.
        name: String,
        /// One entry a row.
        values: Vec<Option<f64>>,
    },
    /// Categories.
    Category {
        /// Column name.
        name: String,
        /// One entry a row.
        values: Vec<Option<String>>,
    },
}

impl RawColumn {
    /// The column's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Numeric { name, .. } | Self::Category { name, .. } => name,
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Numeric { values, .. } => values.len(),
            Self::Category { values, .. } => values.len(),
        }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The given rows in the given order; rows beyond the end are skipped.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::Numeric { name, values } => Self::Numeric {
                name: name.clone(),
                values: rows
                    .iter()
                    .filter_map(|&row| values.get(row).copied())
                    .collect(),
            },
            Self::Category { name, values } => Self::Category {
                name: name.clone(),
                values: rows
                    .iter()
                    .filter_map(|&row| values.get(row).cloned())
                    .collect(),
            },
        }
    }

    /// The number in `row`, if present and finite.
    pub(crate) fn number(&self, row: usize) -> Option<f64> {
        match self {
            Self::Numeric { values, .. } => {
                values.get(row).copied().flatten().filter(|v| v.is_finite())
            }
            Self::Category { .. } => None,
        }
    }

    /// The category in `row`; a number is written in its shortest form (`1`, `0.5`).
    #[must_use]
    pub fn category(&self, row: usize) -> Option<Cow<'_, str>> {
        match self {
            Self::Category { values, .. } => values.get(row)?.as_deref().map(Cow::Borrowed),
            // Adding zero makes -0 print as 0.
            Self::Numeric { .. } => self.number(row).map(|v| Cow::Owned(format!("{}", v + 0.0))),
        }
    }
}

/// The first row of each group of identical rows, increasing. Numbers are compared by value, all missing values alike.
///
/// # Errors
/// [`LearnError::Shape`] when columns differ in length.
pub fn distinct_rows(columns: &[RawColumn]) -> Result<Vec<usize>, LearnError> {
    let rows = columns.first().map_or(0, RawColumn::len);
    for column in columns {
        expect_len("rows of a column", rows, column.len())?;
    }
    let mut seen = HashSet::with_capacity(rows);
    Ok((0..rows)
        .filter(|&row| seen.insert(row_key(columns, row)))
        .collect())
}

/// An injective encoding of a row: every entry carries its kind and length. Equal rows have equal keys, whatever rows surround them.
#[must_use]
pub fn row_key(columns: &[RawColumn], row: usize) -> Vec<u8> {
    let mut key = Vec::with_capacity(columns.len() * 9);
    for column in columns {
        match column {
            RawColumn::Numeric { .. } => match column.number(row) {
                Some(v) => {
                    key.push(1);
                    key.extend_from_slice(&(v + 0.0).to_bits().to_le_bytes());
                }
                None => key.push(0),
            },
            RawColumn::Category { values, .. } => {
                match values.get(row).and_then(Option::as_deref) {
                    Some(text) => {
                        key.push(2);
                        key.extend_from_slice(&(text.len() as u64).to_le_bytes());
                        key.extend_from_slice(text.as_bytes());
                    }
                    None => key.push(0),
                }
            }
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_are_found_across_column_kinds() {
        let columns = [
            RawColumn::Numeric {
                name: "a".into(),
                values: vec![Some(0.0), Some(-0.0), None, Some(f64::NAN), Some(1.0)],
            },
            RawColumn::Category {
                name: "b".into(),
                values: ["x", "x", "x", "x", "x"].map(|v| Some(v.to_owned())).into(),
            },
        ];
        assert_eq!(distinct_rows(&columns).unwrap(), [0, 2, 4]);
    }
}
