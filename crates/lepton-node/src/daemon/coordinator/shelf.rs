//! What the coordinator keeps of one job: submission, roster, epoch and state, each durable before anybody hears of it (rules JC-07, JC-09).

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use lepton_protocol::control::{JobDigest, JobLine, JobState, SignedJob};
use lepton_protocol::progress::Progress;
use serde::{Deserialize, Serialize};

use super::Desk;
use super::journal::Journal;
use crate::daemon::record::{Documents, Place, StoredJob, job_of, make_folder};
use crate::daemon::{Member, Role, Trail, short};
use crate::error::NodeError;
use crate::hex::hex;
use crate::metrics::JobState as Counted;

/// As stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    format: String,
    pub(super) submission: StoredJob,
    pub(super) name: String,
    pub(super) submitter: Submitter,
    pub(super) submitted: String,
    pub(super) state: JobState,
    pub(super) words: String,
    pub(super) roster: Vec<Place>,
    /// Certificates of the roster, as they were when it was fixed.
    pub(super) certificates: Vec<Vec<u8>>,
    /// The last epoch opened.
    pub(super) epoch: u64,
    /// Parties of the roster that it was opened over: newcomers may stand behind them (rule LJ-06).
    #[serde(default)]
    pub(super) opened: usize,
    /// Whether the store was set back under it (rule JC-14): exchanges may have been charged that it does not know.
    pub(super) restored: bool,
}

/// Whose job it is (rule JC-10).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Submitter {
    pub(super) name: String,
    role: Role,
    /// Identity key, lower-case hexadecimal.
    key: String,
}

impl Submitter {
    fn of(member: &Member) -> Self {
        Self {
            name: member.name.clone(),
            role: member.role,
            key: hex(&member.key.to_bytes()),
        }
    }

    /// Whether the job is this member's: names are unique within a role only.
    pub(super) fn is(&self, member: &Member) -> bool {
        let key = hex(&member.key.to_bytes());
        (&self.name, self.role, &self.key) == (&member.name, member.role, &key)
    }
}

/// One job's place in the coordinator's store.
pub(super) struct Shelf {
    pub(super) job: JobDigest,
    /// For people: events and results.
    folder: PathBuf,
    pub(super) journal: Journal,
    documents: Documents,
    trail: Trail,
    record: Mutex<Record>,
}

impl Shelf {
    /// A new job, durable when this returns.
    pub(super) fn create(
        desk: &Desk,
        (submission, name): (&SignedJob, String),
        submitter: &Member,
    ) -> Result<Arc<Self>, NodeError> {
        let record = Record {
            format: "lepton-coordinator-job/1".to_owned(),
            submission: StoredJob::new(submission),
            name,
            submitter: Submitter::of(submitter),
            submitted: (desk.setup.clock)(),
            state: JobState::Joining,
            words: String::new(),
            roster: Vec::new(),
            certificates: Vec::new(),
            epoch: 0,
            opened: 0,
            restored: false,
        };
        let job = submission.digest();
        desk.setup.trail.job(&job, "submitted")?;
        desk.records.save(&hex(&job), &record)?;
        Self::with(desk, job, record)
    }

    /// The jobs of earlier starts.
    pub(super) fn open_all(desk: &Desk) -> Result<Vec<Arc<Self>>, NodeError> {
        let all = desk.records.all::<Record>()?;
        all.into_iter()
            .map(|(name, record)| Self::with(desk, job_of(&name)?, record))
            .collect()
    }

    fn with(desk: &Desk, job: JobDigest, record: Record) -> Result<Arc<Self>, NodeError> {
        let folder = desk.setup.folder.join(hex(&job));
        make_folder(&folder)?;
        Ok(Arc::new(Self {
            journal: Journal::open(&folder, desk.setup.clock)?,
            documents: desk.records.clone(),
            trail: desk.setup.trail.clone(),
            record: Mutex::new(record),
            folder,
            job,
        }))
    }

    /// The record as it stands.
    pub(super) fn record(&self) -> Record {
        self.record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes the record; durable when this returns.
    pub(super) fn change(&self, change: impl FnOnce(&mut Record)) -> Result<(), NodeError> {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = record.clone();
        change(&mut next);
        self.documents.save(&hex(&self.job), &next)?;
        *record = next;
        Ok(())
    }

    /// A new state with its words, kept and told; nothing where nothing changes.
    pub(super) fn enter(&self, state: JobState, words: &str) -> Result<(), NodeError> {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        if record.state == state && record.words == words {
            return Ok(());
        }
        let mut next = record.clone();
        next.state = state;
        words.clone_into(&mut next.words);
        if record.state != state {
            self.trail.job(&self.job, state.words())?;
            self.count(state);
        }
        self.documents.save(&hex(&self.job), &next)?;
        *record = next;
        let text = match words {
            "" => state.words().to_owned(),
            words => format!("{}: {words}", state.words()),
        };
        tracing::info!(job = short(&self.job), name = record.name, "{text}");
        // Under the lock: whoever sees the new state finds its event in the journal.
        self.journal.add(Progress::Note { text }, Some(state));
        Ok(())
    }

    fn count(&self, now: JobState) {
        let metrics = self.trail.metrics();
        match now {
            JobState::Finished => metrics.job(Counted::Finished),
            JobState::Failed | JobState::Stopped => metrics.job(Counted::Failed),
            _ => {}
        }
    }

    /// Something worth telling.
    pub(super) fn note(&self, text: String) {
        tracing::info!(job = short(&self.job), "{text}");
        self.journal.add(Progress::Note { text }, None);
    }

    /// Its line in a list.
    pub(super) fn line(&self) -> JobLine {
        let record = self.record();
        JobLine {
            job: hex(&self.job),
            name: record.name,
            submitter: record.submitter.name,
            submitted: record.submitted,
            state: record.state,
            words: record.words,
            parties: record.roster.into_iter().map(|place| place.name).collect(),
            epoch: record.epoch,
        }
    }

    /// Folder of the results.
    pub(super) fn results(&self) -> PathBuf {
        let name = self.record().name;
        self.folder.join(format!("{name}-{}", short(&self.job)))
    }
}
