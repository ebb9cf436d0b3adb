//! A clip norm that follows a quantile of the updates' norms (Andrew, Thakkar, McMahan and Ramaswamy 2021), rule DP-16.

use serde::{Deserialize, Serialize};

use super::ClipNorm;
use crate::error::LearnError;
use crate::local::positive;

/// The present norm and how it moves. Everything here works on released (noised) numbers and public constants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveClip {
    /// The norm to clip to now.
    pub norm: ClipNorm,
    /// The share of updates that should be within the norm, strictly between 0 and 1; the paper uses 0.5.
    pub target_quantile: f64,
    /// Step length of the geometric update; the paper uses 0.2.
    pub learning_rate: f64,
}

impl AdaptiveClip {
    /// Checks the ranges of the settings.
    ///
    /// # Errors
    /// [`LearnError::Setting`].
    pub fn validate(&self) -> Result<(), LearnError> {
        if !(self.target_quantile > 0.0 && self.target_quantile < 1.0) {
            return Err(LearnError::setting(
                "target_quantile",
                "above 0 and below 1",
                self.target_quantile,
            ));
        }
        positive("learning_rate", self.learning_rate)
    }

    /// What one party or a step's sample adds to the count, in half units: `+1` for every update within the norm, `-1` for
    /// every clipped one (the paper's `b - 1/2`, doubled). Adding or removing one update changes a sum of these by exactly
    /// 1, where a count of 0 or 1 and a separate number of updates would change by more.
    #[must_use]
    pub fn contribution(updates: usize, clipped: usize) -> i64 {
        let signed = |n: usize| i64::try_from(n).unwrap_or(i64::MAX / 4);
        signed(updates) - 2 * signed(clipped)
    }

    /// The next norm: `norm * exp(-learning_rate * (share - target_quantile))` with
    /// `share = noised_sum / (2 * updates) + 1/2`. `noised_sum` is the released sum of contributions with its noise (of
    /// standard deviation `2 * count noise`, see [`update_noise`]); `updates` is the *public* expected number of updates,
    /// never the realised one (rule DP-03).
    ///
    /// # Errors
    /// [`LearnError::Setting`] for settings out of range or a sum that is not finite.
    pub fn next(&self, noised_sum: f64, updates: f64) -> Result<Self, LearnError> {
        self.validate()?;
        positive("updates", updates)?;
        if !noised_sum.is_finite() {
            return Err(LearnError::setting("noised_sum", "finite", noised_sum));
        }
        let share = noised_sum / (2.0 * updates) + 0.5;
        let factor = libm::exp(-self.learning_rate * (share - self.target_quantile));
        let limit = (1_u64 << 40) as f64;
        let norm = (self.norm.get() * factor).clamp(1.0 / limit, limit);
        Ok(Self {
            norm: ClipNorm::new(norm)?,
            ..*self
        })
    }
}

/// Noise multiplier that the updates need when a count is released beside them with standard deviation `count_noise`, in
/// units of one update: `(z^-2 - (2 count_noise)^-2)^(-1/2)` (Andrew et al. 2021, theorem 1), so that both together cost what
/// one Gaussian mechanism of noise multiplier `z` costs. In the half units of [`AdaptiveClip::contribution`] the count's
/// deviation is `2 * count_noise` at sensitivity 1. Never rounded down.
///
/// # Errors
/// [`LearnError::Setting`] unless both are positive and `2 * count_noise` is well above `z`.
pub fn update_noise(noise_multiplier: f64, count_noise: f64) -> Result<f64, LearnError> {
    positive("noise_multiplier", noise_multiplier)?;
    positive("count_noise", count_noise)?;
    let share = noise_multiplier / (2.0 * count_noise);
    if share > 0.999 {
        return Err(LearnError::setting(
            "count_noise",
            "more than half the noise multiplier, by at least 0.1 %",
            count_noise,
        ));
    }
    // 1 - share loses at most three digits, so the inflation covers all rounding.
    let split = noise_multiplier / ((1.0 - share) * (1.0 + share)).sqrt();
    Ok(split * (1.0 + 1e-12))
}

/// The paper's choice of the count's standard deviation, in units of one update: a twentieth of the (public) updates a round.
#[must_use]
pub fn count_noise(updates: f64) -> f64 {
    updates / 20.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(norm: f64) -> AdaptiveClip {
        AdaptiveClip {
            norm: ClipNorm::new(norm).unwrap(),
            target_quantile: 0.5,
            learning_rate: 0.2,
        }
    }

    /// DP-16: together the two releases cost exactly the one of multiplier z.
    #[test]
    fn the_split_adds_up() {
        for (z, count) in [(1.0, 5.0), (0.5, 0.3), (1.13, 50.0), (3.0, 1.6)] {
            let update = update_noise(z, count).unwrap();
            let whole = update.powi(-2) + (2.0 * count).powi(-2);
            assert!(whole <= z.powi(-2) && whole > z.powi(-2) * (1.0 - 1e-11));
        }
        assert!(update_noise(1.0, 0.5).is_err() && update_noise(1.0, 0.4).is_err());
        assert!(update_noise(0.0, 1.0).is_err() && update_noise(1.0, f64::NAN).is_err());
    }

    #[test]
    fn one_update_more_changes_the_count_by_one() {
        for (updates, clipped) in [(0_usize, 0), (10, 3), (10, 10)] {
            let base = AdaptiveClip::contribution(updates, clipped);
            assert_eq!(AdaptiveClip::contribution(updates + 1, clipped) - base, 1);
            assert_eq!(
                AdaptiveClip::contribution(updates + 1, clipped + 1) - base,
                -1
            );
        }
    }

    #[test]
    fn one_step_by_hand() {
        // 30 of 40 within the norm: share 0.75, factor exp(-0.2 * 0.25).
        let next = clip(2.0).next(20.0, 40.0).unwrap();
        assert!((next.norm.get() - 2.0 * (-0.05_f64).exp()).abs() < 1e-14);
        assert!(clip(2.0).next(f64::NAN, 40.0).is_err() && clip(2.0).next(1.0, 0.0).is_err());
        assert!(clip(1e-12).next(1e9, 1.0).is_ok());
    }

    /// Without noise the norm settles where the wanted share of norms lies.
    #[test]
    fn it_finds_the_median() {
        let norms: Vec<f64> = (1..=101).map(f64::from).collect();
        let mut at = clip(0.1);
        for _ in 0..300 {
            let clipped = norms.iter().filter(|n| **n > at.norm.get()).count();
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let sum = AdaptiveClip::contribution(norms.len(), clipped) as f64;
            at = at.next(sum, 101.0).unwrap();
        }
        assert!((at.norm.get() - 51.0).abs() < 2.0);
    }
}
