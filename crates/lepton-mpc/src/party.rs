//! A party: sharing, then opening as often as the circuit is deep.

use std::collections::BTreeMap;

use lepton_crypto::Seed;
use lepton_ring::FixedPoint;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::circuit::{Circuit, Op};
use crate::evaluate::Evaluation;
use crate::shares::{Words, add, expand, from_bytes, split, to_bytes};
use crate::wire::{DEALING, FIRST_OPENING, INPUTS, Way};
use crate::{CallerReason, Fault, Message, MessageReason, PartyIndex, Sender, Session};

/// A party that has sent its inputs' shares, and waits for those of the others and for the dealer.
pub struct Sharing {
    session: Session,
    party: PartyIndex,
    /// This party's share of its own inputs, one after another.
    own: Words,
    /// By owner.
    seeds: BTreeMap<PartyIndex, Seed>,
    dealt: Option<Words>,
}

/// A party that has sent its shares of what an exchange opens, and waits for those of the others.
pub struct Opening {
    session: Session,
    party: PartyIndex,
    evaluation: Box<Evaluation>,
    /// The shares that came, added to this party's.
    sum: Words,
    came: Vec<PartyIndex>,
}

/// Where a party stands when an exchange is over.
pub enum Next {
    /// Another exchange has begun: the messages are to be sent.
    Opening(Opening, Vec<Message>),
    /// Everything is opened.
    Done(Outputs),
}

/// What the circuit opened: the same for all parties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outputs(Vec<Output>);

/// One output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The integers, in steps of `2^-fraction_bits`.
    pub encoded: Vec<i64>,
    /// What a step is.
    pub fixed: FixedPoint,
    /// The largest distance from the exact function of the exact inputs, in half steps (MP-05).
    pub half_steps: u128,
}

impl Sharing {
    /// Shares the inputs of `party`, in the circuit's order, as integers of their encodings (MP-06). Record the session durably before the messages
    /// leave (MP-13).
    ///
    /// Refuses a party that is not in the circuit, another number or length of inputs, and values beyond the agreed bound (MP-04).
    pub fn start(
        session: Session,
        party: PartyIndex,
        inputs: &[Vec<i64>],
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Vec<Message>), Fault> {
        let parties = session.circuit().parties();
        if !parties.contains(party) {
            return Err(CallerReason::Party(party).into());
        }
        let own = checked_inputs(&session, party, inputs)?;
        let (own, seeds, messages) = if own.is_empty() {
            (own, Vec::new(), Vec::new())
        } else {
            let (own, seeds) = split(own, usize::from(parties.get()) - 1, rng);
            (own, seeds, parties.others(party).collect())
        };
        let messages = messages.into_iter().zip(seeds).map(|(to, seed)| Message {
            to,
            body: way(party, to, INPUTS).write(&session, seed.as_bytes().to_vec()),
        });
        let messages = messages.collect();
        let sharing = Self {
            own,
            seeds: BTreeMap::new(),
            dealt: None,
            party,
            session,
        };
        Ok((sharing, messages))
    }

    /// Takes a message of the dealer or of another party. A refused one changes nothing (MP-12).
    pub fn receive(&mut self, from: Sender, body: &[u8]) -> Result<(), Fault> {
        match from {
            Sender::Dealer => self.receive_dealt(body),
            Sender::Party(owner) => self.receive_seed(owner, body),
        }
    }

    /// The first from whom a message is missing.
    #[must_use]
    pub fn missing(&self) -> Option<Sender> {
        let circuit = self.session.circuit();
        let dealer = circuit.needs_dealer() && self.dealt.is_none();
        let owners = || self.owners().find(|owner| !self.seeds.contains_key(owner));
        dealer
            .then_some(Sender::Dealer)
            .or_else(|| owners().map(Sender::Party))
    }

    /// Begins the first exchange. Refuses while messages are missing, and gives the state back.
    pub fn advance(self) -> Result<(Opening, Vec<Message>), (Self, Fault)> {
        if let Some(missing) = self.missing() {
            return Err((self, CallerReason::Missing(missing).into()));
        }
        let inputs = self.shares_of_inputs();
        let dealt = self.dealt.unwrap_or_default();
        let evaluation = Evaluation::new(self.session.clone(), self.party, inputs, dealt);
        Ok(Opening::begin(
            self.session,
            self.party,
            Box::new(evaluation),
        ))
    }

    fn receive_dealt(&mut self, body: &[u8]) -> Result<(), Fault> {
        let words = self.session.circuit().dealt();
        if words == 0 {
            return Err(refused(Sender::Dealer, MessageReason::Unexpected));
        }
        let way = Way {
            from: Sender::Dealer,
            to: self.party,
            step: DEALING,
        };
        let dealt = if self.party.leads() {
            way.read(&self.session, body, |c| from_bytes(c, words))?
        } else {
            expand(&way.read(&self.session, body, seed)?, words)
        };
        if self.dealt.is_some() {
            return Err(refused(Sender::Dealer, MessageReason::Duplicate));
        }
        self.dealt = Some(dealt);
        Ok(())
    }

    fn receive_seed(&mut self, owner: PartyIndex, body: &[u8]) -> Result<(), Fault> {
        let refused = |reason| Err(refused(Sender::Party(owner), reason));
        if !self.session.circuit().parties().contains(owner) || owner == self.party {
            return refused(MessageReason::Unexpected);
        }
        let seed = way(owner, self.party, INPUTS).read(&self.session, body, seed)?;
        if !self.owners().any(|other| other == owner) {
            return refused(MessageReason::Unexpected);
        }
        if self.seeds.contains_key(&owner) {
            return refused(MessageReason::Duplicate);
        }
        self.seeds.insert(owner, seed);
        Ok(())
    }

    /// The other parties that own inputs.
    fn owners(&self) -> impl Iterator<Item = PartyIndex> {
        let circuit = self.session.circuit();
        let others = circuit.parties().others(self.party);
        others.filter(|party| circuit.inputs_of(*party) > 0)
    }

    /// By node; empty where the node is no input.
    fn shares_of_inputs(&self) -> Vec<Words> {
        let circuit = self.session.circuit();
        let mut streams: BTreeMap<_, _> = self
            .seeds
            .iter()
            .map(|(owner, seed)| (*owner, expand(seed, circuit.input_words(*owner))))
            .collect();
        streams.insert(self.party, self.own.clone());
        let mut read = BTreeMap::new();
        let shares = circuit.nodes.iter().map(|node| match node.op {
            Op::Input(owner, _) => {
                let at: &mut usize = read.entry(owner).or_default();
                let from = *at;
                *at += node.len;
                let words = streams.get(&owner).and_then(|words| words.get(from..*at));
                Zeroizing::new(words.unwrap_or_default().to_vec())
            }
            _ => Words::default(),
        });
        shares.collect()
    }
}

impl Opening {
    /// Shows this party's shares of what the next exchange opens to all others.
    fn begin(
        session: Session,
        party: PartyIndex,
        evaluation: Box<Evaluation>,
    ) -> (Self, Vec<Message>) {
        let sum = evaluation.to_open();
        let step = FIRST_OPENING + evaluation.depth();
        let messages = session.circuit().parties().others(party).map(|to| Message {
            to,
            body: way(party, to, step).write(&session, to_bytes(&sum)),
        });
        let messages = messages.collect();
        let opening = Self {
            came: Vec::new(),
            sum,
            evaluation,
            party,
            session,
        };
        (opening, messages)
    }

    /// Takes a message of another party. A refused one changes nothing (MP-12).
    pub fn receive(&mut self, from: Sender, body: &[u8]) -> Result<(), Fault> {
        let refused = |reason| Err(refused(from, reason));
        let Sender::Party(peer) = from else {
            return refused(MessageReason::Unexpected);
        };
        if !self.session.circuit().parties().contains(peer) || peer == self.party {
            return refused(MessageReason::Unexpected);
        }
        let way = way(peer, self.party, FIRST_OPENING + self.evaluation.depth());
        let words = way.read(&self.session, body, |c| from_bytes(c, self.sum.len()))?;
        if self.came.contains(&peer) {
            return refused(MessageReason::Duplicate);
        }
        add(&mut self.sum, &words);
        self.came.push(peer);
        Ok(())
    }

    /// The first from whom a message is missing.
    #[must_use]
    pub fn missing(&self) -> Option<Sender> {
        let mut others = self.session.circuit().parties().others(self.party);
        others
            .find(|party| !self.came.contains(party))
            .map(Sender::Party)
    }

    /// Uses what was opened, and begins the next exchange or ends. Refuses while messages are missing, and gives the state back.
    pub fn advance(mut self) -> Result<Next, (Self, Fault)> {
        if let Some(missing) = self.missing() {
            return Err((self, CallerReason::Missing(missing).into()));
        }
        self.evaluation.opened(&self.sum);
        if !self.evaluation.done() {
            let (opening, messages) = Self::begin(self.session, self.party, self.evaluation);
            return Ok(Next::Opening(opening, messages));
        }
        let words = self.evaluation.into_outputs().flatten();
        Ok(Next::Done(Outputs::of(
            self.session.circuit(),
            words.map(u64::cast_signed),
        )))
    }
}

impl Outputs {
    /// The outputs of `circuit`, their integers one after another.
    pub(crate) fn of(circuit: &Circuit, mut words: impl Iterator<Item = i64>) -> Self {
        let outputs = circuit.nodes.iter().filter_map(|node| match node.op {
            Op::Open(_) => Some(Output {
                encoded: words.by_ref().take(node.len).collect(),
                fixed: FixedPoint::new(node.range.fraction_bits),
                half_steps: node.range.error,
            }),
            _ => None,
        });
        Self(outputs.collect())
    }

    /// The outputs, in the order in which the circuit opens them.
    #[must_use]
    pub fn all(&self) -> &[Output] {
        &self.0
    }
}

impl Output {
    /// The real numbers, each rounded to the nearest `f64`.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        self.encoded.iter().map(|v| self.fixed.decode(*v)).collect()
    }

    /// The largest distance of a real number from the exact result (MP-05), but for the rounding of [`Self::values`].
    #[must_use]
    pub fn error(&self) -> f64 {
        self.half_steps as f64 / (2.0 * self.fixed.one())
    }
}

/// The inputs as words, one after another, once their number, lengths and bounds hold (MP-04).
pub(crate) fn checked_inputs(
    session: &Session,
    party: PartyIndex,
    inputs: &[Vec<i64>],
) -> Result<Words, CallerReason> {
    let circuit = session.circuit();
    let (have, need) = (inputs.len(), circuit.inputs_of(party));
    if have != need {
        return Err(CallerReason::Inputs { have, need });
    }
    let mut words = Zeroizing::new(Vec::with_capacity(circuit.input_words(party)));
    for (input, ((encoding, need), values)) in circuit.inputs(party).zip(inputs).enumerate() {
        let (have, bound) = (values.len(), encoding.bound());
        if have != need {
            return Err(CallerReason::Length { input, have, need });
        }
        if let Some(position) = values.iter().position(|v| v.unsigned_abs() > bound) {
            return Err(CallerReason::Bound {
                input,
                position,
                bound,
            });
        }
        words.extend(values.iter().map(|v| v.cast_unsigned()));
    }
    Ok(words)
}

fn way(from: PartyIndex, to: PartyIndex, step: u32) -> Way {
    Way {
        from: Sender::Party(from),
        to,
        step,
    }
}

fn seed(content: &[u8]) -> Option<Seed> {
    content.try_into().ok().map(Seed::from_bytes)
}

fn refused(from: Sender, reason: MessageReason) -> Fault {
    Fault::Message(from, reason)
}
