//! The model that a job starts from, in parts (rule JC-33).

use bytes::Bytes;
use prost::Message;

use super::wire::{ControlError, within};
use super::{MAX_PART_BYTES, MAX_START_BYTES};

/// Bytes of the model that a job starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartPart {
    /// The first of them.
    pub from: u64,
    /// Length of the whole model, at most [`MAX_START_BYTES`].
    pub of: u64,
    /// The bytes: at least one, none of them beyond the end.
    pub bytes: Bytes,
}

/// See [`StartPart`].
#[derive(Clone, PartialEq, Message)]
pub struct StartPartIn {
    /// The first byte.
    #[prost(uint64, tag = "1")]
    pub from: u64,
    /// Length of the whole.
    #[prost(uint64, tag = "2")]
    pub of: u64,
    /// The bytes.
    #[prost(bytes = "bytes", tag = "3")]
    pub bytes: Bytes,
}

impl StartPartIn {
    pub(super) fn verify(self) -> Result<StartPart, ControlError> {
        within("a part of a start", self.bytes.len(), MAX_PART_BYTES)?;
        let Self { from, of, bytes } = self;
        let end = from.checked_add(bytes.len() as u64);
        if bytes.is_empty() || of > MAX_START_BYTES || end.is_none_or(|end| end > of) {
            let problem = "a part of a start that is none of it";
            return Err(ControlError::Malformed(problem));
        }
        Ok(StartPart { from, of, bytes })
    }
}

impl StartPart {
    pub(super) fn to_wire(&self) -> StartPartIn {
        let Self { from, of, bytes } = self.clone();
        StartPartIn { from, of, bytes }
    }

    /// The part of `whole` from a byte on; `None` beyond its end.
    #[must_use]
    pub fn cut(whole: &Bytes, from: u64, most: usize) -> Option<Self> {
        let at = usize::try_from(from).ok().filter(|at| *at < whole.len())?;
        let end = whole.len().min(at.saturating_add(most));
        Some(Self {
            from,
            of: whole.len() as u64,
            bytes: whole.slice(at..end),
        })
    }
}
