//! Data of any length in authenticated chunks (EV-13, EV-14). Bytes go in, bytes come out: whoever calls holds files and pipes, and one chunk in memory.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::EnvelopeError;
use super::header::{Enc, Purpose};
use super::jwe::{Lock, open, seal};
use super::recipient::Unlock;
use crate::{hkdf, sha256};

/// Bytes of plaintext in every chunk but the last.
pub const CHUNK: usize = 64 << 10;
/// Bytes that a chunk grows by.
pub const CHUNK_OVERHEAD: usize = 16;
/// What a stream begins with.
pub const MAGIC: &[u8; 16] = b"LEPTON STREAM 1\n";
/// Bytes before the header: [`MAGIC`] and the header's length.
pub const PREFIX: usize = MAGIC.len() + 4;
/// Most bytes of a header.
const MAX_HEADER: usize = 256 << 10;
/// Most chunks.
const MAX_CHUNKS: u64 = 1 << 32;

/// Seals chunk after chunk.
pub struct Sealer(Chunks);

/// Opens chunk after chunk.
pub struct Opener(Chunks);

/// Proof that a stream was opened to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// Chunks that it had.
    pub chunks: u64,
}

impl Sealer {
    /// A sealer with a fresh key, and what the stream begins with.
    ///
    /// # Errors
    /// Those of [`seal`].
    pub fn start(
        lock: Lock<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Vec<u8>), EnvelopeError> {
        let mut key = Zeroizing::new([0; 32]);
        rng.fill_bytes(key.as_mut());
        let header = seal(lock, Enc::A256Gcm, Purpose::Stream, key.as_ref(), rng)?;
        let length = u32::try_from(header.len())
            .ok()
            .filter(|_| header.len() <= MAX_HEADER)
            .ok_or(EnvelopeError::TooLong("the list of recipients"))?;
        let start = [MAGIC.as_slice(), &length.to_be_bytes(), header.as_bytes()].concat();
        let chunks = Chunks::new(&key, &start);
        Ok((Self(chunks), start))
    }

    /// Seals a chunk of [`CHUNK`] bytes in place, behind which another one follows; the tag goes behind it.
    ///
    /// # Errors
    /// [`EnvelopeError::Use`] for a chunk of another length, [`EnvelopeError::TooLong`] after 2^32 chunks.
    pub fn chunk(&mut self, chunk: &mut Vec<u8>) -> Result<(), EnvelopeError> {
        if chunk.len() != CHUNK {
            return Err(EnvelopeError::Use("every chunk but the last is full"));
        }
        self.0.seal(chunk, false)
    }

    /// Seals the last chunk.
    ///
    /// # Errors
    /// [`EnvelopeError::Use`] for a chunk that is longer than [`CHUNK`], or empty behind others.
    pub fn last(mut self, chunk: &mut Vec<u8>) -> Result<(), EnvelopeError> {
        if chunk.len() > CHUNK || (chunk.is_empty() && self.0.next > 0) {
            return Err(EnvelopeError::Use(
                "the last chunk is neither longer than a chunk nor empty behind others",
            ));
        }
        self.0.seal(chunk, true)
    }
}

impl Opener {
    /// How many bytes of header follow the [`PREFIX`] bytes that a stream begins with.
    ///
    /// # Errors
    /// [`EnvelopeError::Malformed`] when this is no stream.
    pub fn header_length(prefix: &[u8; PREFIX]) -> Result<usize, EnvelopeError> {
        let (magic, length) = prefix.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(EnvelopeError::Malformed(
                "it does not begin as a stream does",
            ));
        }
        let length = length
            .try_into()
            .map(u32::from_be_bytes)
            .unwrap_or(u32::MAX);
        usize::try_from(length)
            .ok()
            .filter(|length| *length <= MAX_HEADER)
            .ok_or(EnvelopeError::TooLong(
                "a stream's header of more than 256 KiB",
            ))
    }

    /// An opener, from prefix and header.
    ///
    /// # Errors
    /// Those of [`open`].
    pub fn start(start: &[u8], unlock: Unlock<'_>) -> Result<Self, EnvelopeError> {
        const BAD: EnvelopeError = EnvelopeError::Malformed("a stream's header is damaged");
        let prefix = start.first_chunk::<PREFIX>().ok_or(BAD)?;
        let header = start.get(PREFIX..).ok_or(BAD)?;
        if header.len() != Self::header_length(prefix)? {
            return Err(BAD);
        }
        let header = std::str::from_utf8(header).map_err(|_| BAD)?;
        let key = open(header, unlock, Purpose::Stream)?.plaintext;
        // EV-03: from unwrapping on there is one error.
        let key = key
            .as_slice()
            .try_into()
            .map_err(|_| EnvelopeError::DoesNotOpen)?;
        Ok(Self(Chunks::new(key, start)))
    }

    /// Opens in place a chunk behind which more bytes follow.
    ///
    /// # Errors
    /// [`EnvelopeError::Chunk`]; what the buffer then holds is not plaintext and is wiped.
    pub fn chunk(&mut self, chunk: &mut Vec<u8>) -> Result<(), EnvelopeError> {
        if chunk.len() != CHUNK + CHUNK_OVERHEAD {
            return Err(EnvelopeError::Chunk(self.0.next));
        }
        self.0.open(chunk, false)
    }

    /// Opens in place the chunk behind which nothing follows: only then is the stream whole.
    ///
    /// # Errors
    /// [`EnvelopeError::Chunk`].
    pub fn last(mut self, chunk: &mut Vec<u8>) -> Result<Whole, EnvelopeError> {
        let number = self.0.next;
        let empty = chunk.len() == CHUNK_OVERHEAD;
        if chunk.len() > CHUNK + CHUNK_OVERHEAD || (empty && number > 0) {
            return Err(EnvelopeError::Chunk(number));
        }
        self.0.open(chunk, true)?;
        Ok(Whole { chunks: number + 1 })
    }
}

struct Chunks {
    cipher: LessSafeKey,
    next: u64,
}

impl Chunks {
    /// The chunk key depends on every byte before the chunks.
    fn new(key: &[u8; 32], start: &[u8]) -> Self {
        let mut prk = Zeroizing::new([0; 32]);
        hkdf::extract(sha256(start).as_bytes(), key, &mut prk);
        let mut chunk_key = Zeroizing::new([0; 32]);
        hkdf::expand(&prk, &[b"lepton stream v1 chunks"], &mut chunk_key);
        let cipher = UnboundKey::new(&AES_256_GCM, chunk_key.as_ref())
            .expect("32 bytes are the length of an AES-256 key");
        Self {
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

    fn open(&mut self, chunk: &mut Vec<u8>, last: bool) -> Result<(), EnvelopeError> {
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
