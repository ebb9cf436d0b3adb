//! The step taken along a noised gradient.

use lepton_learn::ServerOptimiser;

use super::model::adam;
use super::{Plan, PlanError};
use crate::exchange::Kind;
use crate::job::{Noise, PrivateOptimiser};
use crate::public::PublicState;
use crate::work::public_divisor;

/// The least root that `dp_adam` divides by, in standard deviations of the noise: what is left of the second moment after the noise is itself uncertain
/// by about so much after a few dozen steps, and dividing by less would follow that.
const LEAST_ROOT: f64 = 0.5;

impl Plan {
    /// The step taken along a noised gradient: at the coordinator with distributed noise, at the party with local noise.
    ///
    /// # Errors
    /// [`PlanError::Data`] before the statistics.
    pub fn private_step(&self, public: &PublicState) -> Result<ServerOptimiser, PlanError> {
        let (name, learning_rate) = self
            .job()
            .privacy()
            .map_or((PrivateOptimiser::Adam, 0.1), |privacy| {
                (privacy.optimiser, privacy.learning_rate.get())
            });
        Ok(match name {
            PrivateOptimiser::Adam => adam(learning_rate),
            PrivateOptimiser::Sgd => ServerOptimiser::Average { learning_rate },
            PrivateOptimiser::DpAdam => {
                let noise_variance = self.step_variance(public)?;
                ServerOptimiser::DpAdam {
                    learning_rate,
                    beta1: 0.9,
                    beta2: 0.999,
                    eps: (LEAST_ROOT * noise_variance.sqrt()).max(1e-8),
                    noise_variance,
                }
            }
        })
    }

    /// Variance of the noise in each coordinate of a private step's mean gradient, if no party is lost.
    fn step_variance(&self, public: &PublicState) -> Result<f64, PlanError> {
        let exchange = self.exchange(Kind::Training, public)?;
        let len = self.model_len(public)?;
        let parties = f64::from(self.parties());
        let local = self
            .job()
            .privacy()
            .is_some_and(|privacy| privacy.noise == Noise::Local);
        // Alone, a party divides its own noise by its part of the rows.
        let (noises, share) = if local {
            (1.0, parties)
        } else {
            (parties, 1.0)
        };
        let scale = self.gradient_scale(len, public) * public_divisor(self, public) / share;
        #[expect(clippy::cast_precision_loss, reason = "sigma is below 2^40")]
        let sigma = exchange.noise.map_or(0.0, |noise| noise.sigma as f64);
        Ok(noises * (sigma / scale).powi(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Job, Override};
    use crate::public::Moments;

    fn variance(sets: &[&str]) -> (f64, f64, f64) {
        let text = "[job]\nname = \"n\"\n[data]\ntable = \"n.csv\"\nlabel = \"y\"\nclasses = [\"a\", \"b\"]\nfeatures = [\"x\"]\n\
            types = { x = \"number\", y = \"category\" }\n[prepare]\nbounds = { x = [0, 1] }\n[model]\nkind = \"logistic\"\n\
            [training]\nsampling_rate = 0.5\n[privacy]\nepsilon = 3.0\noptimiser = \"dp_adam\"\n";
        let sets: Vec<Override> = sets
            .iter()
            .map(|set| Override::parse(set).unwrap())
            .collect();
        let plan = Plan::new(Job::parse("n.toml", text, &sets).unwrap(), 4).unwrap();
        let moments = Moments {
            mean: 0.5,
            std: 0.25,
        };
        let mut public = PublicState {
            rows: 1000.0,
            moments: Some([("x".to_owned(), moments)].into()),
            ..PublicState::default()
        };
        public.derive(&plan).unwrap();
        let rule = plan.private_step(&public).unwrap();
        let ServerOptimiser::DpAdam {
            noise_variance,
            eps,
            ..
        } = rule
        else {
            panic!("{rule:?}");
        };
        let sigma = plan
            .exchange(Kind::Training, &public)
            .unwrap()
            .noise
            .unwrap()
            .sigma;
        // Deviation of one party's noise in units of the gradient.
        (
            noise_variance,
            eps,
            sigma as f64 / plan.gradient_scale(2, &public),
        )
    }

    /// FT-24: the variance that four parties' shares make in the mean over the 500 records expected, by hand.
    #[test]
    fn dp_adam_knows_the_noise_of_the_sum() {
        let (found, least_root, one) = variance(&[]);
        assert!((found / (4.0 * (one / 500.0).powi(2)) - 1.0).abs() < 1e-12);
        assert!((least_root / (0.5 * found.sqrt()) - 1.0).abs() < 1e-12);
    }

    /// FT-24: alone, a party has a quarter of the records and its own noise.
    #[test]
    fn dp_adam_knows_the_noise_of_a_party_alone() {
        let (found, _, one) = variance(&["privacy.noise=local"]);
        assert!((found / (one / 125.0).powi(2) - 1.0).abs() < 1e-12);
    }
}
