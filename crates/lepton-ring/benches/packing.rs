//! A million words to bytes and back, in the widths that sums need most.
//!
//! `cargo bench -p lepton-ring --bench packing`. Throughput is of packed bytes. `unpack` includes the memory of its result, which `add_packed` does
//! without.

use divan::{Bencher, counter::BytesCount};
use lepton_ring::{MaskStream, Modulus, RingVec};

const WORDS: usize = 1_000_000;
const BITS: [u8; 5] = [16, 20, 24, 32, 40];

fn main() {
    divan::main();
}

fn vector(bits: u8) -> RingVec {
    let mut vector = RingVec::zeros(Modulus::new(bits).expect("8 to 64 bits"), WORDS);
    MaskStream::new(&[bits; 32]).add_to(&mut vector);
    vector
}

#[divan::bench(args = BITS)]
fn pack(bencher: Bencher<'_, '_>, bits: u8) {
    let vector = vector(bits);
    bencher
        .counter(BytesCount::new(vector.pack().len()))
        .bench_local(|| vector.pack());
}

#[divan::bench(args = BITS)]
fn unpack(bencher: Bencher<'_, '_>, bits: u8) {
    let vector = vector(bits);
    let bytes = vector.pack();
    bencher
        .counter(BytesCount::new(bytes.len()))
        .bench_local(|| RingVec::unpack(vector.modulus(), WORDS, &bytes));
}

#[divan::bench(args = BITS)]
fn add_packed(bencher: Bencher<'_, '_>, bits: u8) {
    let mut vector = vector(bits);
    let bytes = vector.pack();
    bencher
        .counter(BytesCount::new(bytes.len()))
        .bench_local(|| vector.add_packed(&bytes));
}
