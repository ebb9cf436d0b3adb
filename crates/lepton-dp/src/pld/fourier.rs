//! Composition by the discrete Fourier transform of exponentially tilted masses, with its rounding error bounded (AC-19).

#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "numeric kernel; indices are reduced modulo the transform's length"
)]

use realfft::num_complex::Complex;

/// Keeps the tables of transforms between compositions.
pub(super) type Planner = realfft::RealFftPlanner<f64>;

use super::grid::Cells;
use super::law::UNIT;

/// Factors below `exp(-SILENT)` count as zero, and as error.
const SILENT: f64 = 90.0;

/// What to compose and how.
pub(super) struct Setting {
    pub(super) parts: Vec<(Cells, u64)>,
    pub(super) interval: f64,
    /// Masses at loss x are multiplied by `exp(theta x)` before they are transformed.
    pub(super) theta: f64,
    /// Tilt that bounds what lies above the window.
    pub(super) top_theta: f64,
    /// First grid point of the window, and how many points it has (a power of two).
    pub(super) first: i64,
    pub(super) points: usize,
}

/// The composed law in a window: the mass at grid point `first + i` is at most
/// `(mass[i] + error) * exp(log_scale - theta * loss)`.
pub(super) struct Composed {
    pub(super) first: i64,
    pub(super) interval: f64,
    pub(super) theta: f64,
    pub(super) log_scale: f64,
    pub(super) mass: Vec<f64>,
    pub(super) error: f64,
    /// Mass above the window, and infinite loss.
    pub(super) beyond: f64,
}

impl Setting {
    pub(super) fn compose(&self, planner: &mut Planner) -> Composed {
        let mut spectrum = Spectrum::new(self.points, planner);
        let (mut log_scale, mut log_slack, mut infinite) = (0.0, 0.0, 0.0);
        for (cells, count) in &self.parts {
            let runs = *count as f64;
            let tilted = self.tilt(cells, spectrum.input());
            log_scale += runs * tilted.log_scale;
            log_slack += runs * tilted.slack;
            infinite += runs * cells.infinite;
            spectrum.multiply(*count);
        }
        let (mass, error) = spectrum.back();
        Composed {
            first: self.first,
            interval: self.interval,
            theta: self.theta,
            log_scale: log_scale + log_slack + 4.0 * UNIT * log_scale.abs(),
            mass,
            error,
            beyond: self.above() + infinite * (1.0 + 1e-9),
        }
    }

    /// Writes the tilted masses, their places taken modulo the transform's length, into `input`.
    fn tilt(&self, cells: &Cells, input: &mut [f64]) -> Tilted {
        input.fill(0.0);
        let shift = largest(cells, self.interval, self.theta);
        let mut sum = 0.0;
        let mut at = cells.first.rem_euclid(input.len() as i64) as usize;
        for (mass, k) in cells.mass.iter().zip(cells.first..) {
            if *mass > 0.0 {
                let exponent = self.theta * (k as f64 * self.interval) - shift;
                let weight = mass * libm::exp(exponent) * exponent_slack(exponent, shift);
                input[at] += weight;
                sum += weight;
            }
            at += 1;
            if at == input.len() {
                at = 0;
            }
        }
        let factor = 1.0 / sum;
        input.iter_mut().for_each(|value| *value *= factor);
        Tilted {
            log_scale: shift - libm::log(factor),
            slack: (8.0 + 4.0 * shift.abs() + 4.0 * libm::log(factor).abs()) * UNIT,
        }
    }

    /// Mass above the window: `E exp(t L) exp(-t top)`.
    fn above(&self) -> f64 {
        let top = (self.first + self.points as i64) as f64 * self.interval;
        let theta = self.top_theta;
        let mut log_weight = -theta * top;
        let mut magnitude = log_weight.abs();
        for (cells, count) in &self.parts {
            let shift = largest(cells, self.interval, theta);
            let weight = |(mass, k): (&f64, i64)| {
                let exponent = theta * (k as f64 * self.interval) - shift;
                mass * libm::exp(exponent) * exponent_slack(exponent, shift)
            };
            let masses = cells.mass.iter().zip(cells.first..);
            let log_sum = libm::log(masses.filter(|(mass, _)| **mass > 0.0).map(weight).sum());
            log_weight += *count as f64 * (shift + log_sum);
            // Every term of the sum may cost half a rounding of it, which the factor below makes two.
            let summing = cells.mass.len() as f64 / 32.0;
            magnitude += *count as f64 * (shift.abs() + log_sum.abs() + summing);
        }
        libm::exp(log_weight + 1e-9 + 64.0 * UNIT * magnitude)
    }
}

/// Covers the rounding of `exp(exponent)` where the exponent came from a product less `shift`.
fn exponent_slack(exponent: f64, shift: f64) -> f64 {
    1.0 + (8.0 + 4.0 * exponent.abs() + 4.0 * shift.abs()) * UNIT
}

struct Tilted {
    log_scale: f64,
    slack: f64,
}

/// Largest exponent among the masses.
fn largest(cells: &Cells, interval: f64, theta: f64) -> f64 {
    let last = cells.mass.iter().rposition(|mass| *mass > 0.0).unwrap_or(0);
    theta * (cells.first + last as i64) as f64 * interval
}

/// A product of transforms with, for each frequency, an upper bound on what its exact magnitude could be.
struct Spectrum<'a> {
    planner: &'a mut Planner,
    input: Vec<f64>,
    output: Vec<Complex<f64>>,
    product: Vec<Complex<f64>>,
    bound: Vec<f64>,
    runs: f64,
    rounding: f64,
}

impl<'a> Spectrum<'a> {
    fn new(points: usize, planner: &'a mut Planner) -> Self {
        let half = points / 2 + 1;
        Self {
            planner,
            input: vec![0.0; points],
            output: vec![Complex::new(0.0, 0.0); half],
            product: vec![Complex::new(1.0, 0.0); half],
            bound: vec![1.0; half],
            runs: 0.0,
            // Every output is a sum of inputs, each times one factor of modulus 1 that is rounded a few times per stage (Higham 2002, section 24.1).
            rounding: 10.0 * (f64::from(points.ilog2()) + 3.0) * UNIT,
        }
    }

    fn input(&mut self) -> &mut [f64] {
        &mut self.input
    }

    /// Multiplies the product by the transform of `input` (which sums to 1) to the power `count`.
    fn multiply(&mut self, count: u64) {
        let plan = self.planner.plan_fft_forward(self.input.len());
        // Lengths fit by construction; a failure would leave a wrong product, so the bound is made infinite.
        if plan.process(&mut self.input, &mut self.output).is_err() {
            self.bound.fill(f64::INFINITY);
        }
        self.runs += count as f64;
        let quiet = libm::exp(-SILENT / count as f64) - self.rounding;
        let power = count as u32;
        let terms = self.product.iter_mut().zip(&mut self.bound);
        for ((product, bound), value) in terms.zip(&self.output) {
            let square = value.norm_sqr();
            if quiet > 0.0 && square < quiet * quiet {
                *product = Complex::new(0.0, 0.0);
                *bound *= libm::exp(-SILENT) * (1.0 + 1e-6);
            } else {
                let magnitude = square.sqrt() + self.rounding;
                if power == 1 {
                    *product *= value;
                    *bound *= magnitude;
                } else {
                    *product *= value.powu(power);
                    *bound *= power_of(magnitude, power);
                }
            }
        }
    }

    /// Masses and a bound on the error of each.
    fn back(mut self) -> (Vec<f64>, f64) {
        let points = self.input.len() as f64;
        let slack = 16.0 * (self.runs + 64.0) * UNIT;
        let (mut wrong, mut total) = (0.0, 0.0);
        for (product, bound) in self.product.iter().zip(&self.bound) {
            let magnitude = product.norm_sqr().sqrt();
            wrong += (bound - magnitude).max(0.0) + bound * slack;
            total += magnitude;
        }
        // Each frequency but the first and last stands for two.
        let error = 2.0 * (wrong + self.rounding * total) * (1.0 + 1e-6) / points;
        let ends = [0, self.product.len() - 1];
        for end in ends {
            self.product[end].im = 0.0;
        }
        let plan = self.planner.plan_fft_inverse(self.input.len());
        let failed = plan.process(&mut self.product, &mut self.input).is_err();
        self.input.iter_mut().for_each(|value| *value /= points);
        (self.input, if failed { f64::INFINITY } else { error })
    }
}

/// `base^power` by squaring.
fn power_of(base: f64, power: u32) -> f64 {
    let (mut result, mut square, mut left) = (1.0, base, power);
    while left > 0 {
        if left & 1 == 1 {
            result *= square;
        }
        square *= square;
        left >>= 1;
    }
    result
}

impl Composed {
    /// Smallest epsilon at which the weight above is at most `delta`: 0 where none is needed, nothing where what lies beyond the window is too heavy.
    pub(super) fn epsilon(&self, delta: f64) -> Option<Answer> {
        if self.beyond >= delta {
            return None;
        }
        let mut sums = Sums::default();
        for (i, loss) in self.losses_downwards() {
            if loss <= 0.0 {
                return Some(sums.answer(delta - self.beyond, 0.0));
            }
            // The first is a bound on the second that needs no exponential.
            let heavy = |above: f64| above + self.beyond >= delta;
            if heavy(sums.most()) && heavy(sums.above(loss)) {
                return Some(sums.answer(delta - self.beyond, loss));
            }
            sums.add(self.weight(i, loss), loss);
        }
        // Less than delta lies above the whole window: its lowest loss is an answer, if not the best.
        Some(sums.answer(delta, self.first as f64 * self.interval))
    }

    /// The weight above `epsilon`.
    pub(super) fn delta(&self, epsilon: f64) -> f64 {
        let mut sums = Sums::default();
        for (i, loss) in self.losses_downwards() {
            if loss <= epsilon {
                break;
            }
            sums.add(self.weight(i, loss), loss);
        }
        sums.above(epsilon) + self.beyond
    }

    fn losses_downwards(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let points = self.mass.len() as i64;
        (0..points).rev().map(move |i| {
            let k = self.first + i;
            (k.rem_euclid(points) as usize, k as f64 * self.interval)
        })
    }

    /// Upper bound on the mass at a loss.
    fn weight(&self, place: usize, loss: f64) -> f64 {
        let mass = (self.mass[place] + self.error).max(0.0);
        let exponent = self.log_scale - self.theta * loss;
        mass * libm::exp(exponent + 8.0 * UNIT * (self.theta * loss).abs())
    }
}

/// An epsilon, and by how much `ln delta` falls with it there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) epsilon: f64,
    pub(super) slope: f64,
}

/// `sum w` and `sum w exp(pivot - loss)`. The pivot starts at the first (largest) loss and follows the losses down.
#[derive(Default)]
struct Sums {
    weight: f64,
    discounted: f64,
    pivot: f64,
    /// Largest loss ever met, in absolute value: what the rounding of the exponents follows.
    reach: f64,
    terms: f64,
}

/// How far below the pivot a loss may lie: `exp` of more would in the end leave the range of floats.
const FAR: f64 = 300.0;

impl Sums {
    fn add(&mut self, weight: f64, loss: f64) {
        if self.terms == 0.0 {
            self.pivot = loss;
        }
        if self.pivot - loss > FAR {
            self.discounted *= libm::exp(loss - self.pivot);
            self.pivot = loss;
        }
        self.reach = self.reach.max(loss.abs());
        self.weight += weight;
        self.discounted += weight * libm::exp(self.pivot - loss);
        self.terms += 1.0;
    }

    /// Rounding of the sums, relative to the larger.
    fn slack(&self) -> f64 {
        (self.terms + 64.0 + 8.0 * self.reach) * UNIT
    }

    /// What [`Sums::above`] is at most, wherever it is asked for.
    fn most(&self) -> f64 {
        (self.weight * (1.0 + 2.0 * self.slack()).next_up()).next_up()
    }

    /// `sum w (1 - exp(epsilon - loss))`, rounded up, for epsilon up to the last loss.
    fn above(&self, epsilon: f64) -> f64 {
        if self.terms == 0.0 {
            return 0.0;
        }
        let left = self.weight - self.discounted * libm::exp(epsilon - self.pivot);
        // Not a number where a weight left the range of floats: then nothing is known to be gone.
        let left = if left.is_nan() { f64::INFINITY } else { left };
        left.max(0.0) + 2.0 * self.slack() * self.weight
    }

    fn answer(&self, delta: f64, least: f64) -> Answer {
        let epsilon = self.root(delta, least);
        let gone = self.discounted * libm::exp(epsilon - self.pivot);
        let slope = gone / delta;
        Answer { epsilon, slope }
    }

    /// The epsilon at which [`Sums::above`] is `delta`, at least `least`.
    fn root(&self, delta: f64, least: f64) -> f64 {
        let needed = self.weight * (1.0 + 2.0 * self.slack()) - delta;
        if needed <= 0.0 {
            return least;
        }
        let epsilon = self.pivot + libm::log(needed / self.discounted);
        if epsilon.is_nan() {
            return f64::INFINITY;
        }
        (epsilon + 8.0 * UNIT * (1.0 + epsilon.abs() + self.reach)).max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AC-19: rounding of the sums in the bound on what lies above is covered. The sum of equal masses, each rounded down, comes out below its true value by far more
    /// than a rounding, and the count multiplies that.
    #[test]
    fn above_covers_the_rounding_of_its_sums() {
        let (len, count) = (100_000u32, 100_000_000u64);
        let mass = 1.0 / f64::from(len);
        let naive: f64 = (0..len).map(|_| mass).sum();
        let truth = mass * f64::from(len);
        assert!(naive < truth * (1.0 - 1e-12), "the case has no power");
        let cells = Cells {
            first: 0,
            mass: vec![mass; len as usize],
            infinite: 0.0,
        };
        let setting = Setting {
            parts: vec![(cells, count)],
            interval: 1e-9,
            theta: 0.0,
            top_theta: 0.0,
            first: 0,
            points: 64,
        };
        assert!(setting.above() >= truth.powf(count as f64));
    }

    /// Losses over more than what `exp` can span: the sums stay those of the nearer losses.
    #[test]
    fn sums_span_any_range() {
        let mut sums = Sums::default();
        for loss in [2000.0, 1000.0, 1.0, 0.5] {
            sums.add(0.25, loss);
        }
        let truth = 0.5 + 0.25 * (1.0 - (-1.0f64).exp()) + 0.25 * (1.0 - (-0.5f64).exp());
        let found = sums.above(0.0);
        assert!(
            (truth..truth * (1.0 + 1e-10)).contains(&found),
            "{found} {truth}"
        );
        // A delta of 0.6 is met where the two near losses leave 0.1: 0.25 (2 - e^(x-1) - e^(x-0.5)) = 0.1.
        let root = (1.6 / ((-1.0f64).exp() + (-0.5f64).exp())).ln();
        let answer = sums.answer(0.6, 0.0);
        assert!(
            (root..root + 1e-9).contains(&answer.epsilon),
            "{answer:?} {root}"
        );
        let mut lost = Sums::default();
        lost.add(f64::INFINITY, 3.0);
        assert_eq!(lost.above(0.0), f64::INFINITY);
        assert_eq!(lost.root(0.1, 0.0), f64::INFINITY);
    }
}
