//! The anchor: a file beside the store that remembers how far the store has come.
//!
//! It has two slots, written in turn and in place: one write of one block to wait for, and a write that a power cut tears leaves the other slot, one write
//! earlier, which is what a crash between the database and the anchor leaves too.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::key::StoreKey;
use crate::error::NodeError;
use crate::files::{Durability, replace};

/// How far a store has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// Whose it is.
    pub(super) owner: String,
    /// Drawn anew when a store is made and when it was found restored.
    pub(super) incarnation: String,
    /// Times that it was found restored.
    pub(super) restores: u64,
    /// Writes so far.
    pub(super) generation: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tagged {
    /// Counts the writes of the anchor: the larger of the two slots is the newer.
    sequence: u64,
    state: State,
    tag: String,
}

/// Bytes of a slot: a block of the file system, so that no write touches both.
const SLOT: usize = 4096;

/// The file, locked for this process.
pub(super) struct Anchor {
    path: PathBuf,
    sequence: u64,
    #[expect(dead_code, reason = "held for the lock on it")]
    lock: Option<File>,
}

impl Anchor {
    /// Keeps other processes away from the anchor, and with it from the owner's values.
    pub(super) fn lock(path: &Path) -> Result<Self, NodeError> {
        let beside = super::beside(path, ".lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&beside)
            .map_err(|error| NodeError::file(&beside, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                sequence: 0,
                lock: Some(file),
            }),
            Err(TryLockError::WouldBlock) => Err(NodeError::Use(format!(
                "{}: another process has this store open; stop it first",
                path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(NodeError::file(&beside, &error)),
        }
    }

    /// For whoever only looks: `None` while another process has the store open. Makes no file: one that another user made would keep the program out.
    pub(super) fn look(path: &Path) -> Result<Option<Self>, NodeError> {
        let beside = super::beside(path, ".lock");
        let lock = match File::open(&beside) {
            Ok(file) => match file.try_lock() {
                Ok(()) => Some(file),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(NodeError::file(&beside, &error)),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(NodeError::file(&beside, &error)),
        };
        let path = path.to_owned();
        Ok(Some(Self {
            path,
            sequence: 0,
            lock,
        }))
    }

    /// What it says; `None` when there is none. One that cannot be believed is an error: it is no proof of anything.
    pub(super) fn read(&mut self, key: &StoreKey) -> Result<Option<State>, NodeError> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(NodeError::file(&self.path, &error)),
        };
        let genuine =
            |tagged: &Tagged| key.tag(&body(tagged.sequence, &tagged.state)) == tagged.tag;
        let slots = bytes.chunks(SLOT).filter(|_| bytes.len() == 2 * SLOT);
        let newest = slots
            .filter_map(|slot| serde_json::from_slice::<Tagged>(slot).ok())
            .filter(genuine)
            .max_by_key(|tagged| tagged.sequence);
        let Some(tagged) = newest else {
            return Err(NodeError::Data(format!(
                "{}: the anchor of the store was changed, or belongs to another key; remove it to go on as after a restored backup",
                self.path.display()
            )));
        };
        self.sequence = tagged.sequence;
        Ok(Some(tagged.state))
    }

    /// Writes the older slot, and waits for the disk.
    pub(super) fn write(&mut self, key: &StoreKey, state: &State) -> std::io::Result<()> {
        let sequence = self.sequence + 1;
        let tagged = Tagged {
            sequence,
            tag: key.tag(&body(sequence, state)),
            state: state.clone(),
        };
        let mut slot = serde_json::to_vec(&tagged).map_err(std::io::Error::other)?;
        if slot.len() > SLOT {
            return Err(std::io::Error::other("the owner's name is too long"));
        }
        slot.resize(SLOT, b' ');
        self.write_slot((sequence % 2) as usize, &slot)?;
        self.sequence = sequence;
        Ok(())
    }

    fn write_slot(&self, number: usize, slot: &[u8]) -> std::io::Result<()> {
        let mut file = match OpenOptions::new().write(true).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut whole = vec![b' '; 2 * SLOT];
                for (place, byte) in whole.iter_mut().skip(number * SLOT).zip(slot) {
                    *place = *byte;
                }
                return replace(&self.path, &whole, Durability::Machine);
            }
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start((number * SLOT) as u64))?;
        file.write_all(slot)?;
        file.sync_data()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn body(sequence: u64, state: &State) -> String {
    let State {
        owner,
        incarnation,
        restores,
        generation,
    } = state;
    format!("{sequence}\n{incarnation}\n{restores}\n{generation}\n{owner}")
}

/// What opening concludes from the database's state, the anchor's, and whether the database holds values.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Conclusion {
    /// Neither was ever used.
    New,
    /// They belong together.
    GoOn,
    /// The database is not where the anchor says it has been.
    Restored(&'static str),
}

pub(super) fn conclude(
    stored: Option<&State>,
    anchor: Option<&State>,
    has_values: bool,
) -> Conclusion {
    match (stored, anchor) {
        (None, None) if !has_values => Conclusion::New,
        (None, None) => Conclusion::Restored("it holds values and says nothing of its past"),
        (None, Some(_)) => {
            Conclusion::Restored("it is empty, and the anchor says that it was used")
        }
        // The first start was cut short between the two.
        (Some(stored), None) if stored.generation == 0 && stored.restores == 0 && !has_values => {
            Conclusion::GoOn
        }
        (Some(_), None) => Conclusion::Restored("its anchor is missing"),
        (Some(stored), Some(anchor)) if stored.incarnation != anchor.incarnation => {
            Conclusion::Restored("the anchor belongs to another life of it")
        }
        (Some(stored), Some(anchor)) if stored.generation < anchor.generation => {
            Conclusion::Restored("it is older than the anchor: a backup was restored")
        }
        // A crash between a write and its anchor leaves the store one ahead.
        (Some(stored), Some(anchor)) if stored.generation > anchor.generation + 1 => {
            Conclusion::Restored("the anchor is older than it: the anchor was restored")
        }
        _ => Conclusion::GoOn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(incarnation: &str, generation: u64) -> State {
        State {
            owner: "a".to_owned(),
            incarnation: incarnation.to_owned(),
            restores: 0,
            generation,
        }
    }

    fn go_on(stored: &State, anchor: &State) -> bool {
        conclude(Some(stored), Some(anchor), true) == Conclusion::GoOn
    }

    #[test]
    fn conclusions() {
        let (here, there) = (state("x", 7), state("y", 7));
        assert!(go_on(&here, &here));
        assert!(go_on(&here, &state("x", 6)));
        assert!(!go_on(&here, &state("x", 5)));
        assert!(!go_on(&here, &state("x", 8)));
        assert!(!go_on(&here, &there));
        assert_eq!(conclude(None, None, false), Conclusion::New);
        assert_ne!(conclude(None, None, true), Conclusion::New);
        assert_eq!(
            conclude(Some(&state("x", 0)), None, false),
            Conclusion::GoOn
        );
        for (stored, anchor, values) in [
            (Some(&here), None, true),
            (Some(&here), None, false),
            (None, Some(&here), false),
        ] {
            let found = conclude(stored, anchor, values);
            assert!(matches!(found, Conclusion::Restored(_)), "{found:?}");
        }
    }
}
