//! Sharing, combining and hashing as one party of a masked sum does it: 101 secrets of 32 bytes, 60 of 101.
//!
//! `cargo bench -p lepton-crypto`. Dealing includes wiping the shares again.

use chacha20::ChaCha20Rng;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use lepton_crypto::merkle::{MerkleTree, root_from};
use lepton_crypto::sharing::{Combiner, Sharing};
use lepton_crypto::{Digest, HashPrefix, long_hash, sha256};
use rand_core::SeedableRng;
use vsss_rs::Gf256;

const THRESHOLD: u8 = 60;
const HOLDERS: u8 = 101;
const SECRET: usize = 32;

fn main() {
    divan::main();
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([1; 32])
}

fn sharing() -> Sharing {
    Sharing::new(THRESHOLD, HOLDERS).expect("60 of 101")
}

#[divan::bench]
fn deal_101_secrets(bencher: Bencher) {
    let mut rng = rng();
    let secrets = [7; SECRET * HOLDERS as usize];
    bencher.bench_local(|| drop(sharing().deal(black_box(&secrets), &mut rng)));
}

#[divan::bench]
fn deal_1_secret(bencher: Bencher) {
    let mut rng = rng();
    bencher.bench_local(|| drop(sharing().deal(black_box(&[7; SECRET]), &mut rng)));
}

#[divan::bench]
fn deal_1_secret_vsss_rs(bencher: Bencher) {
    let mut rng = rng();
    bencher.bench_local(|| {
        Gf256::split_bytes(
            THRESHOLD.into(),
            HOLDERS.into(),
            black_box([7; SECRET]),
            &mut rng,
        )
    });
}

#[divan::bench]
fn prepare_combiner(bencher: Bencher) {
    let holders: Vec<u8> = (1..=THRESHOLD).collect();
    bencher.bench_local(|| Combiner::new(THRESHOLD, black_box(&holders)));
}

#[divan::bench(args = [1, 11])]
fn combine(bencher: Bencher, secrets: usize) {
    let shares = sharing().deal(&vec![7; SECRET * secrets], &mut rng());
    let used: Vec<_> = shares
        .iter()
        .take(THRESHOLD.into())
        .map(|s| s.as_slice())
        .collect();
    let holders: Vec<u8> = (1..=THRESHOLD).collect();
    let combiner = Combiner::new(THRESHOLD, &holders).expect("60 holders");
    bencher.bench_local(|| combiner.combine(black_box(&used)));
}

#[divan::bench]
fn combine_1_vsss_rs(bencher: Bencher) {
    let shares = Gf256::split_bytes(THRESHOLD.into(), HOLDERS.into(), [7; SECRET], rng());
    let mut shares = shares.expect("60 of 101");
    shares.truncate(THRESHOLD.into());
    bencher.bench_local(|| Gf256::combine_bytes(black_box(&shares)));
}

#[divan::bench]
fn finish_a_36_byte_tail(bencher: Bencher) {
    let prefix = HashPrefix::new("lepton/share/v1", &[&[3; 32]]);
    bencher.bench_local(|| prefix.finish(black_box(&[5; 36])));
}

#[divan::bench]
fn long_hash_1_mb(bencher: Bencher) {
    let bytes = vec![3; 1 << 20];
    let bencher = bencher.counter(BytesCount::of_slice(&bytes));
    bencher.bench_local(|| long_hash("lepton bench v1", &[black_box(&bytes)]));
}

#[divan::bench]
fn sha256_1_mb(bencher: Bencher) {
    let bytes = vec![3; 1 << 20];
    let bencher = bencher.counter(BytesCount::of_slice(&bytes));
    bencher.bench_local(|| sha256(black_box(&bytes)));
}

fn leaves() -> Vec<Digest> {
    (0..101u8).map(|i| sha256(&[i])).collect()
}

#[divan::bench]
fn merkle_tree_of_101(bencher: Bencher) {
    let leaves = leaves();
    bencher.bench_local(|| MerkleTree::new(black_box(&leaves)));
}

#[divan::bench]
fn merkle_root_from_11_of_101(bencher: Bencher) {
    let leaves = leaves();
    let positions: Vec<_> = (0..101).step_by(10).collect();
    let proof = MerkleTree::new(&leaves).proof(&positions);
    let known = positions
        .iter()
        .filter_map(|p| Some((*p, *leaves.get(*p)?)));
    let known: Vec<_> = known.collect();
    bencher.bench_local(|| root_from(101, black_box(&known), &proof));
}
