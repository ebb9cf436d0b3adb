//! Envelopes from outside: known answers, forgeries, every bit of an envelope and of a stream changed.
#![cfg(test)]

mod chunks;
mod forge;
mod signed;
mod streams;
mod values;
mod vectors;

use chacha20::ChaCha20Rng;
use lepton_crypto::envelope::{Key, KeyKind, Recipient};
use rand_core::SeedableRng;

/// A generator for a test.
fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

/// Kinds that are quick to make; RSA-4096 is slow, and differs in a number only.
const KINDS: [KeyKind; 7] = [
    KeyKind::Rsa3072,
    KeyKind::P256,
    KeyKind::X25519,
    KeyKind::Hybrid,
    KeyKind::Aes128,
    KeyKind::Aes192,
    KeyKind::Aes256,
];

/// The recipient that a key opens for.
fn recipient(key: &Key) -> Recipient {
    match key {
        Key::Aes(_) => {
            let Key::Aes(copy) = copy(key) else {
                unreachable!("an AES key's copy is one")
            };
            Recipient::Aes(copy)
        }
        other => Recipient::Public(other.public().unwrap()),
    }
}

/// A second instance of a key.
fn copy(key: &Key) -> Key {
    Key::from_jwk(key.to_jwk().unwrap().as_bytes()).unwrap()
}
