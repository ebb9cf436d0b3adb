//! The table itself: an Arrow batch with a name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{
    Array, ArrayRef, Float64Array, RecordBatch, RecordBatchOptions, StringArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema};

use crate::error::{nearest, shown};
use crate::write::number_text;
use crate::{ColumnType, TableError};

/// Rows under named columns of numbers or categories.
///
/// Cheap to clone (columns are shared). `Debug` shows the shape only: the values are the data owner's.
#[derive(Clone, PartialEq)]
pub struct Table {
    name: String,
    batch: RecordBatch,
    /// The line of each row in the file; empty when the table did not come from one file.
    lines: Vec<u64>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("name", &self.name)
            .field("rows", &self.rows())
            .field("columns", &self.column_names())
            .finish_non_exhaustive()
    }
}

impl Table {
    /// A table over an Arrow batch. Infinite or undefined numbers are refused, as they are from CSV.
    ///
    /// # Errors
    /// `UnsupportedType` for columns other than `Float64` and `Utf8`, `DuplicateHeader` and `EmptyHeader` for names (line 0),
    /// `NotFinite` (the line is the row's number, from 1).
    pub fn from_batch(name: &str, batch: RecordBatch) -> Result<Self, TableError> {
        let table = || name.to_owned();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let schema = batch.schema_ref();
        for (index, (field, array)) in schema.fields().iter().zip(batch.columns()).enumerate() {
            if field.name().is_empty() {
                return Err(TableError::EmptyHeader {
                    table: table(),
                    line: 0,
                    position: index + 1,
                });
            }
            if let Some(first) = seen.insert(field.name(), index) {
                let positions = vec![first + 1, index + 1];
                return Err(TableError::DuplicateHeader {
                    table: table(),
                    line: 0,
                    column: field.name().clone(),
                    positions,
                });
            }
            if type_of(field.data_type()).is_none() {
                let found = field.data_type().to_string();
                return Err(TableError::UnsupportedType {
                    table: table(),
                    column: field.name().clone(),
                    found,
                });
            }
            let bad = array.as_primitive_opt::<Float64Type>().and_then(|numbers| {
                numbers.iter().enumerate().find_map(|(row, cell)| {
                    cell.filter(|value| !value.is_finite())
                        .map(|value| (row, value))
                })
            });
            if let Some((row, value)) = bad {
                let (column, line) = (field.name().clone(), row as u64 + 1);
                return Err(TableError::NotFinite {
                    table: table(),
                    line,
                    column,
                    value: value.to_string(),
                });
            }
        }
        Ok(Self {
            name: table(),
            batch,
            lines: Vec::new(),
        })
    }

    /// The columns as read, all of `rows` length and with distinct names.
    pub(crate) fn from_parts(
        name: String,
        columns: Vec<(String, ArrayRef)>,
        rows: usize,
        lines: Vec<u64>,
    ) -> Result<Self, TableError> {
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, array)| Field::new(name, array.data_type().clone(), true))
            .collect();
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch =
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
                .expect("every column was built with one value per row and its own type");
        Ok(Self { name, batch, lines })
    }

    /// The path as given, or the name it was made under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same rows under another name (a party's, say).
    #[must_use]
    pub fn with_name(self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self
        }
    }

    /// The columns as an Arrow batch: `Float64` and `Utf8`, nullable.
    #[must_use]
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// How many rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// The line of the file that a row starts on, counted from 1, when the table came from one file.
    #[must_use]
    pub fn line_of(&self, row: usize) -> Option<u64> {
        self.lines.get(row).copied()
    }

    /// The names in the file's order.
    #[must_use]
    pub fn column_names(&self) -> Vec<String> {
        self.batch
            .schema_ref()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect()
    }

    /// The names and types in the file's order.
    #[must_use]
    pub fn columns(&self) -> Vec<(String, ColumnType)> {
        let fields = self.batch.schema_ref().fields().iter();
        fields
            .filter_map(|field| Some((field.name().clone(), type_of(field.data_type())?)))
            .collect()
    }

    /// A column's type.
    ///
    /// # Errors
    /// `UnknownColumn`.
    pub fn column_type(&self, column: &str) -> Result<ColumnType, TableError> {
        Ok(type_of(self.array(column)?.data_type()).expect("a table holds only the two types"))
    }

    /// A column of numbers; every value present is finite.
    ///
    /// # Errors
    /// `UnknownColumn`, `WrongType`.
    pub fn numeric(&self, column: &str) -> Result<&Float64Array, TableError> {
        let wrong = || self.wrong_type(column, ColumnType::Category, ColumnType::Number);
        self.array(column)?
            .as_primitive_opt::<Float64Type>()
            .ok_or_else(wrong)
    }

    /// A column of categories.
    ///
    /// # Errors
    /// `UnknownColumn`, `WrongType`.
    pub fn category(&self, column: &str) -> Result<&StringArray, TableError> {
        let wrong = || self.wrong_type(column, ColumnType::Number, ColumnType::Category);
        self.array(column)?.as_string_opt::<i32>().ok_or_else(wrong)
    }

    /// A column's values as text, whatever its type (`3`, not `3.0`; `0` for both zeros); `None` where missing.
    ///
    /// # Errors
    /// `UnknownColumn`.
    pub fn texts(&self, column: &str) -> Result<Vec<Option<String>>, TableError> {
        Ok(match self.column_type(column)? {
            ColumnType::Number => self
                .numeric(column)?
                .iter()
                .map(|cell| cell.map(|value| number_text(value + 0.0)))
                .collect(),
            ColumnType::Category => self
                .category(column)?
                .iter()
                .map(|cell| cell.map(str::to_owned))
                .collect(),
        })
    }

    /// A column's distinct values with how many rows have each; missing ones are not counted. Numbers in numeric order, categories in
    /// byte order (so `"10"` comes before `"2"`).
    ///
    /// # Errors
    /// `UnknownColumn`.
    pub fn distinct_values(&self, column: &str) -> Result<Vec<(String, usize)>, TableError> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for value in self.texts(column)?.into_iter().flatten() {
            *counts.entry(value).or_default() += 1;
        }
        let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
        if self.column_type(column)? == ColumnType::Number {
            let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
            counts.sort_by(|(a, _), (b, _)| number(a).total_cmp(&number(b)));
        }
        Ok(counts)
    }

    /// Checks that a job can use these columns: each exists and, where there are rows, has at least one value.
    ///
    /// # Errors
    /// `UnknownColumn`, `AllMissing`.
    pub fn check_usable<S: AsRef<str>>(&self, columns: &[S]) -> Result<(), TableError> {
        for column in columns.iter().map(AsRef::as_ref) {
            let array = self.array(column)?;
            if !array.is_empty() && array.null_count() == array.len() {
                return Err(TableError::AllMissing {
                    table: self.name.clone(),
                    column: column.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Checks that a label tells at least two classes apart. One party of several may well hold a single class: ask of the whole.
    ///
    /// # Errors
    /// `UnknownColumn`, `AllMissing`, `SingleClass`.
    pub fn check_classes(&self, label: &str) -> Result<(), TableError> {
        self.check_usable(&[label])?;
        match self.distinct_values(label)?.as_slice() {
            [(value, _)] => Err(TableError::SingleClass {
                table: self.name.clone(),
                column: label.to_owned(),
                value: shown(value),
            }),
            _ => Ok(()),
        }
    }

    /// The rows with these numbers (from 0), in this order; a number may come twice.
    ///
    /// # Errors
    /// `RowOutOfRange`, `TooLarge`.
    pub fn select_rows(&self, rows: &[usize]) -> Result<Self, TableError> {
        if let Some(row) = rows.iter().find(|row| **row >= self.rows()) {
            return Err(TableError::RowOutOfRange {
                table: self.name.clone(),
                row: *row,
                rows: self.rows(),
            });
        }
        let lines = rows.iter().filter_map(|row| self.line_of(*row)).collect();
        if self.batch.num_columns() == 0 {
            return Self::from_parts(self.name.clone(), Vec::new(), rows.len(), lines);
        }
        let indices = UInt64Array::from_iter_values(rows.iter().map(|row| *row as u64));
        let batch = arrow_select::take::take_record_batch(&self.batch, &indices)
            .map_err(|_| self.too_large(rows.len()))?;
        Ok(Self {
            name: self.name.clone(),
            batch,
            lines,
        })
    }

    /// These columns only, in this order.
    ///
    /// # Errors
    /// `UnknownColumn`.
    pub fn project<S: AsRef<str>>(&self, columns: &[S]) -> Result<Self, TableError> {
        let picked: Result<Vec<_>, _> = columns
            .iter()
            .map(|column| {
                Ok((
                    column.as_ref().to_owned(),
                    self.array(column.as_ref())?.clone(),
                ))
            })
            .collect();
        Self::from_parts(self.name.clone(), picked?, self.rows(), self.lines.clone())
    }

    /// All columns but these.
    ///
    /// # Errors
    /// `UnknownColumn`.
    pub fn drop_columns<S: AsRef<str>>(&self, columns: &[S]) -> Result<Self, TableError> {
        for column in columns {
            self.array(column.as_ref())?;
        }
        let dropped = |name: &String| columns.iter().any(|column| column.as_ref() == name);
        let kept: Vec<String> = self
            .column_names()
            .into_iter()
            .filter(|name| !dropped(name))
            .collect();
        self.project(&kept)
    }

    pub(crate) fn array(&self, column: &str) -> Result<&ArrayRef, TableError> {
        self.batch.column_by_name(column).ok_or_else(|| {
            let columns = self.column_names();
            let nearest = nearest(column, &columns);
            TableError::UnknownColumn {
                table: self.name.clone(),
                column: column.to_owned(),
                nearest,
                columns,
            }
        })
    }

    fn wrong_type(&self, column: &str, found: ColumnType, needed: ColumnType) -> TableError {
        TableError::WrongType {
            table: self.name.clone(),
            column: column.to_owned(),
            found,
            needed,
        }
    }

    fn too_large(&self, rows: usize) -> TableError {
        let bytes = self.batch.get_array_memory_size() / self.rows().max(1) * rows;
        TableError::TooLarge {
            table: self.name.clone(),
            bytes,
        }
    }
}

/// `Float64` and `Utf8` are all a table holds.
pub(crate) fn type_of(data_type: &DataType) -> Option<ColumnType> {
    match data_type {
        DataType::Float64 => Some(ColumnType::Number),
        DataType::Utf8 => Some(ColumnType::Category),
        _ => None,
    }
}
