//! The steps of one exchange: begin, close each of the three, absorb or abandon.

use std::borrow::Cow;

use bytes::Bytes;
use lepton_ring::RingVec;
use lepton_secagg::{Attempt, Collecting, PartyIndex};
use prost::Message;
use rand_core::CryptoRng;

use super::{Coordinator, CoordinatorFault, Effects, Phase};
use crate::exchange::{Kind, purpose};
use crate::frame::Step;
use crate::progress::Progress;
use crate::training::Next;
use crate::wire::{BeginIn, FinishIn, pack_parameters};

impl Coordinator {
    /// Starts the next exchange, ends the job, or waits for who is gone and needed (FT-11).
    pub(super) fn begin(
        &mut self,
        effects: &mut Effects,
        rng: &mut impl CryptoRng,
    ) -> Result<(), CoordinatorFault> {
        if self.pausing {
            self.phase = Phase::Idle;
            effects.persist.push(self.checkpoint()?);
            effects.paused = true;
            return Ok(());
        }
        let missed: Vec<String> = self.missed().map(|party| party.to_string()).collect();
        if !missed.is_empty() {
            effects.progress.push(Progress::Note {
                text: format!(
                    "waiting for party {}: an attempt at the next sum was signed and lost, and without a privacy goal it is summed over the same parties or not at all",
                    missed.join(", ")
                ),
            });
            // Only after a lost attempt, which the stored checkpoint counts as begun: there is nothing new to persist.
            self.phase = Phase::Waiting;
            self.set_deadline(effects);
            return Ok(());
        }
        self.begin_now(effects, rng)
    }

    /// Starts the next exchange, or ends the job.
    pub(super) fn begin_now(
        &mut self,
        effects: &mut Effects,
        rng: &mut impl CryptoRng,
    ) -> Result<(), CoordinatorFault> {
        self.welcome();
        self.declined.clear();
        let Some(next) = self.training.next(&self.plan, rng)? else {
            self.phase = Phase::Over;
            let body = FinishIn {
                parameters: pack_parameters(self.training.parameters().iter().copied()).into(),
                prepared: self.training.public().to_wire(),
                rounds: self.training.rounds_in_model(),
            };
            self.broadcast(
                self.set_up_place(),
                Step::Finish,
                body.encode_to_vec(),
                effects,
            );
            effects.persist.push(self.checkpoint()?);
            effects.over = true;
            return Ok(());
        };
        // The number of the exchange is durable before anybody hears of it: a resumed job never reuses it.
        effects.persist.push(self.checkpoint()?);
        let exchange = self.plan.exchange(next.kind, self.training.public())?;
        let attempt = Attempt {
            round: next.number,
            attempt: next.attempt,
        };
        let keys = self
            .keys
            .clone()
            .ok_or_else(|| CoordinatorFault::Stopped("no keys were agreed".to_owned()))?;
        let parameters: Cow<'_, [f64]> = match next.kind {
            Kind::Survey | Kind::Statistics => Cow::default(),
            Kind::Training => self.training.parameters().into(),
            Kind::Evaluation | Kind::FinalEvaluation => self.training.released().into(),
        };
        let public = self.training.public();
        let purpose = purpose(
            next.kind,
            &self.plan,
            public,
            &parameters,
            &self.slot_commitment,
        );
        let machine = Collecting::new(keys, attempt, exchange.spec(purpose))?;
        let parameters = Bytes::from(pack_parameters(parameters.iter().copied()));
        effects.began = Some(next.clone());
        self.announce(&next, parameters, effects);
        self.phase = Phase::Collecting(next, Box::new(machine));
        self.set_deadline(effects);
        Ok(())
    }

    /// Tells the parties that an exchange begins; the public state goes to those who do not hold it yet.
    pub(super) fn announce(&mut self, next: &Next, parameters: Bytes, effects: &mut Effects) {
        let place = self.place_of(next);
        let mut begin = BeginIn {
            kind: next.kind as u32,
            training_round: next.training_round,
            prepared: Vec::new(),
            parameters,
        };
        let mut asked = self.present();
        let all = self.asked(next.kind);
        asked.retain(|party| all.contains(party));
        let (know, learn): (Vec<u16>, Vec<u16>) = asked
            .into_iter()
            .partition(|party| self.told.contains(party));
        let mut send = |party: u16, body: &Bytes| {
            let frame = self.frame(place, party, Step::Begin, body.clone());
            effects.send.push((party, frame));
        };
        if !know.is_empty() {
            let short = Bytes::from(begin.encode_to_vec());
            know.iter().for_each(|party| send(*party, &short));
        }
        if learn.is_empty() {
            return;
        }
        begin.prepared = self.training.public().to_wire();
        let long = Bytes::from(begin.encode_to_vec());
        learn.iter().for_each(|party| send(*party, &long));
    }

    /// An attempt at inputs that were signed before needs all who signed them (FT-11).
    fn require_signed_set(&self, kind: Kind, received: &[u16]) -> Result<(), CoordinatorFault> {
        let signed = self.training.only(kind).unwrap_or_default().iter();
        let missing: Vec<String> = signed
            .filter(|party| !received.contains(party))
            .map(u16::to_string)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(CoordinatorFault::Incomplete(format!(
            "an attempt at this sum was signed and lost, and without a privacy goal it is summed over the same parties or not at all; missing: party {}",
            missing.join(", ")
        )))
    }

    /// Without a privacy goal the same inputs are summed over one set only (FT-11): the set is durable before it is shown. Only one that can be shown
    /// counts: were one recorded that the masked sum then refuses (SA-15, SA-24), a single liar could bind the job to itself.
    fn record_set(
        &mut self,
        kind: Kind,
        shown: Vec<u16>,
        effects: &mut Effects,
    ) -> Result<(), CoordinatorFault> {
        if self.plan.privacy().is_none() {
            let record = self.training.signed_by(kind, shown);
            let record = record.map_err(CoordinatorFault::Stopped)?;
            effects.persist.push(record);
        }
        Ok(())
    }

    /// Rule FT-18, before anything is persisted or shown: the masked sum would refuse, and not say which group.
    fn check_groups(&self, kind: Kind, received: &[u16]) -> Result<(), CoordinatorFault> {
        match self.plan.groups_in(kind) {
            None => Ok(()),
            Some(groups) => groups
                .check(received.iter().copied())
                .map_err(|short| CoordinatorFault::Incomplete(short.to_string())),
        }
    }

    /// Ends the current step with whoever has answered; too few abandons the attempt.
    pub(super) fn close_step(
        &mut self,
        effects: &mut Effects,
        rng: &mut impl CryptoRng,
    ) -> Result<(), CoordinatorFault> {
        let phase = std::mem::replace(&mut self.phase, Phase::Idle);
        let next = match &phase {
            Phase::Collecting(next, _) | Phase::Signing(next, _) | Phase::Opening(next, ..) => {
                next.clone()
            }
            _ => return Ok(()),
        };
        if self.nobody_signed(&phase) {
            self.training.unsigned();
        }
        match self.close(phase, effects, rng) {
            Err(CoordinatorFault::Sum(fault)) => {
                self.abandon(&next, &fault.to_string(), effects, rng)
            }
            Err(CoordinatorFault::Incomplete(reason)) => self.abandon(&next, &reason, effects, rng),
            result => result,
        }
    }

    /// Whether each survivor was shown the set and declined it: then nobody signed it, and another may be tried (FT-11). A party whose answer is missing may have
    /// signed, and one that declines before it is shown a set says nothing about an earlier one.
    fn nobody_signed(&self, phase: &Phase) -> bool {
        let Phase::Signing(_, machine) = phase else {
            return false;
        };
        let mut survivors = machine.survivors().into_iter().map(PartyIndex::get);
        machine.agreed() == 0 && survivors.all(|party| self.declined.contains_key(&party))
    }

    pub(super) fn close(
        &mut self,
        phase: Phase,
        effects: &mut Effects,
        rng: &mut impl CryptoRng,
    ) -> Result<(), CoordinatorFault> {
        match phase {
            Phase::Collecting(next, machine) => {
                let place = self.place_of(&next);
                let received: Vec<u16> = machine
                    .received()
                    .into_iter()
                    .map(PartyIndex::get)
                    .collect();
                self.check_groups(next.kind, &received)?;
                self.require_signed_set(next.kind, &received)?;
                let signing = machine.close()?;
                self.record_set(next.kind, received, effects)?;
                for (party, view) in signing.views() {
                    effects.send.push((
                        party.get(),
                        self.frame(place, party.get(), Step::View, view),
                    ));
                }
                self.phase = Phase::Signing(next, Box::new(signing));
                self.set_deadline(effects);
            }
            Phase::Signing(next, machine) => {
                let place = self.place_of(&next);
                let survivors: Vec<u16> = machine
                    .survivors()
                    .into_iter()
                    .map(PartyIndex::get)
                    .collect();
                let (opening, bundle) = machine.close()?;
                let bundle = Bytes::from(bundle);
                for party in &survivors {
                    effects.send.push((
                        *party,
                        self.frame(place, *party, Step::Bundle, bundle.clone()),
                    ));
                }
                self.phase = Phase::Opening(next, Box::new(opening), survivors);
                self.set_deadline(effects);
            }
            Phase::Opening(next, machine, _) => {
                let summed = machine.finish(self.seat.workers)?;
                let survivors: Vec<u16> =
                    summed.survivors.iter().map(|party| party.get()).collect();
                let sums: Vec<i64> = summed.sums.iter().flat_map(RingVec::to_signed).collect();
                self.absorb(&next, &sums, &survivors, effects, rng)?;
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn absorb(
        &mut self,
        next: &Next,
        sum: &[i64],
        survivors: &[u16],
        effects: &mut Effects,
        rng: &mut impl CryptoRng,
    ) -> Result<(), CoordinatorFault> {
        let known = self.training.public().clone();
        let progress = self
            .training
            .absorb(&self.plan, next, sum, survivors.len())?;
        effects.progress.push(Progress::Summed {
            kind: next.kind,
            round: next.training_round,
            survivors: survivors.to_vec(),
        });
        effects.progress.extend(progress);
        if *self.training.public() != known {
            self.told.clear();
        }
        // `begin` persists the checkpoint, this sum included, before anything is sent.
        self.begin(effects, rng)
    }

    pub(super) fn abandon(
        &mut self,
        next: &Next,
        fault: &str,
        effects: &mut Effects,
        rng: &mut impl CryptoRng,
    ) -> Result<(), CoordinatorFault> {
        let reason = match self.declined.iter().next() {
            Some((party, why)) => format!("{fault}; party {party} declined: {why}"),
            None => fault.to_owned(),
        };
        effects.progress.push(Progress::Abandoned {
            kind: next.kind,
            round: next.training_round,
            reason: reason.clone(),
        });
        self.welcome();
        let left = self.seat.roster.len() - self.gone.len();
        if left < usize::from(self.plan.parameters().survivor_floor()) {
            return Err(CoordinatorFault::Stopped(format!(
                "{left} of {} parties are left and each sum needs {}: {reason}; bring parties back and resume the run",
                self.seat.roster.len(),
                self.plan.parameters().survivor_floor()
            )));
        }
        self.training.lost(&self.plan, next, &reason)?;
        self.begin(effects, rng)
    }
}
