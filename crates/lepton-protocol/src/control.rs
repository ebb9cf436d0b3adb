//! Job control: the messages beside frames, in one envelope (docs/protocols/job-control.md, rule JC-01).
//!
//! Bytes from outside become a [`ControlIn`]; only [`ControlIn::verify`] makes a [`Control`]. Whether certificates and signatures in it are
//! genuine is for the receiver to check against its own federation's root (rule JC-02).

mod event;
mod start;
#[cfg(test)]
mod tests;
mod wire;

use bytes::Bytes;
use lepton_crypto::{IdentityKey, IdentityPublic, Signature, sha256};

pub use event::{JobEvent, JobLine, JobState};
pub use start::StartPart;
pub use wire::{ControlError, ControlIn};

/// Version of the envelope and of the bodies inside it.
pub const VERSION: u32 = 1;

/// Largest job text, in bytes.
pub const MAX_JOB_BYTES: usize = 1 << 20;

/// Largest certificate, in bytes.
pub const MAX_CERTIFICATE_BYTES: usize = 1 << 14;

/// Most characters of a reason.
pub const MAX_WORDS: usize = 2000;

/// Most bytes of a result in one message: results are handed over part by part.
pub const MAX_PART_BYTES: usize = 1 << 22;

/// Most bytes of a model to start from: one that trained numbers of a frame can hold, and what its file says beside them.
pub const MAX_START_BYTES: u64 = (1 << 27) + (1 << 22);

const DOMAIN: &str = "lepton job submission 1";

/// SHA-256 of an effective job text: the job's name everywhere (rule JC-11).
pub type JobDigest = [u8; 32];

/// One message of job control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Which job; all zero where a message is about none.
    pub job: JobDigest,
    /// What is said.
    pub body: Body,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Party: it is here.
    Hello {
        /// The boot number it has drawn (rule JC-08).
        boot: [u8; 16],
        /// Its certificate, for the roster.
        certificate: Vec<u8>,
    },
    /// Scientist: run this.
    Submit(SignedJob),
    /// Coordinator to party: will you take part in this?
    Offer(SignedJob),
    /// Party: its answer to an offer or a roster.
    Answer(Answer),
    /// Coordinator to party: certificates of all who take part, in party order (rule JC-05).
    Roster(Vec<Vec<u8>>),
    /// A frame of the job's own protocols, unverified.
    Frame(Bytes),
    /// Coordinator to party: the job is over.
    Ended(Ended),
    /// Scientist: which jobs are there?
    List,
    /// Scientist: tell me every event from this number on.
    Watch(u64),
    /// Scientist: what was said so far, from this number on, as much as one message takes.
    Log(u64),
    /// Scientist: end it.
    Stop,
    /// Scientist: which results are there?
    Pull,
    /// Scientist: give me this result from this byte on.
    Fetch {
        /// Its name.
        name: String,
        /// The first byte wanted.
        from: u64,
    },
    /// Coordinator: it is done.
    Done(String),
    /// Coordinator: it is not done, and why.
    Refused(Refusal),
    /// Coordinator: the jobs.
    Jobs(Vec<JobLine>),
    /// Coordinator: an event of a watched job.
    Event(Box<JobEvent>),
    /// Coordinator: what a job has said so far, in parts; none at its end.
    Events(Vec<JobEvent>),
    /// Coordinator: the results.
    Files(Vec<FileLine>),
    /// Coordinator: bytes of the result asked for, none at its end.
    Part(Vec<u8>),
    /// Coordinator to submitter, party to coordinator: send the model that the job starts from, from this byte on (rule JC-33).
    Wanted(u64),
    /// The answer: bytes of it.
    Start(StartPart),
    /// Scientist: which checkpoints are there?
    Kept,
}

/// One result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLine {
    /// Its place below the results' folder, with `/` between folders.
    pub name: String,
    /// Its length, in bytes.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
}

/// A party's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It takes part.
    Accepted,
    /// It does not.
    Refused(Refusal),
    /// A person at the party decides.
    AwaitingApproval,
    /// It has joined the roster that was sent to it.
    Joined {
        /// Its boot number (rule JC-08).
        boot: [u8; 16],
        /// The last epoch of the job it was invited to; 0 for none (rule JC-07).
        epoch: u64,
        /// Which roster: [`crate::late::roster_digest`] (rule LJ-07).
        roster: [u8; 32],
    },
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule, such as `policy.submitters` or `data.features`.
    pub rule: String,
    /// In words.
    pub words: String,
}

/// How a job ended, as parties are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Whether there is a model.
    pub finished: bool,
    /// In words.
    pub words: String,
}

/// An effective job text with its submitter's certificate and signature (rule JC-02).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedJob {
    /// Effective job text.
    pub text: String,
    /// The submitter's certificate, as the federation writes it.
    pub certificate: Vec<u8>,
    /// Signature over the text's digest.
    pub signature: Signature,
}

impl SignedJob {
    /// Signs a job text.
    #[must_use]
    pub fn sign(text: String, certificate: Vec<u8>, identity: &IdentityKey) -> Self {
        let signature = identity.sign(DOMAIN, sha256(text.as_bytes()).as_bytes());
        Self {
            text,
            certificate,
            signature,
        }
    }

    /// The job's digest.
    #[must_use]
    pub fn digest(&self) -> JobDigest {
        *sha256(self.text.as_bytes()).as_bytes()
    }

    /// Whether the owner of `key` signed it.
    #[must_use]
    pub fn is_signed_by(&self, key: &IdentityPublic) -> bool {
        key.verify(DOMAIN, &self.digest(), &self.signature).is_ok()
    }
}

/// A reason as others sent it, cut to [`MAX_WORDS`] characters and without control characters: it ends up on terminals and in logs.
#[must_use]
pub fn plain_words(text: &str) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    text.chars().take(MAX_WORDS).map(plain).collect()
}

impl Body {
    /// The word for its kind, as logs have it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Submit(_) => "submit",
            Self::Offer(_) => "offer",
            Self::Answer(_) => "answer",
            Self::Roster(_) => "roster",
            Self::Frame(_) => "frame",
            Self::Ended(_) => "ended",
            Self::List => "list",
            Self::Watch(_) => "watch",
            Self::Log(_) => "log",
            Self::Stop => "stop",
            Self::Pull => "pull",
            Self::Fetch { .. } => "fetch",
            Self::Done(_) => "done",
            Self::Refused(_) => "refused",
            Self::Jobs(_) => "jobs",
            Self::Event(_) => "event",
            Self::Events(_) => "events",
            Self::Files(_) => "files",
            Self::Part(_) => "part",
            Self::Wanted(_) => "wanted",
            Self::Start(_) => "start",
            Self::Kept => "kept",
        }
    }
}

impl Control {
    /// A message about no job.
    #[must_use]
    pub fn of_none(body: Body) -> Self {
        Self { job: [0; 32], body }
    }

    /// A refusal of a request about `job`.
    #[must_use]
    pub fn refused(job: JobDigest, rule: &str, words: impl Into<String>) -> Self {
        Self {
            job,
            body: Body::Refused(Refusal::new(rule, words)),
        }
    }
}

impl Refusal {
    /// A refusal; what is too long is cut.
    #[must_use]
    pub fn new(rule: &str, words: impl Into<String>) -> Self {
        let words: String = words.into();
        Self {
            rule: rule.to_owned(),
            words: words.chars().take(MAX_WORDS).collect(),
        }
    }
}
