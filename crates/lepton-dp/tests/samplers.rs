//! The samplers' laws (DG-07, DG-08, DG-12), by chi-square and moments.
//!
//! False alarms: a chi-square statistic with k degrees of freedom exceeds `k + 2 sqrt(k x) + 2 x` with probability at most `exp(-x)`
//! (Laurent, Massart 2000, lemma 1); `x = 18` makes that 2e-8 per test, every cell expecting at least 50 draws. Moments: 6 standard deviations, 2e-9. Seeds
//! are fixed, so a passing run stays passing.
//!
//! Power: with a million draws a sigma that is off by 2 % gives a noncentrality of about 2 * 0.02^2 * 10^6 = 800. At sigma 100
//! there are about 600 cells and the threshold is about 850, far below 600 + 800; at smaller sigmas the threshold is lower. The twins
//! below are off by factors 1.41 and 1.02.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use chacha20::ChaCha20Rng;
use lepton_dp::{DiscreteGaussian, DiscreteLaplace, MAX_TABLE_SIGMA, TableGaussian};
use rand_core::SeedableRng;

const DRAWS: usize = 1_000_000;
const X: f64 = 18.0;

fn gaussian_weight(sigma: f64) -> impl Fn(i64) -> f64 {
    move |z| (-(z as f64).powi(2) / (2.0 * sigma * sigma)).exp()
}

fn laplace_weight(scale: f64) -> impl Fn(i64) -> f64 {
    move |z| (-(z.abs() as f64) / scale).exp()
}

/// Chi-square statistic over its threshold: above 1 is an alarm. Neighbouring integers share a cell where they are rare.
fn alarm(draws: &[i64], weight: impl Fn(i64) -> f64, reach: i64) -> f64 {
    let total: f64 = (-reach..=reach).map(&weight).sum();
    let mut counts = vec![0u32; 2 * reach as usize + 1];
    for &draw in draws {
        counts[(draw.clamp(-reach, reach) + reach) as usize] += 1;
    }
    let mut cells: Vec<(f64, f64)> = vec![(0.0, 0.0)];
    for (z, &count) in (-reach..=reach).zip(&counts) {
        let expected = draws.len() as f64 * weight(z) / total;
        let full = cells.last().unwrap().0 >= 50.0 && expected >= 50.0;
        if full {
            cells.push((0.0, 0.0));
        }
        let cell = cells.last_mut().unwrap();
        *cell = (cell.0 + expected, cell.1 + f64::from(count));
    }
    if cells.last().unwrap().0 < 50.0 {
        let rest = cells.pop().unwrap();
        let cell = cells.last_mut().unwrap();
        *cell = (cell.0 + rest.0, cell.1 + rest.1);
    }
    let statistic: f64 = cells
        .iter()
        .map(|(expected, count)| (count - expected).powi(2) / expected)
        .sum();
    let freedom = (cells.len() - 1) as f64;
    statistic / (freedom + 2.0 * (freedom * X).sqrt() + 2.0 * X)
}

fn gaussian_draws(sigma: u64, seed: u64) -> Vec<i64> {
    let mut draws = vec![0; DRAWS];
    DiscreteGaussian::new(sigma)
        .unwrap()
        .fill(&mut draws, &mut ChaCha20Rng::seed_from_u64(seed));
    draws
}

fn laplace_draws(scale: u64, seed: u64) -> Vec<i64> {
    let mut draws = vec![0; DRAWS];
    DiscreteLaplace::new(scale)
        .unwrap()
        .fill(&mut draws, &mut ChaCha20Rng::seed_from_u64(seed));
    draws
}

#[test]
fn discrete_gaussian_has_its_law() {
    for sigma in [1u64, 2, 5, 100] {
        let alarm = alarm(
            &gaussian_draws(sigma, sigma),
            gaussian_weight(sigma as f64),
            12 * sigma as i64,
        );
        assert!(alarm < 1.0, "sigma {sigma}: {alarm}");
    }
}

fn table_draws(sigma: u64, seed: u64) -> Vec<i64> {
    let mut draws = vec![0; DRAWS];
    TableGaussian::new(sigma)
        .unwrap()
        .fill(&mut draws, &mut ChaCha20Rng::seed_from_u64(seed));
    draws
}

/// DG-12: the table has the law of the exact sampler. Twin: the law of a sigma twice as large, and of one that is 2 % larger.
#[test]
fn table_gaussian_has_its_law() {
    for sigma in [1u64, 2, 3, 5, 16, 100] {
        let draws = table_draws(sigma, 40 + sigma);
        let reach = 12 * sigma as i64;
        let honest = alarm(&draws, gaussian_weight(sigma as f64), reach);
        assert!(honest < 1.0, "sigma {sigma}: {honest}");
        assert!(alarm(&draws, gaussian_weight(2.0 * sigma as f64), reach) > 10.0);
        if sigma > 2 {
            assert!(alarm(&draws, gaussian_weight(1.02 * sigma as f64), reach) > 1.0);
        }
    }
}

/// DG-10 and DG-11: short and long vectors, one generator state one result, and every length filled.
#[test]
fn table_fills_any_length() {
    let noise = TableGaussian::new(1000).unwrap();
    for length in [0usize, 1, 31, 511, 512, 513, 2000] {
        let draw = |seed| {
            let mut out = vec![i64::MAX; length];
            noise.fill(&mut out, &mut ChaCha20Rng::seed_from_u64(seed));
            out
        };
        assert_eq!(draw(7), draw(7));
        assert!(length == 0 || draw(7) != draw(8));
        assert!(draw(9).iter().all(|draw| draw.abs() < 13_000));
    }
    assert!(TableGaussian::new(0).is_err());
    assert!(TableGaussian::new(MAX_TABLE_SIGMA + 1).is_err());
}

/// DG-12 and DG-15: the bound on the distance is small, and not below the mass beyond the strips (summed here term by term).
#[test]
fn table_distance_is_bounded() {
    for sigma in [1u64, 2, 3, 16, 100, 1000, 1 << 20] {
        let noise = TableGaussian::new(sigma).unwrap();
        let distance = noise.statistical_distance();
        assert!(distance < 2f64.powi(-106), "{sigma} {distance:e}");
        assert!(noise.delta_for(1 << 30) >= distance * (1u64 << 30) as f64);
        assert_eq!(
            noise.delta_for(0),
            noise.statistical_distance() * 0f64.next_up()
        );
        // Strips of 2^shift end at the first multiple at or after twelve sigmas, plus one strip.
        let width = 1u64 << sigma.ilog2().saturating_sub(1);
        let reach = ((12 * sigma).div_ceil(width) + 1) * width;
        let weight = gaussian_weight(sigma as f64);
        let terms = if sigma < 1 << 20 {
            30 * sigma
        } else {
            8 * sigma
        };
        let tail: f64 = (reach..reach + terms).map(|y| weight(y as i64)).sum();
        let total = (2.0 * std::f64::consts::PI).sqrt() * sigma as f64;
        assert!(
            2.0 * tail / total <= distance && distance < 40.0 * tail / total,
            "{sigma}"
        );
    }
}

#[test]
fn discrete_laplace_has_its_law() {
    for scale in [1u64, 2, 5, 100] {
        let alarm = alarm(
            &laplace_draws(scale, scale),
            laplace_weight(scale as f64),
            60 * scale as i64,
        );
        assert!(alarm < 1.0, "scale {scale}: {alarm}");
    }
}

/// Twin: half the variance, 2 % more sigma, a missing zero, a lost sign: the same test raises the alarm.
#[test]
fn corrupted_samplers_are_caught() {
    let hundred = gaussian_draws(100, 11);
    assert!(alarm(&hundred, gaussian_weight(100.0), 1200) < 1.0);
    assert!(alarm(&hundred, gaussian_weight(100.0 * 2f64.sqrt()), 1200) > 10.0);
    assert!(alarm(&gaussian_draws(102, 12), gaussian_weight(100.0), 1200) > 1.0);
    let five = gaussian_draws(5, 13);
    let positive: Vec<i64> = five.iter().map(|draw| draw.abs()).collect();
    assert!(alarm(&positive, gaussian_weight(5.0), 60) > 10.0);
    let no_zero: Vec<i64> = five
        .iter()
        .map(|&draw| if draw == 0 { 1 } else { draw })
        .collect();
    assert!(alarm(&no_zero, gaussian_weight(5.0), 60) > 10.0);
    assert!(alarm(&laplace_draws(5, 14), gaussian_weight(5.0), 60) > 10.0);
}

/// Mean, second and fourth moment for large sigmas, in units of sigma: 0, 1, 3, with standard deviations 1, sqrt 2, sqrt 96 per draw.
#[test]
fn moments_of_large_sigmas() {
    let drawn = [10u64, 24, 40].map(|bits| (bits, gaussian_draws(1 << bits, bits)));
    let tables = [10u64, 20].map(|bits| (bits, table_draws(1 << bits, bits)));
    for (bits, draws) in drawn.into_iter().chain(tables) {
        let sigma = (1u64 << bits) as f64;
        let mean = |power: i32| {
            draws
                .iter()
                .map(|&draw| (draw as f64 / sigma).powi(power))
                .sum::<f64>()
                / DRAWS as f64
        };
        for (power, expected, spread) in
            [(1, 0.0, 1.0), (2, 1.0, 2f64.sqrt()), (4, 3.0, 96f64.sqrt())]
        {
            let found = mean(power);
            assert!(
                (found - expected).abs() < 6.0 * spread / (DRAWS as f64).sqrt(),
                "2^{bits}, moment {power}: {found}"
            );
        }
        assert!(
            draws
                .iter()
                .filter(|&&draw| draw & 1 == 1)
                .count()
                .abs_diff(DRAWS / 2)
                < 3000,
            "low bit is biased"
        );
    }
}
