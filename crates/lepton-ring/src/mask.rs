//! The keyed generator of masks.

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use zeroize::Zeroize;

use crate::RingVec;

/// Bytes of keystream made at a time: fits the first-level cache beside the words it is added to.
const BLOCK: usize = 4096;

/// A stream of uniform ring words: AES-256 in counter mode (NIST SP 800-38A §6.5) keyed by a 32-byte seed, counter from zero.
///
/// A word takes the next 1, 2, 4 or 8 keystream bytes (the bits of the modulus rounded up), little endian, of which the modulus keeps the low
/// bits. The stream is consumed by its one use, and a seed must feed one stream only: two vectors under one seed reveal their difference.
pub struct MaskStream(Ctr128BE<Aes256>);

impl MaskStream {
    /// The stream of `seed`, which is not used for anything else.
    #[must_use]
    pub fn new(seed: &[u8; 32]) -> Self {
        Self::with_counter(seed, &[0; 16])
    }

    fn with_counter(seed: &[u8; 32], counter: &[u8; 16]) -> Self {
        Self(Ctr128BE::new(seed.into(), counter.into()))
    }

    /// Adds one word of the stream to each entry.
    pub fn add_to(self, vector: &mut RingVec) {
        self.apply(vector, u64::wrapping_add);
    }

    /// Subtracts one word of the stream from each entry: undoes [`Self::add_to`] with the same seed.
    pub fn sub_from(self, vector: &mut RingVec) {
        self.apply(vector, u64::wrapping_sub);
    }

    fn apply(self, vector: &mut RingVec, op: impl Fn(u64, u64) -> u64) {
        match vector.modulus().bits() {
            0..=8 => self.words(vector, |b: [u8; 1]| u64::from(b[0]), op),
            9..=16 => self.words(vector, |b| u64::from(u16::from_le_bytes(b)), op),
            17..=32 => self.words(vector, |b| u64::from(u32::from_le_bytes(b)), op),
            _ => self.words(vector, u64::from_le_bytes, op),
        }
    }

    fn words<const W: usize>(
        mut self,
        vector: &mut RingVec,
        word: impl Fn([u8; W]) -> u64,
        op: impl Fn(u64, u64) -> u64,
    ) {
        let mask = vector.modulus().mask();
        let mut buffer = [0u8; BLOCK];
        for chunk in vector.words_mut().chunks_mut(BLOCK / W) {
            buffer.fill(0);
            self.0.apply_keystream(&mut buffer);
            for (entry, bytes) in chunk.iter_mut().zip(buffer.as_chunks::<W>().0) {
                *entry = op(*entry, word(*bytes)) & mask;
            }
        }
        buffer.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Modulus;
    use proptest::prelude::*;

    fn hex<const N: usize>(s: &str) -> [u8; N] {
        core::array::from_fn(|i| u8::from_str_radix(&s[2 * i..2 * i + 2], 16).unwrap())
    }

    /// NIST SP 800-38A F.5.5 (CTR-AES256.Encrypt): keystream = plaintext XOR ciphertext ("Output Block").
    #[test]
    fn nist_sp_800_38a_f55() {
        let key = hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
        let counter = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
        let expected: [u8; 32] =
            hex("0bdf7df1591716335e9a8b15c860c5025a6e699d536119065433863c8f657b94");
        let mut v = RingVec::zeros(Modulus::new(64).unwrap(), 4);
        MaskStream::with_counter(&key, &counter).add_to(&mut v);
        assert_eq!(v.pack(), expected);
    }

    /// AES-256 of the all-zero block under the all-zero key (NIST AESAVS, VarKey count 0 baseline; FIPS 197 tables).
    #[test]
    fn zero_seed_starts_with_the_known_block() {
        let expected: [u8; 16] = hex("dc95c078a2408989ad48a21492842087");
        let mut v = RingVec::zeros(Modulus::new(8).unwrap(), 16);
        MaskStream::new(&[0; 32]).add_to(&mut v);
        assert_eq!(v.pack(), expected);
    }

    #[test]
    fn blocks_join_without_a_seam() {
        // The words of width 2 over three blocks equal the words of width 8 regrouped.
        let (n, seed) = (3 * BLOCK, [7; 32]);
        let mut narrow = RingVec::zeros(Modulus::new(16).unwrap(), n);
        let mut wide = RingVec::zeros(Modulus::new(64).unwrap(), n / 4);
        MaskStream::new(&seed).add_to(&mut narrow);
        MaskStream::new(&seed).add_to(&mut wide);
        assert_eq!(narrow.pack(), wide.pack());
    }

    proptest! {
        #[test]
        fn subtraction_undoes_addition(seed: [u8; 32], bits in 8u8..=64, len in 0usize..3000) {
            let start = RingVec::zeros(Modulus::new(bits).unwrap(), len);
            let mut v = start.clone();
            MaskStream::new(&seed).add_to(&mut v);
            prop_assert!(v.words().iter().all(|w| *w <= v.modulus().mask()));
            prop_assert!(len < 100 || v != start);
            MaskStream::new(&seed).sub_from(&mut v);
            prop_assert_eq!(v, start);
        }
    }
}
