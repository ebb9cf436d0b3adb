//! Signed envelopes, and envelopes behind another header (EV-19 to EV-21).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use base64ct::{Base64UrlUnpadded, Encoding};
use lepton_crypto::envelope::{
    CHUNK, Enc, EnvelopeError, Key, KeyKind, Lock, Opener, Origin, PREFIX, Purpose, Recipient,
    Sealer, SigningKey, SigningPublic, Unlock, open, open_signed, seal, seal_signed,
};
use lepton_crypto::sha256;

use crate::chunks::{self, Read, SEALED, plain, start_of};
use crate::{KINDS, copy, recipient, rng};

fn signer(seed: u8) -> SigningKey {
    match Key::generate(KeyKind::Ed25519, &mut rng(seed)).unwrap() {
        Key::Signing(key) => key,
        _ => unreachable!("an Ed25519 key signs"),
    }
}

fn aes(seed: u8) -> Key {
    Key::generate(KeyKind::Aes256, &mut rng(seed)).unwrap()
}

fn unb64(text: &str) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(text).unwrap()
}

fn b64(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

#[test]
fn values_say_who_made_them() {
    let (me, other) = (signer(1), signer(2));
    let keys: Vec<Key> = KINDS
        .iter()
        .map(|kind| Key::generate(*kind, &mut rng(3)).unwrap())
        .collect();
    let all: Vec<Recipient> = keys.iter().map(recipient).collect();
    let each = keys.iter().map(|key| vec![recipient(key)]);
    for to in each.chain([all]) {
        let text = seal_signed(Lock::Keys(&to), Enc::A256Gcm, b"plain", &me, &mut rng(4)).unwrap();
        for key in &keys {
            let keys = [copy(key)];
            let opened = |signers: &[SigningPublic]| {
                open_signed(&text, Unlock::Keys(&keys), Purpose::Value, signers)
            };
            let Ok(found) = opened(&[other.public(), me.public()]) else {
                assert_eq!(to.len(), 1, "everybody of the list opens it");
                continue;
            };
            assert_eq!(*found.plaintext, b"plain");
            assert_eq!(found.origin, Origin::Signed(me.public()));
            let unchecked = opened(&[]).unwrap();
            assert_eq!(*unchecked.plaintext, b"plain");
            let name = me.public().thumbprint();
            assert_eq!(
                unchecked.origin,
                Origin::Unchecked {
                    signer: name.clone()
                }
            );
            assert_eq!(
                opened(&[other.public()]).err(),
                Some(EnvelopeError::OtherSigner(name))
            );
        }
    }
}

#[test]
fn an_unsigned_value_has_no_signer() {
    let keys = [aes(1)];
    let to = [recipient(&keys[0])];
    // A value that looks like a signed one, but whose header does not say so, is a value.
    for value in [b"plain".as_slice(), b"eyJhbGciOiJFZERTQSJ9.YQ.YQ"] {
        let text = seal(
            Lock::Keys(&to),
            Enc::A256Gcm,
            Purpose::Value,
            value,
            &mut rng(4),
        )
        .unwrap();
        let opened = open(&text, Unlock::Keys(&keys), Purpose::Value).unwrap();
        assert_eq!(opened.origin, Origin::Unsigned);
        assert_eq!(*opened.plaintext, value);
        let signers = [signer(1).public()];
        let refused = open_signed(&text, Unlock::Keys(&keys), Purpose::Value, &signers).err();
        assert_eq!(refused, Some(EnvelopeError::Unsigned));
    }
}

/// A compact JWE to an AES-256 key, taken apart by its holder: content key and plaintext.
fn taken_apart(text: &str, kek: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let parts: Vec<&str> = text.split('.').collect();
    let mut cek = [0; 40];
    let cek = AesKek::new(&AES_256, kek)
        .unwrap()
        .unwrap(&unb64(parts[1]), &mut cek)
        .unwrap()
        .to_vec();
    let mut content = [unb64(parts[3]), unb64(parts[4])].concat();
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &cek).unwrap());
    let nonce = Nonce::try_assume_unique_for_key(&unb64(parts[2])).unwrap();
    let plain = cipher
        .open_in_place(nonce, Aad::from(parts[0].as_bytes()), &mut content)
        .unwrap();
    (cek, plain.to_vec())
}

/// The same content under the same content key and header, for another holder.
fn put_together(text: &str, kek: &[u8], cek: &[u8], plain: &[u8]) -> String {
    let protected = text.split('.').next().unwrap();
    let mut wrapped = [0; 40];
    let wrapped = AesKek::new(&AES_256, kek)
        .unwrap()
        .wrap(cek, &mut wrapped)
        .unwrap();
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, cek).unwrap());
    let mut content = plain.to_vec();
    let nonce = Nonce::assume_unique_for_key([9; 12]);
    let tag = cipher
        .seal_in_place_separate_tag(nonce, Aad::from(protected.as_bytes()), &mut content)
        .unwrap();
    let [iv, content, tag] = [&[9; 12], content.as_slice(), tag.as_ref()].map(b64);
    format!("{protected}.{}.{iv}.{content}.{tag}", b64(wrapped))
}

fn kek(key: &Key) -> Vec<u8> {
    let jwk: serde_json::Value = serde_json::from_str(&key.to_jwk().unwrap()).unwrap();
    unb64(jwk["k"].as_str().unwrap())
}

/// EV-19: a recipient that hands the signed content on, under the very same header and content key, does not make it the signer's letter to somebody else.
#[test]
fn a_forwarded_value_is_not_from_its_signer() {
    let (me, bob, carol) = (signer(1), aes(2), aes(3));
    let to = [recipient(&bob)];
    let text = seal_signed(Lock::Keys(&to), Enc::A256Gcm, b"plain", &me, &mut rng(4)).unwrap();
    let (cek, jws) = taken_apart(&text, &kek(&bob));
    assert_eq!(jws.iter().filter(|byte| **byte == b'.').count(), 2);
    let signers = [me.public()];
    let forwarded = put_together(&text, &kek(&carol), &cek, &jws);
    let keys = [copy(&carol)];
    let result = open_signed(&forwarded, Unlock::Keys(&keys), Purpose::Value, &signers);
    assert_eq!(result.err(), Some(EnvelopeError::BadSignature));
    // The frame of this forgery is sound: to Bob himself, it is what he got.
    let again = put_together(&text, &kek(&bob), &cek, &jws);
    let keys = [bob];
    let opened = open_signed(&again, Unlock::Keys(&keys), Purpose::Value, &signers).unwrap();
    assert_eq!(opened.origin, Origin::Signed(me.public()));
    for at in [0, jws.len() / 2, jws.len() - 1] {
        let mut bad = jws.clone();
        bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
        let text = put_together(&text, &kek(&keys[0]), &cek, &bad);
        assert!(open_signed(&text, Unlock::Keys(&keys), Purpose::Value, &signers).is_err());
    }
}

#[test]
fn nothing_is_encrypted_to_a_signing_key() {
    let key = Key::Signing(signer(1));
    let to = [recipient(&key)];
    let refused = seal(
        Lock::Keys(&to),
        Enc::A256Gcm,
        Purpose::Value,
        b"",
        &mut rng(1),
    );
    assert!(matches!(refused, Err(EnvelopeError::Key(_))));
    let to = [recipient(&aes(1))];
    let text = seal(
        Lock::Keys(&to),
        Enc::A256Gcm,
        Purpose::Value,
        b"",
        &mut rng(1),
    )
    .unwrap();
    let refused = open(&text, Unlock::Keys(&[key]), Purpose::Value).err();
    assert!(matches!(refused, Some(EnvelopeError::OtherKeys(_))));
}

fn signed(to: &Key, by: &SigningKey, data: &[u8]) -> Vec<u8> {
    let to = [recipient(to)];
    let started = Sealer::start_signed(Lock::Keys(&to), by, &mut rng(7)).unwrap();
    chunks::sealed(started, data)
}

fn unsigned(to: &Key, data: &[u8], seed: u8) -> Vec<u8> {
    let to = [recipient(to)];
    let started = Sealer::start(Lock::Keys(&to), &mut rng(seed)).unwrap();
    chunks::sealed(started, data)
}

fn read(stream: &[u8], key: &Key, signers: &[SigningPublic]) -> Result<Read, EnvelopeError> {
    let keys = [copy(key)];
    chunks::read(stream, |start| {
        Opener::start_signed(start, Unlock::Keys(&keys), signers)
    })
}

fn whole(
    stream: &[u8],
    key: &Key,
    signers: &[SigningPublic],
) -> Result<(Vec<u8>, Origin), EnvelopeError> {
    let (data, whole) = chunks::whole(read(stream, key, signers)?)?;
    Ok((data, whole.origin))
}

/// EV-20: any length, also where the signature finds no room in the last chunk.
#[test]
fn streams_say_who_made_them() {
    let (me, key) = (signer(1), aes(2));
    let around = |middle: usize| middle - 97..=middle + 1;
    let lengths = around(CHUNK).chain([0, 1, 2 * CHUNK - 96, 2 * CHUNK - 95, 3 * CHUNK]);
    for length in lengths {
        let stream = signed(&key, &me, &plain(length));
        let (data, origin) = whole(&stream, &key, &[signer(9).public(), me.public()]).unwrap();
        assert!(data == plain(length), "{length}");
        assert_eq!(origin, Origin::Signed(me.public()));
    }
    let stream = signed(&key, &me, &plain(CHUNK));
    let signer_name = me.public().thumbprint();
    let (data, origin) = whole(&stream, &key, &[]).unwrap();
    assert!(data == plain(CHUNK));
    assert_eq!(
        origin,
        Origin::Unchecked {
            signer: signer_name.clone()
        }
    );
    let other = whole(&stream, &key, &[signer(9).public()]).err();
    assert_eq!(other, Some(EnvelopeError::OtherSigner(signer_name)));
    let none = whole(&unsigned(&key, b"data", 7), &key, &[me.public()]).err();
    assert_eq!(none, Some(EnvelopeError::Unsigned));
}

#[test]
fn no_byte_of_a_signed_stream_can_be_changed() {
    let (me, key) = (signer(1), aes(2));
    let stream = signed(&key, &me, b"some data");
    let start = start_of(&stream);
    for at in (0..stream.len()).step_by(3).chain(start..stream.len()) {
        let mut bad = stream.clone();
        bad[at] ^= 1;
        assert!(whole(&bad, &key, &[me.public()]).is_err(), "{at}");
    }
    for length in start..stream.len() {
        assert!(whole(&stream[..length], &key, &[me.public()]).is_err());
    }
}

/// The cipher of a stream's chunks, by EV-13, as a recipient has it.
fn chunk_cipher(start: &[u8], key: &[u8]) -> LessSafeKey {
    let header = std::str::from_utf8(&start[PREFIX..]).unwrap();
    let (_, file_key) = taken_apart(header, key);
    let salt = sha256(start);
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt.as_bytes()).extract(&file_key);
    let mut chunk_key = [0; 32];
    prk.expand(&[b"lepton stream v1 chunks"], hkdf::HKDF_SHA256)
        .unwrap()
        .fill(&mut chunk_key)
        .unwrap();
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &chunk_key).unwrap())
}

fn only_chunk(cipher: &LessSafeKey, stream: &[u8]) -> Vec<u8> {
    let mut chunk = stream[start_of(stream)..].to_vec();
    let nonce = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let nonce = Nonce::assume_unique_for_key(nonce);
    let plain = cipher.open_in_place(nonce, Aad::empty(), &mut chunk);
    plain.unwrap().to_vec()
}

fn with_chunk(start: &[u8], cipher: &LessSafeKey, plain: &[u8]) -> Vec<u8> {
    let mut chunk = plain.to_vec();
    let nonce = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let nonce = Nonce::assume_unique_for_key(nonce);
    cipher
        .seal_in_place_append_tag(nonce, Aad::empty(), &mut chunk)
        .unwrap();
    [start, &chunk].concat()
}

/// EV-20: the same for streams; and the trailer is the document's: public key and signature behind the data.
#[test]
fn a_forwarded_stream_is_not_from_its_signer() {
    let (me, bob, carol) = (signer(1), aes(2), aes(3));
    let stream = signed(&bob, &me, b"some data");
    let start = &stream[..start_of(&stream)];
    let cipher = chunk_cipher(start, &kek(&bob));
    let plain = only_chunk(&cipher, &stream);
    assert_eq!(plain[..9], *b"some data");
    assert_eq!(plain.len(), 9 + 96);
    assert_eq!(plain[9..41], me.public().identity().to_bytes());
    let signers = [me.public()];
    let own = with_chunk(start, &cipher, &plain);
    assert!(whole(&own, &bob, &signers).is_ok(), "the frame is sound");
    // Bob's own header to Carol, in which he keeps the signature of his letter.
    let other = signed(&carol, &signer(5), b"some data");
    let other_start = &other[..start_of(&other)];
    let forged = with_chunk(
        other_start,
        &chunk_cipher(other_start, &kek(&carol)),
        &plain,
    );
    let refused = whole(&forged, &carol, &signers).err();
    assert_eq!(refused, Some(EnvelopeError::BadSignature));
    // Other data, or no signature at all, behind the right header.
    let mut changed = plain.clone();
    changed[0] ^= 1;
    for bad in [changed.as_slice(), &plain[..9], &plain[1..], b""] {
        let forged = with_chunk(start, &cipher, bad);
        let refused = whole(&forged, &bob, &signers).err();
        assert_eq!(refused, Some(EnvelopeError::BadSignature));
    }
}

/// What `key` reads, put behind a header for `to`, the chunks as they are.
fn rewrapped(stream: &[u8], key: &Key, to: &Key, seed: u8) -> Result<Vec<u8>, EnvelopeError> {
    let start = start_of(stream);
    let keys = [copy(key)];
    let mut opener = Opener::start_to_rewrap(&stream[..start], Unlock::Keys(&keys))?;
    let mut rest = &stream[start..];
    while rest.len() > SEALED {
        let (now, later) = rest.split_at(SEALED);
        opener.chunk(&mut now.to_vec())?;
        rest = later;
    }
    let body = opener.last_to_rewrap(&mut rest.to_vec())?;
    let to = [recipient(to)];
    let header = body.header(Lock::Keys(&to), &mut rng(seed)).unwrap();
    Ok([header, stream[start..].to_vec()].concat())
}

/// EV-21: the new recipients read what the old ones did, the old keys do not open the new header, and the chunks are untouched.
#[test]
fn another_header_is_for_others() {
    let (bob, carol, dora) = (aes(2), aes(3), aes(4));
    for length in [0, 9, CHUNK, 2 * CHUNK + 7] {
        let old = unsigned(&bob, &plain(length), 7);
        let new = rewrapped(&old, &bob, &carol, 8).unwrap();
        assert!(new.ends_with(&old[start_of(&old)..]), "chunks as they were");
        let (data, origin) = whole(&new, &carol, &[]).unwrap();
        assert!(data == plain(length));
        assert_eq!(origin, Origin::Unsigned);
        assert_eq!(
            whole(&new, &bob, &[]).err(),
            Some(EnvelopeError::DoesNotOpen)
        );
        let again = rewrapped(&new, &carol, &dora, 9).unwrap();
        assert!(whole(&again, &dora, &[]).unwrap().0 == plain(length));
    }
    let signed = signed(&bob, &signer(1), b"data");
    let refused = rewrapped(&signed, &bob, &carol, 8).err();
    assert!(matches!(refused, Some(EnvelopeError::Use(_))));
    let rewrapped = rewrapped(&unsigned(&bob, b"data", 7), &bob, &carol, 8).unwrap();
    let refused = whole(&rewrapped, &carol, &[signer(1).public()]).err();
    assert_eq!(refused, Some(EnvelopeError::Unsigned));
}

/// EV-21: a former recipient knows the chunks' key, and still puts nothing else behind the new header.
#[test]
fn a_removed_recipient_replaces_nothing() {
    let (bob, carol) = (aes(2), aes(3));
    let old = unsigned(&bob, b"some data", 7);
    let new = rewrapped(&old, &bob, &carol, 8).unwrap();
    let cipher = chunk_cipher(&old[..start_of(&old)], &kek(&bob));
    let start = &new[..start_of(&new)];
    let same = with_chunk(start, &cipher, b"some data");
    assert!(whole(&same, &carol, &[]).is_ok(), "the frame is sound");
    for other in [b"SOME DATA".as_slice(), b"some dat", b""] {
        let forged = with_chunk(start, &cipher, other);
        let refused = whole(&forged, &carol, &[]).err();
        assert_eq!(refused, Some(EnvelopeError::OtherContent));
        assert_eq!(
            rewrapped(&forged, &carol, &bob, 9).err(),
            Some(EnvelopeError::OtherContent)
        );
    }
    // Another stream's chunks are under another key.
    let strange = unsigned(&bob, b"some data", 77);
    let mixed = [start, &strange[start_of(&strange)..]].concat();
    assert_eq!(
        whole(&mixed, &carol, &[]).err(),
        Some(EnvelopeError::Chunk(0))
    );
    // The old header does not take the new one's place in name: it is what it was.
    assert!(whole(&old, &bob, &[]).is_ok());
}
