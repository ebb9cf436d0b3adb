//! What a line says.

use lepton_crypto::hash;
use serde::{Deserialize, Serialize};

/// Version of the format.
pub(super) const FORMAT: &str = "lepton audit log 1";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its number in the log, from 1, over all segments.
    pub n: u64,
    /// When, RFC 3339.
    pub at: String,
    /// Hash of the line before.
    pub previous: String,
    /// What happened.
    pub event: Event,
}

/// What can happen. Names, sizes and numbers only: nothing here comes from rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// A segment begins.
    Begin {
        /// Version of the format.
        format: String,
        /// Random name of the log.
        log: String,
        /// Whose log it is.
        member: String,
        /// The key that will sign it, in hexadecimal digits.
        key: String,
        /// Number of the segment.
        segment: u64,
    },
    /// A segment ends.
    Seal {
        /// On everything up to the line before, in hexadecimal digits.
        signature: String,
    },
    /// A line that a crash had cut short was removed.
    Repaired {
        /// Bytes removed.
        bytes: u64,
    },
    /// The program started or stopped, or found its store restored.
    Program {
        /// `started`, `stopped`, `restored`.
        state: String,
        /// Its version.
        version: String,
    },
    /// A connection.
    Connection {
        /// The other side; its address where its name is not proved.
        peer: String,
        /// `opened`, `closed`, `refused`.
        state: String,
        /// Why, where there is a reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A message.
    Message {
        /// Which way.
        direction: Direction,
        /// The other side.
        peer: String,
        /// The job it belongs to, by its digest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job: Option<String>,
        /// What kind of message.
        kind: String,
        /// Its size.
        bytes: u64,
    },
    /// A decision about a job.
    Decision {
        /// The job, by its digest.
        job: String,
        /// Who decided: a member.
        by: String,
        /// Who submitted the job.
        submitter: String,
        /// What was decided.
        verdict: Verdict,
        /// The rule of the policy, as `PO-03`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
    },
    /// A charge in the ledger.
    Charge {
        /// The job, by its digest.
        job: String,
        /// Number of the ledger's entry.
        entry: u64,
        /// What was charged: `survey`, `statistics`, `training`, `evaluation`, `final evaluation`.
        kind: String,
        /// Exchange number.
        round: u64,
        /// Attempt.
        attempt: u32,
    },
    /// A job came to a new state.
    Job {
        /// The job, by its digest.
        job: String,
        /// `joined`, `finished`, `failed`, `stopped`, `epoch 2`.
        state: String,
    },
}

impl Event {
    /// The job it is about.
    #[must_use]
    pub fn job(&self) -> Option<&str> {
        match self {
            Self::Message { job, .. } => job.as_deref(),
            Self::Decision { job, .. } | Self::Charge { job, .. } | Self::Job { job, .. } => {
                Some(job)
            }
            _ => None,
        }
    }
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the peer.
    Sent,
    /// From the peer.
    Received,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The policy accepts.
    Accepted,
    /// The policy refuses.
    Refused,
    /// The policy asks a person.
    Asked,
    /// A person approves.
    Approved,
    /// A person denies.
    Denied,
}

/// What the first line of a log follows.
pub(super) fn start() -> String {
    link("")
}

/// Hash of a line.
pub(super) fn link(line: &str) -> String {
    hash("lepton audit line", &[line.as_bytes()]).to_string()
}

/// What a seal signs.
pub(super) fn seal_statement(log: &str, segment: u64, count: u64, head: &str) -> String {
    format!("{FORMAT}\n{log}\n{segment}\n{count}\n{head}")
}
