//! Budgets for releases that are chosen one after the other, each knowing what the earlier ones gave: plain arithmetic for a ledger (AC-26).
//!
//! What composes for a plan fixed beforehand need not hold for adaptively chosen *parameters*; a filter says yes or no before each release and keeps the guarantee
//! whatever was asked for in between.

mod loss;
mod renyi;

pub use loss::{LossFilter, LossRule};
pub use renyi::{FilterError, RenyiFilter};

/// A request that the budget does not cover; nothing was charged.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "the budget does not cover this: it needs {needed}, {remaining} is left; ask for less or add noise"
)]
pub struct Refused {
    /// What the request costs, in the filter's own measure.
    pub needed: f64,
    /// What is left.
    pub remaining: f64,
}
