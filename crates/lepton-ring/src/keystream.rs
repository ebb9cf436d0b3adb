//! AES-128 in counter mode, added into lanes while it lies in the first-level cache.
//!
//! The counter blocks, the cipher and the addition run in one closure inside the `aes` crate's backend: they are compiled for the instructions that
//! the backend found at run time (VAES and AVX-512 where the machine has them), without unsafe code or compiler flags here.

use aes::cipher::array::Array;
use aes::cipher::{
    BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, KeyInit,
    consts::U16,
};
use aes::{Aes128Enc, Block};
use zeroize::Zeroize;

/// Bytes of one cipher block.
pub(crate) const CIPHER_BLOCK: usize = 16;

/// Cipher blocks made at a time: what the widest backend takes at once.
const BATCH: usize = 64;

/// An unsigned integer as wide as a word of the stream.
pub(crate) trait Lane<const W: usize>: Copy + Default + Zeroize {
    /// Wrapping sum with the next `W` little-endian bytes.
    fn plus(self, bytes: [u8; W]) -> Self;
    /// Wrapping negation.
    fn negated(self) -> Self;
    /// The lane as a ring word, before the modulus takes its low bits.
    fn word(self) -> u64;
}

macro_rules! lane {
    ($int:ty, $width:literal) => {
        impl Lane<$width> for $int {
            #[inline(always)]
            fn plus(self, bytes: [u8; $width]) -> Self {
                self.wrapping_add(<$int>::from_le_bytes(bytes))
            }
            #[inline(always)]
            fn negated(self) -> Self {
                self.wrapping_neg()
            }
            #[inline(always)]
            fn word(self) -> u64 {
                u64::from(self)
            }
        }
    };
}
lane!(u8, 1);
lane!(u16, 2);
lane!(u32, 4);
lane!(u64, 8);

/// The last batch of keystream: kept between calls so that it is wiped once. Aligned to cache lines, which the widest loads and stores would
/// straddle otherwise.
#[repr(align(64))]
pub(crate) struct Scratch([Block; BATCH]);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self([Block::default(); BATCH])
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|block| block.0.zeroize());
    }
}

/// One keystream: the key schedule, made once, and the first counter block. Wiped on drop.
pub(crate) struct Keystream {
    cipher: Aes128Enc,
    counter: u128,
}

impl Keystream {
    /// The key is the first half of `seed`, the first counter block the second half, big endian.
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        let (key, counter) = seed.split_at(CIPHER_BLOCK);
        let counter = counter
            .iter()
            .fold(0, |acc, byte| acc << 8 | u128::from(*byte));
        let mut round_key = Block::default();
        round_key.copy_from_slice(key);
        let cipher = Aes128Enc::new(&round_key);
        round_key.0.zeroize();
        Self { cipher, counter }
    }

    /// Adds the keystream from its cipher block number `first` on, one word to each lane.
    pub(crate) fn add_to<L: Lane<W>, const W: usize>(
        &self,
        first: u128,
        lanes: &mut [L],
        scratch: &mut Scratch,
    ) {
        self.cipher.encrypt_with_backend(Adding {
            counter: self.counter.wrapping_add(first),
            lanes,
            scratch: &mut scratch.0,
        });
    }
}

impl Drop for Keystream {
    fn drop(&mut self) {
        self.counter.zeroize();
    }
}

struct Adding<'a, L, const W: usize> {
    counter: u128,
    lanes: &'a mut [L],
    scratch: &'a mut [Block; BATCH],
}

impl<L, const W: usize> BlockSizeUser for Adding<'_, L, W> {
    type BlockSize = U16;
}

impl<L: Lane<W>, const W: usize> BlockCipherEncClosure for Adding<'_, L, W> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let Self {
            mut counter,
            lanes,
            scratch,
        } = self;
        for lanes in lanes.chunks_mut(BATCH * CIPHER_BLOCK / W) {
            count_from(counter, scratch);
            let (batches, rest) =
                Array::<Block, B::ParBlocksSize>::slice_as_chunks_mut(scratch.as_mut_slice());
            for batch in batches {
                backend.encrypt_par_blocks_inplace(batch);
            }
            backend.encrypt_tail_blocks_inplace(rest);
            let words = Array::slice_as_flattened(scratch.as_slice())
                .as_chunks::<W>()
                .0;
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane = lane.plus(*word);
            }
            counter = counter.wrapping_add(BATCH as u128);
        }
    }
}

/// Writes the counter blocks `counter`, `counter + 1`, ... (modulo `2^128`, big endian).
#[inline(always)]
fn count_from(counter: u128, blocks: &mut [Block; BATCH]) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the halves of the counter are wanted"
    )]
    let (high, low) = ((counter >> 64) as u64, counter as u64);
    if low.checked_add(BATCH as u64).is_some() {
        // No carry into the high half: sixty-four bits at a time, which the compiler vectorises.
        for (i, block) in (0..).zip(blocks.iter_mut()) {
            let (h, l) = block.split_at_mut(8);
            h.copy_from_slice(&high.to_be_bytes());
            l.copy_from_slice(&low.wrapping_add(i).to_be_bytes());
        }
    } else {
        for (i, block) in (0..).zip(blocks.iter_mut()) {
            *block = counter.wrapping_add(i).to_be_bytes().into();
        }
    }
}
