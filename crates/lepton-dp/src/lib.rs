//! Exact samplers, privacy mechanisms and accountants.
//!
//! * [`DiscreteGaussian`] and [`DiscreteLaplace`] draw integer noise from exactly the stated law, [`TableGaussian`] several times as fast
//!   and in time that does not depend on the values
//!   (rules DG-.. in `docs/protocols/discrete-gaussian.md`).
//! * [`Accountant`] adds up what releases of noisy sums cost and states it as epsilon at a delta, never too low
//!   (rules AC-.. in `docs/protocols/accounting.md`); [`calibrate`] finds the least noise for a goal.
//! * [`mechanism`] puts noise on counts, real numbers and categories, and [`Neighbours`] says how far one unit of privacy moves a query
//!   (rules ME-.. in `docs/protocols/mechanisms.md`).
//! * [`DistributedNoise`] is noise put together by several parties, with what that adds to the cost.
//!
//! No I/O, no clock, no entropy source: generators are arguments.
//!
//! ```
//! use lepton_dp::{Accountant, Delta, Epsilon, Event, SamplingRate, calibrate};
//!
//! let (target, delta) = (Epsilon::new(3.0)?, Delta::new(1e-5)?);
//! let plan = |noise_multiplier| {
//!     let mut accountant = Accountant::new();
//!     accountant.add(&Event::SampledGaussian { sampling_rate: SamplingRate::new(0.01)?, noise_multiplier }, 1000)?;
//!     Ok(accountant)
//! };
//! let noise_multiplier = calibrate(target, delta, plan)?;
//! assert!(plan(noise_multiplier)?.epsilon(delta)?.0 <= target);
//! # Ok::<(), lepton_dp::DpError>(())
//! ```

pub mod audit;
mod calibrate;
pub mod compose;
pub mod distributed;
mod error;
pub mod filter;
pub mod mechanism;
pub mod pld;
pub mod pure;
pub mod rdp;
mod sampler;
mod sensitivity;
pub mod tradeoff;
mod units;
pub mod zcdp;

pub use calibrate::{MAX_NOISE_MULTIPLIER, MIN_NOISE_MULTIPLIER, calibrate};
pub use distributed::DistributedNoise;
pub use error::DpError;
pub use rdp::{Accountant, Event, Orders};
pub use sampler::{DiscreteGaussian, DiscreteLaplace, MAX_SCALE, MAX_TABLE_SIGMA, TableGaussian};
pub use sensitivity::{
    Adjacency, Bounds, Contribution, Neighbours, Sensitivity, Unit, replace_one_sensitivity,
    round_sensitivity,
};
pub use units::{Delta, Epsilon, NoiseMultiplier, SamplingRate};
