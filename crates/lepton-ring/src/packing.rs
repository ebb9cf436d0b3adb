//! Words of `bits` bits as a little-endian string, eight at a time: eight words take exactly `bits` bytes, so groups of eight do not depend on each
//! other, and a word is one load, shift and mask.
#![expect(
    clippy::indexing_slicing,
    reason = "numeric kernel: offsets inside windows of constant size, bounded where they are computed"
)]

use crate::{Modulus, RingError};

/// Words per group.
const GROUP: usize = 8;

/// Words per run, where words are whole bytes.
const RUN: usize = 64;

/// Bytes read for a group of words of fewer than 32 bits: the last one starts at byte 27 at the latest, and eight bytes are loaded.
const NARROW: usize = 35;

/// Bytes read for a group of words of up to 56 bits: the last one starts at byte 49 at the latest, and eight bytes are loaded.
const MIDDLE: usize = 57;

/// Widest words of which eight bytes hold all, whichever bit of the first byte they begin at.
const MOST_IN_EIGHT: usize = 56;

/// Bytes read for a group of words of up to 64 bits: the last one starts at byte 56 at the latest, and sixteen bytes are loaded.
const WIDE: usize = 72;

/// Bytes of `len` packed words; `None` when that overflows.
pub(crate) fn packed_len(modulus: Modulus, len: usize) -> Option<usize> {
    Some(len.checked_mul(usize::from(modulus.bits()))?.div_ceil(8))
}

/// Refuses what [`pack`] cannot have written for `len` words: another length, or spare bits that are not zero.
pub(crate) fn check(modulus: Modulus, len: usize, bytes: &[u8]) -> Result<(), RingError> {
    let need = packed_len(modulus, len).unwrap_or(usize::MAX);
    if bytes.len() != need {
        return Err(RingError::Length {
            have: bytes.len(),
            need,
        });
    }
    // Bits of the last byte that belong to a word; 0 stands for all eight. (The product did not overflow above.)
    let used = (len * usize::from(modulus.bits())) % 8;
    match bytes.last() {
        Some(last) if used != 0 && last >> used != 0 => Err(RingError::SpareBits),
        _ => Ok(()),
    }
}

/// The words one after another, `bits` bits each, padded with zero bits to whole bytes.
pub(crate) fn pack(modulus: Modulus, words: &[u64]) -> Vec<u8> {
    let bits = usize::from(modulus.bits());
    match bits {
        8 => words.iter().map(|w| w.to_le_bytes()[0]).collect(),
        16 => flatten(words, |w| {
            let b = w.to_le_bytes();
            [b[0], b[1]]
        }),
        32 => flatten(words, |w| {
            let b = w.to_le_bytes();
            [b[0], b[1], b[2], b[3]]
        }),
        64 => flatten(words, u64::to_le_bytes),
        _ if bits < 32 => pack_groups::<32>(bits, words, |out, group| put_narrow(bits, out, group)),
        _ if bits <= MOST_IN_EIGHT => {
            pack_groups::<MIDDLE>(bits, words, |out, group| put_middle(bits, out, group))
        }
        _ => pack_groups::<WIDE>(bits, words, |out, group| put_wide(bits, out, group)),
    }
}

/// Hands on the `len` words of `bytes`, in order, a few at a time. `bytes` must have passed [`check`].
pub(crate) fn unpack(modulus: Modulus, len: usize, bytes: &[u8], each: impl FnMut(&[u64])) {
    let bits = usize::from(modulus.bits());
    let mask = modulus.mask();
    match bits {
        8 => runs(bytes, |b: [u8; 1]| u64::from(b[0]), each),
        16 => runs(bytes, |b| u64::from(u16::from_le_bytes(b)), each),
        32 => runs(bytes, |b| u64::from(u32::from_le_bytes(b)), each),
        64 => runs(bytes, u64::from_le_bytes, each),
        0..32 => groups::<NARROW>(
            bits,
            len,
            bytes,
            |window, i| word_in_eight(window, i * bits) & mask,
            each,
        ),
        33..=MOST_IN_EIGHT => groups::<MIDDLE>(
            bits,
            len,
            bytes,
            |window, i| word_in_eight(window, i * bits) & mask,
            each,
        ),
        _ => groups::<WIDE>(
            bits,
            len,
            bytes,
            |window, i| wide_word(window, i * bits) & mask,
            each,
        ),
    }
}

/// Reads words of `W` whole bytes, in runs long enough to vectorise.
#[inline(always)]
fn runs<const W: usize>(bytes: &[u8], word: impl Fn([u8; W]) -> u64, mut each: impl FnMut(&[u64])) {
    let mut run = [0; RUN];
    for chunk in bytes.as_chunks::<W>().0.chunks(RUN) {
        for (entry, bytes) in run.iter_mut().zip(chunk) {
            *entry = word(*bytes);
        }
        each(&run[..chunk.len()]);
    }
}

fn flatten<const W: usize>(words: &[u64], bytes: impl Fn(u64) -> [u8; W]) -> Vec<u8> {
    let mut out = vec![0; words.len() * W];
    for (out, word) in out.as_chunks_mut::<W>().0.iter_mut().zip(words) {
        *out = bytes(*word);
    }
    out
}

/// Writes groups through windows of `WINDOW >= bits` bytes; what a window holds beyond its group is zero or written again by the next one.
fn pack_groups<const WINDOW: usize>(
    bits: usize,
    words: &[u64],
    put: impl Fn(&mut [u8; WINDOW], &[u64; GROUP]),
) -> Vec<u8> {
    let (full, rest) = words.as_chunks::<GROUP>();
    let mut out = vec![0; words.len().div_ceil(GROUP) * bits + WINDOW];
    let mut write = |number: usize, group: &[u64; GROUP]| {
        if let Some(window) = out[number * bits..].first_chunk_mut() {
            put(window, group);
        }
    };
    for (number, group) in full.iter().enumerate() {
        write(number, group);
    }
    if !rest.is_empty() {
        let mut group = [0; GROUP];
        group[..rest.len()].copy_from_slice(rest);
        write(full.len(), &group);
    }
    out.truncate((words.len() * bits).div_ceil(8));
    out
}

/// Eight words of fewer than 32 bits: two halves of four words, each below `2^128`.
#[inline(always)]
fn put_narrow(bits: usize, out: &mut [u8; 32], words: &[u64; GROUP]) {
    let four = |at: usize| {
        let low = words[at] | words[at + 1] << bits;
        let high = words[at + 2] | words[at + 3] << bits;
        u128::from(low) | u128::from(high) << (2 * bits)
    };
    let (low, mut high) = (four(0), four(4));
    if bits % 2 == 1 {
        // The halves meet inside a byte.
        high = high << 4 | low >> (4 * bits - 4);
    }
    let half = (bits / 2).min(16);
    out[..16].copy_from_slice(&low.to_le_bytes());
    out[half..half + 16].copy_from_slice(&high.to_le_bytes());
}

/// Eight words of up to 56 bits, one after another: each is ORed to what the one before left in its first byte.
#[inline(always)]
fn put_middle(bits: usize, out: &mut [u8; MIDDLE], words: &[u64; GROUP]) {
    let mut carry = 0;
    for (i, word) in words.iter().enumerate() {
        let (byte, shift) = ((i * bits / 8).min(MIDDLE - 8), i * bits % 8);
        let shifted = *word << shift | carry;
        out[byte..byte + 8].copy_from_slice(&shifted.to_le_bytes());
        // What of the byte in which the next word starts is written.
        carry = shifted >> (((i + 1) * bits / 8 - i * bits / 8) * 8);
    }
}

/// Eight words of up to 64 bits, one after another: each is ORed to what the one before left in its first byte.
#[inline(always)]
fn put_wide(bits: usize, out: &mut [u8; WIDE], words: &[u64; GROUP]) {
    let mut carry = 0;
    for (i, word) in words.iter().enumerate() {
        let (byte, shift) = (i * bits / 8, i * bits % 8);
        let shifted = u128::from(*word) << shift | u128::from(carry);
        out[byte..byte + 16].copy_from_slice(&shifted.to_le_bytes());
        // The byte in which the next word starts.
        carry = out[(i + 1) * bits / 8];
    }
}

/// Reads groups through windows of `WINDOW` bytes; `word(window, i)` is word `i` of the group that begins where the window does.
#[inline(always)]
fn groups<const WINDOW: usize>(
    bits: usize,
    len: usize,
    bytes: &[u8],
    word: impl Fn(&[u8; WINDOW], usize) -> u64,
    mut each: impl FnMut(&[u64]),
) {
    let mut at = 0;
    let mut left = len;
    while left >= GROUP
        && let Some(window) = bytes.get(at..).and_then(<[u8]>::first_chunk)
    {
        each(&core::array::from_fn::<u64, GROUP, _>(|i| word(window, i)));
        at += bits;
        left -= GROUP;
    }
    // The last few: no whole window is left to read.
    while left > 0 {
        let tail = bytes.get(at..).unwrap_or_default();
        let mut window = [0; WINDOW];
        let have = tail.len().min(WINDOW);
        window[..have].copy_from_slice(&tail[..have]);
        let group = core::array::from_fn::<u64, GROUP, _>(|i| word(&window, i));
        let count = left.min(GROUP);
        each(&group[..count]);
        at += bits;
        left -= count;
    }
}

/// The 57 bits or more from bit `at` on; the window holds eight bytes from the one that `at` is in.
#[inline(always)]
fn word_in_eight<const WINDOW: usize>(window: &[u8; WINDOW], at: usize) -> u64 {
    let byte = (at / 8).min(WINDOW - 8);
    let mut eight = [0; 8];
    eight.copy_from_slice(&window[byte..byte + 8]);
    u64::from_le_bytes(eight) >> (at % 8)
}

/// The 64 bits from bit `at` on; `at <= 7 * 64`.
#[inline(always)]
fn wide_word(window: &[u8; WIDE], at: usize) -> u64 {
    let byte = (at / 8).min(WIDE - 16);
    let mut sixteen = [0; 16];
    sixteen.copy_from_slice(&window[byte..byte + 16]);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low word is what is wanted"
    )]
    let word = (u128::from_le_bytes(sixteen) >> (at % 8)) as u64;
    word
}
