//! Noise on integers (ME-01, ME-02).

use rand_core::CryptoRng;

use super::Cost;
use crate::sensitivity::outward::{product_up, quotient_down, quotient_up};
use crate::{DiscreteGaussian, DiscreteLaplace, DpError, Epsilon, MAX_SCALE, NoiseMultiplier};

/// Integers with discrete Laplace noise: pure epsilon (Ghosh, Roughgarden, Sundararajan 2009).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiscreteLaplaceMechanism {
    sensitivity: u64,
    epsilon: f64,
    noise: DiscreteLaplace,
}

impl DiscreteLaplaceMechanism {
    /// For values, or vectors, of the given L1 sensitivity. The scale is `sensitivity / epsilon` rounded up to an integer, so the epsilon paid may be
    /// less than the one asked for: far less when that quotient is below 1.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for a sensitivity of 0 or above 2^40, or when the scale would pass [`MAX_SCALE`].
    pub fn new(l1_sensitivity: u64, epsilon: Epsilon) -> Result<Self, DpError> {
        let sensitivity = within(l1_sensitivity as f64, "the L1 sensitivity")?;
        let scale = whole_scale(quotient_up(sensitivity, epsilon.get()))?;
        Ok(Self {
            sensitivity: l1_sensitivity,
            // Never above what was asked for: scale >= sensitivity / epsilon.
            epsilon: quotient_up(sensitivity, scale as f64).min(epsilon.get()),
            noise: DiscreteLaplace::new(scale)?,
        })
    }

    /// The value with noise; a result outside `i64` becomes the nearest end of it.
    #[must_use]
    pub fn release(&self, value: i64, rng: &mut impl CryptoRng) -> i64 {
        let mut released = [value];
        self.release_all(&mut released, rng);
        let [released] = released;
        released
    }

    /// Adds independent noise to every coordinate; the sensitivity is that of the whole vector.
    pub fn release_all(&self, values: &mut [i64], rng: &mut impl CryptoRng) {
        add_noise(values, || self.noise.sample(rng));
    }

    /// Scale of the noise.
    #[must_use]
    pub const fn scale(&self) -> u64 {
        self.noise.scale()
    }

    /// Variance of the noise, `1 / (2 sinh^2(1 / (2 scale)))`.
    #[must_use]
    pub fn variance(&self) -> f64 {
        let sinh = libm::sinh(0.5 / self.scale() as f64);
        0.5 / (sinh * sinh)
    }

    /// What one release costs.
    #[must_use]
    pub fn cost(&self) -> Cost {
        Cost::Laplace {
            noise_multiplier: quotient_down(self.scale() as f64, self.sensitivity as f64),
            epsilon: self.epsilon,
        }
    }
}

/// Integers with discrete Gaussian noise (Canonne, Kamath, Steinke 2020).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiscreteGaussianMechanism {
    noise_multiplier: NoiseMultiplier,
    noise: DiscreteGaussian,
}

impl DiscreteGaussianMechanism {
    /// For values, or vectors, of the given L2 sensitivity. Sigma is `sensitivity * noise_multiplier` rounded up to an integer.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] unless the sensitivity is positive and at most 2^40 and sigma at most [`MAX_SCALE`].
    pub fn new(l2_sensitivity: f64, noise_multiplier: NoiseMultiplier) -> Result<Self, DpError> {
        let sensitivity = within(l2_sensitivity, "the L2 sensitivity")?;
        let sigma = whole_scale(product_up(sensitivity, noise_multiplier.get()))?;
        let reached = quotient_down(sigma as f64, sensitivity).min(f64::MAX);
        Ok(Self {
            // Never below what was asked for: sigma >= sensitivity * noise_multiplier.
            noise_multiplier: NoiseMultiplier::new(reached.max(noise_multiplier.get()))?,
            noise: DiscreteGaussian::new(sigma)?,
        })
    }

    /// The value with noise; a result outside `i64` becomes the nearest end of it.
    #[must_use]
    pub fn release(&self, value: i64, rng: &mut impl CryptoRng) -> i64 {
        let mut released = [value];
        self.release_all(&mut released, rng);
        let [released] = released;
        released
    }

    /// Adds independent noise to every coordinate; the sensitivity is that of the whole vector.
    pub fn release_all(&self, values: &mut [i64], rng: &mut impl CryptoRng) {
        add_noise(values, || self.noise.sample(rng));
    }

    /// Sigma of the noise, and so an upper bound on its standard deviation.
    #[must_use]
    pub const fn sigma(&self) -> u64 {
        self.noise.sigma()
    }

    /// Sigma over the sensitivity, rounded down.
    #[must_use]
    pub const fn noise_multiplier(&self) -> NoiseMultiplier {
        self.noise_multiplier
    }

    /// What one release costs.
    #[must_use]
    pub const fn cost(&self) -> Cost {
        Cost::Gaussian {
            noise_multiplier: self.noise_multiplier.get(),
        }
    }
}

/// Adds a draw to every value; what would leave `i64` becomes its nearest end.
fn add_noise(values: &mut [i64], mut draw: impl FnMut() -> i64) {
    for value in values {
        *value = value.saturating_add(draw());
    }
}

/// A sensitivity in grid steps: positive, at most 2^40.
fn within(sensitivity: f64, what: &'static str) -> Result<f64, DpError> {
    if sensitivity > 0.0 && sensitivity <= MAX_SCALE as f64 {
        return Ok(sensitivity);
    }
    Err(DpError::OutOfRange {
        what,
        range: "more than 0 and at most 2^40 (in grid steps)",
        value: sensitivity,
    })
}

/// `scale` rounded up to an integer from 1 to [`MAX_SCALE`].
#[expect(
    clippy::cast_possible_truncation,
    reason = "an integer from 1 to 2^40 by the check before"
)]
fn whole_scale(scale: f64) -> Result<u64, DpError> {
    let whole = scale.ceil().max(1.0);
    if whole <= MAX_SCALE as f64 {
        return Ok(whole as u64);
    }
    Err(DpError::OutOfRange {
        what: "the scale of the noise",
        range: "at most 2^40 grid steps: a coarser grid, a smaller sensitivity or less noise",
        value: scale,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_are_checked() {
        let one = Epsilon::new(1.0).unwrap();
        assert!(DiscreteLaplaceMechanism::new(0, one).is_err());
        assert!(DiscreteLaplaceMechanism::new(MAX_SCALE + 1, one).is_err());
        assert!(DiscreteLaplaceMechanism::new(2, Epsilon::new(1e-12).unwrap()).is_err());
        let z = NoiseMultiplier::new(1.0).unwrap();
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 2e12] {
            assert!(DiscreteGaussianMechanism::new(bad, z).is_err());
        }
        let sigma_and_multiplier = |z| {
            let mechanism = DiscreteGaussianMechanism::new(3.0, NoiseMultiplier::new(z).unwrap());
            let mechanism = mechanism.unwrap();
            (mechanism.sigma(), mechanism.noise_multiplier().get())
        };
        assert_eq!(sigma_and_multiplier(1.0), (3, 1.0));
        let (sigma, reached) = sigma_and_multiplier(1.1);
        assert_eq!(sigma, 4);
        assert!(reached.mul_add(3.0, -4.0) < 0.0 && reached > 1.333_333_333_333);
        let half = DiscreteLaplaceMechanism::new(1, Epsilon::new(0.5).unwrap()).unwrap();
        let cost = half.cost();
        assert_eq!(
            (half.scale(), cost.pure_epsilon(), cost.noise_multiplier()),
            (2, Some(0.5), Some(2.0))
        );
    }

    /// A vector's noise is that of its values one by one, and no result wraps around.
    #[test]
    fn vectors_are_released_value_by_value() {
        use rand_core::SeedableRng;
        let rng = || chacha20::ChaCha20Rng::seed_from_u64(3);
        let laplace = DiscreteLaplaceMechanism::new(5, Epsilon::new(0.1).unwrap()).unwrap();
        let gaussian =
            DiscreteGaussianMechanism::new(5.0, NoiseMultiplier::new(9.0).unwrap()).unwrap();
        let values = [0, -7, i64::MAX, i64::MIN, 1 << 40];
        let (mut all, mut one) = (values, rng());
        laplace.release_all(&mut all, &mut rng());
        assert_eq!(all, values.map(|value| laplace.release(value, &mut one)));
        assert!(all[2] > i64::MAX - 10_000 && all[3] < i64::MIN + 10_000 && all != values);
        let (mut all, mut one) = (values, rng());
        gaussian.release_all(&mut all, &mut rng());
        assert_eq!(all, values.map(|value| gaussian.release(value, &mut one)));
        assert!(all[2] > i64::MAX - 10_000 && all[3] < i64::MIN + 10_000 && all != values);
    }

    proptest! {
        /// ME-01, from the law itself: the log ratio of the probabilities of any output of neighbours is at most the stated epsilon.
        #[test]
        fn the_epsilon_stated_is_paid_at_most(sensitivity in 1u64..1 << 40, epsilon in 1e-3f64..20.0) {
            prop_assume!(sensitivity as f64 / epsilon < MAX_SCALE as f64);
            let asked = Epsilon::new(epsilon).unwrap();
            let mechanism = DiscreteLaplaceMechanism::new(sensitivity, asked).unwrap();
            let stated = mechanism.cost().pure_epsilon().unwrap();
            prop_assert!(stated <= epsilon);
            // sensitivity / scale <= stated, in exact arithmetic: the remainder of the product tells.
            let scale = mechanism.scale() as f64;
            prop_assert!(stated.mul_add(scale, -(sensitivity as f64)) >= 0.0);
            // Twin: a scale one less would cost more than was asked for (unless it is 1).
            let less = scale - 1.0;
            prop_assert!(less < 1.0 || epsilon.mul_add(less, -(sensitivity as f64)) < 1e-9 * sensitivity as f64);
        }

        /// ME-02: sigma is at least the product, the multiplier at most the quotient.
        #[test]
        fn the_multiplier_is_reached(sensitivity in 1e-3f64..1e9, z in 1e-3f64..1e3) {
            let mechanism = DiscreteGaussianMechanism::new(sensitivity, NoiseMultiplier::new(z).unwrap()).unwrap();
            let reached = mechanism.noise_multiplier().get();
            prop_assert!(reached >= z);
            prop_assert!(reached.mul_add(sensitivity, -(mechanism.sigma() as f64)) <= 0.0);
        }
    }
}
