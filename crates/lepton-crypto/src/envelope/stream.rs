//! Data of any length in authenticated chunks (EV-13, EV-14, EV-20). Bytes go in, bytes come out: whoever calls holds files and pipes, and one chunk in memory.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::EnvelopeError;
use super::header::{Content, Enc};
use super::jwe::{Lock, seal_content};
use super::signing::{SigningKey, TRAILER, trailer};
use crate::{Digest, hkdf, sha256};

/// Bytes of plaintext in every chunk but the last.
pub const CHUNK: usize = 64 << 10;
/// Bytes that a chunk grows by.
pub const CHUNK_OVERHEAD: usize = 16;
/// Bytes that the last chunk of a stream grows by at most: a signature, and the tags of two chunks.
pub const LAST_OVERHEAD: usize = TRAILER + 2 * CHUNK_OVERHEAD;
/// What a stream begins with.
pub const MAGIC: &[u8; 16] = b"LEPTON STREAM 1\n";
/// Bytes before the header: [`MAGIC`] and the header's length.
pub const PREFIX: usize = MAGIC.len() + 4;
/// Most bytes of a header.
pub(super) const MAX_HEADER: usize = 256 << 10;
/// Most chunks.
const MAX_CHUNKS: u64 = 1 << 32;

/// Seals chunk after chunk.
pub struct Sealer<'a> {
    chunks: Chunks,
    signing: Option<Signing<'a>>,
}

/// What a signature will cover.
struct Signing<'a> {
    key: &'a SigningKey,
    start: Digest,
    content: DataHash,
}

impl<'a> Sealer<'a> {
    /// A sealer with a fresh key, and what the stream begins with.
    ///
    /// # Errors
    /// Those of [`seal`](super::seal).
    pub fn start(
        lock: Lock<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Vec<u8>), EnvelopeError> {
        let (chunks, start) = fresh(lock, Content::Stream, rng)?;
        let signing = None;
        Ok((Self { chunks, signing }, start))
    }

    /// The same for a stream that ends with a signature over its data, its header and its recipients (EV-20).
    ///
    /// # Errors
    /// Those of [`seal`](super::seal).
    pub fn start_signed(
        lock: Lock<'_>,
        key: &'a SigningKey,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Vec<u8>), EnvelopeError> {
        let (chunks, start) = fresh(lock, Content::SignedStream, rng)?;
        let signing = Some(Signing {
            key,
            start: sha256(&start),
            content: DataHash::new(),
        });
        Ok((Self { chunks, signing }, start))
    }

    /// Seals a chunk of [`CHUNK`] bytes in place, behind which another one follows; the tag goes behind it.
    ///
    /// # Errors
    /// [`EnvelopeError::Use`] for a chunk of another length, [`EnvelopeError::TooLong`] after 2^32 chunks.
    pub fn chunk(&mut self, chunk: &mut Vec<u8>) -> Result<(), EnvelopeError> {
        if chunk.len() != CHUNK {
            return Err(EnvelopeError::Use("every chunk but the last is full"));
        }
        if let Some(signing) = &mut self.signing {
            signing.content.update(chunk);
        }
        self.chunks.seal(chunk, false)
    }

    /// Seals the last chunk; behind it goes the signature, if there is one, in a chunk of its own where it finds no room. The buffer should have room for
    /// [`LAST_OVERHEAD`] more bytes, so that growing leaves no copy behind.
    ///
    /// # Errors
    /// [`EnvelopeError::Use`] for a chunk that is longer than [`CHUNK`], or empty behind others.
    pub fn last(mut self, chunk: &mut Vec<u8>) -> Result<(), EnvelopeError> {
        if chunk.len() > CHUNK || (chunk.is_empty() && self.chunks.next > 0) {
            return Err(EnvelopeError::Use(
                "the last chunk is neither longer than a chunk nor empty behind others",
            ));
        }
        let Some(mut signing) = self.signing.take() else {
            return self.chunks.seal(chunk, true);
        };
        signing.content.update(chunk);
        chunk.extend(trailer(
            signing.key,
            signing.start,
            signing.content.finish(),
        ));
        let mut rest = chunk.split_off(chunk.len().min(CHUNK));
        if rest.is_empty() {
            return self.chunks.seal(chunk, true);
        }
        self.chunks.seal(chunk, false)?;
        self.chunks.seal(&mut rest, true)?;
        chunk.append(&mut rest);
        Ok(())
    }
}

/// A fresh file key behind a header.
fn fresh(
    lock: Lock<'_>,
    content: Content,
    rng: &mut impl CryptoRng,
) -> Result<(Chunks, Vec<u8>), EnvelopeError> {
    let mut key = Zeroizing::new([0; 32]);
    rng.fill_bytes(key.as_mut());
    let start = header(lock, content, key.as_ref(), rng)?;
    let chunks = Chunks::derived(&key, &start);
    Ok((chunks, start))
}

/// What stands before the chunks.
pub(super) fn header(
    lock: Lock<'_>,
    content: Content,
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, EnvelopeError> {
    let header = seal_content(lock, Enc::A256Gcm, content, plaintext, rng)?;
    let length = u32::try_from(header.len())
        .ok()
        .filter(|_| header.len() <= MAX_HEADER)
        .ok_or(EnvelopeError::TooLong("the list of recipients"))?;
    Ok([MAGIC.as_slice(), &length.to_be_bytes(), header.as_bytes()].concat())
}

/// The hash of all data of a stream: BLAKE3 in its mode for deriving keys.
#[derive(Clone)]
pub(super) struct DataHash(blake3::Hasher);

impl DataHash {
    pub(super) fn new() -> Self {
        Self(blake3::Hasher::new_derive_key(
            "lepton envelope v1 stream content",
        ))
    }

    pub(super) fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    pub(super) fn finish(self) -> Digest {
        Digest::from_bytes(*self.0.finalize().as_bytes())
    }
}

pub(super) struct Chunks {
    pub(super) key: Zeroizing<[u8; 32]>,
    cipher: LessSafeKey,
    pub(super) next: u64,
}

impl Chunks {
    /// The chunk key depends on every byte before the chunks.
    pub(super) fn derived(key: &[u8; 32], start: &[u8]) -> Self {
        let mut prk = Zeroizing::new([0; 32]);
        hkdf::extract(sha256(start).as_bytes(), key, &mut prk);
        let mut chunk_key = Zeroizing::new([0; 32]);
        hkdf::expand(&prk, &[b"lepton stream v1 chunks"], &mut chunk_key);
        Self::new(chunk_key)
    }

    pub(super) fn new(key: Zeroizing<[u8; 32]>) -> Self {
        let cipher = UnboundKey::new(&AES_256_GCM, key.as_ref())
            .expect("32 bytes are the length of an AES-256 key");
        Self {
            key,
            cipher: LessSafeKey::new(cipher),
            next: 0,
        }
    }

    fn nonce(&mut self, last: bool) -> Result<Nonce, EnvelopeError> {
        if self.next >= MAX_CHUNKS {
            return Err(EnvelopeError::TooLong("a stream of more than 2^32 chunks"));
        }
        let mut nonce = [0; 12];
        let number = self.next.to_be_bytes();
        nonce
            .iter_mut()
            .skip(3)
            .zip(number)
            .for_each(|(to, from)| *to = from);
        if let Some(flag) = nonce.last_mut() {
            *flag = u8::from(last);
        }
        self.next += 1;
        Ok(Nonce::assume_unique_for_key(nonce))
    }

    fn seal(&mut self, chunk: &mut Vec<u8>, last: bool) -> Result<(), EnvelopeError> {
        let nonce = self.nonce(last)?;
        self.cipher
            .seal_in_place_append_tag(nonce, Aad::empty(), chunk)
            .map_err(|_| EnvelopeError::TooLong("a chunk"))
    }

    pub(super) fn open(&mut self, chunk: &mut Vec<u8>, last: bool) -> Result<(), EnvelopeError> {
        let number = self.next;
        let nonce = self.nonce(last)?;
        match self.cipher.open_in_place(nonce, Aad::empty(), chunk) {
            Ok(plaintext) => {
                let length = plaintext.len();
                chunk.truncate(length);
                Ok(())
            }
            Err(_) => {
                chunk.fill(0);
                chunk.clear();
                Err(EnvelopeError::Chunk(number))
            }
        }
    }
}
