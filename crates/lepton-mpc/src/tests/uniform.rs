//! What all parties but one see is uniform, whatever the inputs (MP-02, MP-09, MP-10).
//!
//! Pearson's chi-square over the 256 values of each byte of many words. At 255 degrees of freedom 415 is exceeded with probability 1e-9
//! (Wilson-Hilferty); each test looks at no more than 200 bytes, so it raises a false alarm with probability below 1e-6. Seeds are fixed.

use lepton_ring::FixedPoint;
use zeroize::Zeroizing;

use super::*;
use crate::range::LIMIT;
use crate::shares::{expand, split};

const WORDS: usize = 16_384;
const CRITICAL: f64 = 415.0;

/// The largest statistic over the eight bytes of the words.
fn worst(words: &[u64]) -> f64 {
    let statistic = |byte: usize| {
        let mut counts = [0u32; 256];
        for word in words {
            counts[usize::from(word.to_le_bytes()[byte])] += 1;
        }
        let mean = words.len() as f64 / 256.0;
        let squares = counts.iter().map(|c| (f64::from(*c) - mean).powi(2));
        squares.sum::<f64>() / mean
    };
    (0..8).map(statistic).fold(0.0, f64::max)
}

fn sum(shares: &[&[u64]]) -> Vec<u64> {
    let mut sum = vec![0; WORDS];
    for share in shares {
        crate::shares::add(&mut sum, share);
    }
    sum
}

/// Any three of four shares, one by one and added up, for the least friendly inputs: zeros, ones and the largest values.
#[test]
fn any_shares_but_one_are_uniform() {
    for (seed, value) in [(1, 0), (2, u64::MAX), (3, LIMIT)] {
        let words = Zeroizing::new(vec![value; WORDS]);
        let (kept, seeds) = split(words, 3, &mut rng(seed));
        let mut shares = vec![kept];
        shares.extend(seeds.iter().map(|seed| expand(seed, WORDS)));
        let shares: Vec<&[u64]> = shares.iter().map(|share| share.as_slice()).collect();
        assert!(sum(&shares).iter().all(|word| *word == value));
        for missing in 0..4 {
            let mut pooled = shares.clone();
            pooled.remove(missing);
            assert!(
                worst(&sum(&pooled)) < CRITICAL,
                "all but {missing} of {value}"
            );
        }
        for share in shares {
            assert!(worst(share) < CRITICAL, "one of {value}");
        }
    }
}

/// What products and truncations open before the output, for constant factors.
#[test]
fn what_is_opened_on_the_way_is_uniform() {
    for (seed, value) in [(4, 0), (5, 1), (6, (1 << 30) - 1)] {
        let mut c = CircuitBuilder::new(parties(2));
        let real = Encoding::reals(FixedPoint::new(8), (1 << 30) - 1).unwrap();
        let x = c.input(party(0), WORDS, real).unwrap();
        let y = c.input(party(1), WORDS, real).unwrap();
        let product = c.multiply(x, y).unwrap();
        let short = c.truncate(product, 8).unwrap();
        c.open(short).unwrap();
        let vector = vec![vec![value; WORDS]];
        let transcript = run(
            &session(9, c.finish().unwrap()),
            &[vector.clone(), vector],
            seed,
        );
        let (d, e) = transcript.opened[0].split_at(WORDS);
        for words in [d, e, &transcript.opened[1]] {
            assert!(worst(words) < CRITICAL, "{value}");
        }
        // And the differences of neighbours, which would show a mask that is used twice.
        let pairs = d.iter().zip(e).map(|(d, e)| d.wrapping_sub(*e));
        assert!(worst(&pairs.collect::<Vec<_>>()) < CRITICAL, "{value}");
    }
}

/// The failing twins: masks of 56 bits, masks that are used for two words, and shares that are not masked at all are all found.
#[test]
fn the_statistic_finds_what_is_not_uniform() {
    let mask = crate::shares::uniform(WORDS, &mut rng(7));
    assert!(worst(&mask) < CRITICAL);
    let narrow: Vec<_> = mask.iter().map(|word| word >> 8).collect();
    assert!(worst(&narrow) > CRITICAL);
    let twice: Vec<_> = mask
        .iter()
        .map(|word| word.wrapping_add(3).wrapping_sub(*word))
        .collect();
    assert!(worst(&twice) > CRITICAL);
    let doubled: Vec<_> = mask.iter().map(|word| word << 1).collect();
    assert!(worst(&doubled) > CRITICAL);
}
