//! Rings, fixed-point encoding and keyed mask generators.
//!
//! Everything that is summed under masks lives in `Z_{2^bits}` ([`Modulus`], [`RingVec`]); real numbers enter and leave it through [`FixedPoint`];
//! masks come from a [`MaskStream`] (AES-256 in counter mode).

mod error;
mod fixed;
mod mask;
mod modulus;
mod vector;

pub use error::RingError;
pub use fixed::FixedPoint;
pub use mask::MaskStream;
pub use modulus::Modulus;
pub use vector::RingVec;
