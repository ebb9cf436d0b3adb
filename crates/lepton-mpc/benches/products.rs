//! A million products and a million sums among three parties, the dealer and all parties on one core, messages included; and in the clear.
//!
//! `cargo bench -p lepton-mpc`.

use std::sync::Arc;

use chacha20::ChaCha20Rng;
use divan::Bencher;
use lepton_mpc::{Circuit, CircuitBuilder, CircuitError, Encoding, Parties, PartyIndex, local};
use rand_core::SeedableRng;

const LEN: usize = 1_000_000;

fn main() {
    divan::main();
}

fn circuit(products: bool) -> Result<Circuit, CircuitError> {
    let encoding = Encoding::integers(1 << 20)?;
    let mut c = CircuitBuilder::new(Parties::new(3)?);
    let x = c.input(PartyIndex::new(0), LEN, encoding)?;
    let y = c.input(PartyIndex::new(1), LEN, encoding)?;
    let result = if products {
        c.multiply(x, y)?
    } else {
        c.add(x, y)?
    };
    c.open(result)?;
    c.finish()
}

/// Runs the circuit once, with MACs or without.
fn once(bencher: Bencher<'_, '_>, products: bool, authenticated: bool) {
    let circuit = Arc::new(circuit(products).expect("a million products of 40 bits fit"));
    let inputs = vec![vec![values()], vec![values()], vec![]];
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    bencher.bench_local(|| {
        let circuit = Arc::clone(&circuit);
        if authenticated {
            local::run_authenticated(circuit, &inputs, &mut rng)
        } else {
            local::run(circuit, &inputs, &mut rng)
        }
        .expect("honest parties finish")
    });
}

fn values() -> Vec<i64> {
    (0..LEN as i64).map(|i| (i * 7919) % (1 << 20)).collect()
}

#[divan::bench(sample_count = 10)]
fn products_in_the_clear(bencher: Bencher<'_, '_>) {
    let (x, y) = (values(), values());
    bencher.bench_local(|| x.iter().zip(&y).map(|(x, y)| x * y).collect::<Vec<_>>());
}

#[divan::bench(sample_count = 10)]
fn sums(bencher: Bencher<'_, '_>) {
    once(bencher, false, false);
}

#[divan::bench(sample_count = 10)]
fn products(bencher: Bencher<'_, '_>) {
    once(bencher, true, false);
}

#[divan::bench(sample_count = 10)]
fn authenticated_products(bencher: Bencher<'_, '_>) {
    once(bencher, true, true);
}
