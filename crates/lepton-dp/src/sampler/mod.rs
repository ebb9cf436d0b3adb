//! Exact samplers on the integers (docs/protocols/discrete-gaussian.md).

mod bernoulli;
mod exact;
mod gaussian;
mod laplace;
mod table;
mod trial;

pub(crate) use bernoulli::uniform_below;
pub use gaussian::DiscreteGaussian;
pub use laplace::DiscreteLaplace;
pub use table::{MAX_TABLE_SIGMA, TableGaussian};

/// Largest sigma or scale accepted (DG-02): every intermediate value then fits a machine word.
pub const MAX_SCALE: u64 = 1 << 40;
