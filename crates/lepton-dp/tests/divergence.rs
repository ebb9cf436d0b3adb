//! Rényi divergences of discrete Gaussian noise, summed directly over the integers, against the formulas (AC-04 to AC-06, AC-11, AC-12).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use lepton_dp::distributed::tau;
use lepton_dp::{DistributedNoise, Event, NoiseMultiplier, SamplingRate};

/// Half width of the support kept for sums; what is cut is below 1e-30.
const REACH: i64 = 80;

fn normalised(weights: Vec<f64>) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

/// Probabilities of -reach..=reach, moved by `shift`.
fn discrete_gaussian(variance: f64, shift: i64, reach: i64) -> Vec<f64> {
    let weight = |z: i64| (-((z - shift) as f64).powi(2) / (2.0 * variance)).exp();
    normalised((-reach..=reach).map(weight).collect())
}

fn mixture(rate: f64, noise: &[f64], shifted: &[f64]) -> Vec<f64> {
    noise
        .iter()
        .zip(shifted)
        .map(|(n, s)| (1.0 - rate) * n + rate * s)
        .collect()
}

fn divergence(p: &[f64], q: &[f64], order: u32) -> f64 {
    let sum: f64 = p
        .iter()
        .zip(q)
        .filter(|(p, _)| **p > 0.0)
        .map(|(p, q)| q * (p / q).powi(order as i32))
        .sum();
    sum.ln() / f64::from(order - 1)
}

fn sampled(rate: f64, noise_multiplier: NoiseMultiplier) -> Event {
    Event::SampledGaussian {
        sampling_rate: SamplingRate::new(rate).unwrap(),
        noise_multiplier,
    }
}

/// AC-05: at integer orders and integer shifts the continuous formula is the discrete Gaussian's divergence, also for sigma below 2;
/// AC-06: the other direction is not larger.
#[test]
fn formula_is_exact_for_discrete_noise_and_covers_both_directions() {
    for (sigma, shift) in [(1i32, 1i64), (2, 1), (2, 3), (5, 4)] {
        let (reach, sigma) = (16 * i64::from(sigma), f64::from(sigma));
        let noise = discrete_gaussian(sigma * sigma, 0, reach);
        let shifted = discrete_gaussian(sigma * sigma, shift, reach);
        let z = NoiseMultiplier::new(sigma / shift as f64).unwrap();
        for rate in [0.01, 0.3, 1.0] {
            let mixed = mixture(rate, &noise, &shifted);
            for order in [2, 3, 4] {
                let formula = sampled(rate, z).rdp(order);
                let add = divergence(&mixed, &noise, order);
                let remove = divergence(&noise, &mixed, order);
                assert!(
                    (add / formula - 1.0).abs() < 1e-9,
                    "sigma {sigma} shift {shift} rate {rate} order {order}: {add} {formula}"
                );
                assert!(remove <= formula * (1.0 + 1e-9));
            }
        }
    }
}

/// Twin: at half-integer shifts the discrete divergence differs from the formula, so the test above would see it.
#[test]
fn fractional_shifts_break_the_formula() {
    let variance = 0.36;
    let weight = |centre: f64| {
        (-20i32..=20)
            .map(|z| (-(f64::from(z) - centre).powi(2) / (2.0 * variance)).exp())
            .collect()
    };
    let (noise, shifted) = (normalised(weight(0.0)), normalised(weight(0.5)));
    let formula = Event::Gaussian {
        noise_multiplier: NoiseMultiplier::new(0.6 / 0.5).unwrap(),
    }
    .rdp(2);
    assert!((divergence(&shifted, &noise, 2) / formula - 1.0).abs() > 1e-3);
}

fn convolve(left: &[f64], right: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; left.len()];
    for (i, l) in left.iter().enumerate() {
        for (j, r) in right.iter().enumerate() {
            let place = i as i64 + j as i64 - REACH;
            if let Ok(place) = usize::try_from(place)
                && place < sum.len()
            {
                sum[place] += l * r;
            }
        }
    }
    sum
}

/// AC-11: the spread of log ratios between the sum and the single discrete Gaussian, at sigma 1 where it is large enough to see,
/// is at most tau; for two parties also at least a tenth of it (the bound is not idle, and the test can see).
#[test]
fn sums_stay_within_tau() {
    let one = discrete_gaussian(1.0, 0, REACH);
    let mut sum = one.clone();
    for parties in 2..=6u32 {
        sum = convolve(&sum, &one);
        let single = discrete_gaussian(f64::from(parties), 0, REACH);
        let reach = 6 * i64::from(parties);
        let near = |z: &usize| (*z as i64 - REACH).abs() <= reach;
        let ratios: Vec<f64> = (0..sum.len())
            .filter(near)
            .map(|z| (sum[z] / single[z]).ln())
            .collect();
        let spread = ratios.iter().copied().fold(f64::MIN, f64::max)
            - ratios.iter().copied().fold(f64::MAX, f64::min);
        let bound = tau(parties, 1);
        assert!(
            spread <= bound && (parties > 2 || spread >= bound / 10.0),
            "{parties}: {spread:e} {bound:e}"
        );
    }
}

/// AC-12: the divergence of the sampled mechanism with summed noise exceeds the single discrete Gaussian's by at most
/// `order / (order - 1) * tau`, in both directions (sigma 1; the slack of `DistributedNoise` is the same expression).
#[test]
fn slack_covers_summed_noise() {
    let one = discrete_gaussian(1.0, 0, REACH);
    let sum = convolve(&convolve(&one, &one), &one);
    let inner = 20..sum.len() - 20; // shifting needs room; what is cut is below 1e-100
    let moved: Vec<f64> = inner.clone().map(|z| sum[z - 1]).collect();
    let still: Vec<f64> = inner.map(|z| sum[z]).collect();
    for rate in [0.05, 0.5, 1.0] {
        let mixed = mixture(rate, &still, &moved);
        for order in [2u32, 3, 5] {
            let bound = sampled(rate, NoiseMultiplier::new(3f64.sqrt()).unwrap()).rdp(order)
                + f64::from(order) / f64::from(order - 1) * tau(3, 1);
            assert!(divergence(&mixed, &still, order) <= bound);
            assert!(divergence(&still, &mixed, order) <= bound);
        }
    }
    let noise = DistributedNoise::new(3, 2, 7).unwrap();
    assert!((noise.rdp_slack(5) / (1.25 * 7.0 * tau(3, 2)) - 1.0).abs() < 1e-9);
}
