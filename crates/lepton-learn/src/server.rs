//! How the coordinator's released mean change moves the shared parameters.

use serde::{Deserialize, Serialize};

use crate::error::{LearnError, expect_len};
use crate::local::{decay, positive};

/// Server step rule (Reddi et al. 2021, algorithm 2). `delta` is the mean change of the parties, or minus a noisy gradient.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerOptimiser {
    /// `params += learning_rate * delta`; with 1 this is federated averaging (McMahan et al. 2017).
    Average {
        /// Step length, above 0.
        learning_rate: f64,
    },
    /// `v = momentum * v + delta; params += learning_rate * v`.
    Momentum {
        /// Step length, above 0.
        learning_rate: f64,
        /// In `[0, 1)`.
        momentum: f64,
    },
    /// FedAdam with bias correction as in Kingma and Ba 2015.
    Adam {
        /// Step length, above 0.
        learning_rate: f64,
        /// Decay of the mean, in `[0, 1)`.
        beta1: f64,
        /// Decay of the mean square, in `[0, 1)`.
        beta2: f64,
        /// Added to the root, above 0.
        eps: f64,
    },
    /// Adam for a noised gradient, without the noise in its second moment (DP-AdamBC; Tang, Shpilevskiy and Lecuyer 2024,
    /// algorithm 1): `params += learning_rate * m / sqrt(max(v - noise_variance, eps^2))`, `m` and `v` corrected for their
    /// start. Works on the release alone, so it costs no privacy (rule DP-17).
    DpAdam {
        /// Step length, above 0.
        learning_rate: f64,
        /// Decay of the mean, in `[0, 1)`.
        beta1: f64,
        /// Decay of the mean square, in `[0, 1)`.
        beta2: f64,
        /// Least root, above 0.
        eps: f64,
        /// Public variance of the noise in each coordinate of `delta`, not negative.
        noise_variance: f64,
    },
}

/// A rule with its state; serialise it into the checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerState {
    rule: ServerOptimiser,
    steps: u64,
    #[serde(with = "crate::packed")]
    first: Vec<f64>,
    #[serde(with = "crate::packed")]
    second: Vec<f64>,
}

impl ServerState {
    /// A fresh state for `len` parameters.
    ///
    /// # Errors
    /// [`LearnError::Setting`] for a setting out of range.
    pub fn new(rule: ServerOptimiser, len: usize) -> Result<Self, LearnError> {
        let (first, second) = match rule {
            ServerOptimiser::Average { learning_rate } => {
                positive("learning_rate", learning_rate)?;
                (0, 0)
            }
            ServerOptimiser::Momentum {
                learning_rate,
                momentum,
            } => {
                positive("learning_rate", learning_rate)?;
                decay("momentum", momentum)?;
                (len, 0)
            }
            ServerOptimiser::Adam {
                learning_rate,
                beta1,
                beta2,
                eps,
            } => {
                adam_settings(learning_rate, (beta1, beta2), eps)?;
                (len, len)
            }
            ServerOptimiser::DpAdam {
                learning_rate,
                beta1,
                beta2,
                eps,
                noise_variance,
            } => {
                adam_settings(learning_rate, (beta1, beta2), eps)?;
                if !(noise_variance.is_finite() && noise_variance >= 0.0) {
                    return Err(LearnError::setting(
                        "noise_variance",
                        "finite and not negative",
                        noise_variance,
                    ));
                }
                (len, len)
            }
        };
        Ok(Self {
            rule,
            steps: 0,
            first: vec![0.0; first],
            second: vec![0.0; second],
        })
    }

    /// Number of steps taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The rule.
    #[must_use]
    pub fn rule(&self) -> ServerOptimiser {
        self.rule
    }

    /// Moves `params` by `delta`. On an error nothing has changed.
    ///
    /// # Errors
    /// When lengths differ, or `delta` or the result is not finite.
    pub fn apply(&mut self, params: &mut [f64], delta: &[f64]) -> Result<(), LearnError> {
        expect_len("server delta", params.len(), delta.len())?;
        for state in [&self.first, &self.second] {
            if !state.is_empty() {
                expect_len("server state", params.len(), state.len())?;
            }
        }
        if let Some(index) = delta.iter().position(|d| !d.is_finite()) {
            return Err(LearnError::NotFinite {
                what: "server delta",
                index,
            });
        }
        let mut next = self.clone();
        let mut moved = params.to_vec();
        next.advance(&mut moved, delta);
        if !moved.iter().all(|p| p.is_finite()) {
            return Err(LearnError::Diverged);
        }
        params.copy_from_slice(&moved);
        *self = next;
        Ok(())
    }

    fn advance(&mut self, params: &mut [f64], delta: &[f64]) {
        self.steps += 1;
        match self.rule {
            ServerOptimiser::Average { learning_rate } => {
                params
                    .iter_mut()
                    .zip(delta)
                    .for_each(|(p, d)| *p += learning_rate * d);
            }
            ServerOptimiser::Momentum {
                learning_rate,
                momentum,
            } => {
                for ((p, d), v) in params.iter_mut().zip(delta).zip(&mut self.first) {
                    *v = momentum * *v + d;
                    *p += learning_rate * *v;
                }
            }
            ServerOptimiser::Adam {
                learning_rate,
                beta1,
                beta2,
                eps,
            } => {
                self.moments(params, delta, (beta1, beta2), |m, v| {
                    learning_rate * m / (v.sqrt() + eps)
                });
            }
            ServerOptimiser::DpAdam {
                learning_rate,
                beta1,
                beta2,
                eps,
                noise_variance,
            } => self.moments(params, delta, (beta1, beta2), |m, v| {
                learning_rate * m / (v - noise_variance).max(eps * eps).sqrt()
            }),
        }
    }

    /// Updates both moments and moves each parameter by `step` of them, corrected for their start at zero.
    fn moments(
        &mut self,
        params: &mut [f64],
        delta: &[f64],
        (beta1, beta2): (f64, f64),
        step: impl Fn(f64, f64) -> f64,
    ) {
        let correct = |beta: f64| 1.0 / (1.0 - libm::pow(beta, self.steps as f64));
        let (scale1, scale2) = (correct(beta1), correct(beta2));
        let state = self.first.iter_mut().zip(&mut self.second);
        for ((p, d), (m, v)) in params.iter_mut().zip(delta).zip(state) {
            *m = beta1 * *m + (1.0 - beta1) * d;
            *v = beta2 * *v + (1.0 - beta2) * d * d;
            *p += step(*m * scale1, *v * scale2);
        }
    }
}

fn adam_settings(rate: f64, (beta1, beta2): (f64, f64), eps: f64) -> Result<(), LearnError> {
    positive("learning_rate", rate)?;
    decay("beta1", beta1)?;
    decay("beta2", beta2)?;
    positive("eps", eps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn average_adds_the_scaled_delta() {
        let mut state =
            ServerState::new(ServerOptimiser::Average { learning_rate: 0.5 }, 2).unwrap();
        let mut params = [1.0, 2.0];
        state.apply(&mut params, &[0.2, -4.0]).unwrap();
        assert_eq!(params, [1.1, 0.0]);
    }

    #[test]
    fn momentum_accumulates() {
        let rule = ServerOptimiser::Momentum {
            learning_rate: 1.0,
            momentum: 0.5,
        };
        let mut state = ServerState::new(rule, 1).unwrap();
        let mut params = [0.0];
        state.apply(&mut params, &[1.0]).unwrap();
        state.apply(&mut params, &[1.0]).unwrap();
        assert_eq!(params, [2.5]);
    }

    #[test]
    fn adam_matches_two_steps_by_hand() {
        let rule = ServerOptimiser::Adam {
            learning_rate: 0.1,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-3,
        };
        let mut state = ServerState::new(rule, 1).unwrap();
        let mut params = [1.0];
        // Step 1: m = 0.2, v = 0.04; corrected 2 and 4; step 0.1 * 2 / (2 + 0.001).
        state.apply(&mut params, &[2.0]).unwrap();
        let first = 1.0 + 0.2 / 2.001;
        assert!((params[0] - first).abs() < 1e-12);
        // Step 2 with -1: m = 0.08, v = 0.0496; corrected by 0.19 and 0.0199.
        state.apply(&mut params, &[-1.0]).unwrap();
        let second = first + 0.1 * (0.08 / 0.19) / ((0.0496_f64 / 0.0199).sqrt() + 1e-3);
        assert!((params[0] - second).abs() < 1e-12);
    }

    /// DP-17: the known variance of the noise leaves the second moment; where nothing else is left, `eps` bounds the step.
    #[test]
    fn private_adam_subtracts_the_noise_by_hand() {
        let rule = |noise_variance| ServerOptimiser::DpAdam {
            learning_rate: 0.1,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-3,
            noise_variance,
        };
        // First step: corrected moments 2 and 4.
        for (noise, root) in [(3.0, 1.0), (0.0, 2.0), (5.0, 1e-3)] {
            let mut state = ServerState::new(rule(noise), 1).unwrap();
            let mut params = [1.0];
            state.apply(&mut params, &[2.0]).unwrap();
            assert!((params[0] - (1.0 + 0.1 * 2.0 / root)).abs() < 1e-9);
        }
        assert!(ServerState::new(rule(-1.0), 1).is_err());
    }

    #[test]
    fn state_survives_serialisation_and_refuses_bad_deltas_unchanged() {
        let rule = ServerOptimiser::Momentum {
            learning_rate: 1.0,
            momentum: 0.9,
        };
        let mut state = ServerState::new(rule, 1).unwrap();
        let mut params = [0.0];
        state.apply(&mut params, &[0.3]).unwrap();
        let copy: ServerState =
            serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        assert_eq!(copy, state);
        assert!(state.apply(&mut params, &[f64::NAN]).is_err());
        assert!(state.apply(&mut params, &[f64::MAX, 0.0]).is_err());
        assert_eq!(copy, state);
        assert!(
            ServerState::new(
                ServerOptimiser::Average {
                    learning_rate: -1.0
                },
                1
            )
            .is_err()
        );
    }
}
