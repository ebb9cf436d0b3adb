//! A coordinator that shows parties different things in the set-up.

use std::collections::BTreeMap;

use lepton_protocol::frame::Address;
use lepton_secagg::{PartyIndex, PartySetup};

use super::super::{Kind, MessageInterceptor, Parcel, Passing, SetUpScene};
use super::{Attack, Dice};

/// Changes adverts, or withholds adverts and reveals.
pub(crate) struct KeyThief {
    dice: Dice,
    attack: Attack,
    /// Second adverts of colluders, validly signed.
    second: BTreeMap<u16, Vec<u8>>,
    /// Another party's advert that passed by.
    seen: Option<Vec<u8>>,
}

impl KeyThief {
    pub(crate) fn new(dice: Dice, attack: Attack) -> Self {
        Self {
            dice,
            attack,
            second: BTreeMap::new(),
            seen: None,
        }
    }

    fn swap(&mut self, message: &Passing<'_>) -> Parcel {
        let second = match message.from {
            Address::Party(party) => self.second.get(&party).cloned(),
            Address::Coordinator => None,
        };
        let other = self.seen.replace(message.bytes.to_vec());
        let bytes = second.or(other);
        message.with(bytes.unwrap_or_else(|| message.bytes.to_vec()))
    }
}

impl MessageInterceptor for KeyThief {
    fn set_up_begins(&mut self, scene: &SetUpScene) {
        for party in &scene.colluders {
            let Some(identity) = scene.identity(*party) else {
                continue;
            };
            let again = PartySetup::begin(
                PartyIndex::new(*party),
                &identity,
                &scene.roster,
                scene.params,
                scene.context,
                &mut self.dice.rng,
            );
            if let Ok((_, advert)) = again {
                self.second.insert(*party, advert.bytes);
            }
        }
    }

    fn on_message(&mut self, message: &Passing<'_>) -> Vec<Parcel> {
        // The coordinator itself keeps what is true, so that rounds are tried.
        let shown = message.to != Address::Coordinator && message.kind < Kind::Begin;
        if !shown || !self.dice.strikes() {
            return vec![message.pass()];
        }
        match (self.attack, message.kind) {
            (Attack::SwappedAdverts, Kind::Advert) => vec![self.swap(message)],
            (Attack::WithheldReveals, _) => Vec::new(),
            _ => vec![message.pass()],
        }
    }
}
