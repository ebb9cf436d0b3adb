//! Daemons held against the rules of `docs/protocols/job-control.md`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "worlds are set up by helpers outside of test functions"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "what is on disk is what is tested"
)]
#![expect(unreachable_pub, reason = "modules of one test")]

mod custom;
mod killed;
mod late;
mod late_twins;
mod owner;
mod sealed;
mod start;
mod whole;
mod wired;
mod world;
