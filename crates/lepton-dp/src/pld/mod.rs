//! Privacy loss distributions: the tightest of the accountants (docs/protocols/accounting.md, AC-16 to AC-20).

mod atoms;
mod fourier;
mod gaussian;
mod grid;
mod laplace;
pub(crate) mod law;
pub(crate) mod normal;
mod sketch;

pub(crate) use atoms::compensated;
pub use grid::Rounding;

use crate::Adjacency;
use crate::compose::{AccountError, Charge, Noise, Plan};
use crate::{Delta, DpError, Epsilon};
use fourier::{Answer, Planner, Setting};
use grid::{Cells, Light, Spec};
use law::{Direction, Law, too_quiet};
use sketch::Sketch;

/// Relative error of epsilon that discretisation is planned for.
const ACCURACY: f64 = 4e-5;

/// What lies above the window is planned to be `exp(-BEYOND)` of delta.
const BEYOND: f64 = 16.0;

/// Longest transform.
const MAX_POINTS: usize = 1 << 21;

/// The privacy loss of a plan. Both directions of add-remove are kept apart and the worse one reported.
///
/// Unsampled continuous Gaussian charges are one Gaussian mechanism together, exactly; alone they are answered in closed form (Balle & Wang 2018). For everything
/// else the true curve is approached from above by connect-the-dots grids (Doroshenko et al. 2022) whose interval follows from the number of steps, composed by
/// Fourier transforms with bounded rounding. Nothing is computed before a question is asked, since tilt, window and interval depend on it.
#[derive(Clone, Debug)]
pub struct Pld {
    adjacency: Adjacency,
    /// Everything but unsampled continuous Gaussian charges.
    charges: Vec<Charge>,
    /// Sum of count / sigma^2 of the unsampled continuous Gaussian charges, rounded up.
    gaussian: f64,
    interval: Option<f64>,
    rounding: Rounding,
}

impl Pld {
    /// The loss of `plan`.
    ///
    /// # Errors
    /// [`AccountError::NotCovered`] for tuning, and for randomised response under add-remove or sampled, [`AccountError::TooLarge`] for noise so small that losses cannot
    /// be tabulated.
    pub fn new(plan: &Plan) -> Result<Self, AccountError> {
        if !plan.tuned.is_empty() {
            return Err(AccountError::NotCovered {
                what: "tuning in the accountant pld".to_owned(),
                why: "the bounds known here are on Rényi divergences",
                remedy: "use the accountant rdp",
            });
        }
        let mut found = Self {
            adjacency: plan.adjacency,
            charges: Vec::new(),
            gaussian: 0.0,
            interval: None,
            rounding: Rounding::ConnectTheDots,
        };
        for charge in plan.charges.iter().filter(|charge| charge.count() > 0) {
            found.add(charge)?;
        }
        Ok(found)
    }

    /// With a grid of this interval, whatever the number of steps (at least 1e-9; coarser if the tables would grow too long).
    #[must_use]
    pub fn with_interval(mut self, interval: f64) -> Self {
        self.interval = Some(interval.max(1e-9));
        self
    }

    /// With another rounding, to compare.
    #[must_use]
    pub fn with_rounding(mut self, rounding: Rounding) -> Self {
        self.rounding = rounding;
        self
    }

    fn add(&mut self, charge: &Charge) -> Result<(), AccountError> {
        match charge.noise() {
            Noise::Gaussian { sigma } if charge.is_unsampled() => {
                let one = (1.0 / (sigma * sigma)).next_up().next_up();
                self.gaussian = (self.gaussian + (charge.count() as f64 * one).next_up()).next_up();
                return Ok(());
            }
            // Tables that grow with the goal are made when it is known; everything else is refused here.
            Noise::DiscreteGaussian { .. } | Noise::DiscreteLaplace { .. } => {}
            _ => {
                for direction in Direction::of(self.adjacency) {
                    Law::of(charge, *direction, 1.0)?;
                }
            }
        }
        let same =
            |other: &&mut Charge| other.noise() == charge.noise() && other.rate() == charge.rate();
        match self.charges.iter_mut().find(same) {
            Some(other) => {
                *other = Charge::new(
                    charge.noise(),
                    charge.rate(),
                    other.count() + charge.count(),
                )?;
            }
            None => self.charges.push(*charge),
        }
        Ok(())
    }

    /// Shift of the Gaussian charges together, in standard deviations.
    fn mu(&self) -> f64 {
        let distance = match self.adjacency {
            Adjacency::AddRemove => 1.0,
            Adjacency::ReplaceOne => 2.0,
        };
        distance * self.gaussian.sqrt().next_up()
    }

    /// The smallest epsilon shown to hold at `delta`, rounded up; the smallest positive number where none is needed.
    ///
    /// # Errors
    /// [`AccountError::TooLarge`] when tables would grow too long, [`DpError::Unbounded`] when no finite epsilon can be shown.
    pub fn epsilon(&self, delta: Delta) -> Result<Epsilon, AccountError> {
        let found = if self.charges.is_empty() {
            if self.gaussian > 0.0 {
                normal::gaussian_epsilon(self.mu(), delta.get())
            } else {
                0.0
            }
        } else {
            let mut planner = Planner::new();
            self.worst(|direction| self.epsilon_in(direction, delta.get(), &mut planner))?
        };
        Epsilon::new(found.max(Epsilon::FLOOR.get()))
            .map_err(|_| AccountError::Dp(DpError::Unbounded))
    }

    /// The smallest delta shown to hold at `epsilon` (which may be 0: the total variation distance), rounded up.
    ///
    /// # Errors
    /// As [`Pld::epsilon`]; [`DpError::NoDelta`] when none below one can be shown.
    pub fn delta(&self, epsilon: f64) -> Result<Delta, AccountError> {
        if !(epsilon.is_finite() && epsilon >= 0.0) {
            let (what, range) = ("epsilon", "finite and at least 0");
            return Err(DpError::OutOfRange {
                what,
                range,
                value: epsilon,
            }
            .into());
        }
        let found = if self.charges.is_empty() {
            if self.gaussian > 0.0 {
                normal::gaussian_delta(self.mu(), epsilon)
            } else {
                0.0
            }
        } else {
            let mut planner = Planner::new();
            self.worst(|direction| self.delta_in(direction, epsilon, &mut planner))?
        };
        let refused = DpError::NoDelta {
            epsilon: Epsilon::new(epsilon).unwrap_or(Epsilon::FLOOR),
        };
        Delta::new(found.max(f64::MIN_POSITIVE)).map_err(|_| refused.into())
    }

    /// [`Pld::epsilon`] at each delta.
    ///
    /// # Errors
    /// As there.
    pub fn epsilon_curve(&self, deltas: &[Delta]) -> Result<Vec<(Delta, Epsilon)>, AccountError> {
        let point = |delta: &Delta| self.epsilon(*delta).map(|epsilon| (*delta, epsilon));
        deltas.iter().map(point).collect()
    }

    fn worst(
        &self,
        mut one: impl FnMut(Direction) -> Result<f64, AccountError>,
    ) -> Result<f64, AccountError> {
        // Without sampling, and for symmetric noise, both directions are mirror images.
        let symmetric = self.charges.iter().all(Charge::is_unsampled);
        let directions = match Direction::of(self.adjacency) {
            [first, ..] if symmetric => std::slice::from_ref(first),
            all => all,
        };
        let mut worst = 0.0f64;
        for direction in directions {
            worst = worst.max(one(*direction)?);
        }
        Ok(worst)
    }

    /// All laws of one direction.
    fn laws(&self, direction: Direction, cut: f64) -> Result<Vec<(Law, u64)>, AccountError> {
        let mut charges = self.charges.clone();
        if self.gaussian > 0.0 {
            let sigma = 1.0 / self.gaussian.sqrt().next_up();
            let noise = Noise::Gaussian { sigma };
            charges.push(Charge::new(noise, crate::SamplingRate::ALL, 1)?);
        }
        let law = |charge: &Charge| Ok((Law::of(charge, direction, cut)?, charge.count()));
        charges.iter().map(law).collect()
    }

    fn epsilon_in(
        &self,
        direction: Direction,
        delta: f64,
        planner: &mut Planner,
    ) -> Result<f64, AccountError> {
        let log_delta = libm::log(delta);
        let mut cut = (delta * 1e-9 / self.steps()).max(1e-290);
        let mut expected: Option<Answer> = None;
        for _ in 0..12 {
            let laws = self.laws(direction, cut)?;
            let sketch = Sketch::new(&laws);
            let (epsilon, theta) = match expected {
                Some(answer) => (answer.epsilon, sketch.weight(answer.epsilon).0),
                None => {
                    let tail = sketch.tail(log_delta);
                    (tail.epsilon, tail.theta)
                }
            };
            let slope = expected.map_or(theta, |answer| answer.slope.max(theta));
            let aim = Aim {
                theta,
                slope,
                epsilon,
                log_delta,
                cut,
            };
            match self
                .setting(&laws, &sketch, &aim)?
                .compose(planner)
                .epsilon(delta)
            {
                // Planned for a much larger epsilon or a much flatter curve: the grid was too coarse, unless it was asked for.
                Some(found)
                    if self.interval.is_none()
                        && found.epsilon > 0.0
                        && (found.epsilon < 0.7 * epsilon
                            || found.slope + 1.0 > 1.3 * (slope + 1.0)) =>
                {
                    expected = Some(found);
                }
                Some(found) => return Ok(found.epsilon),
                None => cut = (cut * 1e-6).max(1e-290),
            }
        }
        let answer = expected.map(|answer| answer.epsilon);
        answer.ok_or_else(|| DpError::Unbounded.into())
    }

    fn delta_in(
        &self,
        direction: Direction,
        epsilon: f64,
        planner: &mut Planner,
    ) -> Result<f64, AccountError> {
        let mut cut = 1e-20 / self.steps();
        let mut found = 1.0f64;
        for _ in 0..16 {
            let laws = self.laws(direction, cut)?;
            let most: f64 = laws
                .iter()
                .map(|(law, count)| *count as f64 * law.largest())
                .sum();
            if epsilon >= most * (1.0 + 1e-9) {
                return Ok(0.0); // no loss is that large
            }
            let sketch = Sketch::new(&laws);
            let (theta, log_delta) = sketch.weight(epsilon);
            let aim = Aim {
                theta,
                slope: theta,
                epsilon,
                log_delta: log_delta.min(libm::log(found)),
                cut,
            };
            let composed = self.setting(&laws, &sketch, &aim)?.compose(planner);
            found = composed.delta(epsilon).min(1.0);
            if composed.beyond <= 1e-6 * found || cut <= 1e-290 {
                break;
            }
            cut = (cut * 1e-20).max(1e-290);
        }
        Ok(found)
    }

    fn steps(&self) -> f64 {
        let sum: f64 = self
            .charges
            .iter()
            .map(|charge| charge.count() as f64)
            .sum();
        sum + 1.0
    }

    /// Chooses interval and window (AC-19), and discretises.
    fn setting(
        &self,
        laws: &[(Law, u64)],
        sketch: &Sketch,
        aim: &Aim,
    ) -> Result<Setting, AccountError> {
        let (mean, deviation) = sketch.tilted(aim.theta);
        // What lies above the window is to weigh next to nothing beside delta.
        let log_top = aim.log_delta - BEYOND;
        let top_theta = sketch.tail(log_top).theta.max(aim.theta);
        let steps: f64 = laws.iter().map(|(_, count)| *count as f64).sum();
        let scale = aim.epsilon.max(1e-3 * deviation);
        // Where moments bound badly, the curve is steeper at epsilon than their best order.
        let wanted = sketch.interval(aim.slope.max(0.25 * top_theta), ACCURACY * scale);
        let ranges = laws.iter().map(|(law, _)| law.range(aim.cut));
        let widest = ranges.map(|(a, b)| b - a).fold(0.0, f64::max);
        let longest = (MAX_POINTS / 2) as f64;
        let high = (sketch.log_moment(top_theta) - log_top) / top_theta;
        let high = high.max(aim.epsilon) + 0.5 * deviation;
        // What lies below is added at the window's top, where it weighs next to nothing.
        let low = (mean - 4.0 * deviation).min(0.4 * aim.epsilon);
        let interval = self
            .interval
            .unwrap_or(wanted)
            .max(widest / longest)
            .max((high - low) / longest);
        // The grid's own moment at the top is a little larger than the sketch's.
        let raised = 2.0 * ACCURACY * scale * (top_theta + 1.0) / (aim.theta + 1.0);
        let high = high + 4.0 * interval + raised.min(high);
        let mut spec = Spec::new(
            interval,
            aim.cut,
            (1e-6 * scale / (steps * interval)).clamp(1e-9, 1e-4),
            self.rounding,
        );
        if self.rounding == Rounding::ConnectTheDots {
            // A thousand cells of the largest weight raise epsilon by a millionth (AC-19, Interval).
            let theta = aim.slope.max(aim.theta);
            let most = 1.2e-8 * scale / (steps * (theta + 1.0) * interval * interval);
            let widest = 0.2 / ((theta + 1.0) * interval);
            spec.light = Light {
                theta,
                most,
                widest,
            };
        }
        let first = grid_floor(low / interval)?;
        let points = grid_floor((high - low) / interval)? + 2;
        let points = usize::try_from(points)
            .map_err(|_| too_quiet())?
            .next_power_of_two();
        let parts: Vec<(Cells, u64)> = laws
            .iter()
            .map(|(law, count)| (law.discretise(&spec), *count))
            .collect();
        Ok(Setting {
            parts,
            interval,
            theta: aim.theta,
            top_theta,
            first,
            points: points.max(64),
        })
    }
}

/// Losses and masses of a law on a grid; nothing where some mass counts as infinite loss.
pub(crate) fn grid_points(law: &Law, interval: f64, rounding: Rounding) -> Option<Vec<(f64, f64)>> {
    let spec = Spec::new(interval, f64::MIN_POSITIVE, 1e-9, rounding);
    let cells = law.discretise(&spec);
    let loss = |k: i64| k as f64 * interval;
    let points = (cells.first..).zip(cells.mass);
    (cells.infinite == 0.0).then(|| points.map(|(k, mass)| (loss(k), mass)).collect())
}

/// What a composition is asked for.
struct Aim {
    theta: f64,
    /// How steeply `ln delta` falls around epsilon, if known better than by theta.
    slope: f64,
    epsilon: f64,
    log_delta: f64,
    cut: f64,
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn grid_floor(value: f64) -> Result<i64, AccountError> {
    if value.abs() < 1e15 {
        Ok(value.floor() as i64)
    } else {
        Err(too_quiet())
    }
}
