//! Draws per second: `cargo bench -p lepton-dp --bench samplers`.

use chacha20::ChaCha20Rng;
use divan::Bencher;
use divan::counter::ItemsCount;
use lepton_dp::{
    Accountant, Delta, DiscreteGaussian, DiscreteLaplace, Event, NoiseMultiplier, SamplingRate,
};
use rand_core::SeedableRng;

const DRAWS: usize = 100_000;

fn main() {
    divan::main();
}

#[divan::bench(args = [1, 2, 100, 1 << 20, 1 << 40])]
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
