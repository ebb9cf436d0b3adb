//! One seed, many independent generators.

use chacha20::ChaCha20Rng;
use lepton_crypto::hash;
use rand_core::{Rng, SeedableRng};
use std::ops::RangeInclusive;

/// The generator of `label` under `seed`.
pub(crate) fn generator(seed: u64, label: &str) -> ChaCha20Rng {
    let digest = hash(
        "lepton simulation",
        &[&seed.to_be_bytes(), label.as_bytes()],
    );
    ChaCha20Rng::from_seed(*digest.as_bytes())
}

/// A whole number of `range`, near enough to uniform for a network.
pub(crate) fn within(range: &RangeInclusive<u64>, rng: &mut ChaCha20Rng) -> u64 {
    let width = range.end().saturating_sub(*range.start());
    range.start() + rng.next_u64() % width.saturating_add(1).max(1)
}

/// True with this probability. A probability of 0 draws nothing.
pub(crate) fn chance(probability: f64, rng: &mut ChaCha20Rng) -> bool {
    probability > 0.0 && f64::from(rng.next_u32()) < probability * f64::from(u32::MAX)
}
