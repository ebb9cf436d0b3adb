//! Opening streams: chunk after chunk, and at the end what is said of the whole (EV-14, EV-20, EV-21).

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::EnvelopeError;
use super::header::{Content, Purpose};
use super::jwe::{Lock, open_content};
use super::recipient::Unlock;
use super::signing::{Origin, SigningPublic, TRAILER, check_trailer};
use super::stream::{CHUNK, CHUNK_OVERHEAD, Chunks, DataHash, MAGIC, MAX_HEADER, PREFIX, header};
use crate::{Digest, ct_eq, sha256};

/// Opens chunk after chunk.
pub struct Opener {
    chunks: Chunks,
    end: End,
    /// The data so far, where the end of the stream says something about all of them.
    content: Option<DataHash>,
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
                content: Some(DataHash::new()),
            }),
            _ if !rest.is_empty() => Err(FAILED),
            Content::SignedStream => Ok(Self {
                chunks: Chunks::derived(key, start),
                end: End::Signed {
                    start: sha256(start),
                    signers: signers.to_vec(),
                    held: Zeroizing::default(),
                },
                content: Some(DataHash::new()),
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
        opener.content = Some(DataHash::new());
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
        let content = self.content.map(DataHash::finish);
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
