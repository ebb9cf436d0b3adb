//! Nothing that comes from outside makes a decoder panic or take much memory (TR-09).

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{Decoder, all};

/// Decodes and measures.
fn feed(decoder: &Decoder, input: &[u8]) -> Result<bool, TestCaseError> {
    let mut taken = false;
    let used = allocation_counter::measure(|| taken = decoder.takes(input));
    let (factor, floor) = decoder.memory;
    let most = factor * input.len() as u64 + floor;
    prop_assert!(
        used.bytes_max <= most,
        "{}: {} bytes of memory for {} of input",
        decoder.name,
        used.bytes_max,
        input.len()
    );
    Ok(taken)
}

#[test]
fn names_are_names() {
    let all = all();
    let names: BTreeSet<_> = all.iter().map(|decoder| decoder.name).collect();
    assert_eq!(names.len(), all.len());
    for name in names {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        assert!(name.bytes().all(plain), "{name}");
    }
}

/// A change to a document: where, how many bytes go, which come.
pub(crate) type Edit = (prop::sample::Index, usize, Vec<u8>);

pub(crate) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let cut = prop_oneof![Just(0_usize), Just(1), 0_usize..40, Just(usize::MAX)];
    let odd = prop::sample::select(vec![
        0_u8, 1, 0x7f, 0x80, 0x82, 0x84, 0xff, b'-', b'\n', b'[', b'"',
    ]);
    let put = prop_oneof![
        prop::collection::vec(odd, 0..6),
        prop::collection::vec(any::<u8>(), 0..40),
        (any::<u8>(), 0_usize..3000).prop_map(|(byte, times)| vec![byte; times]),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), cut, put), 0..5)
}

pub(crate) fn changed(document: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut changed = document.to_vec();
    for (at, cut, put) in edits {
        let at = at.index(changed.len() + 1);
        let end = at.saturating_add(*cut).min(changed.len());
        changed.splice(at..end, put.iter().copied()).for_each(drop);
    }
    changed
}

/// Random bytes, changed documents and documents many times over.
#[test]
fn no_decoder_panics_or_takes_much_memory() {
    let mut runner = TestRunner::deterministic();
    for decoder in all() {
        for valid in &decoder.valid {
            assert!(feed(&decoder, valid).unwrap(), "{}", decoder.name);
        }
        let valid = prop::sample::select(decoder.valid.clone());
        let random = prop::collection::vec(any::<u8>(), 0..2000);
        let input = prop_oneof![
            1 => random,
            4 => (valid, edits(), 1_usize..4, 0_usize..30).prop_map(|(valid, edits, few, many)| {
                let times = if few == 1 { many } else { 1 };
                changed(&valid.repeat(times), &edits)
            }),
        ];
        let tested = runner.run(&input, |mut input| {
            if decoder.text {
                input.iter_mut().for_each(|byte| *byte &= 0x7f);
            }
            feed(&decoder, &input).map(|_| ())
        });
        tested.unwrap_or_else(|error| panic!("{}: {error}", decoder.name));
    }
}

/// Lengths that promise what never comes.
#[test]
fn a_length_alone_takes_no_memory() {
    let all: Vec<_> = all();
    let lies: [&[u8]; 9] = [
        // protobuf: fields 1, 3, 5 and 8 of 2^31 bytes, and of more than there are addresses.
        &[0x0a, 0x80, 0x80, 0x80, 0x80, 0x08],
        &[0x1a, 0x80, 0x80, 0x80, 0x80, 0x08],
        &[0x2a, 0x80, 0x80, 0x80, 0x80, 0x08, 1, 2, 3],
        &[
            0x42, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ],
        // gRPC: frames of 4 GiB, and compressed.
        &[0, 0xff, 0xff, 0xff, 0xff, 1],
        &[1, 0, 0, 0, 1, 0],
        // DER: sequences of 2 GiB and without an end.
        &[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x30],
        &[0x30, 0x80, 0x30, 0x80, 0x30, 0x80],
        // Length first: a megabyte.
        &[0, 0x0f, 0xff, 0xff, 1],
    ];
    for decoder in &all {
        for lie in lies {
            assert!(!feed(decoder, lie).unwrap(), "{}: {lie:?}", decoder.name);
        }
    }
    // And depth: JSON and DER in themselves.
    for (open, times) in [
        (b"[".as_slice(), 100_000),
        (b"{\"a\":", 30_000),
        (&[0x30, 0x83, 1, 0, 0], 3_000),
    ] {
        for decoder in &all {
            assert!(
                !feed(decoder, &open.repeat(times)).unwrap(),
                "{}",
                decoder.name
            );
        }
    }
}
