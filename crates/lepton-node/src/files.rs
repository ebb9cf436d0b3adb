//! File-backed stores and ledgers of a run folder.
//!
//! A value is written to a temporary file and renamed, so that a reader finds the old or the new one. A ledger is a chain of
//! lines, each carrying the hash of the line before it. Whether each write also waits for the disk is [`Durability`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lepton_crypto::hash;
use lepton_dp::rdp::Accountant;
use lepton_protocol::ledger::{self, Charge, Ledger, LedgerError, Limit, Side};
use lepton_protocol::store::{Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::error::NodeError;

/// What a write survives when it has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A killed process. Enough for a simulation, whose parties are one process; budgets that outlive it are in the durable ledger (`docs/decisions/0002-simulation-durability.md`).
    Process,
    /// A power cut too: every write waits for the disk.
    Machine,
}

/// A folder of values.
#[derive(Debug)]
pub struct FileStore {
    folder: PathBuf,
    durability: Durability,
}

impl FileStore {
    /// Opens (and creates) the folder.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be created.
    pub fn open(folder: &Path, durability: Durability) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        sync_folder(folder.parent().unwrap_or(folder), durability)
            .map_err(|error| failed(folder, &error))?;
        Ok(Self {
            folder: folder.to_owned(),
            durability,
        })
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(file_name(key))
    }
}

impl Store for FileStore {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let path = self.path(key);
        replace(&path, value, self.durability).map_err(|error| failed(&path, &error))
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(key);
        match fs::read(&path) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, &error)),
        }
    }

    fn values(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let prefix = file_name(prefix);
        let entries = fs::read_dir(&self.folder).map_err(|error| failed(&self.folder, &error))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| failed(&self.folder, &error))?.path();
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            if let Some(rest) = name.strip_prefix(&prefix) {
                found.push((
                    rest.to_owned(),
                    fs::read(&path).map_err(|error| failed(&path, &error))?,
                ));
            }
        }
        found.sort();
        Ok(found)
    }
}

/// The file that keeps a key.
fn file_name(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    key.chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect()
}

/// Writes `bytes` so that `path` holds either its old content or all of the new.
///
/// # Errors
/// Whatever the file system says; the temporary file is removed then.
pub fn replace(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let temporary = path.with_file_name(name);
    let written = (|| {
        let mut file = private_file(&temporary)?;
        file.write_all(bytes)?;
        if durability == Durability::Machine {
            file.sync_all()?;
        }
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // The failure itself is reported; a leftover that cannot be removed changes nothing about it.
        let _ = fs::remove_file(&temporary);
    } else if let Some(folder) = path.parent() {
        sync_folder(folder, durability)?;
    }
    written
}

/// Refuses a file with a secret that others may read.
///
/// # Errors
/// [`NodeError::File`] when it cannot be looked at; [`NodeError::Use`] when others may read it.
pub fn only_owner_reads(path: &Path) -> Result<(), NodeError> {
    let about = fs::metadata(path).map_err(|error| NodeError::file(path, &error))?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o077 != 0 {
        let problem = "others may read this secret";
        return Err(NodeError::Use(format!(
            "{0}: {problem}; run `chmod 600 {0}`",
            path.display()
        )));
    }
    #[cfg(not(unix))]
    let _ = about;
    Ok(())
}

/// A new file that only its owner reads: stores hold keys.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes a new name in a folder survive a power cut, where that is asked for.
fn sync_folder(folder: &Path, durability: Durability) -> io::Result<()> {
    match durability {
        // The folder of a bare file name is the one we are in.
        Durability::Machine if folder.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Durability::Machine => File::open(folder)?.sync_all(),
        Durability::Process => Ok(()),
    }
}

/// One line of a ledger file.
#[derive(Serialize, Deserialize)]
struct Line {
    previous: String,
    charge: Charge,
}

/// A ledger in one append-only file of hash-chained JSON lines.
pub struct FileLedger {
    path: PathBuf,
    file: File,
    durability: Durability,
    limit: Option<Limit>,
    charges: Vec<Charge>,
    spent: [Accountant; 2],
    head: String,
}

impl FileLedger {
    /// Opens or creates the file, checks its chain and adds up what is spent. A last line cut short by a crash was never
    /// answered with success, so nothing was released on it: it is removed.
    ///
    /// # Errors
    /// [`LedgerError::Store`] when the file cannot be read or its chain is broken.
    pub fn open(
        path: &Path,
        limit: Option<Limit>,
        durability: Durability,
    ) -> Result<Self, LedgerError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(path, &error).into()),
        };
        let (charges, head, valid) = read_chain(path, &text)?;
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| failed(path, &error))?;
        sync_folder(path.parent().unwrap_or(path), durability)
            .map_err(|error| failed(path, &error))?;
        if valid < text.len() {
            file.set_len(valid as u64)
                .map_err(|error| failed(path, &error))?;
        }
        let spent = [
            spent_on(&charges, Side::Training)?,
            spent_on(&charges, Side::HoldOut)?,
        ];
        Ok(Self {
            path: path.to_owned(),
            file,
            durability,
            limit,
            charges,
            spent,
            head,
        })
    }

    /// Whether `charge` keeps the job's own limit, without charging it.
    ///
    /// # Errors
    /// [`LedgerError`] as [`Ledger::reserve`] would refuse it.
    pub fn check(&self, charge: &Charge) -> Result<(), LedgerError> {
        let within = |limit: Limit| ledger::admit(self.spent(charge.side), charge, &limit);
        self.limit.map_or(Ok(()), |limit| within(limit).map(|_| ()))
    }

    /// Composition of everything charged to `side`.
    #[must_use]
    pub fn spent(&self, side: Side) -> &Accountant {
        let [training, hold_out] = &self.spent;
        match side {
            Side::Training => training,
            Side::HoldOut => hold_out,
        }
    }
}

impl Ledger for FileLedger {
    fn reserve(&mut self, charge: &Charge) -> Result<(), LedgerError> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        let total = ledger::admit(self.spent(charge.side), charge, &limit)?;
        let line = serde_json::to_string(&Line {
            previous: self.head.clone(),
            charge: charge.clone(),
        })
        .map_err(|error| LedgerError::Arithmetic(charge.kind.clone(), error.to_string()))?;
        let before = self
            .file
            .metadata()
            .map(|meta| meta.len())
            .map_err(|error| failed(&self.path, &error))?;
        let written = self
            .file
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| match self.durability {
                Durability::Machine => self.file.sync_data(),
                Durability::Process => Ok(()),
            });
        if let Err(error) = written {
            // A half line must not break the chain; if even this fails, opening the file drops it.
            let _ = self.file.set_len(before);
            return Err(failed(&self.path, &error).into());
        }
        self.head = link(&line);
        let [training, hold_out] = &mut self.spent;
        match charge.side {
            Side::Training => *training = total,
            Side::HoldOut => *hold_out = total,
        }
        self.charges.push(charge.clone());
        Ok(())
    }

    fn charges(&self) -> &[Charge] {
        &self.charges
    }
}

/// Adds charges up one by one, as they were made, so that a reopened ledger decides to the last bit as it did before.
fn spent_on(charges: &[Charge], side: Side) -> Result<Accountant, LedgerError> {
    let mut total = Accountant::new();
    for charge in charges.iter().filter(|charge| charge.side == side) {
        let added = total.add(&charge.event, charge.count);
        added.map_err(|error| LedgerError::Arithmetic(charge.kind.clone(), error.to_string()))?;
    }
    Ok(total)
}

/// Charges, hash of the last line, and the length of the valid part.
fn read_chain(path: &Path, text: &str) -> Result<(Vec<Charge>, String, usize), StoreError> {
    let (mut charges, mut head, mut valid) = (Vec::new(), link(""), 0);
    for (number, raw) in text.split_inclusive('\n').enumerate() {
        let line = raw.trim_end_matches('\n');
        let last = valid + raw.len() == text.len();
        let parsed: Line = match serde_json::from_str(line) {
            Ok(parsed) if raw.ends_with('\n') => parsed,
            // Only a line cut short was never answered with success; a whole one that cannot be read was damaged later.
            _ if last && !raw.ends_with('\n') => break,
            _ => return Err(broken(path, number + 1, "is not a ledger line")),
        };
        if parsed.previous != head {
            return Err(broken(
                path,
                number + 1,
                "does not follow from the line before it",
            ));
        }
        head = link(line);
        charges.push(parsed.charge);
        valid += raw.len();
    }
    Ok((charges, head, valid))
}

fn link(line: &str) -> String {
    hash("lepton ledger line", &[line.as_bytes()]).to_string()
}

fn broken(path: &Path, line: usize, what: &str) -> StoreError {
    StoreError {
        place: format!("{}:{line}", path.display()),
        problem: format!("the ledger {what}; it was changed by hand or damaged"),
        remedy: "restore the file, or start a new run".to_owned(),
    }
}

/// A file-system failure with a remedy.
pub(crate) fn failed(path: &Path, error: &io::Error) -> StoreError {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded => {
            "free some space (or raise the file-size limit) and resume the run"
        }
        io::ErrorKind::PermissionDenied => "give this user the right to write there",
        _ => "check the disk and resume the run",
    };
    StoreError {
        place: path.display().to_string(),
        problem: error.to_string(),
        remedy: remedy.to_owned(),
    }
}
