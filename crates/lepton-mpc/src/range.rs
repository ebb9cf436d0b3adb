//! How large a value can be, and how far from the exact one (MP-04, MP-05).

use crate::CircuitError;

/// The largest magnitude of any value (MP-04).
pub(crate) const LIMIT: u64 = (1 << 62) - 1;

/// What is known about every entry of a value before anything is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// Digits behind the binary point.
    pub(crate) fraction_bits: u8,
    /// The largest magnitude of the integer.
    pub(crate) bound: u64,
    /// The largest distance from the exact value, in half units.
    pub(crate) error: u128,
}

impl Range {
    /// More digits than a value of magnitude `2^62` can have.
    pub(crate) const MOST_FRACTION_BITS: u8 = 61;

    /// A sum or difference with `other`.
    pub(crate) fn plus(self, other: Self) -> Result<Self, CircuitError> {
        if self.fraction_bits != other.fraction_bits {
            return Err(CircuitError::FractionBits(
                self.fraction_bits,
                other.fraction_bits,
            ));
        }
        self.grown(
            u128::from(self.bound) + u128::from(other.bound),
            self.error.checked_add(other.error),
        )
    }

    /// The sum with public integers of magnitude up to `largest`, which are exact.
    pub(crate) fn plus_public(self, largest: u64) -> Result<Self, CircuitError> {
        self.grown(
            u128::from(self.bound) + u128::from(largest),
            Some(self.error),
        )
    }

    /// The product with a public integer of magnitude `factor`, or the sum of `factor` such values.
    pub(crate) fn times(self, factor: u64) -> Result<Self, CircuitError> {
        let factor = u128::from(factor);
        self.grown(
            u128::from(self.bound) * factor,
            self.error.checked_mul(factor),
        )
    }

    /// A product with `other`.
    pub(crate) fn product(self, other: Self) -> Result<Self, CircuitError> {
        let (x, y) = (u128::from(self.bound), u128::from(other.bound));
        let crossed = |bound: u128, error: u128| bound.checked_mul(error);
        let error = crossed(x, other.error)
            .zip(crossed(y, self.error))
            .and_then(|(a, b)| a.checked_add(b))
            .zip(self.error.checked_mul(other.error))
            .and_then(|(linear, square)| linear.checked_add(square.div_ceil(2)));
        Self {
            fraction_bits: self.fraction_bits.saturating_add(other.fraction_bits),
            ..self
        }
        .grown(x * y, error)
    }

    /// The result of dropping `bits` digits (MP-10).
    pub(crate) fn truncated(self, bits: u8) -> Result<Self, CircuitError> {
        let fraction_bits = self
            .fraction_bits
            .checked_sub(bits)
            .filter(|_| bits > 0)
            .ok_or(CircuitError::Truncation {
                bits,
                have: self.fraction_bits,
            })?;
        Ok(Self {
            fraction_bits,
            bound: (self.bound >> bits) + 1,
            error: self.error.div_ceil(1 << bits) + 2,
        })
    }

    fn grown(self, bound: u128, error: Option<u128>) -> Result<Self, CircuitError> {
        let overflow = CircuitError::Overflow(bound);
        let bound = u64::try_from(bound).map_err(|_| overflow.clone())?;
        if bound > LIMIT || self.fraction_bits > Self::MOST_FRACTION_BITS {
            return Err(overflow);
        }
        Ok(Self {
            bound,
            error: error.ok_or(overflow)?,
            ..self
        })
    }
}
