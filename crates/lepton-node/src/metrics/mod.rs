//! Figures for monitoring, in OpenMetrics, with health and readiness (`docs/operations.md`).
//!
//! Counts of messages, jobs and rounds, and times of the coordinator. Nothing here comes from rows: no table size, no metric of a model, and no time that a party took to work.

mod figures;
mod serve;

pub use figures::{JobState, Metrics, Way};
pub use serve::{Readiness, Server, serve};
