//! Encrypting and decrypting files and pipes (`docs/protocols/envelope.md`).
//!
//! [`encrypt`] and [`decrypt`] take what to read and where to write; formats and keys are in `lepton_crypto::envelope`. A few chunks are in memory at a time.

mod output;
mod pump;
mod rewrap;
mod secrets;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use lepton_crypto::envelope::{
    CHUNK, CHUNK_OVERHEAD, MAGIC, MAX_JWE, MAX_VALUE, Opener, PREFIX, Purpose, Sealer, open_signed,
    seal, seal_signed,
};
pub use lepton_crypto::envelope::{
    Cost, Enc, EnvelopeError, Key, KeyFormat, KeyKind, Lock, Origin, Passphrase, Protection,
    PublicKey, Recipient, SigningKey, SigningPublic, Unlock, escrow, from_escrow, recover, split,
};
use rand_core::CryptoRng;

use crate::error::NodeError;
pub use output::Target;
pub(crate) use output::sync_folder_of;
use pump::{Buffer, Chunks, fill, pump};
pub use rewrap::rewrap;
pub(crate) use secrets::limited;
pub use secrets::{
    read_key, read_passphrase, read_public_key, read_share, read_signer, read_signing_key,
    write_new,
};

/// Where plaintext or an envelope comes from.
pub struct Input {
    reader: Box<dyn Read>,
    name: PathBuf,
}

/// The form of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JWE, which other tools open.
    Jwe,
    /// Authenticated chunks behind a JWE.
    Stream,
}

/// How to encrypt.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// To whom.
    pub lock: Lock<'a>,
    /// Cipher of a JWE's content; a stream has AES-256-GCM.
    pub enc: Enc,
    /// The form; without one, a JWE for up to 64 KiB and a stream for more.
    pub format: Option<Format>,
    /// Who signs (EV-19, EV-20).
    pub sign: Option<&'a SigningKey>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The form of the envelope.
    pub format: Format,
    /// Bytes of plaintext.
    pub bytes: u64,
    /// Whether the envelope committed to its key (EV-04).
    pub committed: bool,
    /// Who made it, as far as that was checked.
    pub origin: Origin,
}

impl Input {
    /// Standard input.
    #[must_use]
    pub fn stdin() -> Self {
        Self {
            reader: Box::new(io::stdin()),
            name: PathBuf::from("standard input"),
        }
    }

    /// A file.
    ///
    /// # Errors
    /// [`NodeError::File`].
    pub fn file(path: &Path) -> Result<Self, NodeError> {
        let failed = |error| NodeError::file(path, &error);
        let file = std::fs::File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        Ok(Self {
            reader: Box::new(file),
            name: path.to_owned(),
        })
    }

    /// Up to `size` bytes: fewer only at the end.
    fn fill(&mut self, size: usize) -> Result<Buffer, NodeError> {
        let mut buffer = Buffer::default();
        fill(&mut self.reader, &mut buffer, size)
            .map_err(|error| NodeError::file(&self.name, &error))?;
        Ok(buffer)
    }

    /// Everything, which must be no more than `limit` bytes.
    fn all(&mut self, limit: usize, what: &'static str) -> Result<Buffer, NodeError> {
        let mut all = Buffer::default();
        (&mut self.reader)
            .take(limit as u64 + 1)
            .read_to_end(&mut all)
            .map_err(|error| NodeError::file(&self.name, &error))?;
        if all.len() > limit {
            return Err(EnvelopeError::TooLong(what).into());
        }
        Ok(all)
    }

    /// All that stands before a stream's chunks.
    fn start(&mut self, prefix: &[u8]) -> Result<Vec<u8>, NodeError> {
        let whole = prefix
            .first_chunk()
            .ok_or(EnvelopeError::Malformed("a stream's header is cut short"))?;
        let header = self.fill(Opener::header_length(whole)?)?;
        Ok([prefix, &header].concat())
    }

    /// A JWE whose first bytes were read already.
    fn value(&mut self, prefix: &[u8]) -> Result<String, NodeError> {
        let rest = self.all(MAX_JWE, "a JWE of more than 24 MiB")?;
        String::from_utf8([prefix, &rest].concat()).map_err(|_| {
            EnvelopeError::Malformed("it is neither a JWE nor a stream of Lepton's").into()
        })
    }
}

/// Encrypts `input` to `target`, which gets its name when everything is on the disk.
///
/// # Errors
/// [`NodeError`]; nothing is left of a file that is not whole.
pub fn encrypt(
    mut input: Input,
    target: &Target,
    options: Options<'_>,
    rng: &mut impl CryptoRng,
) -> Result<Summary, NodeError> {
    if options.format == Some(Format::Jwe) {
        let value = input.all(
            MAX_VALUE,
            "a value of more than 16 MiB (choose the form `stream`)",
        )?;
        return encrypt_value(&value, target, options, rng);
    }
    let mut ready = vec![input.fill(CHUNK)?];
    ready.push(input.fill(CHUNK)?);
    match ready.as_slice() {
        [value, rest] if rest.is_empty() && options.format.is_none() => {
            encrypt_value(value, target, options, rng)
        }
        _ => encrypt_stream(input, ready, target, options, rng),
    }
}

fn encrypt_value(
    value: &[u8],
    target: &Target,
    options: Options<'_>,
    rng: &mut impl CryptoRng,
) -> Result<Summary, NodeError> {
    let jwe = match options.sign {
        Some(key) => seal_signed(options.lock, options.enc, value, key, rng)?,
        None => seal(options.lock, options.enc, Purpose::Value, value, rng)?,
    };
    let mut sink = target.open()?;
    sink.write(jwe.as_bytes())?;
    sink.finish()?;
    Ok(made(Format::Jwe, value.len() as u64, options))
}

fn made(format: Format, bytes: u64, options: Options<'_>) -> Summary {
    Summary {
        format,
        bytes,
        committed: true,
        origin: options
            .sign
            .map_or(Origin::Unsigned, |key| Origin::Signed(key.public())),
    }
}

fn encrypt_stream(
    input: Input,
    ready: Vec<Buffer>,
    target: &Target,
    options: Options<'_>,
    rng: &mut impl CryptoRng,
) -> Result<Summary, NodeError> {
    let (sealer, start) = match options.sign {
        Some(key) => Sealer::start_signed(options.lock, key, rng)?,
        None => Sealer::start(options.lock, rng)?,
    };
    let mut sink = target.open()?;
    sink.write(&start)?;
    let chunks = Chunks::new(input.reader, input.name, ready, CHUNK);
    let mut bytes = 0;
    let step = |sealer: &mut Sealer<'_>, chunk: &mut Vec<u8>| {
        bytes += chunk.len() as u64;
        sealer.chunk(chunk)
    };
    let (sealer, mut last) = pump(chunks, sealer, step, &mut sink)?;
    bytes += last.len() as u64;
    sealer.last(&mut last)?;
    sink.write(&last)?;
    sink.finish()?;
    Ok(made(Format::Stream, bytes, options))
}

/// Decrypts `input` to `target`. A file gets its name when the whole was authentic and is on the disk (EV-15); a pipe gets each chunk when it was. Where
/// `signers` are given, one of them must have signed: a file gets its name only then, a pipe has most of the data before that is known.
///
/// # Errors
/// [`NodeError`]; nothing is left of a file that is not whole.
pub fn decrypt(
    mut input: Input,
    target: &Target,
    unlock: Unlock<'_>,
    signers: &[SigningPublic],
) -> Result<Summary, NodeError> {
    let prefix = input.fill(PREFIX)?;
    if !prefix.starts_with(MAGIC) {
        return decrypt_value(input, &prefix, target, (unlock, signers));
    }
    let start = input.start(&prefix)?;
    let opener = Opener::start_signed(&start, unlock, signers)?;
    let mut sink = target.open()?;
    let chunks = Chunks::new(input.reader, input.name, Vec::new(), CHUNK + CHUNK_OVERHEAD);
    let mut bytes = 0;
    let step = |opener: &mut Opener, chunk: &mut Vec<u8>| {
        opener.chunk(chunk)?;
        bytes += chunk.len() as u64;
        Ok(())
    };
    let (opener, mut last) = pump(chunks, opener, step, &mut sink)?;
    let whole = opener.last(&mut last)?;
    bytes += last.len() as u64;
    sink.write(&last)?;
    sink.finish()?;
    Ok(Summary {
        format: Format::Stream,
        bytes,
        committed: true,
        origin: whole.origin,
    })
}

fn decrypt_value(
    mut input: Input,
    prefix: &[u8],
    target: &Target,
    (unlock, signers): (Unlock<'_>, &[SigningPublic]),
) -> Result<Summary, NodeError> {
    let text = input.value(prefix)?;
    let opened = open_signed(&text, unlock, Purpose::Value, signers)?;
    let mut sink = target.open()?;
    sink.write(&opened.plaintext)?;
    sink.finish()?;
    Ok(Summary {
        format: Format::Jwe,
        bytes: opened.plaintext.len() as u64,
        committed: opened.committed,
        origin: opened.origin,
    })
}
