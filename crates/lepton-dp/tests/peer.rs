//! The samplers beside those of another library: `prio`, an implementation of its own of the algorithms of Canonne, Kamath and Steinke 2020, in exact rational numbers
//! (DG-01, ME-01).
//!
//! Both draw, and a chi-square test of homogeneity asks whether the two samples have one law. False alarms: at most 2e-8 a test, by the bound that `samplers.rs` uses, every
//! cell holding at least 50 draws of the two together; seeds are fixed, so a passing run stays passing. Power: the twins, a sixth or a seventh wider, raise the alarm.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::BTreeMap;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use lepton_dp::{DiscreteGaussian, DiscreteLaplace, TableGaussian};
use prio::dp::{Rational, distributions};
use rand::distr::Distribution;

const DRAWS: usize = 60_000;
const X: f64 = 18.0;

/// Chi-square statistic of homogeneity over its threshold: above 1 is an alarm. Both samples are as long; rare neighbours share a cell.
fn alarm(ours: &[i64], theirs: &[i64]) -> f64 {
    let mut counts: BTreeMap<i64, [f64; 2]> = BTreeMap::new();
    for (sample, draws) in [ours, theirs].into_iter().enumerate() {
        for draw in draws {
            counts.entry(*draw).or_default()[sample] += 1.0;
        }
    }
    let mut cells = vec![[0.0; 2]];
    for count in counts.values() {
        let last: &mut [f64; 2] = cells.last_mut().unwrap();
        *last = [last[0] + count[0], last[1] + count[1]];
        if last[0] + last[1] >= 50.0 {
            cells.push([0.0; 2]);
        }
    }
    let rest = cells.pop().unwrap();
    let last = cells.last_mut().unwrap();
    *last = [last[0] + rest[0], last[1] + rest[1]];
    let statistic: f64 = cells.iter().map(|[a, b]| (a - b).powi(2) / (a + b)).sum();
    let freedom = (cells.len() - 1) as f64;
    statistic / (freedom + 2.0 * (freedom * X).sqrt() + 2.0 * X)
}

fn peer(law: &impl Distribution<num_bigint::BigInt>, seed: u64) -> Vec<i64> {
    let rng = ChaCha20Rng::seed_from_u64(seed);
    law.sample_iter(rng)
        .take(DRAWS)
        .map(|draw| i64::try_from(draw).unwrap())
        .collect()
}

fn whole(number: u64) -> Rational {
    Rational::from_unsigned(u128::from(number), 1u128).unwrap()
}

fn filled(fill: impl FnOnce(&mut [i64], &mut ChaCha20Rng), seed: u64) -> Vec<i64> {
    let mut draws = vec![0; DRAWS];
    fill(&mut draws, &mut ChaCha20Rng::seed_from_u64(seed));
    draws
}

#[test]
fn gaussians_have_the_law_of_the_peers() {
    for sigma in [1u64, 6, 60] {
        let law = distributions::DiscreteGaussian::new(whole(sigma)).unwrap();
        let theirs = peer(&law, 100 + sigma);
        let exact = |sigma| {
            let noise = DiscreteGaussian::new(sigma).unwrap();
            filled(|out, rng| noise.fill(out, rng), sigma)
        };
        let noise = TableGaussian::new(sigma).unwrap();
        let table = filled(|out, rng| noise.fill(out, rng), 200 + sigma);
        assert!(alarm(&exact(sigma), &theirs) < 1.0, "exact, sigma {sigma}");
        assert!(alarm(&table, &theirs) < 1.0, "table, sigma {sigma}");
        let twin = exact(sigma + sigma.div_ceil(6));
        assert!(alarm(&twin, &theirs) > 1.0, "twin, sigma {sigma}");
    }
}

#[test]
fn laplace_has_the_law_of_the_peers() {
    for scale in [1u64, 7, 50] {
        let law = distributions::DiscreteLaplace::new(whole(scale)).unwrap();
        let theirs = peer(&law, 300 + scale);
        let ours = |scale| {
            let noise = DiscreteLaplace::new(scale).unwrap();
            filled(|out, rng| noise.fill(out, rng), 400 + scale)
        };
        assert!(alarm(&ours(scale), &theirs) < 1.0, "scale {scale}");
        let twin = ours(scale + scale.div_ceil(7));
        assert!(alarm(&twin, &theirs) > 1.0, "twin, scale {scale}");
    }
}
