//! All parties of a computation in one place: every message is made, carried and checked, but nobody is protected from whoever runs this.
//!
//! For programs that show what the protocol computes and what it costs, and for bindings to other languages. The dealer (where there is one) runs
//! here too. Numbers of a computation among organisations come from the same machines behind a network.

use std::sync::Arc;

use lepton_ring::{FixedPoint, RingError};
use rand_core::CryptoRng;
use thiserror::Error;

use crate::authenticated::{self, Exchange, Joining, Progress};
use crate::range::LIMIT;
use crate::{
    CallerReason, Circuit, CircuitBuilder, CircuitError, Encoding, Fault, Message, Next, Opening,
    Outputs, Parties, PartyIndex, Sender, Session, Sharing, Wire, deal,
};

/// Why a local computation failed.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum LocalError {
    /// The inputs cannot be computed with.
    #[error(transparent)]
    Circuit(#[from] CircuitError),
    /// A machine refused.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A number that is not finite or does not fit.
    #[error("party {party}: {reason}")]
    Number {
        /// Whose number.
        party: PartyIndex,
        /// What is wrong with it.
        reason: RingError,
    },
    /// Another number of parties' inputs than the circuit has parties.
    #[error("inputs of {have} parties where the circuit has {need}")]
    Parties {
        /// Parties with inputs.
        have: usize,
        /// Parties of the circuit.
        need: u16,
    },
    /// No rows at all.
    #[error("there are no rows: the mean of nothing is not a number")]
    NoRows,
}

/// What a local computation gave, and what it sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Computed {
    /// The result.
    pub values: Vec<f64>,
    /// The largest distance of each from the exact result (MP-05), but for the rounding to `f64`.
    pub error: f64,
    /// What was sent.
    pub traffic: Traffic,
}

/// Messages between parties, and from the dealer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Exchanges, one after another, behind the inputs'; with MACs, theirs too.
    pub exchanges: u32,
}

/// Runs `circuit` on `inputs`: by party, its input vectors in the circuit's order, as integers of their encodings.
///
/// Refuses what [`Sharing::start`] refuses.
pub fn run(
    circuit: Arc<Circuit>,
    inputs: &[Vec<Vec<i64>>],
    rng: &mut impl CryptoRng,
) -> Result<(Outputs, Traffic), LocalError> {
    let session = session(circuit, inputs, rng)?;
    let parties = session.circuit().parties();
    let mut post = Post::default();
    if session.circuit().needs_dealer() {
        post.put(Sender::Dealer, deal(&session, rng)?);
    }
    let mut sharing = Vec::new();
    for (party, inputs) in parties.all().zip(inputs) {
        let (machine, messages) = Sharing::start(session.clone(), party, inputs, rng)?;
        post.put(Sender::Party(party), messages);
        sharing.push(machine);
    }
    post.deliver(&mut sharing, Sharing::receive)?;
    let mut opening = Vec::new();
    for (party, machine) in parties.all().zip(sharing) {
        let (machine, messages) = machine.advance().map_err(|(_, fault)| fault)?;
        post.put(Sender::Party(party), messages);
        opening.push(machine);
    }
    open_all(parties, opening, post)
}

/// Runs `circuit` as [`run`] does, with MACs: by the protocol of [`authenticated`].
///
/// Refuses what that protocol and [`run`] refuse.
pub fn run_authenticated(
    circuit: Arc<Circuit>,
    inputs: &[Vec<Vec<i64>>],
    rng: &mut impl CryptoRng,
) -> Result<(Outputs, Traffic), LocalError> {
    let session = session(circuit, inputs, rng)?;
    let parties = session.circuit().parties();
    let mut post = Post::default();
    post.put(Sender::Dealer, authenticated::deal(&session, rng)?);
    let mut joining = Vec::new();
    for (party, inputs) in parties.all().zip(inputs) {
        joining.push(Joining::start(&session, party, inputs, rng)?);
    }
    post.deliver(&mut joining, Joining::receive)?;
    let mut machines = Vec::new();
    for (party, machine) in parties.all().zip(joining) {
        let (machine, messages) = machine.advance().map_err(|(_, fault)| fault)?;
        post.put(Sender::Party(party), messages);
        machines.push(machine);
    }
    loop {
        post.traffic.exchanges += 1;
        post.deliver(&mut machines, Exchange::receive)?;
        let mut ahead = Vec::new();
        for (party, machine) in parties.all().zip(machines) {
            match machine.advance()? {
                Progress::Done(outputs) => return Ok((outputs, post.traffic)),
                Progress::Waiting(machine) => {
                    // Every message was delivered above, so nobody waits.
                    let missing = machine.missing().unwrap_or(Sender::Dealer);
                    return Err(Fault::from(CallerReason::Missing(missing)).into());
                }
                Progress::Exchange(machine, messages) => {
                    post.put(Sender::Party(party), messages);
                    ahead.push(*machine);
                }
            }
        }
        machines = ahead;
    }
}

/// The sum over the parties, entry by entry. Opens the sum alone, and needs no dealer.
///
/// Refuses fewer than 2 and more than 64 parties, vectors of different or no length, and values beyond the widest bound that cannot overflow, which
/// does not depend on the values: `(2^62 - 1) / n` steps.
pub fn sum(
    inputs: &[Vec<f64>],
    fixed: FixedPoint,
    rng: &mut impl CryptoRng,
) -> Result<Computed, LocalError> {
    across(inputs, fixed, rng, |circuit, x, y| circuit.add(x, y))
}

/// The mean over the parties, entry by entry: the sum, opened, divided by their public number (MP-14). Refuses what [`sum`] refuses.
pub fn mean(
    inputs: &[Vec<f64>],
    fixed: FixedPoint,
    rng: &mut impl CryptoRng,
) -> Result<Computed, LocalError> {
    let mut computed = sum(inputs, fixed, rng)?;
    let count = inputs.len() as f64;
    computed.values.iter_mut().for_each(|value| *value /= count);
    computed.error /= count;
    Ok(computed)
}

/// The product over the parties, entry by entry: one product after another, each truncated to the inputs' fraction bits. Opens the last one alone.
///
/// Refuses what [`sum`] refuses; the widest bound is that of which the product of all still fits.
pub fn product(
    inputs: &[Vec<f64>],
    fixed: FixedPoint,
    rng: &mut impl CryptoRng,
) -> Result<Computed, LocalError> {
    across(inputs, fixed, rng, |circuit, x, y| {
        let wide = circuit.multiply(x, y)?;
        match fixed.fraction_bits() {
            0 => Ok(wide),
            bits => circuit.truncate(wide, bits),
        }
    })
}

/// The mean of all rows of all parties, each of which may have any number. Opens the total and the number of all rows (MP-14).
///
/// Refuses fewer than 2 and more than 64 parties, no rows at all, and totals of a party beyond `(2^62 - 1) / n` steps.
pub fn pooled_mean(
    rows: &[Vec<f64>],
    fixed: FixedPoint,
    rng: &mut impl CryptoRng,
) -> Result<Computed, LocalError> {
    let parties = parties_of(rows.len())?;
    let mut inputs = Vec::new();
    for (party, rows) in parties.all().zip(rows) {
        let encoded = encode(party, fixed, rows)?;
        let total = encoded
            .iter()
            .try_fold(0i64, |total, v| total.checked_add(*v));
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        // What does not fit 64 bits is beyond the bound as well, and refused with its name.
        inputs.push(vec![vec![total.unwrap_or(i64::MAX), count]]);
    }
    let bound = Encoding::integers(LIMIT / u64::from(parties.get()))?;
    let mut circuit = CircuitBuilder::new(parties);
    let lengths = vec![2; rows.len()];
    let combined = combine(&mut circuit, &lengths, bound, |circuit, x, y| {
        circuit.add(x, y)
    })?;
    circuit.open(combined)?;
    let (outputs, traffic) = run(Arc::new(circuit.finish()?), &inputs, rng)?;
    let opened = outputs
        .all()
        .first()
        .map(|output| output.encoded.as_slice());
    let Some([total, count]) = opened.filter(|opened| opened.last() > Some(&0)) else {
        return Err(LocalError::NoRows);
    };
    Ok(Computed {
        values: vec![fixed.decode(*total) / *count as f64],
        error: 0.5 / fixed.one(),
        traffic,
    })
}

/// The inner product of `x`, which party 0 holds, and `y`, which party 1 holds, computed by `parties` parties. Opens it alone, with twice the
/// fraction bits.
///
/// Refuses fewer than 2 and more than 64 parties, vectors of different or no length, and values beyond the widest bound `B` that cannot overflow:
/// `B * B * length < 2^62` steps.
pub fn inner_product(
    x: &[f64],
    y: &[f64],
    parties: u16,
    fixed: FixedPoint,
    rng: &mut impl CryptoRng,
) -> Result<Computed, LocalError> {
    let parties = Parties::new(parties)?;
    let circuit = widest(fixed, |encoding| {
        let mut circuit = CircuitBuilder::new(parties);
        let a = circuit.input(PartyIndex::new(0), x.len(), encoding)?;
        let b = circuit.input(PartyIndex::new(1), y.len(), encoding)?;
        let product = circuit.inner_product(a, b)?;
        circuit.open(product)?;
        circuit.finish()
    })?;
    let mut inputs = vec![Vec::new(); usize::from(parties.get())];
    for ((party, slot), values) in parties.all().zip(&mut inputs).zip([x, y]) {
        *slot = vec![encode(party, fixed, values)?];
    }
    finish(circuit, &inputs, rng)
}

/// Combines one vector of each party, entry by entry, with the widest bound that cannot overflow.
fn across(
    inputs: &[Vec<f64>],
    fixed: FixedPoint,
    rng: &mut impl CryptoRng,
    step: impl Fn(&mut CircuitBuilder, Wire, Wire) -> Result<Wire, CircuitError>,
) -> Result<Computed, LocalError> {
    let parties = parties_of(inputs.len())?;
    let lengths: Vec<_> = inputs.iter().map(Vec::len).collect();
    let circuit = widest(fixed, |encoding| {
        let mut circuit = CircuitBuilder::new(parties);
        let combined = combine(&mut circuit, &lengths, encoding, &step)?;
        circuit.open(combined)?;
        circuit.finish()
    })?;
    let mut encoded = Vec::new();
    for (party, values) in parties.all().zip(inputs) {
        encoded.push(vec![encode(party, fixed, values)?]);
    }
    finish(circuit, &encoded, rng)
}

/// One input of each party, the first with the second, the result with the third, and so on.
fn combine(
    circuit: &mut CircuitBuilder,
    lengths: &[usize],
    encoding: Encoding,
    step: impl Fn(&mut CircuitBuilder, Wire, Wire) -> Result<Wire, CircuitError>,
) -> Result<Wire, CircuitError> {
    let mut combined = None;
    for (owner, len) in (0..).map(PartyIndex::new).zip(lengths) {
        let input = circuit.input(owner, *len, encoding)?;
        combined = Some(match combined {
            None => input,
            Some(before) => step(circuit, before, input)?,
        });
    }
    combined.ok_or(CircuitError::NoOutput)
}

/// The circuit with the widest bound for its inputs that cannot overflow: it depends on shapes only, never on values.
fn widest(
    fixed: FixedPoint,
    build: impl Fn(Encoding) -> Result<Circuit, CircuitError>,
) -> Result<Circuit, CircuitError> {
    let at = |bound| build(Encoding::reals(fixed, bound)?);
    let (mut fits, mut above) = (1, LIMIT + 1);
    let mut circuit = at(fits)?;
    while above - fits > 1 {
        let middle = fits + (above - fits) / 2;
        match at(middle) {
            Ok(wider) => (fits, circuit) = (middle, wider),
            Err(_) => above = middle,
        }
    }
    Ok(circuit)
}

fn finish(
    circuit: Circuit,
    inputs: &[Vec<Vec<i64>>],
    rng: &mut impl CryptoRng,
) -> Result<Computed, LocalError> {
    let (outputs, traffic) = run(Arc::new(circuit), inputs, rng)?;
    let output = outputs.all().first().ok_or(CircuitError::NoOutput)?;
    Ok(Computed {
        values: output.values(),
        error: output.error(),
        traffic,
    })
}

/// A session of its own for each run.
fn session(
    circuit: Arc<Circuit>,
    inputs: &[Vec<Vec<i64>>],
    rng: &mut impl CryptoRng,
) -> Result<Session, LocalError> {
    let (have, need) = (inputs.len(), circuit.parties().get());
    if have != usize::from(need) {
        return Err(LocalError::Parties { have, need });
    }
    let mut id = [0; 32];
    rng.fill_bytes(&mut id);
    Ok(Session::new(id, circuit))
}

fn parties_of(count: usize) -> Result<Parties, CircuitError> {
    Parties::new(u16::try_from(count).unwrap_or(u16::MAX))
}

fn encode(party: PartyIndex, fixed: FixedPoint, values: &[f64]) -> Result<Vec<i64>, LocalError> {
    let encoded = values.iter().map(|value| fixed.encode(*value));
    encoded
        .collect::<Result<_, _>>()
        .map_err(|reason| LocalError::Number { party, reason })
}

/// Exchanges until everything is opened. All parties open the same; the first one's outputs are given.
fn open_all(
    parties: Parties,
    mut machines: Vec<Opening>,
    mut post: Post,
) -> Result<(Outputs, Traffic), LocalError> {
    loop {
        post.traffic.exchanges += 1;
        post.deliver(&mut machines, Opening::receive)?;
        let mut ahead = Vec::new();
        for (party, machine) in parties.all().zip(machines) {
            match machine.advance().map_err(|(_, fault)| fault)? {
                Next::Done(outputs) => return Ok((outputs, post.traffic)),
                Next::Opening(machine, messages) => {
                    post.put(Sender::Party(party), messages);
                    ahead.push(machine);
                }
            }
        }
        machines = ahead;
    }
}

/// Messages under way.
#[derive(Default)]
struct Post {
    waiting: Vec<(Sender, Message)>,
    traffic: Traffic,
}

impl Post {
    fn put(&mut self, from: Sender, messages: Vec<Message>) {
        self.waiting.extend(messages.into_iter().map(|m| (from, m)));
    }

    fn deliver<M>(
        &mut self,
        machines: &mut [M],
        receive: impl Fn(&mut M, Sender, &[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for (from, message) in self.waiting.drain(..) {
            self.traffic.messages += 1;
            self.traffic.bytes += message.body.len() as u64;
            if let Some(machine) = machines.get_mut(usize::from(message.to.get())) {
                receive(machine, from, &message.body)?;
            }
        }
        Ok(())
    }
}
