//! Values in JWE.

use lepton_crypto::envelope::{
    Cost, Enc, EnvelopeError, Key, KeyKind, Lock, MAX_VALUE, Passphrase, Purpose, Recipient,
    Unlock, open, seal,
};
use proptest::prelude::*;

use crate::{KINDS, copy, recipient, rng};

/// Cheap, so that tests are; its caps are tested elsewhere.
const CHEAP: [Cost; 2] = [
    Cost::Pbes2 { iterations: 1000 },
    Cost::Argon2id {
        memory: 64,
        passes: 1,
        lanes: 1,
    },
];

fn value(lock: Lock<'_>, plain: &[u8]) -> String {
    seal(lock, Enc::A256Gcm, Purpose::Value, plain, &mut rng(1)).unwrap()
}

fn opened(text: &str, keys: &[Key]) -> Result<Vec<u8>, EnvelopeError> {
    let opened = open(text, Unlock::Keys(keys), Purpose::Value)?;
    assert!(opened.committed);
    Ok(opened.plaintext.to_vec())
}

#[test]
fn every_kind_of_key_opens_its_own() {
    for kind in KINDS {
        let keys = [Key::generate(kind, &mut rng(1)).unwrap()];
        for enc in [Enc::A128Gcm, Enc::A192Gcm, Enc::A256Gcm] {
            let to = [recipient(&keys[0])];
            let text = seal(Lock::Keys(&to), enc, Purpose::Value, b"plain", &mut rng(2)).unwrap();
            assert_eq!(
                text.split('.').count(),
                5,
                "one recipient: the compact form"
            );
            assert_eq!(opened(&text, &keys).unwrap(), b"plain", "{kind:?} {enc:?}");
            assert_eq!(opened(&format!("{text}\n"), &keys).unwrap(), b"plain");
        }
        let other = [Key::generate(kind, &mut rng(3)).unwrap()];
        let text = value(Lock::Keys(&[recipient(&keys[0])]), b"plain");
        assert_eq!(
            opened(&text, &other),
            Err(EnvelopeError::DoesNotOpen),
            "{kind:?}"
        );
        let strange = if kind == KeyKind::P256 {
            KeyKind::Aes256
        } else {
            KeyKind::P256
        };
        let strange = [Key::generate(strange, &mut rng(4)).unwrap()];
        let result = opened(&text, &strange);
        let fits = kind == KeyKind::X25519;
        assert!(
            matches!(result, Err(EnvelopeError::OtherKeys(_))) || (fits && result.is_err()),
            "{kind:?}"
        );
    }
}

#[test]
fn passphrases_open_their_own() {
    let (good, bad) = (
        Passphrase::new(b"correct horse").unwrap(),
        Passphrase::new(b"battery").unwrap(),
    );
    for cost in CHEAP {
        let text = value(Lock::Passphrase(&good, cost), b"plain");
        let plain = open(&text, Unlock::Passphrase(&good), Purpose::Value)
            .unwrap()
            .plaintext;
        assert_eq!(*plain, b"plain");
        let refused = open(&text, Unlock::Passphrase(&bad), Purpose::Value).err();
        assert_eq!(refused, Some(EnvelopeError::DoesNotOpen));
        let keys = [Key::generate(KeyKind::Aes256, &mut rng(1)).unwrap()];
        assert!(matches!(
            opened(&text, &keys),
            Err(EnvelopeError::OtherKeys(_))
        ));
    }
    let text = value(Lock::Passphrase(&good, Cost::STRONG), b"plain");
    assert!(open(&text, Unlock::Passphrase(&good), Purpose::Value).is_ok());
}

/// EV-06: each of several opens; no change of the list goes unnoticed, though its entries are outside the tag.
#[test]
fn a_list_is_bound() {
    let keys: Vec<Key> = KINDS
        .iter()
        .map(|kind| Key::generate(*kind, &mut rng(1)).unwrap())
        .collect();
    let to: Vec<Recipient> = keys.iter().map(recipient).collect();
    let text = value(Lock::Keys(&to), b"plain");
    assert!(text.starts_with('{'));
    for key in &keys {
        assert_eq!(opened(&text, &[copy(key)]).unwrap(), b"plain");
    }
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let changed = |change: &dyn Fn(&mut Vec<serde_json::Value>)| {
        let mut json = json.clone();
        change(json["recipients"].as_array_mut().unwrap());
        opened(&json.to_string(), &[copy(&keys[6])])
    };
    assert_eq!(
        changed(&|_| ()).unwrap(),
        b"plain",
        "written out again by another tool"
    );
    assert_eq!(
        changed(&|list| list.swap(0, 1)),
        Err(EnvelopeError::DoesNotOpen)
    );
    assert_eq!(
        changed(&|list| drop(list.remove(0))),
        Err(EnvelopeError::DoesNotOpen)
    );
    assert_eq!(
        changed(&|list| list.push(list[0].clone())),
        Err(EnvelopeError::DoesNotOpen)
    );
    assert_eq!(
        changed(&|list| list[0]["header"]["kid"] = "another".into()),
        Err(EnvelopeError::DoesNotOpen)
    );
    assert_eq!(
        changed(&|list| list[1]["header"]["note"] = 1.into()),
        Err(EnvelopeError::DoesNotOpen)
    );
    assert_eq!(
        changed(&|list| list[0]["encrypted_key"] = "AAAA".into()),
        Err(EnvelopeError::DoesNotOpen)
    );
    assert_eq!(
        changed(&|list| *list = vec![list[6].clone()]),
        Err(EnvelopeError::DoesNotOpen)
    );
}

#[test]
fn refuses_empty_and_long_lists_and_long_values() {
    assert!(
        seal(
            Lock::Keys(&[]),
            Enc::A256Gcm,
            Purpose::Value,
            b"",
            &mut rng(1)
        )
        .is_err()
    );
    let key = Key::generate(KeyKind::Aes128, &mut rng(1)).unwrap();
    let many: Vec<Recipient> = (0..65).map(|_| recipient(&key)).collect();
    assert!(
        seal(
            Lock::Keys(&many),
            Enc::A256Gcm,
            Purpose::Value,
            b"",
            &mut rng(1)
        )
        .is_err()
    );
    assert!(
        seal(
            Lock::Keys(&many[..64]),
            Enc::A256Gcm,
            Purpose::Value,
            b"",
            &mut rng(1)
        )
        .is_ok()
    );
    let long = vec![0; MAX_VALUE + 1];
    let one = &many[..1];
    assert!(
        seal(
            Lock::Keys(one),
            Enc::A256Gcm,
            Purpose::Value,
            &long,
            &mut rng(1)
        )
        .is_err()
    );
    let text = value(Lock::Keys(one), &long[1..]);
    assert_eq!(opened(&text, &[key]).unwrap().len(), MAX_VALUE);
}

/// EV-01: nothing repeats between two envelopes of the same value to the same key.
#[test]
fn every_envelope_has_a_key_of_its_own() {
    let key = Key::generate(KeyKind::Aes256, &mut rng(1)).unwrap();
    let to = [recipient(&key)];
    let mut rng = rng(2);
    let texts: Vec<String> = (0..2)
        .map(|_| {
            seal(
                Lock::Keys(&to),
                Enc::A256Gcm,
                Purpose::Value,
                b"plain",
                &mut rng,
            )
            .unwrap()
        })
        .collect();
    let parts = texts[0].split('.').zip(texts[1].split('.'));
    assert!(
        parts.into_iter().all(|(a, b)| a != b),
        "header (its commitment), key, nonce, text, tag"
    );
}

/// Every byte of an envelope replaced by others that keep it readable, and cut at every place.
#[test]
fn no_byte_can_be_changed() {
    let key = Key::generate(KeyKind::Aes256, &mut rng(1)).unwrap();
    let other = Key::generate(KeyKind::Aes128, &mut rng(1)).unwrap();
    let lists = [
        vec![recipient(&key)],
        vec![recipient(&other), recipient(&key)],
    ];
    let keys = [key];
    for to in &lists {
        let text = value(Lock::Keys(to), b"plain");
        for i in 0..text.len() {
            for byte in [
                b'A',
                b'_',
                b'.',
                b'"',
                b' ',
                text.as_bytes()[i] ^ 1,
                text.as_bytes()[i] ^ 4,
            ] {
                let mut bad = text.clone().into_bytes();
                if bad[i] == byte || !byte.is_ascii() {
                    continue;
                }
                bad[i] = byte;
                let bad = String::from_utf8(bad).unwrap();
                assert!(opened(&bad, &keys).is_err(), "byte {i}: {bad}");
            }
            assert!(opened(&text[..i], &keys).is_err(), "cut at {i}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_value_comes_back(plain in proptest::collection::vec(any::<u8>(), 0..2000), seed in any::<u8>()) {
        let keys = [Key::generate(KeyKind::X25519, &mut rng(seed)).unwrap()];
        let text = value(Lock::Keys(&[recipient(&keys[0])]), &plain);
        prop_assert_eq!(opened(&text, &keys).unwrap(), plain);
    }

    /// What is no envelope is refused and breaks nothing.
    #[test]
    fn anything_else_is_refused(text in "\\PC{0,200}|[A-Za-z0-9_.-]{0,200}|\\{[\"a-z:,\\[\\]{}]{0,100}\\}") {
        let keys = [Key::generate(KeyKind::Aes256, &mut rng(1)).unwrap()];
        prop_assert!(opened(&text, &keys).is_err());
        let key = Key::from_jwk(text.as_bytes());
        prop_assert!(key.is_err());
    }
}
