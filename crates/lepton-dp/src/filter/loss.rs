//! Filters over (epsilon, delta) requests.

use super::Refused;
use crate::pure::Guarantee;
use crate::{Delta, DpError, Epsilon};

/// How requests are added up; fixed when the filter is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossRule {
    /// Epsilons and deltas add up (Rogers, Roth, Ullman, Vadhan 2016).
    Sum,
    /// `sqrt(2 ln(1/slack) sum e^2) + sum e^2 / 2` stays within epsilon, the deltas within what `slack` leaves (Whitehouse, Ramdas, Rogers, Wu 2023, theorem 1).
    Squares {
        /// Part of the filter's delta.
        slack: Delta,
    },
}

/// Admits requests while the whole, chosen adaptively, stays within (epsilon, delta).
#[derive(Clone, Debug, PartialEq)]
pub struct LossFilter {
    epsilon: Epsilon,
    /// What requests' deltas may add up to.
    delta: f64,
    rule: LossRule,
    /// Sum of epsilons or of their squares.
    spent: f64,
    spent_delta: f64,
}

impl LossFilter {
    /// A filter that keeps (`epsilon`, `delta`); a `delta` of 0 admits pure requests only.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for a delta outside of 0 to 1, or a slack above it.
    pub fn new(epsilon: Epsilon, delta: f64, rule: LossRule) -> Result<Self, DpError> {
        let slack = match rule {
            LossRule::Sum => 0.0,
            LossRule::Squares { slack } => slack.get(),
        };
        let left = delta - slack;
        if !(0.0..1.0).contains(&delta) || left < 0.0 {
            return Err(DpError::OutOfRange {
                what: "the delta of the filter",
                range: "at least its slack and less than 1",
                value: delta,
            });
        }
        Ok(Self {
            epsilon,
            delta: if slack > 0.0 {
                left.next_down().max(0.0)
            } else {
                left
            },
            rule,
            spent: 0.0,
            spent_delta: 0.0,
        })
    }

    /// Charges, or refuses and charges nothing.
    ///
    /// # Errors
    /// [`Refused`] in units of epsilon, or of delta where that is what is missing.
    pub fn admit(&mut self, request: Guarantee) -> Result<(), Refused> {
        let spent = sum(self.spent, self.measure(request.epsilon()));
        let spent_delta = sum(self.spent_delta, request.delta());
        if spent_delta > self.delta {
            let (needed, remaining) = (request.delta(), self.delta - self.spent_delta);
            return Err(Refused { needed, remaining });
        }
        if self.shown(spent) > self.epsilon.get() {
            let (needed, remaining) = (request.epsilon(), self.remaining());
            return Err(Refused { needed, remaining });
        }
        (self.spent, self.spent_delta) = (spent, spent_delta);
        Ok(())
    }

    /// The largest epsilon that one more request may have.
    #[must_use]
    pub fn remaining(&self) -> f64 {
        let (mut low, mut high) = (0.0, self.epsilon.get());
        for _ in 0..80 {
            let middle = 0.5 * (low + high);
            if self.shown(sum(self.spent, self.measure(middle))) <= self.epsilon.get() {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    /// How many requests of this kind are still covered, up to 2^40.
    #[must_use]
    pub fn affordable_runs(&self, request: Guarantee) -> u64 {
        let covered = |count: u64| {
            let runs = count as f64;
            let spent = sum(
                self.spent,
                runs * self.measure(request.epsilon()) * (1.0 + runs * f64::EPSILON),
            );
            let delta = sum(
                self.spent_delta,
                runs * request.delta() * (1.0 + runs * f64::EPSILON),
            );
            self.shown(spent) <= self.epsilon.get() && delta <= self.delta
        };
        let (mut low, mut high) = (0u64, (1 << 40) + 1);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if covered(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    fn measure(&self, epsilon: f64) -> f64 {
        match self.rule {
            LossRule::Sum => epsilon,
            LossRule::Squares { .. } => (epsilon * epsilon).next_up(),
        }
    }

    /// The epsilon that a total shows.
    fn shown(&self, spent: f64) -> f64 {
        match self.rule {
            LossRule::Sum => spent,
            LossRule::Squares { slack } => {
                let root = libm::sqrt(-2.0 * libm::log(slack.get()) * spent);
                (root + 0.5 * spent) * (1.0 + 8.0 * f64::EPSILON)
            }
        }
    }
}

/// A sum rounded up; adding nothing changes nothing.
fn sum(total: f64, more: f64) -> f64 {
    if more > 0.0 {
        (total + more).next_up()
    } else {
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(epsilon: f64, delta: f64) -> Guarantee {
        Guarantee::new(epsilon, delta).unwrap()
    }

    #[test]
    fn both_rules_stop_in_time() {
        let epsilon = Epsilon::new(1.0).unwrap();
        let squares = LossRule::Squares {
            slack: Delta::new(1e-6).unwrap(),
        };
        for (rule, delta) in [(LossRule::Sum, 0.0), (squares, 1e-6)] {
            let mut filter = LossFilter::new(epsilon, delta, rule).unwrap();
            let runs = filter.affordable_runs(request(0.01, 0.0));
            let mut admitted = 0;
            while filter.admit(request(0.01, 0.0)).is_ok() {
                admitted += 1;
            }
            assert!(
                admitted == runs || admitted == runs + 1,
                "{admitted} {runs}"
            );
            assert!(filter.remaining() < 0.01);
            assert!(
                filter.admit(request(0.0, 1e-9)).is_err(),
                "no delta is left"
            );
        }
        // Many small requests: squares pay off (Whitehouse et al. 2023).
        let runs = |rule, delta| {
            LossFilter::new(epsilon, delta, rule)
                .unwrap()
                .affordable_runs(request(1e-3, 0.0))
        };
        assert!(runs(squares, 1e-6) > 20 * runs(LossRule::Sum, 0.0));
    }

    #[test]
    fn slack_is_part_of_delta() {
        let rule = LossRule::Squares {
            slack: Delta::new(1e-5).unwrap(),
        };
        assert!(LossFilter::new(Epsilon::new(1.0).unwrap(), 1e-6, rule).is_err());
    }

    proptest! {
        /// What is admitted never passes the budget, whatever is asked for.
        #[test]
        fn never_over(requests in proptest::collection::vec((0.0f64..0.4, 0.0f64..1e-6), 1..40)) {
            let mut filter = LossFilter::new(Epsilon::new(2.0).unwrap(), 5e-6, LossRule::Sum).unwrap();
            let (mut epsilon, mut delta) = (0.0, 0.0);
            for (e, d) in requests {
                if filter.admit(request(e, d)).is_ok() {
                    epsilon += e;
                    delta += d;
                }
            }
            prop_assert!(epsilon <= 2.0 && delta <= 5e-6);
        }
    }
}
