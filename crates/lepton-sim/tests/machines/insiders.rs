//! Actors that hold their keys and cheat: no panic, no wrong sum, nobody beyond the goal.

use chacha20::ChaCha20Rng;
use lepton_protocol::frame::{Address, Step};
use lepton_protocol::wire::BeginIn;
use lepton_sim::{Delivery, End, Seen, SimOutcome, identity_of, reseal};
use prost::Message as _;
use rand_core::{Rng, SeedableRng};

use crate::kit::{Toy, check, intercepted, run};

const SEEDS: u64 = 40;

fn position(len: usize, rng: &mut ChaCha20Rng) -> usize {
    usize::try_from(rng.next_u64() % len.max(1) as u64).unwrap()
}

/// Damages a body: a flipped bit, a lost end, another end, or nothing at all.
fn damage(body: &mut Vec<u8>, rng: &mut ChaCha20Rng) {
    let at = position(body.len(), rng);
    match rng.next_u32() % 4 {
        0 => body.truncate(at),
        1 => body.extend([0x0a, 0x01, 0x00]),
        2 => body.clear(),
        _ => {
            if let Some(byte) = body.get_mut(at) {
                *byte ^= 1 << (rng.next_u32() % 8);
            }
        }
    }
}

fn toys() -> [Toy; 4] {
    let local = Toy {
        noise: "local",
        ..Toy::private(8.0)
    };
    let declared = Toy {
        discovered: false,
        ..Toy::default()
    };
    [Toy::default(), declared, Toy::private(8.0), local]
}

/// Runs `SEEDS` jobs in which `cheat` may answer a frame instead of its sender.
fn study(cheat: fn(u64, &Seen<'_>, &mut ChaCha20Rng) -> Option<Delivery>) -> Vec<SimOutcome> {
    let toys = toys();
    let mut outcomes = Vec::new();
    for seed in 0..SEEDS {
        let toy = &toys[position(toys.len(), &mut ChaCha20Rng::seed_from_u64(seed))];
        let mut rng = ChaCha20Rng::seed_from_u64(seed + 77);
        let config = intercepted(toy.config(seed), move |seen| {
            let answer = match rng.next_u32() % 12 {
                0 => cheat(seed, &seen, &mut rng),
                _ => None,
            };
            vec![answer.unwrap_or_else(|| seen.pass())]
        });
        let outcome = run(config);
        check(&outcome).unwrap_or_else(|what| panic!("{what}"));
        outcomes.push(outcome);
    }
    outcomes
}

#[test]
fn a_coordinator_that_sends_damaged_bodies_gains_nothing() {
    let outcomes = study(|seed, seen, rng| {
        let key = identity_of(seed, Address::Coordinator);
        (seen.from == Address::Coordinator).then(|| {
            seen.with(reseal(seen.bytes, &key, |frame| {
                damage(&mut frame.body, rng)
            }))
        })
    });
    assert!(outcomes.iter().any(SimOutcome::is_over));
}

/// One bad digit in the public state or the parameters: parties compute something else, the same at no two of them, and sums are still sums.
#[test]
fn a_coordinator_that_lies_about_the_public_state_breaks_no_party() {
    study(|seed, seen, rng| {
        let frame = seen.read()?;
        if frame.step != Step::Begin {
            return None;
        }
        let mut begin = BeginIn::decode(frame.body.as_slice()).ok()?;
        let digits: Vec<usize> = (0..begin.prepared.len())
            .filter(|at| begin.prepared[*at].is_ascii_digit())
            .collect();
        match rng.next_u32() % 4 {
            0 => begin.kind = 1 + rng.next_u32() % 5,
            1 => {
                let mut parameters = begin.parameters.to_vec();
                let at = position(parameters.len(), rng);
                *parameters.get_mut(at)? ^= 1 << (rng.next_u32() % 8);
                begin.parameters = parameters.into();
            }
            _ => {
                let at = *digits.get(position(digits.len(), rng))?;
                begin.prepared[at] = b'0' + u8::try_from(rng.next_u32() % 10).unwrap();
            }
        }
        let key = identity_of(seed, Address::Coordinator);
        let change = |frame: &mut lepton_sim::Frame| {
            frame.body = begin.encode_to_vec();
        };
        Some(seen.with(reseal(seen.bytes, &key, change)))
    });
}

/// Everything but the masked input, which a party may choose as it likes (docs/protocols/masked-sum.md, What is not covered).
#[test]
fn parties_that_send_damaged_bodies_break_no_sum() {
    let outcomes = study(|seed, seen, rng| {
        let frame = seen.read()?;
        if seen.from == Address::Coordinator || frame.step == Step::Input {
            return None;
        }
        let key = identity_of(seed, seen.from);
        Some(seen.with(reseal(seen.bytes, &key, |frame| {
            damage(&mut frame.body, rng)
        })))
    });
    assert!(outcomes.iter().any(SimOutcome::is_over));
}

/// SA-12 and SA-14 in the frame of a job: a coordinator that shows one party another survivor set gets no second sum out of it.
#[test]
fn a_coordinator_that_shows_two_views_opens_at_most_one() {
    for seed in 0..8 {
        let mut other: Option<Vec<u8>> = None;
        let config = intercepted(Toy::private(8.0).config(seed), move |seen| {
            let frame = seen.read().unwrap();
            let key = identity_of(seed, Address::Coordinator);
            match (frame.step, seen.to) {
                (Step::View, Address::Party(0)) => other = Some(frame.body),
                // Party 1 is shown party 0's view, which is no view of its own.
                (Step::View, Address::Party(1)) => {
                    let body = other.clone().unwrap_or_default();
                    let changed = reseal(seen.bytes, &key, |frame| frame.body = body);
                    return vec![seen.with(changed)];
                }
                _ => {}
            }
            vec![seen.pass()]
        });
        let outcome = run(config);
        check(&outcome).unwrap();
        assert_eq!(outcome.end, End::Over);
        assert!(!outcome.faults[1].is_empty(), "seed {seed}");
        // One signature was missing and the quorum of three was there.
        assert!(outcome.sums.iter().all(|sum| sum.survivors == [0, 1, 2, 3]));
    }
}
