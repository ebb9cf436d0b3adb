//! Set-up of an epoch: invitation, adverts, slot key.

use lepton_crypto::{Seed, hash, open, seal};
use lepton_secagg::{EpochContext, Fault, PartyEpoch, PartyIndex, PartySetup, Roster};
use prost::Message;
use rand_core::CryptoRng;

use super::{Effects, Party, PartyFault, Phase, State, body};
use crate::frame::{Frame, Step};
use crate::job::Job;
use crate::plan::Plan;
use crate::store::Record;
use crate::wire::{AdvertsIn, DeclineIn, InviteIn, RevealsIn, SlotKeyIn, SlotKeysIn};

const SLOT_LABEL: &str = "slot key";

/// What the coordinator is told of keys, parts or a graph that a party refuses.
const REFUSES_KEYS: &str = "it refuses the keys of this epoch";

/// Key under which a party keeps the slot key: a later epoch of the job goes on with the same (rule PR-02).
pub const SLOT_KEY: &str = "slot-key";

/// Key under which a party keeps the last epoch that it answered (SA-21): a restarted party enters no epoch twice.
pub const EPOCH: &str = "epoch";

/// The epoch in a record of [`EPOCH`]; `None` when it is damaged.
#[must_use]
pub fn epoch_of(record: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(record.try_into().ok()?))
}

impl Party {
    pub(super) fn on_invite(
        &mut self,
        frame: &Frame,
        rng: &mut impl CryptoRng,
    ) -> Result<Effects, PartyFault> {
        let plan = match self.agreed_plan(frame) {
            Err(fault @ PartyFault::Coordinator(_)) => {
                let words = "it agreed to another job or roster than the invitation names";
                return Ok(self.stay_out(frame, words, &fault));
            }
            plan => plan?,
        };
        let context = EpochContext {
            job: self.seat.job,
            epoch: frame.place.epoch,
        };
        let roster = Roster::new(&self.seat.roster).map_err(Fault::from)?;
        let (setup, advert) = match PartySetup::begin(
            PartyIndex::new(self.seat.index),
            &self.seat.identity,
            &roster,
            plan.parameters().to_owned(),
            context,
            rng,
        ) {
            Ok(begun) => begun,
            Err(fault) => {
                return Ok(self.stay_out(frame, "it cannot open this epoch", &fault.into()));
            }
        };
        self.epoch = frame.place.epoch;
        self.last = None;
        self.slot_key = None;
        self.slot_commitment = [0; 32];
        self.plan = Some(plan);
        self.state = State::SettingUp(Box::new(setup));
        let mut effects = self.reply(frame.place, Step::Advert, advert.bytes);
        effects.persist.push(Record {
            key: EPOCH.to_owned(),
            value: self.epoch.to_be_bytes().to_vec(),
        });
        Ok(effects)
    }

    /// What the invitation asks for, if it is the job and the roster that this party agreed to.
    fn agreed_plan(&self, frame: &Frame) -> Result<Plan, PartyFault> {
        let invite: InviteIn = body(&frame.body)?;
        let enrolled = self.seat.roster.iter().map(|key| key.to_bytes());
        if !invite.roster.into_iter().eq(enrolled) {
            return Err(PartyFault::Coordinator(
                "a roster that is not the enrolled one".to_owned(),
            ));
        }
        if *lepton_crypto::sha256(invite.job.as_bytes()).as_bytes() != self.seat.job {
            return Err(PartyFault::Coordinator(
                "a job file that is not the agreed one".to_owned(),
            ));
        }
        let job = Job::parse("the invitation", &invite.job, &[])
            .map_err(|errors| PartyFault::Coordinator(format!("an invalid job file: {errors}")))?;
        Ok(Plan::new(job, self.parties())?)
    }

    /// The set-up is over for this party: the coordinator is told so in constant words, its own log says more.
    fn stay_out(&self, frame: &Frame, words: &str, fault: &PartyFault) -> Effects {
        let decline = DeclineIn {
            reason: words.to_owned(),
            refused: false,
        };
        Effects {
            own_log: Some(fault.to_string()),
            ..self.reply(frame.place, Step::Decline, decline.encode_to_vec())
        }
    }

    pub(super) fn on_adverts(
        &mut self,
        frame: &Frame,
        rng: &mut impl CryptoRng,
    ) -> Result<Effects, PartyFault> {
        if !matches!(self.state, State::SettingUp(_)) {
            return Err(PartyFault::Coordinator("adverts outside set-up".to_owned()));
        }
        let adverts: AdvertsIn = body(&frame.body)?;
        let State::SettingUp(setup) = std::mem::replace(&mut self.state, State::Waiting) else {
            return Ok(Effects::default());
        };
        let frozen = match setup.freeze(&numbered(adverts.adverts)) {
            Ok(frozen) => frozen,
            Err(fault) => return Ok(self.stay_out(frame, REFUSES_KEYS, &fault.into())),
        };
        if let Some(reveal) = frozen.reveal() {
            self.state = State::Frozen(Box::new(frozen));
            return Ok(self.reply(frame.place, Step::Reveal, reveal));
        }
        match frozen.finish(&[]) {
            Ok(epoch) => self.join(frame, epoch, rng),
            Err(fault) => Ok(self.stay_out(frame, REFUSES_KEYS, &fault.into())),
        }
    }

    pub(super) fn on_reveals(
        &mut self,
        frame: &Frame,
        rng: &mut impl CryptoRng,
    ) -> Result<Effects, PartyFault> {
        if !matches!(self.state, State::Frozen(_)) {
            return Err(PartyFault::Coordinator("reveals outside set-up".to_owned()));
        }
        let reveals: RevealsIn = body(&frame.body)?;
        let State::Frozen(frozen) = std::mem::replace(&mut self.state, State::Waiting) else {
            return Ok(Effects::default());
        };
        match frozen.finish(&numbered(reveals.reveals)) {
            Ok(epoch) => self.join(frame, epoch, rng),
            Err(fault) => Ok(self.stay_out(frame, REFUSES_KEYS, &fault.into())),
        }
    }

    fn join(
        &mut self,
        frame: &Frame,
        epoch: PartyEpoch,
        rng: &mut impl CryptoRng,
    ) -> Result<Effects, PartyFault> {
        let effects = if self.seat.index == 0 {
            let sealed = self.seal_slot_keys(&epoch, rng)?;
            let commitment = self.slot_commitment.to_vec();
            let message = SlotKeysIn { sealed, commitment };
            let mut effects = self.reply(frame.place, Step::SlotKeys, message.encode_to_vec());
            effects.persist.extend(self.slot_record());
            effects
        } else {
            Effects::default()
        };
        self.state = State::Joined(Box::new(epoch), Phase::Idle);
        Ok(effects)
    }

    /// Rule PR-02: the first party draws the slot key, or takes the one it has kept from an earlier epoch, and seals it to each other party.
    fn seal_slot_keys(
        &mut self,
        epoch: &PartyEpoch,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Vec<u8>>, PartyFault> {
        let key = match &self.seat.slot_key {
            Some(kept) => Seed::from_bytes(*kept.as_bytes()),
            None => Seed::random(rng),
        };
        let sealed = (0..self.parties())
            .map(|peer| {
                if peer == self.seat.index {
                    return Ok(Vec::new());
                }
                let secret = epoch.pair_secret(PartyIndex::new(peer), SLOT_LABEL)?;
                Ok(seal(&secret, &self.slot_binding(), key.as_bytes()))
            })
            .collect::<Result<_, Fault>>()?;
        self.slot_commitment = commitment_to(&key);
        self.seat.slot_key = Some(Seed::from_bytes(*key.as_bytes()));
        self.slot_key = Some(key);
        Ok(sealed)
    }

    pub(super) fn on_slot_key(&mut self, frame: &Frame) -> Result<Effects, PartyFault> {
        let State::Joined(epoch, Phase::Idle) = &self.state else {
            return Err(PartyFault::Coordinator(
                "a slot key outside set-up".to_owned(),
            ));
        };
        let mut effects = Effects::default();
        if self.seat.index != 0 {
            if self.slot_key.is_some() {
                return Err(PartyFault::Coordinator("a second slot key".to_owned()));
            }
            let key = match self.sealed_slot_key(epoch, frame) {
                Ok(key) => key,
                Err(fault) => return Ok(self.stay_out(frame, "it refuses the slot key", &fault)),
            };
            self.slot_commitment = commitment_to(&key);
            self.seat.slot_key = Some(Seed::from_bytes(*key.as_bytes()));
            self.slot_key = Some(key);
            effects.persist.extend(self.slot_record());
        }
        effects.send = self.reply(frame.place, Step::Ready, Vec::new()).send;
        Ok(effects)
    }

    /// The slot key that the first party sealed for this one: the one kept from an earlier epoch, if there is one.
    fn sealed_slot_key(&self, epoch: &PartyEpoch, frame: &Frame) -> Result<Seed, PartyFault> {
        let wrong = || {
            PartyFault::Coordinator(
                "a slot key that party 0 did not seal for this party".to_owned(),
            )
        };
        let message: SlotKeyIn = body(&frame.body)?;
        let secret = epoch.pair_secret(PartyIndex::new(0), SLOT_LABEL)?;
        let key = open(&secret, &self.slot_binding(), &message.sealed).map_err(|_| wrong())?;
        let key = Seed::from_bytes(<[u8; 32]>::try_from(key.as_slice()).map_err(|_| wrong())?);
        let commitment = commitment_to(&key);
        if message.commitment != commitment {
            return Err(wrong());
        }
        let kept = self.seat.slot_key.as_ref();
        if kept.is_some_and(|kept| commitment_to(kept) != commitment) {
            return Err(PartyFault::Coordinator(
                "a slot key other than the one kept from an earlier epoch".to_owned(),
            ));
        }
        Ok(key)
    }

    fn slot_record(&self) -> Option<Record> {
        let key = self.slot_key.as_ref()?;
        Some(Record {
            key: SLOT_KEY.to_owned(),
            value: key.as_bytes().to_vec(),
        })
    }

    fn slot_binding(&self) -> Vec<u8> {
        [&self.seat.job[..], &self.epoch.to_be_bytes()].concat()
    }
}

/// What stands for the slot key in public: it is part of every sum's purpose, so that parties with different keys get no sum.
fn commitment_to(key: &Seed) -> [u8; 32] {
    *hash("lepton slot key", &[key.as_bytes()]).as_bytes()
}

fn numbered(bodies: Vec<Vec<u8>>) -> Vec<(PartyIndex, Vec<u8>)> {
    (0_u16..).map(PartyIndex::new).zip(bodies).collect()
}
