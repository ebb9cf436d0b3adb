//! Keyed masks, added where the vector lies.

use core::num::NonZeroUsize;
use std::thread;

use zeroize::Zeroizing;

use crate::RingVec;
use crate::keystream::{CIPHER_BLOCK, Keystream, Lane, Scratch};

/// Bytes of stream summed over all masks before the next part of the vector: accumulator and scratch fit the first-level cache together.
const BLOCK: usize = 16 * 1024;

/// A stream of uniform ring words: AES-128 in counter mode (NIST SP 800-38A §6.5). The key is the first 16 bytes of a 32-byte seed, the first
/// counter block the last 16 bytes (big endian, counting modulo `2^128`).
///
/// The first counter is part of the secret and random: blocks computed under a guessed key match a stream only where the counters meet, so a table
/// of guesses, or one guess for many streams at a time, gains nothing.
///
/// A word takes the next 1, 2, 4 or 8 keystream bytes (the bits of the modulus rounded up), little endian, of which the modulus keeps the low
/// bits. The stream is consumed by its one use, and a seed must feed one stream only: two vectors under one seed reveal their difference.
pub struct MaskStream(Keystream);

impl MaskStream {
    /// The stream of `seed`, which is not used for anything else.
    #[must_use]
    pub fn new(seed: &[u8; 32]) -> Self {
        Self(Keystream::new(seed))
    }

    /// Adds one word of the stream to each entry.
    pub fn add_to(self, vector: &mut RingVec) {
        Streams {
            added: vec![self.0],
            subtracted: Vec::new(),
        }
        .apply(vector, NonZeroUsize::MIN);
    }

    /// Subtracts one word of the stream from each entry: undoes [`Self::add_to`] with the same seed.
    pub fn sub_from(self, vector: &mut RingVec) {
        Streams {
            added: Vec::new(),
            subtracted: vec![self.0],
        }
        .apply(vector, NonZeroUsize::MIN);
    }
}

/// Whether a mask is added or subtracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// The words of the stream are added.
    Add,
    /// The words of the stream are subtracted.
    Subtract,
}

/// One mask: the seed of its [`MaskStream`] and its sign. The rules for seeds are those of [`MaskStream`].
pub struct Mask<'s> {
    /// The seed, used for this mask only.
    pub seed: &'s [u8; 32],
    /// Added or subtracted.
    pub sign: Sign,
}

/// Adds or subtracts the [`MaskStream`] of every mask, entry by entry: what [`MaskStream::add_to`] and [`MaskStream::sub_from`] do one by one, in
/// one pass over the vector and without a mask ever being whole in memory.
///
/// `workers` threads share the entries, the caller's among them; the result does not depend on their number.
///
/// # Panics
/// If the operating system refuses a thread.
pub fn apply_masks(vector: &mut RingVec, masks: &[Mask<'_>], workers: NonZeroUsize) {
    let of_sign = |sign| {
        masks
            .iter()
            .filter(|mask| mask.sign == sign)
            .map(|mask| Keystream::new(mask.seed))
            .collect()
    };
    Streams {
        added: of_sign(Sign::Add),
        subtracted: of_sign(Sign::Subtract),
    }
    .apply(vector, workers);
}

struct Streams {
    added: Vec<Keystream>,
    subtracted: Vec<Keystream>,
}

impl Streams {
    fn apply(&self, vector: &mut RingVec, workers: NonZeroUsize) {
        match vector.modulus().bits() {
            0..=8 => self.spread::<u8, 1>(vector, workers),
            9..=16 => self.spread::<u16, 2>(vector, workers),
            17..=32 => self.spread::<u32, 4>(vector, workers),
            _ => self.spread::<u64, 8>(vector, workers),
        }
    }

    /// Gives each worker a run of whole blocks.
    fn spread<L: Lane<W>, const W: usize>(&self, vector: &mut RingVec, workers: NonZeroUsize) {
        let mask = vector.modulus().mask();
        let words = vector.words_mut();
        let blocks_each = words
            .len()
            .div_ceil(BLOCK / W)
            .div_ceil(workers.get())
            .max(1);
        let mut parts = words.chunks_mut(blocks_each * (BLOCK / W)).enumerate();
        let Some((_, own)) = parts.next() else {
            return;
        };
        thread::scope(|scope| {
            for (i, part) in parts {
                scope.spawn(move || self.run::<L, W>(part, i * blocks_each, mask));
            }
            self.run::<L, W>(own, 0, mask);
        });
    }

    /// Masks `words`, which begin at block number `first`; `mask` keeps the low bits.
    fn run<L: Lane<W>, const W: usize>(&self, words: &mut [u64], first: usize, mask: u64) {
        let mut scratch = Scratch::new();
        let mut sums = Zeroizing::new(vec![L::default(); words.len().min(BLOCK / W)]);
        for (i, words) in words.chunks_mut(BLOCK / W).enumerate() {
            let start = (first + i) as u128 * (BLOCK / CIPHER_BLOCK) as u128;
            // Only the last chunk is shorter than the sums.
            let (sums, _) = sums.split_at_mut(words.len());
            sums.fill(L::default());
            for stream in &self.subtracted {
                stream.add_to(start, sums, &mut scratch);
            }
            // One pass turns all subtrahends, so the inner loops only add.
            sums.iter_mut().for_each(|sum| *sum = sum.negated());
            for stream in &self.added {
                stream.add_to(start, sums, &mut scratch);
            }
            for (word, sum) in words.iter_mut().zip(sums) {
                *word = word.wrapping_add(sum.word()) & mask;
            }
        }
    }
}

#[cfg(test)]
mod tests;
