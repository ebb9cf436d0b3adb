//! A party's simulated process: it carries out what its machine asks for, in the order the machine asks for it.

use std::collections::BTreeMap;

use chacha20::ChaCha20Rng;
use lepton_crypto::{IdentityPublic, Seed};
use lepton_protocol::frame::{Address, Place};
use lepton_protocol::ledger::Ledger;
use lepton_protocol::party::{EPOCH, Effects, Event, Party, SLOT_KEY, Seat, Work, epoch_of};
use lepton_protocol::store::Store;
use lepton_protocol::training::StartModel;
use lepton_protocol::work::{PartyRows, Worker};

use crate::intercept::identity_of;
use crate::memory::{MemoryLedger, MemoryStore};
use crate::outcome::Finale;
use crate::random::generator;

/// What all processes of a run know.
pub(crate) struct Shared {
    pub(crate) seed: u64,
    pub(crate) epoch: u64,
    pub(crate) job: [u8; 32],
    pub(crate) roster: Vec<IdentityPublic>,
    pub(crate) start: Option<StartModel>,
}

/// What a step of a party gives the network.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) send: Vec<Vec<u8>>,
    pub(crate) computed: Option<(Place, Result<Vec<i64>, String>)>,
    pub(crate) faults: Vec<String>,
    pub(crate) violations: Vec<String>,
    pub(crate) finished: Option<Finale>,
}

/// A party's process with what it keeps.
pub(crate) struct PartyNode {
    index: u16,
    rows: PartyRows,
    party: Party,
    worker: Worker,
    rng: ChaCha20Rng,
    work_rng: ChaCha20Rng,
    /// How often the process has been started.
    pub(crate) life: u64,
    pub(crate) store: MemoryStore,
    pub(crate) ledger: MemoryLedger,
}

impl PartyNode {
    pub(crate) fn new(
        shared: &Shared,
        index: u16,
        rows: &PartyRows,
        (store, ledger): (MemoryStore, MemoryLedger),
    ) -> Self {
        Self {
            index,
            rows: rows.clone(),
            party: party(shared, index, &store),
            worker: Worker::new(rows.clone()),
            rng: rng(shared, index, "keys and masks", 0),
            work_rng: rng(shared, index, "samples and noise", 0),
            life: 0,
            store,
            ledger,
        }
    }

    /// The process dies and starts again with what is durable.
    pub(crate) fn restart(&mut self, shared: &Shared) {
        self.life += 1;
        self.party = party(shared, self.index, &self.store);
        self.worker = Worker::new(self.rows.clone());
        self.rng = rng(shared, self.index, "keys and masks", self.life);
        self.work_rng = rng(shared, self.index, "samples and noise", self.life);
    }

    pub(crate) fn step(&mut self, event: Event) -> Output {
        let mut output = Output::default();
        let mut next = Some(event);
        while let Some(event) = next.take() {
            match self.party.step(event, &mut self.rng) {
                Ok(effects) => next = self.carry_out(effects, &mut output),
                Err(fault) => output.faults.push(fault.to_string()),
            }
        }
        output
    }

    /// Persist, charge, send, work: in this order (rules FT-08, FT-14).
    fn carry_out(&mut self, effects: Effects, output: &mut Output) -> Option<Event> {
        self.check(&effects, output);
        for record in &effects.persist {
            if let Err(error) = self.store.put(&record.key, &record.value) {
                output.faults.push(error.to_string());
                return None;
            }
        }
        if let Some((place, charge)) = &effects.charge
            && let Err(refusal) = self.ledger.reserve(charge)
        {
            output.faults.push(refusal.to_string());
            return Some(Event::Refused(*place));
        }
        output.faults.extend(effects.own_log);
        output.send.extend(effects.send);
        if let Some(finished) = effects.finished {
            output.finished = Some(Finale {
                parameters: finished.parameters,
                rounds: finished.rounds,
                slot_key: finished.slot_key.map(|key| *key.as_bytes()),
            });
        }
        if let Some(work) = &effects.work {
            output.computed = Some((work.place, self.work(work)));
        }
        None
    }

    /// Rule FT-08: work that samples or draws noise comes with its charge, in the same effects.
    fn check(&self, effects: &Effects, output: &mut Output) {
        let Some(work) = &effects.work else { return };
        let charged = effects.charge.as_ref().map(|(place, charge)| {
            (
                *place,
                charge.count,
                charge.round,
                charge.attempt,
                charge.event,
            )
        });
        let noise = work.exchange.noise.as_ref();
        let due = noise.map(|noise| {
            (
                work.place,
                work.exchange.steps,
                work.place.round,
                work.place.attempt,
                noise.event,
            )
        });
        let under_goal = self
            .party
            .plan()
            .is_some_and(|plan| plan.privacy().is_some());
        if charged != due || noise.is_some() != under_goal {
            output.violations.push(format!(
                "party {} works on exchange {} without the charge that is due for it",
                self.index, work.place.round
            ));
        }
    }

    fn work(&mut self, work: &Work) -> Result<Vec<i64>, String> {
        let plan = self
            .party
            .plan()
            .ok_or_else(|| "work without a plan".to_owned())?;
        self.worker
            .contribute(plan, work, &mut self.work_rng)
            .map_err(|error| error.public_words())
    }
}

fn rng(shared: &Shared, index: u16, purpose: &str, life: u64) -> ChaCha20Rng {
    generator(
        shared.seed,
        &format!(
            "{purpose} of party {index} in epoch {}, life {life}",
            shared.epoch
        ),
    )
}

fn party(shared: &Shared, index: u16, store: &MemoryStore) -> Party {
    Party::new(seat(shared, index, store)).starting_from(shared.start.clone())
}

fn seat(shared: &Shared, index: u16, store: &MemoryStore) -> Seat {
    let signed_sets: BTreeMap<[u8; 32], Vec<u8>> = store
        .values("signed-")
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, set)| Some((from_hex(&name)?, set)))
        .collect();
    Seat {
        index,
        identity: identity_of(shared.seed, Address::Party(index)),
        roster: shared.roster.clone(),
        coordinator: identity_of(shared.seed, Address::Coordinator).public(),
        job: shared.job,
        signed_sets,
        slot_key: slot_key(store),
        last_epoch: last_epoch(store),
    }
}

fn last_epoch(store: &MemoryStore) -> u64 {
    match store.get(EPOCH) {
        Ok(None) => 0,
        Ok(Some(epoch)) => epoch_of(&epoch).unwrap_or(u64::MAX),
        Err(_) => u64::MAX,
    }
}

fn slot_key(store: &MemoryStore) -> Option<Seed> {
    let key = store.get(SLOT_KEY).ok()??;
    Some(Seed::from_bytes(key.try_into().ok()?))
}

/// As stores spell digests: lower case, exactly.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let digits: Option<Vec<u8>> = text.as_bytes().iter().map(digit).collect();
    let (pairs, rest) = digits.as_ref()?.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    bytes.try_into().ok().filter(|_| rest.is_empty())
}
