//! Plans of charges, and searches over them by either accountant (docs/protocols/accounting.md, AC-15 and AC-27).

mod charge;
mod error;
mod group;
mod search;

pub use charge::{Charge, MAX_SENSITIVITY, Noise, Plan, Tuned};
pub use error::AccountError;
pub use group::{MAX_GROUP, group_delta, group_epsilon};
pub(crate) use search::least_that_meets;
pub use search::{Method, epsilon, largest_rate, most_runs, smallest_factor};
