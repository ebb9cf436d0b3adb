//! Additive shares modulo `2^64` (MP-02).

use chacha20::ChaCha20Rng;
use lepton_crypto::Seed;
use rand_core::{CryptoRng, Rng, SeedableRng};
use zeroize::Zeroizing;

/// Words modulo `2^64`, wiped on drop, without `Debug`.
pub(crate) type Words = Zeroizing<Vec<u64>>;

/// The share of `len` words that `seed` stands for.
pub(crate) fn expand(seed: &Seed, len: usize) -> Words {
    let mut words = Zeroizing::new(vec![0; len]);
    add_stream(seed, &mut words, |_, word| word);
    words
}

/// Shares `words`: a fresh seed for each of `others` other parties, and what is left for the one who keeps words (MP-06).
pub(crate) fn split(
    mut words: Words,
    others: usize,
    rng: &mut impl CryptoRng,
) -> (Words, Vec<Seed>) {
    let seeds: Vec<_> = (0..others).map(|_| Seed::random(rng)).collect();
    for seed in &seeds {
        add_stream(seed, &mut words, u64::wrapping_sub);
    }
    (words, seeds)
}

/// `len` uniform words.
pub(crate) fn uniform(len: usize, rng: &mut impl CryptoRng) -> Words {
    Zeroizing::new((0..len).map(|_| rng.next_u64()).collect())
}

fn add_stream(seed: &Seed, words: &mut [u64], combine: impl Fn(u64, u64) -> u64) {
    let mut stream = ChaCha20Rng::from_seed(*seed.as_bytes());
    for word in words {
        *word = combine(*word, stream.next_u64());
    }
}

/// Adds `other` entry by entry.
pub(crate) fn add(words: &mut [u64], other: &[u64]) {
    for (word, other) in words.iter_mut().zip(other) {
        *word = word.wrapping_add(*other);
    }
}

/// The words as 64-bit little-endian integers.
pub(crate) fn to_bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Reads what [`to_bytes`] wrote of `len` words; `None` for another length.
pub(crate) fn from_bytes(bytes: &[u8], len: usize) -> Option<Words> {
    let (words, rest) = bytes.as_chunks::<8>();
    if words.len() != len || !rest.is_empty() {
        return None;
    }
    Some(Zeroizing::new(
        words.iter().map(|word| u64::from_le_bytes(*word)).collect(),
    ))
}
