//! What masking costs beyond making the keystream.
//!
//! `cargo bench -p lepton-ring --bench masks`. A million 32-bit words under 1, 10 and 100 masks, one worker. The yardsticks make the same bytes and
//! throw them away: `keystream_only` with the calls that the masks use, `ctr_crate` with the `ctr` crate's counter mode.

use core::num::NonZeroUsize;
use std::hint::black_box;

use aes::cipher::array::Array;
use aes::cipher::{
    BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, KeyInit,
    consts::U16,
};
use aes::{Aes128Enc, Block};
use ctr::cipher::{KeyIvInit, StreamCipher};
use divan::{Bencher, counter::BytesCount};
use lepton_ring::{Mask, Modulus, RingVec, Sign, apply_masks};

const WORDS: usize = 1_000_000;
const BYTES: usize = 4 * WORDS;
const MASKS: [usize; 3] = [1, 10, 100];

/// Cipher blocks made before the next stream takes over: as much as the masks make at a time.
const BLOCKS: usize = 1024;

fn main() {
    divan::main();
}

fn seeds(count: usize) -> Vec<[u8; 32]> {
    (0..count)
        .map(|i| core::array::from_fn(|j| (i * 31 + j).to_le_bytes()[0]))
        .collect()
}

#[divan::bench(args = MASKS)]
fn masks(bencher: Bencher<'_, '_>, count: usize) {
    let seeds = seeds(count);
    let masks: Vec<_> = (0..)
        .zip(&seeds)
        .map(|(i, seed)| Mask {
            seed,
            sign: if i % 2 == 0 {
                Sign::Add
            } else {
                Sign::Subtract
            },
        })
        .collect();
    let mut vector = RingVec::zeros(Modulus::new(32).expect("32 bits are allowed"), WORDS);
    bencher
        .counter(BytesCount::new(count * BYTES))
        .bench_local(|| apply_masks(&mut vector, &masks, NonZeroUsize::MIN));
}

#[divan::bench(args = MASKS)]
fn keystream_only(bencher: Bencher<'_, '_>, count: usize) {
    let ciphers: Vec<_> = seeds(count)
        .iter()
        .map(|seed| Aes128Enc::new(seed.first_chunk::<16>().expect("32 bytes").into()))
        .collect();
    let mut buffer = vec![Block::default(); BLOCKS];
    bencher
        .counter(BytesCount::new(count * BYTES))
        .bench_local(|| {
            for block in 0..BYTES.div_ceil(BLOCKS * 16) {
                for cipher in &ciphers {
                    cipher.encrypt_with_backend(Counting {
                        counter: (block * BLOCKS) as u64,
                        blocks: black_box(&mut buffer),
                    });
                }
            }
        });
}

#[divan::bench(args = MASKS)]
fn ctr_crate(bencher: Bencher<'_, '_>, count: usize) {
    let mut streams: Vec<_> = seeds(count)
        .iter()
        .map(|seed| {
            let (key, counter) = seed.split_at(16);
            ctr::Ctr128BE::<aes::Aes128>::new_from_slices(key, counter).expect("16 bytes each")
        })
        .collect();
    let mut buffer = vec![0; BLOCKS * 16];
    bencher
        .counter(BytesCount::new(count * BYTES))
        .bench_local(|| {
            for _ in 0..BYTES.div_ceil(BLOCKS * 16) {
                for stream in &mut streams {
                    stream.write_keystream(black_box(&mut buffer));
                }
            }
        });
}

/// Fills `blocks` with the encryptions of `counter`, `counter + 1`, ...
struct Counting<'a> {
    counter: u64,
    blocks: &'a mut [Block],
}

impl BlockSizeUser for Counting<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Counting<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut counter = self.counter;
        let (batches, _) = Array::<Block, B::ParBlocksSize>::slice_as_chunks_mut(self.blocks);
        for batch in batches {
            for block in batch.iter_mut() {
                let (high, low) = block.split_at_mut(8);
                high.fill(0);
                low.copy_from_slice(&counter.to_be_bytes());
                counter += 1;
            }
            backend.encrypt_par_blocks_inplace(batch);
        }
    }
}
