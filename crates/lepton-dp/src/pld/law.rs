//! The pair of laws (P, Q) of one mechanism in one direction (AC-16, AC-17).

use super::atoms::{self, Atoms};
use super::gaussian::GaussianLaw;
use super::grid::{Cells, Rounding, Spec};
use super::laplace::LaplaceLaw;
use crate::Adjacency;
use crate::compose::{AccountError, Charge, Noise};

/// Half of the distance between neighbouring floats at 1.
pub(super) const UNIT: f64 = 0.5 * f64::EPSILON;

/// Smallest sigma of a sampled continuous Gaussian mechanism: below it losses leave the range of floats.
const MIN_SAMPLED_SIGMA: f64 = 0.05;

/// Smallest scale of a continuous Laplace mechanism, for the same reason.
const MIN_SCALE: f64 = 0.005;

const LAPLACE_TOO_QUIET: AccountError = AccountError::TooLarge {
    what: "the privacy loss of a Laplace mechanism of such small scale",
    remedy: "use more noise, or, where nothing is sampled, the accountant rdp",
};

/// What noise that cannot be tabulated is answered with.
pub(super) const fn too_quiet() -> AccountError {
    AccountError::TooLarge {
        what: "the privacy loss (the noise is very small)",
        remedy: "use the accountant rdp, or more noise",
    }
}

/// Which of two neighbouring data sets P comes from. `f` is the noise, `f+` and `f-` the noise shifted by what one record adds, and its opposite; `q` the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// P = (1-q) f + q f+, Q = f.
    Remove,
    /// P = f, Q = (1-q) f + q f+.
    Add,
    /// P = (1-q) f + q f+, Q = (1-q) f + q f-.
    Replace,
}

impl Direction {
    /// The directions that have to be looked at.
    pub(crate) const fn of(adjacency: Adjacency) -> &'static [Self] {
        match adjacency {
            Adjacency::AddRemove => &[Self::Remove, Self::Add],
            Adjacency::ReplaceOne => &[Self::Replace],
        }
    }
}

/// The mixtures of a direction, as functions of the log ratios of the shifted noises to the unshifted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mixture {
    direction: Direction,
    rate: f64,
}

impl Mixture {
    pub(super) const fn new(direction: Direction, rate: f64) -> Self {
        Self { direction, rate }
    }

    /// `ln(P / f)`.
    pub(super) fn log_upper(&self, up: f64) -> f64 {
        match self.direction {
            Direction::Add => 0.0,
            Direction::Remove | Direction::Replace => self.log_mix(up),
        }
    }

    /// `ln(P / Q)`.
    pub(super) fn loss(&self, up: f64, down: f64) -> f64 {
        match self.direction {
            Direction::Remove => self.log_mix(up),
            Direction::Add => -self.log_mix(up),
            Direction::Replace => self.log_mix(up) - self.log_mix(down),
        }
    }

    /// `ln(1 - q + q exp(x))`.
    fn log_mix(&self, x: f64) -> f64 {
        if self.rate >= 1.0 {
            x
        } else if x > 30.0 {
            let log_rate = libm::log(self.rate);
            x + log_rate + libm::log1p((1.0 - self.rate) / self.rate * libm::exp(-x))
        } else {
            let moved = self.rate * libm::expm1(x);
            if moved < -0.5 {
                // Close to -1 the difference has few digits left; the sum of both parts keeps them.
                libm::log((1.0 - self.rate) + self.rate * libm::exp(x))
            } else {
                libm::log1p(moved)
            }
        }
    }
}

/// A law of privacy losses.
#[derive(Clone, Debug)]
pub(crate) enum Law {
    Atoms(Atoms),
    Gaussian(GaussianLaw),
    Laplace(LaplaceLaw),
}

impl Law {
    /// The law of one run of `charge`. Tails lighter than `cut` may count as infinite loss.
    ///
    /// Refuses noise so small that losses or masses would leave the range of floats.
    pub(crate) fn of(
        charge: &Charge,
        direction: Direction,
        cut: f64,
    ) -> Result<Self, AccountError> {
        let rate = charge.rate().get();
        Ok(match charge.noise() {
            Noise::Gaussian { sigma } if rate < 1.0 && sigma < MIN_SAMPLED_SIGMA => {
                return Err(too_quiet());
            }
            Noise::Laplace { scale } if scale < MIN_SCALE => return Err(LAPLACE_TOO_QUIET),
            Noise::Gaussian { sigma } => Self::Gaussian(GaussianLaw::new(sigma, rate, direction)),
            Noise::Laplace { scale } => Self::Laplace(LaplaceLaw::new(scale, rate, direction)),
            Noise::DiscreteGaussian { sigma, sensitivity } => Self::Atoms(
                atoms::discrete_gaussian(sigma, sensitivity, rate, direction, cut)?,
            ),
            Noise::DiscreteLaplace { scale, sensitivity } => {
                Self::Atoms(atoms::discrete_laplace(scale, sensitivity, rate, direction))
            }
            Noise::RandomisedResponse {
                probability,
                categories,
            } => {
                covered_response(charge, direction)?;
                Self::Atoms(atoms::randomised_response(probability, categories))
            }
        })
    }

    /// Some losses with masses, for planning only.
    pub(crate) fn sketch(&self) -> Vec<(f64, f64)> {
        match self {
            Self::Atoms(law) => law
                .atoms
                .iter()
                .map(|atom| (atom.loss, atom.mass))
                .collect(),
            Self::Gaussian(law) => law.sketch(),
            Self::Laplace(law) => law.sketch(),
        }
    }

    /// Smallest and largest loss that need a place on the grid.
    pub(crate) fn range(&self, cut: f64) -> (f64, f64) {
        match self {
            Self::Atoms(law) => law.range(),
            Self::Gaussian(law) => law.range(cut),
            Self::Laplace(law) => law.range(),
        }
    }

    /// An upper bound on the loss; infinite where there is none.
    pub(crate) fn largest(&self) -> f64 {
        match self {
            Self::Atoms(law) if law.infinite > 0.0 => f64::INFINITY,
            Self::Atoms(law) => law.range().1,
            Self::Gaussian(law) => law.largest(),
            Self::Laplace(law) => law.range().1,
        }
    }

    /// The law on the grid, never less loss than the true one (AC-16).
    pub(crate) fn discretise(&self, spec: &Spec) -> Cells {
        let mut cells = Cells::new(self.range(spec.cut), spec);
        match self {
            Self::Atoms(law) => law.place(spec, &mut cells),
            Self::Gaussian(law) => law.place(spec, &mut cells),
            Self::Laplace(law) => law.place(spec, &mut cells),
        }
        if spec.rounding == Rounding::InsecureDown {
            cells.infinite = 0.0;
        }
        cells
    }
}

/// Randomised response says something about a value that is there: replace-one, all records.
pub(crate) fn covered_response(charge: &Charge, direction: Direction) -> Result<(), AccountError> {
    if direction == Direction::Replace && charge.is_unsampled() {
        return Ok(());
    }
    Err(AccountError::NotCovered {
        what: "randomised-response under add-remove, or sampled".to_owned(),
        why: "every record answers, so that its presence is seen",
        remedy: "use the adjacency replace-one and leave out `poisson`",
    })
}
