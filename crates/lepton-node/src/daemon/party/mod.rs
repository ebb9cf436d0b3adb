//! A party's daemon: it answers offers by its own policy, joins rosters it has checked, and runs a machine for every job it joined.

mod desk;
mod jobs;
mod machine;
mod model;
mod owner;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lepton_crypto::IdentityPublic;
use lepton_protocol::control::{Answer, Body, Control, Ended, JobDigest, Refusal, SignedJob};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::{Authority, Clock, Connection, Own, Role, Trail, post, short};
use crate::error::NodeError;
use crate::ledger::DurableLedger;
use crate::metrics::Readiness;
use crate::random::Entropy;
use crate::store::Database;
use desk::Desk;
use machine::JobMachine;

pub use jobs::{Decision, PartyJob, decide, find, list};
pub use owner::Owner;
pub(crate) use owner::Rehearsed;

/// How often decisions of persons are looked for.
const DECISIONS: Duration = Duration::from_secs(1);

/// The part of a party that is ready when it is linked.
pub(super) const LINK: &str = "coordinator";

/// What a party's daemon is given.
pub struct PartySetup {
    /// Its key and certificate.
    pub own: Arc<dyn Own>,
    /// Its store.
    pub database: Database,
    /// Folder in which people find jobs, and leave decisions about them.
    pub folder: PathBuf,
    /// The federation's root.
    pub authority: Arc<dyn Authority>,
    /// Its policy and tables.
    pub owner: Owner,
    /// Its ledger. Without one a job's own privacy goal is the only limit.
    pub ledger: Option<Arc<DurableLedger>>,
    /// What it writes down about itself.
    pub trail: Trail,
    /// Where it says whether it is linked.
    pub readiness: Readiness,
    /// Jobs that it takes part in at a time.
    pub most_jobs: usize,
    /// Where randomness comes from: the operating system, anything else is for tests.
    pub entropy: Entropy,
    /// The wall clock.
    pub clock: Clock,
}

/// A party's daemon.
pub struct PartyDaemon {
    desk: Arc<Desk>,
    boot: [u8; 16],
    machines: BTreeMap<JobDigest, Running>,
    /// From background tasks of this daemon.
    inner: mpsc::UnboundedReceiver<Inner>,
    to_inner: mpsc::UnboundedSender<Inner>,
}

struct Running {
    frames: mpsc::UnboundedSender<Vec<u8>>,
    /// None once it may end by itself.
    task: Option<JoinHandle<()>>,
    /// Whose frames it takes.
    coordinator: IdentityPublic,
}

impl Running {
    fn is_alive_for(&self, coordinator: &IdentityPublic) -> bool {
        let ended = self.task.as_ref().is_none_or(JoinHandle::is_finished);
        self.coordinator == *coordinator && !ended
    }
}

impl Drop for Running {
    /// Whatever ends the daemon ends its machines.
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// What background tasks report.
enum Inner {
    /// A message for the coordinator.
    Say(Control),
    /// A roster was checked, and a machine made for it.
    Ready(JobDigest, Box<Result<Made, Refusal>>),
    /// A job's machine ended by itself.
    Failed(JobDigest, String),
}

struct Made {
    machine: JobMachine,
    /// Whether the roster is another one than before.
    changed: bool,
}

impl PartyDaemon {
    /// Opens the party's store.
    ///
    /// # Errors
    /// [`NodeError`] when it cannot be read or written.
    pub fn open(setup: PartySetup) -> Result<Self, NodeError> {
        use rand_core::Rng;
        let mut boot = [0; 16];
        Entropy::System.generator("boot", 0)?.fill_bytes(&mut boot);
        let (to_inner, inner) = mpsc::unbounded_channel();
        Ok(Self {
            desk: Arc::new(Desk::open(setup)?),
            boot,
            machines: BTreeMap::new(),
            inner,
            to_inner,
        })
    }

    /// Serves one link to the coordinator after the other until `stop` is true or no more come.
    ///
    /// # Errors
    /// [`NodeError`] when the store fails.
    pub async fn serve(
        mut self,
        mut links: mpsc::Receiver<Connection>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), NodeError> {
        let mut link: Option<Connection> = None;
        let mut decisions = tokio::time::interval(DECISIONS);
        loop {
            let lost = tokio::select! {
                biased;
                () = super::told_to_stop(&mut stop) => break,
                next = links.recv() => match next {
                    Some(next) => { link = self.greet(next)?; false }
                    None => break,
                },
                Some(inner) = self.inner.recv() => !self.on_inner(inner, link.as_ref())?,
                message = next_of(link.as_mut()) => match message {
                    Some(bytes) => !self.on_bytes(&bytes, link.as_ref())?,
                    None => true,
                },
                _ = decisions.tick() => !self.look_for_decisions(link.as_ref())?,
            };
            if lost {
                tracing::warn!("the link to the coordinator is lost");
                self.desk.setup().readiness.waiting(LINK, "no connection");
                if let Some(lost) = link.take() {
                    self.trail().connection(&lost.peer.name, "closed", None)?;
                }
            }
        }
        Ok(())
    }

    /// A new link: only to a coordinator, and what waited for the old one is late now.
    fn greet(&mut self, link: Connection) -> Result<Option<Connection>, NodeError> {
        if link.peer.role != Role::Coordinator {
            tracing::warn!(peer = link.peer.name, "the other end is no coordinator");
            return Ok(None);
        }
        let mut kept = Vec::new();
        while let Ok(inner) = self.inner.try_recv() {
            if !matches!(inner, Inner::Say(_)) {
                kept.push(inner);
            }
        }
        for inner in kept {
            // The receiver is ours.
            let _ = self.to_inner.send(inner);
        }
        self.desk.setup().readiness.ready(LINK);
        tracing::info!(coordinator = link.peer.name, "linked");
        self.trail().connection(&link.peer.name, "opened", None)?;
        let mut sent = self.post(&link, &Control::of_none(self.desk.hello(self.boot)))?;
        // What is open here may be over there: the coordinator then says so (rule JC-12).
        for (job, answer) in self.desk.open_jobs()? {
            let body = Body::Answer(answer);
            sent &= self.post(&link, &Control { job, body })?;
        }
        Ok(sent.then_some(link))
    }

    fn on_inner(&mut self, inner: Inner, link: Option<&Connection>) -> Result<bool, NodeError> {
        let message = match inner {
            Inner::Say(message) => message,
            Inner::Ready(job, machine) => {
                let answer = match *machine {
                    Ok(made) => self.start(job, made)?,
                    Err(refusal) => {
                        tracing::warn!(
                            job = short(&job),
                            rule = refusal.rule,
                            "not joined: {}",
                            refusal.words
                        );
                        Answer::Refused(refusal)
                    }
                };
                Control {
                    job,
                    body: Body::Answer(answer),
                }
            }
            Inner::Failed(job, words) => {
                tracing::error!(job = short(&job), "{words}");
                self.machines.remove(&job);
                let refusal = Refusal::new("party.failed", "it failed; its own log says why");
                self.trail().job(&job, "failed")?;
                Control {
                    job,
                    body: Body::Answer(Answer::Refused(refusal)),
                }
            }
        };
        self.say(link, &message)
    }

    fn trail(&self) -> &Trail {
        &self.desk.setup().trail
    }

    fn post(&self, link: &Connection, message: &Control) -> Result<bool, NodeError> {
        post(self.trail(), (&link.peer.name, &link.out), message)
    }

    /// Without a link there is nothing to say it over: whoever is back is told anew.
    fn say(&self, link: Option<&Connection>, message: &Control) -> Result<bool, NodeError> {
        link.map_or(Ok(true), |link| self.post(link, message))
    }

    fn start(
        &mut self,
        job: JobDigest,
        Made { machine, changed }: Made,
    ) -> Result<Answer, NodeError> {
        let (boot, epoch) = (self.boot, machine.last_epoch());
        let coordinator = machine.coordinator();
        let alive = self.machines.get(&job);
        if !changed && alive.is_some_and(|running| running.is_alive_for(&coordinator)) {
            // Asked twice while the first was being made: that one may hold an epoch's keys already.
            return Ok(Answer::Joined { boot, epoch });
        }
        let (frames, inbox) = mpsc::unbounded_channel();
        let out = self.to_inner.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = machine.serve(inbox, out.clone()).await {
                // The daemon may be stopping.
                let _ = out.send(Inner::Failed(job, error.to_string()));
            }
        });
        let running = Running {
            frames,
            task: Some(task),
            coordinator,
        };
        // One that was there before ends with its keys.
        drop(self.machines.insert(job, running));
        self.trail().job(&job, "joined")?;
        tracing::info!(job = short(&job), "joined");
        Ok(Answer::Joined { boot, epoch })
    }

    /// Handles a message; `false` when the link is to be closed.
    fn on_bytes(&mut self, bytes: &[u8], link: Option<&Connection>) -> Result<bool, NodeError> {
        let Some(link) = link else { return Ok(true) };
        let message = match super::receive(self.trail(), &link.peer.name, bytes)? {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!("the coordinator sent {error}");
                return Ok(false);
            }
        };
        let job = message.job;
        match message.body {
            Body::Frame(frame) => self.on_frame(job, frame)?,
            Body::Offer(offer) => self.on_offer(job, offer),
            Body::Roster(certificates) => self.on_roster(job, certificates, link.peer.key),
            Body::Ended(ended) => self.on_ended(job, &ended)?,
            _ => tracing::warn!("the coordinator sent what only others send"),
        }
        Ok(true)
    }

    fn on_frame(&mut self, job: JobDigest, frame: Vec<u8>) -> Result<(), NodeError> {
        // JC-06: there is no machine before the job was joined.
        let Some(running) = self.machines.get(&job) else {
            return Ok(());
        };
        self.desk.invited(&job)?;
        // A machine that just failed reports it by itself.
        let _ = running.frames.send(frame);
        Ok(())
    }

    fn on_offer(&self, job: JobDigest, offer: SignedJob) {
        let (desk, out) = (self.desk.clone(), self.to_inner.clone());
        tokio::task::spawn_blocking(move || {
            let answer = desk.consider(job, &offer);
            // The daemon may be stopping.
            let _ = out.send(Inner::Say(Control {
                job,
                body: Body::Answer(answer),
            }));
        });
    }

    fn on_roster(
        &mut self,
        job: JobDigest,
        certificates: Vec<Vec<u8>>,
        coordinator: IdentityPublic,
    ) {
        let desk = self.desk.clone();
        let alive = self.machines.get(&job);
        let same = alive.is_some_and(|running| running.is_alive_for(&coordinator));
        let (out, boot) = (self.to_inner.clone(), self.boot);
        tokio::task::spawn_blocking(move || {
            let inner = match desk.join(job, &certificates) {
                // Its machine lives and holds the keys of the epoch (rule JC-08).
                Ok(joined) if same && !joined.changed => Inner::Say(Control {
                    job,
                    body: Body::Answer(Answer::Joined {
                        boot,
                        epoch: joined.epoch,
                    }),
                }),
                Ok(joined) => {
                    let changed = joined.changed;
                    let machine = desk.machine(job, coordinator);
                    let made = machine.map(|machine| Made { machine, changed });
                    Inner::Ready(job, Box::new(made))
                }
                Err(refusal) => Inner::Ready(job, Box::new(Err(refusal))),
            };
            // The daemon may be stopping.
            let _ = out.send(inner);
        });
    }

    fn on_ended(&mut self, job: JobDigest, ended: &Ended) -> Result<(), NodeError> {
        if let Some(mut running) = self.machines.remove(&job) {
            // It still takes the job's last frames, and ends when there are no more.
            running.task = None;
        }
        self.desk.ended(&job, ended)
    }

    fn look_for_decisions(&self, link: Option<&Connection>) -> Result<bool, NodeError> {
        let mut sent = true;
        for (job, answer) in self.desk.decided()? {
            tracing::info!(job = short(&job), "a person decided");
            let message = Control {
                job,
                body: Body::Answer(answer),
            };
            sent &= self.say(link, &message)?;
        }
        Ok(sent)
    }
}

async fn next_of(link: Option<&mut Connection>) -> Option<Vec<u8>> {
    match link {
        Some(link) => link.inbox.recv().await,
        None => std::future::pending().await,
    }
}
