//! A Rényi filter of one fixed order (Feldman & Zrnic 2021).

use super::Refused;
use crate::Adjacency;
use crate::compose::{AccountError, Charge, Plan};
use crate::rdp::Renyi;
use crate::rdp::convert::epsilon_at;
use crate::{Delta, DpError, Epsilon};

/// Admits charges while their divergences of one order, fixed beforehand, add up to no more than the budget.
#[derive(Clone, Debug, PartialEq)]
pub struct RenyiFilter {
    adjacency: Adjacency,
    order: f64,
    budget: f64,
    spent: f64,
}

impl RenyiFilter {
    /// A filter that keeps (`epsilon`, `delta`) by the divergence of `order` alone.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for an order that is not above 1.01, or one at which the conversion alone passes `epsilon`.
    pub fn new(
        epsilon: Epsilon,
        delta: Delta,
        order: f64,
        adjacency: Adjacency,
    ) -> Result<Self, DpError> {
        let refuse = |range| {
            let (what, value) = ("the order of the filter", order);
            Err(DpError::OutOfRange { what, range, value })
        };
        if !(order.is_finite() && order > 1.01) {
            return refuse("finite and greater than 1.01");
        }
        // The largest divergence whose conversion, as computed, stays within epsilon.
        let meets = |rdp: f64| rdp == 0.0 || converted(order, rdp, delta) <= epsilon.get();
        let (mut low, mut high) = (0.0, epsilon.get() + 1e3);
        while high - low > 1e-13 * high {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if meets(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        if low <= 0.0 {
            return refuse("large enough for this epsilon and delta");
        }
        Ok(Self {
            adjacency,
            order,
            budget: low,
            spent: 0.0,
        })
    }

    /// The order for which most is left, among the usual ones.
    ///
    /// # Errors
    /// As [`RenyiFilter::new`] when no order works.
    pub fn best_order(
        epsilon: Epsilon,
        delta: Delta,
        adjacency: Adjacency,
    ) -> Result<Self, DpError> {
        let filters = Renyi::default_orders()
            .into_iter()
            .filter_map(|order| Self::new(epsilon, delta, order, adjacency).ok());
        // Gaussian noise: divergence is proportional to the order.
        let best = filters.max_by(|a, b| (a.budget / a.order).total_cmp(&(b.budget / b.order)));
        best.ok_or(DpError::Unbounded)
    }

    /// The order.
    #[must_use]
    pub const fn order(&self) -> f64 {
        self.order
    }

    /// Divergence charged so far.
    #[must_use]
    pub const fn spent(&self) -> f64 {
        self.spent
    }

    /// Divergence that may still be charged.
    #[must_use]
    pub fn remaining(&self) -> f64 {
        (self.budget - self.spent).next_down().max(0.0)
    }

    /// The divergence that `charge` costs, rounded up.
    ///
    /// # Errors
    /// As [`Renyi::new`].
    pub fn cost(&self, charge: &Charge) -> Result<f64, AccountError> {
        let plan = Plan {
            adjacency: self.adjacency,
            charges: vec![*charge],
            tuned: Vec::new(),
        };
        let curve = Renyi::with_orders(&plan, vec![self.order])?;
        let mut found = curve.rdp();
        Ok(found.next().map_or(f64::INFINITY, |(_, rdp)| rdp))
    }

    /// Charges, or refuses and charges nothing.
    ///
    /// # Errors
    /// [`FilterError::Refused`] when the budget does not cover it, [`FilterError::Account`] when its cost is not known.
    pub fn admit(&mut self, charge: &Charge) -> Result<(), FilterError> {
        let needed = self.cost(charge)?;
        let total = (self.spent + needed).next_up();
        if total <= self.budget {
            self.spent = total;
            Ok(())
        } else {
            let remaining = self.remaining();
            Err(Refused { needed, remaining }.into())
        }
    }

    /// How many runs of `charge` (its count taken as 1) are still covered.
    ///
    /// # Errors
    /// As [`RenyiFilter::cost`].
    pub fn affordable_runs(&self, charge: &Charge) -> Result<u64, AccountError> {
        let runs = |count| {
            let many = Charge::new(charge.noise(), charge.rate(), count)?;
            Ok::<_, AccountError>((self.spent + self.cost(&many)?).next_up() <= self.budget)
        };
        let (mut low, mut high) = (0, Charge::MAX_COUNT + 1);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if runs(middle)? {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The smallest factor on the noise of `charge`, to 1e-6, with which it is still covered.
    ///
    /// # Errors
    /// As [`crate::compose::smallest_factor`].
    pub fn affordable_factor(&self, charge: &Charge) -> Result<f64, AccountError> {
        crate::compose::least_that_meets(|factor| {
            let cost = self.cost(&charge.scaled(factor)?)?;
            Ok((cost, self.remaining()))
        })
    }
}

/// The conversion, without the shortcut for tiny divergences: a filter's bound has to grow with the divergence.
fn converted(order: f64, rdp: f64, delta: Delta) -> f64 {
    let shown = epsilon_at(order, rdp, delta.get());
    if shown > 0.0 {
        return shown;
    }
    let rest = order - 1.0;
    rdp + libm::log1p(-1.0 / order) - (libm::log(delta.get()) + libm::log(order)) / rest
}

/// Why a charge was not admitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FilterError {
    /// The budget does not cover it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Its cost cannot be computed.
    #[error(transparent)]
    Account(#[from] AccountError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SamplingRate;
    use crate::compose::Noise;

    fn filter(order: f64) -> RenyiFilter {
        let (epsilon, delta) = (Epsilon::new(3.0).unwrap(), Delta::new(1e-5).unwrap());
        RenyiFilter::new(epsilon, delta, order, Adjacency::AddRemove).unwrap()
    }

    fn gaussian(sigma: f64, count: u64) -> Charge {
        Charge::new(Noise::Gaussian { sigma }, SamplingRate::ALL, count).unwrap()
    }

    #[test]
    fn stops_at_the_budget() {
        let mut filter = filter(9.0);
        let runs = filter.affordable_runs(&gaussian(10.0, 1)).unwrap();
        for _ in 0..runs {
            filter.admit(&gaussian(10.0, 1)).unwrap();
        }
        let before = filter.clone();
        assert!(matches!(
            filter.admit(&gaussian(10.0, 1)),
            Err(FilterError::Refused(_))
        ));
        assert_eq!(filter, before);
        let plan = Plan {
            adjacency: Adjacency::AddRemove,
            charges: vec![gaussian(10.0, runs)],
            tuned: Vec::new(),
        };
        let shown = Renyi::with_orders(&plan, vec![9.0])
            .unwrap()
            .epsilon(Delta::new(1e-5).unwrap());
        assert!(shown.unwrap().0.get() <= 3.0);
    }

    /// Twin: the least over all orders is no filter; it would admit more than the fixed order shows.
    #[test]
    fn least_over_orders_would_admit_more() {
        let (plain, best) = (filter(6.0), filter(9.0));
        let runs = |filter: &RenyiFilter| filter.affordable_runs(&gaussian(10.0, 1)).unwrap();
        assert!(runs(&plain) < runs(&best));
    }

    /// A loss beyond the range of floats costs what it costs, not nothing.
    #[test]
    fn a_huge_loss_is_refused() {
        let noise = Noise::DiscreteLaplace {
            scale: 1.0,
            sensitivity: 1000,
        };
        let charge = Charge::new(noise, SamplingRate::ALL, 1).unwrap();
        let mut filter = filter(9.0);
        assert!(filter.cost(&charge).unwrap() > 999.0);
        assert!(filter.admit(&charge).is_err() && filter.spent() == 0.0);
        assert_eq!(filter.affordable_runs(&charge).unwrap(), 0);
    }

    #[test]
    fn largest_requests() {
        let filter = RenyiFilter::best_order(
            Epsilon::new(1.0).unwrap(),
            Delta::new(1e-6).unwrap(),
            Adjacency::ReplaceOne,
        )
        .unwrap();
        let factor = filter.affordable_factor(&gaussian(1.0, 1)).unwrap();
        let cost = |factor| filter.cost(&gaussian(factor, 1)).unwrap();
        assert!(
            cost(factor) <= filter.remaining() && cost(factor * (1.0 - 1e-5)) > filter.remaining()
        );
    }

    #[test]
    fn hopeless_orders_are_refused() {
        let (epsilon, delta) = (Epsilon::new(0.1).unwrap(), Delta::new(1e-5).unwrap());
        assert!(RenyiFilter::new(epsilon, delta, 2.0, Adjacency::AddRemove).is_err());
        assert!(RenyiFilter::new(epsilon, delta, 1.0, Adjacency::AddRemove).is_err());
    }
}
