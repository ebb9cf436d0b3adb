//! CSV out.
#![expect(
    clippy::disallowed_methods,
    reason = "this crate is the shell's door to table files; only this module creates them"
)]

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use arrow_array::{Array, Float64Array, StringArray};

use crate::{ColumnType, Table, TableError};

/// A column to be written. Missing values become empty cells.
#[derive(Clone, Copy)]
pub enum ColumnOut<'a> {
    /// Numbers; each must be finite.
    Numbers(&'a [f64]),
    /// Text.
    Texts(&'a [String]),
    /// Numbers with missing values; each present must be finite.
    Float64(&'a Float64Array),
    /// Text with missing values.
    Utf8(&'a StringArray),
}

impl ColumnOut<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Texts(values) => values.len(),
            Self::Float64(values) => values.len(),
            Self::Utf8(values) => values.len(),
        }
    }

    /// The cell as text; `Err` for a number that is not finite.
    fn cell(&self, row: usize) -> Result<String, ()> {
        let number = |value: f64| {
            if value.is_finite() {
                Ok(number_text(value))
            } else {
                Err(())
            }
        };
        match self {
            Self::Numbers(values) => values
                .get(row)
                .map_or(Ok(String::new()), |value| number(*value)),
            Self::Texts(values) => Ok(values.get(row).cloned().unwrap_or_default()),
            Self::Float64(values) if values.is_valid(row) => number(values.value(row)),
            Self::Utf8(values) if values.is_valid(row) => Ok(values.value(row).to_owned()),
            Self::Float64(_) | Self::Utf8(_) => Ok(String::new()),
        }
    }
}

/// Writes a header and the columns side by side, quoted where RFC 4180 wants it; lines end in `\n`. Numbers read back to the same bits.
/// Everything is checked before the first byte leaves.
///
/// # Errors
/// `UnequalColumns`, `NotWritten` (a number that is not finite), `Unwritable` (path `output`).
pub fn write_csv(out: impl Write, columns: &[(&str, ColumnOut<'_>)]) -> Result<(), TableError> {
    write_all(out, columns, "output")
}

/// As [`write_csv`], to a file: whole or not at all. An existing file stays until the new one is complete and on disk.
///
/// # Errors
/// As [`write_csv`], with the path.
pub fn write_csv_path(
    path: impl AsRef<Path>,
    columns: &[(&str, ColumnOut<'_>)],
) -> Result<(), TableError> {
    let path = path.as_ref();
    let name = path.display().to_string();
    let unwritable = |source| TableError::Unwritable {
        path: name.clone(),
        source,
    };
    let partial = beside(path).map_err(unwritable)?;
    let written = std::fs::File::create(&partial)
        .map_err(unwritable)
        .and_then(|file| {
            let mut buffered = io::BufWriter::new(file);
            write_all(&mut buffered, columns, &name)?;
            let file = buffered
                .into_inner()
                .map_err(|error| unwritable(error.into_error()))?;
            file.sync_all().map_err(unwritable)
        });
    let finished = written.and_then(|()| std::fs::rename(&partial, path).map_err(unwritable));
    if finished.is_err() {
        // Best effort: the error that matters is the first one.
        let _ = std::fs::remove_file(&partial);
    }
    finished
}

impl Table {
    /// Writes the table as CSV; reading it back with the same declared types gives the same values. (A category spelt like a missing token
    /// reads back as missing.)
    ///
    /// # Errors
    /// As [`write_csv`].
    pub fn write_csv(&self, out: impl Write) -> Result<(), TableError> {
        self.with_columns(|columns| write_csv(out, columns))
    }

    /// As [`Table::write_csv`], to a file: whole or not at all.
    ///
    /// # Errors
    /// As [`write_csv_path`].
    pub fn write_csv_path(&self, path: impl AsRef<Path>) -> Result<(), TableError> {
        self.with_columns(|columns| write_csv_path(path, columns))
    }

    fn with_columns(
        &self,
        write: impl FnOnce(&[(&str, ColumnOut<'_>)]) -> Result<(), TableError>,
    ) -> Result<(), TableError> {
        let described = self.columns();
        let mut columns = Vec::with_capacity(described.len());
        for (name, column_type) in &described {
            columns.push((
                name.as_str(),
                match column_type {
                    ColumnType::Number => ColumnOut::Float64(self.numeric(name)?),
                    ColumnType::Category => ColumnOut::Utf8(self.category(name)?),
                },
            ));
        }
        write(&columns)
    }
}

/// The shortest text that reads back to the same number: plain digits for everyday sizes, an exponent for the rest.
pub(crate) fn number_text(value: f64) -> String {
    if value == 0.0 || (1e-5..1e16).contains(&value.abs()) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

fn write_all(
    out: impl Write,
    columns: &[(&str, ColumnOut<'_>)],
    name: &str,
) -> Result<(), TableError> {
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    for (column, values) in columns {
        if values.len() != rows {
            return Err(TableError::UnequalColumns {
                column: (*column).to_owned(),
                expected: rows,
                found: values.len(),
            });
        }
        if let Some(row) = (0..rows).find(|row| values.cell(*row).is_err()) {
            return Err(TableError::NotWritten {
                column: (*column).to_owned(),
                row,
            });
        }
    }
    let unwritable = |error: csv::Error| TableError::Unwritable {
        path: name.to_owned(),
        source: error.into(),
    };
    let mut writer = csv::WriterBuilder::new().from_writer(out);
    writer
        .write_record(columns.iter().map(|(column, _)| *column))
        .map_err(unwritable)?;
    for row in 0..rows {
        // Checked above: every number is finite.
        writer
            .write_record(
                columns
                    .iter()
                    .map(|(_, values)| values.cell(row).unwrap_or_default()),
            )
            .map_err(unwritable)?;
    }
    writer.flush().map_err(|error| unwritable(error.into()))
}

/// The name the file has until it is complete: in the same folder, so that the rename is one step.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut partial = std::ffi::OsString::from(".");
    partial.push(name);
    partial.push(".partial");
    Ok(path.with_file_name(partial))
}
