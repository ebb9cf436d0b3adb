//! Mechanisms on arrays; randomness from the operating system.

use chacha20::ChaCha20Rng;
use lepton_dp::mechanism::{
    Cost, DiscreteGaussianMechanism, DiscreteLaplaceMechanism, GaussianMechanism, Grid,
    LaplaceMechanism, RandomisedResponse,
};
use lepton_dp::{DpError, Epsilon, NoiseMultiplier};
use lepton_node::error::NodeError;
use lepton_node::random::Entropy;
use numpy::{PyArray1, PyReadonlyArray1, ToPyArray};
use pyo3::prelude::*;

use crate::errors::away;

type Integers<'py> = (Bound<'py, PyArray1<i64>>, f64);
type Reals<'py> = (Bound<'py, PyArray1<f64>>, f64);

/// The integers with discrete Laplace noise, and the pure epsilon paid.
#[pyfunction]
pub(crate) fn discrete_laplace<'py>(
    py: Python<'py>,
    values: PyReadonlyArray1<'py, i64>,
    l1_sensitivity: u64,
    epsilon: f64,
) -> PyResult<Integers<'py>> {
    let mut values = values.as_array().to_vec();
    let (values, paid) = away(py, move || {
        let mechanism =
            DiscreteLaplaceMechanism::new(l1_sensitivity, positive(epsilon)?).map_err(refused)?;
        mechanism.release_all(&mut values, &mut rng()?);
        Ok((values, mechanism.cost().pure_epsilon()))
    })?;
    Ok((values.to_pyarray(py), paid.unwrap_or(epsilon)))
}

/// The integers with discrete Gaussian noise, and sigma over the sensitivity as it was drawn.
#[pyfunction]
pub(crate) fn discrete_gaussian<'py>(
    py: Python<'py>,
    values: PyReadonlyArray1<'py, i64>,
    l2_sensitivity: f64,
    noise_multiplier: f64,
) -> PyResult<Integers<'py>> {
    let mut values = values.as_array().to_vec();
    let (values, cost) = away(py, move || {
        let multiplier = NoiseMultiplier::new(noise_multiplier).map_err(refused)?;
        let mechanism =
            DiscreteGaussianMechanism::new(l2_sensitivity, multiplier).map_err(refused)?;
        mechanism.release_all(&mut values, &mut rng()?);
        Ok((values, drawn(mechanism.cost())))
    })?;
    Ok((values.to_pyarray(py), cost))
}

/// The numbers on a grid of `2^-bits` with Laplace noise, and the pure epsilon paid.
#[pyfunction]
pub(crate) fn laplace<'py>(
    py: Python<'py>,
    values: PyReadonlyArray1<'py, f64>,
    l1_sensitivity: f64,
    epsilon: f64,
    bits: u8,
) -> PyResult<Reals<'py>> {
    let values = values.as_array().to_vec();
    let (released, paid) = away(py, move || {
        let grid = Grid::new(bits).map_err(refused)?;
        let mechanism =
            LaplaceMechanism::new(grid, l1_sensitivity, dims(&values)?, positive(epsilon)?)
                .map_err(refused)?;
        let released = mechanism.release(&values, &mut rng()?).map_err(refused)?;
        Ok((released, mechanism.cost().pure_epsilon()))
    })?;
    Ok((released.to_pyarray(py), paid.unwrap_or(epsilon)))
}

/// The numbers on a grid of `2^-bits` with Gaussian noise, and sigma over the sensitivity as it was drawn.
#[pyfunction]
pub(crate) fn gaussian<'py>(
    py: Python<'py>,
    values: PyReadonlyArray1<'py, f64>,
    l2_sensitivity: f64,
    noise_multiplier: f64,
    bits: u8,
) -> PyResult<Reals<'py>> {
    let values = values.as_array().to_vec();
    let (released, cost) = away(py, move || {
        let grid = Grid::new(bits).map_err(refused)?;
        let multiplier = NoiseMultiplier::new(noise_multiplier).map_err(refused)?;
        let mechanism = GaussianMechanism::new(grid, l2_sensitivity, dims(&values)?, multiplier)
            .map_err(refused)?;
        let released = mechanism.release(&values, &mut rng()?).map_err(refused)?;
        Ok((released, drawn(mechanism.cost())))
    })?;
    Ok((released.to_pyarray(py), cost))
}

/// Each answer, randomised; and the epsilon paid by each.
#[pyfunction]
pub(crate) fn randomised_response<'py>(
    py: Python<'py>,
    values: PyReadonlyArray1<'py, u32>,
    categories: u32,
    epsilon: f64,
) -> PyResult<(Bound<'py, PyArray1<u32>>, f64)> {
    let values = values.as_array().to_vec();
    let (released, paid) = away(py, move || {
        let mechanism = RandomisedResponse::new(categories, positive(epsilon)?).map_err(refused)?;
        let mut rng = rng()?;
        let released = values
            .iter()
            .map(|value| mechanism.release(*value, &mut rng));
        let released = released.collect::<Result<Vec<_>, _>>().map_err(refused)?;
        Ok((released, mechanism.cost().pure_epsilon()))
    })?;
    Ok((released.to_pyarray(py), paid.unwrap_or(epsilon)))
}

/// The share of each category and its standard deviation, from how often each was answered.
#[pyfunction]
pub(crate) fn response_shares(
    py: Python<'_>,
    counts: Vec<u64>,
    epsilon: f64,
) -> PyResult<Vec<(f64, f64)>> {
    away(py, move || {
        let categories = u32::try_from(counts.len())
            .map_err(|_| NodeError::Use("too many categories".to_owned()))?;
        let mechanism = RandomisedResponse::new(categories, positive(epsilon)?).map_err(refused)?;
        let shares = mechanism.estimate(&counts).map_err(refused)?;
        Ok(shares
            .iter()
            .map(|share| (share.frequency, share.variance.sqrt()))
            .collect())
    })
}

/// Sigma over the sensitivity, as rounded for the draw.
const fn drawn(cost: Cost) -> f64 {
    match cost {
        Cost::Gaussian { noise_multiplier } => noise_multiplier,
        _ => 0.0,
    }
}

fn rng() -> Result<ChaCha20Rng, NodeError> {
    Ok(Entropy::System.generator("python mechanism", 0)?)
}

fn positive(epsilon: f64) -> Result<Epsilon, NodeError> {
    Epsilon::new(epsilon).map_err(refused)
}

fn dims(values: &[f64]) -> Result<u32, NodeError> {
    u32::try_from(values.len()).map_err(|_| NodeError::Use("too many numbers at once".to_owned()))
}

fn refused(error: DpError) -> NodeError {
    NodeError::Use(error.to_string())
}
