//! Gradient canaries: made-up records whose clipped gradient points along one parameter with the whole clipping norm, each included by the toss of a coin
//! and sampled in every round like any record. Nothing hides such a record but sampling and noise, so they show the most that sums can show.

use lepton_protocol::plan::Plan;
use lepton_protocol::public::PublicState;
use rand_core::CryptoRng;

use super::course::Course;
use super::{Guess, NodeError};

/// One canary for each of the first parameters, and who of them takes part.
pub(super) struct Directions {
    included: Vec<bool>,
}

impl Directions {
    pub(super) fn draw(count: u32, rng: &mut impl CryptoRng) -> Self {
        let included = (0..count).map(|_| rng.next_u32() & 1 == 1).collect();
        Self { included }
    }

    /// Adds what the included and sampled canaries contribute to a round's sum.
    pub(super) fn join(
        &self,
        (plan, public): (&Plan, &PublicState),
        sum: &mut [i64],
        rng: &mut impl CryptoRng,
    ) -> Result<(), NodeError> {
        let rate = plan
            .privacy()
            .map_or(1.0, |privacy| privacy.goal.sampling_rate.get());
        let sampled = lepton_learn::poisson_sample(self.included.len(), rate, rng)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a power of two times the clipping norm, far below 2^53; towards zero, so never longer than a record may be"
        )]
        let length = (plan.gradient_scale(sum.len(), public) * plan.clip(public)?.get()) as i64;
        for row in sampled {
            if self.included.get(row) == Some(&true)
                && let Some(entry) = sum.get_mut(row)
            {
                *entry = entry.wrapping_add(length);
            }
        }
        Ok(())
    }

    /// Guesses from the total of each canary's parameter over all rounds.
    pub(super) fn guess(&self, course: &Course, guesses: u32) -> Guess {
        let mut totals = vec![0_i128; self.included.len()];
        for round in &course.rounds {
            let entries = totals.iter_mut().zip(&round.sum);
            entries.for_each(|(total, entry)| *total += i128::from(*entry));
        }
        #[expect(clippy::cast_precision_loss, reason = "a score")]
        let scores: Vec<f64> = totals.iter().map(|total| *total as f64).collect();
        Guess::of(&scores, &self.included, guesses)
    }
}
