//! A whole computation against an independent implementation of the document: `scripts/mpc_vectors.py`.

use core::convert::Infallible;

use lepton_ring::FixedPoint;
use rand_core::{TryCryptoRng, TryRng};

use super::*;

const VECTORS: &str = include_str!("vectors.txt");

/// Words of a counter, spread by an odd factor: what the script uses.
struct Counter(u64);

impl TryRng for Counter {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("the machines draw words and bytes only")
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 += 1;
        Ok(self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.try_next_u64()?.to_le_bytes());
        }
        Ok(())
    }
}

impl TryCryptoRng for Counter {}

fn circuit() -> Circuit {
    let mut c = CircuitBuilder::new(parties(3));
    let real = Encoding::reals(FixedPoint::new(8), 1 << 20).unwrap();
    let x = c.input(party(0), 2, real).unwrap();
    let y = c.input(party(1), 2, real).unwrap();
    let product = c.multiply(x, y).unwrap();
    let short = c.truncate(product, 8).unwrap();
    let inner = c.inner_product(x, y).unwrap();
    let thrice = c.scale(x, 3).unwrap();
    let less = c.subtract(thrice, y).unwrap();
    let linear = c.offset(less, &[5, -5]).unwrap();
    for output in [short, inner, linear] {
        c.open(output).unwrap();
    }
    c.finish().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(byte).collect()
}

fn parsed() -> (Vec<Sent>, Vec<Vec<i64>>) {
    let (mut messages, mut outputs) = (Vec::new(), Vec::new());
    for line in VECTORS.lines() {
        let words: Vec<_> = line.split(' ').collect();
        if words[0] == "output" {
            outputs.push(words[1..].iter().map(|w| w.parse().unwrap()).collect());
            continue;
        }
        let from = match words[0].parse().unwrap() {
            u16::MAX => Sender::Dealer,
            p => Sender::Party(PartyIndex::new(p)),
        };
        let (to, body) = (PartyIndex::new(words[1].parse().unwrap()), hex(words[2]));
        messages.push(Sent { from, to, body });
    }
    (messages, outputs)
}

/// MP-01, MP-06 to MP-11: every byte of every message, and the outputs, are those of the script.
#[test]
fn the_transcript_is_that_of_the_independent_implementation() {
    let id: Vec<u8> = (0..32).collect();
    let session = Session::new(id.try_into().unwrap(), Arc::new(circuit()));
    let mut messages = Vec::new();
    messages.extend(sent(
        Sender::Dealer,
        deal(&session, &mut Counter(1000)).unwrap(),
    ));
    let inputs = [vec![vec![1000, -70000]], vec![vec![-513, 65536]], vec![]];
    let mut machines = Vec::new();
    for (i, start) in [2000, 3000, 4000].into_iter().enumerate() {
        let mut rng = Counter(start);
        let (machine, shared) =
            Sharing::start(session.clone(), party(i), &inputs[i], &mut rng).unwrap();
        messages.extend(sent(Sender::Party(party(i)), shared));
        machines.push(machine);
    }
    let transcript = finish(Started { machines, messages }, |_| {});
    let (expected, outputs) = parsed();
    assert_eq!(transcript.messages.len(), expected.len());
    for (i, (have, want)) in transcript.messages.iter().zip(&expected).enumerate() {
        assert_eq!((have.from, have.to), (want.from, want.to), "message {i}");
        assert_eq!(have.body, want.body, "message {i}");
    }
    for party in &transcript.outputs {
        let encoded: Vec<_> = party.all().iter().map(|o| o.encoded.clone()).collect();
        assert_eq!(encoded, outputs);
        let bits: Vec<_> = party
            .all()
            .iter()
            .map(|o| o.fixed.fraction_bits())
            .collect();
        assert_eq!(bits, [8, 16, 8]);
    }
}
