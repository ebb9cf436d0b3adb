//! Job files, wire messages, ledger and store traits, and the coordinator and party state machines; sans-IO.
//!
//! Nothing here reads a clock, a file or the operating system's entropy: bytes, events and generators come in, effects go out.
//! The rules cited as FT and PR are in `docs/protocols/federated-training.md` and `docs/protocols/preparation.md`.

pub mod control;
pub mod coordinator;
pub mod exchange;
pub mod frame;
pub mod job;
pub mod ledger;
pub mod party;
pub mod plan;
pub mod privacy;
pub mod progress;
pub mod public;
pub mod report;
pub mod robust;
pub mod store;
pub mod training;
pub mod wire;
pub mod work;
