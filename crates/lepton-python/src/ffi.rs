//! The one place with `unsafe`: taking an Arrow C stream out of its capsule.
#![expect(
    unsafe_code,
    reason = "the Arrow PyCapsule interface hands over a pointer"
)]

use std::ffi::CStr;

use arrow_array::ffi_stream::{ArrowArrayStreamReader, FFI_ArrowArrayStream};
use lepton_node::error::NodeError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods};

const NAME: &CStr = c"arrow_array_stream";

/// The stream of a capsule as `__arrow_c_stream__` returns it (Arrow PyCapsule interface). The capsule is empty afterwards.
pub(crate) fn stream(
    capsule: &Bound<'_, PyCapsule>,
) -> PyResult<Result<ArrowArrayStreamReader, NodeError>> {
    let pointer = capsule.pointer_checked(Some(NAME))?;
    // SAFETY: a capsule of this name holds a valid `ArrowArrayStream` (PyCapsule interface, "Lifetime semantics"). `from_raw` moves it out and leaves a
    // released one behind, which the capsule's destructor passes over; the interpreter is held, so that nobody else takes it at the same time.
    let reader = unsafe {
        ArrowArrayStreamReader::from_raw(pointer.cast::<FFI_ArrowArrayStream>().as_ptr())
    };
    Ok(reader.map_err(|error| NodeError::Data(format!("the Arrow stream is broken: {error}"))))
}
