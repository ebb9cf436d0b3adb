//! Tables under each other.

use std::collections::BTreeSet;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray, new_null_array};

use crate::error::listed;
use crate::{Table, TableError};

impl Table {
    /// The tables' rows one after another, with the first one's order of columns. A column that is missing throughout a table fits either type.
    /// The result's rows have no line numbers.
    ///
    /// # Errors
    /// `SchemaMismatch` naming the two tables, `TooLarge`. No tables make an empty table without columns.
    pub fn concat(name: &str, tables: &[Self]) -> Result<Self, TableError> {
        let Some(first) = tables.first() else {
            return Self::from_parts(name.to_owned(), Vec::new(), 0, Vec::new());
        };
        let rows = tables.iter().map(Self::rows).sum();
        for pair in tables.iter().skip(1) {
            first.check_same_columns(pair)?;
        }
        let mut columns = Vec::new();
        for column in first.column_names() {
            columns.push((column.clone(), stacked(name, &column, tables)?));
        }
        Self::from_parts(name.to_owned(), columns, rows, Vec::new())
    }

    /// Checks that `other` has this table's columns, in any order, with the same types; a column without values fits either type.
    ///
    /// # Errors
    /// `SchemaMismatch`, saying all that differs.
    pub fn check_same_columns(&self, other: &Self) -> Result<(), TableError> {
        let mine: BTreeSet<String> = self.column_names().into_iter().collect();
        let theirs: BTreeSet<String> = other.column_names().into_iter().collect();
        let mut differences = Vec::new();
        let quoted = |names: Vec<&String>| {
            listed(
                &names
                    .into_iter()
                    .map(|name| format!("{name:?}"))
                    .collect::<Vec<_>>(),
                5,
            )
        };
        let (lacks, extra): (Vec<_>, Vec<_>) = (
            mine.difference(&theirs).collect(),
            theirs.difference(&mine).collect(),
        );
        if !lacks.is_empty() {
            differences.push(format!("it lacks {}", quoted(lacks)));
        }
        if !extra.is_empty() {
            differences.push(format!("it also has {}", quoted(extra)));
        }
        for column in mine.intersection(&theirs) {
            let (here, there) = (self.column_type(column)?, other.column_type(column)?);
            if here != there && !self.is_blank(column)? && !other.is_blank(column)? {
                differences.push(format!("{column:?} is a {there} in it and a {here} there"));
            }
        }
        if differences.is_empty() {
            return Ok(());
        }
        let (first, second) = (self.name().to_owned(), other.name().to_owned());
        Err(TableError::SchemaMismatch {
            first,
            second,
            difference: listed(&differences, 5),
        })
    }

    fn is_blank(&self, column: &str) -> Result<bool, TableError> {
        let array = self.array(column)?;
        Ok(array.null_count() == array.len())
    }
}

/// One column of all tables. Blank ones take the type of those with values.
fn stacked(name: &str, column: &str, tables: &[Table]) -> Result<ArrayRef, TableError> {
    let arrays: Result<Vec<&ArrayRef>, TableError> =
        tables.iter().map(|table| table.array(column)).collect();
    let arrays = arrays?;
    let spoken = arrays
        .iter()
        .find(|array| array.null_count() < array.len())
        .or(arrays.first());
    let data_type = spoken.expect("there is a first table").data_type().clone();
    let bytes: usize = arrays
        .iter()
        .filter_map(|array| array.as_string_opt::<i32>())
        .map(text_bytes)
        .sum();
    let too_large = || TableError::TooLarge {
        table: name.to_owned(),
        bytes,
    };
    if i32::try_from(bytes).is_err() {
        return Err(too_large());
    }
    let fitting: Vec<ArrayRef> = arrays
        .into_iter()
        .map(|array| {
            if array.data_type() == &data_type {
                array.clone()
            } else {
                new_null_array(&data_type, array.len())
            }
        })
        .collect();
    let views: Vec<&dyn Array> = fitting.iter().map(AsRef::as_ref).collect();
    arrow_select::concat::concat(&views).map_err(|_| too_large())
}

fn text_bytes(array: &StringArray) -> usize {
    array.iter().flatten().map(str::len).sum()
}
