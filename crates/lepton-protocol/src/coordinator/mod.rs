//! The coordinator's state machine: it relays messages, adds masked vectors and asks [`Training`] what comes next. No I/O, no clock.
//!
//! The runtime carries out [`Effects`] in the order of their fields; it reports lost and returned connections and expired deadlines as events.

mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lepton_crypto::{IdentityKey, IdentityPublic};
use lepton_secagg::{
    Collecting, EpochContext, EpochKeys, Fault, Opening, PartyIndex, Roster, Signing, Topology,
};
use prost::Message;
use rand_core::CryptoRng;

use crate::control::plain_words;
use crate::exchange::Kind;
use crate::frame::{Address, Frame, FrameError, FrameIn, Place, Step};
use crate::plan::{Plan, PlanError};
use crate::progress::Progress;
use crate::store::Record;
use crate::training::{CHECKPOINT, Next, Training};
use crate::wire::{AdvertsIn, DeclineIn, InviteIn, RevealsIn, SlotKeyIn, SlotKeysIn};

/// What the coordinator is given.
pub struct Seat {
    /// Its identity.
    pub identity: IdentityKey,
    /// Identities of all parties, in order.
    pub roster: Vec<IdentityPublic>,
    /// Effective job file.
    pub job_text: String,
    /// Its SHA-256.
    pub job: [u8; 32],
    /// Epoch to open; larger than any before it in this job.
    pub epoch: u64,
    /// How long to wait for slow parties at each step.
    pub patience: Duration,
    /// Threads that take masks off a sum; the sum does not depend on how many.
    pub workers: NonZeroUsize,
}

/// What happens to the coordinator.
#[derive(Debug)]
pub enum Event {
    /// Begin.
    Start,
    /// Bytes arrived.
    Frame(Bytes),
    /// The connection to a party is lost.
    Gone(u16),
    /// A lost party is back.
    Back(u16),
    /// A deadline set earlier has passed.
    Deadline(u64),
    /// Stop before the next exchange begins, so that another epoch can be opened without losing one.
    Pause,
}

/// What the runtime must do, in this order.
#[derive(Default)]
pub struct Effects {
    /// Make durable.
    pub persist: Vec<Record>,
    /// Send, each to the party with that index.
    pub send: Vec<(u16, Vec<u8>)>,
    /// Raise [`Event::Deadline`] with this number after this time; earlier deadlines are void.
    pub deadline: Option<(u64, Duration)>,
    /// The exchange that begins with the frames of this step.
    pub began: Option<Next>,
    /// Tell whoever watches.
    pub progress: Vec<Progress>,
    /// The job is over.
    pub over: bool,
    /// As asked by [`Event::Pause`], no exchange is under way: what was reached is persisted with these effects.
    pub paused: bool,
}

/// Why something was refused.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorFault {
    /// A frame is not acceptable; the job goes on without it.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A party sent what the masked sum refuses; the job goes on.
    #[error(transparent)]
    Sum(#[from] Fault),
    /// A party sent something out of turn; the job goes on.
    #[error("party {0} sent {1}")]
    Party(u16, &'static str),
    /// Not everybody answered whose answer is needed; the attempt is abandoned.
    #[error("{0}")]
    Incomplete(String),
    /// The job cannot go on.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The job cannot go on.
    #[error("{0}")]
    Stopped(String),
}

impl CoordinatorFault {
    /// Whether the job cannot go on.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Plan(_) | Self::Stopped(_))
    }
}

enum Phase {
    Idle,
    /// Nothing can be summed before somebody is back (FT-11).
    Waiting,
    Adverts(BTreeMap<u16, Vec<u8>>),
    /// Adverts, and the reveals so far.
    Revealing(BTreeMap<u16, Vec<u8>>, BTreeMap<u16, Vec<u8>>),
    SlotKeys,
    Readying(BTreeSet<u16>),
    Collecting(Next, Box<Collecting>),
    Signing(Next, Box<Signing>),
    Opening(Next, Box<Opening>, Vec<u16>),
    Over,
}

/// A coordinator in one job.
pub struct Coordinator {
    seat: Seat,
    plan: Plan,
    training: Training,
    keys: Option<Arc<EpochKeys>>,
    phase: Phase,
    gone: BTreeSet<u16>,
    /// Who is back, but was not told of the exchange that runs: asked again from the next one on.
    back: BTreeSet<u16>,
    /// Commitment to the slot key, which the coordinator does not know.
    slot_commitment: [u8; 32],
    /// Who holds the current public state.
    told: BTreeSet<u16>,
    /// Who has answered or declined the current step.
    answered: BTreeSet<u16>,
    declined: BTreeMap<u16, String>,
    deadline: u64,
    pausing: bool,
}

impl Coordinator {
    /// A coordinator for `plan`, going on from `training`.
    #[must_use]
    pub fn new(seat: Seat, plan: Plan, training: Training) -> Self {
        Self {
            seat,
            plan,
            training,
            keys: None,
            phase: Phase::Idle,
            gone: BTreeSet::new(),
            back: BTreeSet::new(),
            slot_commitment: [0; 32],
            told: BTreeSet::new(),
            answered: BTreeSet::new(),
            declined: BTreeMap::new(),
            deadline: 0,
            pausing: false,
        }
    }

    /// What has been reached.
    #[must_use]
    pub fn training(&self) -> &Training {
        &self.training
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Takes one event.
    ///
    /// # Errors
    /// [`CoordinatorFault`]; unless [`CoordinatorFault::is_fatal`], the job goes on as if the event had not been.
    pub fn step(
        &mut self,
        event: Event,
        rng: &mut impl CryptoRng,
    ) -> Result<Effects, CoordinatorFault> {
        let mut effects = Effects::default();
        match event {
            Event::Start => self.invite(&mut effects),
            Event::Frame(bytes) => {
                let frame = self.admit(bytes)?;
                self.on_frame(frame, &mut effects)?;
            }
            Event::Gone(party) => {
                self.gone.insert(party);
                self.back.remove(&party);
                self.told.remove(&party);
            }
            Event::Back(party) => {
                self.back.insert(party);
            }
            Event::Deadline(number) if number == self.deadline => {
                self.on_deadline(&mut effects, rng)?
            }
            Event::Deadline(_) => {}
            Event::Pause => self.pausing = true,
        }
        self.advance(&mut effects, rng)?;
        Ok(effects)
    }

    fn admit(&self, bytes: Bytes) -> Result<Frame, CoordinatorFault> {
        let frame = FrameIn::parse(bytes)?.verify(Address::Coordinator, |from| match from {
            Address::Party(index) => self.seat.roster.get(usize::from(index)),
            Address::Coordinator => None,
        })?;
        if frame.place.job != self.seat.job || frame.place.epoch != self.seat.epoch {
            return Err(FrameError::Malformed("the frame is of another job or epoch").into());
        }
        Ok(frame)
    }

    fn invite(&mut self, effects: &mut Effects) {
        self.phase = Phase::Adverts(BTreeMap::new());
        let roster = self
            .seat
            .roster
            .iter()
            .map(|key| key.to_bytes().to_vec())
            .collect();
        let body = InviteIn {
            job: self.seat.job_text.clone(),
            roster,
        }
        .encode_to_vec();
        self.broadcast(self.set_up_place(), Step::Invite, body, effects);
        self.set_deadline(effects);
    }

    fn on_frame(&mut self, frame: Frame, effects: &mut Effects) -> Result<(), CoordinatorFault> {
        let Address::Party(party) = frame.from else {
            return Err(FrameError::Unknown(frame.from).into());
        };
        let current = frame.place == self.place();
        match (&mut self.phase, frame.step) {
            (_, _) if !current => {
                return Err(CoordinatorFault::Party(
                    party,
                    "a late message; it counts as spent",
                ));
            }
            // Once for each exchange is enough.
            (_, Step::Decline) if self.declined.contains_key(&party) => {}
            (_, Step::Decline) => {
                let decline = DeclineIn::decode(frame.body.as_ref())
                    .map_err(|_| CoordinatorFault::Party(party, "a message that cannot be read"))?;
                let reason = plain_words(&decline.reason);
                effects.progress.push(Progress::Declined {
                    party,
                    reason: reason.clone(),
                    refused: decline.refused,
                });
                self.declined.insert(party, reason);
            }
            (Phase::Adverts(adverts), Step::Advert) => {
                adverts.entry(party).or_insert_with(|| frame.body.to_vec());
            }
            (Phase::Revealing(_, reveals), Step::Reveal) => {
                reveals.entry(party).or_insert_with(|| frame.body.to_vec());
            }
            (Phase::SlotKeys, Step::SlotKeys) if party == 0 => {
                self.relay_slot_keys(&frame.body, effects)?
            }
            (Phase::Readying(ready), Step::Ready) => {
                ready.insert(party);
            }
            (Phase::Collecting(_, machine), Step::Input) => {
                machine.accept(PartyIndex::new(party), &frame.body)?;
                // Its input fits the purpose of the sum, so it holds the public state.
                self.told.insert(party);
            }
            (Phase::Signing(_, machine), Step::Agree) => {
                machine.accept(PartyIndex::new(party), &frame.body)?
            }
            (Phase::Opening(_, machine, _), Step::Open) => {
                machine.accept(PartyIndex::new(party), &frame.body)?
            }
            _ => return Err(CoordinatorFault::Party(party, "a message out of turn")),
        }
        self.answered.insert(party);
        Ok(())
    }

    fn relay_slot_keys(
        &mut self,
        body: &[u8],
        effects: &mut Effects,
    ) -> Result<(), CoordinatorFault> {
        let keys = SlotKeysIn::decode(body)
            .map_err(|_| CoordinatorFault::Party(0, "a message that cannot be read"))?;
        if keys.sealed.len() != self.seat.roster.len() {
            return Err(CoordinatorFault::Party(0, "a wrong number of slot keys"));
        }
        let place = self.set_up_place();
        let commitment = keys.commitment;
        self.slot_commitment = <[u8; 32]>::try_from(commitment.as_slice())
            .map_err(|_| CoordinatorFault::Party(0, "a commitment of a wrong length"))?;
        self.training
            .accept_slot_key(self.slot_commitment)
            .map_err(CoordinatorFault::Stopped)?;
        for (party, sealed) in (0_u16..).zip(keys.sealed) {
            let commitment = commitment.clone();
            let body = SlotKeyIn { sealed, commitment }.encode_to_vec();
            effects
                .send
                .push((party, self.frame(place, party, Step::SlotKey, body)));
        }
        self.phase = Phase::Readying(BTreeSet::new());
        self.set_deadline(effects);
        Ok(())
    }

    /// Goes on as soon as everybody who can still answer has.
    fn advance(
        &mut self,
        effects: &mut Effects,
        rng: &mut impl CryptoRng,
    ) -> Result<(), CoordinatorFault> {
        let everyone = self.seat.roster.len();
        match &self.phase {
            Phase::Adverts(adverts) if adverts.len() == everyone => self.send_adverts(effects),
            Phase::Revealing(_, reveals) if reveals.len() == everyone => self.send_reveals(effects),
            Phase::Readying(ready) if ready.len() == everyone => self.begin(effects, rng),
            Phase::Waiting if self.pausing || self.missed().next().is_none() => {
                self.begin(effects, rng)
            }
            Phase::Adverts(_) | Phase::Revealing(..) | Phase::SlotKeys | Phase::Readying(_)
                if !self.gone.is_empty() || !self.declined.is_empty() =>
            {
                Err(self.set_up_failed())
            }
            Phase::Collecting(..) | Phase::Signing(..) | Phase::Opening(..)
                if self.nobody_missing() =>
            {
                self.close_step(effects, rng)
            }
            _ => Ok(()),
        }
    }

    fn nobody_missing(&self) -> bool {
        self.expected().all(|party| {
            self.answered.contains(&party)
                || self.gone.contains(&party)
                || self.declined.contains_key(&party)
        })
    }

    /// Who is asked in the current step.
    fn expected(&self) -> Box<dyn Iterator<Item = u16> + '_> {
        match &self.phase {
            Phase::Signing(_, machine) => {
                Box::new(machine.survivors().into_iter().map(PartyIndex::get))
            }
            Phase::Opening(_, _, survivors) => Box::new(survivors.iter().copied()),
            Phase::SlotKeys => Box::new(std::iter::once(0)),
            Phase::Collecting(next, _) => Box::new(self.asked(next.kind).into_iter()),
            _ => Box::new((0_u16..).take(self.seat.roster.len())),
        }
    }

    fn on_deadline(
        &mut self,
        effects: &mut Effects,
        rng: &mut impl CryptoRng,
    ) -> Result<(), CoordinatorFault> {
        match self.phase {
            Phase::Collecting(..) | Phase::Signing(..) | Phase::Opening(..) => {
                self.close_step(effects, rng)
            }
            Phase::Adverts(_) | Phase::Revealing(..) | Phase::SlotKeys | Phase::Readying(_) => {
                Err(self.set_up_failed())
            }
            // The attempt that follows is lost without them, and counts.
            Phase::Waiting => self.begin_now(effects, rng),
            Phase::Idle | Phase::Over => Ok(()),
        }
    }

    fn set_up_failed(&self) -> CoordinatorFault {
        // Where a connection is lost, others may be silent because of it: only the lost ones are named.
        let silent: Vec<u16> = if self.gone.is_empty() {
            let expected = self.expected();
            expected
                .filter(|party| !self.answered.contains(party))
                .collect()
        } else {
            self.gone.iter().copied().collect()
        };
        let declined = self.declined.iter();
        let missing: Vec<String> = declined
            .map(|(party, reason)| format!("party {party} declined: {reason}"))
            .chain(
                silent
                    .iter()
                    .filter(|party| !self.declined.contains_key(party))
                    .map(|party| format!("party {party} did not answer")),
            )
            .collect();
        CoordinatorFault::Stopped(format!(
            "the parties could not agree on keys ({}); all parties must be there at the start of a job",
            missing.join("; ")
        ))
    }

    fn send_adverts(&mut self, effects: &mut Effects) -> Result<(), CoordinatorFault> {
        let Phase::Adverts(adverts) = std::mem::replace(&mut self.phase, Phase::SlotKeys) else {
            return Ok(());
        };
        let body = AdvertsIn {
            adverts: adverts.values().cloned().collect(),
        }
        .encode_to_vec();
        match self.plan.parameters().topology() {
            Topology::Complete => self.verify_keys(&adverts, &BTreeMap::new())?,
            Topology::Sparse { .. } => self.phase = Phase::Revealing(adverts, BTreeMap::new()),
        }
        self.broadcast(self.set_up_place(), Step::Adverts, body, effects);
        self.set_deadline(effects);
        Ok(())
    }

    /// All parties have seen all commitments; what they revealed draws the graph.
    fn send_reveals(&mut self, effects: &mut Effects) -> Result<(), CoordinatorFault> {
        let phase = std::mem::replace(&mut self.phase, Phase::SlotKeys);
        let Phase::Revealing(adverts, reveals) = phase else {
            return Ok(());
        };
        self.verify_keys(&adverts, &reveals)?;
        let reveals = reveals.into_values().collect();
        let body = RevealsIn { reveals }.encode_to_vec();
        self.broadcast(self.set_up_place(), Step::Reveals, body, effects);
        self.set_deadline(effects);
        Ok(())
    }

    fn verify_keys(
        &mut self,
        adverts: &BTreeMap<u16, Vec<u8>>,
        reveals: &BTreeMap<u16, Vec<u8>>,
    ) -> Result<(), CoordinatorFault> {
        let context = EpochContext {
            job: self.seat.job,
            epoch: self.seat.epoch,
        };
        let keys = Roster::new(&self.seat.roster)
            .map_err(Fault::from)
            .and_then(|roster| {
                let parameters = self.plan.parameters().to_owned();
                let (adverts, reveals) = (numbered(adverts), numbered(reveals));
                EpochKeys::verify(parameters, &roster, context, &adverts, &reveals)
            })
            .map_err(|fault| {
                CoordinatorFault::Stopped(format!("the parties could not agree on keys: {fault}"))
            })?;
        self.keys = Some(Arc::new(keys));
        Ok(())
    }

    /// Those who are back take part from here on.
    fn welcome(&mut self) {
        let back = std::mem::take(&mut self.back);
        self.gone.retain(|party| !back.contains(party));
    }

    /// Who is asked in an exchange of this kind: everybody, or those who signed an earlier attempt at the same inputs (FT-11).
    fn asked(&self, kind: Kind) -> Vec<u16> {
        match self.training.only(kind) {
            Some(parties) => parties.to_vec(),
            None => (0_u16..).take(self.seat.roster.len()).collect(),
        }
    }

    /// Parties that are gone and without which the next exchange cannot be summed (FT-11).
    fn missed(&self) -> impl Iterator<Item = u16> + '_ {
        let needed = self.training.needed().iter().copied();
        needed.filter(|party| self.gone.contains(party) && !self.back.contains(party))
    }

    /// Parties whose connection is not lost.
    fn present(&self) -> Vec<u16> {
        let everyone = (0_u16..).take(self.seat.roster.len());
        everyone
            .filter(|party| !self.gone.contains(party))
            .collect()
    }

    fn checkpoint(&self) -> Result<Record, CoordinatorFault> {
        let value = self
            .training
            .to_bytes(self.seat.epoch)
            .map_err(CoordinatorFault::Stopped)?;
        Ok(Record {
            key: CHECKPOINT.to_owned(),
            value,
        })
    }

    fn set_up_place(&self) -> Place {
        Place {
            job: self.seat.job,
            epoch: self.seat.epoch,
            round: 0,
            attempt: 0,
        }
    }

    fn place_of(&self, next: &Next) -> Place {
        Place {
            round: next.number,
            attempt: next.attempt,
            ..self.set_up_place()
        }
    }

    fn place(&self) -> Place {
        match &self.phase {
            Phase::Collecting(next, _) | Phase::Signing(next, _) | Phase::Opening(next, ..) => {
                self.place_of(next)
            }
            _ => self.set_up_place(),
        }
    }

    fn set_deadline(&mut self, effects: &mut Effects) {
        self.answered.clear();
        self.deadline += 1;
        effects.deadline = Some((self.deadline, self.seat.patience));
    }

    fn frame(&self, place: Place, party: u16, step: Step, body: impl Into<Bytes>) -> Vec<u8> {
        let frame = Frame {
            place,
            step,
            from: Address::Coordinator,
            to: Address::Party(party),
            body: body.into(),
        };
        frame.seal(&self.seat.identity)
    }

    fn broadcast(&self, place: Place, step: Step, body: impl Into<Bytes>, effects: &mut Effects) {
        let body = body.into();
        for party in self.present() {
            effects
                .send
                .push((party, self.frame(place, party, step, body.clone())));
        }
    }
}

fn numbered(bodies: &BTreeMap<u16, Vec<u8>>) -> Vec<(PartyIndex, Vec<u8>)> {
    bodies
        .iter()
        .map(|(party, body)| (PartyIndex::new(*party), body.clone()))
        .collect()
}
