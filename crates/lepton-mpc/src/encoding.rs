//! How inputs become integers (MP-03, MP-04).

use lepton_ring::{FixedPoint, RingError};

use crate::CircuitError;
use crate::range::{LIMIT, Range};

/// Fraction bits and public bound of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    fixed: FixedPoint,
    bound: u64,
    rounds: bool,
}

impl Encoding {
    /// Integers of magnitude up to `bound`. Refuses a bound beyond `2^62 - 1`.
    pub const fn integers(bound: u64) -> Result<Self, CircuitError> {
        Self::new(FixedPoint::new(0), bound, false)
    }

    /// Reals, rounded to `fixed`, whose encoded magnitude is at most `bound` steps of `2^-fraction_bits`. Refuses a bound beyond `2^62 - 1` and
    /// more than 61 fraction bits.
    pub const fn reals(fixed: FixedPoint, bound: u64) -> Result<Self, CircuitError> {
        Self::new(fixed, bound, true)
    }

    const fn new(fixed: FixedPoint, bound: u64, rounds: bool) -> Result<Self, CircuitError> {
        if bound > LIMIT || fixed.fraction_bits() > Range::MOST_FRACTION_BITS {
            return Err(CircuitError::Encoding);
        }
        Ok(Self {
            fixed,
            bound,
            rounds,
        })
    }

    /// The fixed-point format.
    #[must_use]
    pub const fn fixed(&self) -> FixedPoint {
        self.fixed
    }

    /// The largest magnitude of an encoded value.
    #[must_use]
    pub const fn bound(&self) -> u64 {
        self.bound
    }

    /// The nearest encoded values. Refuses what is not finite or does not fit 64 bits; the bound is held when the values are shared.
    pub fn encode(&self, values: &[f64]) -> Result<Vec<i64>, RingError> {
        values.iter().map(|v| self.fixed.encode(*v)).collect()
    }

    pub(crate) const fn range(&self) -> Range {
        Range {
            fraction_bits: self.fixed.fraction_bits(),
            bound: self.bound,
            error: if self.rounds { 1 } else { 0 },
        }
    }

    pub(crate) fn bytes(&self) -> [u8; 10] {
        let mut out = [
            self.fixed.fraction_bits(),
            u8::from(self.rounds),
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        if let Some(bound) = out.last_chunk_mut::<8>() {
            *bound = self.bound.to_le_bytes();
        }
        out
    }
}
