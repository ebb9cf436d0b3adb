//! The envelope's bytes, and what is checked of them.

use bytes::Bytes;
use lepton_crypto::Signature;
use prost::Message;

use super::start::StartPartIn;
use super::{
    Answer, Body, Control, Ended, FileLine, MAX_CERTIFICATE_BYTES, MAX_JOB_BYTES, MAX_PART_BYTES,
    MAX_WORDS, Refusal, SignedJob, VERSION, plain_words,
};
use crate::frame::MAX_FRAME_BYTES;

/// Most parties of a roster.
const MAX_ROSTER: usize = 1 << 14;

/// Most bytes of a list of jobs or of one event.
const MAX_JSON: usize = 1 << 24;

/// Most files of a result.
const MAX_FILES: usize = 64;

/// An envelope as it came from outside: nothing in it may be believed before [`ControlIn::verify`].
#[derive(Clone, PartialEq, Message)]
pub struct ControlIn {
    /// Format version.
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// Job digest, or empty.
    #[prost(bytes = "vec", tag = "2")]
    pub job: Vec<u8>,
    /// What is said.
    #[prost(
        oneof = "BodyIn",
        tags = "10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 40, 41, 42"
    )]
    pub body: Option<BodyIn>,
}

/// A body as it came from outside.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum BodyIn {
    /// A party is here.
    #[prost(message, tag = "10")]
    Hello(HelloIn),
    /// A submission.
    #[prost(message, tag = "11")]
    Submit(SignedJobIn),
    /// An offer.
    #[prost(message, tag = "12")]
    Offer(SignedJobIn),
    /// An answer.
    #[prost(message, tag = "13")]
    Answer(AnswerIn),
    /// A roster.
    #[prost(message, tag = "14")]
    Roster(RosterIn),
    /// A frame.
    #[prost(bytes = "bytes", tag = "15")]
    Frame(Bytes),
    /// The end.
    #[prost(message, tag = "16")]
    Ended(EndedIn),
    /// List.
    #[prost(message, tag = "17")]
    List(NothingIn),
    /// Watch from this event on.
    #[prost(uint64, tag = "18")]
    Watch(u64),
    /// Stop.
    #[prost(message, tag = "19")]
    Stop(NothingIn),
    /// Pull.
    #[prost(message, tag = "20")]
    Pull(NothingIn),
    /// Done.
    #[prost(string, tag = "21")]
    Done(String),
    /// Refused.
    #[prost(message, tag = "22")]
    Refused(RefusalIn),
    /// Jobs, as JSON.
    #[prost(string, tag = "23")]
    Jobs(String),
    /// An event, as JSON.
    #[prost(string, tag = "24")]
    Event(String),
    /// Files.
    #[prost(message, tag = "25")]
    Files(FilesIn),
    /// Fetch a file.
    #[prost(message, tag = "26")]
    Fetch(FetchIn),
    /// Part of a file.
    #[prost(bytes, tag = "27")]
    Part(Vec<u8>),
    /// Events so far, from this one on.
    #[prost(uint64, tag = "28")]
    Log(u64),
    /// Events, as JSON.
    #[prost(string, tag = "29")]
    Events(String),
    /// Send the start from this byte on.
    #[prost(uint64, tag = "40")]
    Wanted(u64),
    /// Bytes of a start.
    #[prost(message, tag = "41")]
    Start(StartPartIn),
    /// List checkpoints.
    #[prost(message, tag = "42")]
    Kept(NothingIn),
}

/// A boot number and a certificate.
#[derive(Clone, PartialEq, Message)]
pub struct HelloIn {
    /// Boot number.
    #[prost(bytes = "vec", tag = "1")]
    pub boot: Vec<u8>,
    /// The party's certificate.
    #[prost(bytes = "vec", tag = "2")]
    pub certificate: Vec<u8>,
}

/// No fields.
#[derive(Clone, PartialEq, Message)]
pub struct NothingIn {}

/// See [`SignedJob`].
#[derive(Clone, PartialEq, Message)]
pub struct SignedJobIn {
    /// Effective job text.
    #[prost(string, tag = "1")]
    pub text: String,
    /// The submitter's certificate.
    #[prost(bytes = "vec", tag = "2")]
    pub certificate: Vec<u8>,
    /// Ed25519 signature.
    #[prost(bytes = "vec", tag = "3")]
    pub signature: Vec<u8>,
}

/// See [`Answer`].
#[derive(Clone, PartialEq, Message)]
pub struct AnswerIn {
    /// 1 accepted, 2 refused, 3 awaiting approval, 4 joined.
    #[prost(uint32, tag = "1")]
    pub verdict: u32,
    /// Why refused.
    #[prost(message, optional, tag = "2")]
    pub refusal: Option<RefusalIn>,
    /// Boot number of a joined party.
    #[prost(bytes = "vec", tag = "3")]
    pub boot: Vec<u8>,
    /// Last epoch of a joined party.
    #[prost(uint64, tag = "4")]
    pub epoch: u64,
    /// Digest of the roster of a joined party, 32 bytes.
    #[prost(bytes = "vec", tag = "5")]
    pub roster: Vec<u8>,
}

/// See [`Refusal`].
#[derive(Clone, PartialEq, Message)]
pub struct RefusalIn {
    /// The rule.
    #[prost(string, tag = "1")]
    pub rule: String,
    /// In words.
    #[prost(string, tag = "2")]
    pub words: String,
}

/// Certificates in party order.
#[derive(Clone, PartialEq, Message)]
pub struct RosterIn {
    /// One per party.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub certificates: Vec<Vec<u8>>,
}

/// See [`Ended`].
#[derive(Clone, PartialEq, Message)]
pub struct EndedIn {
    /// Whether there is a model.
    #[prost(bool, tag = "1")]
    pub finished: bool,
    /// In words.
    #[prost(string, tag = "2")]
    pub words: String,
}

/// Results.
#[derive(Clone, PartialEq, Message)]
pub struct FilesIn {
    /// One per file.
    #[prost(message, repeated, tag = "1")]
    pub files: Vec<FileIn>,
}

/// One result.
#[derive(Clone, PartialEq, Message)]
pub struct FileIn {
    /// Its name within the results' folder.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its length.
    #[prost(uint64, tag = "2")]
    pub bytes: u64,
    /// SHA-256 of its content.
    #[prost(bytes = "vec", tag = "3")]
    pub sha256: Vec<u8>,
}

/// A file and a place in it.
#[derive(Clone, PartialEq, Message)]
pub struct FetchIn {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The first byte wanted.
    #[prost(uint64, tag = "2")]
    pub from: u64,
}

/// Why a message was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Not an envelope, or a field is wrong.
    #[error("a malformed message: {0}")]
    Malformed(&'static str),
    /// From another version of the program.
    #[error(
        "job control version {0} is not understood (this program speaks version {VERSION}); use the same release everywhere"
    )]
    Version(u32),
    /// Longer than its kind may be.
    #[error("{what} of {have} bytes is longer than the {most} bytes it may have")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How long it is.
        have: usize,
        /// How long it may be.
        most: usize,
    },
}

impl ControlIn {
    /// Reads an envelope without believing it; a frame in it is a part of `bytes`, not a copy.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, ControlError> {
        let bytes = bytes.into();
        within("a message", bytes.len(), MAX_FRAME_BYTES + MAX_JSON)?;
        Self::decode(bytes).map_err(|_| ControlError::Malformed("the bytes are not an envelope"))
    }

    /// Checks version, digest and every field (rule JC-01).
    ///
    /// # Errors
    /// [`ControlError`] naming what is wrong.
    pub fn verify(self) -> Result<Control, ControlError> {
        if self.version != VERSION {
            return Err(ControlError::Version(self.version));
        }
        let job = match self.job.len() {
            0 => [0; 32],
            _ => fixed(&self.job, "the job digest has a wrong length")?,
        };
        let body = self
            .body
            .ok_or(ControlError::Malformed("it says nothing"))?;
        Ok(Control {
            job,
            body: body.verify()?,
        })
    }
}

impl BodyIn {
    fn verify(self) -> Result<Body, ControlError> {
        Ok(match self {
            Self::Hello(hello) => {
                within(
                    "a certificate",
                    hello.certificate.len(),
                    MAX_CERTIFICATE_BYTES,
                )?;
                Body::Hello {
                    boot: fixed(&hello.boot, "the boot number has a wrong length")?,
                    certificate: hello.certificate,
                }
            }
            Self::Submit(job) => Body::Submit(job.verify()?),
            Self::Offer(job) => Body::Offer(job.verify()?),
            Self::Answer(answer) => Body::Answer(answer.verify()?),
            Self::Roster(roster) => Body::Roster(roster.verify()?),
            Self::Frame(bytes) => {
                within("a frame", bytes.len(), MAX_FRAME_BYTES)?;
                Body::Frame(bytes)
            }
            Self::Ended(ended) => Body::Ended(Ended {
                finished: ended.finished,
                words: words(ended.words)?,
            }),
            Self::List(_) => Body::List,
            Self::Watch(from) => Body::Watch(from),
            Self::Stop(_) => Body::Stop,
            Self::Log(from) => Body::Log(from),
            Self::Events(json) => Body::Events(from_json(&json)?),
            Self::Pull(_) => Body::Pull,
            Self::Done(text) => Body::Done(words(text)?),
            Self::Refused(refusal) => Body::Refused(refusal.verify()?),
            Self::Jobs(json) => Body::Jobs(from_json(&json)?),
            Self::Event(json) => Body::Event(from_json(&json)?),
            Self::Files(files) => Body::Files(files.verify()?),
            Self::Fetch(FetchIn { name, from }) => Body::Fetch {
                name: place(name)?,
                from,
            },
            Self::Part(bytes) => {
                within("a part of a file", bytes.len(), MAX_PART_BYTES)?;
                Body::Part(bytes)
            }
            Self::Wanted(from) => Body::Wanted(from),
            Self::Start(part) => Body::Start(part.verify()?),
            Self::Kept(_) => Body::Kept,
        })
    }
}

impl SignedJobIn {
    fn verify(self) -> Result<SignedJob, ControlError> {
        within("a job", self.text.len(), MAX_JOB_BYTES)?;
        within(
            "a certificate",
            self.certificate.len(),
            MAX_CERTIFICATE_BYTES,
        )?;
        Ok(SignedJob {
            signature: Signature::from_bytes(fixed(
                &self.signature,
                "the signature has a wrong length",
            )?),
            text: self.text,
            certificate: self.certificate,
        })
    }
}

impl AnswerIn {
    fn verify(self) -> Result<Answer, ControlError> {
        Ok(match self.verdict {
            1 => Answer::Accepted,
            2 => Answer::Refused(self.refusal.unwrap_or_default().verify()?),
            3 => Answer::AwaitingApproval,
            4 => Answer::Joined {
                boot: fixed(&self.boot, "the boot number has a wrong length")?,
                epoch: self.epoch,
                roster: fixed(&self.roster, "the digest of the roster has a wrong length")?,
            },
            _ => return Err(ControlError::Malformed("an unknown answer")),
        })
    }
}

impl RefusalIn {
    fn verify(self) -> Result<Refusal, ControlError> {
        within("a rule", self.rule.len(), 200)?;
        // It ends up on terminals.
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if self.rule.is_empty() || !self.rule.bytes().all(letter) {
            return Err(ControlError::Malformed("a rule that is none"));
        }
        Ok(Refusal {
            rule: self.rule,
            words: words(self.words)?,
        })
    }
}

impl RosterIn {
    pub(super) fn verify(self) -> Result<Vec<Vec<u8>>, ControlError> {
        if self.certificates.len() > MAX_ROSTER {
            return Err(ControlError::Malformed(
                "more parties than a roster can have",
            ));
        }
        for certificate in &self.certificates {
            within("a certificate", certificate.len(), MAX_CERTIFICATE_BYTES)?;
        }
        Ok(self.certificates)
    }
}

impl FilesIn {
    pub(super) fn verify(self) -> Result<Vec<FileLine>, ControlError> {
        if self.files.len() > MAX_FILES {
            return Err(ControlError::Malformed("more files than a result can have"));
        }
        let line = |file: FileIn| {
            Ok(FileLine {
                name: place(file.name)?,
                bytes: file.bytes,
                sha256: fixed(&file.sha256, "the digest of a file has a wrong length")?,
            })
        };
        self.files.into_iter().map(line).collect()
    }
}

/// A place below a folder of results. The puller writes there: nothing leads out of the folder, nothing is hidden.
fn place(name: String) -> Result<String, ControlError> {
    let safe = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    let plain = |part: &str| {
        !part.is_empty() && part.len() <= 100 && !part.starts_with('.') && part.chars().all(safe)
    };
    if name.split('/').count() > 3 || !name.split('/').all(plain) {
        return Err(ControlError::Malformed("a file name that is none"));
    }
    Ok(name)
}

impl Control {
    /// The envelope's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let job = if self.job == [0; 32] {
            Vec::new()
        } else {
            self.job.to_vec()
        };
        ControlIn {
            version: VERSION,
            job,
            body: Some(self.body.to_wire()),
        }
        .encode_to_vec()
    }

    /// Reads and checks an envelope.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, ControlError> {
        ControlIn::parse(bytes)?.verify()
    }
}

impl Body {
    fn to_wire(&self) -> BodyIn {
        match self {
            Self::Hello { boot, certificate } => BodyIn::Hello(HelloIn {
                boot: boot.to_vec(),
                certificate: certificate.clone(),
            }),
            Self::Submit(job) => BodyIn::Submit(job.to_wire()),
            Self::Offer(job) => BodyIn::Offer(job.to_wire()),
            Self::Answer(answer) => BodyIn::Answer(answer.to_wire()),
            Self::Roster(certificates) => BodyIn::Roster(RosterIn {
                certificates: certificates.clone(),
            }),
            Self::Frame(bytes) => BodyIn::Frame(bytes.clone()),
            Self::Ended(ended) => BodyIn::Ended(EndedIn {
                finished: ended.finished,
                words: ended.words.clone(),
            }),
            Self::List => BodyIn::List(NothingIn {}),
            Self::Watch(from) => BodyIn::Watch(*from),
            Self::Stop => BodyIn::Stop(NothingIn {}),
            Self::Log(from) => BodyIn::Log(*from),
            Self::Events(events) => BodyIn::Events(to_json(events)),
            Self::Pull => BodyIn::Pull(NothingIn {}),
            Self::Done(words) => BodyIn::Done(words.clone()),
            Self::Refused(refusal) => BodyIn::Refused(refusal.to_wire()),
            Self::Jobs(jobs) => BodyIn::Jobs(to_json(jobs)),
            Self::Event(event) => BodyIn::Event(to_json(event)),
            Self::Files(files) => BodyIn::Files(FilesIn {
                files: files
                    .iter()
                    .map(|file| FileIn {
                        name: file.name.clone(),
                        bytes: file.bytes,
                        sha256: file.sha256.to_vec(),
                    })
                    .collect(),
            }),
            Self::Fetch { name, from } => BodyIn::Fetch(FetchIn {
                name: name.clone(),
                from: *from,
            }),
            Self::Part(bytes) => BodyIn::Part(bytes.clone()),
            Self::Wanted(from) => BodyIn::Wanted(*from),
            Self::Start(part) => BodyIn::Start(part.to_wire()),
            Self::Kept => BodyIn::Kept(NothingIn {}),
        }
    }
}

impl SignedJob {
    fn to_wire(&self) -> SignedJobIn {
        SignedJobIn {
            text: self.text.clone(),
            certificate: self.certificate.clone(),
            signature: self.signature.to_bytes().to_vec(),
        }
    }
}

impl Answer {
    fn to_wire(&self) -> AnswerIn {
        let mut wire = AnswerIn::default();
        match self {
            Self::Accepted => wire.verdict = 1,
            Self::Refused(refusal) => {
                wire.verdict = 2;
                wire.refusal = Some(refusal.to_wire());
            }
            Self::AwaitingApproval => wire.verdict = 3,
            Self::Joined {
                boot,
                epoch,
                roster,
            } => {
                (wire.verdict, wire.epoch) = (4, *epoch);
                wire.boot = boot.to_vec();
                wire.roster = roster.to_vec();
            }
        }
        wire
    }
}

impl Refusal {
    fn to_wire(&self) -> RefusalIn {
        RefusalIn {
            rule: self.rule.clone(),
            words: self.words.clone(),
        }
    }
}

fn fixed<const N: usize>(bytes: &[u8], problem: &'static str) -> Result<[u8; N], ControlError> {
    bytes
        .try_into()
        .map_err(|_| ControlError::Malformed(problem))
}

pub(super) fn within(what: &'static str, have: usize, most: usize) -> Result<(), ControlError> {
    if have > most {
        return Err(ControlError::TooLarge { what, have, most });
    }
    Ok(())
}

/// Words end up on terminals: no control characters.
fn words(text: String) -> Result<String, ControlError> {
    within("a reason", text.len(), MAX_WORDS * 4)?;
    Ok(plain_words(&text))
}

fn to_json(document: &impl serde::Serialize) -> String {
    // Plain structs of strings and numbers always have a JSON form.
    serde_json::to_string(document).unwrap_or_default()
}

fn from_json<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, ControlError> {
    within("a document", json.len(), MAX_JSON)?;
    serde_json::from_str(json)
        .map_err(|_| ControlError::Malformed("a document that cannot be read"))
}
