//! The discrete Gaussian distribution (Canonne, Kamath, Steinke 2020, algorithm 3).

use rand_core::CryptoRng;

use super::bernoulli::exp_minus;
use super::exact::Gamma;
use super::{DiscreteLaplace, MAX_SCALE};
use crate::DpError;

/// Integers `y` with probability proportional to `exp(-y^2 / (2 sigma^2))`, drawn exactly (DG-01, DG-08).
///
/// No floating-point noise is involved, and no draw is rounded or cut short. The time a draw takes depends on its value: do not draw where
/// others can time it (DG-09). The same generator state gives the same noise: never restore one for new data (DG-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscreteGaussian {
    sigma: u64,
    proposal: DiscreteLaplace,
}

impl DiscreteGaussian {
    /// A distribution with the given sigma. (The variance is within a factor 1 + 1e-6 below `sigma^2` from sigma = 1 on, and the same to
    /// `f64` precision from sigma = 2 on.)
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] unless `1 <= sigma <=` [`MAX_SCALE`].
    pub fn new(sigma: u64) -> Result<Self, DpError> {
        if (1..=MAX_SCALE).contains(&sigma) {
            DiscreteLaplace::new(sigma).map(|proposal| Self { sigma, proposal })
        } else {
            Err(DpError::OutOfRange {
                what: "the sigma of discrete Gaussian noise",
                range: "an integer from 1 to 2^40",
                value: sigma as f64,
            })
        }
    }

    /// The parameter sigma.
    #[must_use]
    pub const fn sigma(&self) -> u64 {
        self.sigma
    }

    /// `sigma^2`, an upper bound on the variance.
    #[must_use]
    pub const fn variance(&self) -> u128 {
        self.sigma as u128 * self.sigma as u128
    }

    /// One draw.
    pub fn sample(&self, rng: &mut impl CryptoRng) -> i64 {
        loop {
            let (magnitude, negative) = self.proposal.sample_parts(rng);
            if self.accept(magnitude, rng) {
                // Below 2^63 (DG-02), so the cast keeps the value.
                let magnitude = magnitude as i64;
                return if negative { -magnitude } else { magnitude };
            }
        }
    }

    /// Fills `out` with independent draws.
    pub fn fill(&self, out: &mut [i64], rng: &mut impl CryptoRng) {
        out.fill_with(|| self.sample(rng));
    }

    /// True with probability `exp(-(magnitude - sigma)^2 / (2 sigma^2))`: the proposal has scale sigma, so the product of
    /// both is `exp(-magnitude^2 / (2 sigma^2))` times a constant.
    #[inline]
    fn accept(&self, magnitude: u64, rng: &mut impl CryptoRng) -> bool {
        let distance = magnitude.abs_diff(self.sigma);
        let ratio = distance as f64 / self.sigma as f64;
        let gamma = || Gamma {
            numerator: u128::from(distance) * u128::from(distance),
            denominators: [2 * self.sigma, self.sigma],
        };
        exp_minus(0.5 * ratio * ratio, gamma, rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn sigma_is_bounded() {
        assert!(DiscreteGaussian::new(0).is_err());
        assert!(DiscreteGaussian::new(MAX_SCALE + 1).is_err());
        assert_eq!(
            DiscreteGaussian::new(MAX_SCALE).unwrap().variance(),
            1 << 80
        );
    }

    #[test]
    fn same_seed_same_draws() {
        let noise = DiscreteGaussian::new(1000).unwrap();
        let draw = |seed| {
            let mut out = [0; 64];
            noise.fill(&mut out, &mut ChaCha20Rng::seed_from_u64(seed));
            out
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
