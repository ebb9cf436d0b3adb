//! A party's daemon: it answers offers by its own policy, joins rosters it has checked, and runs a machine for every job it joined.

mod approvals;
mod budgets;
mod desk;
mod jobs;
mod late;
mod machine;
mod model;
mod owner;
mod start;
mod task;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lepton_protocol::control::{Body, Control, JobDigest};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::{Authority, Clock, Connection, Own, Role, Trail, post};
use crate::error::NodeError;
use crate::ledger::DurableLedger;
use crate::metrics::Readiness;
use crate::random::Entropy;
use crate::store::Database;
use crate::trainers::Trainers;
use desk::Desk;
use task::{Input, JobTask};

pub use jobs::{Decision, PartyJob, decide, find, list};
pub use late::Newcomer;
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
    /// What trains custom models.
    pub trainers: Trainers,
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
    jobs: BTreeMap<JobDigest, Job>,
    /// From the tasks of jobs.
    inner: mpsc::UnboundedReceiver<Inner>,
    to_inner: mpsc::UnboundedSender<Inner>,
}

/// A job's task. Whatever ends the daemon ends it.
struct Job {
    inputs: mpsc::Sender<Input>,
    task: JoinHandle<()>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the tasks of jobs report.
enum Inner {
    /// A message for the coordinator.
    Say(Control),
    /// The store or the audit log failed: nothing can go on.
    Fatal(NodeError),
}

/// Inputs that wait for one job before its link counts as lost.
const WAITING: usize = 64;

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
            jobs: BTreeMap::new(),
            inner,
            to_inner,
        })
    }

    /// Serves one link to the coordinator after the other until `stop` is true.
    ///
    /// # Errors
    /// [`NodeError`] when the store or the audit log fails, or no more links come.
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
                () = super::told_to_stop(&mut stop) => return Ok(()),
                next = links.recv() => match next {
                    Some(next) => { link = self.greet(next)?; false }
                    None => return Err(NodeError::Internal("no more links can be made".to_owned())),
                },
                Some(inner) = self.inner.recv() => match inner {
                    Inner::Say(message) => !self.say(link.as_ref(), &message)?,
                    Inner::Fatal(error) => return Err(error),
                },
                message = next_of(link.as_mut()) => match message {
                    Some(bytes) => !self.on_bytes(bytes, link.as_ref())?,
                    None => true,
                },
                _ = decisions.tick() => { self.look_for_decisions()?; false }
            };
            if lost && let Some(lost) = link.take() {
                tracing::warn!("the link to the coordinator is lost");
                self.desk.setup().readiness.waiting(LINK, "no connection");
                self.trail().connection(&lost.peer.name, "closed", None)?;
            }
        }
    }

    /// A new link: only to a coordinator, and what waited for the old one is late now.
    fn greet(&mut self, link: Connection) -> Result<Option<Connection>, NodeError> {
        if link.peer.role != Role::Coordinator {
            tracing::warn!(peer = link.peer.name, "the other end is no coordinator");
            return Ok(None);
        }
        while let Ok(inner) = self.inner.try_recv() {
            if let Inner::Fatal(error) = inner {
                return Err(error);
            }
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

    /// Handles a message; `false` when the link is to be closed.
    fn on_bytes(&mut self, bytes: Vec<u8>, link: Option<&Connection>) -> Result<bool, NodeError> {
        let Some(link) = link else { return Ok(true) };
        let message = match super::receive(self.trail(), &link.peer.name, bytes)? {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!("the coordinator sent {error}");
                return Ok(false);
            }
        };
        let input = match message.body {
            Body::Frame(frame) => Input::Frame(frame),
            Body::Offer(offer) => Input::Offer(offer),
            Body::Roster(certificates) => Input::Roster(certificates, link.peer.key),
            Body::Ended(ended) => Input::Ended(ended),
            Body::Start(part) => Input::Start(part),
            _ => {
                tracing::warn!("the coordinator sent what only others send");
                return Ok(true);
            }
        };
        // A job that was never offered has no task (rule JC-06).
        let known = self.jobs.contains_key(&message.job)
            || !matches!(input, Input::Frame(_) | Input::Start(_));
        Ok(!known || self.give(message.job, input))
    }

    /// Hands something to a job's task; `false` when it has too much waiting already.
    fn give(&mut self, job: JobDigest, input: Input) -> bool {
        let (desk, out, boot) = (&self.desk, &self.to_inner, self.boot);
        let held = self.jobs.entry(job).or_insert_with(|| {
            let (inputs, inbox) = mpsc::channel(WAITING);
            let task = JobTask {
                job,
                boot,
                desk: Arc::clone(desk),
                out: out.clone(),
                machine: None,
                fetching: None,
            };
            let task = tokio::spawn(task.run(inbox));
            Job { inputs, task }
        });
        held.inputs.try_send(input).is_ok()
    }

    fn look_for_decisions(&mut self) -> Result<(), NodeError> {
        for (job, decision) in self.desk.decisions()? {
            self.give(job, Input::Decided(decision));
        }
        Ok(())
    }
}

async fn next_of(link: Option<&mut Connection>) -> Option<Vec<u8>> {
    match link {
        Some(link) => link.inbox.recv().await,
        None => std::future::pending().await,
    }
}
