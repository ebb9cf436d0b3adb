//! The best of a random number of trials (Papernot & Steinke 2022): what tuning on private data costs (AC-28).

use super::Renyi;
use super::convert::delta_at;
use crate::DpError;

/// The law of the number of trials. The number has to be drawn from it, and from nothing else, before the first trial: trying until a result pleases, or a fixed grid,
/// is something else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trials(Law);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Law {
    /// Truncated negative binomial, at least one trial.
    NegativeBinomial {
        shape: f64,
        mean: f64,
        /// `ln(1/gamma)`, rounded up.
        log_inverse: f64,
    },
    /// Poisson; without a trial nothing that depends on data comes out.
    Poisson { mean: f64 },
}

/// Largest mean number of trials.
const MAX_MEAN: f64 = 1e9;

/// Smallest mean of a law that has at least one trial.
const MIN_MEAN: f64 = 1.001;

/// Largest `ln(1/gamma)` that is tried.
const MAX_LOG: f64 = 690.0;

/// Relative error allowed for in sums of a handful of terms.
const SLACK: f64 = 16.0 * f64::EPSILON;

impl Trials {
    /// A truncated negative binomial number with this shape (called eta in the paper) and mean (definition 1).
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for a shape outside of -0.9 to 1000, or a mean outside of 1.001 to 1e9.
    pub fn negative_binomial(shape: f64, mean: f64) -> Result<Self, DpError> {
        if !(-0.9..=1000.0).contains(&shape) {
            let (what, range) = ("the shape of the number of trials", "from -0.9 to 1000");
            return Err(DpError::OutOfRange {
                what,
                range,
                value: shape,
            });
        }
        let refused = DpError::OutOfRange {
            what: "the mean number of trials",
            range: "from 1.001 to 1e9 (and reachable with this shape)",
            value: mean,
        };
        if !(MIN_MEAN..=MAX_MEAN).contains(&mean) || mean_of(shape, MAX_LOG) < mean {
            return Err(refused);
        }
        let (mut low, mut high) = (0.0, MAX_LOG);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if mean_of(shape, middle) < mean {
                low = middle;
            } else {
                high = middle;
            }
        }
        // The mean is known to a few roundings, and grows by at least a thousandth of itself as the logarithm grows by one.
        let log_inverse = high * (1.0 + 1e-11) + 1e-11;
        Ok(Self(Law::NegativeBinomial {
            shape,
            mean,
            log_inverse,
        }))
    }

    /// A geometric number, at least one, with this mean: after every trial a coin of chance `1/mean` decides whether it was the last.
    ///
    /// # Errors
    /// As [`Trials::negative_binomial`], of which it is the one of shape 1.
    pub fn geometric(mean: f64) -> Result<Self, DpError> {
        Self::negative_binomial(1.0, mean)
    }

    /// A logarithmic number with this mean: shape 0.
    ///
    /// # Errors
    /// As [`Trials::negative_binomial`].
    pub fn logarithmic(mean: f64) -> Result<Self, DpError> {
        Self::negative_binomial(0.0, mean)
    }

    /// A Poisson number with this mean. It may be 0: then what comes out depends on no data.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for a mean that is not above 0 and at most 1e9.
    pub fn poisson(mean: f64) -> Result<Self, DpError> {
        if mean > 0.0 && mean <= MAX_MEAN {
            return Ok(Self(Law::Poisson { mean }));
        }
        let (what, range) = (
            "the mean number of trials",
            "greater than 0 and at most 1e9",
        );
        Err(DpError::OutOfRange {
            what,
            range,
            value: mean,
        })
    }

    /// Mean of the number.
    #[must_use]
    pub const fn mean(&self) -> f64 {
        match self.0 {
            Law::NegativeBinomial { mean, .. } | Law::Poisson { mean } => mean,
        }
    }
}

/// Mean of the truncated negative binomial law, `eta (1 - gamma) / (gamma (1 - gamma^eta))`, which grows with `log = ln(1/gamma)`.
fn mean_of(shape: f64, log: f64) -> f64 {
    // (1 - gamma^eta) / eta, also where eta is next to nothing.
    let part = if shape * log == 0.0 {
        log
    } else {
        -libm::expm1(-shape * log) / shape
    };
    if part == 0.0 {
        1.0
    } else {
        libm::expm1(log) / part
    }
}

impl Renyi {
    /// What releasing the best of a random number of trials costs where `self` is what one trial costs, its score included: the trial with the highest score is
    /// released, nothing else of any trial, and scores have a total order (ties broken by fixed rules or independent coins).
    ///
    /// Truncated negative binomial numbers: theorem 2 of Papernot & Steinke 2022. Poisson numbers: theorem 6, with the chance of no trial kept as a term of its own (AC-28).
    #[must_use]
    pub fn best_of(&self, trials: &Trials) -> Self {
        let mut found: Vec<(f64, f64)> = match trials.0 {
            Law::NegativeBinomial {
                shape,
                mean,
                log_inverse,
            } => {
                let further = self.further(shape, log_inverse);
                let log_mean = raised(libm::log(mean));
                let at = |(order, rdp): (f64, f64)| {
                    (order, raised(rdp + log_mean / (order - 1.0) + further))
                };
                self.rdp().map(at).collect()
            }
            Law::Poisson { mean } => {
                let at = |(order, rdp)| (order, self.poisson_at(order, rdp, mean));
                self.rdp().map(at).collect()
            }
        };
        // Divergences grow with the order: a larger order's bounds a smaller one's.
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut least = f64::INFINITY;
        for (_, rdp) in found.iter_mut().rev() {
            least = least.min(*rdp);
            *rdp = least;
        }
        Self::from_totals(found)
    }

    /// `(1 + eta) ((1 - 1/b) D_b + ln(1/gamma) / b)`, the least over the orders b.
    fn further(&self, shape: f64, log_inverse: f64) -> f64 {
        let at = |(order, rdp): (f64, f64)| (1.0 - 1.0 / order) * rdp + log_inverse / order;
        let least = self.rdp().map(at).fold(f64::INFINITY, f64::min);
        raised((1.0 + shape) * least)
    }

    /// `ln(exp(-mu) + mu exp((a-1) (D_a + mu d))) / (a-1)`, where `(ln(1 + 1/(a-1)), d)` holds for one trial.
    fn poisson_at(&self, order: f64, rdp: f64, mean: f64) -> f64 {
        let rest = order - 1.0;
        let epsilon = libm::log1p(1.0 / rest) * (1.0 - SLACK);
        let deltas = self.rdp().map(|(order, rdp)| delta_at(order, rdp, epsilon));
        let delta = deltas.fold(1.0, f64::min);
        let parts = [rest * rdp, rest * mean * delta, libm::log(mean)];
        let magnitude: f64 = parts.iter().map(|part| part.abs()).sum();
        let exponent = parts.iter().sum::<f64>() + magnitude * SLACK;
        // ln(e^-mu + e^x) = max + ln(1 + e^-distance)
        let most = exponent.max(-mean);
        let sum = most + libm::log1p(libm::exp(-(exponent + mean).abs()));
        raised((sum + (mean + magnitude + 1.0) * SLACK) / rest).max(0.0)
    }
}

/// Rounded away from zero, for what is not negative; what is not a number is infinite.
fn raised(value: f64) -> f64 {
    if value.is_nan() {
        f64::INFINITY
    } else {
        value * (1.0 + SLACK)
    }
}
