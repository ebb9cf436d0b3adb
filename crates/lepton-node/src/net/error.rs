//! What can go wrong with certificates, enrolment and connections, by whose fault it is.

use std::io;
use std::path::Path;

use crate::error::NodeError;

/// Enrolment or transport failed.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Wrong use: a name, a flag or a file that cannot be what it should be.
    #[error("{0}")]
    Use(String),
    /// A certificate, a signing request or a revocation list is not acceptable.
    #[error("{what}: {problem}")]
    Certificate {
        /// Which document.
        what: &'static str,
        /// Why it is refused.
        problem: String,
    },
    /// The authority does not do this for whoever asks.
    #[error("refused: {0}")]
    Refused(String),
    /// Two programs speak no common protocol version (TR-05).
    #[error(
        "this program speaks versions {ours_oldest} to {ours_newest} of the link protocol, the other one {theirs_oldest} to {theirs_newest}; bring the older one up to date"
    )]
    Version {
        /// Oldest version of this program.
        ours_oldest: u32,
        /// Newest version of this program.
        ours_newest: u32,
        /// Oldest version of the other.
        theirs_oldest: u32,
        /// Newest version of the other.
        theirs_newest: u32,
    },
    /// The other side broke the protocol.
    #[error("the other side broke the protocol: {0}")]
    Breach(&'static str),
    /// No connection, or it ended.
    #[error("{0}")]
    Connection(String),
    /// A message is longer than the receiver accepts.
    #[error("a message of {length} bytes is over the receiver's limit of {limit}")]
    TooLong {
        /// Length of the message.
        length: u64,
        /// What the receiver accepts.
        limit: u64,
    },
    /// The session ended before the message was taken over; whether any of it arrived is unknown.
    #[error("the session ended: send what your state says again, in the next one")]
    SessionLost,
    /// A file cannot be read or written.
    #[error(transparent)]
    File(Box<NodeError>),
}

impl NetError {
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        Self::File(Box::new(NodeError::file(path, error)))
    }

    pub(crate) fn certificate(what: &'static str, problem: impl ToString) -> Self {
        Self::Certificate {
            what,
            problem: problem.to_string(),
        }
    }
}

impl From<NetError> for NodeError {
    fn from(error: NetError) -> Self {
        match error {
            NetError::File(error) => *error,
            NetError::Use(text) => Self::Use(text),
            NetError::Refused(_) => Self::Refused(error.to_string()),
            error => Self::Data(error.to_string()),
        }
    }
}
