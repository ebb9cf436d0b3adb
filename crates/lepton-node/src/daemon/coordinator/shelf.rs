//! What the coordinator keeps of one job: submission, roster, epoch and state, each durable before anybody hears of it (rules JC-07, JC-09).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lepton_protocol::control::{JobDigest, JobLine, JobState, SignedJob};
use lepton_protocol::progress::Progress;
use serde::{Deserialize, Serialize};

use super::journal::Journal;
use crate::daemon::record::{Place, StoredJob, load, save};
use crate::daemon::{Clock, Member, short};
use crate::error::NodeError;
use crate::simulate::hex;

const JOB: &str = "job.json";

/// As stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    format: String,
    pub(super) submission: StoredJob,
    pub(super) name: String,
    pub(super) submitter: String,
    pub(super) submitted: String,
    pub(super) state: JobState,
    pub(super) words: String,
    pub(super) roster: Vec<Place>,
    /// Certificates of the roster, as they were when it was fixed.
    pub(super) certificates: Vec<Vec<u8>>,
    /// The last epoch opened.
    pub(super) epoch: u64,
}

/// One job's place in the coordinator's store.
pub(super) struct Shelf {
    pub(super) job: JobDigest,
    pub(super) folder: PathBuf,
    pub(super) journal: Journal,
    record: Mutex<Record>,
}

impl Shelf {
    /// A new job, durable when this returns.
    pub(super) fn create(
        home: &Path,
        (submission, name): (&SignedJob, String),
        submitter: &Member,
        clock: Clock,
    ) -> Result<Arc<Self>, NodeError> {
        let job = submission.digest();
        let folder = home.join("jobs").join(hex(&job));
        let record = Record {
            format: "lepton-coordinator-job/1".to_owned(),
            submission: StoredJob::new(submission),
            name,
            submitter: submitter.name.clone(),
            submitted: clock(),
            state: JobState::Joining,
            words: String::new(),
            roster: Vec::new(),
            certificates: Vec::new(),
            epoch: 0,
        };
        save(&folder.join(JOB), &record)?;
        Self::with(job, folder, record, clock)
    }

    /// A job of an earlier start; `None` where a folder holds none.
    pub(super) fn open(
        job: JobDigest,
        folder: PathBuf,
        clock: Clock,
    ) -> Result<Option<Arc<Self>>, NodeError> {
        match load(&folder.join(JOB))? {
            Some(record) => Self::with(job, folder, record, clock).map(Some),
            None => Ok(None),
        }
    }

    fn with(
        job: JobDigest,
        folder: PathBuf,
        record: Record,
        clock: Clock,
    ) -> Result<Arc<Self>, NodeError> {
        Ok(Arc::new(Self {
            journal: Journal::open(&folder, clock)?,
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
        save(&self.folder.join(JOB), &next)?;
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
        save(&self.folder.join(JOB), &next)?;
        *record = next;
        let text = match words {
            "" => state.words().to_owned(),
            words => format!("{}: {words}", state.words()),
        };
        tracing::info!(job = short(&self.job), name = record.name, "{text}");
        // Under the lock: whoever sees the new state finds its event in the journal.
        self.journal.add(Progress::Note { text }, Some(state))
    }

    /// Something worth telling.
    pub(super) fn note(&self, text: String) -> Result<(), NodeError> {
        tracing::info!(job = short(&self.job), "{text}");
        self.journal.add(Progress::Note { text }, None)
    }

    /// Its line in a list.
    pub(super) fn line(&self) -> JobLine {
        let record = self.record();
        JobLine {
            job: hex(&self.job),
            name: record.name,
            submitter: record.submitter,
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
