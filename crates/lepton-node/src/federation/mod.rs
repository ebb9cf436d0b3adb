//! The in-process federation: every party a task with its own state, talking to the coordinator's task only through encoded, signed frames.

mod hub;
mod kept;
mod party_task;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lepton_crypto::{IdentityKey, IdentityPublic, Seed};
use lepton_protocol::ledger::Charge;
use lepton_protocol::plan::Plan;
use lepton_protocol::progress::Progress;
use lepton_protocol::training::Training;
use lepton_protocol::work::PartyRows;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::error::NodeError;
use crate::ledger::{self, JobLedger, SignedHead};
use crate::random::Entropy;
use crate::scenario::Scenario;
use crate::trainers::Trainers;
use hub::{Hub, Link};
pub(crate) use party_task::Left;
use party_task::PartyTask;

/// How long the coordinator waits for a party that is connected but silent.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a run needs.
pub struct Setup {
    /// The plan.
    pub plan: Plan,
    /// The effective job file.
    pub job_text: String,
    /// Its SHA-256.
    pub job: [u8; 32],
    /// Epoch to open.
    pub epoch: u64,
    /// Where the job stands.
    pub training: Training,
    /// Names and rows of the parties.
    pub parties: Vec<(String, PartyRows)>,
    /// Folder for stores and ledgers.
    pub folder: PathBuf,
    /// Where randomness comes from.
    pub entropy: Entropy,
    /// The durable ledger that every charge goes through first, if there is one.
    pub ledger: Option<JobLedger>,
    /// What trains custom models.
    pub trainers: Trainers,
    /// What goes wrong.
    pub scenario: Scenario,
    /// Whether the user wants to stop.
    pub stop: watch::Receiver<bool>,
}

/// What a run leaves behind.
pub struct Outcome {
    /// The course of the job.
    pub training: Training,
    /// Key of the category slots, as the parties hold it.
    pub slot_key: Option<Seed>,
    /// Per party: sums joined, sums missed, bytes up and down, charges.
    pub parties: Vec<PartyOutcome>,
    /// Frames both ways.
    pub messages: u64,
    /// Where the time went.
    pub clock: Clock,
}

/// One party's part in a run.
#[derive(Debug, Clone, Default)]
pub struct PartyOutcome {
    /// Sums its input went into.
    pub joined: u64,
    /// Sums it missed.
    pub missed: u64,
    /// Bytes it sent.
    pub up_bytes: u64,
    /// Bytes it received.
    pub down_bytes: u64,
    /// What its ledger holds.
    pub charges: Vec<Charge>,
}

/// Wall-clock time per kind of exchange, and within training the part before the last party had its vector.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Preparation exchanges.
    pub prepare: Duration,
    /// Local training.
    pub train: Duration,
    /// The rest of training exchanges.
    pub protocol: Duration,
    /// Evaluation exchanges.
    pub evaluate: Duration,
}

enum ToCoordinator {
    Frame(u16, Vec<u8>),
    /// A party finished computing its vector: a clock of the simulation, no message.
    Computed(Instant),
    Failed(u16, NodeError),
    /// A line of a party's own log, which the simulation shows; no message.
    OwnLog(String),
}

/// Runs a job to its end, its interruption or its failure. State is on disk at every moment.
///
/// # Errors
/// [`NodeError`].
pub async fn run(
    setup: Setup,
    watcher: mpsc::UnboundedSender<Progress>,
) -> Result<Outcome, NodeError> {
    let mut roster = Roster::new(&setup)?;
    if let Some(ledger) = &setup.ledger {
        roster.countersign(ledger, &setup.folder)?;
    }
    let (to_coordinator, inbox) = mpsc::unbounded_channel();
    let (finished, mut results) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    let mut links = Vec::new();
    for (index, (name, rows)) in (0_u16..).zip(&setup.parties) {
        let (to_party, party_inbox) = mpsc::unbounded_channel();
        links.push(Link::new(name.clone(), to_party));
        let task = PartyTask::new(
            &setup,
            &mut roster,
            index,
            (name, rows.clone()),
            to_coordinator.clone(),
        )?;
        let finished = finished.clone();
        tasks.spawn(async move {
            let end = task.serve(party_inbox).await;
            // The receiver lives as long as the run.
            let _ = finished.send((index, end));
        });
    }
    drop((finished, to_coordinator));
    let mut hub = Hub::new(setup, roster, links)?;
    let ended = hub.serve(inbox, &watcher).await;
    hub.close();
    let mut outcome = hub.outcome();
    while let Some((index, end)) = results.recv().await {
        if let Some(party) = outcome.parties.get_mut(usize::from(index)) {
            party.charges = end.charges;
        }
        outcome.slot_key = outcome.slot_key.or(end.slot_key);
    }
    ended.map(|()| outcome)
}

/// Identities of one run. A simulation draws them anew each epoch; a real federation enrols them once.
struct Roster {
    coordinator: Option<IdentityKey>,
    coordinator_public: IdentityPublic,
    identities: Vec<Option<IdentityKey>>,
    public: Vec<IdentityPublic>,
}

impl Roster {
    fn new(setup: &Setup) -> Result<Self, NodeError> {
        let key = |actor: &str| -> Result<IdentityKey, NodeError> {
            Ok(IdentityKey::generate(
                &mut setup
                    .entropy
                    .generator(&format!("identity of {actor}"), setup.epoch)?,
            ))
        };
        let coordinator = key("coordinator")?;
        let identities = (0..setup.parties.len())
            .map(|index| key(&format!("party {index}")))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            coordinator_public: coordinator.public(),
            coordinator: Some(coordinator),
            public: identities.iter().map(IdentityKey::public).collect(),
            identities: identities.into_iter().map(Some).collect(),
        })
    }

    /// Every party signs where the ledger stands (LG-07). The signatures are kept in it and in the run folder: a ledger rolled back later does not have that head.
    fn countersign(&self, job: &JobLedger, folder: &Path) -> Result<(), NodeError> {
        let kept = job.durable();
        let (name, head) = (kept.book()?.ledger().to_owned(), kept.head()?);
        let sign = |identity| SignedHead::sign(&name, head, identity);
        let signed: Vec<SignedHead> = self.identities.iter().flatten().map(sign).collect();
        for signed in &signed {
            kept.record_countersignature(signed)?;
        }
        SignedHead::append(&folder.join(ledger::HEADS), &signed)
    }

    /// A party's identity: each task takes its own, once.
    fn take(&mut self, index: u16) -> Result<IdentityKey, NodeError> {
        let slot = self.identities.get_mut(usize::from(index));
        slot.and_then(Option::take)
            .ok_or_else(|| NodeError::Internal("a party has no identity".to_owned()))
    }
}
