//! What can go wrong with ring values.

use thiserror::Error;

/// A value, length or modulus that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum RingError {
    /// The number of bits lies outside 8..=64.
    #[error("a modulus of 2^{0} is not supported: choose 8 to 64 bits")]
    ModulusBits(u8),
    /// No supported modulus holds sums of this size.
    #[error(
        "sums of magnitude {0} need a modulus beyond 2^64: lower the clipping norm, the fraction bits or the number of parties"
    )]
    SumBound(u128),
    /// A signed value whose magnitude reaches half the modulus.
    #[error("value {value} at position {position} does not fit a centred {bits}-bit ring")]
    OutOfRange {
        /// Position in the vector.
        position: usize,
        /// The refused value.
        value: i64,
        /// Bits of the modulus.
        bits: u8,
    },
    /// Two vectors of different moduli.
    #[error("moduli differ: 2^{0} and 2^{1}")]
    ModulusMismatch(u8, u8),
    /// Two lengths that should be equal.
    #[error("lengths differ: {have} where {need} is needed")]
    Length {
        /// What was given.
        have: usize,
        /// What is needed.
        need: usize,
    },
    /// Bits behind the last packed word are not zero.
    #[error("the spare bits behind the last packed word are not zero")]
    SpareBits,
    /// A real number that is not finite.
    #[error("not a finite number")]
    NotFinite,
    /// A real number too large for the fixed-point range.
    #[error(
        "{0} does not fit a 64-bit fixed-point number: lower the clipping norm or the fraction bits"
    )]
    FixedPointOverflow(f64),
    /// A vector that exceeds the norm of conditional rounding even when rounded towards zero.
    #[error(
        "a vector exceeds the L2 norm {0} that its rounding must keep: clip it to the norm the bound was made for"
    )]
    NormExceeded(f64),
}
