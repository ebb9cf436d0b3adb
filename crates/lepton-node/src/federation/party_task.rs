//! A party's task: its machine, its worker, its store, its ledger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use chacha20::ChaCha20Rng;
use lepton_crypto::Seed;
use lepton_protocol::ledger::{Charge, Ledger};
use lepton_protocol::party::{self, Party};
use lepton_protocol::store::Store;
use lepton_protocol::work::{PartyRows, Worker};
use tokio::sync::mpsc;

use super::{Roster, Setup, ToCoordinator};
use crate::error::NodeError;
use crate::files::{Durability, FileLedger, FileStore};
use crate::hex::unhex;
use crate::ledger::Door;
use crate::random::ratchet;
use crate::scenario::Scenario;

/// One party's task.
pub(super) struct PartyTask {
    index: u16,
    party: Party,
    worker: Option<Worker>,
    store: FileStore,
    ledger: Door,
    rng: ChaCha20Rng,
    work_rng: Option<ChaCha20Rng>,
    delays: Arc<Scenario>,
    name: String,
    round: u32,
    out: mpsc::UnboundedSender<ToCoordinator>,
    slot_key: Option<Seed>,
}

pub(super) struct PartyEnd {
    pub(super) charges: Vec<Charge>,
    pub(super) slot_key: Option<Seed>,
}

impl PartyTask {
    pub(super) fn new(
        setup: &Setup,
        roster: &mut Roster,
        index: u16,
        (name, rows): (&str, PartyRows),
        out: mpsc::UnboundedSender<ToCoordinator>,
    ) -> Result<Self, NodeError> {
        let folder = setup.folder.join("parties").join(format!("{index}"));
        let store = FileStore::open(&folder, Durability::Process)?;
        let limit = setup.plan.privacy().map(|privacy| privacy.limit);
        let file = FileLedger::open(&folder.join("ledger.jsonl"), limit, Durability::Process)?;
        let ledger = Door::new(file, setup.ledger.clone(), name);
        let rng = setup
            .entropy
            .generator(&format!("keys and masks of party {index}"), setup.epoch)?;
        let trainer = setup.trainers.of(&setup.plan, name);
        let trainer = trainer.map_err(|error| NodeError::Use(format!("party {name}: {error}")))?;
        let identity = roster.take(index)?;
        let seat = party::Seat {
            index,
            identity,
            roster: roster.public.clone(),
            coordinator: roster.coordinator_public,
            job: setup.job,
            signed_sets: store.signed_sets()?,
            slot_key: store.slot_key()?,
            last_epoch: store.last_epoch()?,
        };
        Ok(Self {
            index,
            party: Party::new(seat),
            worker: Some(Worker::with_trainer(rows, trainer)),
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

    pub(super) async fn serve(mut self, mut inbox: mpsc::UnboundedReceiver<Vec<u8>>) -> PartyEnd {
        while let Some(bytes) = inbox.recv().await {
            if let Err(error) = self.on_event(party::Event::Frame(bytes.into())).await {
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

    pub(super) async fn on_event(&mut self, event: party::Event) -> Result<(), NodeError> {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let step = self.party.step(event, &mut self.rng);
            ratchet(&mut self.rng);
            match step {
                Ok(effects) => next = self.carry_out(effects).await?,
                Err(fault @ party::PartyFault::Plan(_)) => {
                    return Err(NodeError::Internal(format!("party {}: {fault}", self.name)));
                }
                // A refused message changes nothing; the coordinator goes on without this party.
                Err(fault) => self.own_log(&fault),
            }
        }
        Ok(())
    }

    /// A line of the party's own log: the coordinator hears constant words at most.
    fn own_log(&self, line: &dyn std::fmt::Display) {
        let line = format!("party {}: {line}", self.name);
        // A closed channel means that the run is over.
        let _ = self.out.send(ToCoordinator::OwnLog(line));
    }

    /// Persist, charge, send, work: in this order (rules FT-08, FT-14).
    pub(super) async fn carry_out(
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
                    self.own_log(&refusal);
                    return Ok(Some(party::Event::Refused(*place)));
                }
            }
        }
        if let Some(line) = &effects.own_log {
            self.own_log(line);
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
            ratchet(&mut rng);
            (worker, rng, result)
        });
        let (mut worker, rng, result) = task
            .await
            .map_err(|error| NodeError::Internal(error.to_string()))?;
        // In a simulation there is nobody to keep it from, and whoever wrote the trainer wants to know.
        if let Some(complaint) = worker.take_complaint() {
            let words = format!("party {}: the trainer failed: {complaint}", self.name);
            return Err(NodeError::Use(words));
        }
        (self.worker, self.work_rng) = (Some(worker), Some(rng));
        let _ = self.out.send(ToCoordinator::Computed(Instant::now()));
        let result = result.map_err(|error| {
            self.own_log(&error);
            error.public_words()
        });
        Ok(party::Event::Worked(place, result))
    }
}

/// What a party's machine left in its store.
pub(crate) trait Left: Store {
    /// The slot key of an earlier epoch (rule PR-02).
    fn slot_key(&self) -> Result<Option<Seed>, NodeError> {
        let kept = self.get(party::SLOT_KEY)?;
        let Some(bytes) = kept else { return Ok(None) };
        let bytes = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| {
            let problem = "the slot key that this party kept is damaged, and the model's categories hang on it";
            NodeError::Data(format!("{problem}; restore the file {}, or start a new run", party::SLOT_KEY))
        })?;
        Ok(Some(Seed::from_bytes(bytes)))
    }

    /// The last epoch that this party answered (rule SA-21).
    fn last_epoch(&self) -> Result<u64, NodeError> {
        let Some(record) = self.get(party::EPOCH)? else {
            return Ok(0);
        };
        party::epoch_of(&record).ok_or_else(|| {
            let problem = "the number of the last epoch that this party entered is damaged";
            NodeError::Data(format!(
                "{problem}; restore the file {}, or start a new run",
                party::EPOCH
            ))
        })
    }

    /// Survivor sets signed earlier (rule FT-11).
    fn signed_sets(&self) -> Result<BTreeMap<[u8; 32], Vec<u8>>, NodeError> {
        Ok(self
            .values("signed-")?
            .into_iter()
            .filter_map(|(name, set)| Some((unhex(&name)?, set)))
            .collect())
    }
}

impl<S: Store> Left for S {}
