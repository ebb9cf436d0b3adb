//! Composition and group privacy of (epsilon, delta) guarantees that nothing else is known about (AC-24).

use crate::{Delta, DpError, Epsilon};

/// A guarantee; a `delta` of 0 is pure differential privacy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guarantee {
    epsilon: f64,
    delta: f64,
}

/// Largest count of the optimal composition.
const MAX_RUNS: u64 = 10_000_000;

impl Guarantee {
    /// A guarantee.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] unless epsilon is finite and at least 0, and delta at least 0 and below 1.
    pub fn new(epsilon: f64, delta: f64) -> Result<Self, DpError> {
        let refuse = |what, range, value| Err(DpError::OutOfRange { what, range, value });
        if !(epsilon.is_finite() && epsilon >= 0.0) {
            return refuse("epsilon", "finite and at least 0", epsilon);
        }
        if !(0.0..1.0).contains(&delta) {
            return refuse("delta", "at least 0 and less than 1", delta);
        }
        Ok(Self { epsilon, delta })
    }

    /// Its epsilon.
    #[must_use]
    pub const fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// Its delta.
    #[must_use]
    pub const fn delta(&self) -> f64 {
        self.delta
    }

    /// For groups of `size` records: `size * epsilon` and `size * exp((size - 1) epsilon) * delta` (Vadhan 2017, lemma 2.2), rounded up.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] when delta would not stay below 1.
    pub fn group(&self, size: u32) -> Result<Self, DpError> {
        let size = f64::from(size.max(1));
        let growth = libm::exp((size - 1.0) * self.epsilon)
            * (1.0 + (8.0 + size * self.epsilon) * f64::EPSILON);
        let delta = if self.delta > 0.0 {
            up(size * growth * self.delta)
        } else {
            0.0
        };
        Self::new((size * self.epsilon).next_up(), delta)
    }
}

/// All together, in any order and chosen adaptively: epsilons and deltas add up (Dwork et al. 2006), rounded up.
///
/// # Errors
/// [`DpError::OutOfRange`] when the deltas reach 1.
pub fn basic(all: &[Guarantee]) -> Result<Guarantee, DpError> {
    let epsilon = all.iter().fold(0.0, |sum: f64, one| add(sum, one.epsilon));
    let delta = all.iter().fold(0.0, |sum: f64, one| add(sum, one.delta));
    Guarantee::new(epsilon, delta)
}

/// All together with `slack` more delta: `sum e tanh(e/2) + sqrt(2 ln(1/slack) sum e^2)`, or the plain sum where that is smaller
/// (Kairouz, Oh, Viswanath 2015, theorem 3.5; Dwork, Rothblum, Vadhan 2010 for equal epsilons, with the slightly larger `e (exp(e) - 1)`). The guarantees
/// are fixed beforehand; for adaptively chosen ones see [`crate::filter`].
///
/// # Errors
/// [`DpError::OutOfRange`] when the deltas reach 1.
pub fn advanced(all: &[Guarantee], slack: Delta) -> Result<Guarantee, DpError> {
    let plain = basic(all)?;
    let drift: f64 = all
        .iter()
        .map(|one| one.epsilon * libm::tanh(0.5 * one.epsilon))
        .sum();
    let squares: f64 = all.iter().map(|one| one.epsilon * one.epsilon).sum();
    let spread = libm::sqrt(-2.0 * libm::log(slack.get()) * squares);
    let rounding = 1.0 + (16.0 + all.len() as f64) * f64::EPSILON;
    let shown = (drift + spread) * rounding;
    if shown >= plain.epsilon {
        return Ok(plain);
    }
    Guarantee::new(shown, add(plain.delta, slack.get()))
}

/// The least epsilon of `count` runs of `one` at a total delta of `delta` (Kairouz, Oh, Viswanath 2015, theorem 3.3, at every real epsilon: the exact curve of
/// repeated randomised response), rounded up.
///
/// # Errors
/// [`DpError::OutOfRange`] for more than 10^7 runs; [`DpError::Unbounded`] when the runs' own deltas already pass `delta`.
pub fn optimal(one: Guarantee, count: u64, delta: Delta) -> Result<Epsilon, DpError> {
    if count > MAX_RUNS {
        return Err(DpError::OutOfRange {
            what: "the count",
            range: "at most 10^7",
            value: count as f64,
        });
    }
    let slack = slack_left(one.delta, count, delta);
    if slack <= 0.0 {
        return Err(DpError::Unbounded);
    }
    let (mut low, mut high) = (0.0, up(count as f64 * one.epsilon));
    let meets = |epsilon: f64| response_delta(one.epsilon, count, epsilon) <= slack;
    if meets(0.0) {
        high = 0.0;
    }
    while high - low > 1e-14 * high {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if meets(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Epsilon::new(high.max(Epsilon::FLOOR.get()))
}

/// The largest slack with `1 - (1 - d)^k (1 - slack) <= delta`, rounded down; not positive where there is none.
fn slack_left(one: f64, count: u64, delta: Delta) -> f64 {
    let (all, kept) = (libm::log1p(-delta.get()), count as f64 * libm::log1p(-one));
    let rounding = 8.0 * f64::EPSILON * (all.abs() + kept.abs());
    -libm::expm1(all - kept + rounding) * (1.0 - 1e-12)
}

/// delta at `epsilon` of `count` runs with losses +-`loss`, rounded up.
fn response_delta(loss: f64, count: u64, epsilon: f64) -> f64 {
    let runs = count as f64;
    let (log_high, log_low) = (-softplus(-loss), -softplus(loss));
    let all = libm::lgamma(runs + 1.0);
    let mut sum = 0.0;
    for hits in (0..=count).rev() {
        let hits = hits as f64;
        let total = loss * (2.0 * hits - runs);
        if total <= epsilon {
            break;
        }
        let parts = [
            all,
            -libm::lgamma(hits + 1.0),
            -libm::lgamma(runs - hits + 1.0),
            hits * log_high,
            (runs - hits) * log_low,
        ];
        let slack = 16.0 * f64::EPSILON * parts.iter().map(|part| part.abs()).sum::<f64>();
        let mass = libm::exp(parts.iter().sum::<f64>() + slack);
        sum += mass * -libm::expm1(epsilon - total - 8.0 * f64::EPSILON * total.abs());
    }
    sum * (1.0 + (runs + 8.0) * f64::EPSILON)
}

fn softplus(x: f64) -> f64 {
    libm::log1p(libm::exp(-x.abs())) + x.max(0.0)
}

fn up(value: f64) -> f64 {
    (value * (1.0 + 4.0 * f64::EPSILON)).max(0.0)
}

/// A sum rounded up; adding nothing changes nothing.
fn add(sum: f64, more: f64) -> f64 {
    if more > 0.0 {
        (sum + more).next_up()
    } else {
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pure(epsilon: f64) -> Guarantee {
        Guarantee::new(epsilon, 0.0).unwrap()
    }

    /// mpmath at 60 digits (tests/vectors/make_accountants.py).
    #[test]
    fn optimal_is_exact() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../tests/vectors/accountants_mpmath.json")).unwrap();
        for case in vectors["binomial"].as_array().unwrap() {
            let number = |name: &str| case[name].as_f64().unwrap();
            let truth: f64 = case["epsilon"].as_str().unwrap().parse().unwrap();
            let count = case["count"].as_u64().unwrap();
            let ours = optimal(
                pure(number("loss")),
                count,
                Delta::new(number("delta")).unwrap(),
            );
            let ours = ours.unwrap().get();
            assert!(
                ours >= truth * (1.0 - 1e-15) && ours <= truth * (1.0 + 1e-9),
                "{case} {ours}"
            );
        }
    }

    #[test]
    fn bounds_are_ordered() {
        let slack = Delta::new(1e-6).unwrap();
        for (epsilon, count) in [(0.01, 1000usize), (0.1, 50), (1.0, 10)] {
            let all = vec![pure(epsilon); count];
            let plain = basic(&all).unwrap().epsilon();
            let advanced = advanced(&all, slack).unwrap().epsilon();
            let best = optimal(pure(epsilon), count as u64, slack).unwrap().get();
            assert!(best <= advanced * (1.0 + 1e-9) && advanced <= plain);
        }
    }

    /// For one run the slack is `(delta - d) / (1 - d)`, whose difference is exact where both are close.
    #[test]
    fn slack_is_never_more_than_is_left() {
        for i in 1..400 {
            let delta = 1e-5 * (1.0 + f64::from(i) / 64.0);
            let one = delta * (1.0 - f64::from(i) * 1e-11);
            let truth = (delta - one) / (1.0 - one);
            let found = slack_left(one, 1, Delta::new(delta).unwrap());
            assert!(
                found <= truth && found > 0.5 * truth,
                "{i} {found:e} {truth:e}"
            );
        }
    }

    #[test]
    fn deltas_add_up_and_groups_grow() {
        let one = Guarantee::new(0.5, 1e-6).unwrap();
        let sum = basic(&[one, one, pure(1.0)]).unwrap();
        assert!((sum.epsilon() - 2.0).abs() < 1e-15 && (sum.delta() - 2e-6).abs() < 1e-20);
        let group = one.group(3).unwrap();
        assert!((group.epsilon() - 1.5).abs() < 1e-15);
        assert!((group.delta() / (3.0 * 1f64.exp() * 1e-6) - 1.0).abs() < 1e-12);
        assert!(Guarantee::new(3.0, 0.1).unwrap().group(10).is_err());
        assert!(optimal(one, 10, Delta::new(1e-6).unwrap()).is_err());
        assert!(optimal(one, 10, Delta::new(1e-4).unwrap()).unwrap().get() < 5.0);
        assert!(Guarantee::new(f64::NAN, 0.0).is_err() && Guarantee::new(1.0, 1.0).is_err());
    }
}
