//! Who stands between the actors.

use std::collections::BTreeSet;
use std::sync::Arc;

use lepton_crypto::IdentityKey;
use lepton_protocol::frame::Address;
use lepton_secagg::{Attempt, EpochContext, EpochKeys, Parameters, Roster, SumSpec};

use crate::identity_of;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Set-up: a party's advert, to each party and to the coordinator.
    Advert,
    /// Set-up: a party's reveal, likewise.
    Reveal,
    /// Coordinator to party: the attempt begins; the body is the purpose.
    Begin,
    /// (a).
    Input,
    /// Coordinator to party: who survived.
    View,
    /// (b).
    Agree,
    /// Coordinator to party: the signatures.
    Bundle,
    /// (c).
    Open,
}

/// A message that is about to arrive.
#[derive(Debug, Clone, Copy)]
pub struct Passing<'m> {
    /// Virtual time.
    pub now: u64,
    /// Who sent it.
    pub from: Address,
    /// Who is to receive it.
    pub to: Address,
    /// What it is.
    pub kind: Kind,
    /// The attempt it is sent for; the first attempt during the set-up.
    pub attempt: Attempt,
    /// The body.
    pub bytes: &'m [u8],
}

/// A message to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// Whose message it passes for.
    pub from: Address,
    /// To whom.
    pub to: Address,
    /// As what.
    pub kind: Kind,
    /// For which attempt.
    pub attempt: Attempt,
    /// The body.
    pub bytes: Vec<u8>,
    /// How much later; nothing is looked at a second time. Not used in the set-up.
    pub later: u64,
}

impl Passing<'_> {
    /// The message as it is.
    #[must_use]
    pub fn pass(&self) -> Parcel {
        self.with(self.bytes.to_vec())
    }

    /// Other bytes on the same way.
    #[must_use]
    pub fn with(&self, bytes: Vec<u8>) -> Parcel {
        Parcel {
            from: self.from,
            to: self.to,
            kind: self.kind,
            attempt: self.attempt,
            bytes,
            later: 0,
        }
    }

    /// A message of the coordinator in the same attempt.
    #[must_use]
    pub fn tell(&self, party: u16, kind: Kind, bytes: Vec<u8>) -> Parcel {
        Parcel {
            from: Address::Coordinator,
            to: Address::Party(party),
            kind,
            ..self.with(bytes)
        }
    }

    /// The party at this end or the other.
    #[must_use]
    pub fn party(&self) -> Option<u16> {
        match (self.from, self.to) {
            (Address::Party(party), _) | (_, Address::Party(party)) => Some(party),
            _ => None,
        }
    }
}

/// What an adversary knows of the set-up.
pub struct SetUpScene {
    /// The seed of the simulation: with it, [`SetUpScene::identity`].
    pub seed: u64,
    /// The parameters.
    pub params: Parameters,
    /// The job and epoch.
    pub context: EpochContext,
    /// The roster.
    pub roster: Roster,
    /// The colluders.
    pub colluders: BTreeSet<u16>,
}

/// What an adversary knows of an attempt.
pub struct Scene<'s> {
    /// The set-up.
    pub set_up: &'s SetUpScene,
    /// The keys as the coordinator has them.
    pub keys: &'s Arc<EpochKeys>,
    /// The attempt.
    pub attempt: Attempt,
    /// The vectors, and the groups they are summed in.
    pub spec: SumSpec,
}

impl SetUpScene {
    /// A colluder's identity; of nobody else.
    #[must_use]
    pub fn identity(&self, colluder: u16) -> Option<IdentityKey> {
        let owned = self.colluders.contains(&colluder);
        owned.then(|| identity_of(self.seed, Address::Party(colluder)))
    }
}

/// Sees every message before its receiver does. The answer is what arrives instead: nothing drops the message, other bytes change it, more of them
/// replay or add.
pub trait MessageInterceptor {
    /// The set-up begins.
    fn set_up_begins(&mut self, _scene: &SetUpScene) {}

    /// An attempt begins.
    fn attempt_begins(&mut self, _scene: &Scene<'_>) {}

    /// What arrives instead of the message.
    fn on_message(&mut self, message: &Passing<'_>) -> Vec<Parcel>;
}

impl<F: FnMut(&Passing<'_>) -> Vec<Parcel>> MessageInterceptor for F {
    fn on_message(&mut self, message: &Passing<'_>) -> Vec<Parcel> {
        self(message)
    }
}
