//! The in-process federation: every party a task with its own state, talking to the coordinator's task only through encoded, signed frames.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chacha20::ChaCha20Rng;
use lepton_crypto::{IdentityKey, IdentityPublic, Seed};
use lepton_protocol::coordinator::{self, Coordinator};
use lepton_protocol::exchange::Kind;
use lepton_protocol::ledger::{Charge, Ledger, Limit};
use lepton_protocol::party::{self, Party};
use lepton_protocol::plan::Plan;
use lepton_protocol::progress::Progress;
use lepton_protocol::store::Store;
use lepton_protocol::training::{Next, Training};
use lepton_protocol::work::{PartyRows, Worker};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::error::NodeError;
use crate::files::{Durability, FileLedger, FileStore};
use crate::random::Entropy;
use crate::scenario::{Moment, Scenario};

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
    let (to_coordinator, inbox) = mpsc::unbounded_channel();
    let (finished, mut results) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    let mut links = Vec::new();
    for (index, (name, rows)) in (0_u16..).zip(&setup.parties) {
        let (to_party, party_inbox) = mpsc::unbounded_channel();
        links.push(Link {
            name: name.clone(),
            to_party,
            lost: None,
            outcome: PartyOutcome::default(),
        });
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

    /// A party's identity: each task takes its own, once.
    fn take(&mut self, index: u16) -> Result<IdentityKey, NodeError> {
        let slot = self.identities.get_mut(usize::from(index));
        slot.and_then(Option::take)
            .ok_or_else(|| NodeError::Internal("a party has no identity".to_owned()))
    }
}

/// One party's task.
struct PartyTask {
    index: u16,
    party: Party,
    worker: Option<Worker>,
    store: FileStore,
    ledger: FileLedger,
    rng: ChaCha20Rng,
    work_rng: Option<ChaCha20Rng>,
    delays: Arc<Scenario>,
    name: String,
    round: u32,
    out: mpsc::UnboundedSender<ToCoordinator>,
    slot_key: Option<Seed>,
}

struct PartyEnd {
    charges: Vec<Charge>,
    slot_key: Option<Seed>,
}

impl PartyTask {
    fn new(
        setup: &Setup,
        roster: &mut Roster,
        index: u16,
        (name, rows): (&str, PartyRows),
        out: mpsc::UnboundedSender<ToCoordinator>,
    ) -> Result<Self, NodeError> {
        let folder = setup.folder.join("parties").join(format!("{index}"));
        let store = FileStore::open(&folder, Durability::Process)?;
        let limit = setup.plan.privacy().map(|privacy| Limit {
            epsilon: privacy.goal.epsilon,
            delta: privacy.goal.delta,
        });
        let ledger = FileLedger::open(&folder.join("ledger.jsonl"), limit, Durability::Process)?;
        let rng = setup
            .entropy
            .generator(&format!("keys and masks of party {index}"), setup.epoch)?;
        let identity = roster.take(index)?;
        let seat = party::Seat {
            index,
            identity,
            roster: roster.public.clone(),
            coordinator: roster.coordinator_public,
            job: setup.job,
            signed_sets: store.signed_sets()?,
        };
        Ok(Self {
            index,
            party: Party::new(seat),
            worker: Some(Worker::new(rows)),
            store,
            ledger,
            rng,
            work_rng: Some(
                setup
                    .entropy
                    .generator(&format!("samples and noise of party {index}"), setup.epoch)?,
            ),
            delays: Arc::new(setup.scenario.clone()),
            name: name.to_owned(),
            round: 0,
            out,
            slot_key: None,
        })
    }

    async fn serve(mut self, mut inbox: mpsc::UnboundedReceiver<Vec<u8>>) -> PartyEnd {
        while let Some(bytes) = inbox.recv().await {
            if let Err(error) = self.on_event(party::Event::Frame(bytes)).await {
                // The coordinator's task may be gone already; then nobody waits for the reason.
                let _ = self.out.send(ToCoordinator::Failed(self.index, error));
                break;
            }
        }
        PartyEnd {
            charges: self.ledger.charges().to_vec(),
            slot_key: self.slot_key,
        }
    }

    async fn on_event(&mut self, event: party::Event) -> Result<(), NodeError> {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            match self.party.step(event, &mut self.rng) {
                Ok(effects) => next = self.carry_out(effects).await?,
                // A refused message changes nothing; the coordinator goes on without this party.
                Err(fault) => return self.refused(&fault),
            }
        }
        Ok(())
    }

    fn refused(&self, fault: &party::PartyFault) -> Result<(), NodeError> {
        match fault {
            party::PartyFault::Plan(_) => {
                Err(NodeError::Internal(format!("party {}: {fault}", self.name)))
            }
            _ => Ok(()),
        }
    }

    /// Persist, charge, send, work: in this order (rules FT-08, FT-14).
    async fn carry_out(
        &mut self,
        effects: party::Effects,
    ) -> Result<Option<party::Event>, NodeError> {
        for record in &effects.persist {
            self.store.put(&record.key, &record.value)?;
        }
        if let Some((place, charge)) = &effects.charge {
            match self.ledger.reserve(charge) {
                Ok(()) => {}
                Err(lepton_protocol::ledger::LedgerError::Store(error)) => return Err(error.into()),
                Err(refusal) => {
                    return Ok(Some(party::Event::Refused(*place, refusal.to_string())));
                }
            }
        }
        if let Some(work) = &effects.work {
            self.round = work.training_round;
        }
        for frame in effects.send {
            if let Some(delay) = self.delays.delay(&self.name, self.round) {
                tokio::time::sleep(delay).await;
            }
            // A closed channel means that the run is over.
            let _ = self.out.send(ToCoordinator::Frame(self.index, frame));
        }
        if let Some(finished) = effects.finished {
            self.slot_key = finished.slot_key;
        }
        match effects.work {
            Some(work) => self.work(work).await.map(Some),
            None => Ok(None),
        }
    }

    async fn work(&mut self, work: party::Work) -> Result<party::Event, NodeError> {
        let lost = || NodeError::Internal("a worker is missing".to_owned());
        let mut worker = self.worker.take().ok_or_else(lost)?;
        let mut rng = self.work_rng.take().ok_or_else(lost)?;
        let plan = self.party.plan().cloned().ok_or_else(lost)?;
        let place = work.place;
        let task = tokio::task::spawn_blocking(move || {
            let result = worker.contribute(&plan, &work, &mut rng);
            (worker, rng, result)
        });
        let (worker, rng, result) = task
            .await
            .map_err(|error| NodeError::Internal(error.to_string()))?;
        (self.worker, self.work_rng) = (Some(worker), Some(rng));
        let _ = self.out.send(ToCoordinator::Computed(Instant::now()));
        let result = result.map_err(|error| {
            // The party's own log; the coordinator hears only the public words.
            let _ = self.out.send(ToCoordinator::OwnLog(format!(
                "party {}: {error}",
                self.name
            )));
            error.public_words()
        });
        Ok(party::Event::Worked(place, result))
    }
}

impl FileStore {
    /// Survivor sets signed earlier (rule FT-11).
    fn signed_sets(&self) -> Result<BTreeMap<[u8; 32], Vec<u8>>, NodeError> {
        Ok(self
            .values("signed-")?
            .into_iter()
            .filter_map(|(name, set)| Some((from_hex(&name)?, set)))
            .collect())
    }
}

/// 32 bytes from their hexadecimal form.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, start) in out.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(start..start + 2)?, 16).ok()?;
    }
    Some(out)
}

/// The coordinator's view of one connection.
struct Link {
    name: String,
    to_party: mpsc::UnboundedSender<Vec<u8>>,
    lost: Option<Lost>,
    outcome: PartyOutcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// Already.
    Now,
    /// As soon as this many more frames have come from it in this exchange.
    After(u8),
}

/// The coordinator's task with its connections.
struct Hub {
    coordinator: Coordinator,
    store: FileStore,
    rng: ChaCha20Rng,
    links: Vec<Link>,
    scenario: Scenario,
    stop: watch::Receiver<bool>,
    run_name: String,
    messages: u64,
    clock: Clock,
    began: Option<(Kind, Instant)>,
    computed: Option<Instant>,
    deadline: Option<(u64, tokio::time::Instant)>,
    refusal: Option<String>,
}

impl Hub {
    fn new(setup: Setup, mut roster: Roster, links: Vec<Link>) -> Result<Self, NodeError> {
        let identity = roster
            .coordinator
            .take()
            .ok_or_else(|| NodeError::Internal("the coordinator has no identity".to_owned()))?;
        let seat = coordinator::Seat {
            identity,
            roster: roster.public,
            job_text: setup.job_text,
            job: setup.job,
            epoch: setup.epoch,
            patience: PATIENCE,
        };
        Ok(Self {
            rng: setup.entropy.generator("coordinator", setup.epoch)?,
            coordinator: Coordinator::new(seat, setup.plan, setup.training),
            store: FileStore::open(&setup.folder.join("coordinator"), Durability::Process)?,
            links,
            scenario: setup.scenario,
            stop: setup.stop,
            run_name: setup
                .folder
                .parent()
                .unwrap_or(&setup.folder)
                .display()
                .to_string(),
            messages: 0,
            clock: Clock::default(),
            began: None,
            computed: None,
            deadline: None,
            refusal: None,
        })
    }

    async fn serve(
        &mut self,
        mut inbox: mpsc::UnboundedReceiver<ToCoordinator>,
        watcher: &mpsc::UnboundedSender<Progress>,
    ) -> Result<(), NodeError> {
        let mut queue = VecDeque::from([coordinator::Event::Start]);
        let mut stop = self.stop.clone();
        loop {
            while let Some(event) = queue.pop_front() {
                if self.on_event(event, &mut queue, watcher)? {
                    return Ok(());
                }
            }
            let at = self.deadline.map(|(_, at)| at);
            let sleep = async {
                match at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Err(NodeError::Interrupted(self.run_name.clone())),
                message = inbox.recv() => match message {
                    Some(ToCoordinator::Frame(party, bytes)) => self.receive(party, bytes, &mut queue),
                    Some(ToCoordinator::Computed(at)) => self.computed = Some(at),
                    // Nobody watching is no reason to stop.
                    Some(ToCoordinator::OwnLog(text)) => drop(watcher.send(Progress::Note { text })),
                    Some(ToCoordinator::Failed(party, error)) => return Err(self.named(party, error)),
                    None => return Err(NodeError::Internal("all parties are gone".to_owned())),
                },
                () = sleep => {
                    if let Some((number, _)) = self.deadline.take() {
                        queue.push_back(coordinator::Event::Deadline(number));
                    }
                }
            }
        }
    }

    fn named(&self, party: u16, error: NodeError) -> NodeError {
        match (error, self.links.get(usize::from(party))) {
            (NodeError::Data(problem), Some(link)) => {
                NodeError::Data(format!("party {}: {problem}", link.name))
            }
            (error, _) => error,
        }
    }

    /// A frame from a party, unless its connection is lost by now.
    fn receive(&mut self, party: u16, bytes: Vec<u8>, queue: &mut VecDeque<coordinator::Event>) {
        let Some(link) = self.links.get_mut(usize::from(party)) else {
            return;
        };
        if link.lost == Some(Lost::Now) {
            return;
        }
        link.outcome.up_bytes += bytes.len() as u64;
        self.messages += 1;
        queue.push_back(coordinator::Event::Frame(bytes));
        match link.lost {
            Some(Lost::After(1)) => {
                link.lost = Some(Lost::Now);
                queue.push_back(coordinator::Event::Gone(party));
            }
            Some(Lost::After(more)) => link.lost = Some(Lost::After(more - 1)),
            _ => {}
        }
    }

    /// Carries out one step; `true` when the job is over.
    fn on_event(
        &mut self,
        event: coordinator::Event,
        queue: &mut VecDeque<coordinator::Event>,
        watcher: &mpsc::UnboundedSender<Progress>,
    ) -> Result<bool, NodeError> {
        let effects = match self.coordinator.step(event, &mut self.rng) {
            Ok(effects) => effects,
            Err(fault) if fault.is_fatal() => return Err(self.stopped(fault)),
            Err(fault) => {
                let _ = watcher.send(Progress::Note {
                    text: fault.to_string(),
                });
                return Ok(false);
            }
        };
        for record in &effects.persist {
            self.store.put(&record.key, &record.value)?;
        }
        for progress in effects.progress {
            self.note(&progress);
            // Nobody watching is no reason to stop.
            let _ = watcher.send(progress);
        }
        if let Some(next) = &effects.began {
            self.begin(next, queue);
        }
        for (party, frame) in effects.send {
            self.send(party, frame);
        }
        if let Some((number, after)) = effects.deadline {
            self.deadline = Some((number, tokio::time::Instant::now() + after));
        }
        Ok(effects.over)
    }

    fn stopped(&self, fault: coordinator::CoordinatorFault) -> NodeError {
        match &self.refusal {
            Some(reason) => NodeError::Refused(format!("{fault} ({reason})")),
            None => fault.into(),
        }
    }

    fn send(&mut self, party: u16, frame: Vec<u8>) {
        let Some(link) = self.links.get_mut(usize::from(party)) else {
            return;
        };
        if link.lost == Some(Lost::Now) {
            return;
        }
        link.outcome.down_bytes += frame.len() as u64;
        self.messages += 1;
        // A party whose task has ended is noticed when it does not answer.
        let _ = link.to_party.send(frame);
    }

    /// Applies the scenario at the beginning of an exchange.
    fn begin(&mut self, next: &Next, queue: &mut VecDeque<coordinator::Event>) {
        self.began = Some((next.kind, Instant::now()));
        self.computed = None;
        if next.kind != Kind::Training {
            return;
        }
        for (index, link) in (0_u16..).zip(&mut self.links) {
            let moment = self.scenario.lost_at(&link.name, next.training_round);
            match (moment, link.lost) {
                (None, Some(_)) => {
                    link.lost = None;
                    queue.push_back(coordinator::Event::Back(index));
                }
                (Some(Moment::BeforeInput), None) => {
                    link.lost = Some(Lost::Now);
                    queue.push_back(coordinator::Event::Gone(index));
                }
                (Some(Moment::AfterInput), None) => link.lost = Some(Lost::After(1)),
                (Some(Moment::AfterSignature), None) => link.lost = Some(Lost::After(2)),
                _ => {}
            }
        }
    }

    fn note(&mut self, progress: &Progress) {
        match progress {
            Progress::Summed { survivors, .. } => {
                for (index, link) in (0_u16..).zip(&mut self.links) {
                    let counter = if survivors.contains(&index) {
                        &mut link.outcome.joined
                    } else {
                        &mut link.outcome.missed
                    };
                    *counter += 1;
                }
                self.end_exchange();
            }
            Progress::Abandoned { .. } => {
                self.links
                    .iter_mut()
                    .for_each(|link| link.outcome.missed += 1);
                self.end_exchange();
            }
            Progress::Declined {
                reason,
                refused: true,
                ..
            } => self.refusal = Some(reason.clone()),
            _ => {}
        }
    }

    fn end_exchange(&mut self) {
        let Some((kind, began)) = self.began.take() else {
            return;
        };
        let now = Instant::now();
        match kind {
            Kind::Survey | Kind::Statistics => self.clock.prepare += now - began,
            Kind::Evaluation | Kind::FinalEvaluation => self.clock.evaluate += now - began,
            Kind::Training => {
                let computed = self.computed.unwrap_or(now).max(began);
                self.clock.train += computed - began;
                self.clock.protocol += now - computed;
            }
        }
    }

    /// Closing the connections ends the parties' tasks.
    fn close(&mut self) {
        for link in &mut self.links {
            let (closed, _) = mpsc::unbounded_channel();
            link.to_party = closed;
        }
    }

    fn outcome(self) -> Outcome {
        Outcome {
            training: self.coordinator.training().clone(),
            slot_key: None,
            parties: self.links.into_iter().map(|link| link.outcome).collect(),
            messages: self.messages,
            clock: self.clock,
        }
    }
}
