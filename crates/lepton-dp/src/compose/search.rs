//! The least noise, the most runs, the largest sampling rate that meet a goal, by either accountant (AC-27).

use super::{AccountError, Charge, Plan};
use crate::pld::Pld;
use crate::rdp::Renyi;
use crate::{Delta, DpError, Epsilon, SamplingRate};

/// Which bound on a plan's epsilon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Rényi divergences: fast, a few per cent above the truth, at any number of steps.
    Rdp,
    /// Privacy loss distributions: nearly exact.
    #[default]
    Pld,
}

/// Relative width at which searches stop.
const TOLERANCE: f64 = 1e-6;

/// Range of noise factors and of rates that is searched.
const SMALLEST: f64 = 1e-6;
const LARGEST: f64 = 1e6;

/// The smallest epsilon that `method` shows for `plan` at `delta`.
///
/// # Errors
/// As [`Pld::epsilon`] and [`Renyi::epsilon`].
pub fn epsilon(plan: &Plan, method: Method, delta: Delta) -> Result<Epsilon, AccountError> {
    match method {
        Method::Rdp => Ok(Renyi::new(plan)?.epsilon(delta)?.0),
        Method::Pld => Pld::new(plan)?.epsilon(delta),
    }
}

/// The smallest factor, to 1e-6, on the noise of every charge with which `plan` meets the goal. What is returned was itself checked.
///
/// # Errors
/// [`AccountError::NothingMeetsGoal`] when no factor from 1e-6 to 1e6 does (or the noise would leave its range first); errors of the accountant.
pub fn smallest_factor(
    plan: &Plan,
    method: Method,
    target: Epsilon,
    delta: Delta,
) -> Result<f64, AccountError> {
    epsilon(plan, method, delta)?; // what is not covered at all is said so
    least_that_meets(|factor| {
        let found = epsilon(&plan.scaled(factor)?, method, delta)?;
        Ok((found.get(), target.get()))
    })
}

/// The largest count with which `plan` plus that many runs of `charge` meets the goal: 0 where none does.
///
/// # Errors
/// Errors of the accountant.
pub fn most_runs(
    plan: &Plan,
    charge: &Charge,
    method: Method,
    target: Epsilon,
    delta: Delta,
) -> Result<u64, AccountError> {
    let meets = |count: u64| {
        let mut all = plan.clone();
        all.charges
            .push(Charge::new(charge.noise(), charge.rate(), count)?);
        Ok::<_, AccountError>(epsilon(&all, method, delta)? <= target)
    };
    let (mut low, mut high) = (0u64, 1u64);
    while high < Charge::MAX_COUNT && meets(high)? {
        low = high;
        high = (2 * high).min(Charge::MAX_COUNT);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if meets(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// The largest Poisson rate, to 1e-6, with which `count` runs of `charge` added to `plan` meet the goal.
///
/// # Errors
/// [`AccountError::NothingMeetsGoal`] when no rate from 1e-6 on does; errors of the accountant.
pub fn largest_rate(
    plan: &Plan,
    charge: &Charge,
    method: Method,
    target: Epsilon,
    delta: Delta,
) -> Result<SamplingRate, AccountError> {
    let at = |rate: f64| {
        let mut all = plan.clone();
        all.charges.push(Charge::new(
            charge.noise(),
            SamplingRate::new(rate)?,
            charge.count(),
        )?);
        Ok::<_, AccountError>((epsilon(&all, method, delta)?.get(), target.get()))
    };
    if meets(at(1.0)) {
        return Ok(SamplingRate::ALL);
    }
    let least = least_that_meets(|reciprocal| {
        if reciprocal <= 1.0 {
            return Err(DpError::Unbounded.into());
        }
        at(1.0 / reciprocal)
    })?;
    Ok(SamplingRate::new(1.0 / least)?)
}

fn meets(found: Result<(f64, f64), AccountError>) -> bool {
    found.is_ok_and(|(cost, limit)| cost <= limit)
}

/// The least x from 1e-6 to 1e6, to 1e-6 relative, at which a cost that falls with x is within its limit. `at` gives both; where it fails, x is too small.
pub(crate) fn least_that_meets(
    at: impl Fn(f64) -> Result<(f64, f64), AccountError>,
) -> Result<f64, AccountError> {
    let excess = |x: f64| match at(x) {
        // Logarithms guide the search; what meets the limit is told by the numbers themselves.
        Ok((cost, limit)) if cost <= limit => (libm::log(cost) - libm::log(limit)).min(0.0),
        Ok((cost, limit)) => (libm::log(cost) - libm::log(limit)).max(f64::MIN_POSITIVE),
        Err(_) => f64::INFINITY,
    };
    let mut bracket = Bracket::around_one(&excess)?;
    for round in 0..200 {
        if bracket.width() <= TOLERANCE {
            break;
        }
        let x = bracket.guess(round % 3 == 2);
        bracket.narrow(x, excess(x));
    }
    Ok(bracket.enough.0)
}

/// A point that does not meet the goal and one that does, with the logarithms of cost over limit.
struct Bracket {
    too_little: (f64, f64),
    enough: (f64, f64),
}

impl Bracket {
    /// Doubles or halves from 1.
    fn around_one(excess: &impl Fn(f64) -> f64) -> Result<Self, AccountError> {
        let start = excess(1.0);
        let (mut near, up) = ((1.0, start), start > 0.0);
        loop {
            let x = if up { near.0 * 2.0 } else { near.0 * 0.5 };
            if x > LARGEST {
                let (from, to) = (SMALLEST, LARGEST);
                return Err(AccountError::NothingMeetsGoal { from, to });
            }
            let next = (x, excess(x));
            if up && next.1 <= 0.0 {
                let (too_little, enough) = (near, next);
                return Ok(Self { too_little, enough });
            }
            if !up && (next.1 > 0.0 || x < SMALLEST) {
                let (too_little, enough) = (next, near);
                return Ok(Self { too_little, enough });
            }
            near = next;
        }
    }

    fn width(&self) -> f64 {
        self.enough.0 / self.too_little.0 - 1.0
    }

    /// The secant in logarithms, kept inside and nudged towards enough; the middle where there is none.
    fn guess(&self, middle: bool) -> f64 {
        let (a, b) = (libm::log(self.too_little.0), libm::log(self.enough.0));
        let (fa, fb) = (self.too_little.1, self.enough.1);
        if middle || !fa.is_finite() || !fb.is_finite() || fa <= fb {
            return libm::exp(0.5 * (a + b));
        }
        let root = a + (b - a) * fa / (fa - fb);
        let edge = (0.02 * (b - a)).clamp(1e-3 * TOLERANCE, 0.4 * TOLERANCE);
        // Past the root from the nearer side, so that both ends close in.
        let nudged = if root - a < b - root {
            root + edge
        } else {
            root - edge
        };
        libm::exp(nudged.clamp(a + edge, b - edge))
    }

    fn narrow(&mut self, x: f64, excess: f64) {
        if excess <= 0.0 {
            self.enough = (x, excess);
        } else {
            self.too_little = (x, excess);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::Noise;

    #[test]
    fn brackets_close_on_smooth_and_broken_costs() {
        let root = least_that_meets(|x| Ok((3.0 / x, 1.0))).unwrap();
        assert!((3.0..3.0 * (1.0 + 2e-6)).contains(&root));
        let tiny = least_that_meets(|x| Ok((1e-4 / (x * x), 1.0))).unwrap();
        assert!((0.01..0.01 * (1.0 + 2e-6)).contains(&tiny));
        let step = least_that_meets(|x| {
            if x < 7.0 {
                Err(DpError::Unbounded.into())
            } else {
                Ok((0.5, 1.0))
            }
        });
        assert!((7.0..7.0 * (1.0 + 2e-6)).contains(&step.unwrap()));
        // A cost one float above the limit does not meet it, though both have the same logarithm.
        let limit = 1000.0f64;
        let close = least_that_meets(|x| {
            let cost = if x < 7.0 { limit.next_up() } else { limit };
            Ok((cost, limit))
        });
        assert!(close.unwrap() >= 7.0);
        let never = least_that_meets(|_| Ok((2.0, 1.0)));
        assert!(matches!(never, Err(AccountError::NothingMeetsGoal { .. })));
    }

    #[test]
    fn runs_and_rates() {
        let (target, delta) = (Epsilon::new(2.0).unwrap(), Delta::new(1e-5).unwrap());
        let plan = Plan::default();
        let rate = SamplingRate::new(0.01).unwrap();
        let charge = Charge::new(Noise::Gaussian { sigma: 1.0 }, rate, 1000).unwrap();
        for method in [Method::Rdp, Method::Pld] {
            let shown = |rate, count| {
                let charges = vec![Charge::new(charge.noise(), rate, count).unwrap()];
                epsilon(
                    &Plan {
                        charges,
                        ..Plan::default()
                    },
                    method,
                    delta,
                )
                .unwrap()
            };
            let runs = most_runs(&plan, &charge, method, target, delta).unwrap();
            assert!(
                shown(rate, runs) <= target && shown(rate, runs + 1) > target,
                "{runs}"
            );
            let most = largest_rate(&plan, &charge, method, target, delta).unwrap();
            assert!(shown(most, 1000) <= target);
            let more = SamplingRate::new(most.get() * (1.0 + 1e-5)).unwrap();
            assert!(shown(more, 1000) > target);
        }
    }
}
