//! From what went wrong in Rust to the exceptions of `lepton_ai.errors`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lepton_crypto::envelope::EnvelopeError;
use lepton_dp::DpError;
use lepton_node::error::NodeError;
use lepton_protocol::plan::PlanError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Carries out `work` with the interpreter free for other threads. A panic becomes an exception like any other.
pub(crate) fn away<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, NodeError> + Send,
) -> PyResult<T> {
    let done = py.detach(|| catch_unwind(AssertUnwindSafe(work)));
    done.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
        .map_err(|error| raised(py, &error))
}

/// What a caught panic says.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> NodeError {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    NodeError::Internal(text.unwrap_or_else(|| "a panic".to_owned()))
}

/// The exception for an error.
pub(crate) fn raised(py: Python<'_>, error: &NodeError) -> PyErr {
    exception(py, name_of(error), &error.to_string())
}

/// A parameter that a mechanism or an accountant refuses.
pub(crate) fn wrong_number(py: Python<'_>, error: &DpError) -> PyErr {
    exception(py, "UsageError", &error.to_string())
}

/// A key or an envelope that is refused.
pub(crate) fn wrong_envelope(error: EnvelopeError) -> NodeError {
    NodeError::Envelope(error)
}

/// An exception of this name in `lepton_ai.errors`.
pub(crate) fn exception(py: Python<'_>, name: &str, text: &str) -> PyErr {
    let made = py
        .import("lepton_ai.errors")
        .and_then(|module| module.getattr(name))
        .and_then(|class| class.call1(PyTuple::new(py, [text])?));
    made.map_or_else(|missing| missing, PyErr::from_value)
}

fn name_of(error: &NodeError) -> &'static str {
    match error {
        NodeError::Job(_) => "JobError",
        NodeError::Ledger(_) if error.is_refusal() => "BudgetError",
        _ if error.is_refusal() => "RefusedError",
        NodeError::Plan(PlanError::Job { .. }) => "JobError",
        _ if error.is_wrong_use() => "UsageError",
        NodeError::Envelope(_) => "EnvelopeError",
        NodeError::File { .. } | NodeError::Store(_) | NodeError::Ledger(_) => "StorageError",
        NodeError::Data(_)
        | NodeError::Table(_)
        | NodeError::Split(_)
        | NodeError::Plan(_)
        | NodeError::Learn(_)
        | NodeError::Work(_) => "DataError",
        NodeError::Internal(_) => "InternalError",
        _ => "LeptonError",
    }
}
