//! Everything that can go wrong in a run, by whose fault it is. Each text says what, where and what to do.

use std::io;
use std::path::Path;

use lepton_protocol::coordinator::CoordinatorFault;
use lepton_protocol::job::JobErrors;
use lepton_protocol::ledger::LedgerError;
use lepton_protocol::plan::PlanError;
use lepton_protocol::store::StoreError;
use lepton_table::TableError;
use lepton_table::split::SplitError;

/// A run failed.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Wrong use of the command.
    #[error("{0}")]
    Use(String),
    /// The data do not allow the job.
    #[error("{0}")]
    Data(String),
    /// A file cannot be read or written.
    #[error("{place}: {problem}; {remedy}")]
    File {
        /// Path.
        place: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// The job file has problems.
    #[error("{0}")]
    Job(#[from] JobErrors),
    /// A table has problems.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Rows cannot be dealt.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The job cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Learning failed.
    #[error(transparent)]
    Learn(#[from] lepton_learn::LearnError),
    /// Something could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger refused or failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The coordinator stopped.
    #[error(transparent)]
    Coordinator(#[from] CoordinatorFault),
    /// A party's work failed.
    #[error(transparent)]
    Work(#[from] lepton_protocol::work::WorkError),
    /// An envelope or a key is refused.
    #[error(transparent)]
    Envelope(#[from] lepton_crypto::envelope::EnvelopeError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] crate::random::NoEntropy),
    /// A party's policy or ledger forbade the job.
    #[error("{0}")]
    Refused(String),
    /// The user stopped the run.
    #[error("interrupted; nothing is lost: continue with `lepton run --resume {0}`")]
    Interrupted(String),
    /// Our own fault.
    #[error("internal error: {0}; please report it with the job file")]
    Internal(String),
}

impl NodeError {
    /// A file-system failure with a remedy.
    #[must_use]
    pub fn file(path: &Path, error: &io::Error) -> Self {
        let (problem, remedy) = match error.kind() {
            io::ErrorKind::NotFound => ("there is no such file".to_owned(), "check the path"),
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => (
                "there is a file where a folder is needed".to_owned(),
                "name another folder",
            ),
            io::ErrorKind::IsADirectory => ("this is a folder".to_owned(), "name a file"),
            _ => return Self::Store(crate::files::failed(path, error)),
        };
        Self::File {
            place: path.display().to_string(),
            problem,
            remedy: remedy.to_owned(),
        }
    }

    /// Whether a policy, a budget or a privacy goal forbade what was asked.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        if let Self::Ledger(LedgerError::Budget(error)) = self {
            return error.is_refusal();
        }
        matches!(
            self,
            Self::Refused(_)
                | Self::Ledger(LedgerError::Exceeded { .. })
                | Self::Plan(PlanError::Goal { .. })
        )
    }

    /// Whether the command was used wrongly: a flag, a job file.
    #[must_use]
    pub fn is_wrong_use(&self) -> bool {
        if let Self::Ledger(LedgerError::Budget(error)) = self {
            return !error.is_refusal();
        }
        matches!(
            self,
            Self::Use(_)
                | Self::Envelope(lepton_crypto::envelope::EnvelopeError::Use(_))
                | Self::Job(_)
                | Self::Plan(PlanError::Job { .. } | PlanError::Protection(_))
        )
    }
}
