//! An envelope for other recipients, its data as they were (EV-21).

use std::path::Path;

use lepton_crypto::envelope::{
    Body, CHUNK, CHUNK_OVERHEAD, EnvelopeError, Lock, MAGIC, Opener, Origin, PREFIX, Purpose,
    Unlock, open, seal,
};
use rand_core::CryptoRng;

use super::output::Sink;
use super::{Buffer, Enc, Format, Input, Summary, Target};
use crate::error::NodeError;

/// Puts the envelope in the file `from` behind a header for other recipients, into `target`, which may be the same file: it is replaced when the new one is
/// whole and on the disk. The data of a stream are read twice, and every chunk checked both times; they are decrypted in memory and not encrypted anew. A value
/// in one JWE is sealed anew, in memory.
///
/// # Errors
/// [`NodeError`]; [`EnvelopeError::Use`] for a signed envelope. The file stays as it was.
pub fn rewrap(
    from: &Path,
    target: &Target,
    (unlock, lock): (Unlock<'_>, Lock<'_>),
    rng: &mut impl CryptoRng,
) -> Result<Summary, NodeError> {
    let mut input = Input::file(from)?;
    let prefix = input.fill(PREFIX)?;
    if !prefix.starts_with(MAGIC) {
        return rewrap_value(input, &prefix, target, (unlock, lock), rng);
    }
    let (found, bytes) = through(input, &prefix, unlock, None)?;
    let header = found.header(lock, rng)?;
    let mut sink = target.open()?;
    sink.write(&header)?;
    let mut input = Input::file(from)?;
    let prefix = input.fill(PREFIX)?;
    let (again, _) = through(input, &prefix, unlock, Some(&mut sink))?;
    if !again.same_as(&found) {
        return Err(NodeError::Data(format!(
            "{} was changed while it was read; nothing was done",
            from.display()
        )));
    }
    sink.finish()?;
    Ok(Summary {
        format: Format::Stream,
        bytes,
        committed: true,
        origin: Origin::Unsigned,
    })
}

/// Reads a stream to its end, and writes its chunks as they are.
fn through(
    mut input: Input,
    prefix: &[u8],
    unlock: Unlock<'_>,
    mut sink: Option<&mut Sink<'_>>,
) -> Result<(Body, u64), NodeError> {
    let start = input.start(prefix)?;
    let mut opener = Opener::start_to_rewrap(&start, unlock)?;
    let mut bytes = 0;
    let mut now = input.fill(CHUNK + CHUNK_OVERHEAD)?;
    loop {
        let next = input.fill(CHUNK + CHUNK_OVERHEAD)?;
        if let Some(sink) = &mut sink {
            sink.write(&now)?;
        }
        let mut plain: Buffer = std::mem::replace(&mut now, next);
        if now.is_empty() {
            let body = opener.last_to_rewrap(&mut plain)?;
            return Ok((body, bytes + plain.len() as u64));
        }
        opener.chunk(&mut plain)?;
        bytes += plain.len() as u64;
    }
}

fn rewrap_value(
    mut input: Input,
    prefix: &[u8],
    target: &Target,
    (unlock, lock): (Unlock<'_>, Lock<'_>),
    rng: &mut impl CryptoRng,
) -> Result<Summary, NodeError> {
    let text = input.value(prefix)?;
    let opened = open(&text, unlock, Purpose::Value)?;
    if opened.origin != Origin::Unsigned {
        return Err(EnvelopeError::Use(
            "the envelope is signed for its recipients, and a signature for others only its signer can make; decrypt it and encrypt it anew",
        )
        .into());
    }
    let jwe = seal(lock, Enc::A256Gcm, Purpose::Value, &opened.plaintext, rng)?;
    let mut sink = target.open()?;
    sink.write(jwe.as_bytes())?;
    sink.finish()?;
    Ok(Summary {
        format: Format::Jwe,
        bytes: opened.plaintext.len() as u64,
        committed: true,
        origin: Origin::Unsigned,
    })
}
