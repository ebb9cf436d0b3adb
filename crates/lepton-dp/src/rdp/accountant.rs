//! Composition and conversion to (epsilon, delta).

use super::curve::round_up;
use super::{Event, Orders};
use crate::{Delta, DpError, Epsilon};

/// Adds up the Rényi divergences of releases on the same data set (AC-09) and states what they amount to (AC-10).
///
/// Releases may be chosen adaptively; samples and noise must be fresh for each.
#[derive(Clone, Debug, PartialEq)]
pub struct Accountant {
    /// One total for each of [`Orders::ALL`], never below the true one.
    totals: [f64; Orders::COUNT],
}

impl Default for Accountant {
    fn default() -> Self {
        Self::new()
    }
}

impl Accountant {
    /// Nothing charged yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            totals: [0.0; Orders::COUNT],
        }
    }

    /// Charges `count` releases of the same kind. None (`count` 0) charges nothing.
    ///
    /// # Errors
    /// [`DpError::Unbounded`], and nothing charged, when the total would be infinite at every order.
    pub fn add(&mut self, event: &Event, count: u64) -> Result<(), DpError> {
        if count == 0 {
            return Ok(());
        }
        let count = (count as f64).next_up();
        let mut sum = self.clone();
        for (total, order) in sum.totals.iter_mut().zip(Orders::ALL) {
            *total = (*total + (count * event.rdp(order)).next_up()).next_up();
        }
        self.replace_by(sum)
    }

    /// Charges all that `other` was charged.
    ///
    /// # Errors
    /// [`DpError::Unbounded`], and nothing charged, when the total would be infinite at every order.
    pub fn compose(&mut self, other: &Self) -> Result<(), DpError> {
        let mut sum = self.clone();
        for (total, more) in sum.totals.iter_mut().zip(other.totals) {
            *total = if more > 0.0 {
                (*total + more).next_up()
            } else {
                *total
            };
        }
        self.replace_by(sum)
    }

    /// The orders and the Rényi divergence charged at each.
    pub fn rdp(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        Orders::ALL.into_iter().zip(self.totals)
    }

    /// The smallest epsilon shown to hold at `delta`, rounded up, and the order that shows it. Where nothing was charged, the smallest positive number.
    ///
    /// Conversion: Canonne, Kamath, Steinke 2020, proposition 12 (Balle et al. 2020, theorem 21).
    ///
    /// # Errors
    /// [`DpError::Unbounded`] when no finite epsilon can be shown.
    pub fn epsilon(&self, delta: Delta) -> Result<(Epsilon, u32), DpError> {
        let candidates = self
            .rdp()
            .map(|(order, rdp)| (epsilon_at(order, rdp, delta), order));
        let (epsilon, order) = candidates
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .ok_or(DpError::Unbounded)?;
        let epsilon =
            Epsilon::new(epsilon.max(Epsilon::FLOOR.get())).map_err(|_| DpError::Unbounded)?;
        Ok((epsilon, order))
    }

    /// The epsilon shown by one order alone, rounded up: what a budget that stops adaptively chosen releases has to use, with an order fixed
    /// beforehand (Feldman & Zrnic 2021; the least over all orders is no such filter). Infinite where the order shows none.
    #[must_use]
    pub fn epsilon_by(&self, order: u32, delta: Delta) -> f64 {
        let found = self.rdp().find(|(candidate, _)| *candidate == order);
        found.map_or(f64::INFINITY, |(order, rdp)| epsilon_at(order, rdp, delta))
    }

    /// [`Accountant::epsilon`] at each delta.
    ///
    /// # Errors
    /// [`DpError::Unbounded`] as there.
    pub fn epsilon_curve(&self, deltas: &[Delta]) -> Result<Vec<(Delta, Epsilon)>, DpError> {
        deltas
            .iter()
            .map(|&delta| self.epsilon(delta).map(|(epsilon, _)| (delta, epsilon)))
            .collect()
    }

    /// The smallest delta shown to hold at `epsilon`, rounded up.
    ///
    /// # Errors
    /// [`DpError::NoDelta`] when none below one can be shown.
    pub fn delta(&self, epsilon: Epsilon) -> Result<Delta, DpError> {
        let delta = self
            .rdp()
            .map(|(order, rdp)| delta_at(order, rdp, epsilon))
            .fold(f64::INFINITY, f64::min);
        Delta::new(delta.max(f64::MIN_POSITIVE)).map_err(|_| DpError::NoDelta { epsilon })
    }

    fn replace_by(&mut self, sum: Self) -> Result<(), DpError> {
        if sum.totals.iter().any(|total| total.is_finite()) {
            *self = sum;
            Ok(())
        } else {
            Err(DpError::Unbounded)
        }
    }
}

/// Relative error allowed for in the sums below; each has a handful of roundings.
const SLACK: f64 = 16.0 * f64::EPSILON;

/// `rdp + ln((a-1)/a) - (ln delta + ln a) / (a-1)`, rounded up.
fn epsilon_at(order: u32, rdp: f64, delta: Delta) -> f64 {
    if rdp <= 0.0 {
        return 0.0; // a divergence of zero: both outputs have the same law
    }
    let a = f64::from(order);
    let (log_delta, log_order) = (libm::log(delta.get()), libm::log(a));
    let parts = [
        rdp,
        libm::log1p(-1.0 / a),
        -log_delta / (a - 1.0),
        -log_order / (a - 1.0),
    ];
    parts.iter().sum::<f64>() + magnitude(&parts) * SLACK
}

/// `exp((a-1) (rdp - epsilon)) (1 - 1/a)^a / (a-1)`, rounded up.
fn delta_at(order: u32, rdp: f64, epsilon: Epsilon) -> f64 {
    if rdp <= 0.0 {
        return 0.0;
    }
    let a = f64::from(order);
    let parts = [
        (a - 1.0) * rdp,
        -(a - 1.0) * epsilon.get(),
        a * libm::log1p(-1.0 / a),
        -libm::log(a - 1.0),
    ];
    let log_delta = parts.iter().sum::<f64>() + magnitude(&parts) * SLACK;
    round_up(libm::exp(log_delta))
}

fn magnitude(parts: &[f64]) -> f64 {
    parts.iter().map(|part| part.abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NoiseMultiplier, SamplingRate};
    use proptest::prelude::*;

    fn gaussian(z: f64) -> Event {
        Event::Gaussian {
            noise_multiplier: NoiseMultiplier::new(z).unwrap(),
        }
    }

    fn charged(event: &Event, count: u64) -> Accountant {
        let mut accountant = Accountant::new();
        accountant.add(event, count).unwrap();
        accountant
    }

    fn delta(value: f64) -> Delta {
        Delta::new(value).unwrap()
    }

    #[test]
    fn nothing_charged_costs_nothing() {
        let empty = charged(&gaussian(1.0), 0);
        assert_eq!(empty, Accountant::new());
        assert_eq!(empty.epsilon(delta(1e-5)).unwrap().0, Epsilon::FLOOR);
        assert_eq!(
            empty.delta(Epsilon::new(1.0).unwrap()).unwrap().get(),
            f64::MIN_POSITIVE
        );
    }

    #[test]
    fn refusals() {
        let mut accountant = charged(&gaussian(5.0), 3);
        let before = accountant.clone();
        assert_eq!(
            accountant.add(&gaussian(1e-200), 1),
            Err(DpError::Unbounded)
        );
        assert_eq!(accountant, before);
        let noisy = charged(&gaussian(0.01), 1);
        assert!(matches!(
            noisy.delta(Epsilon::new(0.1).unwrap()),
            Err(DpError::NoDelta { .. })
        ));
    }

    #[test]
    fn curve_falls_with_delta() {
        let accountant = charged(&gaussian(2.0), 10);
        let curve = accountant
            .epsilon_curve(&[delta(1e-9), delta(1e-6), delta(1e-3)])
            .unwrap();
        assert!(curve.windows(2).all(|pair| pair[0].1 > pair[1].1));
    }

    proptest! {
        /// Composition: order and grouping do not matter beyond rounding, and more never costs less.
        #[test]
        fn composition(z in 0.5f64..20.0, rate in 1e-4f64..0.5, count in 1u64..500) {
            let sampled = Event::SampledGaussian {
                sampling_rate: SamplingRate::new(rate).unwrap(),
                noise_multiplier: NoiseMultiplier::new(z).unwrap(),
            };
            let mut left = charged(&sampled, count);
            left.add(&gaussian(z), 2).unwrap();
            let mut right = charged(&gaussian(z), 1);
            right.compose(&charged(&gaussian(z), 1)).unwrap();
            right.compose(&charged(&sampled, count)).unwrap();
            let (a, b) = (left.epsilon(delta(1e-6)).unwrap().0.get(), right.epsilon(delta(1e-6)).unwrap().0.get());
            prop_assert!((a / b - 1.0).abs() < 1e-12);
            prop_assert!(a > charged(&sampled, count).epsilon(delta(1e-6)).unwrap().0.get());
        }

        /// epsilon() and delta() are inverse to each other up to rounding, on the safe side.
        #[test]
        fn epsilon_and_delta_agree(z in 0.3f64..30.0, log_delta in -30.0f64..-2.0) {
            let accountant = charged(&gaussian(z), 1);
            let start = delta(log_delta.exp());
            let (epsilon, _) = accountant.epsilon(start).unwrap();
            if epsilon > Epsilon::FLOOR {
                let back = accountant.delta(epsilon).unwrap().get();
                prop_assert!((back / start.get() - 1.0).abs() < 1e-6);
            }
        }
    }
}
