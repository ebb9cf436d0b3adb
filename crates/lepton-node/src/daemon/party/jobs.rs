//! The jobs a party was asked to take part in, as it keeps them, and what a person decides about them.

use std::path::{Path, PathBuf};

use lepton_protocol::control::{Answer, Refusal};
use lepton_protocol::job::Job;
use serde::{Deserialize, Serialize};

use crate::daemon::effective;
use crate::daemon::record::{Place, StoredJob, job_folders, load, save};
use crate::error::NodeError;
use crate::simulate::hex;

/// File of a job at a party.
pub(super) const JOB: &str = "job.json";

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
    pub(super) submitter: String,
    pub(super) offered: String,
    #[serde(flatten)]
    pub(super) answer: StoredAnswer,
    /// Why, for the party itself: may say what the coordinator is not told.
    pub(super) own_words: Option<String>,
    pub(super) roster: Vec<Place>,
    /// Whether a frame of the job ever came: the roster is fixed from then on (rule JC-05).
    pub(super) invited: bool,
    /// How often the job ended: each time its reservation is given back, and another go needs another.
    pub(super) turn: u32,
    pub(super) ended: Option<EndedAs>,
}

/// How a job ended, as the coordinator said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EndedAs {
    pub(super) finished: bool,
    pub(super) words: String,
    pub(super) at: String,
}

/// A job as a person at the party sees it.
#[derive(Debug, Clone, Serialize)]
pub struct PartyJob {
    /// Its digest, lower-case hexadecimal.
    pub job: String,
    /// Its name.
    pub name: String,
    /// Who submitted it.
    pub submitter: String,
    /// When it was offered.
    pub offered: String,
    /// `accepted`, `refused`, `awaiting approval`, `joined`, `finished` or `ended`.
    pub state: String,
    /// Why, or how it ended.
    pub words: String,
    /// The roster, once joined.
    pub parties: Vec<String>,
    /// The effective job text.
    pub text: String,
    /// Folder with everything the party keeps of it.
    pub folder: PathBuf,
}

/// All jobs that a party's store knows.
///
/// # Errors
/// [`NodeError`] when it cannot be read.
pub fn list(home: &Path) -> Result<Vec<PartyJob>, NodeError> {
    let mut jobs = Vec::new();
    for (digest, folder) in job_folders(home)? {
        if let Some(record) = load::<Record>(&folder.join(JOB))? {
            jobs.push(view(&digest, record, folder));
        }
    }
    jobs.sort_by(|a, b| a.offered.cmp(&b.offered));
    Ok(jobs)
}

fn view(digest: &[u8; 32], record: Record, folder: PathBuf) -> PartyJob {
    let (state, mut words) = match (&record.ended, &record.answer) {
        (Some(ended), _) if ended.finished => ("finished", ended.words.clone()),
        (Some(ended), _) => ("ended", ended.words.clone()),
        (None, StoredAnswer::Refused { rule, words }) => ("refused", format!("{rule}: {words}")),
        (None, StoredAnswer::AwaitingApproval) => ("awaiting approval", String::new()),
        (None, StoredAnswer::Accepted) if record.roster.is_empty() => ("accepted", String::new()),
        (None, StoredAnswer::Accepted) => ("joined", String::new()),
    };
    if let Some(own) = &record.own_words {
        words = format!("{words} ({own})");
    }
    PartyJob {
        job: hex(digest),
        state: state.to_owned(),
        words,
        parties: record
            .roster
            .iter()
            .map(|place| place.name.clone())
            .collect(),
        text: record.submission.text().to_owned(),
        name: record.name,
        submitter: record.submitter,
        offered: record.offered,
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
    if found.state != "awaiting approval" {
        return Err(NodeError::Use(format!(
            "job `{}` awaits no approval: it is {}",
            found.name, found.state
        )));
    }
    save(&found.folder.join(DECISION), decision)?;
    Ok(found)
}

/// The job whose digest begins with `job`, or whose name it is, with what would leave the party in plain words.
///
/// # Errors
/// [`NodeError::Use`] when no job, or more than one, is meant.
pub fn explain(home: &Path, job: &str) -> Result<(PartyJob, String), NodeError> {
    let found = find(home, job)?;
    let parsed = Job::parse("the job", &found.text, &[])?;
    let words = in_words(&parsed, &found);
    Ok((found, words))
}

fn find(home: &Path, job: &str) -> Result<PartyJob, NodeError> {
    let mut found: Vec<PartyJob> = list(home)?
        .into_iter()
        .filter(|one| one.job.starts_with(job) || one.name == job)
        .collect();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(NodeError::Use(format!(
            "{job:?} means several jobs; give more of the digest"
        ))),
        (None, _) => Err(NodeError::Use(format!(
            "there is no job {job:?} here; `lepton party jobs list` shows all"
        ))),
    }
}

fn in_words(job: &Job, found: &PartyJob) -> String {
    let data = job.data();
    let columns = data.features.clone().unwrap_or_default();
    let mut text = format!(
        "Job `{}`, submitted by {}, would train a model that predicts `{}` from {} columns of table `{}`: {}.\n\n",
        found.name,
        found.submitter,
        data.label,
        columns.len(),
        effective::table_name(job).unwrap_or_default(),
        columns.join(", ")
    );
    text += "What would leave this party:\n";
    let rounds = job.training().rounds.get();
    text += "- masked vectors only. The coordinator adds them over all parties and learns the sums, nothing about one party's share:\n";
    text += "  row counts, class counts, means and spreads of the columns (once),\n";
    text += &format!("  a change of the model ({rounds} times),\n");
    text += "  counts of right and wrong predictions on rows kept aside (now and then).\n";
    text += "- that this party takes part, when it answers, and how long its messages are.\n";
    text += &match job.privacy() {
        Some(goal) => format!(
            "\nEach {:?} would be protected with epsilon {} at delta {:e}: noise that this party adds itself. The whole cost is set aside in this party's ledger before the job begins.\n",
            goal.unit,
            goal.epsilon.get(),
            goal.delta.get()
        ),
        None => "\nWARNING: the job has no privacy goal. The sums are exact: the model, the metrics and differences between rounds may reveal single rows.\n".to_owned(),
    };
    text + "\nNo row of the table leaves this party.\n"
}
