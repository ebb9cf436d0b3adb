//! Mechanisms: a value goes in, the value with noise comes out (docs/protocols/mechanisms.md).
//!
//! Each one checks its parameters when it is made, draws its noise exactly on the integers, and tells in plain numbers what one release of it
//! [costs](Cost), for an accountant.
//!
//! ```
//! use lepton_dp::Epsilon;
//! use lepton_dp::mechanism::DiscreteLaplaceMechanism;
//! use rand_core::SeedableRng;
//!
//! let mut generator = chacha20::ChaCha20Rng::seed_from_u64(7); // in earnest: a seed from the operating system
//! let count = DiscreteLaplaceMechanism::new(1, Epsilon::new(0.5)?)?;
//! let released = count.release(1234, &mut generator);
//! assert!((released - 1234).abs() < 200);
//! assert_eq!(count.cost().pure_epsilon(), Some(0.5));
//! # Ok::<(), lepton_dp::DpError>(())
//! ```

pub mod continuous;
mod fixed_point;
mod integer;
mod response;

pub use fixed_point::{GaussianMechanism, Grid, LaplaceMechanism};
pub use integer::{DiscreteGaussianMechanism, DiscreteLaplaceMechanism};
pub use response::{FrequencyEstimate, RandomisedResponse};

/// What one release costs, in the numbers accountants start from (ME-06). Noise multipliers are rounded down, epsilons up.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Cost {
    /// Discrete Laplace noise.
    Laplace {
        /// Scale of the noise over the L1 sensitivity.
        noise_multiplier: f64,
        /// Pure epsilon.
        epsilon: f64,
    },
    /// Discrete Gaussian noise: Rényi and concentrated bounds hold as for continuous noise, the continuous (epsilon, delta) curve does not (ME-05).
    Gaussian {
        /// Sigma of the noise over the L2 sensitivity.
        noise_multiplier: f64,
    },
    /// Randomised response.
    Response {
        /// Number of categories.
        categories: u32,
        /// Pure epsilon.
        epsilon: f64,
    },
}

impl Cost {
    /// The epsilon at delta 0, where there is one.
    #[must_use]
    pub const fn pure_epsilon(self) -> Option<f64> {
        match self {
            Self::Laplace { epsilon, .. } | Self::Response { epsilon, .. } => Some(epsilon),
            Self::Gaussian { .. } => None,
        }
    }

    /// Scale (Laplace) or sigma (Gaussian) over the sensitivity.
    #[must_use]
    pub const fn noise_multiplier(self) -> Option<f64> {
        match self {
            Self::Laplace {
                noise_multiplier, ..
            }
            | Self::Gaussian { noise_multiplier } => Some(noise_multiplier),
            Self::Response { .. } => None,
        }
    }
}
