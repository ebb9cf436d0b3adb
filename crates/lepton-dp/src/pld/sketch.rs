//! Rough moments of a composition: they choose tilt, window and interval. Nothing here bears on soundness (AC-19).

use super::law::Law;

/// Points that all sketches together keep, about; each at least a tenth of the most.
const POINTS: usize = 600;

/// Losses with masses of each law, and how often it ran.
pub(super) struct Sketch {
    parts: Vec<(Vec<(f64, f64)>, f64)>,
    /// Whether losses come in lumps, which may fall in the middle between grid points.
    lumps: bool,
    /// Standard deviation of the total loss.
    deviation: f64,
}

/// A tilt and the loss that it bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    pub(super) theta: f64,
    pub(super) epsilon: f64,
}

impl Sketch {
    pub(super) fn new(laws: &[(Law, u64)]) -> Self {
        let share = (POINTS / laws.len().max(1)).max(POINTS / 10);
        let parts: Vec<_> = laws
            .iter()
            .map(|(law, count)| (thinned(law.sketch(), share), *count as f64))
            .collect();
        let variance: f64 = parts
            .iter()
            .map(|(points, count)| count * moments(points, 0.0).1)
            .sum();
        Self {
            parts,
            lumps: laws.iter().any(|(law, _)| !matches!(law, Law::Gaussian(_))),
            deviation: libm::sqrt(variance).max(1e-12),
        }
    }

    /// `ln E exp(theta * total loss)`.
    pub(super) fn log_moment(&self, theta: f64) -> f64 {
        let one = |(points, count): &(Vec<(f64, f64)>, f64)| count * log_moment(points, theta);
        self.parts.iter().map(one).sum()
    }

    /// Mean and standard deviation of the total loss, tilted by `theta`.
    pub(super) fn tilted(&self, theta: f64) -> (f64, f64) {
        let (mut mean, mut variance) = (0.0, 0.0);
        for (points, count) in &self.parts {
            let (m, v) = moments(points, theta);
            mean += count * m;
            variance += count * v;
        }
        (mean, libm::sqrt(variance))
    }

    /// The largest interval whose grid raises the loss at this tilt by about `most`, not above 0.2 over the order. Splitting a loss between grid points at distances a and b
    /// multiplies `exp(theta L)` by `1 + theta (theta + 1) a b / 2`; on average `a b` is `h^2 / 6` (at most `h^2 / 4`), less for losses next to grid point 0.
    pub(super) fn interval(&self, theta: f64, most: f64) -> f64 {
        let tilted: Vec<_> = self
            .parts
            .iter()
            .map(|(points, count)| (absolute(points, theta), *count))
            .collect();
        let divisor = if self.lumps { 4.0 } else { 6.0 };
        let raised = |h: f64| {
            let split = |loss: &f64| {
                if *loss < h {
                    (loss * (h - loss)).min(h * h / divisor)
                } else {
                    h * h / divisor
                }
            };
            let one = |(points, count): &(Vec<(f64, f64)>, f64)| {
                let sum: f64 = points
                    .iter()
                    .map(|(loss, weight)| weight * split(loss))
                    .sum();
                count * sum
            };
            0.5 * (theta + 1.0) * tilted.iter().map(one).sum::<f64>()
        };
        let (mut low, mut high) = (-60.0, libm::log(0.2 / (theta + 1.0)));
        if raised(libm::exp(high)) <= most {
            return libm::exp(high);
        }
        for _ in 0..24 {
            let middle = 0.5 * (low + high);
            if raised(libm::exp(middle)) <= most {
                low = middle;
            } else {
                high = middle;
            }
        }
        libm::exp(low)
    }

    /// The loss passed with `ln` weight `log_delta`, by the best moment.
    pub(super) fn tail(&self, log_delta: f64) -> Tail {
        let value = |theta: f64| {
            let order = theta + 1.0;
            let conversion = libm::log(theta / order) - libm::log(order) / theta;
            (self.log_moment(theta) - log_delta) / theta + conversion
        };
        let theta = self.minimum(value);
        Tail {
            theta,
            epsilon: value(theta),
        }
    }

    /// The tilt that bounds the weight above `epsilon`, and the bound's `ln`.
    pub(super) fn weight(&self, epsilon: f64) -> (f64, f64) {
        let value = |theta: f64| {
            let order = theta + 1.0;
            let conversion = theta * libm::log(theta / order) - libm::log(order);
            // Less than any float: the mildest tilt that shows it will do.
            (self.log_moment(theta) - theta * epsilon + conversion).max(-700.0)
        };
        let theta = self.minimum(value);
        (theta, value(theta).min(0.0))
    }

    /// Where `value` is least, for theta over seven decades around the reciprocal of the deviation.
    fn minimum(&self, value: impl Fn(f64) -> f64) -> f64 {
        let at = |step: f64| libm::exp(step) / self.deviation;
        let (mut best, mut least) = (0.0, f64::INFINITY);
        let mut step = -7.0;
        while step <= 9.0 {
            let found = value(at(step));
            if found < least {
                (best, least) = (step, found);
            }
            step += 0.8;
        }
        let (mut low, mut high) = (best - 0.8, best + 0.8);
        for _ in 0..12 {
            let third = (high - low) / 3.0;
            if value(at(low + third)) <= value(at(high - third)) {
                high -= third;
            } else {
                low += third;
            }
        }
        at(0.5 * (low + high))
    }
}

/// Neighbouring points merged, so that few enough remain.
fn thinned(points: Vec<(f64, f64)>, most: usize) -> Vec<(f64, f64)> {
    let stride = points.len().div_ceil(most);
    if stride <= 1 {
        return points;
    }
    let merge = |group: &[(f64, f64)]| {
        let mass: f64 = group.iter().map(|point| point.1).sum();
        let loss: f64 = group.iter().map(|point| point.0 * point.1).sum();
        (if mass > 0.0 { loss / mass } else { 0.0 }, mass)
    };
    points.chunks(stride).map(merge).collect()
}

fn log_moment(points: &[(f64, f64)], theta: f64) -> f64 {
    let largest = largest(points, theta);
    let sum: f64 = points
        .iter()
        .map(|(loss, mass)| mass * libm::exp(theta * loss - largest))
        .sum();
    largest + libm::log(sum)
}

fn largest(points: &[(f64, f64)], theta: f64) -> f64 {
    let live = points.iter().filter(|(_, mass)| *mass > 0.0);
    live.map(|(loss, _)| theta * loss)
        .fold(f64::NEG_INFINITY, f64::max)
}

/// Absolute losses with their tilted weights.
fn absolute(points: &[(f64, f64)], theta: f64) -> Vec<(f64, f64)> {
    let log_sum = log_moment(points, theta);
    let weight = |(loss, mass): &(f64, f64)| (loss.abs(), mass * libm::exp(theta * loss - log_sum));
    points.iter().map(weight).collect()
}

/// Mean and variance, tilted.
fn moments(points: &[(f64, f64)], theta: f64) -> (f64, f64) {
    let largest = largest(points, theta);
    let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
    for (loss, mass) in points {
        let weight = mass * libm::exp(theta * loss - largest);
        sum += weight;
        first += weight * loss;
        second += weight * loss * loss;
    }
    let mean = first / sum;
    (mean, (second / sum - mean * mean).max(0.0))
}
