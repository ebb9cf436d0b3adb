//! Streams.

use lepton_crypto::envelope::{
    CHUNK, Cost, EnvelopeError, Key, KeyKind, Lock, Opener, PREFIX, Passphrase, Purpose, Sealer,
    Unlock, Whole, open,
};

use crate::chunks::{self, SEALED, plain, start_of};
use crate::{recipient, rng};

fn key() -> Key {
    Key::generate(KeyKind::Aes256, &mut rng(1)).unwrap()
}

/// A stream as it stands in a file.
fn sealed(plain: &[u8], seed: u8) -> Vec<u8> {
    let to = [recipient(&key())];
    chunks::sealed(
        Sealer::start(Lock::Keys(&to), &mut rng(seed)).unwrap(),
        plain,
    )
}

/// What a reader of a file gets.
fn opened(stream: &[u8]) -> Result<(Vec<u8>, Whole), EnvelopeError> {
    let read = chunks::read(stream, |start| Opener::start(start, Unlock::Keys(&[key()])))?;
    chunks::whole(read)
}

#[test]
fn any_length_comes_back() {
    let lengths = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 77];
    for length in lengths {
        let (back, whole) = opened(&sealed(&plain(length), 2)).unwrap();
        assert!(back == plain(length), "{length}");
        assert_eq!(whole.chunks, length.div_ceil(CHUNK).max(1) as u64);
    }
}

/// EV-13: chunk key and nonces as the document has them, by other means.
#[test]
fn the_format_is_the_documents() {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    use aws_lc_rs::{digest, hkdf};
    let stream = sealed(&plain(CHUNK + 5), 2);
    let start = start_of(&stream);
    // The header alone cannot be opened as a value; a file key is its whole plaintext.
    let header = std::str::from_utf8(&stream[PREFIX..start]).unwrap();
    assert!(open(header, Unlock::Keys(&[key()]), Purpose::Value).is_err());
    let file_key = open(header, Unlock::Keys(&[key()]), Purpose::Stream)
        .unwrap()
        .plaintext;
    assert_eq!(file_key.len(), 32);
    let salt = digest::digest(&digest::SHA256, &stream[..start]);
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt.as_ref()).extract(&file_key);
    let mut chunk_key = [0; 32];
    let okm = prk
        .expand(&[b"lepton stream v1 chunks"], hkdf::HKDF_SHA256)
        .unwrap();
    okm.fill(&mut chunk_key).unwrap();
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &chunk_key).unwrap());
    let mut last = stream[start + SEALED..].to_vec();
    let nonce = Nonce::assume_unique_for_key([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
    let last = cipher
        .open_in_place(nonce, Aad::empty(), &mut last)
        .unwrap();
    assert_eq!(last, &plain(CHUNK + 5)[CHUNK..]);
}

#[test]
fn no_byte_of_a_small_stream_can_be_changed() {
    let stream = sealed(b"a small value", 2);
    for i in 0..stream.len() {
        for bit in [1, 0x20, 0x80] {
            let mut bad = stream.clone();
            bad[i] ^= bit;
            assert!(opened(&bad).is_err(), "byte {i}");
        }
    }
}

#[test]
fn no_stream_can_be_cut_or_extended() {
    let stream = sealed(b"a small value", 2);
    for i in 0..stream.len() {
        assert!(opened(&stream[..i]).is_err(), "cut at {i}");
    }
    let long = sealed(&plain(2 * CHUNK + 100), 2);
    let start = start_of(&long);
    for cut in [
        start + 1,
        start + SEALED - 1,
        start + SEALED,
        start + SEALED + 1,
        start + 2 * SEALED,
        long.len() - 1,
    ] {
        assert!(opened(&long[..cut]).is_err(), "cut at {cut}");
    }
    for stream in [&stream, &long, &sealed(&plain(CHUNK), 2), &sealed(b"", 2)] {
        for more in [
            vec![0],
            vec![0; 16],
            vec![0; SEALED],
            stream[start_of(stream)..].to_vec(),
        ] {
            assert!(
                opened(&[stream.as_slice(), &more].concat()).is_err(),
                "{} behind",
                more.len()
            );
        }
    }
    // An empty last chunk, validly sealed, behind a full one is not what any writer makes.
    let (mut sealer, _) = Sealer::start(Lock::Keys(&[recipient(&key())]), &mut rng(2)).unwrap();
    sealer.chunk(&mut plain(CHUNK)).unwrap();
    assert!(sealer.last(&mut Vec::new()).is_err());
}

#[test]
fn chunks_stay_in_their_place() {
    let long = sealed(&plain(3 * CHUNK + 100), 2);
    let start = start_of(&long);
    let (head, body) = long.split_at(start);
    let chunks: Vec<&[u8]> = body.chunks(SEALED).collect();
    let with = |order: &[usize]| {
        let body: Vec<u8> = order.iter().flat_map(|i| chunks[*i]).copied().collect();
        opened(&[head, body.as_slice()].concat())
    };
    assert!(with(&[0, 1, 2, 3]).is_ok());
    for order in [
        [1, 0, 2, 3].as_slice(),
        &[0, 2, 1, 3],
        &[0, 0, 1, 2, 3],
        &[1, 2, 3],
        &[0, 1, 3],
        &[0, 1, 2],
        &[3],
        &[0, 1, 2, 3, 3],
        &[3, 1, 2, 0],
    ] {
        assert!(with(order).is_err(), "{order:?}");
    }
}

/// EV-13: headers and chunks of two files of the same key do not mix; nor does a header that opens to the same file key with other bytes.
#[test]
fn headers_are_bound() {
    let (a, b) = (sealed(&plain(CHUNK + 9), 2), sealed(&plain(CHUNK + 9), 3));
    let (start_a, start_b) = (start_of(&a), start_of(&b));
    assert!(opened(&[&a[..start_a], &b[start_b..]].concat()).is_err());
    assert!(opened(&[&b[..start_b], &a[start_a..]].concat()).is_err());
    let crossed = [&a[..start_a + SEALED], &b[start_b + SEALED..]].concat();
    assert!(matches!(opened(&crossed), Err(EnvelopeError::Chunk(1))));
    // White space behind the header leaves the JWE as it is: it opens, the chunks do not.
    let mut header = a[PREFIX..start_a].to_vec();
    header.push(b'\n');
    let length = u32::try_from(header.len()).unwrap().to_be_bytes();
    let spaced = [&a[..16], &length, &header, &a[start_a..]].concat();
    assert_eq!(opened(&spaced), Err(EnvelopeError::Chunk(0)));
}

#[test]
fn wrong_keys_and_passphrases_open_no_stream() {
    let stream = sealed(b"value", 2);
    let header = &stream[..start_of(&stream)];
    let other = [Key::generate(KeyKind::Aes256, &mut rng(9)).unwrap()];
    assert_eq!(
        Opener::start(header, Unlock::Keys(&other)).err(),
        Some(EnvelopeError::DoesNotOpen)
    );
    let (good, bad) = (
        Passphrase::new(b"right").unwrap(),
        Passphrase::new(b"wrong").unwrap(),
    );
    let cost = Cost::Argon2id {
        memory: 64,
        passes: 1,
        lanes: 1,
    };
    let (_, start) = Sealer::start(Lock::Passphrase(&good, cost), &mut rng(2)).unwrap();
    assert!(Opener::start(&start, Unlock::Passphrase(&good)).is_ok());
    assert_eq!(
        Opener::start(&start, Unlock::Passphrase(&bad)).err(),
        Some(EnvelopeError::DoesNotOpen)
    );
}

#[test]
fn a_failed_chunk_leaves_nothing_in_the_buffer() {
    let stream = sealed(b"value", 2);
    let start = start_of(&stream);
    let opener = Opener::start(&stream[..start], Unlock::Keys(&[key()])).unwrap();
    let mut chunk = stream[start..].to_vec();
    chunk[0] ^= 1;
    assert!(opener.last(&mut chunk).is_err());
    assert!(chunk.is_empty());
}
