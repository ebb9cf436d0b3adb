//! Attacks of the coordinator on the survivor set: SA-12 to SA-14, SA-16.

use super::*;
use crate::wire::{SignatureBundleIn, SignatureIn, SurvivorViewIn};

const ALL: [usize; 5] = [0, 1, 2, 3, 4];

/// What party 1 answers to its view of all five survivors, changed.
fn shown(change: impl FnOnce(&mut SurvivorViewIn)) -> Option<Fault> {
    let mut f = Federation::five();
    let mut inputs = f.mask(FIRST, spec(16, 4));
    let (_, views) = f.close(FIRST, &inputs, &ALL);
    let view = edit(&views[1].1, change);
    inputs
        .masked
        .swap_remove(1)
        .sign(&view, &f.identities[1])
        .err()
}

fn coordinator(reason: CoordinatorReason) -> Option<Fault> {
    Some(Fault::Coordinator(reason))
}

#[test]
fn sa12_below_the_floor_or_without_oneself() {
    use CoordinatorReason as R;
    assert_eq!(shown(|_| ()), None);
    // Party 1's view: bit i for party i.
    assert_eq!(
        shown(|v| v.survivors = vec![0b0_0111]),
        coordinator(R::BelowFloor { have: 3, need: 4 })
    );
    assert_eq!(
        shown(|v| v.survivors = vec![0]),
        coordinator(R::BelowFloor { have: 0, need: 4 })
    );
    assert_eq!(
        shown(|v| v.survivors = vec![0b1_1101]),
        coordinator(R::OwnInput)
    );
}

#[test]
fn sa12_strangers_and_bundles_that_do_not_fit_the_survivors() {
    use CoordinatorReason as R;
    assert_eq!(
        shown(|v| v.survivors = vec![0b11_1111]),
        coordinator(R::Survivors)
    );
    assert_eq!(
        shown(|v| v.survivors = vec![0b1_1111, 0]),
        coordinator(R::Survivors)
    );
    assert_eq!(shown(|v| v.survivors.clear()), coordinator(R::Survivors));
    // A survivor whose bundle is not shown, and a bundle more.
    assert_eq!(
        shown(|v| {
            v.dealers.pop();
        }),
        coordinator(R::Malformed)
    );
    assert_eq!(
        shown(|v| {
            let again = v.dealers[3].clone();
            v.dealers.push(again);
        }),
        coordinator(R::Malformed)
    );
    // Bundles in another order are not the ones of their places.
    assert_eq!(
        shown(|v| v.dealers.swap(2, 3)),
        coordinator(R::Bundle { dealer: party(3) })
    );
    // On a complete graph a party knows all leaves: there is nothing to show it of the tree.
    assert_eq!(shown(|v| v.tree = vec![0; 32]), coordinator(R::Malformed));
    assert_eq!(shown(|v| v.tree = vec![0; 5]), coordinator(R::Malformed));
}

/// Whatever the coordinator changes of another's message, the bundle no longer opens.
#[test]
fn sa13_others_messages_altered() {
    let bundle = coordinator(CoordinatorReason::Bundle { dealer: party(2) });
    // The reader, party 1, is not among its dealers: party 2 is the second.
    assert_eq!(shown(|v| v.dealers[1].vector[0] ^= 1), bundle);
    assert_eq!(shown(|v| v.dealers[1].secrets[0] ^= 1), bundle);
    assert_eq!(shown(|v| v.dealers[1].columns[159] ^= 1), bundle);
    assert_eq!(shown(|v| v.dealers[1].sealed[7] ^= 1), bundle);
    assert_eq!(shown(|v| v.dealers[1].sealed.clear()), bundle);
    assert_eq!(
        shown(|v| {
            let other = v.dealers[2].sealed.clone();
            v.dealers[1].sealed = other;
        }),
        bundle
    );
    assert_eq!(
        shown(|v| {
            v.dealers[1].columns.pop();
        }),
        coordinator(CoordinatorReason::Malformed)
    );
}

#[test]
fn sa02_views_of_another_attempt() {
    assert_eq!(
        shown(|v| v.binding[0] ^= 1),
        coordinator(CoordinatorReason::Foreign)
    );
    let mut f = Federation::five();
    let old = f.mask(FIRST, spec(16, 4));
    let (_, old_views) = f.close(FIRST, &old, &ALL);
    let later = Attempt {
        round: 0,
        attempt: 1,
    };
    let mut new = f.mask(later, spec(16, 4));
    let foreign = coordinator(CoordinatorReason::Foreign);
    let replayed = new
        .masked
        .remove(0)
        .sign(&old_views[0].1, &f.identities[0])
        .err();
    assert_eq!(replayed, foreign);
    // The old view under the new binding: not the message that the party sent.
    let relabelled = edit::<SurvivorViewIn>(&old_views[1].1, |v| {
        v.binding = new.masked[0].binding().to_vec()
    });
    let replayed = new
        .masked
        .remove(0)
        .sign(&relabelled, &f.identities[1])
        .err();
    assert_eq!(
        replayed,
        coordinator(CoordinatorReason::Bundle { dealer: party(0) })
    );
}

/// A coordinator that shows two survivor sets to two groups gets a quorum for at most one of them, and no opening for the other.
#[test]
fn sa14_sa16_views_that_differ() {
    let mut f = Federation::five();
    let inputs = f.mask(FIRST, spec(16, 4));
    let (without_4, views_a) = f.close(FIRST, &inputs, &[0, 1, 2, 3]);
    let (with_4, views_b) = f.close(FIRST, &inputs, &ALL);
    assert_ne!(without_4.survivor_hash(), with_4.survivor_hash());
    let (mut first, mut second) = (without_4, with_4);
    let mut signed = Vec::new();
    for (i, masked) in inputs.masked.into_iter().enumerate() {
        let views = if i < 2 { &views_a } else { &views_b };
        let (s, body) = f.sign(masked, views).unwrap();
        let (right, wrong) = if i < 2 {
            (&mut first, &mut second)
        } else {
            (&mut second, &mut first)
        };
        right.accept(party(i), &body).unwrap();
        assert_ne!(wrong.accept(party(i), &body), Ok(()));
        signed.push((s, body));
    }
    assert_eq!(
        first.close().err(),
        Some(Fault::TooFew {
            have: 2,
            need: 4,
            step: Step::Signature
        })
    );
    assert_eq!(
        second.close().err(),
        Some(Fault::TooFew {
            have: 3,
            need: 4,
            step: Step::Signature
        })
    );
    // Pooling both groups' signatures does not help: the first over the other set is found out.
    let signers = signed
        .iter()
        .enumerate()
        .map(|(i, (_, body))| signer(i, body))
        .collect();
    let pooled = bundle(&signed[0].1, signers);
    let (opener, _) = signed.swap_remove(0);
    assert_eq!(
        opener.open(&pooled),
        Err(CoordinatorReason::Signature { signer: party(2) }.into())
    );
}

/// The n = 5, t = 3 exposure: two colluders sign both sets. The quorum of 4 leaves each group one honest signature short.
#[test]
fn sa16_colluders_sign_both_sets() {
    let mut f = Federation::five();
    let inputs = f.mask(FIRST, spec(16, 4));
    let (set_a, views_a) = f.close(FIRST, &inputs, &[0, 1, 2, 3]);
    let (set_b, views_b) = f.close(FIRST, &inputs, &ALL);
    let (mut a, mut b) = (set_a, set_b);
    // Colluders 0 and 1 sign whatever they are shown; honest 2, 3 and 4 once.
    for i in [0, 1] {
        for signing in [&mut a, &mut b] {
            let signature = f.identities[i].sign(
                crate::party::SURVIVOR_DOMAIN,
                signing.survivor_hash().as_ref(),
            );
            let body = SignatureIn {
                binding: inputs.masked[i].binding().to_vec(),
                signature: signature.to_bytes().to_vec(),
            };
            signing
                .accept(party(i), &prost::Message::encode_to_vec(&body))
                .unwrap();
        }
    }
    for (i, masked) in inputs.masked.into_iter().enumerate().skip(2) {
        let (signing, views) = if i == 2 {
            (&mut a, &views_a)
        } else {
            (&mut b, &views_b)
        };
        let (_, body) = f.sign(masked, views).unwrap();
        signing.accept(party(i), &body).unwrap();
    }
    assert!(!a.ready());
    // One set alone may be opened: that is the guarantee.
    assert!(b.ready());
}

/// After its signature, nothing is left that could sign a changed survivor set: the types say so. What can be tried is another set's bundle.
#[test]
fn sa14_set_changed_after_signing() {
    let mut f = Federation::five();
    let (_, signed, _, _) = f.signed(&ALL);
    let mut other = Federation::five();
    let (_, _, bundle, _) = other.signed(&[0, 1, 2, 3]);
    let refused = signed.into_iter().next().unwrap().open(&bundle);
    assert_eq!(
        refused,
        Err(CoordinatorReason::Signature { signer: party(0) }.into())
    );
}

/// What party 2 answers to the genuine bundle, changed.
fn bundled(change: impl FnOnce(&mut SignatureBundleIn)) -> Option<Fault> {
    let mut f = Federation::five();
    let (_, mut signed, bundle, _) = f.signed(&[0, 1, 2, 3]);
    signed.swap_remove(2).open(&edit(&bundle, change)).err()
}

#[test]
fn sa16_not_enough_or_wrong_signers() {
    use CoordinatorReason as R;
    assert_eq!(bundled(|_| ()), None);
    assert_eq!(
        bundled(|b| b.signers.truncate(3)),
        coordinator(R::BelowQuorum { have: 3, need: 4 })
    );
    assert_eq!(
        bundled(|b| b.signers[3] = b.signers[1].clone()),
        coordinator(R::Signer { signer: party(1) })
    );
    assert_eq!(
        bundled(|b| b.signers[3].party = 4),
        coordinator(R::Signer { signer: party(4) })
    );
    assert_eq!(
        bundled(|b| b.signers[3].party = 9),
        coordinator(R::Signer { signer: party(9) })
    );
    assert_eq!(
        bundled(|b| b.signers[3].party = 1 << 16),
        coordinator(R::Malformed)
    );
    assert_eq!(
        bundled(|b| b.signers[3].signature[5] ^= 1),
        coordinator(R::Signature { signer: party(3) })
    );
    assert_eq!(
        bundled(|b| b.signers[3].signature.clear()),
        coordinator(R::Signature { signer: party(3) })
    );
    assert_eq!(bundled(|b| b.binding[0] ^= 1), coordinator(R::Foreign));
    assert_eq!(
        bundled(|b| b.signers[0].signature.resize(10_000, 0)),
        coordinator(R::Malformed)
    );
}

#[test]
fn sa14_the_coordinator_takes_each_survivors_signature_once() {
    let mut f = Federation::five();
    let mut inputs = f.mask(FIRST, spec(16, 4));
    let (mut signing, views) = f.close(FIRST, &inputs, &[0, 1, 2, 3]);
    let (_, body) = f.sign(inputs.masked.remove(0), &views).unwrap();
    assert_eq!(
        signing.accept(party(1), &body),
        Err(peer(1, PeerReason::Signature))
    );
    assert_eq!(
        signing.accept(party(4), &body),
        Err(peer(4, PeerReason::Unexpected))
    );
    signing.accept(party(0), &body).unwrap();
    assert_eq!(
        signing.accept(party(0), &body),
        Err(peer(0, PeerReason::Duplicate))
    );
    let foreign = edit::<SignatureIn>(&body, |m| m.binding[0] ^= 1);
    assert_eq!(
        signing.accept(party(1), &foreign),
        Err(peer(1, PeerReason::Foreign))
    );
    assert_eq!(
        signing.accept(party(1), &[1; 300]),
        Err(peer(1, PeerReason::Malformed))
    );
}

#[test]
fn a_strangers_identity_cannot_sign() {
    let mut f = Federation::five();
    let mut inputs = f.mask(FIRST, spec(16, 4));
    let (_, views) = f.close(FIRST, &inputs, &ALL);
    let fault = inputs
        .masked
        .remove(0)
        .sign(&views[0].1, &f.identities[1])
        .err();
    assert_eq!(fault, Some(CallerReason::Identity.into()));
}

fn signer(i: usize, body: &[u8]) -> crate::wire::SignerIn {
    let message: SignatureIn = prost::Message::decode(body).unwrap();
    crate::wire::SignerIn {
        party: u32::try_from(i).unwrap(),
        signature: message.signature,
    }
}

fn bundle(any: &[u8], signers: Vec<crate::wire::SignerIn>) -> Vec<u8> {
    let message: SignatureIn = prost::Message::decode(any).unwrap();
    prost::Message::encode_to_vec(&SignatureBundleIn {
        binding: message.binding,
        signers,
    })
}
