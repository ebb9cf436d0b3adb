//! Masked sums among few and many simulated parties, under mishaps and adversaries; rule ids are those of `docs/protocols/masked-sum.md`.
#![expect(
    clippy::unwrap_used,
    reason = "a test that does not find what it needs has failed"
)]

mod attacks;
mod networks;
mod seeds;
mod twins;
