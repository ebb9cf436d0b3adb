//! Domain-separated hashing.

use core::fmt;

use aws_lc_rs::{constant_time, digest};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// A digest received or stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// SHA-256 (FIPS 180-4) over the domain and each part, every one preceded by its length as eight little-endian bytes: no two different lists
/// of parts hash the same input.
#[must_use]
pub fn hash(domain: &str, parts: &[&[u8]]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in core::iter::once(domain.as_bytes()).chain(parts.iter().copied()) {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    Digest(out)
}

/// Plain SHA-256 (FIPS 180-4), for digests that other tools check: files and job texts. Protocols use [`hash`].
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    Digest(out)
}

/// Whether two byte strings are equal, in time that depends on their lengths only.
#[must_use]
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_hex::hex32;

    /// FIPS 180-4 example "abc", and the empty message: the primitive below [`hash`].
    #[test]
    fn sha256_known_answers() {
        let sha = |m: &[u8]| digest::digest(&digest::SHA256, m).as_ref().to_vec();
        assert_eq!(
            sha(b"abc"),
            hex32("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
        assert_eq!(
            sha(b""),
            hex32("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        );
    }

    #[test]
    fn is_sha256_of_the_framed_parts() {
        let framed = b"\x01\0\0\0\0\0\0\0d\x02\0\0\0\0\0\0\0ab\0\0\0\0\0\0\0\0";
        assert_eq!(
            hash("d", &[b"ab", b""]).as_ref(),
            digest::digest(&digest::SHA256, framed).as_ref()
        );
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(hash("d", &[b"ab", b"c"]), hash("d", &[b"a", b"bc"]));
        assert_ne!(hash("d", &[b"ab"]), hash("da", &[b"b"]));
        assert_ne!(hash("d", &[]), hash("d", &[b""]));
    }

    #[test]
    fn constant_time_equality() {
        assert!(ct_eq(b"same", b"same"));
        assert!(!ct_eq(b"same", b"sane"));
        assert!(!ct_eq(b"same", b"sam"));
    }
}
