//! What is charged: one release of a noisy sum.

use serde::{Deserialize, Serialize};

use super::curve;
use crate::distributed::DistributedNoise;
use crate::{NoiseMultiplier, SamplingRate};

/// One release, under add-remove adjacency. The noise is Gaussian or discrete Gaussian; discrete noise needs integer contributions (AC-04).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Event {
    /// A noisy sum over all records.
    Gaussian {
        /// Noise per unit of sensitivity.
        noise_multiplier: NoiseMultiplier,
    },
    /// A noisy sum over a fresh Poisson sample: every record enters independently with the same probability. Shuffled
    /// or fixed-size batches are something else.
    SampledGaussian {
        /// Probability with which a record enters.
        sampling_rate: SamplingRate,
        /// Noise per unit of sensitivity.
        noise_multiplier: NoiseMultiplier,
    },
    /// As [`Event::SampledGaussian`] (a rate of 1: as [`Event::Gaussian`]), the noise being the sum of shares drawn by several
    /// parties; made by [`Event::with_slack`].
    Distributed {
        /// Probability with which a record enters.
        sampling_rate: SamplingRate,
        /// Noise of the whole sum per unit of sensitivity.
        noise_multiplier: NoiseMultiplier,
        /// How the noise was put together.
        noise: DistributedNoise,
    },
}

impl Event {
    /// The same release with noise that is a sum of the parties' shares: adds [`DistributedNoise::rdp_slack`] at each order.
    /// Applied twice, the last `noise` counts. The noise multiplier stays the caller's: see [`DistributedNoise::noise_multiplier`].
    #[must_use]
    pub fn with_slack(self, noise: DistributedNoise) -> Self {
        let (sampling_rate, noise_multiplier) = (self.sampling_rate(), self.noise_multiplier());
        Self::Distributed {
            sampling_rate,
            noise_multiplier,
            noise,
        }
    }

    /// Probability with which a record enters.
    #[must_use]
    pub const fn sampling_rate(&self) -> SamplingRate {
        match self {
            Self::Gaussian { .. } => SamplingRate::ALL,
            Self::SampledGaussian { sampling_rate, .. }
            | Self::Distributed { sampling_rate, .. } => *sampling_rate,
        }
    }

    /// Noise per unit of sensitivity.
    #[must_use]
    pub const fn noise_multiplier(&self) -> NoiseMultiplier {
        match self {
            Self::Gaussian { noise_multiplier }
            | Self::SampledGaussian {
                noise_multiplier, ..
            }
            | Self::Distributed {
                noise_multiplier, ..
            } => *noise_multiplier,
        }
    }

    /// Upper bound on the Rényi divergence of this order, in both directions of add-remove. Infinite where it overflows.
    ///
    /// An `order` below 2 counts as 2.
    #[must_use]
    pub fn rdp(&self, order: u32) -> f64 {
        let order = order.max(2);
        let base = curve::sampled_gaussian(order, self.sampling_rate(), self.noise_multiplier());
        match self {
            Self::Distributed { noise, .. } => (base + noise.rdp_slack(order)).next_up(),
            Self::Gaussian { .. } | Self::SampledGaussian { .. } => base,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_round_trip_and_refusal() {
        let json = r#"{"sampled_gaussian":{"sampling_rate":0.01,"noise_multiplier":1.0}}"#;
        let event: Event = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), json);
        let distributed = event.with_slack(DistributedNoise::new(3, 100, 10).unwrap());
        let text = serde_json::to_string(&distributed).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), distributed);
        assert!(serde_json::from_str::<Event>(&text.replace("100", "1")).is_err());
        assert!(serde_json::from_str::<Event>(&json.replace("1.0", "-1.0")).is_err());
    }

    #[test]
    fn slack_only_adds() {
        let event = Event::Gaussian {
            noise_multiplier: NoiseMultiplier::new(3.0).unwrap(),
        };
        let noise = DistributedNoise::new(5, 2, 1_000_000).unwrap();
        let distributed = event.with_slack(noise);
        assert!(distributed.rdp(2) > event.rdp(2));
        assert!(distributed.rdp(2) <= event.rdp(2) + 1.1 * noise.rdp_slack(2));
        assert_eq!(distributed.with_slack(noise), distributed);
    }
}
