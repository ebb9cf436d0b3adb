//! Exact samplers on the integers (docs/protocols/discrete-gaussian.md).

mod bernoulli;
mod exact;
mod gaussian;
mod laplace;

pub use gaussian::DiscreteGaussian;
pub use laplace::DiscreteLaplace;

/// Largest sigma or scale accepted (DG-02): every intermediate value then fits a machine word.
pub const MAX_SCALE: u64 = 1 << 40;
