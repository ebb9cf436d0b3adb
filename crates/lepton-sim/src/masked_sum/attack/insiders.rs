//! Colluders beside an honest coordinator: they change what they send themselves.

use std::collections::BTreeSet;

use lepton_protocol::frame::Address;

use super::super::bodies::{AgreeBody, InputBody, OpenBody, WORD, edit};
use super::super::{Kind, MessageInterceptor, Parcel, Passing, Scene, SetUpScene};
use super::{Attack, Dice};

/// Strikes at messages of colluders.
pub(crate) struct Insiders {
    dice: Dice,
    attack: Attack,
    colluders: BTreeSet<u16>,
}

impl Insiders {
    pub(crate) fn new(dice: Dice, attack: Attack) -> Self {
        Self {
            dice,
            attack,
            colluders: BTreeSet::new(),
        }
    }

    fn deal(&mut self, bytes: &[u8]) -> Vec<u8> {
        edit(bytes, |input: &mut InputBody| match self.dice.below(4) {
            0 => {
                let holder = self.dice.below(input.sealed.len());
                if let Some(sealed) = input.sealed.get_mut(holder) {
                    self.dice.flip(sealed);
                }
            }
            1 => self.dice.flip(&mut input.columns),
            2 => self.dice.flip(&mut input.vector),
            _ => self.dice.flip(&mut input.secrets),
        })
    }

    fn agree(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let foreign = self.dice.below(4);
        let changed = edit(bytes, |body: &mut AgreeBody| match foreign {
            1 => self.dice.flip(&mut body.signature),
            2 => body.signature.truncate(WORD),
            _ => self.dice.flip(&mut body.binding),
        });
        (foreign != 0).then_some(changed)
    }

    fn strike(&mut self, message: &Passing<'_>) -> Option<Vec<u8>> {
        match (self.attack, message.kind) {
            (Attack::AlteredOpenings, Kind::Open) => {
                Some(edit(message.bytes, |body: &mut OpenBody| {
                    self.dice.flip(&mut body.entries);
                }))
            }
            (Attack::AlteredDealing, Kind::Input) => Some(self.deal(message.bytes)),
            (Attack::BadSignatures, Kind::Agree) => self.agree(message.bytes),
            _ => Some(message.bytes.to_vec()),
        }
    }
}

impl MessageInterceptor for Insiders {
    fn set_up_begins(&mut self, scene: &SetUpScene) {
        self.colluders.clone_from(&scene.colluders);
    }

    fn attempt_begins(&mut self, scene: &Scene<'_>) {
        self.set_up_begins(scene.set_up);
    }

    fn on_message(&mut self, message: &Passing<'_>) -> Vec<Parcel> {
        let own = match message.from {
            Address::Party(party) => self.colluders.contains(&party),
            Address::Coordinator => false,
        };
        if !own || message.kind < Kind::Begin || !self.dice.strikes() {
            return vec![message.pass()];
        }
        let changed = self.strike(message);
        changed
            .map(|bytes| message.with(bytes))
            .into_iter()
            .collect()
    }
}
