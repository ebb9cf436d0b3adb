//! Empirical lower bounds on epsilon, from guesses about who took part.
//!
//! Sources: Steinke, Nasr, Jagielski, *Privacy auditing with one (1) training run* (2023), theorem 5.2 and appendix D; Clopper and Pearson (1934).
//! A lower bound says what an attack has shown, not what is true: a weak attack gives zero.

use libm::{exp, lgamma, log, log1p};

/// What an attacker guessed about canaries that were each included with probability one half, independently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guesses {
    canaries: u32,
    guessed: u32,
    correct: u32,
}

impl Guesses {
    /// `correct` of `guessed` guesses about `canaries` canaries were right; about the others nothing was guessed. `None` unless
    /// `correct <= guessed <= canaries`.
    #[must_use]
    pub const fn new(canaries: u32, guessed: u32, correct: u32) -> Option<Self> {
        if correct <= guessed && guessed <= canaries {
            Some(Self {
                canaries,
                guessed,
                correct,
            })
        } else {
            None
        }
    }

    /// How many canaries there were.
    #[must_use]
    pub const fn canaries(self) -> u32 {
        self.canaries
    }

    /// About how many something was guessed.
    #[must_use]
    pub const fn guessed(self) -> u32 {
        self.guessed
    }

    /// How many guesses were right.
    #[must_use]
    pub const fn correct(self) -> u32 {
        self.correct
    }

    /// Largest probability with which an (`epsilon`, `delta`)-differentially private mechanism (add-remove) lets anybody guess so many right:
    /// `P[B >= v] + 2 m delta max_i P[v - i <= B < v] / i` with `B` binomial of `r` trials at `e^epsilon / (1 + e^epsilon)`.
    #[must_use]
    pub fn p_value(self, epsilon: f64, delta: f64) -> f64 {
        let right = 1.0 / (1.0 + exp(-epsilon));
        let trials = f64::from(self.guessed);
        let tail: f64 = (self.correct..=self.guessed)
            .map(|hits| binomial(trials, f64::from(hits), right))
            .sum();
        let (mut below, mut worst) = (0.0, 0.0_f64);
        for i in 1..=self.correct {
            below += binomial(trials, f64::from(self.correct - i), right);
            worst = worst.max(below / f64::from(i));
        }
        (tail + worst * delta * 2.0 * f64::from(self.canaries)).min(1.0)
    }

    /// The largest epsilon that these guesses refute with this confidence (0.95, say), rounded down to a multiple of 1e-4; 0 when they refute none.
    #[must_use]
    pub fn epsilon_lower_bound(self, delta: f64, confidence: f64) -> f64 {
        let refuted = |steps: u32| self.p_value(f64::from(steps) * 1e-4, delta) < 1.0 - confidence;
        // The p-value grows with epsilon.
        let (mut low, mut high) = (0_u32, 500_000_u32);
        if !refuted(low) {
            return 0.0;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if refuted(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        f64::from(low) * 1e-4
    }
}

/// Exact two-sided confidence interval for a proportion (Clopper and Pearson 1934), each side at `(1 - confidence) / 2`.
#[must_use]
pub fn proportion_interval(hits: u32, trials: u32, confidence: f64) -> (f64, f64) {
    let side = (1.0 - confidence) / 2.0;
    let n = f64::from(trials);
    let at_least = |p: f64| -> f64 { (hits..=trials).map(|k| binomial(n, f64::from(k), p)).sum() };
    let at_most = |p: f64| -> f64 { (0..=hits).map(|k| binomial(n, f64::from(k), p)).sum() };
    let low = if hits == 0 {
        0.0
    } else {
        bisect(|p| at_least(p) < side)
    };
    let high = if hits >= trials {
        1.0
    } else {
        bisect(|p| at_most(p) >= side)
    };
    (low, high)
}

/// Where in 0..1 a statement that holds first stops to hold.
fn bisect(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// `P[B = hits]` for `trials` trials at `p`.
fn binomial(trials: f64, hits: f64, p: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 {
        let sure = if p <= 0.0 { 0.0 } else { trials };
        return if hits.total_cmp(&sure).is_eq() {
            1.0
        } else {
            0.0
        };
    }
    let ways = lgamma(trials + 1.0) - lgamma(hits + 1.0) - lgamma(trials - hits + 1.0);
    exp(ways + hits * log(p) + (trials - hits) * log1p(-p))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn guesses(canaries: u32, guessed: u32, correct: u32) -> Guesses {
        Guesses::new(canaries, guessed, correct).unwrap()
    }

    /// By hand at delta 0: all of r guesses right has probability (e^eps / (1 + e^eps))^r, so the bound solves q^r = 0.05.
    #[test]
    fn all_right_without_delta() {
        for r in [10_u32, 100, 1000] {
            let q = exp(log(0.05) / f64::from(r));
            let expected = log(q / (1.0 - q));
            let bound = guesses(r, r, r).epsilon_lower_bound(0.0, 0.95);
            assert!(
                bound <= expected && bound > expected - 2e-4,
                "{r}: {bound} {expected}"
            );
        }
    }

    #[test]
    fn half_right_shows_nothing() {
        assert!(guesses(1000, 500, 250).epsilon_lower_bound(1e-5, 0.95) <= 0.0);
        assert!(guesses(1000, 500, 120).epsilon_lower_bound(1e-5, 0.95) <= 0.0);
        assert!(Guesses::new(10, 11, 2).is_none() && Guesses::new(10, 5, 6).is_none());
    }

    #[test]
    fn delta_costs_power() {
        let strict = guesses(1000, 200, 190).epsilon_lower_bound(0.0, 0.95);
        let loose = guesses(1000, 200, 190).epsilon_lower_bound(1e-4, 0.95);
        assert!(strict > loose && loose > 1.0);
    }

    /// Randomised response at epsilon is a mechanism for which the bound must hold: over 2,000 audits with 95 % confidence the number of bounds above
    /// the true epsilon is binomial with at most 5 %; more than 150 has a chance below 1e-6.
    #[test]
    fn randomised_response_is_never_refuted_too_often() {
        use rand_core::{Rng, SeedableRng};
        let mut rng = chacha20::ChaCha20Rng::seed_from_u64(1);
        let truth = 1.0 / (1.0 + exp(-1.0_f64));
        let mut above = 0;
        for _ in 0..2000 {
            let hits = (0..200)
                .filter(|_| f64::from(rng.next_u32()) < truth * 4_294_967_296.0)
                .count();
            let hits = u32::try_from(hits).unwrap();
            above += u32::from(guesses(200, 200, hits).epsilon_lower_bound(0.0, 0.95) > 1.0);
        }
        assert!(above <= 150, "{above}");
        assert!(above > 10, "the test has no power: {above}");
    }

    /// Clopper and Pearson's interval for 4 of 10 at 95 %: 0.1216, 0.7376 (their tables).
    #[test]
    fn proportion_known_answers() {
        let (low, high) = proportion_interval(4, 10, 0.95);
        assert!(
            (low - 0.12155).abs() < 1e-4 && (high - 0.73762).abs() < 1e-4,
            "{low} {high}"
        );
        assert!(
            proportion_interval(0, 10, 0.95).0 <= 0.0 && proportion_interval(10, 10, 0.95).1 >= 1.0
        );
    }

    proptest! {
        #[test]
        fn the_p_value_is_a_probability_and_grows_with_epsilon(r in 1_u32..300, v in 0_u32..300, e in 0.0..8.0_f64) {
            let g = guesses(r + 50, r, v.min(r));
            let (a, b) = (g.p_value(e, 1e-6), g.p_value(e + 0.1, 1e-6));
            prop_assert!((0.0..=1.0).contains(&a) && b >= a - 1e-9);
        }
    }
}
