//! Zero-concentrated differential privacy (Bun & Steinke 2016; AC-23).

use crate::rdp::convert::{delta_at, epsilon_at};
use crate::{Delta, DpError, Epsilon};

/// A zCDP loss: the Rényi divergence of every order `a > 1` is at most `a * rho`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Zcdp(f64);

impl Zcdp {
    /// A loss of `rho`.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] unless finite and at least 0.
    pub fn new(rho: f64) -> Result<Self, DpError> {
        if rho.is_finite() && rho >= 0.0 {
            Ok(Self(rho))
        } else {
            let (what, range) = ("rho", "finite and at least 0");
            Err(DpError::OutOfRange {
                what,
                range,
                value: rho,
            })
        }
    }

    /// Gaussian or discrete Gaussian noise over all records, `sigma` per unit of sensitivity: `1 / (2 sigma^2)` (proposition 1.6; Canonne, Kamath, Steinke
    /// 2020, theorem 4), rounded up.
    ///
    /// # Errors
    /// As [`Zcdp::new`].
    pub fn gaussian(sigma: f64) -> Result<Self, DpError> {
        Self::new((0.5 / (sigma * sigma)).next_up().next_up())
    }

    /// Anything with pure loss `epsilon`: `epsilon^2 / 2` (proposition 1.4), rounded up.
    ///
    /// # Errors
    /// As [`Zcdp::new`].
    pub fn pure(epsilon: Epsilon) -> Result<Self, DpError> {
        Self::new((0.5 * epsilon.get() * epsilon.get()).next_up())
    }

    /// The loss.
    #[must_use]
    pub const fn rho(self) -> f64 {
        self.0
    }

    /// Both together, also when chosen adaptively (lemma 1.7), rounded up.
    #[must_use]
    pub fn compose(self, other: Self) -> Self {
        Self((self.0 + other.0).next_up())
    }

    /// `count` times the same, rounded up.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self(((count as f64).next_up() * self.0).next_up())
    }

    /// For groups of `size` records: `size^2 rho` (proposition 1.9), rounded up.
    #[must_use]
    pub fn group(self, size: u32) -> Self {
        Self(
            (f64::from(size) * f64::from(size) * self.0)
                .next_up()
                .next_up(),
        )
    }

    /// The smallest epsilon at `delta` over all real orders (Canonne, Kamath, Steinke 2020, corollary 13), rounded up.
    ///
    /// # Errors
    /// [`DpError::Unbounded`] where it is not finite.
    pub fn epsilon(self, delta: Delta) -> Result<Epsilon, DpError> {
        let shown = |order: f64| epsilon_at(order, order * self.0, delta.get());
        let found = least(shown).max(Epsilon::FLOOR.get());
        Epsilon::new(found).map_err(|_| DpError::Unbounded)
    }

    /// `rho + 2 sqrt(rho ln(1/delta))` (proposition 1.3): larger than [`Zcdp::epsilon`], kept for comparison.
    #[must_use]
    pub fn epsilon_closed_form(self, delta: Delta) -> f64 {
        let root = libm::sqrt(self.0 * -libm::log(delta.get()));
        (self.0 + 2.0 * root) * (1.0 + 8.0 * f64::EPSILON)
    }

    /// The smallest delta at `epsilon` over all real orders, rounded up.
    ///
    /// # Errors
    /// [`DpError::NoDelta`] when none below one can be shown.
    pub fn delta(self, epsilon: Epsilon) -> Result<Delta, DpError> {
        let shown = |order: f64| libm::log(delta_at(order, order * self.0, epsilon.get()));
        let found = libm::exp(least(shown)) * (1.0 + 1e-12);
        Delta::new(found.max(f64::MIN_POSITIVE)).map_err(|_| DpError::NoDelta { epsilon })
    }
}

/// The least value over orders; each is a bound, so that a search that stops early only gives away tightness.
fn least(shown: impl Fn(f64) -> f64) -> f64 {
    let at = |step: f64| 1.0 + libm::exp(step);
    let (mut best, mut value) = (0.0, f64::INFINITY);
    let mut step = -5.0;
    while step < 30.0 {
        let found = shown(at(step));
        if found < value {
            (best, value) = (step, found);
        }
        step += 0.25;
    }
    let (mut low, mut high) = (best - 0.25, best + 0.25);
    for _ in 0..60 {
        let third = (high - low) / 3.0;
        let (left, right) = (shown(at(low + third)), shown(at(high - third)));
        value = value.min(left).min(right);
        if left <= right {
            high -= third;
        } else {
            low += third;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// dp-accounting 0.6.0's reference values (cdp_eps of Canonne, Kamath, Steinke; Bun & Steinke's closed form).
    #[test]
    fn conversions() {
        for (rho, delta, best, closed) in [
            (0.05, 1e-6, 1.471_594_750_532_416, 1.712_258_136_269_11),
            (0.5, 1e-5, 4.728_386_984_943_314, 5.298_525_912_188_081),
            (2.63, 1e-10, 17.430_584_487_345_115, 18.193_802_613_210_36),
        ] {
            let (loss, delta) = (Zcdp::new(rho).unwrap(), Delta::new(delta).unwrap());
            let ours = loss.epsilon(delta).unwrap();
            assert!((ours.get() / best - 1.0).abs() < 1e-9);
            assert!((loss.epsilon_closed_form(delta) / closed - 1.0).abs() < 1e-12);
            assert!(loss.delta(ours).unwrap().get() <= delta.get() * (1.0 + 1e-9));
        }
    }

    #[test]
    fn arithmetic() {
        let one = Zcdp::gaussian(2.0).unwrap();
        assert!((one.compose(one).rho() - 0.25).abs() < 1e-15 && one.compose(one).rho() > 0.25);
        assert!((one.times(8).group(3).rho() - 9.0).abs() < 1e-13);
        assert!((Zcdp::pure(Epsilon::new(0.2).unwrap()).unwrap().rho() - 0.02).abs() < 1e-16);
        assert!(Zcdp::new(-1.0).is_err() && Zcdp::new(f64::NAN).is_err());
        let none = Zcdp::default().epsilon(Delta::new(0.1).unwrap()).unwrap();
        assert_eq!(none, Epsilon::FLOOR);
    }
}
