//! The ring `Z_{2^bits}`.

use crate::RingError;

/// The ring of integers modulo `2^bits`, `bits` in 8..=64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Modulus(u8);

impl Modulus {
    /// `2^bits`. Refuses fewer than 8 or more than 64 bits.
    pub const fn new(bits: u8) -> Result<Self, RingError> {
        if bits < 8 || bits > 64 {
            Err(RingError::ModulusBits(bits))
        } else {
            Ok(Self(bits))
        }
    }

    /// The smallest modulus `2^k > 2 * max_abs_sum` (at least `2^8`), so that decoding a sum of magnitude up to `max_abs_sum` by its centred
    /// representative is exact. Refuses bounds that need more than 64 bits.
    pub fn for_sum_bound(max_abs_sum: u128) -> Result<Self, RingError> {
        let twice = max_abs_sum
            .checked_mul(2)
            .ok_or(RingError::SumBound(max_abs_sum))?;
        let bits = (u128::BITS - twice.leading_zeros()).max(8);
        match u8::try_from(bits) {
            Ok(bits) if bits <= 64 => Ok(Self(bits)),
            _ => Err(RingError::SumBound(max_abs_sum)),
        }
    }

    /// The exponent: 8 to 64.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// `2^bits - 1`.
    #[must_use]
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.0)
    }

    /// The least residue of the signed `value`.
    pub(crate) const fn reduce(self, value: i64) -> u64 {
        value.cast_unsigned() & self.mask()
    }

    /// The representative of `word` in `-2^(bits-1) .. 2^(bits-1)`.
    pub(crate) const fn centre(self, word: u64) -> i64 {
        let shift = 64 - self.0;
        (word << shift).cast_signed() >> shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_bits() {
        assert_eq!(Modulus::new(7), Err(RingError::ModulusBits(7)));
        assert_eq!(Modulus::new(65), Err(RingError::ModulusBits(65)));
        assert_eq!(Modulus::new(64).unwrap().mask(), u64::MAX);
        assert_eq!(Modulus::new(8).unwrap().mask(), 255);
    }

    #[test]
    fn sum_bound_is_the_smallest_strict_power() {
        for (bound, bits) in [
            (0, 8),
            (127, 8),
            (128, 9),
            (255, 9),
            (256, 10),
            ((1 << 31) - 1, 32),
            (1 << 31, 33),
            ((1 << 63) - 1, 64),
        ] {
            assert_eq!(
                Modulus::for_sum_bound(bound).unwrap().bits(),
                bits,
                "{bound}"
            );
        }
        assert!(Modulus::for_sum_bound(1 << 63).is_err());
        assert!(Modulus::for_sum_bound(u128::MAX).is_err());
    }
}
