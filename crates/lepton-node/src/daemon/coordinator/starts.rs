//! Models that jobs start from: from the submitter, part by part, and on to the parties of the roster (rules JC-33, JC-34).

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use lepton_protocol::control::{Body, Control, JobDigest, Refusal, SignedJob, StartPart};
use lepton_protocol::job::Job;
use lepton_protocol::plan::Plan;
use lepton_protocol::store::Store;
use lepton_protocol::training::StartModel;

use super::course::{Course, Ending};
use super::shelf::Shelf;
use super::{CoordinatorDaemon, Desk};
use crate::daemon::record::actor;
use crate::daemon::start::{self, Arriving};
use crate::daemon::{Member, effective, post};
use crate::error::NodeError;

/// Starts that arrive at a time.
const UPLOADS: usize = 4;

/// Bytes of a part that a party is sent: small, so that a slow link is not taken for a lost one.
const PART: usize = 1 << 20;

/// A submission whose start is on its way: nothing of it is kept.
pub(super) struct Upload {
    job: JobDigest,
    submission: SignedJob,
    name: String,
    plan: Plan,
    arriving: Arriving,
}

/// The start that was asked for last: many parts of it are asked for one after the other.
#[derive(Default)]
pub(super) struct Last(Mutex<Option<(JobDigest, Bytes)>>);

impl Last {
    fn of(&self, desk: &Desk, job: &JobDigest) -> Result<Option<Bytes>, NodeError> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, bytes)) = last.as_ref()
            && of == job
        {
            return Ok(Some(bytes.clone()));
        }
        let found = desk.start(job)?;
        if let Some(bytes) = &found {
            *last = Some((*job, bytes.clone()));
        }
        Ok(found)
    }

    fn forget(&self, job: &JobDigest) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.take_if(|(of, _)| of == job);
    }
}

fn refused(words: impl Into<String>) -> Refusal {
    Refusal::new("model.start", words)
}

impl Desk {
    /// The start of a job, as it is kept; empty ones were let go.
    fn start(&self, job: &JobDigest) -> Result<Option<Bytes>, NodeError> {
        let kept = self.setup.database.store(&actor(job)).get(start::KEY)?;
        Ok(kept.filter(|bytes| !bytes.is_empty()).map(Bytes::from))
    }

    fn keep_start(&self, job: &JobDigest, bytes: &[u8]) -> Result<(), NodeError> {
        self.starts.forget(job);
        let mut store = self.setup.database.store(&actor(job));
        Ok(store.put(start::KEY, bytes)?)
    }
}

impl CoordinatorDaemon {
    /// A submission that names a start is taken once all of it has come: asks for the first part.
    pub(super) fn expect_start(
        &mut self,
        link: u64,
        (job, submission): (JobDigest, &SignedJob),
        parsed: Job,
    ) -> Result<Body, Refusal> {
        let name = parsed.name().to_string();
        let least = self.desk.setup.min_parties;
        let plan =
            effective::smallest_plan(&parsed, least).map_err(|why| Refusal::new("job", why))?;
        let wanted = start::wanted(&plan).map_err(refused)?;
        let wanted = wanted.ok_or_else(|| refused("the job names none"))?;
        let others = self.links.iter().filter(|(other, _)| **other != link);
        if others.filter(|(_, peer)| peer.upload.is_some()).count() >= UPLOADS {
            let words = format!("{UPLOADS} models to start from are on their way; submit it again");
            return Err(Refusal::new("limits.starts", words));
        }
        let upload = Upload {
            job,
            submission: submission.clone(),
            name,
            plan,
            arriving: Arriving::new(wanted),
        };
        if let Some(peer) = self.links.get_mut(&link) {
            peer.upload = Some(Box::new(upload));
        }
        Ok(Body::Wanted(0))
    }

    /// The next part; with the last one the job is submitted.
    pub(super) fn on_start(
        &mut self,
        (member, link): (&Member, u64),
        job: JobDigest,
        part: &StartPart,
    ) -> Result<Body, Refusal> {
        let peer = self.links.get_mut(&link);
        let upload = peer.and_then(|peer| peer.upload.take());
        let Some(mut upload) = upload.filter(|upload| upload.job == job) else {
            return Err(refused("no such model is expected; submit the job first"));
        };
        if !upload.arriving.take(part).map_err(refused)? {
            return Err(refused("its parts came out of order; submit the job again"));
        }
        let Some(whole) = upload.arriving.whole() else {
            let have = upload.arriving.have();
            if let Some(peer) = self.links.get_mut(&link) {
                peer.upload = Some(upload);
            }
            return Ok(Body::Wanted(have));
        };
        let Upload {
            submission,
            name,
            plan,
            arriving,
            ..
        } = *upload;
        arriving.wanted.open(&plan, &whole).map_err(refused)?;
        if self.jobs.contains_key(&job) {
            return self.again(member, (job, &submission));
        }
        self.room_for_one()?;
        // Durable before the job is known: a job that is known has its start (rule JC-33).
        let kept = self.desk.keep_start(&job, &whole);
        kept.map_err(super::requests::not_kept)?;
        self.create(member, (&submission, name))
    }

    /// A party of the roster asks for a part.
    pub(super) fn give_start(&mut self, link: u64, job: JobDigest, from: u64) {
        let (Some(peer), Some(known)) = (self.links.get(&link), self.jobs.get(&job)) else {
            return;
        };
        let record = known.shelf.record();
        let named = record
            .roster
            .iter()
            .any(|place| place.name == peer.member.name && place.key() == Some(peer.member.key));
        let (name, out, desk) = (
            peer.member.name.clone(),
            peer.out.clone(),
            self.desk.clone(),
        );
        self.readers.spawn(async move {
            let Ok(turn) = desk.reading.acquire().await else {
                return;
            };
            let reader = desk.clone();
            let read = tokio::task::spawn_blocking(move || match named {
                true => reader.starts.of(&reader, &job),
                false => Ok(None),
            });
            let read = read.await;
            drop(turn);
            let part = match read {
                Ok(Ok(whole)) => whole.and_then(|whole| StartPart::cut(&whole, from, PART)),
                Ok(Err(error)) => {
                    tracing::error!("a start cannot be read: {error}");
                    None
                }
                Err(_) => None,
            };
            let message = match part {
                Some(part) => {
                    let body = Body::Start(part);
                    Control { job, body }
                }
                None => {
                    Control::refused(job, "model.start", "there is no such part for this party")
                }
            };
            // As with results: whoever asks for more than it takes loses its link.
            if let Ok(false) = post(&desk.setup.trail, (&name, &out), &message) {
                let _ = desk.full.send(link);
            }
        });
    }
}

impl Course {
    /// What the job's training begins from.
    pub(super) fn start(&self, plan: &Plan) -> Result<Option<StartModel>, Ending> {
        let wanted = start::wanted(plan).map_err(Ending::Failed)?;
        let Some(wanted) = wanted else {
            return Ok(None);
        };
        let bytes = self.desk.start(&self.shelf.job)?;
        let bytes = bytes.ok_or_else(|| {
            Ending::Failed("the model that the job starts from is not in the store; submit it again under another job.name".to_owned())
        })?;
        // Everybody of the roster has it by now.
        self.desk.starts.forget(&self.shelf.job);
        wanted.open(plan, &bytes).map(Some).map_err(Ending::Failed)
    }

    /// Lets the start go, once nothing can begin from it any more.
    pub(super) fn release_start(&self, plan: &Plan) -> Result<(), Ending> {
        if start::named(plan.job()) {
            self.desk.keep_start(&self.shelf.job, &[])?;
        }
        Ok(())
    }
}

impl CoordinatorDaemon {
    /// A new job, from here on known.
    pub(super) fn create(
        &mut self,
        member: &Member,
        submission: (&SignedJob, String),
    ) -> Result<Body, Refusal> {
        let shelf = Shelf::create(&self.desk, submission, member);
        self.begin(shelf.map_err(super::requests::not_kept)?);
        Ok(Body::Done("submitted".to_owned()))
    }
}
