//! The dealer of authenticated numbers (AS-03).

use lepton_crypto::Seed;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::field::{Element, Elements, expand, to_bytes, uniform};
use crate::circuit::{Circuit, Op};
use crate::wire::{DEALING, Way};
use crate::{CircuitError, Message, Sender, Session};

/// Makes the dealer's messages of `session`, one to each party. The dealer is trusted: it deals rightly, once, pools with nobody and sees no other
/// message (AS-03). Refuses circuits with truncations, and those of which a value may exceed `2^60 - 1` (AS-01).
pub fn deal(session: &Session, rng: &mut impl CryptoRng) -> Result<Vec<Message>, CircuitError> {
    let session = super::session(session)?;
    let circuit = session.circuit();
    let parties = circuit.parties();
    let masks: Vec<Seed> = parties.all().map(|_| Seed::random(rng)).collect();
    let mut kept = authenticated(circuit, &masks, rng);
    let seeds: Vec<Seed> = (1..parties.get()).map(|_| Seed::random(rng)).collect();
    for seed in &seeds {
        let stream = expand(seed, kept.len());
        for (word, share) in kept.iter_mut().zip(stream.iter()) {
            *word = word.minus(*share);
        }
    }
    let seeds = seeds.iter().map(|seed| seed.as_bytes().to_vec());
    let contents = core::iter::once(to_bytes(&kept)).chain(seeds);
    let messages = parties
        .all()
        .zip(contents)
        .zip(&masks)
        .map(|((to, content), mask)| {
            let way = Way {
                from: Sender::Dealer,
                to,
                step: DEALING,
            };
            let content = [mask.as_bytes().as_slice(), &content].concat();
            Message {
                to,
                body: way.write(&session, content),
            }
        });
    Ok(messages.collect())
}

/// The key, then every dealt value with its MAC.
fn authenticated(circuit: &Circuit, masks: &[Seed], rng: &mut impl CryptoRng) -> Elements {
    let key = Element::random(rng);
    let mut all = Zeroizing::new(vec![key]);
    for value in values(circuit, masks, rng).iter() {
        all.extend([*value, key.times(*value)]);
    }
    all
}

/// The dealt values, node by node.
fn values(circuit: &Circuit, masks: &[Seed], rng: &mut impl CryptoRng) -> Elements {
    let mut streams: Vec<_> = circuit
        .parties()
        .all()
        .zip(masks)
        .map(|(party, seed)| {
            expand(seed, circuit.input_words(party))
                .to_vec()
                .into_iter()
        })
        .collect();
    let mut all = Zeroizing::new(Vec::with_capacity(super::dealt(circuit)));
    for node in &circuit.nodes {
        match node.op {
            Op::Input(owner, _) => {
                let stream = streams.get_mut(usize::from(owner.get()));
                all.extend(stream.into_iter().flatten().take(node.len));
            }
            Op::Multiply(..) | Op::Inner(..) => {
                let len = node.opened(&circuit.nodes) / 2;
                let (a, b) = (uniform(len, rng), uniform(len, rng));
                let products = a.iter().zip(b.iter()).map(|(a, b)| a.times(*b));
                let products: Elements = Zeroizing::new(products.collect());
                all.extend(a.iter().chain(b.iter()));
                if matches!(node.op, Op::Inner(..)) {
                    all.push(products.iter().fold(Element::ZERO, |sum, p| sum.plus(*p)));
                } else {
                    all.extend(products.iter());
                }
            }
            _ => {}
        }
    }
    all
}
