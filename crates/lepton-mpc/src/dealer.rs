//! The dealer: random numbers with known relations, made before anything is computed (MP-07).

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::circuit::{Circuit, Node, Op};
use crate::shares::{Words, split, to_bytes, uniform};
use crate::wire::{DEALING, Way};
use crate::{CallerReason, Fault, Message, Sender, Session};

/// Makes the dealer's messages of `session`, one to each party. The dealer is trusted: it pools with nobody and sees no other message (MP-07). It deals
/// a session once (MP-13). Refuses a circuit without products and truncations.
pub fn deal(session: &Session, rng: &mut impl CryptoRng) -> Result<Vec<Message>, Fault> {
    let circuit = session.circuit();
    if !circuit.needs_dealer() {
        return Err(CallerReason::NoDealer.into());
    }
    let others = usize::from(circuit.parties().get()) - 1;
    let (kept, seeds) = split(correlated(circuit, rng), others, rng);
    let contents =
        core::iter::once(to_bytes(&kept)).chain(seeds.iter().map(|seed| seed.as_bytes().to_vec()));
    let messages = circuit.parties().all().zip(contents).map(|(to, content)| {
        let way = Way {
            from: Sender::Dealer,
            to,
            step: DEALING,
        };
        Message {
            to,
            body: way.write(session, content),
        }
    });
    Ok(messages.collect())
}

/// What the dealer shares, node by node.
fn correlated(circuit: &Circuit, rng: &mut impl CryptoRng) -> Words {
    let mut all = Zeroizing::new(Vec::with_capacity(circuit.dealt()));
    for node in &circuit.nodes {
        match node.op {
            Op::Multiply(..) => triple(node.len, &mut all, rng, |products| products.collect()),
            Op::Inner(..) => triple(node.opened(&circuit.nodes) / 2, &mut all, rng, |products| {
                vec![products.fold(0, u64::wrapping_add)]
            }),
            Op::Truncate(_, bits) => masks(node, bits, &mut all, rng),
            _ => {}
        }
    }
    all
}

/// `a`, `b`, and what `gather` makes of their products.
fn triple(
    len: usize,
    all: &mut Vec<u64>,
    rng: &mut impl CryptoRng,
    gather: impl FnOnce(&mut dyn Iterator<Item = u64>) -> Vec<u64>,
) {
    let (a, b) = (uniform(len, rng), uniform(len, rng));
    let mut products = a.iter().zip(b.iter()).map(|(a, b)| a.wrapping_mul(*b));
    let c = Zeroizing::new(gather(&mut products));
    for part in [&a, &b, &c] {
        all.extend_from_slice(part);
    }
}

/// `r`, `r_t` and `r_m` of MP-10.
fn masks(node: &Node, bits: u8, all: &mut Vec<u64>, rng: &mut impl CryptoRng) {
    let r = uniform(node.len, rng);
    all.extend_from_slice(&r);
    all.extend(r.iter().map(|r| (r & (u64::MAX >> 1)) >> bits));
    all.extend(r.iter().map(|r| r >> 63));
}
