//! Masses on an even grid of losses: connect the dots (Doroshenko et al. 2022) and, for comparison, privacy buckets (AC-16).

#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numeric kernel; cells are allocated for the range before anything is placed"
)]

use super::law::UNIT;

/// How mass between two grid points is moved to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// To both ends, so that P and Q keep their masses: never too low, error of second order.
    #[default]
    ConnectTheDots,
    /// To the upper end: never too low, error of first order (privacy buckets). For comparison.
    Up,
    /// To the lower end, infinite losses dropped: never too *high*. A lower bound for tests, not a guarantee.
    InsecureDown,
}

/// How a law is put on a grid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    /// Distance of grid points.
    pub(crate) interval: f64,
    /// Mass of a tail that may count as infinite loss.
    pub(crate) cut: f64,
    /// Error of a cell's upper share up to which the fast formula is used.
    pub(crate) tolerance: f64,
    pub(crate) rounding: Rounding,
    /// Where connect-the-dots may skip grid points.
    pub(super) light: Light,
    /// `1 - exp(-interval)`.
    span: f64,
}

/// Cells so light that several of them may be one: wider cells are as sound and, where next to nothing lies in them, as exact.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Light {
    /// The tilt under which a cell's weight counts.
    pub(super) theta: f64,
    /// Largest weight, times the square of the width.
    pub(super) most: f64,
    /// Widest cell, in intervals.
    pub(super) widest: f64,
}

impl Light {
    /// Whether this mass below this loss may lie in one cell, `width` grid intervals wide.
    pub(super) fn fits(&self, mass: f64, loss: f64, width: i64) -> bool {
        let width = width as f64;
        width <= self.widest && mass * libm::exp(self.theta * loss) * width * width <= self.most
    }
}

impl Spec {
    pub(crate) fn new(interval: f64, cut: f64, tolerance: f64, rounding: Rounding) -> Self {
        Self {
            interval,
            cut,
            tolerance,
            rounding,
            light: Light::default(),
            span: -libm::expm1(-interval),
        }
    }

    /// The same for cells of `width` intervals.
    pub(super) fn widened(&self, width: i64) -> Self {
        if width == 1 {
            return *self;
        }
        let interval = self.interval * width as f64;
        Self {
            interval,
            span: -libm::expm1(-interval),
            ..*self
        }
    }
}

/// Masses at `(first + i) * interval`, and infinite loss.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    pub(crate) first: i64,
    pub(crate) mass: Vec<f64>,
    pub(crate) infinite: f64,
}

impl Cells {
    /// Room for losses in `range`.
    pub(super) fn new(range: (f64, f64), spec: &Spec) -> Self {
        let first = (range.0 / spec.interval).floor() as i64 - 1;
        let last = (range.1 / spec.interval).ceil() as i64 + 1;
        Self {
            first,
            mass: vec![0.0; (last - first + 1) as usize],
            infinite: 0.0,
        }
    }

    /// A mass at one loss.
    pub(super) fn place(&mut self, loss: f64, mass: f64, spec: &Spec) {
        let cell = (loss / spec.interval).floor();
        let above = loss - cell * spec.interval;
        let share = -libm::expm1(-above) / spec.span;
        self.split(cell as i64, mass, share, spec);
    }

    /// A mass between grid points `cell` and `cell + 1`: `share` of it, rounded up, goes to the upper.
    pub(super) fn split(&mut self, cell: i64, mass: f64, share: f64, spec: &Spec) {
        self.split_wide((cell, 1), mass, share, spec);
    }

    /// [`Cells::split`] between a grid point and the one a width further.
    pub(super) fn split_wide(
        &mut self,
        (cell, width): (i64, i64),
        mass: f64,
        share: f64,
        spec: &Spec,
    ) {
        let at = (cell - self.first).clamp(0, self.mass.len() as i64 - 1 - width) as usize;
        let loss = cell as f64 * spec.interval;
        // The cell's ends are known to a few roundings of the loss.
        let share = match spec.rounding {
            Rounding::ConnectTheDots => {
                (share + 32.0 * UNIT * (1.0 + loss.abs()) / spec.interval).clamp(0.0, 1.0)
            }
            Rounding::Up => 1.0,
            Rounding::InsecureDown => 0.0,
        };
        let up = 1.0 + 8.0 * UNIT;
        self.mass[at + width as usize] += mass * share * up;
        self.mass[at] += mass * (1.0 - share) * up;
    }

    /// The share for a cell starting at loss `low`: `(P - e^low Q) / (P (1 - e^-interval))`; `excess` is the bracket, rounded up.
    pub(super) fn share(excess: f64, mass: f64, spec: &Spec) -> f64 {
        if mass > 0.0 {
            (excess / (mass * spec.span)).min(1.0)
        } else {
            1.0
        }
    }
}
