//! The protocol machines under faults and forgers; rule ids are those of `docs/protocols`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that does not find what it needs has failed"
)]

mod found_faults;
mod frames;
mod insiders;
mod kit;
mod late;
mod preparation;
mod random_networks;
mod refusals;
mod replays;
mod resume;
mod starts;
mod training;
mod units;
