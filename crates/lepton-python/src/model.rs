//! Predictions, and rows as models take them.

use std::path::PathBuf;

use lepton_node::model_file::ModelFile;
use lepton_node::predict::{Answer, Predicted, Rows, predict_with, prepare as prepared_rows};
use numpy::{PyArray1, PyArray2, PyArrayMethods, ToPyArray};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::away;
use crate::tables::{Source, Taken};

/// What the model in `folder` says of the rows of `table`: a dict of `classes`, `index` (-1 where a row has none) or `values` (NaN), `probabilities` (row after
/// row), `metrics` (JSON or None) and `unknown_labels`.
#[pyfunction]
#[pyo3(signature = (folder, table, vault_key=None))]
pub(crate) fn predict<'py>(
    py: Python<'py>,
    folder: PathBuf,
    table: PathBuf,
    vault_key: Option<PathBuf>,
) -> PyResult<Bound<'py, PyDict>> {
    let found = away(py, move || {
        predict_with(&ModelFile::load(&folder)?, &table, vault_key.as_deref())
    })?;
    let metrics = found.metrics.as_ref().map(serde_json::to_string);
    let metrics = metrics
        .transpose()
        .map_err(|error| crate::errors::exception(py, "InternalError", &error.to_string()))?;
    let dict = PyDict::new(py);
    dict.set_item("classes", &found.classes)?;
    dict.set_item("metrics", metrics)?;
    dict.set_item("unknown_labels", found.unknown_labels)?;
    if found.classes.is_empty() {
        dict.set_item("values", values(py, &found))?;
    } else {
        let (index, shares) = classes(&found);
        dict.set_item("index", index.to_pyarray(py))?;
        dict.set_item("probabilities", shares.to_pyarray(py))?;
    }
    Ok(dict)
}

/// The rows of a table as the model in `folder` takes them: (rows, inputs), NaN in rows that are left out.
#[pyfunction]
#[pyo3(signature = (folder, table, vault_key=None))]
pub(crate) fn prepare<'py>(
    py: Python<'py>,
    folder: PathBuf,
    table: Source<'py>,
    vault_key: Option<PathBuf>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let table = table.taken(py)?;
    let found = away(py, move || {
        let rows = match table {
            Taken::Batches(schema, batches) => Rows::Batches(schema, batches),
            Taken::File(ref path) => Rows::Table(path, vault_key.as_deref()),
        };
        prepared_rows(&ModelFile::load(&folder)?, rows)
    })?;
    let rows = found.data.len() / found.width.max(1);
    PyArray1::from_vec(py, found.data).reshape([rows, found.width])
}

/// Names of the inputs of the model in `folder`, in order.
#[pyfunction]
pub(crate) fn inputs(py: Python<'_>, folder: PathBuf) -> PyResult<Vec<String>> {
    away(py, move || {
        Ok(ModelFile::load(&folder)?.header.preparation.feature_names())
    })
}

fn values<'py>(py: Python<'py>, found: &Predicted) -> Bound<'py, PyArray1<f64>> {
    let value = |row: &Option<Answer>| match row {
        Some(Answer::Value(value)) => *value,
        _ => f64::NAN,
    };
    let values: Vec<f64> = found.rows.iter().map(value).collect();
    values.to_pyarray(py)
}

fn classes(found: &Predicted) -> (Vec<i64>, Vec<f64>) {
    let (mut index, mut all) = (Vec::new(), Vec::new());
    for row in &found.rows {
        match row {
            Some(Answer::Class(class, shares)) => {
                index.push(i64::try_from(*class).unwrap_or(-1));
                all.extend(shares);
            }
            _ => {
                index.push(-1);
                all.extend(found.classes.iter().map(|_| f64::NAN));
            }
        }
    }
    (index, all)
}
