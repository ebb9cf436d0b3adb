//! What envelopes cost beside the cipher itself: streams of 64 MiB in memory on one core, and small values to each kind of key.
//!
//!     cargo bench -p lepton-crypto --bench envelope
#![expect(
    clippy::unwrap_used,
    reason = "a measurement stops at the first failure"
)]

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use chacha20::ChaCha20Rng;
use divan::Bencher;
use divan::counter::BytesCount;
use lepton_crypto::envelope::{
    CHUNK, Cost, Enc, Key, KeyKind, Lock, Opener, Passphrase, Purpose, Recipient, Sealer, Unlock,
    open, seal,
};
use rand_core::SeedableRng;

const CHUNKS: usize = 1024;
const KINDS: [KeyKind; 6] = [
    KeyKind::Rsa3072,
    KeyKind::Rsa4096,
    KeyKind::P256,
    KeyKind::X25519,
    KeyKind::Hybrid,
    KeyKind::Aes256,
];

fn main() {
    divan::main();
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([1; 32])
}

fn key(kind: KeyKind) -> (Key, [Recipient; 1]) {
    let key = Key::generate(kind, &mut rng()).unwrap();
    let recipient = match key.public() {
        Some(public) => Recipient::Public(public),
        None => match Key::from_jwk(key.to_jwk().unwrap().as_bytes()).unwrap() {
            Key::Aes(key) => Recipient::Aes(key),
            _ => unreachable!("a key without a public half is an AES key"),
        },
    };
    (key, [recipient])
}

/// The limit: the cipher alone over the same chunks, in place.
#[divan::bench]
fn cipher_alone(bencher: Bencher<'_, '_>) {
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[1; 32]).unwrap());
    let mut chunk = vec![7; CHUNK + 16];
    bencher
        .counter(BytesCount::new(CHUNK * CHUNKS))
        .bench_local(|| {
            for number in 0..CHUNKS as u64 {
                let mut nonce = [0; 12];
                nonce[4..].copy_from_slice(&number.to_be_bytes());
                chunk.truncate(CHUNK);
                let nonce = Nonce::assume_unique_for_key(nonce);
                cipher
                    .seal_in_place_append_tag(nonce, Aad::empty(), &mut chunk)
                    .unwrap();
            }
        });
}

#[divan::bench]
fn seal_stream(bencher: Bencher<'_, '_>) {
    let (_, to) = key(KeyKind::X25519);
    let mut chunk = vec![7; CHUNK + 16];
    bencher
        .counter(BytesCount::new(CHUNK * CHUNKS))
        .bench_local(|| {
            let (mut sealer, _) = Sealer::start(Lock::Keys(&to), &mut rng()).unwrap();
            for _ in 1..CHUNKS {
                chunk.truncate(CHUNK);
                sealer.chunk(&mut chunk).unwrap();
            }
            chunk.truncate(CHUNK);
            sealer.last(&mut chunk).unwrap();
        });
}

/// The limit of opening: the cipher alone, in place, over copies of one chunk.
#[divan::bench]
fn cipher_alone_opening(bencher: Bencher<'_, '_>) {
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[1; 32]).unwrap());
    let nonce = || Nonce::assume_unique_for_key([0; 12]);
    let mut sealed = vec![7; CHUNK];
    cipher
        .seal_in_place_append_tag(nonce(), Aad::empty(), &mut sealed)
        .unwrap();
    let mut buffer = Vec::with_capacity(CHUNK + 16);
    bencher
        .counter(BytesCount::new(CHUNK * CHUNKS))
        .bench_local(|| {
            for _ in 0..CHUNKS {
                buffer.clear();
                buffer.extend_from_slice(&sealed);
                cipher
                    .open_in_place(nonce(), Aad::empty(), &mut buffer)
                    .unwrap();
            }
        });
}

/// A chunk opens only at its place: this is the first chunk of as many streams, less what starting one costs.
#[divan::bench]
fn open_stream(bencher: Bencher<'_, '_>) {
    let (key, to) = key(KeyKind::Aes256);
    let (sealer, start) = Sealer::start(Lock::Keys(&to), &mut rng()).unwrap();
    let mut sealed = vec![7; CHUNK];
    sealer.last(&mut sealed).unwrap();
    let keys = [key];
    let mut buffer = Vec::with_capacity(CHUNK + 16);
    bencher
        .counter(BytesCount::new(CHUNK * CHUNKS))
        .with_inputs(|| {
            let opener = || Opener::start(&start, Unlock::Keys(&keys)).unwrap();
            std::iter::repeat_with(opener)
                .take(CHUNKS)
                .collect::<Vec<_>>()
        })
        .bench_local_values(|openers| {
            for opener in openers {
                buffer.clear();
                buffer.extend_from_slice(&sealed);
                opener.last(&mut buffer).unwrap();
            }
        });
}

#[divan::bench(args = KINDS)]
fn seal_value(bencher: Bencher<'_, '_>, kind: KeyKind) {
    let (_, to) = key(kind);
    bencher.bench_local(|| {
        seal(
            Lock::Keys(&to),
            Enc::A256Gcm,
            Purpose::Value,
            &[1; 100],
            &mut rng(),
        )
        .unwrap()
    });
}

#[divan::bench(args = KINDS)]
fn open_value(bencher: Bencher<'_, '_>, kind: KeyKind) {
    let (key, to) = key(kind);
    let text = seal(
        Lock::Keys(&to),
        Enc::A256Gcm,
        Purpose::Value,
        &[1; 100],
        &mut rng(),
    )
    .unwrap();
    let keys = [key];
    bencher.bench_local(|| open(&text, Unlock::Keys(&keys), Purpose::Value).unwrap());
}

#[divan::bench(sample_count = 5)]
fn open_with_argon2id(bencher: Bencher<'_, '_>) {
    let passphrase = Passphrase::new(b"correct horse").unwrap();
    let lock = Lock::Passphrase(&passphrase, Cost::STRONG);
    let text = seal(lock, Enc::A256Gcm, Purpose::Value, b"value", &mut rng()).unwrap();
    bencher.bench_local(|| open(&text, Unlock::Passphrase(&passphrase), Purpose::Value).unwrap());
}
