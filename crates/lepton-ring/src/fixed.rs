//! Fixed-point numbers.

use crate::RingError;

/// Fixed-point numbers with a given number of binary digits behind the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedPoint(u8);

impl FixedPoint {
    /// `fraction_bits` digits behind the point: the step is `2^-fraction_bits`.
    #[must_use]
    pub const fn new(fraction_bits: u8) -> Self {
        Self(fraction_bits)
    }

    /// Digits behind the point.
    #[must_use]
    pub const fn fraction_bits(self) -> u8 {
        self.0
    }

    /// The number 1 encoded: `2^fraction_bits`, as a real number.
    #[must_use]
    pub fn one(self) -> f64 {
        2f64.powi(i32::from(self.0))
    }

    /// The nearest multiple of the step, ties to the even one. Refuses what is not finite and what does not fit 64 bits.
    pub fn encode(self, value: f64) -> Result<i64, RingError> {
        if !value.is_finite() {
            return Err(RingError::NotFinite);
        }
        // The factor is a power of two: the product is exact or infinite.
        let scaled = (value * self.one()).round_ties_even();
        if scaled.abs() >= 2f64.powi(63) {
            return Err(RingError::FixedPointOverflow(value));
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "an integer of magnitude below 2^63, checked above"
        )]
        Ok(scaled as i64)
    }

    /// The real number that `encoded` stands for, rounded to the nearest `f64` beyond 53 significant bits.
    #[must_use]
    pub fn decode(self, encoded: i64) -> f64 {
        encoded as f64 / self.one()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_go_to_even() {
        let f = FixedPoint::new(1);
        assert_eq!(
            [0.25, 0.75, 1.25, -0.25, -0.75].map(|v| f.encode(v).unwrap()),
            [0, 2, 2, 0, -2]
        );
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let f = FixedPoint::new(16);
        assert_eq!(f.encode(f64::NAN), Err(RingError::NotFinite));
        assert_eq!(f.encode(f64::NEG_INFINITY), Err(RingError::NotFinite));
        assert!(matches!(
            f.encode(2f64.powi(47)),
            Err(RingError::FixedPointOverflow(_))
        ));
        assert!(matches!(
            f.encode(f64::MAX),
            Err(RingError::FixedPointOverflow(_))
        ));
        assert_eq!(f.encode(2f64.powi(46)), Ok(1 << 62));
        assert_eq!(f.one(), 65536.0);
    }

    proptest! {
        #[test]
        fn decode_is_within_half_a_step(v in -1e9f64..1e9, bits in 0u8..32) {
            let f = FixedPoint::new(bits);
            prop_assert!((f.decode(f.encode(v).unwrap()) - v).abs() <= 0.5 / f.one());
        }
    }
}
