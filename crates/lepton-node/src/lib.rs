//! Everything that runs: coordinator, parties, in-memory transport, stores, run folders and reports.
//!
//! This crate has no type for another party's unmasked vector: between tasks travel encoded frames only.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the shell: the one library that reads clocks and files and asks the operating system for randomness"
)]

pub mod audit;
pub mod audit_log;
mod baselines;
pub mod bench;
pub mod checkpoint;
pub mod config;
pub mod daemon;
#[cfg(any(test, feature = "fuzzing"))]
pub mod decoders;
pub mod described;
pub mod doctor;
pub mod envelopes;
pub mod error;
pub mod federation;
pub mod files;
pub mod hex;
pub mod key_register;
pub mod ledger;
pub mod local_sum;
pub mod logging;
pub mod metrics;
pub mod model_file;
mod model_summary;
pub mod net;
pub mod predict;
mod privacy_statement;
pub mod random;
mod released;
pub mod report;
pub mod run_folder;
pub mod scaffold;
pub mod scenario;
pub mod signed_report;
pub mod simulate;
pub mod store;
mod summary;
pub mod tables;
pub mod trainers;
mod wait;
