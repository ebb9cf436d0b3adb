//! What the stand-alone accountants charge: a mechanism, its sampling and how often it ran.

use crate::rdp::Trials;
use crate::{Adjacency, DpError, SamplingRate};

/// Largest integer sensitivity of discrete noise.
pub const MAX_SENSITIVITY: u32 = 1 << 20;

/// A mechanism. Sensitivities are what one record *adds* at most (L2 for Gaussian, L1 for Laplace noise), under both adjacencies: under replace-one two such contributions may be
/// opposite, and the accountants take the distance 2 themselves (AC-15).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Noise {
    /// Continuous Gaussian noise of standard deviation `sigma` per unit of sensitivity.
    Gaussian {
        /// Standard deviation over sensitivity.
        sigma: f64,
    },
    /// Continuous Laplace noise of scale `scale` per unit of sensitivity, on one number.
    Laplace {
        /// Scale over sensitivity.
        scale: f64,
    },
    /// Discrete Gaussian noise on integers.
    DiscreteGaussian {
        /// Parameter, in units of the integers.
        sigma: f64,
        /// What one record adds at most, in units of the integers.
        sensitivity: u32,
    },
    /// Discrete Laplace noise, probability proportional to `exp(-|x| / scale)`, on one integer.
    DiscreteLaplace {
        /// Parameter, in units of the integers.
        scale: f64,
        /// What one record adds at most, in units of the integers.
        sensitivity: u32,
    },
    /// Each record answers its own category, or with some probability a category drawn uniformly from all.
    RandomisedResponse {
        /// Probability of the uniform answer.
        probability: f64,
        /// How many categories there are.
        categories: u32,
    },
}

impl Noise {
    /// The name that reports and plans use.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Gaussian { .. } => "gaussian",
            Self::Laplace { .. } => "laplace",
            Self::DiscreteGaussian { .. } => "discrete-gaussian",
            Self::DiscreteLaplace { .. } => "discrete-laplace",
            Self::RandomisedResponse { .. } => "randomised-response",
        }
    }

    /// The same mechanism with `factor` times the noise. Randomised response has no noise scale and stays as it is.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        match self {
            Self::Gaussian { sigma } => Self::Gaussian {
                sigma: sigma * factor,
            },
            Self::Laplace { scale } => Self::Laplace {
                scale: scale * factor,
            },
            Self::DiscreteGaussian { sigma, sensitivity } => Self::DiscreteGaussian {
                sigma: sigma * factor,
                sensitivity,
            },
            Self::DiscreteLaplace { scale, sensitivity } => Self::DiscreteLaplace {
                scale: scale * factor,
                sensitivity,
            },
            Self::RandomisedResponse { .. } => self,
        }
    }

    /// Name of the noise parameter, and its value per unit of sensitivity.
    fn per_unit(self) -> Option<(&'static str, f64)> {
        match self {
            Self::Gaussian { sigma } => Some(("sigma", sigma)),
            Self::Laplace { scale } => Some(("scale", scale)),
            Self::DiscreteGaussian { sigma, sensitivity } => {
                Some(("sigma", sigma / f64::from(sensitivity)))
            }
            Self::DiscreteLaplace { scale, sensitivity } => {
                Some(("scale", scale / f64::from(sensitivity)))
            }
            Self::RandomisedResponse { .. } => None,
        }
    }

    fn check(self) -> Result<(), DpError> {
        self.check_discrete()?;
        match self.per_unit() {
            Some((what, value)) if !(MIN_NOISE..=MAX_NOISE).contains(&value) => {
                let range = "a number from 1e-3 to 1e9 per unit of sensitivity";
                Err(DpError::OutOfRange { what, range, value })
            }
            _ => Ok(()),
        }
    }

    /// Sensitivities, probabilities and numbers of categories.
    fn check_discrete(self) -> Result<(), DpError> {
        match self {
            Self::DiscreteGaussian { sensitivity, .. }
            | Self::DiscreteLaplace { sensitivity, .. }
                if !(1..=MAX_SENSITIVITY).contains(&sensitivity) =>
            {
                Err(DpError::OutOfRange {
                    what: "the sensitivity of discrete noise",
                    range: "an integer from 1 to 2^20",
                    value: f64::from(sensitivity),
                })
            }
            Self::RandomisedResponse { probability, .. }
                if !(probability > 0.0 && probability < 1.0) =>
            {
                Err(DpError::OutOfRange {
                    what: "the probability of a random answer",
                    range: "greater than 0 and less than 1",
                    value: probability,
                })
            }
            Self::RandomisedResponse { categories, .. } if categories < 2 => {
                Err(DpError::OutOfRange {
                    what: "the number of categories",
                    range: "at least 2",
                    value: f64::from(categories),
                })
            }
            _ => Ok(()),
        }
    }
}

/// Smallest and largest noise that is accounted.
const MIN_NOISE: f64 = 1e-3;
const MAX_NOISE: f64 = 1e9;

/// `count` runs of a mechanism, each over all records or over a fresh Poisson sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Charge {
    noise: Noise,
    rate: SamplingRate,
    count: u64,
}

impl Charge {
    /// Largest count of one charge: within it, error bounds of the accountants stay below their tolerances.
    pub const MAX_COUNT: u64 = 100_000_000;

    /// `count` runs over fresh Poisson samples at `rate` ([`SamplingRate::ALL`]: over all records).
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for noise without meaning (not from 1e-3 to 1e9 per unit of sensitivity, no categories, ..) and counts above [`Charge::MAX_COUNT`].
    pub fn new(noise: Noise, rate: SamplingRate, count: u64) -> Result<Self, DpError> {
        noise.check()?;
        if count > Self::MAX_COUNT {
            return Err(DpError::OutOfRange {
                what: "the count",
                range: "at most 10^8",
                value: count as f64,
            });
        }
        Ok(Self { noise, rate, count })
    }

    /// The mechanism.
    #[must_use]
    pub const fn noise(&self) -> Noise {
        self.noise
    }

    /// Probability with which a record enters.
    #[must_use]
    pub const fn rate(&self) -> SamplingRate {
        self.rate
    }

    /// How often it ran.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether every record enters.
    #[must_use]
    pub fn is_unsampled(&self) -> bool {
        self.rate.get() >= 1.0
    }

    /// The same charge with `factor` times the noise.
    ///
    /// # Errors
    /// As [`Charge::new`].
    pub fn scaled(&self, factor: f64) -> Result<Self, DpError> {
        Self::new(self.noise.scaled(factor), self.rate, self.count)
    }
}

/// Everything that is charged to one data set, and for which neighbours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Which data sets count as neighbours.
    pub adjacency: Adjacency,
    /// The charges; their order does not matter.
    pub charges: Vec<Charge>,
    /// What was tuned: of each, only the best trial was released.
    pub tuned: Vec<Tuned>,
}

/// The best of a random number of trials (AC-28).
#[derive(Clone, Debug, PartialEq)]
pub struct Tuned {
    /// The law of the number of trials.
    pub trials: Trials,
    /// What one trial is charged, its score included.
    pub charges: Vec<Charge>,
}

impl Plan {
    /// The plan with `factor` times the noise in every charge.
    ///
    /// # Errors
    /// As [`Charge::new`].
    pub fn scaled(&self, factor: f64) -> Result<Self, DpError> {
        self.mapped(|charge| charge.scaled(factor))
    }

    /// The plan with every charge replaced.
    pub(super) fn mapped(
        &self,
        one: impl Fn(&Charge) -> Result<Charge, DpError>,
    ) -> Result<Self, DpError> {
        let all = |charges: &[Charge]| charges.iter().map(&one).collect::<Result<Vec<_>, _>>();
        let tuned = |tuned: &Tuned| {
            Ok(Tuned {
                trials: tuned.trials,
                charges: all(&tuned.charges)?,
            })
        };
        Ok(Self {
            adjacency: self.adjacency,
            charges: all(&self.charges)?,
            tuned: self
                .tuned
                .iter()
                .map(tuned)
                .collect::<Result<_, DpError>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise is held against the sensitivity that it hides, for discrete noise too.
    #[test]
    fn noise_is_checked_per_unit_of_sensitivity() {
        let fits = |noise| Charge::new(noise, SamplingRate::ALL, 1).is_ok();
        let gaussian = |sigma, sensitivity| Noise::DiscreteGaussian { sigma, sensitivity };
        let laplace = |scale, sensitivity| Noise::DiscreteLaplace { scale, sensitivity };
        assert!(fits(gaussian(1.0, 1000)) && !fits(gaussian(1.0, 1001)));
        assert!(fits(laplace(1.0, 1000)) && !fits(laplace(0.9, 1000)));
        assert!(fits(gaussian(2e9, 2)) && !fits(gaussian(2e9, 1)));
        assert!(!fits(gaussian(1.0, 0)) && !fits(laplace(1e6, MAX_SENSITIVITY + 1)));
        assert!(!fits(gaussian(f64::NAN, 1)) && !fits(Noise::Laplace { scale: 1e-4 }));
    }
}
