//! The `lepton` command, and the masked sum of local parties.

use std::ffi::OsString;

use lepton_node::local_sum;
use numpy::{PyArray1, PyReadonlyArray2, ToPyArray};
use pyo3::prelude::*;

use crate::errors::away;

/// The command with these words, the first one the program's name; its exit code.
#[pyfunction]
pub(crate) fn main(py: Python<'_>, words: Vec<OsString>) -> u8 {
    // `ExitCode` cannot be read back: the three that there are, and success.
    let code = py.detach(|| lepton::main_with(words));
    (0..=3)
        .find(|known| code == std::process::ExitCode::from(*known))
        .unwrap_or(1)
}

/// What the command prints with these words.
#[pyfunction]
pub(crate) fn call(py: Python<'_>, words: Vec<OsString>) -> PyResult<String> {
    away(py, || lepton::called(words))
}

/// The sum of the rows, each a party's, under masks.
#[pyfunction]
pub(crate) fn masked_sum<'py>(
    py: Python<'py>,
    rows: PyReadonlyArray2<'py, f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let parties: Vec<Vec<f64>> = rows
        .as_array()
        .rows()
        .into_iter()
        .map(|row| row.to_vec())
        .collect();
    let sum = away(py, || local_sum::masked_sum(&parties))?;
    Ok(sum.to_pyarray(py))
}
