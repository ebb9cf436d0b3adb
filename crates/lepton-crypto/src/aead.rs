//! Authenticated encryption under single-use keys.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::{CryptoError, Seed};

/// Bytes that sealing adds: the tag.
pub const SEAL_OVERHEAD: usize = 16;

/// Encrypts `plaintext` and authenticates it together with `aad`: AES-256-GCM (NIST SP 800-38D) under the zero nonce.
///
/// **The key must be single-use**: derived afresh for one message (one direction, one attempt) and dropped. A second message under the same key
/// repeats the nonce, which reveals both messages' difference and allows forgeries.
#[must_use]
pub fn seal(key: &Seed, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    seal_with_nonce(key, [0; 12], aad, plaintext)
}

/// Opens what [`seal`] made under the same key and `aad`; refuses anything else.
pub fn open(key: &Seed, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let plain = cipher(key)
        .open_in_place(nonce, Aad::from(aad), &mut buffer)
        .map_err(|_| CryptoError::BadSeal)?
        .len();
    buffer.truncate(plain);
    Ok(buffer)
}

fn seal_with_nonce(key: &Seed, nonce: [u8; 12], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(plaintext.len() + SEAL_OVERHEAD);
    buffer.extend_from_slice(plaintext);
    cipher(key)
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad),
            &mut buffer,
        )
        .expect("messages are far below the 64 GiB that AES-GCM takes");
    buffer
}

fn cipher(key: &Seed) -> LessSafeKey {
    LessSafeKey::new(
        UnboundKey::new(&AES_256_GCM, key.as_bytes())
            .expect("a seed has the length of an AES-256 key"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_hex::{hex, hex32};

    /// Test cases 13, 14 and 16 of the GCM submission to NIST (McGrew and Viega).
    #[test]
    fn gcm_known_answers() {
        let zero = Seed::from_bytes([0; 32]);
        assert_eq!(
            seal(&zero, b"", b""),
            hex("530f8afbc74536b9a963b4f1c4cb738b")
        );
        assert_eq!(
            seal(&zero, b"", &[0; 16]),
            hex("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
        );
        let sealed = seal_with_nonce(
            &Seed::from_bytes(hex32(
                "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            )),
            hex("cafebabefacedbaddecaf888").try_into().unwrap(),
            &hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
            &hex(
                "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            ),
        );
        let expected = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b";
        assert_eq!(sealed, hex(expected));
    }

    #[test]
    fn opens_only_what_was_sealed() {
        let (key, other) = (Seed::from_bytes([1; 32]), Seed::from_bytes([2; 32]));
        let sealed = seal(&key, b"context", b"plaintext");
        assert_eq!(
            open(&key, b"context", &sealed).unwrap().as_slice(),
            b"plaintext"
        );
        assert!(open(&other, b"context", &sealed).is_err());
        assert!(open(&key, b"contexu", &sealed).is_err());
        assert!(open(&key, b"context", &sealed[1..]).is_err());
        assert!(open(&key, b"context", &[]).is_err());
        for i in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[i] ^= 0x80;
            assert_eq!(open(&key, b"context", &bad), Err(CryptoError::BadSeal));
        }
    }
}
