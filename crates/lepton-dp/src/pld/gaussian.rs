//! Continuous Gaussian noise, Poisson sampled or not (AC-17).

#![expect(
    clippy::cast_possible_truncation,
    reason = "grid indices; the range is checked by the caller"
)]

use super::grid::{Cells, Spec};
use super::law::{Direction, UNIT};
use super::normal::{tail, tail_error};

/// The law of one run, in units of the noise's standard deviation. Outcomes are mirrored where needed so that the loss rises with the outcome.
#[derive(Clone, Debug)]
pub(crate) struct GaussianLaw {
    direction: Direction,
    rate: f64,
    mu: f64,
    /// Centres of the two shifted noises that occur (equal for Remove and Add).
    centres: [f64; 2],
    /// Weight of the shifted noise in P and in Q.
    weights: (f64, f64),
}

/// Ends of cells where nothing new happens below: mass under P below the range is moved up.
const LEFT: f64 = 9.0;

/// Weights and nodes of three-point Gauss-Legendre quadrature on [-1, 1].
const NODES: [(f64, f64); 3] = [
    (-0.774_596_669_241_483_4, 5.0 / 9.0),
    (0.0, 8.0 / 9.0),
    (0.774_596_669_241_483_4, 5.0 / 9.0),
];

/// Largest product of a cell's width and the steepest slope in it for which quadrature is used: its error is below `0.2^6 / 2e6`.
const NARROW: f64 = 0.2;

/// Cells of larger losses are moved up whole: their ratio of masses leaves the range of floats.
const LARGEST_RATIO: f64 = 700.0;

/// Charged for the quadrature's error.
const QUADRATURE: f64 = 1e-9;

/// Tails at a cell's end: of the unshifted noise and of the two shifted.
#[derive(Clone, Copy)]
struct End {
    x: f64,
    tails: [f64; 3],
}

impl GaussianLaw {
    pub(super) fn new(sigma: f64, rate: f64, direction: Direction) -> Self {
        let mu = 1.0 / sigma;
        let (centres, weights) = match direction {
            Direction::Remove => ([mu, mu], (rate, 0.0)),
            Direction::Add => ([-mu, -mu], (0.0, rate)),
            Direction::Replace => ([mu, -mu], (rate, rate)),
        };
        Self {
            direction,
            rate,
            mu,
            centres,
            weights,
        }
    }

    /// `P(X > x)` under P, for x right of the centres.
    fn survival(&self, x: f64) -> f64 {
        let far = (x - self.centres[0]).max(0.0);
        (1.0 - self.weights.0) * tail(x.max(0.0)) + self.weights.0 * tail(far)
    }

    /// Outcomes between which the mass of P lies, but for `cut` above and a little below.
    fn outcomes(&self, cut: f64) -> (f64, f64) {
        let low = if self.weights.0 >= 1.0 {
            self.centres[0]
        } else {
            self.centres[0].min(0.0)
        };
        let low = if self.weights.0 > 0.0 { low } else { 0.0 };
        let (mut inside, mut outside) = (self.centres[0].max(0.0), self.mu.max(1.0) + 40.0);
        for _ in 0..60 {
            let middle = 0.5 * (inside + outside);
            if self.survival(middle) <= cut {
                outside = middle;
            } else {
                inside = middle;
            }
        }
        (low - LEFT, outside)
    }

    pub(super) fn range(&self, cut: f64) -> (f64, f64) {
        let (low, high) = self.outcomes(cut);
        (self.loss(low), self.loss(high))
    }

    /// Where only Q holds the shifted noise, the loss stays below `-ln(1 - q)`.
    pub(super) fn largest(&self) -> f64 {
        match self.direction {
            Direction::Add => -libm::log1p(-self.rate),
            Direction::Remove | Direction::Replace => f64::INFINITY,
        }
    }

    pub(super) fn sketch(&self) -> Vec<(f64, f64)> {
        const POINTS: u32 = 300;
        let (low, high) = self.outcomes(1e-60);
        let step = (high - low) / f64::from(POINTS);
        let mut points = Vec::new();
        let mut from = self.end(low);
        for i in 1..=POINTS {
            let to = self.end(low + step * f64::from(i));
            let mass = self.masses(&from, &to).0;
            points.push((self.loss(0.5 * (from.x + to.x)), mass));
            from = to;
        }
        points
    }

    /// `ln(P/Q)` at an outcome.
    fn loss(&self, x: f64) -> f64 {
        let log_ratio = |centre: f64| centre * (x - 0.5 * centre);
        let mixture = super::law::Mixture::new(self.direction, self.rate);
        mixture.loss(log_ratio(self.centres[0]), log_ratio(self.centres[1]))
    }

    /// The outcome at which the loss is `loss`; infinite beyond the largest and smallest loss.
    fn outcome(&self, loss: f64) -> f64 {
        let (q, mu) = (self.rate, self.mu);
        match self.direction {
            Direction::Remove => (log_excess(loss, q) + 0.5 * mu * mu) / mu,
            Direction::Add => -(log_excess(-loss, q) + 0.5 * mu * mu) / mu,
            Direction::Replace => {
                // q k z^2 - (1-q)(e^L - 1) z - e^L q k = 0 with z = exp(mu x), k = exp(-mu^2/2): asinh form, odd in the loss.
                let half = 0.5 * loss.abs();
                let scale = (1.0 - q) / q * libm::exp(0.5 * mu * mu);
                let x = (half + libm::asinh(scale * libm::sinh(half))) / mu;
                if loss < 0.0 { -x } else { x }
            }
        }
    }

    fn end(&self, x: f64) -> End {
        let one = |centre: f64| tail((x - centre).abs());
        let shifted = one(self.centres[0]);
        let other = if self.direction == Direction::Replace {
            one(self.centres[1])
        } else {
            shifted
        };
        End {
            x,
            tails: [one(0.0), shifted, other],
        }
    }

    /// Mass of P (rounded up from above), of Q, and the error bounds of both, between two ends.
    fn masses(&self, from: &End, to: &End) -> (f64, f64, f64, f64) {
        let [here, up, down] = [0.0, self.centres[0], self.centres[1]];
        let piece = |centre: f64, i: usize| {
            let (a, b) = (from.x - centre, to.x - centre);
            let (ta, tb) = (
                from.tails.get(i).copied().unwrap_or(0.0),
                to.tails.get(i).copied().unwrap_or(0.0),
            );
            let error = ta * tail_error(a.abs()) + tb * tail_error(b.abs());
            // Right tails rounded up, left tails down: what lies above any end is never too light.
            if a >= 0.0 {
                let mass = ta * (1.0 + tail_error(a)) - tb * (1.0 + tail_error(b));
                (mass.max(0.0), error)
            } else if b <= 0.0 {
                let mass = tb * (1.0 - tail_error(-b)) - ta * (1.0 - tail_error(-a));
                (mass.max(0.0), error)
            } else {
                let outside = tb * (1.0 + tail_error(b)) + ta * (1.0 - tail_error(-a));
                (1.0 - outside + 2.0 * UNIT, error)
            }
        };
        let (base, base_error) = piece(here, 0);
        let (high, high_error) = piece(up, 1);
        let (low, low_error) = if self.direction == Direction::Replace {
            piece(down, 2)
        } else {
            (high, high_error)
        };
        let (p, q) = self.weights;
        (
            (1.0 - p) * base + p * high,
            (1.0 - q) * base + q * low,
            (1.0 - p) * base_error + p * high_error,
            (1.0 - q) * base_error + q * low_error,
        )
    }

    pub(super) fn place(&self, spec: &Spec, cells: &mut Cells) {
        let (low, high) = self.range(spec.cut);
        let first = (low / spec.interval).floor() as i64;
        let last = (high / spec.interval).ceil() as i64;
        // What lies below the range is moved up to its first cell.
        let mut from = self.end(self.outcomes(spec.cut).0);
        let below = self.masses(&self.end(f64::NEG_INFINITY), &from).0;
        cells.split(first, below, 1.0, spec);
        let (mut cell, mut width) = (first, 1);
        while cell < last {
            width = width.min(last - cell);
            let upper = (cell + width) as f64 * spec.interval;
            let to = self.end(self.outcome(upper).max(from.x));
            let found = self.masses(&from, &to);
            if width > 1 && !spec.light.fits(found.0, upper, width) {
                width /= 2;
                continue;
            }
            if found.0 > 0.0 {
                let low = cell as f64 * spec.interval;
                let share = self.share(low, (&from, &to), found, &spec.widened(width));
                cells.split_wide((cell, width), found.0, share, spec);
            }
            (from, cell) = (to, cell + width);
            if spec.light.fits(2.0 * found.0, upper, 2 * width) {
                width *= 2;
            }
        }
        let beyond = if from.x == f64::INFINITY {
            0.0
        } else {
            self.survival(from.x) * (1.0 + tail_error(from.x.abs()))
        };
        cells.infinite += beyond;
    }

    /// Upper share of a cell from loss `low`: from the difference of masses where it is exact enough, else by quadrature over the cell, which is then narrow.
    fn share(&self, low: f64, ends: (&End, &End), found: (f64, f64, f64, f64), spec: &Spec) -> f64 {
        if low > LARGEST_RATIO {
            return 1.0;
        }
        let (mass, lower, mass_error, lower_error) = found;
        let scale = libm::exp(low);
        let error = 2.0 * (mass_error + scale * lower_error) + 8.0 * UNIT * (mass + scale * lower);
        let plain = Cells::share(mass - scale * lower + error, mass, spec);
        if Cells::share(error, mass, spec) <= spec.tolerance {
            return plain;
        }
        let (x0, x1) = (ends.0.x, ends.1.x);
        let slope = x0.abs().max(x1.abs()) + 2.0 * self.mu + 1.0;
        if (x1 - x0) * slope > NARROW {
            return plain;
        }
        plain.min(self.quadrature(scale, x0, x1, spec) + QUADRATURE)
    }

    fn quadrature(&self, scale: f64, x0: f64, x1: f64, spec: &Spec) -> f64 {
        let (middle, half) = (0.5 * (x0 + x1), 0.5 * (x1 - x0));
        let (p, q) = self.weights;
        let (mut excess, mut mass) = (0.0, 0.0);
        for (node, weight) in NODES {
            let x = middle + half * node;
            let ratio = |centre: f64| libm::exp(centre * (x - 0.5 * centre));
            let up = ratio(self.centres[0]);
            let down = if self.direction == Direction::Replace {
                ratio(self.centres[1])
            } else {
                up
            };
            let base = weight * libm::exp(0.5 * (middle - x) * (middle + x));
            let upper = (1.0 - p) + p * up;
            let lower = (1.0 - q) + q * down;
            excess += base * (upper - scale * lower);
            mass += base * upper;
        }
        Cells::share(excess + 16.0 * UNIT * mass, mass, spec)
    }
}

/// `ln((e^loss - 1 + q) / q)`: the log ratio at which `1 - q + q r` is `e^loss`. Minus infinity below the smallest loss.
fn log_excess(loss: f64, rate: f64) -> f64 {
    if loss > 30.0 {
        return loss - libm::log(rate) + libm::log1p(-(1.0 - rate) * libm::exp(-loss));
    }
    let inside = libm::expm1(loss) / rate;
    if inside <= -1.0 {
        f64::NEG_INFINITY
    } else {
        libm::log1p(inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pld::grid::{Light, Rounding};

    fn spec(interval: f64, tolerance: f64) -> Spec {
        Spec::new(interval, 1e-30, tolerance, Rounding::ConnectTheDots)
    }

    const LAWS: [(f64, f64); 5] = [
        (1.0, 1.0),
        (0.5, 0.3),
        (4.0, 0.01),
        (0.3, 1e-7),
        (50.0, 0.5),
    ];

    #[test]
    fn outcome_inverts_loss() {
        for direction in [Direction::Remove, Direction::Add, Direction::Replace] {
            for (sigma, rate) in LAWS {
                let law = GaussianLaw::new(sigma, rate, direction);
                for x in [-2.0, -0.1, 0.3, 1.0, 4.0] {
                    let loss = law.loss(x);
                    let back = law.loss(law.outcome(loss));
                    assert!(
                        (back - loss).abs() < 1e-13 * (1.0 + loss.abs()),
                        "{law:?} {x}"
                    );
                }
            }
        }
    }

    /// AC-19: merging light cells keeps both masses and never lowers the curve, and leaves few cells. Twin: the same cells rounded down are below.
    #[test]
    fn merged_cells_dominate() {
        let interval = 1e-4;
        for direction in [Direction::Remove, Direction::Add, Direction::Replace] {
            let law = GaussianLaw::new(1.0, 0.01, direction);
            let place = |most, rounding| {
                let mut spec = Spec::new(interval, 1e-16, 1e-6, rounding);
                spec.light = Light {
                    theta: 4.0,
                    most,
                    widest: 256.0,
                };
                let mut cells = Cells::new(law.range(spec.cut), &spec);
                law.place(&spec, &mut cells);
                cells
            };
            let over = |cells: &Cells, weight: &dyn Fn(f64) -> f64| -> f64 {
                let each = cells.mass.iter().zip(cells.first..);
                each.map(|(mass, k)| mass * weight(k as f64 * interval))
                    .sum()
            };
            let (fine, merged) = (
                place(0.0, Rounding::ConnectTheDots),
                place(1e-4, Rounding::ConnectTheDots),
            );
            let down = place(1e-4, Rounding::InsecureDown);
            let used = |cells: &Cells| cells.mass.iter().filter(|mass| **mass > 0.0).count();
            assert!(
                4 * used(&merged) < used(&fine),
                "{} {}",
                used(&merged),
                used(&fine)
            );
            assert!((over(&merged, &|_| 1.0) - 1.0).abs() < 1e-11);
            assert!((over(&merged, &|loss| libm::exp(-loss)) - 1.0).abs() < 1e-7);
            for epsilon in [-0.005, 0.0, 0.003, 0.5, 2.0] {
                let delta =
                    |cells: &Cells| over(cells, &|loss| (-libm::expm1(epsilon - loss)).max(0.0));
                let (low, middle, high) = (delta(&down), delta(&fine), delta(&merged));
                assert!(
                    high >= middle * (1.0 - 1e-9),
                    "{direction:?} {epsilon} {high:e} {middle:e}"
                );
                assert!(
                    high <= middle * (1.0 + 1e-3) + 1e-9,
                    "{direction:?} {epsilon} {high:e} {middle:e}"
                );
                assert!(
                    middle < 1e-15 || low < middle,
                    "{direction:?} {epsilon} {low:e} {middle:e}"
                );
            }
        }
    }

    /// AC-16: on the grid, P keeps its mass and Q too; the fast formula and quadrature agree.
    #[test]
    fn both_masses_are_kept() {
        for direction in [Direction::Remove, Direction::Add, Direction::Replace] {
            for (sigma, rate) in LAWS {
                let law = GaussianLaw::new(sigma, rate, direction);
                let (low, high) = law.range(1e-30);
                let interval = (high - low) / 5000.0;
                let place = |tolerance| {
                    let spec = spec(interval, tolerance);
                    let mut cells = Cells::new(law.range(spec.cut), &spec);
                    law.place(&spec, &mut cells);
                    cells
                };
                let (fast, exact) = (place(1.0), place(0.0));
                let sum = |cells: &Cells, sign: f64| -> f64 {
                    let each = cells.mass.iter().zip(cells.first..);
                    each.map(|(mass, k)| mass * libm::exp(sign * k as f64 * interval))
                        .sum()
                };
                assert!((sum(&fast, 0.0) - 1.0).abs() < 1e-11, "{law:?}");
                assert!(
                    (sum(&fast, -1.0) - 1.0).abs() < 1e-7,
                    "{law:?} {}",
                    sum(&fast, -1.0)
                );
                assert!(
                    (sum(&exact, -1.0) - 1.0).abs() < 1e-7,
                    "{law:?} {}",
                    sum(&exact, -1.0)
                );
                // The moment that a sum's mean follows.
                let mean = |cells: &Cells| -> f64 {
                    let each = cells.mass.iter().zip(cells.first..);
                    each.map(|(mass, k)| mass * k as f64 * interval).sum()
                };
                assert!((mean(&fast) - mean(&exact)).abs() < 1e-8 * high, "{law:?}");
            }
        }
    }
}
