//! Graph and committee from a seed: the same numbers on every machine (SG-02).

#![expect(
    clippy::indexing_slicing,
    reason = "positions come from shuffles of 0..n and index arrays of length n"
)]

use chacha20::ChaCha20Rng;
use lepton_crypto::{Digest, hash};
use rand_core::{Rng, SeedableRng};

use crate::PartyIndex;

/// Rows of neighbours in one block of memory.
pub(super) struct Rows {
    /// `width` places a party, the first of them filled.
    places: Vec<PartyIndex>,
    filled: Vec<usize>,
    width: usize,
}

impl Rows {
    /// The neighbours of each of `n` parties in the union of the seed's first `cycles` cycles, ascending and without repeats.
    pub(super) fn new(n: u16, cycles: u16, seed: &Digest) -> Self {
        let width = 2 * usize::from(cycles);
        let mut rows = Self {
            places: vec![PartyIndex::new(0); usize::from(n) * width],
            filled: vec![0; usize::from(n)],
            width,
        };
        // Parties are appended in ascending order, so every row is ascending and a repeated edge is the row's last entry.
        let beside = beside(n, cycles, seed);
        for (party, others) in (0..n).zip(beside.chunks_exact(width.max(1))) {
            for other in others.iter().filter(|other| **other != party) {
                rows.append(usize::from(*other), PartyIndex::new(party));
            }
        }
        rows
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[PartyIndex]> {
        let rows = (0..).zip(&self.filled);
        rows.map(|(row, filled)| &self.places[row * self.width..][..*filled])
    }

    fn append(&mut self, row: usize, party: PartyIndex) {
        let start = row * self.width;
        let end = start + self.filled[row];
        if end == start || self.places[end - 1] != party {
            self.places[end] = party;
            self.filled[row] += 1;
        }
    }
}

/// `size` distinct parties of `n`, each set of that size equally likely, in ascending order (SG-02). All when `size` is at least `n`.
pub(crate) fn committee(n: u16, size: u16, seed: &Digest) -> Vec<PartyIndex> {
    let mut draws = Draws::new("lepton/sparse-graph/committee/v1", &[seed.as_ref()]);
    let mut order: Vec<u16> = (0..n).collect();
    let size = size.min(n);
    for place in 0..size {
        let other = place + draws.below(n - place);
        order.swap(usize::from(place), usize::from(other));
    }
    order.truncate(usize::from(size));
    order.sort_unstable();
    order.into_iter().map(PartyIndex::new).collect()
}

/// By party, by cycle: who comes before it and who comes after it.
fn beside(n: u16, cycles: u16, seed: &Digest) -> Vec<u16> {
    let (len, width) = (usize::from(n), 2 * usize::from(cycles));
    let mut beside = vec![0; len * width];
    for cycle in 0..cycles {
        let order = shuffled(n, cycle, seed);
        let column = 2 * usize::from(cycle);
        let after = order.iter().cycle().skip(1);
        let before = order.iter().cycle().skip(len.saturating_sub(1));
        for (party, (before, after)) in order.iter().zip(before.zip(after)) {
            let at = usize::from(*party) * width + column;
            beside[at] = *before;
            beside[at + 1] = *after;
        }
    }
    beside
}

/// The parties in the order of one cycle: Fisher-Yates from the last place to the second, every order equally likely.
pub(super) fn shuffled(n: u16, cycle: u16, seed: &Digest) -> Vec<u16> {
    let label = "lepton/sparse-graph/cycle/v1";
    let mut draws = Draws::new(label, &[seed.as_ref(), &cycle.to_le_bytes()]);
    let mut order: Vec<u16> = (0..n).collect();
    for place in (1..n).rev() {
        let other = draws.below(place + 1);
        order.swap(usize::from(place), usize::from(other));
    }
    order
}

/// Uniform integers from a keyed stream.
struct Draws(ChaCha20Rng);

impl Draws {
    fn new(label: &str, parts: &[&[u8]]) -> Self {
        Self(ChaCha20Rng::from_seed(*hash(label, parts).as_bytes()))
    }

    /// Uniform on `0..bound`, without bias (Lemire 2019): the high half of a 32-bit word times the bound, unless the low half is below
    /// `2^32 mod bound`. Zero for a bound of zero, which no caller has.
    fn below(&mut self, bound: u16) -> u16 {
        let bound = u32::from(bound.max(1));
        let refused = bound.wrapping_neg() % bound;
        loop {
            let product = u64::from(self.0.next_u32()) * u64::from(bound);
            let (high, low) = halves(product);
            if low >= refused {
                return high;
            }
        }
    }
}

/// The high half, which is below a 16-bit bound, and the low half.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the product of a word and a 16-bit bound has 48 bits: 16 above, 32 below"
)]
fn halves(product: u64) -> (u16, u32) {
    ((product >> 32) as u16, product as u32)
}
