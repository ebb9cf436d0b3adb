//! The sparse graph: commit-and-reveal, the committee, rounds with losses (SA-21 to SA-23).

use std::collections::BTreeSet;

use super::*;
use crate::wire::{RevealIn, SignatureIn, SurvivorViewIn};

/// Sixty parties with at most eight neighbours: small enough for tests, far too few neighbours for real use.
fn params() -> Parameters {
    Parameters::insecure_sparse(60, 2, 6, 8).unwrap()
}

fn sparse() -> Federation {
    Federation::new(params(), context(0), 11)
}

#[test]
fn sa21_the_graph_is_symmetric_sparse_and_the_same_for_all() {
    let f = sparse();
    for (i, epoch) in f.epochs.iter().enumerate() {
        let own = f.keys.neighbours(party(i));
        assert_eq!(epoch.keys().neighbours(party(i)), own);
        assert_eq!(epoch.keys().digest(), f.keys.digest());
        assert!((4..=8).contains(&own.len()));
        assert!(
            own.iter()
                .all(|j| f.keys.neighbours(*j).contains(&party(i)))
        );
    }
    let committee = f.keys.committee();
    assert_eq!(committee.len(), 32);
    assert!(committee.is_sorted_by(|a, b| a < b));
    let other = Federation::new(params(), context(1), 12);
    assert_ne!(f.keys.committee(), other.keys.committee());
}

#[test]
fn sa21_security_is_reported_and_demanded() {
    let weak = params();
    assert!(weak.security_bits().unwrap() < 40.0);
    let strong = Parameters::sparse(1000, 50, 50).unwrap();
    assert!(strong.security_bits().unwrap() >= 40.0);
    assert!(strong.neighbours() < 255);
    assert_eq!(
        Parameters::new(10, 1, 1, None, None)
            .unwrap()
            .security_bits(),
        None
    );
    let refused = Parameters::sparse(1000, 300, 300).unwrap_err();
    assert!(matches!(refused, ParameterError::Sparse { .. }));
    // The nearest numbers are passed on, and they work.
    let text = refused.to_string();
    let (_, nearest) = text.split_once("choose colluders <= ").unwrap();
    let nearest = nearest.split(' ').next().unwrap().parse().unwrap();
    assert!(Parameters::sparse(1000, nearest, 300).is_ok(), "{text}");
    assert!(Parameters::sparse(1000, nearest + 1, 300).is_err());
    assert_eq!(
        Parameters::insecure_sparse(60, 2, 6, 60).err(),
        Some(ParameterError::Neighbours {
            parties: 60,
            neighbours: 60
        })
    );
    let late = EpochContext {
        job: [7; 32],
        epoch: 1024,
    };
    let (identities, roster) = identities(60);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let begun = PartySetup::begin(party(0), &identities[0], &roster, weak, late, &mut rng);
    assert_eq!(begun.err(), Some(CallerReason::Epochs(1024).into()));
}

/// Reveals that are missing, repeated, altered, another's or made for other adverts.
#[test]
fn sa22_reveals_that_do_not_open_their_commitments() {
    let attempt = |change: &dyn Fn(&mut Vec<Addressed>)| {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let (setups, adverts) = begin(params(), context(0), &mut rng);
        let (mut frozen, mut reveals) = freeze(setups, &adverts);
        change(&mut reveals);
        frozen.swap_remove(0).finish(&reveals).err()
    };
    assert_eq!(attempt(&|_| ()), None);
    let missing = Fault::TooFew {
        have: 59,
        need: 60,
        step: Step::Setup,
    };
    assert_eq!(attempt(&|r| drop(r.pop())), Some(missing));
    assert_eq!(
        attempt(&|r| r[7].1 = edit::<RevealIn>(&r[7].1, |m| m.part[0] ^= 1)),
        Some(peer(7, PeerReason::Reveal))
    );
    assert_eq!(
        attempt(&|r| r[7].1 = r[8].1.clone()),
        Some(peer(7, PeerReason::Reveal))
    );
    assert_eq!(
        attempt(&|r| r[7].1 = edit::<RevealIn>(&r[7].1, |m| m.adverts[0] ^= 1)),
        Some(peer(7, PeerReason::Foreign))
    );
    assert_eq!(
        attempt(&|r| r.push(r[3].clone())),
        Some(peer(3, PeerReason::Duplicate))
    );
    assert_eq!(
        attempt(&|r| r[5].1.truncate(4)),
        Some(peer(5, PeerReason::Malformed))
    );
}

/// A party relies on the signatures of its neighbours, of the committee and of the speaker, and checks those.
#[test]
fn sa03_adverts_relied_on_are_verified() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let (setups, adverts) = begin(params(), context(0), &mut rng);
    let (_, roster) = identities(60);
    let mut refusals = 0;
    for forged in 1..60 {
        let mut shown = adverts.clone();
        shown[forged].1 =
            edit::<crate::wire::KeyAdvertIn>(&shown[forged].1, |a| a.signature[3] ^= 1);
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let (again, _) = begin(params(), context(0), &mut rng);
        let (mut frozen, reveals) = freeze(again, &shown);
        let keys = EpochKeys::verify(params(), &roster, context(0), &shown, &reveals);
        assert_eq!(keys.err(), Some(peer(forged, PeerReason::Signature)));
        match frozen.swap_remove(0).finish(&reveals) {
            Err(fault) => {
                assert_eq!(fault, peer(forged, PeerReason::Signature));
                refusals += 1;
            }
            // Party 0 is the speaker, which has an agreement with everybody.
            Ok(_) => panic!("the speaker relies on party {forged}"),
        }
    }
    assert_eq!(refusals, 59);
    let (mut frozen, reveals) = freeze(setups, &adverts);
    let own = frozen.swap_remove(9).finish(&reveals).unwrap();
    let relied: BTreeSet<_> = own
        .keys()
        .committee()
        .iter()
        .chain(own.keys().neighbours(party(9)))
        .collect();
    assert!(relied.len() < 59);
}

#[test]
fn sparse_sums_are_exact_under_losses() {
    let mut f = sparse();
    for (round, gone) in [(0, vec![]), (1, vec![3, 17, 44]), (2, vec![0, 9, 31, 58])] {
        let attempt = Attempt { round, attempt: 0 };
        let inputs = f.mask(attempt, spec(20, 50));
        let senders: Vec<_> = (0..60).filter(|i| !gone.contains(i)).collect();
        let (mut signing, views) = f.close(attempt, &inputs, &senders);
        let expected = inputs.sum_of(&senders);
        let mut all = Vec::new();
        for (i, masked) in inputs.masked.into_iter().enumerate() {
            if !senders.contains(&i) {
                continue;
            }
            let (signed, body) = f.sign(masked, &views).unwrap();
            let message: SignatureIn = prost::Message::decode(body.as_slice()).unwrap();
            let member = f.keys.committee().contains(&party(i));
            assert_eq!(message.signature.is_empty(), !member);
            signing.accept(party(i), &body).unwrap();
            assert_eq!(signed.survivor_hash(), signing.survivor_hash());
            all.push((i, signed));
        }
        let (mut opening, bundle) = signing.close().unwrap();
        for (i, signed) in all {
            opening
                .accept(party(i), &signed.open(&bundle).unwrap())
                .unwrap();
        }
        assert!(opening.ready());
        let summed = opening.finish(NonZeroUsize::new(3).unwrap()).unwrap();
        assert!(summed.sums == [expected]);
    }
}

/// Signatures of survivors outside the committee do not count, whoever relays them.
#[test]
fn sa23_only_the_committee_signs() {
    let mut f = sparse();
    let inputs = f.mask(FIRST, spec(16, 4));
    let everyone: Vec<_> = (0..60).collect();
    let (mut signing, views) = f.close(FIRST, &inputs, &everyone);
    let outsider = (0..60)
        .find(|i| !f.keys.committee().contains(&party(*i)))
        .unwrap();
    let mut all = Vec::new();
    for masked in inputs.masked {
        let index = masked.opener_index();
        let (signed, body) = f.sign(masked, &views).unwrap();
        if index == party(outsider) {
            let hash = signed.survivor_hash();
            let signature = f.identities[outsider]
                .sign(crate::party::SURVIVOR_DOMAIN, hash.as_ref())
                .to_bytes();
            let forged = edit::<SignatureIn>(&body, |m| m.signature = signature.to_vec());
            assert_eq!(
                signing.accept(index, &forged),
                Err(peer(outsider, PeerReason::Length("signature")))
            );
        }
        signing.accept(index, &body).unwrap();
        all.push(signed);
    }
    let (_, bundle) = signing.close().unwrap();
    let forged = edit::<crate::wire::SignatureBundleIn>(&bundle, |b| {
        b.signers[0].party = u32::try_from(outsider).unwrap();
    });
    let signer = party(outsider);
    assert_eq!(
        all.swap_remove(5).open(&forged).err(),
        Some(CoordinatorReason::Signer { signer }.into())
    );
}

/// What the coordinator hides behind the digests that a party cannot compute: another tree is another hash, which the quorum did not sign.
#[test]
fn sa14_a_forged_tree_is_another_hash() {
    let mut f = sparse();
    let mut inputs = f.mask(FIRST, spec(16, 4));
    let everyone: Vec<_> = (0..60).collect();
    let (signing, views) = f.close(FIRST, &inputs, &everyone);
    let forged = edit::<SurvivorViewIn>(&views[5].1, |v| v.tree[40] ^= 1);
    let (signed, _) = inputs
        .masked
        .swap_remove(5)
        .sign(&forged, &f.identities[5])
        .unwrap();
    assert_ne!(signed.survivor_hash(), signing.survivor_hash());
    // A survivor set with another bit is another hash too, whatever the tree says.
    let (_, others) = f.close(FIRST, &inputs, &everyone[..59]);
    let (signed, _) = inputs
        .masked
        .swap_remove(6)
        .sign(&others[6].1, &f.identities[6])
        .unwrap();
    assert_ne!(signed.survivor_hash(), signing.survivor_hash());
}

#[test]
fn sa19_a_dealer_whose_neighbours_are_lost_ends_the_attempt() {
    let mut f = sparse();
    let inputs = f.mask(FIRST, spec(16, 4));
    let everyone: Vec<_> = (0..60).collect();
    let (mut signing, views) = f.close(FIRST, &inputs, &everyone);
    let mut all = Vec::new();
    for masked in inputs.masked {
        let index = masked.opener_index();
        let (signed, body) = f.sign(masked, &views).unwrap();
        signing.accept(index, &body).unwrap();
        all.push((index, signed));
    }
    let (mut opening, bundle) = signing.close().unwrap();
    // Everybody opens but the closed neighbourhood of party 20.
    let lost = f.keys.neighbours(party(20)).to_vec();
    for (index, signed) in all {
        if index != party(20) && !lost.contains(&index) {
            opening
                .accept(index, &signed.open(&bundle).unwrap())
                .unwrap();
        }
    }
    assert!(!opening.ready());
    let need = usize::from(f.params.threshold());
    assert_eq!(
        opening.finish(ONE).err(),
        Some(Fault::TooFew {
            have: 0,
            need,
            step: Step::Opening
        })
    );
}

/// Survivors of whom one has lost too many neighbours: the coordinator cannot close, and one that cheats gets no signature.
#[test]
fn sa24_a_survivor_cut_off_from_its_neighbours() {
    let mut f = Federation::new(
        Parameters::insecure_sparse(60, 2, 12, 8).unwrap(),
        context(0),
        11,
    );
    let mut inputs = f.mask(FIRST, spec(16, 4));
    let lost = f.keys.neighbours(party(20)).to_vec();
    let mut collecting = f.collecting(FIRST, inputs.spec);
    for (i, body) in inputs.bodies.iter().enumerate() {
        if !lost.contains(&party(i)) {
            collecting.accept(party(i), body).unwrap();
        }
    }
    let need = usize::from(f.params.threshold());
    let few = |fault: &Fault| matches!(fault, Fault::TooFew { have, step: Step::Input, .. } if *have < need);
    assert!(collecting.close().err().as_ref().is_some_and(few));
    let everyone: Vec<_> = (0..60).collect();
    let (_, views) = f.close(FIRST, &inputs, &everyone);
    let signs = |i: &usize| f.keys.signs(party(*i)) && !lost.contains(&party(*i));
    let signer = (0..60).find(signs).unwrap();
    let forged = edit::<SurvivorViewIn>(&views[signer].1, |view| {
        for gone in &lost {
            view.survivors[gone.at() / 8] &= !(1 << (gone.at() % 8));
        }
    });
    let fault = inputs
        .masked
        .swap_remove(signer)
        .sign(&forged, &f.identities[signer])
        .err();
    let stranded = |fault: &Fault| matches!(fault, Fault::Coordinator(CoordinatorReason::Stranded { have, .. }) if *have < need);
    assert!(fault.as_ref().is_some_and(stranded), "{fault:?}");
}

/// On a sparse graph there are side secrets between neighbours, and between the first party and everybody.
#[test]
fn sa05_side_secrets_on_a_sparse_graph() {
    let f = sparse();
    let secret = |a: usize, b: usize| f.epochs[a].pair_secret(party(b), "x");
    for i in 1..60 {
        assert!(secret(0, i).unwrap() == secret(i, 0).unwrap());
    }
    let far = (1..60)
        .find(|j| !f.keys.neighbours(party(30)).contains(&party(*j)) && *j != 30)
        .unwrap();
    assert_eq!(
        secret(30, far).err(),
        Some(CallerReason::Peer(party(far)).into())
    );
}

/// Many parties of one process verify the keys once.
#[test]
fn joining_with_keys_verified_elsewhere() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let (setups, adverts) = begin(params(), context(0), &mut rng);
    let (_, roster) = identities(60);
    let (again, _) = begin(params(), context(0), &mut ChaCha20Rng::seed_from_u64(3));
    let (_, reveals) = freeze(again, &adverts);
    let keys =
        Arc::new(EpochKeys::verify(params(), &roster, context(0), &adverts, &reveals).unwrap());
    let mut joined = setups
        .into_iter()
        .map(|setup| setup.join(Arc::clone(&keys)).unwrap());
    let (a, b) = (joined.next().unwrap(), joined.next().unwrap());
    assert!(a.pair_secret(party(1), "x").unwrap() == b.pair_secret(party(0), "x").unwrap());
    let (other, _) = begin(params(), context(1), &mut rng);
    let refused = other.into_iter().next().unwrap().join(keys).err();
    assert_eq!(refused, Some(CoordinatorReason::Foreign.into()));
}
