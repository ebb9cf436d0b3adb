//! Computations on additive shares, all parties in this process.

use lepton_mpc::local::{self, Computed, LocalError};
use lepton_node::error::NodeError;
use lepton_node::random::Entropy;
use lepton_ring::FixedPoint;
use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

use crate::errors::away;

/// The sum of the rows, each a party's.
#[pyfunction]
pub(crate) fn shared_sum(
    py: Python<'_>,
    rows: PyReadonlyArray2<'_, f64>,
    bits: u8,
) -> PyResult<Vec<f64>> {
    let rows = rows.as_array();
    let parties: Vec<Vec<f64>> = rows.rows().into_iter().map(|row| row.to_vec()).collect();
    away(py, || {
        let mut rng = Entropy::System.generator("python shares", 0)?;
        let computed = local::sum(&parties, FixedPoint::new(bits), &mut rng);
        computed.map(values).map_err(failed)
    })
}

/// The inner product of two vectors, the first one party's and the second another's, among `parties` parties.
#[pyfunction]
pub(crate) fn shared_inner_product(
    py: Python<'_>,
    x: PyReadonlyArray1<'_, f64>,
    y: PyReadonlyArray1<'_, f64>,
    parties: u16,
    bits: u8,
) -> PyResult<Vec<f64>> {
    let (x, y) = (x.as_array().to_vec(), y.as_array().to_vec());
    away(py, || {
        let mut rng = Entropy::System.generator("python shares", 0)?;
        let computed = local::inner_product(&x, &y, parties, FixedPoint::new(bits), &mut rng);
        computed.map(values).map_err(failed)
    })
}

fn values(computed: Computed) -> Vec<f64> {
    computed.values
}

fn failed(error: LocalError) -> NodeError {
    match error {
        LocalError::Fault(lepton_mpc::Fault::Message(..)) => {
            NodeError::Internal(format!("a computation among local parties: {error}"))
        }
        other => NodeError::Data(other.to_string()),
    }
}
