//! The simulation.

use lepton_crypto::{Digest, hash, long_hash};
use lepton_protocol::frame::Address;
use lepton_ring::RingVec;
use lepton_secagg::{Attempt, Fault, PartyIndex, SumSpec, Summed, VectorSpec};
use rand_core::Rng;

use super::agenda::{Agenda, Body, Envelope, Event};
use super::checker::Checker;
use super::coordinator::{CoordinatorActor, Move};
use super::links::Links;
use super::party::{Act, PartyActor};
use super::setup::{self, FIRST, Founded};
use super::{
    AttemptEnd, Kind, MaskedSumConfig, MaskedSumOutcome, Parcel, PartyFault, Passing, RoundOutcome,
    Scene, SetUpScene,
};
use crate::identity_of;
use crate::random::generator;

/// The rounds of one epoch.
pub struct MaskedSumSim {
    config: MaskedSumConfig,
    scene: SetUpScene,
    coordinator: Option<CoordinatorActor>,
    parties: Vec<PartyActor>,
    agenda: Agenda,
    links: Links,
    checker: Checker,
    now: u64,
    attempt: Attempt,
    /// Counts deadlines; only the latest holds.
    deadline: u64,
    ended: Option<AttemptEnd>,
    outcome: MaskedSumOutcome,
}

impl MaskedSumSim {
    /// Sets up the epoch.
    ///
    /// # Errors
    /// A configuration that no epoch can have: parameters and epoch number that do not go together.
    pub fn new(mut config: MaskedSumConfig) -> Result<Self, Fault> {
        let scene = setup::scene(&config)?;
        let founded = setup::found(&mut config, &scene)?;
        let Founded {
            keys,
            epochs,
            faults,
        } = founded;
        let mut checker = Checker::new(&config);
        let parties: Vec<_> = (0..)
            .zip(epochs)
            .map(|(party, epoch)| {
                let mishaps = config.mishaps.iter().filter(|m| m.party == party);
                PartyActor::new(
                    identity_of(config.seed, Address::Party(party)),
                    epoch,
                    mishaps.copied().collect(),
                    generator(
                        config.seed,
                        &format!("party {party} in epoch {}", config.epoch),
                    ),
                )
            })
            .collect();
        for epoch in parties.iter().filter_map(PartyActor::epoch) {
            checker.knows(epoch);
        }
        let label = format!("links in epoch {}", config.epoch);
        let rng = generator(config.seed, &label);
        let outcome = MaskedSumOutcome {
            seed: config.seed,
            set_up: keys.as_ref().err().cloned(),
            rounds: Vec::new(),
            party_faults: faults,
            refused: Vec::new(),
            violations: Vec::new(),
            frail: 0,
            messages: 0,
            out_of_place: 0,
            now: 0,
            digest: hash("lepton masked-sum simulation", &[]),
        };
        Ok(Self {
            links: Links::new(config.network.clone(), rng, parties.len()),
            coordinator: keys.ok().map(CoordinatorActor::new),
            config,
            scene,
            parties,
            agenda: Agenda::default(),
            checker,
            now: 0,
            attempt: FIRST,
            deadline: 0,
            ended: None,
            outcome,
        })
    }

    /// Runs all rounds, and whatever still arrives after them.
    #[must_use]
    pub fn run(mut self) -> MaskedSumOutcome {
        let rounds = if self.coordinator.is_some() {
            self.config.rounds
        } else {
            0
        };
        for round in 0..rounds {
            let mut attempts = Vec::new();
            for attempt in 0..self.config.attempts {
                let end = self.attempt(Attempt { round, attempt });
                let exact = matches!(end, AttemptEnd::Exact(_));
                attempts.push(end);
                if exact {
                    break;
                }
            }
            self.outcome.rounds.push(RoundOutcome { round, attempts });
        }
        self.deadline += 1;
        while let Some((at, event)) = self.agenda.next() {
            self.now = at.max(self.now);
            self.happen(event);
        }
        let (violations, frail) = self.checker.finish();
        self.outcome.violations = violations;
        self.outcome.frail = frail;
        self.outcome.now = self.now;
        self.outcome
    }

    fn attempt(&mut self, attempt: Attempt) -> AttemptEnd {
        self.attempt = attempt;
        let spec = self.spec(self.purpose(attempt));
        let Some(coordinator) = &mut self.coordinator else {
            return AttemptEnd::Exact(Vec::new());
        };
        let purpose = spec.vector.purpose.to_vec();
        if let Err(fault) = coordinator.begin(attempt, spec.clone()) {
            return AttemptEnd::Aborted(fault);
        }
        if let Some(intercept) = &mut self.config.intercept {
            intercept.attempt_begins(&Scene {
                set_up: &self.scene,
                keys: coordinator.keys(),
                attempt,
                spec,
            });
        }
        for party in 0..self.config.params.parties() {
            let to = Address::Party(party);
            let body = Body::Bytes(purpose.clone());
            self.send(Address::Coordinator, to, Kind::Begin, body);
        }
        self.wait(0);
        loop {
            if let Some(end) = self.ended.take() {
                return end;
            }
            let Some((at, event)) = self.agenda.next() else {
                // There is always a deadline to come while an attempt is under way.
                return AttemptEnd::Aborted(lepton_secagg::CallerReason::Input.into());
            };
            self.now = at.max(self.now);
            self.happen(event);
        }
    }

    fn purpose(&self, attempt: Attempt) -> [u8; 32] {
        *hash("simulated purpose", &[&attempt.round.to_le_bytes()]).as_bytes()
    }

    fn spec(&self, purpose: [u8; 32]) -> SumSpec {
        let vector = VectorSpec {
            modulus: self.config.modulus,
            len: self.config.len,
            purpose,
        };
        SumSpec {
            vector,
            grouping: self.config.grouping.clone(),
        }
    }

    /// The coordinator waits for its patience and `more`.
    fn wait(&mut self, more: u64) {
        self.deadline += 1;
        let at = self.now + self.config.patience + more;
        self.agenda.at(at, Event::Deadline(self.deadline));
    }

    fn send(&mut self, from: Address, to: Address, kind: Kind, body: Body) {
        for at in self.links.send(self.now, from, to) {
            let envelope = Envelope {
                from,
                to,
                kind,
                attempt: self.attempt,
                body: body.clone(),
            };
            self.agenda.at(at, Event::Arrives(envelope));
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrives(envelope) => self.arrive(envelope),
            Event::Computed(party, attempt, purpose) => self.computed(party, attempt, purpose),
            Event::Deadline(number) if number == self.deadline => {
                let step = self.coordinator.as_mut().map(CoordinatorActor::advance);
                self.follow(step.unwrap_or(Move::Stay));
            }
            Event::Turn(party, attempt) if attempt == self.attempt => {
                if self
                    .coordinator
                    .as_ref()
                    .is_some_and(CoordinatorActor::opens)
                {
                    let to = Address::Party(party);
                    self.send(Address::Coordinator, to, Kind::View, Body::OnArrival);
                    self.send(Address::Coordinator, to, Kind::Bundle, Body::OnArrival);
                }
            }
            Event::Deadline(_) | Event::Turn(..) => {}
        }
    }

    fn arrive(&mut self, envelope: Envelope) {
        let (bytes, seen) = match envelope.body {
            Body::Seen(bytes) => (bytes, true),
            Body::Bytes(bytes) => (bytes, false),
            Body::OnArrival if envelope.attempt != self.attempt => return self.stray(),
            Body::OnArrival => {
                let made = match (&self.coordinator, envelope.to) {
                    (Some(coordinator), Address::Party(reader)) => {
                        coordinator.render(envelope.kind, PartyIndex::new(reader))
                    }
                    _ => None,
                };
                match made {
                    Some(bytes) => (bytes, false),
                    None => return self.stray(),
                }
            }
        };
        let passing = Passing {
            now: self.now,
            from: envelope.from,
            to: envelope.to,
            kind: envelope.kind,
            attempt: envelope.attempt,
            bytes: &bytes,
        };
        let parcels = match &mut self.config.intercept {
            Some(intercept) if !seen => intercept.on_message(&passing),
            _ => {
                return self.deliver(
                    passing.from,
                    passing.to,
                    passing.kind,
                    passing.attempt,
                    &bytes,
                );
            }
        };
        for parcel in parcels {
            self.forward(parcel);
        }
    }

    fn stray(&mut self) {
        self.outcome.out_of_place += 1;
    }

    fn forward(&mut self, parcel: Parcel) {
        let Parcel {
            from,
            to,
            kind,
            attempt,
            bytes,
            later,
        } = parcel;
        if later == 0 {
            return self.deliver(from, to, kind, attempt, &bytes);
        }
        let envelope = Envelope {
            from,
            to,
            kind,
            attempt,
            body: Body::Seen(bytes),
        };
        self.agenda.at(self.now + later, Event::Arrives(envelope));
    }

    fn deliver(&mut self, from: Address, to: Address, kind: Kind, attempt: Attempt, bytes: &[u8]) {
        self.outcome.messages += 1;
        let head = format!("{} {from} {to} {kind:?} {attempt}", self.now);
        self.outcome.digest = chained(self.outcome.digest, head.as_bytes(), bytes);
        match (from, to) {
            (_, Address::Party(party)) => {
                let Some(actor) = self.parties.get_mut(usize::from(party)) else {
                    return;
                };
                match actor.take(attempt, kind, bytes) {
                    Act::Compute { slower } => {
                        let at = self.now + self.links.compute() + slower;
                        if let Ok(purpose) = bytes.try_into() {
                            let event = Event::Computed(party, attempt, purpose);
                            self.agenda.at(at, event);
                        }
                    }
                    act => self.act(party, attempt, act),
                }
            }
            (Address::Party(party), Address::Coordinator) if attempt == self.attempt => {
                let coordinator = self.coordinator.as_mut();
                let step = coordinator.map(|c| c.take(PartyIndex::new(party), kind, bytes));
                self.follow(step.unwrap_or(Move::OutOfPlace));
            }
            _ => self.stray(),
        }
    }

    fn computed(&mut self, party: u16, attempt: Attempt, purpose: [u8; 32]) {
        let vector = self.vector(party, attempt);
        let spec = self.spec(purpose);
        let actor = self.parties.get_mut(usize::from(party));
        let act = actor.map(|actor| actor.input(attempt, spec, vector));
        self.act(party, attempt, act.unwrap_or(Act::Nothing));
    }

    /// A party's vector in an attempt.
    fn vector(&self, party: u16, attempt: Attempt) -> RingVec {
        let mut rng = generator(self.config.seed, &format!("vector of {party} in {attempt}"));
        let values: Vec<_> = (0..self.config.len)
            .map(|_| rng.next_u64().cast_signed())
            .collect();
        RingVec::from_wrapping(self.config.modulus, &values)
    }

    fn act(&mut self, party: u16, attempt: Attempt, act: Act) {
        let from = Address::Party(party);
        let body = match act {
            Act::Nothing | Act::Compute { .. } => return self.stray(),
            Act::Refuse(fault) => {
                self.checker.party_refused(party, &fault);
                return self.outcome.party_faults.push(PartyFault {
                    party,
                    attempt,
                    fault,
                });
            }
            Act::Input(body) => {
                self.checker.sent_input(party, attempt, &body);
                (Kind::Input, body)
            }
            Act::Agree {
                hash,
                survivors,
                body,
                then,
            } => {
                self.checker.agreed(party, attempt, hash, &survivors);
                self.post(from, attempt, Kind::Agree, body);
                if let Some(then) = then {
                    self.act(party, attempt, *then);
                }
                return;
            }
            Act::Open { hash, body } => {
                self.checker.opened(party, attempt, hash, &body);
                (Kind::Open, body)
            }
        };
        self.post(from, attempt, body.0, body.1);
    }

    /// A party's message leaves, for the attempt that it belongs to.
    fn post(&mut self, from: Address, attempt: Attempt, kind: Kind, body: Vec<u8>) {
        let mut body = Some(body);
        let arrivals = self.links.send(self.now, from, Address::Coordinator);
        for (left, at) in (0..arrivals.len()).rev().zip(arrivals) {
            let bytes = if left == 0 { body.take() } else { body.clone() };
            let envelope = Envelope {
                from,
                to: Address::Coordinator,
                kind,
                attempt,
                body: Body::Bytes(bytes.unwrap_or_default()),
            };
            self.agenda.at(at, Event::Arrives(envelope));
        }
    }

    fn follow(&mut self, step: Move) {
        match step {
            Move::Stay => {}
            Move::OutOfPlace => self.stray(),
            Move::Refused(fault) => {
                self.checker.coordinator_refused(&fault);
                self.outcome.refused.push((self.attempt, fault));
            }
            Move::Show => self.show(),
            Move::Open => self.open(),
            Move::End(Ok(summed)) => self.summed(summed),
            Move::End(Err(fault)) => {
                self.checker.coordinator_refused(&fault);
                self.end(AttemptEnd::Aborted(fault));
            }
        }
    }

    /// The committee is shown the survivors.
    fn show(&mut self) {
        let (committee, _) = self.survivors_by_committee();
        for party in committee {
            let to = Address::Party(party);
            self.send(Address::Coordinator, to, Kind::View, Body::OnArrival);
        }
        self.wait(0);
    }

    /// The committee is sent the signatures, and one after the other everybody else the survivors and the signatures.
    fn open(&mut self) {
        let (committee, others) = self.survivors_by_committee();
        for party in committee {
            let to = Address::Party(party);
            self.send(Address::Coordinator, to, Kind::Bundle, Body::OnArrival);
        }
        let mut turn = self.now;
        for party in others {
            turn += self.config.pace;
            self.agenda.at(turn, Event::Turn(party, self.attempt));
        }
        self.wait(turn - self.now);
    }

    fn survivors_by_committee(&self) -> (Vec<u16>, Vec<u16>) {
        let Some(coordinator) = &self.coordinator else {
            return Default::default();
        };
        let committee = coordinator.keys().committee();
        let survivors = coordinator.survivors().iter();
        let (inside, outside): (Vec<_>, Vec<_>) =
            survivors.partition(|party| committee.binary_search(party).is_ok());
        let plain = |parties: Vec<&PartyIndex>| parties.iter().map(|p| p.get()).collect();
        (plain(inside), plain(outside))
    }

    fn summed(&mut self, summed: Summed) {
        let zeros = || RingVec::zeros(self.config.modulus, self.config.len);
        let groups = self.config.grouping.as_deref();
        let count = groups.map_or(1, |groups| groups.groups().into());
        let mut expected: Vec<_> = (0..count).map(|_| zeros()).collect();
        for party in &summed.survivors {
            let vector = self.vector(party.get(), self.attempt);
            let group = groups.and_then(|groups| groups.of(*party)).unwrap_or(0);
            let sum = expected.get_mut(usize::from(group));
            if sum.is_none_or(|sum| sum.add_assign(&vector).is_err()) {
                break;
            }
        }
        let hash = self.coordinator.as_ref().and_then(CoordinatorActor::hash);
        self.checker.summed(self.attempt, hash, &summed, &expected);
        self.end(AttemptEnd::Exact(summed.survivors));
    }

    fn end(&mut self, end: AttemptEnd) {
        self.deadline += 1;
        self.ended = Some(end);
    }
}

fn chained(before: Digest, head: &[u8], bytes: &[u8]) -> Digest {
    long_hash(
        "lepton masked-sum simulation",
        &[before.as_bytes(), head, bytes],
    )
}
