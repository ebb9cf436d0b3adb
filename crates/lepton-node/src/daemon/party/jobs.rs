//! The jobs a party was asked to take part in, as it keeps them, and what a person decides about them.

use std::path::{Path, PathBuf};

use lepton_crypto::IdentityPublic;
use lepton_protocol::control::{Answer, Refusal};
use serde::{Deserialize, Serialize};

use super::desk::VIEW;
use super::late::{Growth, Newcomer};
use crate::daemon::record::{Place, StoredJob, job_folders, load, save};
use crate::daemon::{Member, the_one};
use crate::error::NodeError;
use crate::hex::{hex, unhex};
use crate::net::pki::Role;

/// File in which a person's decision is left for the daemon.
pub(super) const DECISION: &str = "decision.json";

/// A party's answer as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub(super) enum StoredAnswer {
    Accepted,
    Refused { rule: String, words: String },
    AwaitingApproval,
}

impl StoredAnswer {
    pub(super) fn message(&self) -> Answer {
        match self {
            Self::Accepted => Answer::Accepted,
            Self::AwaitingApproval => Answer::AwaitingApproval,
            Self::Refused { rule, words } => Answer::Refused(Refusal::new(rule, words.clone())),
        }
    }
}

impl From<Refusal> for StoredAnswer {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            rule: refusal.rule,
            words: refusal.words,
        }
    }
}

/// Everything durable about one job, but for what its machine stores.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) format: String,
    pub(super) submission: StoredJob,
    pub(super) name: String,
    pub(super) submitter: Submitted,
    pub(super) offered: String,
    #[serde(flatten)]
    pub(super) answer: StoredAnswer,
    /// Why, for the party itself: may say what the coordinator is not told.
    pub(super) own_words: Option<String>,
    /// Whether a person approved this very text.
    pub(super) approved: bool,
    /// Whether the store was restored under it (rule JC-14).
    pub(super) given_up: bool,
    /// Whether a person denied it: then it is not considered anew.
    pub(super) denied: bool,
    /// Digest of the rows that it began with, and in which turn (rule JC-18).
    pub(super) rows: Option<(u32, String)>,
    pub(super) roster: Vec<Place>,
    /// Whether a frame of the job ever came: the roster is fixed from then on (rule JC-05), but for newcomers.
    pub(super) invited: bool,
    #[serde(default)]
    pub(super) growth: Growth,
    /// How often the job ended: each time its reservation is given back, and another go needs another.
    pub(super) turn: u32,
    pub(super) ended: Option<EndedAs>,
}

impl Record {
    pub(super) fn is_open(&self) -> bool {
        self.ended.is_none() && !self.given_up
    }
}

/// Who submitted a job, as the certificate said when it was offered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Submitted {
    pub(super) name: String,
    role: Role,
    serial: String,
    key: String,
}

impl Submitted {
    pub(super) fn of(member: &Member) -> Self {
        Self {
            name: member.name.clone(),
            role: member.role,
            serial: member.serial.clone(),
            key: hex(&member.key.to_bytes()),
        }
    }

    /// `None` when the record is damaged.
    pub(super) fn member(&self) -> Option<Member> {
        Some(Member {
            name: self.name.clone(),
            role: self.role,
            key: unhex(&self.key).map(IdentityPublic::from_bytes)?,
            serial: self.serial.clone(),
        })
    }
}

/// How a job ended, as the coordinator said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EndedAs {
    pub(super) finished: bool,
    pub(super) words: String,
    pub(super) at: String,
}

/// A job as a person at the party sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PartyJob {
    /// Its digest, lower-case hexadecimal.
    pub job: String,
    /// Its name.
    pub name: String,
    /// Who submitted it.
    pub submitter: String,
    /// When it was offered.
    pub offered: String,
    /// `accepted`, `refused`, `awaiting approval`, `denied`, `joined`, `finished`, `ended` or `given up`.
    pub state: String,
    /// Why, or how it ended.
    pub words: String,
    /// The roster, once joined.
    pub parties: Vec<String>,
    /// Those of them that joined the running job, and since when.
    #[serde(default)]
    pub joined_late: Vec<Newcomer>,
    /// What would leave the party, in plain words.
    pub explained: String,
    /// The effective job text.
    pub text: String,
    /// Folder with everything the party keeps of it.
    pub folder: PathBuf,
}

/// All jobs that a party was ever offered, from the folder that its daemon writes for people.
///
/// # Errors
/// [`NodeError`] when it cannot be read.
pub fn list(folder: &Path) -> Result<Vec<PartyJob>, NodeError> {
    let mut jobs = Vec::new();
    for (_, folder) in job_folders(folder)? {
        let found = load::<PartyJob>(&folder.join(VIEW))?;
        // Where it was found: the daemon may have been started elsewhere, with paths that begin there.
        jobs.extend(found.map(|job| PartyJob { folder, ..job }));
    }
    jobs.sort_by(|a, b| a.offered.cmp(&b.offered));
    Ok(jobs)
}

pub(super) fn view(
    digest: &[u8; 32],
    record: &Record,
    (folder, explained): (PathBuf, String),
) -> PartyJob {
    let (state, mut words) = match (&record.ended, &record.answer) {
        _ if record.given_up => (
            "given up",
            "the store was restored from a backup".to_owned(),
        ),
        (_, StoredAnswer::Refused { rule, words }) if record.denied => {
            ("denied", format!("{rule}: {words}"))
        }
        (Some(ended), _) if ended.finished => ("finished", ended.words.clone()),
        (Some(ended), _) => ("ended", ended.words.clone()),
        (None, StoredAnswer::Refused { rule, words }) => ("refused", format!("{rule}: {words}")),
        (None, StoredAnswer::AwaitingApproval) => ("awaiting approval", String::new()),
        (None, StoredAnswer::Accepted) if record.roster.is_empty() => ("accepted", String::new()),
        (None, StoredAnswer::Accepted) => ("joined", String::new()),
    };
    if let Some(own) = &record.own_words {
        let space = if words.is_empty() { "" } else { " " };
        words = format!("{words}{space}({own})");
    }
    let parties = record.roster.iter().map(|place| place.name.clone());
    PartyJob {
        job: hex(digest),
        state: state.to_owned(),
        words,
        parties: parties.collect(),
        joined_late: record.growth.newcomers().to_vec(),
        explained,
        text: record.submission.text().to_owned(),
        name: record.name.clone(),
        submitter: format!("{} ({})", record.submitter.name, record.submitter.role),
        offered: record.offered.clone(),
        folder,
    }
}

/// What a person decided about a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Decision {
    /// Whether the party takes part.
    pub approve: bool,
    /// Who decided, as that person says.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
    /// Why, if denied: told to the coordinator.
    pub words: String,
}

/// Leaves a decision about the job whose digest begins with `job` for the party's daemon, which acts on it within seconds or when it starts.
///
/// # Errors
/// [`NodeError::Use`] when no job, or more than one, is meant, or it awaits no approval.
pub fn decide(home: &Path, job: &str, decision: &Decision) -> Result<PartyJob, NodeError> {
    let found = find(home, job)?;
    let withdrawn = found.state == "denied" && decision.approve;
    if found.state != "awaiting approval" && !withdrawn {
        return Err(NodeError::Use(format!(
            "job `{}` awaits no approval: it is {}",
            found.name, found.state
        )));
    }
    save(&found.folder.join(DECISION), decision)?;
    Ok(found)
}

/// The job whose digest begins with `job`, or whose name it is.
///
/// # Errors
/// [`NodeError::Use`] when no job, or more than one, is meant.
pub fn find(home: &Path, job: &str) -> Result<PartyJob, NodeError> {
    let here = "here; `lepton party` lists all with `jobs list`";
    the_one(list(home)?, (job, here), |one| (&one.job, &one.name))
}
