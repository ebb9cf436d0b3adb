//! One job at a party (rule JC-19): everything that happens to it happens here, one thing after the other, so that there is never more than one machine of a job,
//! and the record, the roster and the machine always agree (rules JC-05, JC-06, FT-11).

use std::sync::Arc;

use bytes::Bytes;
use lepton_crypto::IdentityPublic;
use lepton_protocol::control::{
    Answer, Body, Control, Ended, JobDigest, Refusal, SignedJob, StartPart,
};
use tokio::sync::mpsc;

use super::Inner;
use super::desk::Desk;
use super::jobs::Decision;
use super::machine::JobMachine;
use super::start::Fetching;
use crate::daemon::short;
use crate::error::NodeError;

/// What happens to a job.
pub(super) enum Input {
    /// It is offered.
    Offer(SignedJob),
    /// A roster, and the coordinator that sends it.
    Roster(Vec<Vec<u8>>, IdentityPublic),
    /// A frame of its protocols.
    Frame(Bytes),
    /// A person decided.
    Decided(Decision),
    /// The coordinator says that it is over.
    Ended(Ended),
    /// Bytes of the model that it starts from.
    Start(StartPart),
}

pub(super) struct JobTask {
    pub(super) job: JobDigest,
    pub(super) boot: [u8; 16],
    pub(super) desk: Arc<Desk>,
    pub(super) out: mpsc::UnboundedSender<Inner>,
    pub(super) machine: Option<JobMachine>,
    /// A start that is on its way.
    pub(super) fetching: Option<Fetching>,
}

impl JobTask {
    /// Until the daemon stops, or the store or the audit log fails.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Input>) {
        while let Some(input) = inbox.recv().await {
            let answer = match self.on(input).await {
                Ok(answer) => answer,
                Err(error) => {
                    // The daemon may be stopping.
                    let _ = self.out.send(Inner::Fatal(error));
                    return;
                }
            };
            if let Some(answer) = answer {
                self.say(Body::Answer(answer));
            }
        }
    }

    pub(super) fn say(&self, body: Body) {
        // The daemon may be stopping.
        let _ = self.out.send(Inner::Say(Control {
            job: self.job,
            body,
        }));
    }

    async fn on(&mut self, input: Input) -> Result<Option<Answer>, NodeError> {
        match input {
            Input::Offer(offer) => {
                let job = self.job;
                let considered = self.aside(move |desk| Ok(desk.consider(job, &offer)));
                considered.await.map(Some)
            }
            Input::Roster(certificates, coordinator) => {
                self.on_roster(certificates, coordinator).await
            }
            Input::Frame(bytes) => self.on_frame(bytes).await,
            Input::Decided(decision) => {
                let job = self.job;
                self.aside(move |desk| desk.person_decided(&job, decision))
                    .await
            }
            Input::Ended(ended) => {
                // All frames that came before it were taken: this ends the machine and wipes its keys.
                self.machine = None;
                self.fetching = None;
                let job = self.job;
                let over = move |desk: &Desk| {
                    desk.ended(&job, &ended)?;
                    desk.forget_start(&job)
                };
                self.aside(over).await?;
                Ok(None)
            }
            Input::Start(part) => self.on_start(part).await,
        }
    }

    /// Work that may wait for the disk.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Desk) -> Result<T, NodeError> + Send + 'static,
    ) -> Result<T, NodeError> {
        let desk = Arc::clone(&self.desk);
        let done = tokio::task::spawn_blocking(move || work(&desk)).await;
        done.map_err(|error| NodeError::Internal(error.to_string()))?
    }

    async fn on_roster(
        &mut self,
        certificates: Vec<Vec<u8>>,
        coordinator: IdentityPublic,
    ) -> Result<Option<Answer>, NodeError> {
        let job = self.job;
        let joined = self.aside(move |desk| Ok(desk.join(job, &certificates)));
        let joined = match joined.await? {
            Ok(joined) => joined,
            Err(refusal) => return Ok(Some(refused(&job, refusal))),
        };
        let kept = self.machine.as_ref();
        let kept = kept.filter(|machine| !joined.changed && machine.coordinator() == coordinator);
        let boot = self.boot;
        let roster = joined.roster;
        if kept.is_some() {
            // It lives, and holds the keys of the epoch (rule JC-08).
            let epoch = joined.epoch;
            return Ok(Some(Answer::Joined {
                boot,
                epoch,
                roster,
            }));
        }
        match self.waits_for_start(coordinator).await? {
            Ok(true) => Ok(None),
            Ok(false) => self.join(coordinator).await.map(Some),
            Err(refusal) => Ok(Some(refused(&job, refusal))),
        }
    }

    /// Builds the machine for the roster on record.
    pub(super) async fn join(&mut self, coordinator: IdentityPublic) -> Result<Answer, NodeError> {
        let (job, boot) = (self.job, self.boot);
        // The old one is gone before the new one reads what it left.
        self.machine = None;
        let made = self.aside(move |desk| {
            let made = desk.machine(job, coordinator);
            let roster = desk.roster_digest(&job)?;
            Ok(made.map(|machine| (machine, roster)))
        });
        match made.await? {
            Ok((machine, roster)) => {
                let epoch = machine.last_epoch();
                self.machine = Some(machine);
                self.desk.setup().trail.job(&job, "joined")?;
                tracing::info!(job = short(&job), "joined");
                Ok(Answer::Joined {
                    boot,
                    epoch,
                    roster,
                })
            }
            Err(refusal) => Ok(refused(&job, refusal)),
        }
    }

    /// A frame before joining is nobody's (rule JC-06). Whatever fails in a machine ends it, and is told without its words.
    async fn on_frame(&mut self, bytes: Bytes) -> Result<Option<Answer>, NodeError> {
        let Some(mut machine) = self.machine.take() else {
            return Ok(None);
        };
        let (desk, job, out) = (Arc::clone(&self.desk), self.job, self.out.clone());
        let step = tokio::task::spawn_blocking(move || {
            desk.invited(&job)?;
            let done = machine.on_frame(bytes, &out);
            Ok::<_, NodeError>((machine, done))
        });
        let error = match step.await {
            Ok(stepped) => match stepped? {
                (machine, Ok(())) => {
                    self.machine = Some(machine);
                    return Ok(None);
                }
                (_, Err(error)) => error,
            },
            Err(panic) => NodeError::Internal(panic.to_string()),
        };
        tracing::error!(job = short(&job), "{error}");
        self.desk.setup().trail.job(&job, "failed")?;
        Ok(Some(Answer::Refused(super::owner::failed())))
    }
}

fn refused(job: &JobDigest, refusal: Refusal) -> Answer {
    tracing::warn!(
        job = short(job),
        rule = refusal.rule,
        "not joined: {}",
        refusal.words
    );
    Answer::Refused(refusal)
}
