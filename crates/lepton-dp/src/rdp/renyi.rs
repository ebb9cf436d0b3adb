//! The stand-alone Rényi accountant: fractional orders, every mechanism of a [`Plan`] (AC-21, AC-22).

use super::convert::{delta_at, epsilon_at};
use super::quadrature::SampledGaussian;
use super::{curve, moments};
use crate::Adjacency;
use crate::compose::{AccountError, Charge, Noise, Plan};
use crate::{Delta, DpError, Epsilon, NoiseMultiplier};

/// Rényi divergences of a plan at many orders, integer and fractional.
///
/// For the product's own releases use [`crate::Accountant`], whose integer orders are proved for discrete noise in any number of dimensions. Here fractional orders
/// are used for continuous noise and unsampled discrete noise; sampled discrete Gaussian noise keeps to integer orders (AC-05). An order at which a
/// divergence cannot be computed with a bound on its error is infinite: dropped, not guessed.
#[derive(Clone, Debug, PartialEq)]
pub struct Renyi {
    orders: Vec<f64>,
    totals: Vec<f64>,
}

impl Renyi {
    /// The divergences of `plan` at [`Renyi::default_orders`].
    ///
    /// # Errors
    /// [`AccountError::NotCovered`] for Poisson-sampled Gaussian noise under replace-one and for randomised response under add-remove or sampled.
    pub fn new(plan: &Plan) -> Result<Self, AccountError> {
        Self::with_orders(plan, Self::default_orders())
    }

    /// The divergences of `plan` at `orders` (those not above 1 are left out).
    ///
    /// # Errors
    /// As [`Renyi::new`].
    pub fn with_orders(plan: &Plan, orders: Vec<f64>) -> Result<Self, AccountError> {
        let orders: Vec<f64> = orders
            .into_iter()
            .filter(|order| order.is_finite() && *order > 1.0)
            .collect();
        let mut found = Self {
            totals: vec![0.0; orders.len()],
            orders,
        };
        for tuned in &plan.tuned {
            let trial = Plan {
                adjacency: plan.adjacency,
                charges: tuned.charges.clone(),
                tuned: Vec::new(),
            };
            let trial = Self::with_orders(&trial, found.orders.clone())?;
            found = found.compose(&trial.best_of(&tuned.trials));
        }
        for charge in plan.charges.iter().filter(|charge| charge.count() > 0) {
            let count = charge.count() as f64;
            let curve = divergences(charge, plan.adjacency, &found.orders)?;
            for (total, rdp) in found.totals.iter_mut().zip(curve) {
                *total = (*total + (count * rdp).next_up()).next_up();
            }
        }
        Ok(found)
    }

    /// 1.01, 1.02, 1.05, 1.1 to 11 in tenths, 12 to 64, then sparser up to 2^20: a superset of dp-accounting's orders.
    #[must_use]
    pub fn default_orders() -> Vec<f64> {
        let tenths = (11..=110u32).map(|tenth| f64::from(tenth) / 10.0);
        let whole = (12..=64u32).map(f64::from);
        let octaves =
            (6..10).flat_map(|power| (1..=8u32).map(move |i| f64::from((8 + i) << (power - 3))));
        let large = (11..=20).map(|power| f64::from(1u32 << power));
        [1.01, 1.02, 1.05]
            .into_iter()
            .chain(tenths)
            .chain(whole)
            .chain(octaves)
            .chain(large)
            .collect()
    }

    /// The orders and the total divergence at each; infinite where an order was dropped.
    pub fn rdp(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.orders.iter().copied().zip(self.totals.iter().copied())
    }

    /// Charges all that `other` was charged, also where one was chosen after the other's output was seen. An order that only one of them has is dropped.
    #[must_use]
    pub fn compose(&self, other: &Self) -> Self {
        let at = |(order, rdp): (f64, f64)| {
            let more = other.rdp().find(|(same, _)| *same == order)?;
            Some((order, (rdp + more.1).next_up()))
        };
        Self::from_totals(self.rdp().filter_map(at).collect())
    }

    /// Orders with their divergences.
    pub(super) fn from_totals(totals: Vec<(f64, f64)>) -> Self {
        let (orders, totals) = totals.into_iter().unzip();
        Self { orders, totals }
    }

    /// The smallest epsilon shown to hold at `delta`, rounded up, and the order that shows it.
    ///
    /// # Errors
    /// [`DpError::Unbounded`] when every order was dropped.
    pub fn epsilon(&self, delta: Delta) -> Result<(Epsilon, f64), DpError> {
        let shown = |(order, rdp)| (epsilon_at(order, rdp, delta.get()), order);
        let (epsilon, order) = self
            .rdp()
            .map(shown)
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .ok_or(DpError::Unbounded)?;
        let epsilon = Epsilon::new(epsilon.max(Epsilon::FLOOR.get()));
        Ok((epsilon.map_err(|_| DpError::Unbounded)?, order))
    }

    /// The smallest delta shown to hold at `epsilon`, rounded up, and the order that shows it.
    ///
    /// # Errors
    /// [`DpError::NoDelta`] when none below one can be shown.
    pub fn delta(&self, epsilon: f64) -> Result<(Delta, f64), DpError> {
        let shown = |(order, rdp)| (delta_at(order, rdp, epsilon), order);
        let refused = DpError::NoDelta {
            epsilon: Epsilon::new(epsilon).unwrap_or(Epsilon::FLOOR),
        };
        let best = self.rdp().map(shown).min_by(|a, b| a.0.total_cmp(&b.0));
        let (delta, order) = best.ok_or_else(|| refused.clone())?;
        let delta = Delta::new(delta.max(f64::MIN_POSITIVE)).map_err(|_| refused)?;
        Ok((delta, order))
    }
}

/// Divergences of one run at each order.
fn divergences(
    charge: &Charge,
    adjacency: Adjacency,
    orders: &[f64],
) -> Result<Vec<f64>, AccountError> {
    let distance = match adjacency {
        Adjacency::AddRemove => 1.0,
        Adjacency::ReplaceOne => 2.0,
    };
    match charge.noise() {
        Noise::Gaussian { sigma } if charge.is_unsampled() => {
            let z = multiplier(sigma / distance)?;
            Ok(orders
                .iter()
                .map(|order| curve::gaussian(*order, z))
                .collect())
        }
        Noise::DiscreteGaussian { sigma, sensitivity } if charge.is_unsampled() => {
            let z = multiplier((sigma / (distance * f64::from(sensitivity))).next_down())?;
            Ok(orders
                .iter()
                .map(|order| curve::gaussian(*order, z))
                .collect())
        }
        Noise::Gaussian { .. } | Noise::DiscreteGaussian { .. }
            if adjacency == Adjacency::ReplaceOne =>
        {
            Err(not_covered(charge))
        }
        Noise::Gaussian { sigma } => Ok(sampled_gaussian(charge.rate().get(), sigma, orders)),
        Noise::DiscreteGaussian { sigma, sensitivity } => {
            let z = multiplier((sigma / f64::from(sensitivity)).next_down())?;
            let at = |order: &f64| {
                whole(*order).map_or(f64::INFINITY, |n| {
                    curve::sampled_gaussian(n, charge.rate(), z)
                })
            };
            Ok(orders.iter().map(at).collect())
        }
        Noise::Laplace { scale } if charge.is_unsampled() => {
            let loss = (distance / scale).next_up();
            Ok(orders.iter().map(|order| laplace(*order, loss)).collect())
        }
        _ => moments::divergences(charge, adjacency, orders),
    }
}

fn multiplier(z: f64) -> Result<NoiseMultiplier, AccountError> {
    Ok(NoiseMultiplier::new(z)?)
}

fn not_covered(charge: &Charge) -> AccountError {
    AccountError::NotCovered {
        what: format!(
            "{} with Poisson sampling under replace-one in the accountant rdp",
            charge.noise().name()
        ),
        why: "no proven bound on its Rényi divergence is known here",
        remedy: "use the accountant pld, or the adjacency add-remove",
    }
}

/// Orders that the integer formula of sampled discrete noise is evaluated at.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number from 2 to 1024"
)]
fn whole(order: f64) -> Option<u32> {
    let fits = order.fract() == 0.0 && (2.0..=1024.0).contains(&order);
    fits.then_some(order as u32)
}

/// By quadrature; orders whose table would be too long are dropped.
fn sampled_gaussian(rate: f64, sigma: f64, orders: &[f64]) -> Vec<f64> {
    let largest = orders.iter().copied().fold(1.0, f64::max);
    let mut limit = largest;
    let table = loop {
        match SampledGaussian::new(rate, sigma, limit) {
            Some(table) => break table,
            None if limit > 2.0 => limit *= 0.5,
            None => return vec![f64::INFINITY; orders.len()],
        }
    };
    let at = |order: &f64| {
        if *order <= limit {
            table.rdp(*order)
        } else {
            f64::INFINITY
        }
    };
    orders.iter().map(at).collect()
}

/// Laplace mechanism of pure loss `loss` (Mironov 2017, proposition 6), rounded up.
fn laplace(order: f64, loss: f64) -> f64 {
    let double = 2.0 * order - 1.0;
    let inside = (order - 1.0) / double * libm::expm1(-double * loss);
    let rdp = loss + libm::log1p(inside) / (order - 1.0);
    let slack = 16.0 * f64::EPSILON * (loss + inside.abs() / (order - 1.0));
    (rdp + slack).clamp(f64::MIN_POSITIVE, loss)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SamplingRate;

    fn charge(noise: Noise, rate: f64) -> Charge {
        Charge::new(noise, SamplingRate::new(rate).unwrap(), 1).unwrap()
    }

    #[test]
    fn orders_ascend_and_hold_those_of_the_reference() {
        let orders = Renyi::default_orders();
        assert!(
            orders.windows(2).all(|pair| pair[0] < pair[1]),
            "{orders:?}"
        );
        for order in [1.1, 10.9, 11.0, 63.0, 128.0, 256.0, 512.0, 1024.0] {
            assert!(orders.contains(&order), "{order}");
        }
    }

    /// AC-21: quadrature and the integer formula are two ways to one number.
    #[test]
    fn integer_orders_agree() {
        for (rate, sigma) in [(0.01, 1.0), (0.3, 0.4), (1e-5, 20.0), (0.9, 3.0)] {
            let orders: Vec<f64> = [2.0, 3.0, 17.0, 64.0, 256.0].to_vec();
            let ours = sampled_gaussian(rate, sigma, &orders);
            let z = NoiseMultiplier::new(sigma).unwrap();
            for (order, found) in orders.iter().zip(ours) {
                let formula = curve::sampled_gaussian(
                    whole(*order).unwrap(),
                    SamplingRate::new(rate).unwrap(),
                    z,
                );
                assert!(
                    (found / formula - 1.0).abs() < 2e-10,
                    "{rate} {sigma} {order} {found} {formula}"
                );
            }
        }
    }

    #[test]
    fn sampled_discrete_noise_has_integer_orders_only() {
        let noise = Noise::DiscreteGaussian {
            sigma: 3.0,
            sensitivity: 2,
        };
        let orders = vec![1.5, 2.0, 2.5, 2000.0];
        let found = divergences(&charge(noise, 0.1), Adjacency::AddRemove, &orders).unwrap();
        assert!(found[1].is_finite());
        assert!([0, 2, 3].iter().all(|i| found[*i].is_infinite()));
        let all = divergences(&charge(noise, 1.0), Adjacency::ReplaceOne, &orders).unwrap();
        assert!((all[0] / (1.5 * 16.0 / 18.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn replace_one_with_sampling_is_refused() {
        let noise = Noise::Gaussian { sigma: 1.0 };
        let refused = divergences(&charge(noise, 0.1), Adjacency::ReplaceOne, &[2.0]);
        assert!(matches!(refused, Err(AccountError::NotCovered { .. })));
    }

    #[test]
    fn laplace_stays_between_its_limits() {
        for (order, loss) in [(1.01, 1.0), (2.0, 1e-9), (1e6, 0.1), (50.0, 3.0)] {
            let found = laplace(order, loss);
            assert!(
                found > 0.0
                    && found <= loss
                    && found <= 0.5 * order * loss * loss * (1.0 + 1e-6) + 1e-22
            );
        }
    }
}
