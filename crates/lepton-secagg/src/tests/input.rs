//! Attacks on message (a) as the coordinator sees it: SA-02, SA-10, SA-11, SA-15, SA-19.

use super::*;
use crate::wire::MaskedInputIn;

const SHAPE: (u8, usize) = (12, 5);

fn masked() -> (Federation, Inputs) {
    let mut f = Federation::five();
    let inputs = f.mask(FIRST, spec(SHAPE.0, SHAPE.1));
    (f, inputs)
}

fn refused(change: impl FnOnce(&mut MaskedInputIn)) -> Option<Fault> {
    let (f, inputs) = masked();
    let mut collecting = f.collecting(FIRST, inputs.spec);
    let fault = collecting
        .accept(party(1), &edit(&inputs.bodies[1], change))
        .err();
    assert!(collecting.received().is_empty());
    // The sum is as before: the genuine message still counts, and the round is exact.
    (0..5).for_each(|i| collecting.accept(party(i), &inputs.bodies[i]).unwrap());
    let expected = inputs.sum_of(&[0, 1, 2, 3, 4]);
    let mut signing = collecting.close().unwrap();
    let views: Vec<_> = signing.views().collect();
    let mut all = Vec::new();
    for (i, m) in inputs.masked.into_iter().enumerate() {
        let (signed, body) = f.sign(m, &views).unwrap();
        signing.accept(party(i), &body).unwrap();
        all.push(signed);
    }
    let (mut opening, bundle) = signing.close().unwrap();
    all.into_iter()
        .enumerate()
        .for_each(|(i, s)| opening.accept(party(i), &s.open(&bundle).unwrap()).unwrap());
    assert!(opening.finish(ONE).unwrap().sums == [expected]);
    fault
}

#[test]
fn sa10_vectors_of_wrong_length_or_padding() {
    let length = |field| Some(peer(1, PeerReason::Length(field)));
    assert_eq!(
        refused(|m| {
            m.vector.pop();
        }),
        length("vector")
    );
    assert_eq!(refused(|m| m.vector.push(0)), length("vector"));
    assert_eq!(refused(|m| m.vector.clear()), length("vector"));
    // Five words of 12 bits leave four spare bits.
    let spare = refused(|m| *m.vector.last_mut().unwrap() |= 0x80);
    assert_eq!(
        spare,
        Some(peer(
            1,
            PeerReason::Vector(lepton_ring::RingError::SpareBits)
        ))
    );
}

#[test]
fn sa10_commitments_and_bundles_of_wrong_length() {
    let length = |field| Some(peer(1, PeerReason::Length(field)));
    assert_eq!(
        refused(|m| {
            m.columns.pop();
        }),
        length("share commitments")
    );
    assert_eq!(
        refused(|m| {
            m.secrets.pop();
        }),
        length("secret commitments")
    );
    assert_eq!(
        refused(|m| {
            m.sealed.pop();
        }),
        length("sealed bundles")
    );
    assert_eq!(
        refused(|m| {
            m.sealed[0].pop();
        }),
        length("sealed bundle")
    );
    assert_eq!(refused(|m| m.sealed[1].push(0)), length("sealed bundle"));
}

#[test]
fn sa10_the_proof_field_is_reserved() {
    assert_eq!(
        refused(|m| m.proof.push(0)),
        Some(peer(1, PeerReason::Proof))
    );
}

#[test]
fn sa10_oversized_and_malformed_bodies() {
    assert_eq!(
        refused(|m| m.vector.resize(1 << 20, 0)),
        Some(peer(1, PeerReason::Malformed))
    );
    let (f, inputs) = masked();
    let mut collecting = f.collecting(FIRST, inputs.spec);
    let body = &inputs.bodies[1];
    assert_eq!(
        collecting.accept(party(1), &body[..body.len() - 1]),
        Err(peer(1, PeerReason::Malformed))
    );
    // An empty body decodes to empty fields.
    assert_eq!(
        collecting.accept(party(1), &[]),
        Err(peer(1, PeerReason::Foreign))
    );
}

#[test]
fn sa10_duplicates_and_strangers() {
    let (f, inputs) = masked();
    let mut collecting = f.collecting(FIRST, inputs.spec);
    collecting.accept(party(1), &inputs.bodies[1]).unwrap();
    assert_eq!(
        collecting.accept(party(1), &inputs.bodies[1]),
        Err(peer(1, PeerReason::Duplicate))
    );
    assert_eq!(
        collecting.accept(party(5), &inputs.bodies[2]),
        Err(peer(5, PeerReason::Unexpected))
    );
    assert_eq!(
        collecting.received().into_iter().collect::<Vec<_>>(),
        [party(1)]
    );
}

#[test]
fn sa02_messages_of_another_attempt_round_epoch_job_or_shape() {
    let (f, inputs) = masked();
    let foreign = Err(peer(1, PeerReason::Foreign));
    for (round, attempt) in [(0, 1), (1, 0)] {
        let mut other = f.collecting(Attempt { round, attempt }, inputs.spec);
        assert_eq!(other.accept(party(1), &inputs.bodies[1]), foreign);
    }
    // 40 entries of 12 bits pack like 60 of 8, yet the shapes differ.
    let mut f = Federation::five();
    let wide = f.mask(FIRST, spec(12, 40));
    assert_eq!(
        f.collecting(FIRST, spec(8, 60))
            .accept(party(1), &wide.bodies[1]),
        foreign
    );
    for context in [
        context(1),
        EpochContext {
            job: [8; 32],
            epoch: 0,
        },
    ] {
        let other = Federation::new(f.params, context, 5);
        assert_eq!(
            other
                .collecting(FIRST, wide.spec)
                .accept(party(1), &wide.bodies[1]),
            foreign
        );
    }
    // The same job and epoch set up again, with fresh keys: a different epoch all the same.
    let again = Federation::new(f.params, context(0), 6);
    assert_eq!(
        again
            .collecting(FIRST, wide.spec)
            .accept(party(1), &wide.bodies[1]),
        foreign
    );
}

#[test]
fn sa19_below_the_floor() {
    let (f, inputs) = masked();
    let mut collecting = f.collecting(FIRST, inputs.spec);
    (0..3).for_each(|i| collecting.accept(party(i), &inputs.bodies[i]).unwrap());
    assert!(!collecting.ready());
    assert_eq!(
        collecting.close().err(),
        Some(Fault::TooFew {
            have: 3,
            need: 4,
            step: Step::Input
        })
    );
}

#[test]
fn sa15_two_claims_about_one_pair_seed() {
    let (f, inputs) = masked();
    let mut collecting = f.collecting(FIRST, inputs.spec);
    for i in 0..5 {
        let body = edit::<MaskedInputIn>(&inputs.bodies[i], |m| {
            if i == 3 {
                m.secrets[32] ^= 1
            }
        });
        collecting.accept(party(i), &body).unwrap();
    }
    assert_eq!(
        collecting.close().err(),
        Some(Fault::Pair(party(1), party(3)))
    );
}

/// Protocol Buffers let the last of two equal fields win: which vector was summed and which was hashed must not be open to question.
#[test]
fn sa10_two_vectors_in_one_message() {
    let (f, inputs) = masked();
    let mut collecting = f.collecting(FIRST, inputs.spec);
    let mut body = inputs.bodies[1].clone();
    body.extend_from_slice(&[0x12, 1, 0]);
    let refused = collecting.accept(party(1), &body);
    assert_eq!(refused, Err(peer(1, PeerReason::Malformed)));
    assert!(collecting.received().is_empty());
}
