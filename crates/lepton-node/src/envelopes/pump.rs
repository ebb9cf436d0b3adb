//! Chunk after chunk from a reader through a cipher to a sink, which writes in a thread of its own: reading and ciphering go on meanwhile.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use lepton_crypto::Zeroizing;
use lepton_crypto::envelope::{EnvelopeError, LAST_OVERHEAD};

use super::output::Sink;
use crate::error::NodeError;

/// A chunk, wiped when it is dropped.
pub(super) type Buffer = Zeroizing<Vec<u8>>;

/// Chunks on their way to the disk at a time.
const AHEAD: usize = 16;

/// Fills `buffer` with `size` bytes, or fewer at the end of the input.
pub(super) fn fill(reader: &mut dyn Read, buffer: &mut Vec<u8>, size: usize) -> io::Result<()> {
    // Room for what sealing adds, so that growing leaves no copy of the plaintext behind.
    buffer.reserve_exact((size + LAST_OVERHEAD).saturating_sub(buffer.len()));
    // A buffer that was used before has nearly this length: little is cleared.
    buffer.resize(size, 0);
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(())
}

/// The chunks of an input, always one ahead, so that the last one is known for it.
pub(super) struct Chunks {
    reader: Box<dyn Read>,
    name: PathBuf,
    /// Read already.
    ready: std::vec::IntoIter<Buffer>,
    size: usize,
}

impl Chunks {
    pub(super) fn new(
        reader: Box<dyn Read>,
        name: PathBuf,
        ready: Vec<Buffer>,
        size: usize,
    ) -> Self {
        Self {
            reader,
            name,
            ready: ready.into_iter(),
            size,
        }
    }

    fn next(&mut self, mut spare: Buffer) -> Result<Buffer, NodeError> {
        if let Some(ready) = self.ready.next() {
            return Ok(ready);
        }
        fill(&mut self.reader, &mut spare, self.size)
            .map_err(|error| NodeError::file(&self.name, &error))?;
        Ok(spare)
    }
}

/// Takes every chunk but the last through `step` to the sink, and gives back the cipher and the last chunk as it was read.
pub(super) fn pump<C>(
    mut chunks: Chunks,
    mut cipher: C,
    mut step: impl FnMut(&mut C, &mut Vec<u8>) -> Result<(), EnvelopeError>,
    sink: &mut Sink<'_>,
) -> Result<(C, Buffer), NodeError> {
    thread::scope(|scope| {
        let (full, to_write) = sync_channel::<Buffer>(AHEAD);
        let (written, spare) = sync_channel::<Buffer>(2 * AHEAD);
        let writer = scope.spawn(move || write_all(sink, &to_write, &written));
        let result = (|| {
            let mut now = chunks.next(Buffer::default())?;
            loop {
                let next = chunks.next(spare.try_recv().unwrap_or_default())?;
                if next.is_empty() {
                    return Ok((cipher, now));
                }
                step(&mut cipher, &mut now)?;
                let sent = full.send(std::mem::replace(&mut now, next));
                if sent.is_err() {
                    // The writer has stopped: its error is the one to report.
                    return Err(NodeError::Internal("the writer stopped".to_owned()));
                }
            }
        })();
        drop(full);
        match writer.join() {
            Ok(Ok(())) => result,
            Ok(Err(error)) => Err(error),
            Err(_) => Err(NodeError::Internal("the writer failed".to_owned())),
        }
    })
}

fn write_all(
    sink: &mut Sink<'_>,
    chunks: &Receiver<Buffer>,
    written: &SyncSender<Buffer>,
) -> Result<(), NodeError> {
    while let Ok(chunk) = chunks.recv() {
        sink.write(&chunk)?;
        // A buffer that nobody takes back is dropped.
        let _ = written.try_send(chunk);
    }
    Ok(())
}
