//! The folder of one run: `runs/<name>-<time>/`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use lepton_protocol::progress::Progress;
use serde::{Deserialize, Serialize};

use crate::error::NodeError;
use crate::files::{Durability, replace};
use crate::tables::Source;

/// A run folder.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

/// Held while a process works on a run; the operating system releases it when the process ends, however it ends.
pub struct RunLock(#[expect(dead_code, reason = "held for the lock on it")] File);

/// What a resumed run has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// `lepton-run/1`.
    pub format: String,
    /// Where job and rows come from; paths are absolute.
    pub source: Source,
    /// The scenario, if any.
    pub scenario: Option<PathBuf>,
    /// SHA-256 of the effective job.
    pub job_sha256: String,
    /// For each party a digest of the rows it trains and measures on.
    pub rows_sha256: Vec<String>,
    /// Start of the run, RFC 3339.
    pub started: String,
    /// Last epoch opened.
    pub epoch: u64,
    /// Whether pooled and single-party models are trained to compare with.
    pub comparison: bool,
    /// Whether the report leaves out what only a simulation can make of rows.
    #[serde(default)]
    pub released_only: bool,
    /// The durable ledger it is charged in, if there is one.
    pub ledger: Option<Kept>,
}

/// What a run keeps about its ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The ledger's file; absolute.
    pub path: PathBuf,
    /// Unique name of this run there.
    pub job: String,
}

impl RunFolder {
    /// Makes a new folder.
    ///
    /// # Errors
    /// [`NodeError`] when it exists or cannot be made.
    pub fn create(path: &Path) -> Result<Self, NodeError> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| NodeError::file(parent, &error))?;
        }
        match fs::create_dir(path) {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(NodeError::Use(format!(
                    "{} exists already; name another folder with --run-dir, or continue it with `lepton run --resume {0}`",
                    path.display()
                )))
            }
            Err(error) => Err(NodeError::file(path, &error)),
        }
    }

    /// A folder, made where it is missing.
    pub(crate) fn adopt(path: &Path) -> Result<Self, NodeError> {
        fs::create_dir_all(path).map_err(|error| NodeError::file(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Opens an existing run.
    ///
    /// # Errors
    /// [`NodeError`] when it is not a run folder.
    pub fn open(path: &Path) -> Result<(Self, RunFile), NodeError> {
        let folder = Self {
            path: path.to_owned(),
        };
        let file = folder.path("run.json");
        let text = fs::read_to_string(&file).map_err(|_| NodeError::File {
            place: path.display().to_string(),
            problem: "this is not a run folder (it has no run.json)".to_owned(),
            remedy: "name a folder below runs/".to_owned(),
        })?;
        let run = serde_json::from_str(&text).map_err(|error| NodeError::File {
            place: file.display().to_string(),
            problem: format!("cannot be read ({error})"),
            remedy: "start a new run".to_owned(),
        })?;
        Ok((folder, run))
    }

    /// Removes a folder that was just made, because its job was refused.
    pub(crate) fn remove(&self) {
        // The refusal is what is reported.
        let _ = fs::remove_dir_all(&self.path);
    }

    /// Removes the folder if nothing is in it.
    pub(crate) fn remove_empty(&self) {
        // The failure that led here is what is reported.
        let _ = fs::remove_dir(&self.path);
    }

    /// Keeps other processes out of this run for as long as the lock lives.
    ///
    /// # Errors
    /// [`NodeError`] when another process has it.
    pub fn lock(&self) -> Result<RunLock, NodeError> {
        let folder = self.path("state");
        fs::create_dir_all(&folder).map_err(|error| NodeError::file(&folder, &error))?;
        let path = folder.join("lock");
        let file = File::create(&path).map_err(|error| NodeError::file(&path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(RunLock(file)),
            Err(fs::TryLockError::WouldBlock) => Err(NodeError::Use(format!(
                "{} is being run by another process; wait for it, or end it",
                self.path.display()
            ))),
            Err(fs::TryLockError::Error(error)) => Err(NodeError::file(&path, &error)),
        }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.path
    }

    /// A file or folder in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// Writes a file in one step.
    ///
    /// # Errors
    /// [`NodeError`] when the disk does not take it; an earlier file then still stands.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), NodeError> {
        let path = self.path(name);
        replace(&path, bytes, Durability::Machine).map_err(|error| NodeError::file(&path, &error))
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// [`NodeError`] when the disk does not take it.
    pub fn save(&self, run: &RunFile) -> Result<(), NodeError> {
        let text = serde_json::to_vec_pretty(run)
            .map_err(|error| NodeError::Internal(error.to_string()))?;
        self.write("run.json", &text)
    }

    /// Opens `events.jsonl` for appending.
    ///
    /// # Errors
    /// [`NodeError`] when it cannot be opened.
    pub fn events(&self) -> Result<EventLog, NodeError> {
        let path = self.path("events.jsonl");
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|error| NodeError::file(&path, &error))?;
        Ok(EventLog { path, file })
    }
}

/// `events.jsonl`: one event a line.
pub struct EventLog {
    path: PathBuf,
    file: File,
}

impl EventLog {
    /// Appends one event.
    ///
    /// # Errors
    /// [`NodeError`] when the disk does not take it.
    pub fn append(&mut self, event: &Progress) -> Result<(), NodeError> {
        let mut line =
            serde_json::to_vec(event).map_err(|error| NodeError::Internal(error.to_string()))?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .map_err(|error| NodeError::file(&self.path, &error))
    }
}
