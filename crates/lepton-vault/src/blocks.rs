//! Blocks of a data file: hashed when it is written, held against their hashes before anything reads them (rule VA-08).

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{self, Context};
use bytes::{Bytes, BytesMut};
use lepton_crypto::{Digest, long_hash};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// Bytes of a block.
pub(crate) const BLOCK: usize = 256 << 10;
/// Blocks that a reader keeps.
const KEPT: usize = 64;

fn hash_block(number: u64, block: &[u8]) -> Digest {
    long_hash("lepton vault block v1", &[&number.to_le_bytes(), block])
}

/// Hashes what passes through it.
pub(crate) struct Hashing<W> {
    inner: W,
    whole: Context,
    blocks: Vec<Digest>,
    open: Vec<u8>,
    bytes: u64,
}

/// What was written.
pub(crate) struct Hashed {
    pub(crate) bytes: u64,
    pub(crate) sha256: Digest,
    pub(crate) blocks: Vec<Digest>,
}

impl<W: Write> Hashing<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self {
            inner,
            whole: Context::new(&digest::SHA256),
            blocks: Vec::new(),
            open: Vec::with_capacity(BLOCK),
            bytes: 0,
        }
    }

    pub(crate) fn finish(mut self) -> (W, Hashed) {
        self.close();
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.whole.finish().as_ref());
        let hashed = Hashed {
            bytes: self.bytes,
            sha256: Digest::from_bytes(sha256),
            blocks: self.blocks,
        };
        (self.inner, hashed)
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            let number = self.blocks.len() as u64;
            self.blocks.push(hash_block(number, &self.open));
            self.open.clear();
        }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let room = BLOCK - self.open.len();
        let taken = self.inner.write(buffer.get(..room).unwrap_or(buffer))?;
        let written = buffer.get(..taken).unwrap_or(buffer);
        self.whole.update(written);
        self.open.extend_from_slice(written);
        self.bytes += written.len() as u64;
        if self.open.len() == BLOCK {
            self.close();
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A data file of which nobody gets a byte that was changed since it was written.
#[derive(Clone)]
pub(crate) struct Verified(Arc<Inner>);

struct Inner {
    length: u64,
    hashes: Vec<Digest>,
    state: Mutex<State>,
}

struct State {
    file: File,
    kept: VecDeque<(u64, Bytes)>,
}

impl State {
    /// Memory for a block: that of the oldest one kept, when there are enough and nobody else has it any more.
    fn room(&mut self, length: usize) -> BytesMut {
        let oldest = (self.kept.len() == KEPT).then(|| self.kept.pop_front());
        let free = oldest.flatten().map(|(_, block)| block.try_into_mut());
        match free {
            Some(Ok(mut room)) => {
                room.resize(length, 0);
                room
            }
            _ => BytesMut::zeroed(length),
        }
    }
}

impl Verified {
    /// A file with its length and the hashes of its blocks; `None` when they do not fit each other.
    pub(crate) fn new(file: File, length: u64, hashes: Vec<Digest>) -> Option<Self> {
        let fits = length.div_ceil(BLOCK as u64) == hashes.len() as u64;
        let state = Mutex::new(State {
            file,
            kept: VecDeque::new(),
        });
        fits.then(|| {
            Self(Arc::new(Inner {
                length,
                hashes,
                state,
            }))
        })
    }

    /// These bytes; fewer at the end of the file.
    fn get(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let end = start.saturating_add(length as u64).min(self.0.length);
        if start >= end {
            return Ok(Bytes::new());
        }
        let (first, last) = (start / BLOCK as u64, (end - 1) / BLOCK as u64);
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if first == last {
            return Ok(part(&self.block(&mut state, first)?, first, start, end));
        }
        // Only what was asked for is copied: a page is smaller than the blocks that it lies in.
        let mut all = Vec::with_capacity(usize::try_from(end - start).unwrap_or(BLOCK));
        for number in first..=last {
            let block = self.block(&mut state, number)?;
            all.extend_from_slice(&part(&block, number, start, end));
        }
        Ok(Bytes::from(all))
    }

    fn block(&self, state: &mut State, number: u64) -> io::Result<Bytes> {
        if let Some((_, block)) = state.kept.iter().find(|(kept, _)| *kept == number) {
            return Ok(block.clone());
        }
        let start = number * BLOCK as u64;
        let length = (self.0.length - start).min(BLOCK as u64);
        let mut block = state.room(usize::try_from(length).unwrap_or(BLOCK));
        state.file.seek(SeekFrom::Start(start))?;
        match state.file.read_exact(&mut block) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(changed()),
            read => read?,
        }
        let expected = usize::try_from(number)
            .ok()
            .and_then(|at| self.0.hashes.get(at));
        if expected != Some(&hash_block(number, &block)) {
            return Err(changed());
        }
        let block = block.freeze();
        state.kept.push_back((number, block.clone()));
        Ok(block)
    }
}

fn changed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the data file was changed since it was sealed",
    )
}

/// What of a block lies within `start..end` of the file.
fn part(block: &Bytes, number: u64, start: u64, end: u64) -> Bytes {
    let begin = number * BLOCK as u64;
    let within = |at: u64| {
        let at = usize::try_from(at.saturating_sub(begin)).unwrap_or(usize::MAX);
        at.min(block.len())
    };
    block.slice(within(start)..within(end))
}

impl Length for Verified {
    fn len(&self) -> u64 {
        self.0.length
    }
}

impl ChunkReader for Verified {
    type T = From;

    fn get_read(&self, start: u64) -> parquet::errors::Result<From> {
        Ok(From {
            file: self.clone(),
            at: start,
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let bytes = self.get(start, length)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF("the data file ends early".to_owned()));
        }
        Ok(bytes)
    }
}

/// Reads on from a place.
pub(crate) struct From {
    file: Verified,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Not beyond the block: the next one is read when it is asked for.
        let room = BLOCK - usize::try_from(self.at % BLOCK as u64).unwrap_or_default();
        let bytes = self.file.get(self.at, buffer.len().min(room))?;
        let (target, _) = buffer.split_at_mut(bytes.len());
        target.copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8]) -> (tempfile::NamedTempFile, Hashed) {
        let mut file = Hashing::new(tempfile::NamedTempFile::new().unwrap());
        for part in bytes.chunks(100_003) {
            file.write_all(part).unwrap();
        }
        file.finish()
    }

    #[test]
    fn gives_what_was_written_and_nothing_else() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5] {
            let bytes: Vec<u8> = (0..=250).cycle().step_by(7).take(length).collect();
            let (file, hashed) = written(&bytes);
            assert_eq!(hashed.sha256, lepton_crypto::sha256(&bytes));
            let opened = file.reopen().unwrap();
            let read = Verified::new(opened, hashed.bytes, hashed.blocks).unwrap();
            for (start, count) in [(0, length), (length / 2, length / 3), (length / 3, 1)] {
                let end = (start + count).min(length);
                let found = read.get(start as u64, count).unwrap();
                assert_eq!(found, bytes[start.min(length)..end]);
            }
            let mut all = Vec::new();
            read.get_read(0).unwrap().read_to_end(&mut all).unwrap();
            assert_eq!(all, bytes);
            assert!(read.get_bytes(0, length + 1).is_err());
        }
    }

    #[test]
    fn a_changed_block_is_not_given() {
        let bytes = vec![7; 3 * BLOCK];
        let (mut file, hashed) = written(&bytes);
        file.seek(SeekFrom::Start(BLOCK as u64 + 9)).unwrap();
        file.write_all(&[8]).unwrap();
        let read = Verified::new(file.reopen().unwrap(), hashed.bytes, hashed.blocks).unwrap();
        assert!(read.get(0, BLOCK).is_ok());
        assert!(read.get(BLOCK as u64, 1).is_err());
        assert!(read.get(0, 3 * BLOCK).is_err());
        assert!(read.get(2 * BLOCK as u64, BLOCK).is_ok());
    }

    #[test]
    fn hashes_must_fit_the_length() {
        let (file, hashed) = written(&[1; 10]);
        assert!(Verified::new(file.reopen().unwrap(), BLOCK as u64 + 1, hashed.blocks).is_none());
    }
}
