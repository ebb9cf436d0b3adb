//! A party that waits for the dealer.

use lepton_crypto::Seed;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::check::Secrets;
use super::exchange::Exchange;
use super::field::{Element, Elements, expand, from_bytes};
use super::table::Table;
use crate::party::checked_inputs;
use crate::wire::{DEALING, Way};
use crate::{CallerReason, Fault, Message, MessageReason, PartyIndex, Sender, Session};

/// A party with its inputs, which waits for what the dealer made.
pub struct Joining {
    session: Session,
    party: PartyIndex,
    inputs: Elements,
    secrets: Secrets,
    dealt: Option<Dealt>,
}

/// What the dealer made for a party.
struct Dealt {
    /// The masks of its own inputs.
    masks: Elements,
    /// Its shares of the key, and of values and their MACs.
    shares: Elements,
}

impl Joining {
    /// Takes the inputs of `party`, in the circuit's order, as integers of their encodings. Record the session durably before any message leaves
    /// (MP-13).
    ///
    /// Refuses circuits that this protocol cannot compute (AS-01), a party that is not in the circuit, another number or length of inputs, and values
    /// beyond the agreed bound.
    pub fn start(
        session: &Session,
        party: PartyIndex,
        inputs: &[Vec<i64>],
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Fault> {
        let session = super::session(session).map_err(|_| CallerReason::Circuit)?;
        if !session.circuit().parties().contains(party) {
            return Err(CallerReason::Party(party).into());
        }
        let words = checked_inputs(&session, party, inputs)?;
        let inputs = words.iter().map(|word| Element::of(word.cast_signed()));
        Ok(Self {
            inputs: Zeroizing::new(inputs.collect()),
            secrets: Secrets::new(Seed::random(rng)),
            dealt: None,
            party,
            session,
        })
    }

    /// Takes the dealer's message. A refused one changes nothing (MP-12).
    pub fn receive(&mut self, from: Sender, body: &[u8]) -> Result<(), Fault> {
        let refused = |reason| Err(Fault::Message(from, reason));
        if from != Sender::Dealer {
            // A party may be ahead of this one, and is to be heard later.
            return refused(MessageReason::Early);
        }
        let way = Way {
            from,
            to: self.party,
            step: DEALING,
        };
        let dealt = way.read(&self.session, body, |content| self.parse(content))?;
        if self.dealt.is_some() {
            return refused(MessageReason::Duplicate);
        }
        self.dealt = Some(dealt);
        Ok(())
    }

    /// Begins the first exchange: inputs under their masks (AS-05). Refuses while the dealer's message is missing, and gives the state back.
    pub fn advance(self) -> Result<(Exchange, Vec<Message>), (Self, Fault)> {
        let Some(dealt) = &self.dealt else {
            return Err((self, CallerReason::Missing(Sender::Dealer).into()));
        };
        let masked = self.inputs.iter().zip(dealt.masks.iter());
        let masked: Vec<_> = masked.map(|(x, r)| x.minus(*r)).collect();
        let table = Table::new(&self.session, self.party, &dealt.shares);
        Ok(Exchange::begin(
            self.session,
            self.party,
            table,
            self.secrets,
            &masked,
        ))
    }

    fn parse(&self, content: &[u8]) -> Option<Dealt> {
        let circuit = self.session.circuit();
        let words = 2 * super::dealt(circuit) + 1;
        let (mask, rest) = content.split_first_chunk::<32>()?;
        let shares = if self.party.leads() {
            from_bytes(rest, words)?
        } else {
            expand(&Seed::from_bytes(rest.try_into().ok()?), words)
        };
        let masks = expand(&Seed::from_bytes(*mask), circuit.input_words(self.party));
        Some(Dealt { masks, shares })
    }
}
