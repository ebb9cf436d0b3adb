//! What can go wrong with a vault: whose fault it is and what to do.

use std::io;
use std::path::Path;

use lepton_table::TableError;

/// Why something was not done with a vault. No text holds a key or a cell.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// Wrong use: a name, a flag, a file that is not what it should be.
    #[error("{0}")]
    Use(String),
    /// The key at hand does not open what was asked for.
    #[error("{0}")]
    Refused(String),
    /// Something was changed or damaged since it was written.
    #[error("{place}: {problem}; restore it from a backup, and find out who writes there")]
    Damaged {
        /// File.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// The operating system would not read or write.
    #[error("{place}: {source}; {}", remedy(.source))]
    Io {
        /// File.
        place: String,
        /// Its words.
        source: io::Error,
    },
    /// A table has problems.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Our own fault, or that of a library below us.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

impl VaultError {
    pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        move |source| Self::Io {
            place: path.display().to_string(),
            source,
        }
    }

    pub(crate) fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged {
            place: path.display().to_string(),
            problem: problem.into(),
        }
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "give this user the right to it",
        io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded => {
            "free some space; the vault is as it was before"
        }
        _ => "check the disk",
    }
}
