//! Accountants.

use lepton::account::{Ask, answer};
use lepton_dp::zcdp::Zcdp;
use lepton_dp::{Delta, DpError, Epsilon};
use pyo3::prelude::*;

use crate::errors::{away, wrong_number};

/// The document of `lepton account --json` for releases in the form of its file.
#[pyfunction]
#[pyo3(signature = (events, accountant, delta=None, epsilon=None, calibrate=false))]
pub(crate) fn account(
    py: Python<'_>,
    events: String,
    accountant: String,
    delta: Option<f64>,
    epsilon: Option<f64>,
    calibrate: bool,
) -> PyResult<String> {
    away(py, move || {
        let ask = Ask {
            accountant: &accountant,
            delta,
            epsilon,
            calibrate,
        };
        answer(&events, ask)
    })
}

/// Epsilon at `delta` of what is `rho`-zCDP.
#[pyfunction]
pub(crate) fn zcdp_epsilon(py: Python<'_>, rho: f64, delta: f64) -> PyResult<f64> {
    let found = || Ok::<_, DpError>(Zcdp::new(rho)?.epsilon(Delta::new(delta)?)?.get());
    found().map_err(|error| wrong_number(py, &error))
}

/// Delta at `epsilon` of what is `rho`-zCDP.
#[pyfunction]
pub(crate) fn zcdp_delta(py: Python<'_>, rho: f64, epsilon: f64) -> PyResult<f64> {
    let found = || Ok::<_, DpError>(Zcdp::new(rho)?.delta(Epsilon::new(epsilon)?)?.get());
    found().map_err(|error| wrong_number(py, &error))
}
