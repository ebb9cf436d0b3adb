//! Hashes that share their beginning.

use aws_lc_rs::digest::{Context, SHA256};

use crate::hash::{Digest, frame};

/// Bytes that one compression of SHA-256 takes.
const BLOCK: usize = 64;

/// What no input of [`hash`](crate::hash()) begins with: it begins with the length of a domain, and no length is 2^64 − 1.
const MARK: [u8; 8] = [0xff; 8];

/// SHA-256 (FIPS 180-4) stopped after a domain and parts, to be finished many times with different tails: one compression for a tail of at
/// most 55 bytes.
///
/// The input is: eight bytes 0xff; the number of parts; the domain and each part, every one preceded by its length (numbers are eight little-endian
/// bytes); zeros up to a multiple of 64 bytes; the tail. From such an input domain, parts and tail can be read off again, so no two different triples
/// hash the same input, and none hashes an input of [`hash`](crate::hash()), which cannot begin with 0xff eight times.
///
/// The stopped state is not wiped: secrets belong in the tail.
#[derive(Clone)]
pub struct HashPrefix(Context);

impl HashPrefix {
    /// Absorbs the domain and the parts.
    #[must_use]
    pub fn new(domain: &str, parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        let head = [MARK, (parts.len() as u64).to_le_bytes()].concat();
        context.update(&head);
        let framed = frame(domain.as_bytes(), parts, |bytes| context.update(bytes));
        let absorbed = head.len() + framed;
        context.update(&vec![0; absorbed.next_multiple_of(BLOCK) - absorbed]);
        Self(context)
    }

    /// The digest of what was absorbed followed by `tail`.
    #[must_use]
    pub fn finish(&self, tail: &[u8]) -> Digest {
        let mut context = self.0.clone();
        context.update(tail);
        Digest::of(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hash, sha256};

    fn explicit(domain: &str, parts: &[&[u8]], tail: &[u8]) -> Vec<u8> {
        let number = |n: usize| n.to_le_bytes().to_vec();
        let mut input = [vec![0xff; 8], number(parts.len())].concat();
        for part in [&[domain.as_bytes()], parts].concat() {
            input.extend(number(part.len()));
            input.extend(part);
        }
        while !input.len().is_multiple_of(64) {
            input.push(0);
        }
        input.extend(tail);
        input
    }

    /// Prefixes that end before, at and behind the end of a block; tails of up to three blocks. The same state is finished again and again.
    #[test]
    fn is_sha256_of_the_explicit_concatenation() {
        for len in 0..140 {
            let part = vec![7; len];
            for parts in [vec![], vec![part.as_slice()], vec![&part, b"x", b""]] {
                let prefix = HashPrefix::new("domain", &parts);
                for tail in [0, 1, 36, 55, 56, 64, 150].map(|n| vec![9; n]) {
                    let input = explicit("domain", &parts, &tail);
                    assert_eq!(prefix.finish(&tail), sha256(&input), "{len} {tail:?}");
                }
            }
        }
    }

    #[test]
    fn the_prefix_is_a_whole_number_of_blocks_and_no_more() {
        // 16 bytes of head, two lengths of 8, a domain of one byte: 33 bytes, so parts of 31 bytes fill a block exactly.
        assert_eq!(explicit("d", &[&[1; 31]], b"").len(), 64);
        assert_eq!(explicit("d", &[&[1; 32]], b"").len(), 128);
    }

    #[test]
    fn parts_and_tail_do_not_run_together() {
        let digest = |domain: &str, parts: &[&[u8]], tail: &[u8]| {
            HashPrefix::new(domain, parts).finish(tail)
        };
        let all = [
            digest("d", &[b"ab"], b"c"),
            digest("d", &[b"a"], b"bc"),
            digest("d", &[b"a", b"b"], b"c"),
            digest("d", &[b"ab", b""], b"c"),
            digest("da", &[b"b"], b"c"),
            digest("d", &[b"ab\0"], b"c"),
            digest("d", &[b"ab"], b"\0c"),
            hash("d", &[b"ab", b"c"]),
            hash("d", &[b"abc"]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b), "{i}");
        }
    }
}
