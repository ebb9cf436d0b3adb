//! Why a plan cannot be accounted.

use crate::DpError;

/// Refusals of the stand-alone accountants.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// A number is out of range, or no bound exists.
    #[error(transparent)]
    Dp(#[from] DpError),
    /// No proven bound is known here for this mechanism, sampling and adjacency.
    #[error("{what} is not covered: {why}; {remedy}")]
    NotCovered {
        /// Mechanism, sampling, adjacency and accountant.
        what: String,
        /// What is missing.
        why: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The parameters ask for tables beyond what this program computes.
    #[error("{what} is too large to be tabulated; {remedy}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// Nothing in the searched range meets the goal.
    #[error(
        "nothing from {from:e} to {to:e} meets the goal; ask for a larger epsilon or delta, or charge less"
    )]
    NothingMeetsGoal {
        /// Smallest value tried.
        from: f64,
        /// Largest value tried.
        to: f64,
    },
}
