//! Randomised response over any number of categories (ME-07, ME-08).

use rand_core::CryptoRng;

use super::Cost;
use crate::sampler::uniform_below;
use crate::{DpError, Epsilon};

/// Weight of each of the other categories; the true one has the weight `floor(e^epsilon 2^30)`.
const OTHER: u64 = 1 << 30;

/// Says the truth with a probability, and otherwise one of the other categories, each alike (Warner 1965; Kairouz, Bonawitz, Ramage 2016).
///
/// The probabilities are ratios of integers, drawn exactly; the ratio of truth to any other answer is never above `e^epsilon`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomisedResponse {
    categories: u32,
    truth: u64,
    epsilon: f64,
}

/// The share of one category in a population, estimated from randomised answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrequencyEstimate {
    /// Unbiased; may lie outside 0 to 1.
    pub frequency: f64,
    /// Variance that the randomisation gives it, at the estimated share.
    pub variance: f64,
}

impl RandomisedResponse {
    /// For answers `0..categories`.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for fewer than 2 or more than 2^31 categories, or an epsilon above 20.
    pub fn new(categories: u32, epsilon: Epsilon) -> Result<Self, DpError> {
        let refuse = |what, range, value| Err(DpError::OutOfRange { what, range, value });
        if !(2..=1 << 31).contains(&categories) {
            let value = f64::from(categories);
            return refuse("the number of categories", "from 2 to 2^31", value);
        }
        if epsilon.get() > 20.0 {
            let range = "at most 20: above, it hardly hides anything";
            return refuse("the epsilon of randomised response", range, epsilon.get());
        }
        let truth = truth_weight(epsilon.get());
        let paid = libm::log(truth as f64 / OTHER as f64) * (1.0 + 1e-15) + 1e-15;
        Ok(Self {
            categories,
            truth,
            // Truth and answer of equal weight cost nothing.
            epsilon: if truth == OTHER {
                0.0
            } else {
                paid.min(epsilon.get())
            },
        })
    }

    /// The randomised answer. Which category is true decides neither what is drawn nor any branch.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for a category that does not exist.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a quotient below the number of categories"
    )]
    pub fn release(&self, category: u32, rng: &mut impl CryptoRng) -> Result<u32, DpError> {
        if category >= self.categories {
            return Err(DpError::OutOfRange {
                what: "the category",
                range: "below the number of categories",
                value: f64::from(category),
            });
        }
        let ticket = uniform_below(self.total(), rng);
        // Tickets below `others` belong to the other categories, counted past the true one.
        let other = (ticket / OTHER) as u32;
        let shifted = other + u32::from(other >= category);
        let honest = u32::from(ticket >= self.others()).wrapping_neg();
        Ok((category & honest) | (shifted & !honest))
    }

    /// Probability that the answer is the true category.
    #[must_use]
    pub fn truth_probability(&self) -> f64 {
        self.truth as f64 / self.total() as f64
    }

    /// Probability of each other category.
    #[must_use]
    pub fn other_probability(&self) -> f64 {
        OTHER as f64 / self.total() as f64
    }

    /// The share of each category, from how often each was answered: `(answered / n - q) / (p - q)` with the probabilities `p` of the truth and `q` of
    /// each other answer, and the variance `(f p (1 - p) + (1 - f) q (1 - q)) / (n (p - q)^2)` (ME-08).
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for another number of counts, no answers at all, or probabilities that are equal.
    pub fn estimate(&self, counts: &[u64]) -> Result<Vec<FrequencyEstimate>, DpError> {
        let refuse = |what, range, value| Err(DpError::OutOfRange { what, range, value });
        if counts.len() != self.categories as usize {
            let value = counts.len() as f64;
            return refuse("the number of counts", "the number of categories", value);
        }
        let answers: f64 = counts.iter().map(|&count| count as f64).sum();
        if answers < 1.0 {
            return refuse("the number of answers", "at least 1", answers);
        }
        let (p, q) = (self.truth_probability(), self.other_probability());
        let gap = (self.truth - OTHER) as f64 / self.total() as f64;
        if gap <= 0.0 {
            return refuse(
                "epsilon",
                "large enough to tell answers apart",
                self.epsilon,
            );
        }
        let one = |&count: &u64| {
            let frequency = (count as f64 / answers - q) / gap;
            let share = frequency.clamp(0.0, 1.0);
            let spread = share * p * (1.0 - p) + (1.0 - share) * q * (1.0 - q);
            FrequencyEstimate {
                frequency,
                variance: spread / (answers * gap * gap),
            }
        };
        Ok(counts.iter().map(one).collect())
    }

    /// What one answer costs.
    #[must_use]
    pub const fn cost(&self) -> Cost {
        Cost::Response {
            categories: self.categories,
            epsilon: self.epsilon,
        }
    }

    /// Below 2^61.
    const fn others(&self) -> u64 {
        (self.categories as u64 - 1) * OTHER
    }

    /// Below 2^62.
    const fn total(&self) -> u64 {
        self.others() + self.truth
    }
}

/// `floor(e^epsilon 2^30)` or a little less (the factor is far above the error of `exp`), but not below [`OTHER`].
#[expect(clippy::cast_possible_truncation, reason = "below e^20 * 2^30 < 2^59")]
fn truth_weight(epsilon: f64) -> u64 {
    let weight = libm::exp(epsilon) * (1.0 - 1e-15) * OTHER as f64;
    (weight as u64).max(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20::ChaCha20Rng;
    use proptest::prelude::*;
    use rand_core::SeedableRng;

    fn response(categories: u32, epsilon: f64) -> RandomisedResponse {
        RandomisedResponse::new(categories, Epsilon::new(epsilon).unwrap()).unwrap()
    }

    #[test]
    fn parameters_are_checked() {
        let make = |categories, epsilon| {
            RandomisedResponse::new(categories, Epsilon::new(epsilon).unwrap())
        };
        assert!(make(1, 1.0).is_err() && make((1 << 31) + 1, 1.0).is_err());
        assert!(make(2, 20.1).is_err() && make(1 << 31, 20.0).is_ok());
        let tiny = make(2, 1e-300).unwrap();
        assert_eq!(tiny.cost().pure_epsilon(), Some(0.0));
        assert!(tiny.estimate(&[3, 4]).is_err());
        let mut rng = ChaCha20Rng::seed_from_u64(0);
        assert!(tiny.release(2, &mut rng).is_err());
        assert!(response(3, 1.0).estimate(&[1, 2]).is_err());
        assert!(response(2, 1.0).estimate(&[0, 0]).is_err());
    }

    /// ME-07: `floor(e^epsilon 2^30)` from 50 digits (mpmath), never above it; and the classical probabilities.
    #[test]
    fn weights_are_the_references() {
        assert_eq!(truth_weight(1.0), 2_918_732_888);
        let reference = 520_942_161_860_624_640;
        assert!((reference - 2000..=reference).contains(&truth_weight(20.0)));
        let coin = response(2, 3f64.ln());
        assert!((coin.truth_probability() - 0.75).abs() < 1e-9);
        assert!(coin.truth_probability() <= 0.75);
    }

    /// Frequencies of 400,000 answers: 6 standard deviations each, over 11 categories: false alarm below 1e-7. Twin: a wrong epsilon is seen.
    #[test]
    fn answers_have_their_probabilities() {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let draws = 400_000;
        for (categories, truth) in [(2, 0), (2, 1), (4, 2), (5, 4)] {
            let mechanism = response(categories, 1.0);
            let mut counts = vec![0u64; categories as usize];
            for _ in 0..draws {
                counts[mechanism.release(truth, &mut rng).unwrap() as usize] += 1;
            }
            let e = 1f64.exp();
            let off = |e: f64| {
                let each = (0..categories).map(|category| {
                    let share =
                        if category == truth { e } else { 1.0 } / (e + f64::from(categories) - 1.0);
                    let spread = (f64::from(draws) * share * (1.0 - share)).sqrt();
                    (counts[category as usize] as f64 - f64::from(draws) * share).abs() / spread
                });
                each.fold(0.0, f64::max)
            };
            assert!(off(e) < 6.0, "{categories} {truth} {counts:?}");
            assert!(off(1.1f64.exp()) > 6.0);
            let estimate = mechanism.estimate(&counts).unwrap();
            for (category, estimate) in (0..categories).zip(&estimate) {
                let real = f64::from(u8::from(category == truth));
                assert!((estimate.frequency - real).abs() < 6.0 * estimate.variance.sqrt());
            }
            let total: f64 = estimate.iter().map(|one| one.frequency).sum();
            assert!((total - 1.0).abs() < 1e-9);
        }
    }

    /// ME-08, exhaustively: the mean of the estimate over all outcomes of three answers is the truth, its variance the stated one.
    #[test]
    fn the_estimate_is_unbiased() {
        let mechanism = response(3, 0.7);
        let (p, q) = (mechanism.truth_probability(), mechanism.other_probability());
        let truths = [0usize, 0, 2];
        let (mut mean, mut square) = (0.0, 0.0);
        for outcome in 0..27usize {
            let answers = [outcome % 3, outcome / 3 % 3, outcome / 9];
            let mut counts = [0; 3];
            let mut chance = 1.0;
            for (answer, truth) in answers.iter().zip(truths) {
                counts[*answer] += 1;
                chance *= if *answer == truth { p } else { q };
            }
            let frequency = mechanism.estimate(&counts).unwrap()[0].frequency;
            mean += chance * frequency;
            square += chance * frequency * frequency;
        }
        let share = 2.0 / 3.0;
        assert!((mean - share).abs() < 1e-12);
        let stated =
            (share * p * (1.0 - p) + (1.0 - share) * q * (1.0 - q)) / (3.0 * (p - q).powi(2));
        assert!((square - mean * mean - stated).abs() < 1e-12);
    }

    proptest! {
        /// ME-07: the ratio of the probabilities never passes `e^epsilon`, nor the stated epsilon the one asked for.
        #[test]
        fn never_above_epsilon(epsilon in 1e-12f64..20.0) {
            let mechanism = response(7, epsilon);
            let ratio = mechanism.truth as f64 / OTHER as f64;
            prop_assert!(ratio <= epsilon.exp());
            let stated = mechanism.cost().pure_epsilon().unwrap();
            prop_assert!(stated <= epsilon);
            prop_assert!(ratio.ln() <= stated);
        }
    }
}
