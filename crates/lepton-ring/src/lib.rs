//! Rings, fixed-point encoding and keyed mask generators.
//!
//! Everything that is summed under masks lives in `Z_{2^bits}` ([`Modulus`], [`RingVec`]); real numbers enter and leave it through [`FixedPoint`]
//! or are rounded as whole vectors ([`Rounding`]); [`sum_bound`] and [`noised_sum_bound`] say how wide the ring must be; masks come from a
//! [`MaskStream`] (AES-128 in counter mode), many at once through [`apply_masks`].

pub mod encoding;
mod error;
mod fixed;
mod keystream;
mod mask;
mod modulus;
mod packing;
mod vector;

pub use encoding::{Rounding, Segment, conditional_norm_bound, noised_sum_bound, sum_bound};
pub use error::RingError;
pub use fixed::FixedPoint;
pub use mask::{Mask, MaskStream, Sign, apply_masks};
pub use modulus::Modulus;
pub use vector::RingVec;
