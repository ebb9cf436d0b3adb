//! The model that a job starts from, at a party: asked for once the roster is known, held against what the submitter signed, and kept before the party joins
//! (rule JC-34).

use std::time::{Duration, Instant};

use lepton_crypto::IdentityPublic;
use lepton_protocol::control::{Answer, Body, JobDigest, Refusal, StartPart};
use lepton_protocol::plan::Plan;
use lepton_protocol::store::Store;
use lepton_protocol::training::StartModel;

use super::desk::Desk;
use super::owner::{No, failed};
use super::task::JobTask;
use crate::daemon::record::actor;
use crate::daemon::start::{self, Arriving};
use crate::daemon::{effective, short};
use crate::error::NodeError;

/// How long nothing has to come before it is asked for again: a link may have been lost.
const SILENCE: Duration = Duration::from_secs(10);

/// A start on its way to this party, and for which coordinator's roster it joins then.
pub(super) struct Fetching {
    plan: Plan,
    arriving: Arriving,
    last: Instant,
    pub(super) coordinator: IdentityPublic,
}

fn refused(words: impl Into<String>) -> Refusal {
    Refusal::new("model.start", words)
}

impl Desk {
    /// The start that the job needs and that is not kept here yet.
    fn missing_start(
        &self,
        job: &JobDigest,
        coordinator: IdentityPublic,
    ) -> Result<Option<Fetching>, No> {
        let lost = || NodeError::Internal("the job is not in the store".to_owned());
        let record = self.record(job)?.ok_or_else(lost)?;
        let parsed = effective::admit(record.submission.text())?;
        if !start::named(&parsed) || self.kept_start(job)?.is_some() {
            return Ok(None);
        }
        let plan = effective::plan(parsed, record.roster.len());
        let plan = plan.map_err(|words| Refusal::new("job", words))?;
        let wanted = start::wanted(&plan).map_err(refused)?;
        Ok(wanted.map(|wanted| Fetching {
            plan,
            arriving: Arriving::new(wanted),
            last: Instant::now(),
            coordinator,
        }))
    }

    fn kept_start(&self, job: &JobDigest) -> Result<Option<Vec<u8>>, NodeError> {
        let kept = self.setup().database.store(&actor(job)).get(start::KEY)?;
        Ok(kept.filter(|bytes| !bytes.is_empty()))
    }

    fn keep_start(&self, job: &JobDigest, bytes: &[u8]) -> Result<(), NodeError> {
        let mut store = self.setup().database.store(&actor(job));
        Ok(store.put(start::KEY, bytes)?)
    }

    /// The start, held once more against the job, before anything is set aside for it.
    pub(super) fn start(&self, job: &JobDigest, plan: &Plan) -> Result<Option<StartModel>, No> {
        let Some(wanted) = start::wanted(plan).map_err(refused)? else {
            return Ok(None);
        };
        let bytes = self.kept_start(job)?;
        let bytes = bytes.ok_or_else(|| refused("the model to start from has not come"))?;
        Ok(Some(wanted.open(plan, &bytes).map_err(refused)?))
    }

    /// Lets the start of a job go that is over: if it is taken up again, it is asked for again.
    pub(super) fn forget_start(&self, job: &JobDigest) -> Result<(), NodeError> {
        match self.kept_start(job)? {
            Some(_) => self.keep_start(job, &[]),
            None => Ok(()),
        }
    }
}

impl JobTask {
    /// Whether a start has to come before the roster can be joined; asks for it.
    pub(super) async fn waits_for_start(
        &mut self,
        coordinator: IdentityPublic,
    ) -> Result<Result<bool, Refusal>, NodeError> {
        if let Some(fetching) = &mut self.fetching {
            fetching.coordinator = coordinator;
            if fetching.last.elapsed() >= SILENCE {
                fetching.last = Instant::now();
                let have = fetching.arriving.have();
                self.say(Body::Wanted(have));
            }
            return Ok(Ok(true));
        }
        let job = self.job;
        let missing = self.aside(move |desk| Ok(desk.missing_start(&job, coordinator)));
        Ok(match missing.await? {
            Ok(None) => Ok(false),
            Ok(Some(fetching)) => {
                self.fetching = Some(fetching);
                self.say(Body::Wanted(0));
                Ok(true)
            }
            Err(no) => {
                tracing::error!(job = short(&job), "{}", no.own);
                Err(no.refusal)
            }
        })
    }

    /// A part of the start. With the last one the party joins.
    pub(super) async fn on_start(&mut self, part: StartPart) -> Result<Option<Answer>, NodeError> {
        let Some(fetching) = &mut self.fetching else {
            return Ok(None);
        };
        match fetching.arriving.take(&part) {
            Ok(true) => {}
            // Asked for twice, or of an earlier time.
            Ok(false) => return Ok(None),
            Err(words) => return Ok(Some(self.without_start(words))),
        }
        fetching.last = Instant::now();
        let Some(whole) = fetching.arriving.whole() else {
            let have = fetching.arriving.have();
            self.say(Body::Wanted(have));
            return Ok(None);
        };
        let Some(fetched) = self.fetching.take() else {
            return Ok(None);
        };
        let (job, coordinator) = (self.job, fetched.coordinator);
        let kept = self.aside(move |desk| {
            let opened = fetched.arriving.wanted.open(&fetched.plan, &whole);
            match opened {
                // Half a start, or a wrong one, is never kept.
                Ok(_) => desk.keep_start(&job, &whole).map(Ok),
                Err(words) => Ok(Err(words)),
            }
        });
        match kept.await {
            Ok(Ok(())) => self.join(coordinator).await.map(Some),
            Ok(Err(words)) => Ok(Some(self.without_start(words))),
            Err(error) => {
                tracing::error!(job = short(&job), "the start was not kept: {error}");
                Ok(Some(Answer::Refused(failed())))
            }
        }
    }

    fn without_start(&mut self, words: String) -> Answer {
        self.fetching = None;
        tracing::error!(job = short(&self.job), "not joined: {words}");
        Answer::Refused(refused(words))
    }
}
