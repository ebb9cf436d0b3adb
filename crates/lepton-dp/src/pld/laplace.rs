//! Continuous Laplace noise on one number: two lumps of constant loss and smooth stretches between the centres (AC-17).

#![expect(
    clippy::cast_possible_truncation,
    reason = "grid indices; the range is checked by the caller"
)]

use super::grid::{Cells, Spec};
use super::law::{Direction, UNIT};

/// Between two neighbouring centres, `t` from 0 to 1 from the one of `near` to the one of `far`: `P = p0 near + p1 far`, `Q = q0 near + q1 far`.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    near: (f64, f64),
    far: (f64, f64),
    /// `p0 - q0` and `p1 - q1` without cancellation.
    differences: (f64, f64),
}

/// The law of one run.
#[derive(Clone, Debug)]
pub(crate) struct LaplaceLaw {
    /// One over the scale.
    rate: f64,
    /// Loss and mass outside of the centres.
    lumps: [(f64, f64); 2],
    stretches: Vec<Stretch>,
}

impl LaplaceLaw {
    pub(super) fn new(scale: f64, sampling: f64, direction: Direction) -> Self {
        let (s, q) = (1.0 / scale, sampling);
        let keep = 1.0 - q;
        let (fall, rise) = (libm::exp(-s), libm::expm1(s));
        // P/f beyond the centre of the shifted noise, and before the other.
        let beyond = |x: f64| libm::log1p(q * libm::expm1(x));
        let after = if s > 30.0 {
            s + libm::log(q) + libm::log1p(keep / q * fall)
        } else {
            libm::log1p(q * rise)
        };
        let before = beyond(-s);
        let mixed = Stretch {
            near: (keep, 1.0),
            far: (q, 0.0),
            differences: (-q, q),
        };
        let (lumps, stretches) = match direction {
            Direction::Remove => (
                [
                    (before, 0.5 * (keep + q * fall)),
                    (after, 0.5 * (keep * fall + q)),
                ],
                vec![mixed],
            ),
            Direction::Add => (
                [(-before, 0.5), (-after, 0.5 * fall)],
                vec![mixed.swapped()],
            ),
            Direction::Replace => {
                let base = keep + q * fall;
                let loss = after - before;
                let half = Stretch {
                    near: (keep, base),
                    far: (q, 0.0),
                    differences: (-q * fall, q),
                };
                (
                    [(loss, 0.5 * (keep * fall + q)), (-loss, 0.5 * fall * base)],
                    vec![half, half.swapped()],
                )
            }
        };
        Self {
            rate: s,
            lumps,
            stretches,
        }
    }

    pub(super) fn range(&self) -> (f64, f64) {
        let [(a, _), (b, _)] = self.lumps;
        (a.min(b), a.max(b))
    }

    pub(super) fn sketch(&self) -> Vec<(f64, f64)> {
        const POINTS: u32 = 64;
        let mut points = self.lumps.to_vec();
        for stretch in &self.stretches {
            for i in 0..POINTS {
                let (t0, t1) = (
                    f64::from(i) / f64::from(POINTS),
                    f64::from(i + 1) / f64::from(POINTS),
                );
                let ratio = libm::exp(self.rate * (t0 + t1 - 1.0));
                let (upper, lower) = stretch.at(ratio);
                let (near, far) = self.masses(t0, t1);
                let mass = stretch.near.0 * near + stretch.far.0 * far;
                points.push((libm::log(upper / lower), mass));
            }
        }
        points
    }

    pub(super) fn place(&self, spec: &Spec, cells: &mut Cells) {
        for (loss, mass) in self.lumps {
            cells.place(loss, mass * (1.0 + 16.0 * UNIT), spec);
        }
        for stretch in &self.stretches {
            self.place_stretch(stretch, spec, cells);
        }
    }

    fn place_stretch(&self, stretch: &Stretch, spec: &Spec, cells: &mut Cells) {
        let (ends, interval) = (
            [self.end_loss(stretch, 0.0), self.end_loss(stretch, 1.0)],
            spec.interval,
        );
        let low = (ends[0].min(ends[1]) / interval).floor() as i64;
        let high = (ends[0].max(ends[1]) / interval).ceil() as i64;
        let rising = ends[1] >= ends[0];
        let place = |loss: f64, index: i64| {
            if index <= low {
                return if rising { 0.0 } else { 1.0 };
            }
            if index >= high {
                return if rising { 1.0 } else { 0.0 };
            }
            let t = 0.5 * (libm::log(stretch.ratio(loss)) / self.rate + 1.0);
            if t.is_nan() { 0.0 } else { t.clamp(0.0, 1.0) }
        };
        let mut from = place(low as f64 * interval, low);
        for cell in low..high {
            let to = place((cell + 1) as f64 * interval, cell + 1);
            let (t0, t1) = if rising {
                (from, to.max(from))
            } else {
                (to.min(from), from)
            };
            let (near, far) = self.masses(t0, t1);
            let mass = (stretch.near.0 * near + stretch.far.0 * far) * (1.0 + 16.0 * UNIT);
            let lower = stretch.near.1 * near + stretch.far.1 * far;
            let scale = libm::exp(cell as f64 * interval);
            let excess = mass - scale * lower + 16.0 * UNIT * (mass + scale * lower);
            if mass > 0.0 {
                cells.split(cell, mass, Cells::share(excess, mass, spec), spec);
            }
            from = to;
        }
    }

    fn end_loss(&self, stretch: &Stretch, t: f64) -> f64 {
        let (upper, lower) = stretch.at(libm::exp(self.rate * (2.0 * t - 1.0)));
        libm::log(upper / lower)
    }

    /// Mass of the noise around `near` and of the one around `far` between `t0` and `t1`.
    fn masses(&self, t0: f64, t1: f64) -> (f64, f64) {
        let s = self.rate;
        let width = -libm::expm1(-s * (t1 - t0));
        (
            0.5 * libm::exp(-s * t0) * width,
            0.5 * libm::exp(-s * (1.0 - t1)) * width,
        )
    }
}

impl Stretch {
    /// P and Q exchanged.
    fn swapped(&self) -> Self {
        let swap = |(a, b): (f64, f64)| (b, a);
        Self {
            near: swap(self.near),
            far: swap(self.far),
            differences: (-self.differences.0, -self.differences.1),
        }
    }

    /// P and Q over `near`, at the ratio `far / near`.
    fn at(&self, ratio: f64) -> (f64, f64) {
        (
            self.near.0 + self.far.0 * ratio,
            self.near.1 + self.far.1 * ratio,
        )
    }

    /// The ratio `far / near` at which the loss is `loss`: `(p0 - e^L q0) / (e^L q1 - p1)`.
    fn ratio(&self, loss: f64) -> f64 {
        let grown = libm::expm1(loss);
        (self.differences.0 - self.near.1 * grown) / (self.far.1 * grown - self.differences.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pld::grid::Rounding;

    /// AC-16: on the grid, P keeps its mass and Q (mass times `e^-loss`) too.
    #[test]
    fn both_masses_are_kept() {
        let spec = Spec::new(1e-3, 1e-30, 1e-9, Rounding::ConnectTheDots);
        for direction in [Direction::Remove, Direction::Add, Direction::Replace] {
            for (scale, rate) in [(1.0, 1.0), (3.0, 0.2), (0.05, 0.01), (40.0, 0.5)] {
                let law = LaplaceLaw::new(scale, rate, direction);
                let mut cells = Cells::new(law.range(), &spec);
                law.place(&spec, &mut cells);
                let upper: f64 = cells.mass.iter().sum();
                let lower: f64 = cells
                    .mass
                    .iter()
                    .zip(cells.first..)
                    .map(|(mass, k)| mass * libm::exp(-(k as f64) * spec.interval))
                    .sum();
                assert!(
                    (upper - 1.0).abs() < 1e-11,
                    "{direction:?} {scale} {rate} {upper}"
                );
                assert!(
                    (lower - 1.0).abs() < 1e-7,
                    "{direction:?} {scale} {rate} {lower}"
                );
            }
        }
    }
}
