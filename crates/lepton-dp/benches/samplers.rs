//! Draws per second: `cargo bench -p lepton-dp --bench samplers`.

use chacha20::ChaCha20Rng;
use divan::Bencher;
use divan::counter::ItemsCount;
use lepton_dp::{
    Accountant, Delta, DiscreteGaussian, DiscreteLaplace, Event, NoiseMultiplier, SamplingRate,
    TableGaussian,
};
use rand_core::{Rng, SeedableRng};

const DRAWS: usize = 100_000;

fn main() {
    divan::main();
}

/// Exact but for the mass beyond twelve sigmas, in time that does not depend on the values.
#[divan::bench(args = [1, 2, 16, 100, 1000, 1 << 20])]
fn table_gaussian(bencher: Bencher, sigma: u64) {
    let noise = TableGaussian::new(sigma).expect("sigma is in range");
    let mut rng = ChaCha20Rng::seed_from_u64(sigma);
    let mut draws = vec![0; DRAWS];
    bencher
        .counter(ItemsCount::new(DRAWS))
        .bench_local(|| noise.fill(divan::black_box(&mut draws), &mut rng));
}

/// For comparison only, never for privacy: `f64` noise (Box, Muller 1958) rounded to integers.
#[divan::bench(args = [2, 16, 100, 1000])]
fn rounded_float_gaussian(bencher: Bencher, sigma: u64) {
    let mut rng = ChaCha20Rng::seed_from_u64(sigma);
    let mut draws = vec![0i64; DRAWS];
    bencher
        .counter(ItemsCount::new(DRAWS))
        .bench_local(|| fill_rounded(divan::black_box(&mut draws), sigma as f64, &mut rng));
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
fn fill_rounded(draws: &mut [i64], sigma: f64, rng: &mut ChaCha20Rng) {
    const UNIT: f64 = 1.0 / (1u64 << 53) as f64;
    for draw in draws.chunks_mut(2) {
        let mut uniform = || ((rng.next_u64() >> 11) + 1) as f64 * UNIT;
        let radius = sigma * libm::sqrt(-2.0 * libm::log(uniform()));
        let (sine, cosine) = libm::sincos(std::f64::consts::TAU * uniform());
        for (draw, part) in draw.iter_mut().zip([sine, cosine]) {
            *draw = (radius * part).round_ties_even() as i64;
        }
    }
}

#[divan::bench(args = [1, 2, 16, 100, 1000, 1 << 20, 1 << 40])]
fn discrete_gaussian(bencher: Bencher, sigma: u64) {
    let noise = DiscreteGaussian::new(sigma).expect("sigma is in range");
    let mut rng = ChaCha20Rng::seed_from_u64(sigma);
    let mut draws = vec![0; DRAWS];
    bencher
        .counter(ItemsCount::new(DRAWS))
        .bench_local(|| noise.fill(divan::black_box(&mut draws), &mut rng));
}

#[divan::bench(args = [1, 100, 1 << 20])]
fn discrete_laplace(bencher: Bencher, scale: u64) {
    let noise = DiscreteLaplace::new(scale).expect("scale is in range");
    let mut rng = ChaCha20Rng::seed_from_u64(scale);
    let mut draws = vec![0; DRAWS];
    bencher
        .counter(ItemsCount::new(DRAWS))
        .bench_local(|| noise.fill(divan::black_box(&mut draws), &mut rng));
}

/// One charge of many steps and its conversion.
#[divan::bench]
fn account(bencher: Bencher) {
    let event = Event::SampledGaussian {
        sampling_rate: SamplingRate::new(0.01).expect("rate is in range"),
        noise_multiplier: NoiseMultiplier::new(1.1).expect("multiplier is in range"),
    };
    let delta = Delta::new(1e-5).expect("delta is in range");
    bencher.bench_local(|| {
        let mut accountant = Accountant::new();
        accountant.add(divan::black_box(&event), 10_000)?;
        accountant.epsilon(delta)
    });
}
