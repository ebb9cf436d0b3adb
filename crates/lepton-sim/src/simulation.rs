//! The simulation itself: a loop over the event queue.

use std::num::NonZeroUsize;
use std::time::Duration;

use chacha20::ChaCha20Rng;
use lepton_crypto::{Digest, hash};
use lepton_protocol::coordinator::{self, Coordinator};
use lepton_protocol::frame::Address;
use lepton_protocol::job::Job;
use lepton_protocol::ledger::Limit;
use lepton_protocol::party;
use lepton_protocol::plan::Plan;
use lepton_protocol::progress::Progress;
use lepton_protocol::store::Store;
use lepton_protocol::training::Training;

use crate::checks::Checks;
use crate::config::{SimConfig, SimError, Stop, When};
use crate::intercept::identity_of;
use crate::memory::{MemoryLedger, MemoryStore};
use crate::outcome::{Durable, End, Finale, Sent, SimOutcome};
use crate::party_node::{Output, PartyNode, Shared};
use crate::queue::{Happening, Queue};
use crate::random::{generator, within};

mod links;

#[cfg(test)]
mod tests;

use links::Link;

/// More events than any job that ends.
const MOST_STEPS: u64 = 10_000_000;

/// A federation in one process, one thread and no time.
pub struct Simulation {
    config: SimConfig,
    shared: Shared,
    coordinator: Coordinator,
    coordinator_store: MemoryStore,
    parties: Vec<PartyNode>,
    links: Vec<Link>,
    network: ChaCha20Rng,
    queue: Queue,
    now: u64,
    exchange: u64,
    active: Vec<bool>,
    checks: Checks,
    end: Option<End>,
    log: Log,
}

/// What is written down on the way.
struct Log {
    events: Vec<(u64, Progress)>,
    refused: Vec<String>,
    faults: Vec<Vec<String>>,
    finished: Vec<Option<Finale>>,
    frames: Vec<Sent>,
    steps: u64,
    digest: Digest,
}

impl Simulation {
    /// A new job.
    ///
    /// # Errors
    /// [`SimError`] when the job cannot begin.
    pub fn new(config: SimConfig) -> Result<Self, SimError> {
        let plan = plan_of(&config)?;
        let limit = limit_of(&plan);
        let durable = Durable {
            epoch: 0,
            coordinator: MemoryStore::default(),
            stores: vec![MemoryStore::default(); config.parties.len()],
            ledgers: config
                .parties
                .iter()
                .map(|party| MemoryLedger::new(limit, party.spent.clone()))
                .collect(),
        };
        let training = Training::new(&plan, config.start.clone());
        Self::build(config, plan, training, durable)
    }

    /// The same job again in a new epoch, after every process died (rule FT-14). `config` may name other faults.
    ///
    /// # Errors
    /// [`SimError`] when the checkpoint does not fit.
    pub fn resumed(config: SimConfig, durable: Durable) -> Result<Self, SimError> {
        let plan = plan_of(&config)?;
        let kept = Training::restore(&durable.coordinator).map_err(SimError::Resume)?;
        let mut training = kept.unwrap_or_else(|| Training::new(&plan, config.start.clone()));
        training.resumed(&plan)?;
        if durable.stores.len() != config.parties.len()
            || durable.ledgers.len() != config.parties.len()
        {
            return Err(SimError::Resume(
                "it had another number of parties".to_owned(),
            ));
        }
        Self::build(config, plan, training, durable)
    }

    /// The same job in a new epoch to which more parties have come, between two exchanges or after a crash (rule LJ-08): `config` names them behind the others.
    ///
    /// # Errors
    /// [`SimError`] when the checkpoint does not fit.
    pub fn grown(config: SimConfig, mut durable: Durable) -> Result<Self, SimError> {
        let plan = plan_of(&config)?;
        let kept = Training::restore(&durable.coordinator).map_err(SimError::Resume)?;
        let mut training = kept.unwrap_or_else(|| Training::new(&plan, None));
        training.reopened(&plan)?;
        durable
            .stores
            .resize_with(config.parties.len(), MemoryStore::default);
        let limit = limit_of(&plan);
        let empty = || MemoryLedger::new(limit, Vec::new());
        durable.ledgers.resize_with(config.parties.len(), empty);
        Self::build(config, plan, training, durable)
    }

    fn build(
        config: SimConfig,
        plan: Plan,
        training: Training,
        durable: Durable,
    ) -> Result<Self, SimError> {
        let epoch = durable.epoch + 1;
        let count = u16::try_from(config.parties.len())
            .map_err(|_| SimError::Resume("there are too many parties".to_owned()))?;
        let roster =
            (0..count).map(|index| identity_of(config.seed, Address::Party(index)).public());
        let shared = Shared {
            seed: config.seed,
            epoch,
            job: *lepton_crypto::sha256(config.job.as_bytes()).as_bytes(),
            roster: roster.collect(),
            start: config.signed_start.clone(),
        };
        let seat = coordinator::Seat {
            identity: identity_of(config.seed, Address::Coordinator),
            roster: shared.roster.clone(),
            job_text: config.job.clone(),
            job: shared.job,
            epoch,
            patience: Duration::from_millis(config.patience),
            workers: NonZeroUsize::MIN,
        };
        let kept = durable.stores.into_iter().zip(durable.ledgers);
        let parties = (0..count)
            .zip(&config.parties)
            .zip(kept)
            .map(|((index, party), kept)| PartyNode::new(&shared, index, &party.rows, kept))
            .collect();
        Ok(Self {
            coordinator: Coordinator::new(seat, plan, training),
            coordinator_store: durable.coordinator,
            parties,
            links: (0..count).map(|_| Link::default()).collect(),
            network: generator(config.seed, &format!("network in epoch {epoch}")),
            queue: Queue::default(),
            now: 0,
            exchange: 0,
            active: vec![false; config.faults.len()],
            checks: Checks::default(),
            end: None,
            log: Log::new(usize::from(count)),
            shared,
            config,
        })
    }

    /// Runs to the end, whatever it is.
    #[must_use]
    pub fn run(mut self) -> SimOutcome {
        for (number, fault) in self.config.faults.iter().enumerate() {
            if let When::Time(from, until) = fault.when {
                self.queue.push(from, Happening::FaultBegins(number));
                self.queue.push(until, Happening::FaultEnds(number));
            }
        }
        self.queue
            .push(0, Happening::Coordinator(coordinator::Event::Start));
        while self.end.is_none() {
            let Some((at, happening)) = self.queue.pop() else {
                self.end = Some(End::Stuck);
                break;
            };
            self.now = at.max(self.now);
            self.log.steps += 1;
            self.happen(happening);
            if self.killed() {
                self.end = self.end.or(Some(End::Killed));
            }
        }
        // The parties see the end although the coordinator has nothing left to do.
        while let Some((at, happening)) = self.queue.pop() {
            if matches!(happening, Happening::ToParty(..)) && self.end == Some(End::Over) {
                self.now = at.max(self.now);
                self.happen(happening);
            }
        }
        self.outcome()
    }

    fn killed(&self) -> bool {
        let asked = match self.config.stop {
            None => false,
            Some(Stop::Time(at)) => self.now >= at,
            Some(Stop::Steps(steps)) => self.log.steps >= steps,
        };
        asked || self.log.steps >= MOST_STEPS
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Coordinator(event) => self.coordinator_step(event),
            Happening::FromParty(party, generation, bytes) => {
                if self.stands(party, generation) {
                    self.log.delivered(self.now, Address::Coordinator, &bytes);
                    self.coordinator_step(coordinator::Event::Frame(bytes.into()));
                }
            }
            Happening::ToParty(party, generation, bytes) => {
                if self.stands(party, generation) {
                    self.log.delivered(self.now, Address::Party(party), &bytes);
                    self.party_step(party, party::Event::Frame(bytes.into()));
                }
            }
            Happening::Computed(index, life, place, result) => {
                let alive = self.party(index).is_some_and(|party| party.life == life);
                if alive {
                    if let Ok(vector) = &result {
                        self.checks.handed_in(place.round, index, vector);
                    }
                    self.party_step(index, party::Event::Worked(place, result));
                }
            }
            Happening::FaultBegins(number) => self.fault(number, true),
            Happening::FaultEnds(number) => self.fault(number, false),
            Happening::Reconnected(party) => self.reconnect(party),
        }
    }

    fn coordinator_step(&mut self, event: coordinator::Event) {
        if self.end.is_some() {
            return;
        }
        let effects = match self.coordinator.step(event, &mut self.coordinator_rng()) {
            Ok(effects) => effects,
            Err(fault) if fault.is_fatal() => {
                self.end = Some(End::Fault(fault.to_string()));
                return;
            }
            Err(fault) => return self.log.refused.push(fault.to_string()),
        };
        for record in &effects.persist {
            if let Err(error) = self.coordinator_store.put(&record.key, &record.value) {
                self.end = Some(End::Fault(error.to_string()));
                return;
            }
        }
        for progress in effects.progress {
            if let Progress::Summed { survivors, .. } = &progress {
                let rng = self.coordinator_rng();
                self.checks.summed(&self.coordinator, survivors, rng);
            }
            self.log.events.push((self.now, progress));
        }
        if let Some(next) = &effects.began {
            self.checks.began(next, self.coordinator.training());
            self.exchange_begins(next.number);
        }
        for (party, bytes) in effects.send {
            self.send(Address::Coordinator, Address::Party(party), bytes);
        }
        if let Some((number, after)) = effects.deadline {
            let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            let event = coordinator::Event::Deadline(number);
            self.queue.push(
                self.now.saturating_add(after),
                Happening::Coordinator(event),
            );
        }
        if effects.over {
            self.end = Some(End::Over);
        }
    }

    /// A generator of its own for each event, so that a step can be checked with the same one.
    fn coordinator_rng(&self) -> ChaCha20Rng {
        let (epoch, step) = (self.shared.epoch, self.log.steps);
        generator(
            self.config.seed,
            &format!("coordinator in epoch {epoch}, event {step}"),
        )
    }

    fn party_step(&mut self, index: u16, event: party::Event) {
        let Some(party) = self.parties.get_mut(usize::from(index)) else {
            return;
        };
        let life = party.life;
        let Output {
            send,
            computed,
            faults,
            violations,
            finished,
        } = party.step(event);
        self.checks.violations.extend(violations);
        self.log.party(index, faults, finished);
        for bytes in send {
            self.send(Address::Party(index), Address::Coordinator, bytes);
        }
        if let Some((place, result)) = computed {
            let at = self.now + within(&self.config.network.compute, &mut self.network);
            self.queue
                .push(at, Happening::Computed(index, life, place, result));
        }
    }

    fn party(&self, index: u16) -> Option<&PartyNode> {
        self.parties.get(usize::from(index))
    }

    fn outcome(self) -> SimOutcome {
        let (stores, ledgers) = self
            .parties
            .into_iter()
            .map(|party| (party.store, party.ledger))
            .unzip();
        SimOutcome {
            seed: self.config.seed,
            plan: self.coordinator.plan().clone(),
            end: self.end.unwrap_or(End::Stuck),
            training: self.coordinator.training().clone(),
            events: self.log.events,
            refused: self.log.refused,
            faults: self.log.faults,
            finished: self.log.finished,
            sums: self.checks.sums,
            violations: self.checks.violations,
            frames: self.log.frames,
            steps: self.log.steps,
            now: self.now,
            digest: self.log.digest,
            durable: Durable {
                epoch: self.shared.epoch,
                coordinator: self.coordinator_store,
                stores,
                ledgers,
            },
        }
    }
}

impl Log {
    fn new(parties: usize) -> Self {
        Self {
            events: Vec::new(),
            refused: Vec::new(),
            faults: vec![Vec::new(); parties],
            finished: vec![None; parties],
            frames: Vec::new(),
            steps: 0,
            digest: hash("lepton simulation", &[]),
        }
    }

    fn delivered(&mut self, now: u64, to: Address, bytes: &[u8]) {
        let head = format!("{now} {to}");
        self.digest = hash(
            "lepton simulation",
            &[self.digest.as_bytes(), head.as_bytes(), bytes],
        );
    }

    fn party(&mut self, index: u16, faults: Vec<String>, finished: Option<Finale>) {
        let index = usize::from(index);
        if let Some(all) = self.faults.get_mut(index) {
            all.extend(faults);
        }
        if let (Some(slot), Some(finale)) = (self.finished.get_mut(index), finished) {
            *slot = Some(finale);
        }
    }
}

fn plan_of(config: &SimConfig) -> Result<Plan, SimError> {
    let job = Job::parse("the simulated job", &config.job, &[])
        .map_err(|errors| SimError::Job(errors.to_string()))?;
    let parties = u16::try_from(config.parties.len()).unwrap_or(u16::MAX);
    Ok(Plan::new(job, parties)?)
}

fn limit_of(plan: &Plan) -> Option<Limit> {
    plan.privacy().map(|privacy| privacy.limit)
}
