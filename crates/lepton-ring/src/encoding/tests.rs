//! Rounding against its laws, and bounds on sums against the ring and against exact laws.

use chacha20::ChaCha20Rng;
use proptest::prelude::*;
use rand_core::SeedableRng;

use super::*;
use crate::{Modulus, RingVec};

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

#[test]
fn nearest_goes_to_even() {
    assert_eq!(
        Rounding::Nearest.round(&[0.5, 1.5, -0.5, -2.5, 2.6], &mut rng(0)),
        Ok(vec![0, 2, 0, -2, 3])
    );
}

#[test]
fn refuses_what_is_no_integer() {
    let all = [
        Rounding::Nearest,
        Rounding::Stochastic,
        Rounding::Conditional {
            norm: f64::INFINITY,
        },
    ];
    for rounding in all {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(
                rounding.round(&[0.0, bad], &mut rng(0)),
                Err(RingError::NotFinite)
            );
        }
        let edge = 2f64.powi(63);
        assert_eq!(
            rounding.round(&[-edge], &mut rng(0)),
            Err(RingError::FixedPointOverflow(-edge))
        );
        let largest = edge.next_down();
        assert_eq!(
            rounding.round(&[largest, -largest], &mut rng(0)),
            Ok(vec![i64::MAX - 1023, 1023 - i64::MAX])
        );
    }
}

/// Mean of `n = 200_000` coins within `sqrt(ln(2 / p) / (2 n))` of the fraction, `p = 1e-7` for each of nine values (Hoeffding): false alarm below
/// 1e-6. Seeds are fixed.
#[test]
fn stochastic_rounding_is_unbiased() {
    let n = 200_000u32;
    let tolerance = ((2.0f64 / 1e-7).ln() / (2.0 * f64::from(n))).sqrt();
    for (seed, value) in (1..).zip([0.0, 0.3, 0.999, -0.3, -0.999, 7.25, -7.25, 1e-9, -4.0]) {
        let rounded = Rounding::Stochastic
            .round(&vec![value; n as usize], &mut rng(seed))
            .unwrap();
        let neighbours = [value.floor(), value.ceil()];
        assert!(
            rounded.iter().all(|v| neighbours.contains(&(*v as f64))),
            "{value}"
        );
        let mean = rounded.iter().sum::<i64>() as f64 / f64::from(n);
        assert!((mean - value).abs() <= tolerance, "{value}: {mean}");
    }
}

#[test]
fn conditional_rounding_falls_back_towards_zero() {
    // Every try leaves the ball but one of probability 2^-1000: only rounding towards zero remains.
    let halves = vec![-0.5; 1000];
    assert_eq!(
        Rounding::Conditional { norm: 0.5 }.round(&halves, &mut rng(1)),
        Ok(vec![0; 1000])
    );
}

#[test]
fn conditional_rounding_refuses_what_was_not_clipped() {
    let norm = 5.0f64.next_down();
    assert_eq!(
        Rounding::Conditional { norm }.round(&[3.5, -4.5], &mut rng(1)),
        Err(RingError::NormExceeded(norm))
    );
    assert_eq!(
        Rounding::Conditional { norm: 5.0 }.round(&[3.0, -4.0], &mut rng(1)),
        Ok(vec![3, -4])
    );
}

/// A fair coin per coordinate: the share of first tries inside the bound is at least `1 - beta`. Counted over 4,000 vectors, `beta = 1/2`:
/// false alarm `exp(-2 * 4000 * 0.05^2) < 1e-8` (Hoeffding).
#[test]
fn the_conditional_bound_holds_as_often_as_it_says() {
    let (dims, tries) = (40, 4000);
    let vector = vec![1.5; dims];
    let bound = conditional_norm_bound(1.5 * (dims as f64).sqrt(), dims, 0.5);
    let mut rng = rng(9);
    let inside = (0..tries)
        .filter(|_| {
            let rounded = Rounding::Stochastic.round(&vector, &mut rng).unwrap();
            norm::square_of(&rounded) <= norm::square_below(bound)
        })
        .count();
    assert!(inside as f64 >= (0.5 - 0.05) * f64::from(tries));
}

proptest! {
    #[test]
    fn conditional_rounding_keeps_its_norm(vector in prop::collection::vec(-50.0f64..50.0, 1..60), seed: u8, beta in 0.01f64..0.99) {
        // The norm of the vector, not rounded down: `Conditional` gets no more room than it was promised.
        let clip = vector.iter().map(|v| v * v).sum::<f64>().sqrt() * (1.0 + 1e-14);
        let norm = conditional_norm_bound(clip, vector.len(), beta);
        let rounded = Rounding::Conditional { norm }.round(&vector, &mut rng(seed)).unwrap();
        let square: i64 = rounded.iter().map(|v| v * v).sum();
        prop_assert!(square as f64 <= norm * norm);
        for (v, r) in vector.iter().zip(&rounded) {
            prop_assert!((*r as f64 - v).abs() < 1.0);
        }
    }

    /// AC-03, the coupling: with common `u`, `floor(v + x + u) - floor(v + u)` is within 1 of `x`; so is rounding to nearest. Sixteenths are exact.
    #[test]
    fn one_rounding_moves_a_difference_by_at_most_one(v in -1000i32..1000, x in -1000i32..1000, u in 0i32..16) {
        let [v, x, u] = [v, x, u].map(|k| f64::from(k) / 16.0);
        prop_assert!(((v + x + u).floor() - (v + u).floor() - x).abs() <= 1.0);
        let nearest = Rounding::Nearest.round(&[v, v + x], &mut rng(0)).unwrap();
        prop_assert!(((nearest[1] - nearest[0]) as f64 - x).abs() <= 1.0);
    }

    /// All parties at their worst reach the bound, the ring made for it holds the sum, and the ring with one bit less (the twin) does not.
    #[test]
    fn sum_bounds_are_tight(
        segments in prop::collection::vec((0usize..4, 0u64..1 << 50), 1..5),
        parties in 1u32..40,
        up: bool,
    ) {
        let segments: Vec<_> = segments.iter().map(|(len, max_abs)| Segment { len: *len, max_abs: *max_abs }).collect();
        let bound = sum_bound(&segments, parties);
        let modulus = Modulus::for_sum_bound(bound).unwrap();
        let sign = if up { 1 } else { -1 };
        let worst: Vec<i64> = segments.iter().flat_map(|s| vec![sign * s.max_abs.cast_signed(); s.len]).collect();
        let total = |modulus| {
            let mut sum = RingVec::zeros(modulus, worst.len());
            for _ in 0..parties {
                sum.add_assign(&RingVec::from_wrapping(modulus, &worst)).unwrap();
            }
            sum.to_signed()
        };
        let expected: Vec<i64> = worst.iter().map(|w| w * i64::from(parties)).collect();
        prop_assert_eq!(total(modulus), expected.clone());
        prop_assert_eq!(expected.iter().map(|v| u128::from(v.unsigned_abs())).max().unwrap_or(0), bound);
        if bound > 128 {
            let narrow = Modulus::new(modulus.bits() - 1).unwrap();
            // At exactly half the ring `-2^(bits-1)` still has a representative.
            prop_assert!(total(narrow) != expected || bound.is_power_of_two());
        }
    }

    #[test]
    fn noise_bounds_follow_the_closed_form(len in 1usize..1 << 40, max_abs in 0u64..1 << 40, parties in 1u32..10_000, sigma in 1u64..1 << 20, k in 0u32..200) {
        let segment = Segment { len, max_abs };
        let bound = noised_sum_bound(&[segment], parties, sigma, k).unwrap();
        let nats = (2.0 * len as f64).ln() + f64::from(k) * core::f64::consts::LN_2;
        let reach = (2.0 * f64::from(parties) * (sigma as f64).powi(2) * nats).sqrt().ceil() - 1.0;
        let noise = (bound - sum_bound(&[segment], parties)) as f64;
        prop_assert!((noise - reach).abs() <= 1.0, "{} {}", noise, reach);
    }

    /// More of anything never gives a smaller bound, and small entries do not pay for large ones.
    #[test]
    fn noise_bounds_grow(len in 1usize..1 << 30, max_abs in 0u64..1 << 40, parties in 1u32..1000, sigma in 0u64..1 << 20, k in 0u32..100) {
        let one = Segment { len, max_abs };
        let bound = |segments: &[Segment], parties, sigma, k| noised_sum_bound(segments, parties, sigma, k).unwrap();
        let base = bound(&[one], parties, sigma, k);
        prop_assert!(base >= sum_bound(&[one], parties));
        prop_assert!(bound(&[one], parties + 1, sigma, k) >= base);
        prop_assert!(bound(&[one], parties, sigma + 1, k) >= base);
        prop_assert!(bound(&[one], parties, sigma, k + 1) >= base);
        let zeros = Segment { len: 1 << 30, max_abs: 0 };
        let both = bound(&[one, zeros], parties, sigma, k);
        let merged = bound(&[Segment { len: len + zeros.len, ..one }], parties, sigma, k);
        prop_assert!(base <= both && both <= merged);
    }
}

/// The exact law of the sum of `parties` discrete Gaussians, by convolution; index `i` is the value `i - reach`.
fn exact_law(sigma: u32, parties: u32) -> Vec<f64> {
    let reach = 40 * sigma.cast_signed();
    let sigma = f64::from(sigma);
    let weights: Vec<f64> = (-reach..=reach)
        .map(|x| (-f64::from(x).powi(2) / (2.0 * sigma * sigma)).exp())
        .collect();
    let total: f64 = weights.iter().sum();
    let one: Vec<f64> = weights.iter().map(|w| w / total).collect();
    (1..parties).fold(one.clone(), |law, _| {
        let mut next = vec![0.0; law.len() + one.len() - 1];
        for (i, p) in law.iter().enumerate() {
            for (j, q) in one.iter().enumerate() {
                next[i + j] += p * q;
            }
        }
        next
    })
}

/// P[|X| > magnitude] for a law centred at its middle.
fn outside(law: &[f64], magnitude: usize) -> f64 {
    let centre = law.len() / 2;
    law.iter()
        .enumerate()
        .filter(|(i, _)| i.abs_diff(centre) > magnitude)
        .map(|(_, p)| p)
        .sum()
}

/// Against the exact law: never passed more often than said; and the twin, a bound a third smaller, is.
#[test]
fn noise_bounds_hold_for_the_exact_law() {
    for (sigma, parties) in [(1u32, 1u32), (2, 3), (5, 4)] {
        let law = exact_law(sigma, parties);
        for log2_failure in [1, 5, 10, 20] {
            let segment = Segment { len: 1, max_abs: 0 };
            let bound = noised_sum_bound(&[segment], parties, sigma.into(), log2_failure).unwrap();
            let bound = usize::try_from(bound).unwrap();
            let allowed = 0.5f64.powi(log2_failure.cast_signed());
            assert!(outside(&law, bound) <= allowed);
            assert!(outside(&law, bound * 2 / 3) > allowed || log2_failure < 10);
        }
    }
}

#[test]
fn bounds_at_the_edges() {
    let none: &[Segment] = &[];
    assert_eq!(sum_bound(none, 5), 0);
    assert_eq!(noised_sum_bound(none, 5, 1000, 40), Some(0));
    let empty = Segment { len: 0, max_abs: 9 };
    assert_eq!(sum_bound(&[empty], 5), 0);
    let one = Segment { len: 1, max_abs: 9 };
    assert_eq!(noised_sum_bound(&[one], 5, 0, 40), Some(45));
    assert_eq!(noised_sum_bound(&[one], 0, 7, 40), Some(0));
    // The largest of everything still has an answer, which no ring holds.
    let largest = Segment {
        len: usize::MAX,
        max_abs: u64::MAX,
    };
    let bound = noised_sum_bound(&[largest], u32::MAX, u64::MAX, u32::MAX).unwrap();
    assert_eq!(
        Modulus::for_sum_bound(bound),
        Err(RingError::SumBound(bound))
    );
}
