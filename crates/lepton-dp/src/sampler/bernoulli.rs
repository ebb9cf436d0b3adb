//! Bernoulli and geometric draws with probabilities that are powers of e (DG-03 to DG-06).

use rand_core::CryptoRng;

use super::exact::{Gamma, MAX_GAMMA, decide};

/// Half width, in units of 2^-64, of the band around the floating-point estimate in which the exact path decides: 2^-40.
/// The estimate is off by less than 2^-48 (DG-04), so outside the band both paths agree.
const MARGIN: u64 = 1 << 24;

/// Above this estimate an exponent may exceed [`MAX_GAMMA`] and is split first.
const SPLIT_ABOVE: f64 = MAX_GAMMA as f64 - 0.5;

/// One with probability `exp(-gamma)`, exactly. `estimate` is gamma within a relative error of 2^-48; `gamma` computes it exactly and is called
/// about once in 2^39 draws, or for large exponents.
pub(super) fn exp_minus(
    estimate: f64,
    gamma: impl FnOnce() -> Gamma,
    rng: &mut impl CryptoRng,
) -> bool {
    if estimate > SPLIT_ABOVE {
        return exp_minus_split(gamma(), rng);
    }
    exp_minus_within(MARGIN, estimate, gamma, rng)
}

/// Exponents of any size: `exp(-gamma) = exp(-32) * exp(-(gamma - 32))`.
#[cold]
fn exp_minus_split(mut gamma: Gamma, rng: &mut impl CryptoRng) -> bool {
    while let Some(rest) = gamma.less_max() {
        if !decide(rng.next_u64(), Gamma::whole(MAX_GAMMA), rng) {
            return false;
        }
        gamma = rest;
    }
    decide(rng.next_u64(), gamma, rng)
}

/// As [`exp_minus`] for exponents up to [`MAX_GAMMA`]; `margin` is the half width of the undecided band.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "float to integer casts saturate, and the estimate is below 2^64 + 1"
)]
fn exp_minus_within(
    margin: u64,
    estimate: f64,
    gamma: impl FnOnce() -> Gamma,
    rng: &mut impl CryptoRng,
) -> bool {
    const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;
    let threshold = (libm::exp(-estimate) * TWO_TO_64) as u64;
    let word = rng.next_u64();
    if word < threshold.saturating_sub(margin) {
        true
    } else if word > threshold.saturating_add(margin) {
        false
    } else {
        decide(word, gamma(), rng)
    }
}

/// Number of successes before the first failure of draws with success probability 1/e, exactly.
pub(super) fn geometric(rng: &mut impl CryptoRng) -> u64 {
    let mut successes = 0u64;
    loop {
        let below = powers_of_e_above(rng.next_u64(), rng);
        successes = successes.saturating_add(u64::from(below));
        if below < MAX_GAMMA {
            return successes;
        }
    }
}

/// How many of `exp(-1), .., exp(-32)` exceed the uniform real whose first 64 bits are `word`.
#[inline]
fn powers_of_e_above(word: u64, rng: &mut impl CryptoRng) -> u8 {
    let mut count = 0;
    for threshold in EXP_MINUS {
        if word > threshold || (word == threshold && !decide(word, Gamma::whole(count + 1), rng)) {
            break;
        }
        count += 1;
        if word == threshold {
            break; // the next threshold is far below this word
        }
    }
    count
}

/// `floor(2^64 * exp(-j))` for j = 1..=32; the test compares them with mpmath.
const EXP_MINUS: [u64; MAX_GAMMA as usize] = [
    0x5e2d_58d8_b3bc_df1a,
    0x22a5_5547_7f03_973f,
    0x0cbe_d866_6758_5764,
    0x04b0_556e_084f_3d1d,
    0x01b9_93fe_00d5_3761,
    0x00a2_728f_889e_a6ae,
    0x003b_c2d7_3849_531d,
    0x0015_fc21_0410_27ac,
    0x0008_1679_1293_2a2c,
    0x0002_f9af_36ac_8f93,
    0x0001_1835_4238_f676,
    0x0000_6715_30ed_0ef2,
    0x0000_25ec_0a77_303b,
    0x0000_0df3_637e_d80b,
    0x0000_0521_d728_89fb,
    0x0000_01e3_55bb_aee8,
    0x0000_00b1_cf18_bad3,
    0x0000_0041_698a_31a6,
    0x0000_0018_1056_ff2c,
    0x0000_0008_da43_2af9,
    0x0000_0003_41b6_1a1b,
    0x0000_0001_32b4_8bf1,
    0x0000_0000_70d4_9f90,
    0x0000_0000_2982_0f1f,
    0x0000_0000_0f45_1bd2,
    0x0000_0000_059e_14a9,
    0x0000_0000_0211_0a53,
    0x0000_0000_00c2_9f80,
    0x0000_0000_0047_990a,
    0x0000_0000_001a_56e0,
    0x0000_0000_0009_b090,
    0x0000_0000_0003_908c,
];

/// Uniform in `0..bound`, exactly (Lemire 2019, "Fast random integer generation in an interval"). `bound` is not zero.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "taking the two halves of the product is the purpose"
)]
pub(crate) fn uniform_below(bound: u64, rng: &mut impl CryptoRng) -> u64 {
    let mut product = u128::from(rng.next_u64()) * u128::from(bound);
    if (product as u64) < bound {
        let threshold = bound.wrapping_neg() % bound;
        while (product as u64) < threshold {
            product = u128::from(rng.next_u64()) * u128::from(bound);
        }
    }
    (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20::ChaCha20Rng;
    use proptest::prelude::*;
    use rand_core::SeedableRng;

    #[test]
    fn table_is_the_references() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/vectors/mpmath.json")).unwrap();
        for (ours, theirs) in EXP_MINUS
            .iter()
            .zip(vectors["exp_minus_j_times_2_64"].as_array().unwrap())
        {
            assert_eq!(
                *ours,
                u64::from_str_radix(theirs.as_str().unwrap(), 16).unwrap()
            );
        }
    }

    fn both_paths(numerator: u64, denominators: [u64; 2], seed: u64) -> (bool, bool) {
        let gamma = Gamma {
            numerator: u128::from(numerator),
            denominators,
        };
        let estimate = numerator as f64 / (denominators[0] as f64 * denominators[1] as f64);
        let (mut fast, mut forced) = (
            ChaCha20Rng::seed_from_u64(seed),
            ChaCha20Rng::seed_from_u64(seed),
        );
        (
            exp_minus_within(MARGIN, estimate, || gamma, &mut fast),
            exp_minus_within(u64::MAX, estimate, || gamma, &mut forced),
        )
    }

    proptest! {
        /// DG-04 and DG-05: on the same words the machine-word path and the (forced) exact path decide alike.
        #[test]
        fn fast_and_exact_paths_agree(a in 0u64..1 << 45, d in 1u64..1 << 21, e in 1u64..1 << 21, seed: u64) {
            let numerator = a % (31 * d * e);
            let (fast, exact) = both_paths(numerator, [d, e], seed);
            prop_assert_eq!(fast, exact);
        }

        #[test]
        fn uniform_stays_below(bound in 1u64..=1 << 62, seed: u64) {
            prop_assert!(uniform_below(bound, &mut ChaCha20Rng::seed_from_u64(seed)) < bound);
        }
    }

    /// Twin: an estimate that is off by one part in a hundred makes the paths disagree, so the test above would see it.
    #[test]
    fn a_wrong_estimate_is_seen() {
        let gamma = Gamma {
            numerator: 1,
            denominators: [1, 1],
        };
        let disagree = |seed| {
            let (mut fast, mut forced) = (
                ChaCha20Rng::seed_from_u64(seed),
                ChaCha20Rng::seed_from_u64(seed),
            );
            exp_minus_within(MARGIN, 1.01, || gamma, &mut fast)
                != exp_minus_within(u64::MAX, 1.0, || gamma, &mut forced)
        };
        assert!((0..4000).any(disagree));
    }

    /// The words nearest to the threshold, where an estimate that is off would show: 2^25 around it, exact path against itself.
    #[test]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "float to integer casts saturate"
    )]
    fn the_margin_is_generous() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        for (numerator, denominator) in [(1u64, 7u64), (5, 3), (22, 7), (300, 11), (1, 1 << 40)] {
            let gamma = Gamma {
                numerator: u128::from(numerator),
                denominators: [denominator, 1],
            };
            let estimate =
                libm::exp(-(numerator as f64 / denominator as f64)) * 18_446_744_073_709_551_616.0;
            let centre = estimate as u64;
            // A 2^-48 band would already be enough: 2^16 off the centre the exact path is certain and agrees.
            assert!(decide(centre.saturating_sub(1 << 16), gamma, &mut rng));
            assert!(
                centre
                    .checked_add(1 << 16)
                    .is_none_or(|word| !decide(word, gamma, &mut rng))
            );
        }
    }

    /// Exponents above 32: 2^-46 or less, so 10^4 draws all fail (false alarm below 1e-9).
    #[test]
    fn large_exponents_fail() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let gamma = Gamma {
            numerator: (1 << 62) * (1 << 61),
            denominators: [1 << 41, 1 << 40],
        };
        assert!((0..1000).all(|_| !exp_minus(4e12, || gamma, &mut rng)));
        assert!((0..9000).all(|_| !exp_minus(33.0, || Gamma::whole(33), &mut rng)));
    }

    /// The split keeps the law: decide() on 33 = exp(-32) * exp(-1), seen through the pieces.
    #[test]
    fn splitting_subtracts_exactly() {
        let gamma = Gamma {
            numerator: 65 * 6,
            denominators: [2, 3],
        };
        let rest = gamma.less_max().unwrap().less_max().unwrap();
        assert_eq!(rest.numerator, 6);
        assert!(rest.less_max().is_none());
    }
}
