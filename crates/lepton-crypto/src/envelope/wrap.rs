//! AES key wrap (RFC 3394).

use aes_kw::{KeyInit, KwAes128, KwAes192, KwAes256};
use zeroize::Zeroizing;

use super::EnvelopeError;

/// Wraps a content key, whose length is a multiple of 8, under a key of 16, 24 or 32 bytes.
pub(super) fn wrap(kek: &[u8], key: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    let mut out = vec![0; key.len() + 8];
    let done = match kek.len() {
        16 => cipher::<KwAes128>(kek)?.wrap_key(key, &mut out).is_ok(),
        24 => cipher::<KwAes192>(kek)?.wrap_key(key, &mut out).is_ok(),
        _ => cipher::<KwAes256>(kek)?.wrap_key(key, &mut out).is_ok(),
    };
    if done {
        Ok(out)
    } else {
        Err(EnvelopeError::Internal(
            "a content key has no length for key wrap",
        ))
    }
}

/// Unwraps; refuses whatever was not wrapped under this key.
pub(super) fn unwrap(kek: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    // Shorter inputs are outside RFC 3394; longer ones are no content key.
    if wrapped.len() < 24 || wrapped.len() > 72 {
        return Err(EnvelopeError::DoesNotOpen);
    }
    let mut out = Zeroizing::new(vec![0; wrapped.len() - 8]);
    let done = match kek.len() {
        16 => cipher::<KwAes128>(kek)?
            .unwrap_key(wrapped, &mut out)
            .is_ok(),
        24 => cipher::<KwAes192>(kek)?
            .unwrap_key(wrapped, &mut out)
            .is_ok(),
        _ => cipher::<KwAes256>(kek)?
            .unwrap_key(wrapped, &mut out)
            .is_ok(),
    };
    if done {
        Ok(out)
    } else {
        Err(EnvelopeError::DoesNotOpen)
    }
}

fn cipher<C: KeyInit>(kek: &[u8]) -> Result<C, EnvelopeError> {
    C::new_from_slice(kek).map_err(|_| EnvelopeError::Key("an AES key has 16, 24 or 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_hex::hex;

    /// RFC 3394 §4.1 to §4.6.
    #[test]
    fn rfc_3394() {
        let kek = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";
        let key = "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F";
        let cases = [
            (16, 16, "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"),
            (24, 16, "96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"),
            (32, 16, "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7"),
            (
                24,
                24,
                "031D33264E15D33268F24EC260743EDCE1C6C7DDEE725A936BA814915C6762D2",
            ),
            (
                32,
                24,
                "A8F9BC1612C68B3FF6E6F4FBE30E71E4769C8B80A32CB8958CD5D17D6B254DA1",
            ),
            (
                32,
                32,
                "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21",
            ),
        ];
        for (bits, size, expected) in cases {
            let (kek, key) = (hex(&kek[..2 * bits]), hex(&key[..2 * size]));
            let wrapped = wrap(&kek, &key).unwrap();
            assert_eq!(wrapped, hex(expected));
            assert_eq!(*unwrap(&kek, &wrapped).unwrap(), key);
            for i in 0..wrapped.len() {
                let mut bad = wrapped.clone();
                bad[i] ^= 1;
                assert_eq!(unwrap(&kek, &bad), Err(EnvelopeError::DoesNotOpen));
            }
            assert!(unwrap(&kek, &wrapped[..wrapped.len() - 8]).is_err());
            assert!(unwrap(&kek, &wrapped[..wrapped.len() - 1]).is_err());
        }
        assert!(unwrap(&hex(&kek[..32]), &[]).is_err());
        assert!(wrap(&[0; 15], &[0; 16]).is_err());
    }
}
