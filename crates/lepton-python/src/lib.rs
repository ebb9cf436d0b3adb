//! The native half of the Python package `lepton_ai`: bindings, no logic. What a function means is said where people see it, in `python/lepton_ai`;
//! here stands what crosses the border and how.

mod accounting;
mod command;
mod envelopes;
mod errors;
mod ffi;
mod mechanisms;
mod model;
mod run;
mod shared;
mod tables;
mod trainer;

use pyo3::prelude::*;

/// The module `lepton_ai._native`.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::accounting::{account, zcdp_delta, zcdp_epsilon};
    #[pymodule_export]
    use super::command::{call, main, masked_sum};
    #[pymodule_export]
    use super::envelopes::{generate_key, open, public_key, seal};
    #[pymodule_export]
    use super::mechanisms::{
        discrete_gaussian, discrete_laplace, gaussian, laplace, randomised_response,
        response_shares,
    };
    #[pymodule_export]
    use super::model::{inputs, predict, prepare};
    #[pymodule_export]
    use super::run::run;
    #[pymodule_export]
    use super::shared::{shared_inner_product, shared_sum};
    #[pymodule_export]
    use super::tables::{write_columns, write_stream};
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        lepton::quiet_table_panics();
        lepton::set_python(super::trainer::named);
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
