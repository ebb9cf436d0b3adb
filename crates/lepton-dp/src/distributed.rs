//! Noise put together by several parties: a sum of discrete Gaussians is nearly a discrete Gaussian (AC-11 to AC-13).

use serde::{Deserialize, Serialize};

use crate::rdp::Orders;
use crate::sampler::MAX_SCALE;
use crate::{DpError, NoiseMultiplier};

/// Terms of [`tau`] that are added one by one; the rest, each smaller than the last of these, are bounded by it.
const EXPLICIT_TERMS: u32 = 64;

/// Upper bound on the spread, in log probability and at any integer, between a sum of `parties` independent discrete Gaussians
/// of parameter `sigma` and the one discrete Gaussian of parameter `sqrt(parties) * sigma`:
/// `10 * sum_{k=1}^{parties-1} exp(-2 pi^2 sigma^2 k / (k+1))` (Kairouz, Liu, Steinke 2021, theorem 1). Rounded up.
///
/// AC-11 derives a bound 2.4 times smaller; the published constant is kept. A `sigma` of 0 gives infinity.
#[must_use]
pub fn tau(parties: u32, sigma: u64) -> f64 {
    if sigma == 0 {
        return f64::INFINITY;
    }
    let pairs = parties.saturating_sub(1);
    if pairs == 0 {
        return 0.0;
    }
    let sigma = sigma as f64;
    let term = |k: u32| {
        libm::exp(
            -2.0 * (std::f64::consts::PI * sigma).powi(2) * f64::from(k) / (f64::from(k) + 1.0),
        )
    };
    let explicit: f64 = (1..=pairs.min(EXPLICIT_TERMS)).map(term).sum();
    let rest = f64::from(pairs.saturating_sub(EXPLICIT_TERMS)) * term(EXPLICIT_TERMS);
    // Exponents up to 745 with 8 roundings each: 1e-12. Beyond that exp() is zero, which the floor repairs.
    (10.0 * (explicit + rest) * (1.0 + 1e-11)).max(f64::MIN_POSITIVE)
}

/// Noise that is the sum of one discrete Gaussian vector per party.
///
/// Count only parties whose noise is certain to be in the sum and unknown to the adversary: those that answer, less the colluders. If more
/// noise than that arrives, the guarantee only improves (AC-13), so for anything between m and n parties, count m.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct DistributedNoise {
    parties: u32,
    sigma_each: u64,
    dims: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    parties: u32,
    sigma_each: u64,
    dims: usize,
}

impl DistributedNoise {
    /// `parties_adding_noise` parties draw `dims` integers each from a discrete Gaussian of parameter `sigma_each`.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] unless there is a party and a coordinate, and `2 <= sigma_each <= 2^40`.
    pub fn new(parties_adding_noise: u32, sigma_each: u64, dims: usize) -> Result<Self, DpError> {
        let refuse = |what, range, value| Err(DpError::OutOfRange { what, range, value });
        if parties_adding_noise == 0 {
            return refuse("the number of parties that add noise", "at least 1", 0.0);
        }
        if !(2..=MAX_SCALE).contains(&sigma_each) {
            return refuse(
                "the sigma of one party's noise share",
                "an integer from 2 to 2^40",
                sigma_each as f64,
            );
        }
        if dims == 0 {
            return refuse("the number of noisy coordinates", "at least 1", 0.0);
        }
        Ok(Self {
            parties: parties_adding_noise,
            sigma_each,
            dims,
        })
    }

    /// The smallest share for which `parties_adding_noise` shares together give at least `noise_multiplier` at the given L2 sensitivity in grid steps.
    /// At least 2.
    ///
    /// # Errors
    /// As [`DistributedNoise::new`], also when the share would be above 2^40 or the sensitivity is not a positive finite number.
    pub fn for_noise_multiplier(
        noise_multiplier: NoiseMultiplier,
        sensitivity: f64,
        parties_adding_noise: u32,
        dims: usize,
    ) -> Result<Self, DpError> {
        check_sensitivity(sensitivity)?;
        let parties = f64::from(parties_adding_noise.max(1));
        let share = (noise_multiplier.get() * sensitivity / parties.sqrt())
            .ceil()
            .max(2.0);
        let mut noise = Self::new(parties_adding_noise, saturating_word(share), dims)?;
        // The estimate is within a few roundings of the goal: at most a few steps, relative 2^-50 of 2^40 at most.
        while noise.noise_multiplier(sensitivity)? < noise_multiplier {
            noise = Self::new(parties_adding_noise, noise.sigma_each + 1, dims)?;
        }
        Ok(noise)
    }

    /// Parties counted.
    #[must_use]
    pub const fn parties(&self) -> u32 {
        self.parties
    }

    /// Parameter of each party's share.
    #[must_use]
    pub const fn sigma_each(&self) -> u64 {
        self.sigma_each
    }

    /// Number of coordinates.
    #[must_use]
    pub const fn dims(&self) -> usize {
        self.dims
    }

    /// `parties * sigma_each^2`: the squared parameter of the sum.
    #[must_use]
    pub const fn variance(&self) -> u128 {
        self.parties as u128 * self.sigma_each as u128 * self.sigma_each as u128
    }

    /// The sum's parameter divided by the L2 sensitivity in grid steps, rounded down.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] when the sensitivity is not a positive finite number, or the quotient is not.
    pub fn noise_multiplier(&self, sensitivity: f64) -> Result<NoiseMultiplier, DpError> {
        check_sensitivity(sensitivity)?;
        let sigma = (self.variance() as f64).next_down().sqrt().next_down();
        NoiseMultiplier::new((sigma / sensitivity).next_down())
    }

    /// What the difference between the sum and one discrete Gaussian adds to the Rényi divergence of a release, sampled or not:
    /// `order / (order - 1) * dims * tau` (AC-12), rounded up. An `order` below 2 counts as 2.
    #[must_use]
    pub fn rdp_slack(&self, order: u32) -> f64 {
        let order = f64::from(order.max(Orders::ALL[0]));
        let dims = (self.dims as f64).next_up();
        order / (order - 1.0) * dims * tau(self.parties, self.sigma_each) * (1.0 + 1e-12)
    }
}

impl TryFrom<Raw> for DistributedNoise {
    type Error = DpError;

    fn try_from(raw: Raw) -> Result<Self, DpError> {
        Self::new(raw.parties, raw.sigma_each, raw.dims)
    }
}

impl From<DistributedNoise> for Raw {
    fn from(noise: DistributedNoise) -> Self {
        Self {
            parties: noise.parties,
            sigma_each: noise.sigma_each,
            dims: noise.dims,
        }
    }
}

fn check_sensitivity(sensitivity: f64) -> Result<(), DpError> {
    if sensitivity.is_finite() && sensitivity > 0.0 {
        Ok(())
    } else {
        Err(DpError::OutOfRange {
            what: "the sensitivity",
            range: "finite and greater than 0",
            value: sensitivity,
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "float to integer casts saturate; what is too large is refused by the caller"
)]
fn saturating_word(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tau_values() {
        assert_eq!(tau(1, 5), 0.0);
        assert_eq!(tau(3, 0), f64::INFINITY);
        let two = 10.0 * libm::exp(-std::f64::consts::PI.powi(2));
        assert!(tau(2, 1) >= two && tau(2, 1) <= two * (1.0 + 1e-10));
        assert!(tau(2, 1000) > 0.0);
        // The bounded rest is not below the explicit sum.
        let explicit: f64 = (1..1000)
            .map(|k| {
                10.0 * libm::exp(
                    -2.0 * std::f64::consts::PI.powi(2) * f64::from(k) / f64::from(k + 1),
                )
            })
            .sum();
        assert!(tau(1000, 1) >= explicit && tau(1000, 1) <= explicit * 1.4);
    }

    #[test]
    fn refusals_and_getters() {
        assert!(DistributedNoise::new(0, 2, 1).is_err());
        assert!(DistributedNoise::new(1, 1, 1).is_err());
        assert!(DistributedNoise::new(1, 2, 0).is_err());
        let noise = DistributedNoise::new(7, 30, 4).unwrap();
        assert_eq!(noise.variance(), 6300);
        assert!(noise.noise_multiplier(0.0).is_err());
        assert!(noise.noise_multiplier(f64::NAN).is_err());
        assert!(
            DistributedNoise::new(u32::MAX, MAX_SCALE, usize::MAX)
                .unwrap()
                .rdp_slack(2)
                >= 0.0
        );
    }

    proptest! {
        #[test]
        fn share_is_smallest_that_suffices(z in 0.01f64..100.0, sensitivity in 1f64..1e6, parties in 1u32..1000) {
            let goal = NoiseMultiplier::new(z).unwrap();
            let noise = DistributedNoise::for_noise_multiplier(goal, sensitivity, parties, 3).unwrap();
            prop_assert!(noise.noise_multiplier(sensitivity).unwrap() >= goal);
            let less = DistributedNoise::new(parties, noise.sigma_each() - 1, 3);
            prop_assert!(less.is_err() || less.unwrap().noise_multiplier(sensitivity).unwrap().get() <= z);
        }
    }
}
