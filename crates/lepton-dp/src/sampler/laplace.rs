//! The discrete Laplace distribution (Canonne, Kamath, Steinke 2020, algorithm 2).

use rand_core::CryptoRng;

use super::MAX_SCALE;
use super::bernoulli::{exp_minus, geometric, uniform_below};
use super::exact::Gamma;
use crate::DpError;

/// Whole scales drawn beyond this are drawn again; a draw gets there with probability below `exp(-4_000_000)` (DG-02).
const MAX_SCALES: u64 = 1 << 22;

/// Integers `y` with probability proportional to `exp(-|y| / scale)`, drawn exactly (DG-07).
///
/// The time a draw takes depends on its value: do not draw where others can time it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscreteLaplace {
    scale: u64,
}

impl DiscreteLaplace {
    /// A distribution with the given scale.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] unless `1 <= scale <=` [`MAX_SCALE`].
    pub fn new(scale: u64) -> Result<Self, DpError> {
        if (1..=MAX_SCALE).contains(&scale) {
            Ok(Self { scale })
        } else {
            Err(DpError::OutOfRange {
                what: "the scale of discrete Laplace noise",
                range: "an integer from 1 to 2^40",
                value: scale as f64,
            })
        }
    }

    /// The scale.
    #[must_use]
    pub const fn scale(&self) -> u64 {
        self.scale
    }

    /// One draw.
    pub fn sample(&self, rng: &mut impl CryptoRng) -> i64 {
        let (magnitude, negative) = self.sample_parts(rng);
        // Below 2^62, so the cast keeps the value.
        let magnitude = magnitude as i64;
        if negative { -magnitude } else { magnitude }
    }

    /// Fills `out` with independent draws.
    pub fn fill(&self, out: &mut [i64], rng: &mut impl CryptoRng) {
        out.fill_with(|| self.sample(rng));
    }

    /// Magnitude (below 2^62 + 2^40) and sign of a draw.
    #[inline]
    pub(super) fn sample_parts(&self, rng: &mut impl CryptoRng) -> (u64, bool) {
        loop {
            let below_scale = self.sample_below_scale(rng);
            let whole_scales = geometric(rng);
            let negative = rng.next_u32() & 1 == 1;
            if whole_scales < MAX_SCALES {
                let magnitude = below_scale + self.scale * whole_scales;
                if magnitude != 0 || !negative {
                    return (magnitude, negative);
                }
            }
        }
    }

    /// `u` in `0..scale` with probability proportional to `exp(-u / scale)`.
    #[inline]
    fn sample_below_scale(&self, rng: &mut impl CryptoRng) -> u64 {
        loop {
            let candidate = uniform_below(self.scale, rng);
            let estimate = candidate as f64 / self.scale as f64;
            let gamma = || Gamma {
                numerator: u128::from(candidate),
                denominators: [self.scale, 1],
            };
            if exp_minus(estimate, gamma, rng) {
                return candidate;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_is_bounded() {
        assert!(DiscreteLaplace::new(0).is_err());
        assert!(DiscreteLaplace::new(MAX_SCALE).is_ok());
        assert!(DiscreteLaplace::new(MAX_SCALE + 1).is_err());
    }
}
