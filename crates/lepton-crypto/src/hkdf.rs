//! HKDF-SHA256 (RFC 5869), for outputs of one block.

use aws_lc_rs::hmac::{self, Context, HMAC_SHA256, Key};

/// HKDF-Extract (RFC 5869 §2.2) written into a pseudorandom key.
pub(crate) fn extract(salt: &[u8], secret: &[u8], out: &mut [u8; 32]) {
    out.copy_from_slice(hmac::sign(&Key::new(HMAC_SHA256, salt), secret).as_ref());
}

/// The first block of HKDF-Expand (RFC 5869 §2.3), which is all of it for 32 bytes of output; `info` is the concatenation of the parts.
pub(crate) fn expand(prk: &[u8; 32], info: &[&[u8]], out: &mut [u8; 32]) {
    let mut context = Context::with_key(&Key::new(HMAC_SHA256, prk));
    info.iter().for_each(|part| context.update(part));
    context.update(&[1]);
    out.copy_from_slice(context.sign().as_ref());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_hex::{hex, hex32};

    /// RFC 5869 appendix A.1 and A.3 (the first 32 of 42 bytes, which are the first block).
    #[test]
    fn rfc_5869() {
        let (mut prk, mut okm) = ([0; 32], [0; 32]);
        extract(&hex("000102030405060708090a0b0c"), &[0x0b; 22], &mut prk);
        assert_eq!(
            prk,
            hex32("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5")
        );
        expand(&prk, &[&hex("f0f1f2f3f4"), &hex("f5f6f7f8f9")], &mut okm);
        assert_eq!(
            okm,
            hex32("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf")
        );

        extract(&[], &[0x0b; 22], &mut prk);
        assert_eq!(
            prk,
            hex32("19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04")
        );
        expand(&prk, &[], &mut okm);
        assert_eq!(
            okm,
            hex32("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d")
        );
    }
}
