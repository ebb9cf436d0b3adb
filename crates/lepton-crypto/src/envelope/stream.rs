//! Data of any length in authenticated chunks (EV-13, EV-14, EV-20, EV-21). Bytes go in, bytes come out: whoever calls holds files and pipes, and one chunk in memory.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::EnvelopeError;
use super::header::{Content, Enc, Purpose};
use super::jwe::{Lock, open_content, seal_content};
use super::recipient::Unlock;
use super::signing::{Origin, SigningKey, SigningPublic, TRAILER, check_trailer, trailer};
use crate::{Digest, ct_eq, hkdf, sha256};

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
const MAX_HEADER: usize = 256 << 10;
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
    content: Content256,
}

/// Opens chunk after chunk.
pub struct Opener {
    chunks: Chunks,
    end: End,
    /// The data so far, where the end of the stream says something about all of them.
    content: Option<Content256>,
}

/// What is looked at when a stream ends.
enum End {
    /// Nothing more.
    Plain,
    /// The signature behind the data.
    Signed {
        start: Digest,
        signers: Vec<SigningPublic>,
        /// The last bytes that were opened, which may be the signature.
        held: Zeroizing<Vec<u8>>,
    },
    /// That the data are those of the header.
    Rewrapped(Digest),
}

/// Proof that a stream was opened to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Chunks that it had.
    pub chunks: u64,
    /// Who made it, as far as that was checked.
    pub origin: Origin,
}

/// What opens the chunks of a stream that was read to its end, to be put behind another header (EV-21).
pub struct Body {
    key: Zeroizing<[u8; 32]>,
    content: Digest,
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
            content: Content256::new(),
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
fn header(
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

    /// An opener, from prefix and header. A signature is not checked, and said to be there.
    ///
    /// # Errors
    /// Those of [`open`](super::open).
    pub fn start(start: &[u8], unlock: Unlock<'_>) -> Result<Self, EnvelopeError> {
        Self::start_signed(start, unlock, &[])
    }

    /// An opener of a stream that one of `signers` must have signed; with none given, as [`Opener::start`].
    ///
    /// # Errors
    /// Those of [`open`](super::open); [`EnvelopeError::Unsigned`].
    pub fn start_signed(
        start: &[u8],
        unlock: Unlock<'_>,
        signers: &[SigningPublic],
    ) -> Result<Self, EnvelopeError> {
        let (plaintext, content) = open_start(start, unlock)?;
        if content != Content::SignedStream && !signers.is_empty() {
            return Err(EnvelopeError::Unsigned);
        }
        // EV-03: from unwrapping on there is one error.
        const FAILED: EnvelopeError = EnvelopeError::DoesNotOpen;
        let (key, rest) = plaintext.split_first_chunk().ok_or(FAILED)?;
        match content {
            Content::RewrappedStream => Ok(Self {
                chunks: Chunks::new(Zeroizing::new(*key)),
                end: End::Rewrapped(Digest::from_bytes(rest.try_into().map_err(|_| FAILED)?)),
                content: Some(Content256::new()),
            }),
            _ if !rest.is_empty() => Err(FAILED),
            Content::SignedStream => Ok(Self {
                chunks: Chunks::derived(key, start),
                end: End::Signed {
                    start: sha256(start),
                    signers: signers.to_vec(),
                    held: Zeroizing::default(),
                },
                content: Some(Content256::new()),
            }),
            _ => Ok(Self {
                chunks: Chunks::derived(key, start),
                end: End::Plain,
                content: None,
            }),
        }
    }

    /// An opener that ends in a [`Body`], by [`Opener::last_to_rewrap`].
    ///
    /// # Errors
    /// Those of [`Opener::start`]; [`EnvelopeError::Use`] for a signed stream.
    pub fn start_to_rewrap(start: &[u8], unlock: Unlock<'_>) -> Result<Self, EnvelopeError> {
        let mut opener = Self::start(start, unlock)?;
        if matches!(opener.end, End::Signed { .. }) {
            return Err(SIGNED);
        }
        opener.content = Some(Content256::new());
        Ok(opener)
    }

    /// Opens in place a chunk behind which more bytes follow. Of a signed stream the last 96 bytes are held back, and come with the next chunk.
    ///
    /// # Errors
    /// [`EnvelopeError::Chunk`]; what the buffer then holds is not plaintext and is wiped.
    pub fn chunk(&mut self, chunk: &mut Vec<u8>) -> Result<(), EnvelopeError> {
        if chunk.len() != CHUNK + CHUNK_OVERHEAD {
            return Err(EnvelopeError::Chunk(self.chunks.next));
        }
        self.chunks.open(chunk, false)?;
        if let End::Signed { held, .. } = &mut self.end {
            hold_back(held, chunk);
        }
        if let Some(content) = &mut self.content {
            content.update(chunk);
        }
        Ok(())
    }

    /// Opens in place the chunk behind which nothing follows: only then is the stream whole, and what is asked of its signer known.
    ///
    /// # Errors
    /// [`EnvelopeError::Chunk`]; [`EnvelopeError::OtherSigner`], [`EnvelopeError::BadSignature`], [`EnvelopeError::OtherContent`]. Then the buffer is empty.
    pub fn last(mut self, chunk: &mut Vec<u8>) -> Result<Whole, EnvelopeError> {
        let chunks = self.open_last(chunk)?;
        let checked = self.check_end();
        if checked.is_err() {
            chunk.fill(0);
            chunk.clear();
        }
        checked.map(|origin| Whole { chunks, origin })
    }

    /// As [`Opener::last`], for an opener that [`Opener::start_to_rewrap`] made.
    ///
    /// # Errors
    /// Those of [`Opener::last`]; [`EnvelopeError::Use`] for another opener.
    pub fn last_to_rewrap(mut self, chunk: &mut Vec<u8>) -> Result<Body, EnvelopeError> {
        self.open_last(chunk)?;
        let key = self.chunks.key.clone();
        let content = self.content.clone().ok_or(SIGNED)?.finish();
        match self.check_end()? {
            Origin::Unsigned => Ok(Body { key, content }),
            _ => Err(SIGNED),
        }
    }

    /// Opens the last chunk to what are data in it, and says how many chunks there were.
    fn open_last(&mut self, chunk: &mut Vec<u8>) -> Result<u64, EnvelopeError> {
        let number = self.chunks.next;
        let empty = chunk.len() == CHUNK_OVERHEAD;
        if chunk.len() > CHUNK + CHUNK_OVERHEAD || (empty && number > 0) {
            return Err(EnvelopeError::Chunk(number));
        }
        self.chunks.open(chunk, true)?;
        if let End::Signed { held, .. } = &mut self.end {
            hold_back(held, chunk);
        }
        if let Some(content) = &mut self.content {
            content.update(chunk);
        }
        Ok(number + 1)
    }

    fn check_end(self) -> Result<Origin, EnvelopeError> {
        let content = self.content.map(Content256::finish);
        match (self.end, content) {
            (
                End::Signed {
                    start,
                    signers,
                    held,
                },
                Some(content),
            ) => {
                let trailer = held
                    .as_slice()
                    .try_into()
                    .map_err(|_| EnvelopeError::BadSignature)?;
                check_trailer(trailer, (start, content), &signers)
            }
            (End::Rewrapped(expected), Some(content)) if expected != content => {
                Err(EnvelopeError::OtherContent)
            }
            _ => Ok(Origin::Unsigned),
        }
    }
}

const SIGNED: EnvelopeError = EnvelopeError::Use(
    "the envelope is signed for its recipients, and a signature for others only its signer can make; decrypt it and encrypt it anew",
);

/// Keeps the last bytes of everything so far in `held`, and puts those that were held before into the chunk, which does not grow by that.
fn hold_back(held: &mut Zeroizing<Vec<u8>>, chunk: &mut Vec<u8>) {
    if chunk.len() < TRAILER {
        // Short: only a last chunk is.
        let mut all = Zeroizing::new([held.as_slice(), chunk].concat());
        let data = all.len().saturating_sub(TRAILER);
        chunk.fill(0);
        chunk.clear();
        chunk.extend(all.drain(..data));
        *held = all;
        return;
    }
    let kept = chunk.len() - TRAILER;
    let later = Zeroizing::new(chunk.split_off(kept));
    let before = held.len();
    chunk.resize(kept + before, 0);
    chunk.copy_within(..kept, before);
    chunk
        .iter_mut()
        .zip(held.iter())
        .for_each(|(to, from)| *to = *from);
    *held = later;
}

impl Body {
    /// The header of the same chunks for other recipients: all that stands before them.
    ///
    /// # Errors
    /// Those of [`seal`](super::seal).
    pub fn header(
        &self,
        lock: Lock<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, EnvelopeError> {
        let both = Zeroizing::new([self.key.as_slice(), self.content.as_bytes()].concat());
        header(lock, Content::RewrappedStream, &both, rng)
    }

    /// Whether two readings of a stream gave the same.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        ct_eq(self.key.as_ref(), other.key.as_ref()) && self.content == other.content
    }
}

/// What a header holds, and what it calls that.
fn open_start(
    start: &[u8],
    unlock: Unlock<'_>,
) -> Result<(Zeroizing<Vec<u8>>, Content), EnvelopeError> {
    const BAD: EnvelopeError = EnvelopeError::Malformed("a stream's header is damaged");
    let prefix = start.first_chunk::<PREFIX>().ok_or(BAD)?;
    let header = start.get(PREFIX..).ok_or(BAD)?;
    if header.len() != Opener::header_length(prefix)? {
        return Err(BAD);
    }
    let header = std::str::from_utf8(header).map_err(|_| BAD)?;
    let (inner, content) = open_content(header, unlock, Purpose::Stream)?;
    Ok((inner.plaintext, content))
}

/// The hash of all data of a stream: BLAKE3 in its mode for deriving keys.
#[derive(Clone)]
struct Content256(blake3::Hasher);

impl Content256 {
    fn new() -> Self {
        Self(blake3::Hasher::new_derive_key(
            "lepton envelope v1 stream content",
        ))
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a finished hash takes no more"
    )]
    fn finish(self) -> Digest {
        Digest::from_bytes(*self.0.finalize().as_bytes())
    }
}

struct Chunks {
    key: Zeroizing<[u8; 32]>,
    cipher: LessSafeKey,
    next: u64,
}

impl Chunks {
    /// The chunk key depends on every byte before the chunks.
    fn derived(key: &[u8; 32], start: &[u8]) -> Self {
        let mut prk = Zeroizing::new([0; 32]);
        hkdf::extract(sha256(start).as_bytes(), key, &mut prk);
        let mut chunk_key = Zeroizing::new([0; 32]);
        hkdf::expand(&prk, &[b"lepton stream v1 chunks"], &mut chunk_key);
        Self::new(chunk_key)
    }

    fn new(key: Zeroizing<[u8; 32]>) -> Self {
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
