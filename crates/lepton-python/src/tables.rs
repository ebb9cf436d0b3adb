//! Tables of Python objects, handed over as Arrow IPC files or, where nothing outlives the call, as they are.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, RecordBatchReader, StringArray};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, Schema, SchemaRef};
use lepton_node::error::NodeError;
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::errors::{away, raised};
use crate::ffi;

/// A column as Python has it.
#[derive(FromPyObject)]
pub(crate) enum Column<'py> {
    /// Numbers; NaN is a missing cell.
    Numbers(PyReadonlyArray1<'py, f64>),
    /// Texts; None is a missing cell.
    Texts(Vec<Option<String>>),
}

/// A table as Python has it.
#[derive(FromPyObject)]
pub(crate) enum Source<'py> {
    /// Columns of equal length.
    Columns(Vec<(String, Column<'py>)>),
    /// An `__arrow_c_stream__` capsule.
    Stream(Bound<'py, PyCapsule>),
    /// A file, or a table in a vault.
    File(PathBuf),
}

/// A table that Python has let go of.
pub(crate) enum Taken {
    /// In memory.
    Batches(SchemaRef, Vec<RecordBatch>),
    /// A file, or a table in a vault.
    File(PathBuf),
}

impl Source<'_> {
    /// Takes everything that is not in a file into memory.
    pub(crate) fn taken(self, py: Python<'_>) -> PyResult<Taken> {
        match self {
            Self::File(path) => Ok(Taken::File(path)),
            Self::Columns(columns) => {
                let batch = batch(columns).map_err(|error| raised(py, &error))?;
                Ok(Taken::Batches(batch.schema(), vec![batch]))
            }
            Self::Stream(capsule) => {
                let reader = ffi::stream(&capsule)?.map_err(|error| raised(py, &error))?;
                away(py, move || {
                    let schema = reader.schema();
                    let batches = reader.collect::<Result<_, _>>();
                    Ok(Taken::Batches(
                        schema,
                        batches.map_err(|error| broken(&error))?,
                    ))
                })
            }
        }
    }
}

/// Writes columns of equal length to a new file that only its owner reads.
#[pyfunction]
pub(crate) fn write_columns(
    py: Python<'_>,
    path: PathBuf,
    columns: Vec<(String, Column<'_>)>,
) -> PyResult<()> {
    let batch = batch(columns).map_err(|error| raised(py, &error))?;
    away(py, move || {
        write(&path, &batch.schema(), [Ok(batch.clone())])
    })
}

/// Writes what an `__arrow_c_stream__` capsule streams.
#[pyfunction]
pub(crate) fn write_stream(
    py: Python<'_>,
    path: PathBuf,
    capsule: &Bound<'_, PyCapsule>,
) -> PyResult<()> {
    let reader = ffi::stream(capsule)?.map_err(|error| raised(py, &error))?;
    // The stream may call back into Python, which takes the interpreter by itself; other threads go on meanwhile.
    away(py, move || {
        let schema = reader.schema();
        write(&path, &schema, reader)
    })
}

fn batch(columns: Vec<(String, Column<'_>)>) -> Result<RecordBatch, NodeError> {
    let arrays = columns
        .into_iter()
        .map(|(name, column)| (name, array(column), true));
    RecordBatch::try_from_iter_with_nullable(arrays)
        .map_err(|error| NodeError::Data(error.to_string()))
}

fn broken(error: &ArrowError) -> NodeError {
    NodeError::Data(format!("the table cannot be handed over: {error}"))
}

fn array(column: Column<'_>) -> ArrayRef {
    match column {
        Column::Numbers(values) => {
            let values = values.as_array();
            let cells = values
                .iter()
                .map(|value| (!value.is_nan()).then_some(*value));
            Arc::new(cells.collect::<Float64Array>())
        }
        Column::Texts(values) => Arc::new(StringArray::from(values)),
    }
}

fn write(
    path: &Path,
    schema: &Schema,
    batches: impl IntoIterator<Item = Result<RecordBatch, ArrowError>>,
) -> Result<(), NodeError> {
    let broken = |error: ArrowError| broken(&error);
    let file = private(path).map_err(|error| NodeError::file(path, &error))?;
    let mut writer = FileWriter::try_new_buffered(file, schema).map_err(broken)?;
    for batch in batches {
        writer.write(&batch.map_err(broken)?).map_err(broken)?;
    }
    writer.finish().map_err(broken)
}

fn private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
