//! Privacy parameters as types that cannot be built wrong (rule AC-01).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::DpError;

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $what:literal, $range:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(f64);

        impl $name {
            /// Accepts a number in the type's range.
            ///
            /// # Errors
            /// [`DpError::OutOfRange`] for any other number, NaN and infinities included.
            pub fn new(value: f64) -> Result<Self, DpError> {
                let accepts: fn(f64) -> bool = $accepts;
                if value.is_finite() && accepts(value) {
                    Ok(Self(value))
                } else {
                    Err(DpError::OutOfRange { what: $what, range: $range, value })
                }
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $name {
            type Error = DpError;

            fn try_from(value: f64) -> Result<Self, DpError> {
                Self::new(value)
            }
        }

        impl From<$name> for f64 {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

unit!(
    /// The epsilon of an (epsilon, delta) guarantee: finite and above zero. Printed digits are always rounded up.
    Epsilon, "epsilon", "finite and greater than 0", |value| value > 0.0
);
unit!(
    /// The delta of an (epsilon, delta) guarantee: between zero and one, both excluded.
    Delta, "delta", "greater than 0 and less than 1", |value| value > 0.0 && value < 1.0
);
unit!(
    /// Standard deviation of the noise divided by the L2 sensitivity it hides: finite and above zero.
    NoiseMultiplier, "the noise multiplier", "finite and greater than 0", |value| value > 0.0
);
unit!(
    /// Probability with which each record enters a Poisson batch: above zero, at most one.
    SamplingRate, "the sampling rate", "greater than 0 and at most 1", |value| value > 0.0 && value <= 1.0
);

impl SamplingRate {
    /// Every record enters.
    pub const ALL: Self = Self(1.0);
}

impl Epsilon {
    /// The smallest positive number: what an accountant reports where its bound is zero.
    pub(crate) const FLOOR: Self = Self(f64::MIN_POSITIVE);

    /// The next multiple of `10^-decimals` that is not below this epsilon (itself, where `f64` has no finer grid).
    #[must_use]
    pub fn round_up(self, decimals: u8) -> Self {
        let text = decimal_not_below(self.0, usize::from(decimals));
        Self(
            text.parse::<f64>()
                .map_or(self.0, |value| value.max(self.0)),
        )
    }
}

/// Digits rounded up: four decimals, or the precision asked for (`{:.2}`).
impl fmt::Display for Epsilon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad_integral(
            true,
            "",
            &decimal_not_below(self.0, f.precision().unwrap_or(4)),
        )
    }
}

macro_rules! plain_display {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}
plain_display!(Delta, NoiseMultiplier, SamplingRate);

/// The decimal numeral with `decimals` digits that is the smallest not below `value` (finite, not negative).
fn decimal_not_below(value: f64, decimals: usize) -> String {
    let nearest = format!("{value:.decimals$}");
    if nearest.parse::<f64>().is_ok_and(|parsed| parsed < value) {
        increment_last_digit(&nearest)
    } else {
        nearest
    }
}

fn increment_last_digit(numeral: &str) -> String {
    let mut carry = true;
    let mut reversed: Vec<char> = Vec::with_capacity(numeral.len() + 1);
    for character in numeral.chars().rev() {
        reversed.push(match character.to_digit(10) {
            Some(9) if carry => '0',
            Some(digit) if carry => {
                carry = false;
                char::from_digit(digit + 1, 10).unwrap_or('9')
            }
            _ => character,
        });
    }
    if carry {
        reversed.push('1');
    }
    reversed.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_enforced() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Epsilon::new(bad).is_err());
            assert!(Delta::new(bad).is_err());
            assert!(NoiseMultiplier::new(bad).is_err());
            assert!(SamplingRate::new(bad).is_err());
        }
        assert!(Delta::new(1.0).is_err());
        assert!(SamplingRate::new(1.0).is_ok());
        assert!(SamplingRate::new(1.0f64.next_up()).is_err());
    }

    #[test]
    fn serde_goes_through_validation() {
        assert_eq!(serde_json::from_str::<Epsilon>("3").unwrap().get(), 3.0);
        assert!(serde_json::from_str::<Epsilon>("-3").is_err());
        assert!(serde_json::from_str::<Delta>("1").is_err());
        assert!(serde_json::from_str::<SamplingRate>("1.5").is_err());
        assert_eq!(
            serde_json::to_string(&Delta::new(1e-5).unwrap()).unwrap(),
            "0.00001"
        );
    }

    #[test]
    fn epsilon_prints_upwards() {
        let show = |value: f64| format!("{:.2}", Epsilon::new(value).unwrap());
        assert_eq!(show(1.001), "1.01");
        assert_eq!(show(9.999), "10.00");
        assert_eq!(show(2.5), "2.50");
        assert_eq!(show(1e-9), "0.01");
        assert_eq!(Epsilon::new(2.101_366).unwrap().to_string(), "2.1014");
        assert_eq!(format!("{:.0}", Epsilon::new(9.2).unwrap()), "10");
    }

    proptest! {
        #[test]
        fn rounding_never_goes_down(value in 1e-12f64..1e9, decimals in 0u8..20) {
            let epsilon = Epsilon::new(value).unwrap();
            let rounded = epsilon.round_up(decimals);
            prop_assert!(rounded.get() >= value);
            prop_assert!(rounded.get() <= value + 1.000_001 * 10f64.powi(-i32::from(decimals)));
            let shown: f64 = format!("{:.*}", usize::from(decimals), epsilon).parse().unwrap();
            prop_assert!(shown >= value);
        }
    }
}
