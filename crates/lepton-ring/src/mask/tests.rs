//! Known answers, and the fused path against the plain one.

use ctr::cipher::{KeyIvInit, StreamCipher};
use proptest::prelude::*;

use super::*;
use crate::Modulus;

fn hex<const N: usize>(s: &str) -> [u8; N] {
    core::array::from_fn(|i| u8::from_str_radix(&s[2 * i..2 * i + 2], 16).unwrap())
}

fn seed(key: &str, counter: &str) -> [u8; 32] {
    hex(&format!("{key}{counter}"))
}

fn zeros(bits: u8, len: usize) -> RingVec {
    RingVec::zeros(Modulus::new(bits).unwrap(), len)
}

fn stream(seed: &[u8; 32], bits: u8, len: usize) -> RingVec {
    let mut vector = zeros(bits, len);
    MaskStream::new(seed).add_to(&mut vector);
    vector
}

const NIST_KEY: &str = "2b7e151628aed2a6abf7158809cf4f3c";

/// NIST SP 800-38A F.5.1 (CTR-AES128.Encrypt), "Output Block" of all four blocks.
#[test]
fn nist_sp_800_38a_f51() {
    let expected: [u8; 64] = hex(concat!(
        "ec8cdf7398607cb0f2d21675ea9ea1e4",
        "362b7c3c6773516318a077d7fc5073ae",
        "6a2cc3787889374fbeb4c81b17ba6c44",
        "e89c399ff0f198c6d40a31db156cabfe"
    ));
    let seed = seed(NIST_KEY, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
    for bits in [8, 16, 32, 64] {
        let len = 64 * 8 / usize::from(bits);
        assert_eq!(stream(&seed, bits, len).pack(), expected, "{bits}");
    }
}

/// The corrupted twin: one bit of the key or of the counter changes the stream.
#[test]
fn every_byte_of_the_seed_counts() {
    let whole = stream(&[0; 32], 64, 64);
    for i in 0..32 {
        let mut other = [0; 32];
        other[i] = 1;
        assert_ne!(stream(&other, 64, 64), whole, "{i}");
    }
}

/// FIPS 197 appendix B's key over the counters 2^128 - 1 and 0: AES-128 of the all-ones block, then of the all-zero block, whose ciphertext
/// under this key is published as CMAC's `L` (RFC 4493, section 4: "AES-128(key,0)").
#[test]
fn the_counter_wraps() {
    let bytes = stream(&seed(NIST_KEY, "ffffffffffffffffffffffffffffffff"), 8, 48).pack();
    assert_eq!(bytes[16..32], hex::<16>("7df76b0c1ab899b33e42f047b91b546f"));
    let from_zero = stream(&seed(NIST_KEY, "00000000000000000000000000000000"), 8, 32);
    assert_eq!(bytes[16..], from_zero.pack());
}

/// The `ctr` crate, an independent counter mode, at carries out of 8, 64 and 128 bits, in the middle of a batch and between blocks.
#[test]
fn agrees_with_another_counter_mode() {
    let len = 3 * BLOCK + 100;
    for counter in [
        0,
        0xf0,
        u128::from(u64::MAX),
        u128::from(u64::MAX) - 63,
        u128::from(u64::MAX) - 1500,
        u128::MAX - 7,
        u128::MAX - 1100,
        0x0123_4567_89ab_cdef_0011_2233_4455_6677,
    ] {
        let key: [u8; 16] = hex(NIST_KEY);
        let mut other = vec![0; len];
        ctr::Ctr128BE::<aes::Aes128>::new(&key.into(), &counter.to_be_bytes().into())
            .apply_keystream(&mut other);
        let ours = stream(&seed(NIST_KEY, &format!("{counter:032x}")), 8, len);
        assert!(ours.pack() == other, "{counter:x}");
    }
}

#[test]
fn words_of_all_widths_read_one_stream() {
    let seed = [7; 32];
    let bytes = stream(&seed, 8, 3 * BLOCK).pack();
    for bits in [16, 32, 64] {
        let len = 3 * BLOCK * 8 / usize::from(bits);
        assert!(stream(&seed, bits, len).pack() == bytes, "{bits}");
    }
}

#[test]
fn nothing_to_do_does_nothing() {
    let workers = NonZeroUsize::new(3).unwrap();
    let mut empty = zeros(8, 0);
    let mask = Mask {
        seed: &[1; 32],
        sign: Sign::Add,
    };
    apply_masks(&mut empty, &[mask], workers);
    let mut vector = stream(&[2; 32], 33, 10_000);
    let before = vector.clone();
    apply_masks(&mut vector, &[], workers);
    assert!(vector == before);
}

proptest! {
    #[test]
    fn subtraction_undoes_addition(seed: [u8; 32], bits in 8u8..=64, len in 0usize..3000) {
        let start = zeros(bits, len);
        let mut v = start.clone();
        MaskStream::new(&seed).add_to(&mut v);
        prop_assert!(v.words().iter().all(|w| *w <= v.modulus().mask()));
        prop_assert!(len < 100 || v != start);
        MaskStream::new(&seed).sub_from(&mut v);
        prop_assert_eq!(v, start);
    }

    /// The fused path is the plain one, over whatever number of workers; and the plain one is the definition over the bytes of the stream.
    #[test]
    fn fused_masks_are_plain_masks(
        seeds in prop::collection::vec(any::<([u8; 32], bool)>(), 0..6),
        bits in 8u8..=64,
        len in 0usize..40_000,
        workers in 1usize..6,
    ) {
        let mut plain = zeros(bits, len);
        for (seed, add) in &seeds {
            let stream = MaskStream::new(seed);
            if *add { stream.add_to(&mut plain) } else { stream.sub_from(&mut plain) }
        }
        let masks: Vec<_> = seeds
            .iter()
            .map(|(seed, add)| Mask { seed, sign: if *add { Sign::Add } else { Sign::Subtract } })
            .collect();
        let mut fused = zeros(bits, len);
        apply_masks(&mut fused, &masks, NonZeroUsize::new(workers).unwrap());
        prop_assert!(fused == plain);
        let width = usize::from(bits).div_ceil(8).next_power_of_two();
        let mut by_hand = vec![0u64; len];
        for (seed, add) in &seeds {
            for (entry, bytes) in by_hand.iter_mut().zip(stream(seed, 8, len * width).pack().chunks(width)) {
                let word = bytes.iter().rev().fold(0, |acc, b| acc << 8 | u64::from(*b));
                *entry = if *add { entry.wrapping_add(word) } else { entry.wrapping_sub(word) } & fused.modulus().mask();
            }
        }
        prop_assert!(fused.words() == by_hand);
    }
}
