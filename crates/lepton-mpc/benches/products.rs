//! A million products and a million sums among three parties, the dealer and all parties on one core, messages included; and in the clear.
//!
//! `cargo bench -p lepton-mpc`.

use std::sync::Arc;

use chacha20::ChaCha20Rng;
use divan::Bencher;
use lepton_mpc::{Circuit, CircuitBuilder, Encoding, Parties, PartyIndex, local};
use rand_core::SeedableRng;

const LEN: usize = 1_000_000;

fn main() {
    divan::main();
}

fn circuit(products: bool) -> Arc<Circuit> {
    let encoding = Encoding::integers(1 << 20).unwrap();
    let mut c = CircuitBuilder::new(Parties::new(3).unwrap());
    let x = c.input(PartyIndex::new(0), LEN, encoding).unwrap();
    let y = c.input(PartyIndex::new(1), LEN, encoding).unwrap();
    let result = if products {
        c.multiply(x, y).unwrap()
    } else {
        c.add(x, y).unwrap()
    };
    c.open(result).unwrap();
    Arc::new(c.finish().unwrap())
}

fn values() -> Vec<i64> {
    (0..LEN as i64).map(|i| (i * 7919) % (1 << 20)).collect()
}

fn inputs() -> Vec<Vec<Vec<i64>>> {
    vec![vec![values()], vec![values()], vec![]]
}

#[divan::bench(sample_count = 10)]
fn products_in_the_clear(bencher: Bencher<'_, '_>) {
    let (x, y) = (values(), values());
    bencher.bench_local(|| x.iter().zip(&y).map(|(x, y)| x * y).collect::<Vec<_>>());
}

#[divan::bench(sample_count = 10)]
fn sums(bencher: Bencher<'_, '_>) {
    let (circuit, inputs) = (circuit(false), inputs());
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    bencher.bench_local(|| local::run(Arc::clone(&circuit), &inputs, &mut rng).unwrap());
}

#[divan::bench(sample_count = 10)]
fn products(bencher: Bencher<'_, '_>) {
    let (circuit, inputs) = (circuit(true), inputs());
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    bencher.bench_local(|| local::run(Arc::clone(&circuit), &inputs, &mut rng).unwrap());
}

#[divan::bench(sample_count = 10)]
fn authenticated_products(bencher: Bencher<'_, '_>) {
    let (circuit, inputs) = (circuit(true), inputs());
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    bencher
        .bench_local(|| local::run_authenticated(Arc::clone(&circuit), &inputs, &mut rng).unwrap());
}
