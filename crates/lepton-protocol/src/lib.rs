//! Job files, wire messages, ledger and store traits, and the coordinator and party state machines; sans-IO.
//!
//! Nothing here reads a clock, a file or the operating system's entropy: bytes, events and generators come in, effects go out.
//! The rules cited as FT, PR and PO are in `docs/protocols/federated-training.md`, `docs/protocols/preparation.md` and `docs/protocols/policy.md`.

pub mod control;
pub mod coordinator;
pub mod exchange;
pub mod frame;
mod gradients;
pub mod job;
pub mod late;
pub mod ledger;
pub mod noise;
pub mod party;
mod plain;
pub mod plan;
pub mod policy;
pub mod privacy;
pub mod progress;
pub mod public;
pub mod report;
pub mod robust;
pub mod store;
pub mod trainer;
pub mod training;
mod units;
pub mod wire;
pub mod work;
