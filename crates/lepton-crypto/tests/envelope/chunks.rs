//! Streams as they stand in files, written and read as programs do.

use lepton_crypto::envelope::{
    CHUNK, CHUNK_OVERHEAD, EnvelopeError, Opener, PREFIX, Sealer, Whole,
};

/// Bytes of a full chunk in a file.
pub(crate) const SEALED: usize = CHUNK + CHUNK_OVERHEAD;

/// Data of a length.
pub(crate) fn plain(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

/// Seals every chunk of `data` behind a stream's start.
pub(crate) fn sealed((mut sealer, start): (Sealer<'_>, Vec<u8>), data: &[u8]) -> Vec<u8> {
    let mut out = start;
    let mut chunks = data.chunks(CHUNK).peekable();
    loop {
        let mut chunk = chunks.next().unwrap_or_default().to_vec();
        if chunks.peek().is_none() {
            sealer.last(&mut chunk).unwrap();
            out.extend(chunk);
            return out;
        }
        sealer.chunk(&mut chunk).unwrap();
        out.extend(chunk);
    }
}

/// How many bytes of a stream lie before its chunks.
pub(crate) fn start_of(stream: &[u8]) -> usize {
    PREFIX + Opener::header_length(stream.first_chunk().unwrap()).unwrap()
}

/// What came out before the end, and what the end said with the data it gave.
pub(crate) type Read = (Vec<u8>, Result<(Vec<u8>, Whole), EnvelopeError>);

/// What a reader of a file does; `open` makes the opener of the stream's start.
pub(crate) fn read(
    stream: &[u8],
    open: impl FnOnce(&[u8]) -> Result<Opener, EnvelopeError>,
) -> Result<Read, EnvelopeError> {
    const SHORT: EnvelopeError = EnvelopeError::Malformed("short");
    let start = PREFIX + Opener::header_length(stream.first_chunk().ok_or(SHORT)?)?;
    let mut opener = open(stream.get(..start).ok_or(SHORT)?)?;
    let (mut before, mut rest) = (Vec::new(), &stream[start..]);
    while rest.len() > SEALED {
        let (now, later) = rest.split_at(SEALED);
        let mut chunk = now.to_vec();
        opener.chunk(&mut chunk)?;
        before.extend(chunk);
        rest = later;
    }
    let mut chunk = rest.to_vec();
    let end = opener.last(&mut chunk);
    assert!(end.is_ok() || chunk.is_empty(), "nothing of a refused end");
    Ok((before, end.map(|whole| (chunk, whole))))
}

/// The whole of what was read.
pub(crate) fn whole((mut data, end): Read) -> Result<(Vec<u8>, Whole), EnvelopeError> {
    let (rest, whole) = end?;
    data.extend(rest);
    Ok((data, whole))
}
