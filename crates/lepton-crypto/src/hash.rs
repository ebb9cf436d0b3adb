//! Domain-separated hashing.

use core::fmt;

use aws_lc_rs::{constant_time, digest};

/// A digest of 32 bytes: of SHA-256, or of BLAKE3 where [`long_hash`] made it. It does not say which: whoever compares two has fixed the function and the
/// domain for that place.
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

impl Digest {
    pub(crate) fn of(context: digest::Context) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        Self(out)
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
    frame(domain.as_bytes(), parts, |bytes| context.update(bytes));
    Digest::of(context)
}

/// BLAKE3 (O'Connor, Aumasson, Neves and Wilcox-O'Hearn 2020) in its mode for deriving keys, over the parts, every one preceded by its length as eight little-endian bytes.
///
/// For megabytes, of which SHA-256 hashes some two gigabytes a second and this several times as many. The context must be a constant that names
/// product, purpose and version, and serves no other purpose; contexts are separated from each other by the function itself.
#[must_use]
pub fn long_hash(context: &'static str, parts: &[&[u8]]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    Digest(*hasher.finalize().as_bytes())
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

/// Absorbs the domain and the parts, each behind its length, and says how many bytes that was.
pub(crate) fn frame(domain: &[u8], parts: &[&[u8]], mut absorb: impl FnMut(&[u8])) -> usize {
    let mut absorbed = 0;
    for part in core::iter::once(domain).chain(parts.iter().copied()) {
        let len = (part.len() as u64).to_le_bytes();
        absorb(&len);
        absorb(part);
        absorbed += len.len() + part.len();
    }
    absorbed
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

    /// The derive-key column of the official `test_vectors.json` (BLAKE3-team/BLAKE3), cut to the default length: the primitive below [`long_hash`].
    #[test]
    fn blake3_known_answers() {
        let cases = [
            (
                0,
                "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d",
            ),
            (
                1,
                "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c",
            ),
            (
                1023,
                "74a16c1c3d44368a86e1ca6df64be6a2f64cce8f09220787450722d85725dea5",
            ),
            (
                1025,
                "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb",
            ),
            (
                7169,
                "554b0a5efea9ef183f2f9b931b7497995d9eb26f5c5c6dad2b97d62fc5ac31d9",
            ),
        ];
        let input: Vec<u8> = (0..=250).cycle().take(8000).collect();
        for (len, expected) in cases {
            let context = "BLAKE3 2019-12-27 16:29:52 test vectors context";
            let derived = blake3::derive_key(context, &input[..len]);
            assert_eq!(derived, hex32(expected), "{len}");
        }
    }

    #[test]
    fn long_hash_is_blake3_of_the_framed_parts() {
        let framed = b"\x02\0\0\0\0\0\0\0ab\0\0\0\0\0\0\0\0";
        let digest = long_hash("lepton test v1", &[b"ab", b""]);
        assert_eq!(
            digest.as_ref(),
            blake3::derive_key("lepton test v1", framed)
        );
        assert_ne!(digest, long_hash("lepton test v2", &[b"ab", b""]));
        assert_ne!(digest, long_hash("lepton test v1", &[b"ab"]));
        assert_ne!(digest, long_hash("lepton test v1", &[b"a", b"b"]));
    }

    #[test]
    fn constant_time_equality() {
        assert!(ct_eq(b"same", b"same"));
        assert!(!ct_eq(b"same", b"sane"));
        assert!(!ct_eq(b"same", b"sam"));
    }
}
