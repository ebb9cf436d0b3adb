//! What can go wrong, by whose fault.

use crate::Epsilon;

/// Every refusal of this crate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DpError {
    /// A caller passed a number outside the range in which it has a meaning.
    #[error("{what} must be {range}, but is {value}; correct the value")]
    OutOfRange {
        /// Which quantity.
        what: &'static str,
        /// The range that is accepted.
        range: &'static str,
        /// What was passed.
        value: f64,
    },
    /// No finite epsilon holds at the asked delta: the noise is so small that every order overflows.
    #[error(
        "no finite epsilon can be shown for these events: the noise is far too small; raise the noise multiplier"
    )]
    Unbounded,
    /// At the asked epsilon no delta below one can be shown.
    #[error(
        "no delta below 1 can be shown at epsilon {epsilon}; ask for a larger epsilon or add noise"
    )]
    NoDelta {
        /// The epsilon that was asked for.
        epsilon: Epsilon,
    },
    /// No noise multiplier up to [`crate::MAX_NOISE_MULTIPLIER`] reaches the target.
    #[error(
        "no noise multiplier up to {limit:e} reaches epsilon {target} at this delta; the smallest epsilon that can be reached is \
         {reachable} (other events already charged, or the orders of the accountant, hold it there); raise epsilon or delta, or charge less"
    )]
    NoiseCannotMeetGoal {
        /// The goal.
        target: Epsilon,
        /// The smallest epsilon found over all noise multipliers tried.
        reachable: Epsilon,
        /// The largest noise multiplier tried.
        limit: f64,
    },
}
