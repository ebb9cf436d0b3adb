//! The party's state machine: one state per step of set-up and of an exchange, no I/O.
//!
//! The runtime carries out the returned [`Effects`] in the order of their fields: persist, charge, send, work. A failed persist or charge means that
//! nothing after it happens (rules FT-08, FT-14). No message carries a category or class name that is not in the job file (PR-01).

mod set_up;

use std::collections::BTreeMap;

use bytes::Bytes;
use lepton_crypto::{IdentityKey, IdentityPublic, Seed};
use lepton_ring::RingVec;
use lepton_secagg::{Attempt, Fault, Masked, PartyEpoch, PartyFrozen, PartySetup, Signed, SumSpec};
use prost::Message;
use rand_core::CryptoRng;

use crate::exchange::{Exchange, Kind, purpose};
use crate::frame::{Address, Frame, FrameError, FrameIn, Place, Step};
use crate::ledger::Charge;
use crate::plan::{Plan, PlanError};
use crate::public::PublicState;
use crate::store::Record;
use crate::training::StartModel;
use crate::wire::{BeginIn, DeclineIn, FinishIn, unpack_parameters};

pub use set_up::{EPOCH, SLOT_KEY, epoch_of};

/// What the coordinator is told when the ledger refuses: what was spent, and on what, is the party's own.
const LEDGER_REFUSES: &str = "its privacy ledger refuses this exchange";

/// Who this party is and whom it has enrolled with.
pub struct Seat {
    /// Position in the roster.
    pub index: u16,
    /// This party's identity.
    pub identity: IdentityKey,
    /// Identities of all parties, in order.
    pub roster: Vec<IdentityPublic>,
    /// The coordinator's identity.
    pub coordinator: IdentityPublic,
    /// SHA-256 of the job this party has agreed to.
    pub job: [u8; 32],
    /// Survivor sets signed earlier, by purpose of the sum (rule FT-11), as persisted.
    pub signed_sets: BTreeMap<[u8; 32], Vec<u8>>,
    /// The slot key kept from an earlier epoch of the job, as persisted under [`SLOT_KEY`].
    pub slot_key: Option<Seed>,
    /// The last epoch of the job that it answered, as persisted under [`EPOCH`] (see [`epoch_of`]); 0 before the first. It enters none again (SA-21).
    pub last_epoch: u64,
}

/// What happens to a party.
pub enum Event {
    /// Bytes arrived.
    Frame(Bytes),
    /// The work of an exchange is done: the party's integer vector, noise included, or why there is none.
    Worked(Place, Result<Vec<i64>, String>),
    /// The ledger refused the charge of this exchange. Its figures stay with the party: the coordinator is told constant words.
    Refused(Place),
}

/// What the runtime must do, in this order.
#[derive(Default)]
pub struct Effects {
    /// Make durable.
    pub persist: Vec<Record>,
    /// Reserve in the ledger; if refused, answer with [`Event::Refused`] and do nothing further.
    pub charge: Option<(Place, Charge)>,
    /// Send to the coordinator.
    pub send: Vec<Vec<u8>>,
    /// Compute this party's vector and answer with [`Event::Worked`].
    pub work: Option<Work>,
    /// The job is over.
    pub finished: Option<Finished>,
    /// Why the party declines, for its own log: it may say more than the coordinator is told.
    pub own_log: Option<String>,
}

/// One vector to compute from the party's own rows.
pub struct Work {
    /// Which exchange.
    pub place: Place,
    /// What to compute.
    pub exchange: Exchange,
    /// Training round it belongs to.
    pub training_round: u32,
    /// What is publicly known so far.
    pub public: PublicState,
    /// Current parameters; empty during preparation.
    pub parameters: Vec<f64>,
    /// Key of the category slots.
    pub slot_key: Option<Seed>,
}

/// The end of a job, as a party sees it.
pub struct Finished {
    /// Final parameters.
    pub parameters: Vec<f64>,
    /// What is publicly known.
    pub public: PublicState,
    /// Rounds that went into the model.
    pub rounds: u32,
    /// Key of the category slots.
    pub slot_key: Option<Seed>,
}

/// Why a message or an event was refused. The machine stays usable: a bad message changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum PartyFault {
    /// The frame is not acceptable.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The masked sum refused something; the fault names the culprit.
    #[error(transparent)]
    Sum(#[from] Fault),
    /// The job cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The coordinator sent what does not fit the state.
    #[error("the coordinator sent {0}")]
    Coordinator(String),
}

enum State {
    Waiting,
    SettingUp(Box<PartySetup>),
    /// It revealed its part of the graph's seed.
    Frozen(Box<PartyFrozen>),
    Joined(Box<PartyEpoch>, Phase),
    Over,
}

enum Phase {
    Idle,
    Working(Place, SumSpec, SignedFor),
    Masked(Place, Box<Masked>, SignedFor),
    Signed(Place, Box<Signed>),
}

/// What a survivor set is signed for (rule FT-11).
type SignedFor = [u8; 32];

/// A party in one job.
pub struct Party {
    seat: Seat,
    state: State,
    plan: Option<Plan>,
    epoch: u64,
    public: PublicState,
    slot_key: Option<Seed>,
    slot_commitment: [u8; 32],
    /// What the job begins from, as its submitter signed it.
    start: Option<StartModel>,
    /// The last exchange begun in this epoch: none is begun twice.
    last: Option<(u64, u32)>,
}

impl Party {
    /// A party that waits to be invited.
    #[must_use]
    pub fn new(seat: Seat) -> Self {
        Self {
            epoch: seat.last_epoch,
            seat,
            state: State::Waiting,
            plan: None,
            public: PublicState::default(),
            slot_key: None,
            slot_commitment: [0; 32],
            start: None,
            last: None,
        }
    }

    /// The same for a job that begins from this model: the coordinator's word is held against it (rule JC-34).
    #[must_use]
    pub fn starting_from(mut self, start: Option<StartModel>) -> Self {
        self.start = start;
        self
    }

    /// The plan this party derived, once invited.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// Takes one event.
    ///
    /// # Errors
    /// [`PartyFault`] naming the culprit; the event then had no effect beyond abandoning an exchange it belonged to.
    pub fn step(&mut self, event: Event, rng: &mut impl CryptoRng) -> Result<Effects, PartyFault> {
        match event {
            Event::Frame(bytes) => {
                let frame = self.admit(bytes)?;
                self.on_frame(frame, rng)
            }
            Event::Worked(place, Ok(vector)) => self.on_vector(place, &vector, rng),
            Event::Worked(place, Err(reason)) => Ok(self.decline(place, reason, false)),
            Event::Refused(place) => Ok(self.decline(place, LEDGER_REFUSES.to_owned(), true)),
        }
    }

    /// Rule FT-01: for this job, from the coordinator, signed, and not of an older epoch.
    fn admit(&self, bytes: Bytes) -> Result<Frame, PartyFault> {
        let frame = FrameIn::parse(bytes)?.verify(self.address(), |from| {
            (from == Address::Coordinator).then_some(&self.seat.coordinator)
        })?;
        if frame.place.job != self.seat.job {
            return Err(PartyFault::Coordinator("a frame of another job".to_owned()));
        }
        let expected = if frame.step == Step::Invite {
            frame.place.epoch > self.epoch
        } else {
            frame.place.epoch == self.epoch
        };
        if !expected {
            return Err(PartyFault::Coordinator(format!(
                "a frame of epoch {}",
                frame.place.epoch
            )));
        }
        Ok(frame)
    }

    fn on_frame(&mut self, frame: Frame, rng: &mut impl CryptoRng) -> Result<Effects, PartyFault> {
        match frame.step {
            Step::Invite => self.on_invite(&frame, rng),
            Step::Adverts => self.on_adverts(&frame, rng),
            Step::Reveals => self.on_reveals(&frame, rng),
            Step::SlotKey => self.on_slot_key(&frame),
            Step::Begin => self.on_begin(&frame),
            Step::View => self.on_view(&frame),
            Step::Bundle => self.on_bundle(&frame),
            Step::Finish => self.on_finish(&frame),
            _ => Err(PartyFault::Coordinator(
                "a message that only parties send".to_owned(),
            )),
        }
    }

    fn on_begin(&mut self, frame: &Frame) -> Result<Effects, PartyFault> {
        let begin: BeginIn = body(&frame.body)?;
        let turn = (frame.place.round, frame.place.attempt);
        if self.last.is_some_and(|last| turn <= last) {
            return Err(PartyFault::Coordinator(
                "an exchange that was begun before".to_owned(),
            ));
        }
        let (work, purpose, key) = self.understand(frame.place, &begin)?;
        let State::Joined(_, phase) = &mut self.state else {
            return Err(PartyFault::Coordinator(
                "an exchange before the set-up was complete".to_owned(),
            ));
        };
        // From here on the exchange counts as begun: everything before left the party as it was.
        let spec = work.exchange.spec(purpose);
        *phase = Phase::Working(frame.place, spec, key);
        self.last = Some(turn);
        self.public = work.public.clone();
        let Place {
            epoch,
            round,
            attempt,
            ..
        } = frame.place;
        let charge = work.exchange.charge(epoch, round, attempt);
        Ok(Effects {
            charge: charge.map(|charge| (frame.place, charge)),
            work: Some(work),
            ..Effects::default()
        })
    }

    /// What an exchange asks for, derived from the party's own plan (rule FT-02), the purpose of its sum, and what its survivor set is signed for.
    fn understand(
        &self,
        place: Place,
        begin: &BeginIn,
    ) -> Result<(Work, [u8; 32], SignedFor), PartyFault> {
        let wrong = |what: &str| PartyFault::Coordinator(what.to_owned());
        let kind =
            Kind::from_wire(begin.kind).ok_or_else(|| wrong("an exchange of unknown kind"))?;
        let plan = self
            .plan
            .as_ref()
            .ok_or_else(|| wrong("an exchange before the invitation"))?;
        let public = if begin.prepared.is_empty() {
            self.public.clone()
        } else {
            PublicState::from_wire(&begin.prepared, plan).map_err(PartyFault::Coordinator)?
        };
        if self.slot_key.is_none() {
            return Err(wrong("an exchange before the slot key"));
        }
        let exchange = plan
            .exchange(kind, &public)
            .map_err(|error| PartyFault::Coordinator(error.to_string()))?;
        let parameters = match kind {
            Kind::Survey | Kind::Statistics if begin.parameters.is_empty() => Vec::new(),
            Kind::Survey | Kind::Statistics => {
                return Err(wrong("parameters before there is a model"));
            }
            _ => unpack_parameters(
                &begin.parameters,
                plan.model_len(&public)
                    .map_err(|error| wrong(&error.to_string()))?,
            )
            .ok_or_else(|| wrong("parameters of a wrong length or not finite"))?,
        };
        if let Some(start) = &self.start {
            let asked = (kind, begin.training_round);
            start
                .holds(plan, asked, (&public, &parameters))
                .map_err(wrong)?;
        }
        let purpose = purpose(kind, plan, &public, &parameters, &self.slot_commitment);
        let work = Work {
            place,
            training_round: begin.training_round,
            slot_key: self
                .slot_key
                .as_ref()
                .map(|key| Seed::from_bytes(*key.as_bytes())),
            public,
            exchange,
            parameters,
        };
        let key = signed_set_key(plan, &work);
        Ok((work, purpose, key))
    }

    fn on_vector(
        &mut self,
        place: Place,
        vector: &[i64],
        rng: &mut impl CryptoRng,
    ) -> Result<Effects, PartyFault> {
        let State::Joined(epoch, phase) = &mut self.state else {
            return Ok(Effects::default());
        };
        let (spec, key) = match phase {
            Phase::Working(current, spec, key) if *current == place => (spec.clone(), *key),
            // The coordinator went on without this party; its vector goes nowhere and stays charged (FT-10).
            _ => return Ok(Effects::default()),
        };
        let attempt = Attempt {
            round: place.round,
            attempt: place.attempt,
        };
        // Noise is never cut off: the ring wraps (docs/protocols/accounting.md).
        let input = RingVec::from_wrapping(spec.vector.modulus, vector);
        let masked = epoch.mask(attempt, spec, input, rng);
        match masked {
            Ok((masked, message)) => {
                *phase = Phase::Masked(place, Box::new(masked), key);
                Ok(self.reply(place, Step::Input, message))
            }
            // Constant words: nothing about the vector leaves outside the mask.
            Err(_) => Ok(self.decline(
                place,
                "it cannot mask its vector in this exchange".to_owned(),
                false,
            )),
        }
    }

    fn on_view(&mut self, frame: &Frame) -> Result<Effects, PartyFault> {
        let (masked, key) = match self.take_phase(frame.place)? {
            Phase::Masked(_, masked, key) => (masked, key),
            _ => {
                return Err(PartyFault::Coordinator(
                    "a survivor set out of turn".to_owned(),
                ));
            }
        };
        let (signed, message) = match masked.sign(&frame.body, &self.seat.identity) {
            Ok(signed) => signed,
            Err(fault) => return Ok(self.accuse(frame.place, &fault)),
        };
        let mut effects = self.reply(frame.place, Step::Agree, message);
        let under_goal = self
            .plan
            .as_ref()
            .is_some_and(|plan| plan.privacy().is_some());
        if !under_goal {
            let set: Vec<u8> = signed
                .survivors()
                .iter()
                .flat_map(|party| party.get().to_be_bytes())
                .collect();
            if self
                .seat
                .signed_sets
                .get(&key)
                .is_some_and(|earlier| *earlier != set)
            {
                let reason = "the same inputs were already summed over another set of parties, and no privacy goal is set".to_owned();
                return Ok(self.decline(frame.place, reason, true));
            }
            effects.persist.push(Record {
                key: format!("signed-{}", lepton_crypto::Digest::from_bytes(key)),
                value: set.clone(),
            });
            self.seat.signed_sets.insert(key, set);
        }
        self.set_phase(Phase::Signed(frame.place, Box::new(signed)));
        Ok(effects)
    }

    fn on_bundle(&mut self, frame: &Frame) -> Result<Effects, PartyFault> {
        let Phase::Signed(_, signed) = self.take_phase(frame.place)? else {
            return Err(PartyFault::Coordinator("signatures out of turn".to_owned()));
        };
        match signed.open(&frame.body) {
            Ok(message) => Ok(self.reply(frame.place, Step::Open, message)),
            Err(fault) => Ok(self.accuse(frame.place, &fault)),
        }
    }

    fn on_finish(&mut self, frame: &Frame) -> Result<Effects, PartyFault> {
        let finish: FinishIn = body(&frame.body)?;
        let Some(plan) = &self.plan else {
            return Err(PartyFault::Coordinator(
                "an end before the beginning".to_owned(),
            ));
        };
        let public =
            PublicState::from_wire(&finish.prepared, plan).map_err(PartyFault::Coordinator)?;
        let parameters = unpack_parameters(&finish.parameters, plan.model_len(&public)?)
            .ok_or_else(|| {
                PartyFault::Coordinator("parameters of a wrong length or not finite".to_owned())
            })?;
        self.state = State::Over;
        let slot_key = self.slot_key.take();
        let finished = Finished {
            parameters,
            public,
            rounds: finish.rounds,
            slot_key,
        };
        Ok(Effects {
            finished: Some(finished),
            ..Effects::default()
        })
    }

    /// The exchange under way.
    fn current(&self) -> Option<Place> {
        match &self.state {
            State::Joined(
                _,
                Phase::Working(at, ..) | Phase::Masked(at, ..) | Phase::Signed(at, ..),
            ) => Some(*at),
            _ => None,
        }
    }

    /// Takes the phase of the exchange at `place`, leaving the party idle: whatever goes wrong next, that attempt is over for it.
    fn take_phase(&mut self, place: Place) -> Result<Phase, PartyFault> {
        if self.current() != Some(place) {
            return Err(PartyFault::Coordinator(
                "a step of an exchange that is not under way".to_owned(),
            ));
        }
        match &mut self.state {
            State::Joined(_, phase) => Ok(std::mem::replace(phase, Phase::Idle)),
            _ => Ok(Phase::Idle),
        }
    }

    fn set_phase(&mut self, next: Phase) {
        if let State::Joined(_, phase) = &mut self.state {
            *phase = next;
        }
    }

    /// Declines for what others did, and says who (SA-13): a fault holds positions and counts, no secret.
    fn accuse(&mut self, place: Place, fault: &Fault) -> Effects {
        self.decline(place, fault.to_string(), false)
    }

    fn decline(&mut self, place: Place, reason: String, refused: bool) -> Effects {
        if self.current() == Some(place) {
            self.set_phase(Phase::Idle);
        }
        self.reply(
            place,
            Step::Decline,
            DeclineIn { reason, refused }.encode_to_vec(),
        )
    }

    fn reply(&self, place: Place, step: Step, body: Vec<u8>) -> Effects {
        let frame = Frame {
            place,
            step,
            from: self.address(),
            to: Address::Coordinator,
            body: body.into(),
        };
        Effects {
            send: vec![frame.seal(&self.seat.identity)],
            ..Effects::default()
        }
    }

    fn address(&self) -> Address {
        Address::Party(self.seat.index)
    }

    fn parties(&self) -> u16 {
        u16::try_from(self.seat.roster.len()).unwrap_or(u16::MAX)
    }
}

/// What a party signs one survivor set for (rule FT-11): kind, preparation and parameters, without the key of the slots; every evaluation of one model is the
/// same; for preparation the kind alone counts, since ranges that are nudged a little ask for nearly the same numbers.
fn signed_set_key(plan: &Plan, work: &Work) -> [u8; 32] {
    let kind = match work.exchange.kind {
        Kind::FinalEvaluation => Kind::Evaluation,
        kind => kind,
    };
    match kind {
        Kind::Survey | Kind::Statistics => {
            *lepton_crypto::hash("lepton signed set", &[kind.words().as_bytes()]).as_bytes()
        }
        _ => purpose(kind, plan, &work.public, &work.parameters, &[0; 32]),
    }
}

/// Long fields of a message that are [`Bytes`] are parts of the body, not copies.
fn body<M: Message + Default>(bytes: &Bytes) -> Result<M, PartyFault> {
    M::decode(bytes.clone())
        .map_err(|_| PartyFault::Coordinator("a body that cannot be read".to_owned()))
}
