//! The audit log of a party or a coordinator: who asked for what, what was decided, which messages went where, what was charged. Never what a message held (`docs/audit-log.md`).
//!
//! JSON Lines in segments. Every line holds the hash of the line before it, across segments; a full segment ends with a signature on its last hash.

mod cross;
mod entry;
mod read;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lepton_crypto::{IdentityKey, Signature};
use rand_core::Rng;

pub use cross::{CrossCheck, cross_check};
pub use entry::{Direction, Entry, Event, Verdict};
pub use lepton_crypto::IdentityPublic;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use read::read_text;
pub use read::{Summary, read, verify};

use crate::error::NodeError;
use crate::ledger::Clock;
use crate::random::Entropy;
use entry::{FORMAT, link, seal_statement, start};

/// Domain of the signatures on segments.
pub(crate) const DOMAIN: &str = "lepton audit segment";

/// Who signs segments.
pub trait Signer: Send + Sync {
    /// The public half.
    fn public(&self) -> IdentityPublic;

    /// A signature on `message` in `domain`.
    fn sign(&self, domain: &str, message: &[u8]) -> Signature;
}

impl Signer for IdentityKey {
    fn public(&self) -> IdentityPublic {
        Self::public(self)
    }

    fn sign(&self, domain: &str, message: &[u8]) -> Signature {
        Self::sign(self, domain, message)
    }
}

/// A log that is written to. Clones write to the same.
#[derive(Clone)]
pub struct AuditLog(Arc<Mutex<Writer>>);

struct Writer {
    folder: PathBuf,
    /// Keeps other writers away while this one lives.
    _lock: File,
    file: File,
    path: PathBuf,
    segment: u64,
    segment_entries: u64,
    /// Lines in this segment.
    lines: u64,
    /// Lines so far.
    count: u64,
    /// Hash of the last line.
    head: String,
    log: String,
    member: String,
    signer: Arc<dyn Signer>,
    clock: Clock,
    /// After a failed write nothing is appended: the end of the file is not known.
    broken: bool,
}

impl AuditLog {
    /// Opens the log in `folder`, or begins one. A last line that a crash cut short is removed, and its removal is recorded.
    ///
    /// # Errors
    /// [`NodeError`] when the folder cannot be written or the last segment is damaged.
    pub fn open(
        folder: &Path,
        segment_entries: u64,
        (member, signer): (&str, Arc<dyn Signer>),
        clock: Clock,
    ) -> Result<Self, NodeError> {
        fs::create_dir_all(folder).map_err(|error| NodeError::file(folder, &error))?;
        let lock = lock(folder)?;
        let last = read::segments(folder)?.pop();
        let found = match &last {
            Some((_, path)) => read::tail(path)?,
            None => read::Tail::default(),
        };
        let segment = last.as_ref().map_or(1, |(segment, _)| *segment);
        let path = last.map_or_else(|| read::path_of(folder, segment), |(_, path)| path);
        let file = append_to(&path)?;
        if found.torn > 0 {
            file.set_len(found.whole)
                .and_then(|()| file.sync_all())
                .map_err(|error| NodeError::file(&path, &error))?;
        }
        let previous = found.last.or(read::last_before(folder, segment)?);
        let (log, count, head) = match previous {
            Some(last) => (last.log, last.count, last.head),
            None => (new_name()?, 0, start()),
        };
        let mut writer = Writer {
            folder: folder.to_owned(),
            _lock: lock,
            file,
            path,
            segment,
            segment_entries: segment_entries.max(1),
            lines: found.lines,
            count,
            head,
            log,
            member: member.to_owned(),
            signer,
            clock,
            broken: false,
        };
        // What was signed is closed, and a key or a name of today begins a segment of its own.
        if found.sealed {
            writer.next()?;
        } else if found.lines == 0 {
            writer.begin()?;
        } else if found.begun_by != Some((member.to_owned(), writer.signer.public().to_string())) {
            let problem = "the last segment was begun under another name or key and not signed; sign it with that key, or move the folder away";
            return Err(NodeError::Data(format!("{}: {problem}", folder.display())));
        }
        if found.torn > 0 {
            writer.append(Event::Repaired { bytes: found.torn })?;
        }
        Ok(Self(Arc::new(Mutex::new(writer))))
    }

    /// Appends an event. When it returns, a killed process no longer loses it; a power cut neither, unless it is a message, which waits for the next other event.
    ///
    /// # Errors
    /// [`NodeError`] when it could not be written: what was to be recorded must not be done then.
    pub fn append(&self, event: Event) -> Result<(), NodeError> {
        self.writer()?.append(event)
    }

    /// Signs what was written so far and begins a new segment: at a graceful stop, or when somebody asks for the log.
    ///
    /// # Errors
    /// [`NodeError`] when it could not be written.
    pub fn seal(&self) -> Result<(), NodeError> {
        self.writer()?.seal()
    }

    fn writer(&self) -> Result<std::sync::MutexGuard<'_, Writer>, NodeError> {
        let lock = self.0.lock();
        lock.map_err(|_| NodeError::Internal("the audit log was left in the middle".to_owned()))
    }
}

impl Writer {
    fn append(&mut self, event: Event) -> Result<(), NodeError> {
        self.write(event)?;
        if self.lines > self.segment_entries {
            self.seal()?;
        }
        Ok(())
    }

    fn write(&mut self, event: Event) -> Result<(), NodeError> {
        if self.broken {
            return Err(NodeError::Data(format!(
                "{}: an earlier write failed; check the disk and restart",
                self.path.display()
            )));
        }
        let wait = !matches!(event, Event::Message { .. });
        let entry = Entry {
            n: self.count + 1,
            at: (self.clock)(),
            previous: self.head.clone(),
            event,
        };
        let line = serde_json::to_string(&entry)
            .map_err(|error| NodeError::Internal(error.to_string()))?;
        let written = self.file.write_all(format!("{line}\n").as_bytes());
        let written = written.and_then(|()| if wait { self.file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            self.broken = true;
            return Err(NodeError::file(&self.path, &error));
        }
        self.count = entry.n;
        self.lines += 1;
        self.head = link(&line);
        Ok(())
    }

    fn begin(&mut self) -> Result<(), NodeError> {
        self.write(Event::Begin {
            format: FORMAT.to_owned(),
            log: self.log.clone(),
            member: self.member.clone(),
            key: self.signer.public().to_string(),
            segment: self.segment,
        })
    }

    fn seal(&mut self) -> Result<(), NodeError> {
        let statement = seal_statement(&self.log, self.segment, self.count, &self.head);
        let signature = self.signer.sign(DOMAIN, statement.as_bytes());
        self.write(Event::Seal {
            signature: crate::hex::hex(&signature.to_bytes()),
        })?;
        self.next()
    }

    fn next(&mut self) -> Result<(), NodeError> {
        self.segment += 1;
        self.lines = 0;
        self.path = read::path_of(&self.folder, self.segment);
        self.file = append_to(&self.path)?;
        self.begin()
    }
}

/// A file that only its owner reads, whose name survives a power cut.
fn append_to(path: &Path) -> Result<File, NodeError> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path);
    let file = file.map_err(|error| NodeError::file(path, &error))?;
    if let Some(folder) = path.parent() {
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| NodeError::file(folder, &error))?;
    }
    Ok(file)
}

fn new_name() -> Result<String, NodeError> {
    let mut bytes = [0; 16];
    Entropy::System
        .generator("audit log", 0)?
        .fill_bytes(&mut bytes);
    Ok(crate::hex::hex(&bytes))
}

/// Two writers would make two chains of one: the second is refused.
fn lock(folder: &Path) -> Result<File, NodeError> {
    let path = folder.join(".lock");
    let failed = |error: &std::io::Error| NodeError::file(&path, error);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(NodeError::Use(format!(
            "{}: another process writes this log; stop it first",
            folder.display()
        ))),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(&error)),
    }
}
