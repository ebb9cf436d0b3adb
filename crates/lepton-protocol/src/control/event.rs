//! What a job tells those who follow it.

use serde::{Deserialize, Serialize};

use crate::progress::Progress;

/// Where a job stands at the coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Parties are asked whether they take part.
    Joining,
    /// It waits for parties that are not there.
    Waiting,
    /// Its exchanges are under way.
    Running,
    /// Its results can be pulled.
    Finished,
    /// It cannot go on; its words say why.
    Failed,
    /// It was stopped by a person.
    Stopped,
}

impl JobState {
    /// Whether nothing more happens unless the job is submitted again.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Stopped)
    }

    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// One job in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLine {
    /// Its digest, lower-case hexadecimal.
    pub job: String,
    /// Its name.
    pub name: String,
    /// Who submitted it.
    pub submitter: String,
    /// When, RFC 3339 in UTC.
    pub submitted: String,
    /// Where it stands.
    pub state: JobState,
    /// The same in words: for whom it waits, why it failed.
    pub words: String,
    /// Names of the parties of its roster, once it is fixed.
    pub parties: Vec<String>,
    /// The epoch that runs.
    pub epoch: u64,
}

/// One event of a job's stream; numbers count from 0 without gaps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobEvent {
    /// Its number.
    pub number: u64,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// The new state, where the event is a change of state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<JobState>,
    /// What happened.
    pub progress: Progress,
}

impl Eq for JobEvent {}
