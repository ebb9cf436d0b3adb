//! Attacks on the set-up: SA-01 to SA-06.

use lepton_crypto::{AgreementKey, IdentityPublic};

use super::*;
use crate::keys::{ADVERT_DOMAIN, EpochStatement};
use crate::wire::KeyAdvertIn;

fn params() -> Parameters {
    Parameters::new(3, 0, 1, None, None).unwrap()
}

fn begun() -> (Vec<PartySetup>, Vec<Addressed>) {
    begin(params(), context(1), &mut ChaCha20Rng::seed_from_u64(1))
}

fn finish(adverts: &[Addressed]) -> Option<Fault> {
    begun()
        .0
        .swap_remove(0)
        .freeze(adverts)
        .and_then(|frozen| frozen.finish(&[]))
        .err()
}

/// An advert of `key`, signed by roster member `by` as if at `position`.
fn forged(position: usize, by: usize, key: [u8; 32]) -> Vec<u8> {
    let (identities, roster) = identities(3);
    let public = lepton_crypto::AgreementPublic::from_bytes(key);
    let statement = EpochStatement::new(&params(), &roster, &context(1))
        .unwrap()
        .advert(party(position), &public, &[]);
    let signature = identities[by]
        .sign(ADVERT_DOMAIN, &statement)
        .to_bytes()
        .to_vec();
    prost::Message::encode_to_vec(&KeyAdvertIn {
        key: key.to_vec(),
        signature,
        commitment: Vec::new(),
    })
}

#[test]
fn sa01_rosters_that_do_not_fit() {
    let (keys, roster) = identities(3);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let members = roster.identities();
    let mut begin = |index, key: &IdentityKey, roster: &[IdentityPublic]| {
        let roster = Roster::new(roster).map_err(Fault::from);
        roster
            .and_then(|roster| {
                PartySetup::begin(party(index), key, &roster, params(), context(1), &mut rng)
            })
            .err()
    };
    assert_eq!(
        begin(0, &keys[0], &members[..2]),
        Some(CallerReason::RosterSize { have: 2, need: 3 }.into())
    );
    assert_eq!(
        begin(0, &keys[0], &[members[0], members[1], members[0]]),
        Some(CallerReason::RepeatedIdentity.into())
    );
    assert_eq!(
        begin(1, &keys[0], members),
        Some(CallerReason::Identity.into())
    );
    assert_eq!(
        begin(3, &keys[0], members),
        Some(CallerReason::Identity.into())
    );
}

#[test]
fn sa03_missing_repeated_and_unknown_adverts() {
    let adverts = begun().1;
    assert_eq!(finish(&adverts), None);
    assert_eq!(
        finish(&adverts[..2]),
        Some(Fault::TooFew {
            have: 2,
            need: 3,
            step: Step::Setup
        })
    );
    let twice = [adverts.clone(), vec![adverts[1].clone()]].concat();
    assert_eq!(finish(&twice), Some(peer(1, PeerReason::Duplicate)));
    let stranger = [adverts.clone(), vec![(party(3), adverts[1].1.clone())]].concat();
    assert_eq!(finish(&stranger), Some(peer(3, PeerReason::Unexpected)));
}

#[test]
fn sa03_unsigned_swapped_and_malformed_adverts() {
    let with = |position: usize, bytes: Vec<u8>| {
        let mut adverts = begun().1;
        adverts[position].1 = bytes;
        finish(&adverts)
    };
    let key = AgreementKey::generate(&mut ChaCha20Rng::seed_from_u64(9))
        .public()
        .to_bytes();
    let genuine = begun().1[1].1.clone();
    let unsigned = edit::<KeyAdvertIn>(&genuine, |a| a.signature = vec![0; 64]);
    assert_eq!(with(1, unsigned), Some(peer(1, PeerReason::Signature)));
    assert_eq!(
        with(1, edit::<KeyAdvertIn>(&genuine, |a| a.signature.clear())),
        Some(peer(1, PeerReason::Length("signature")))
    );
    assert_eq!(
        with(1, edit::<KeyAdvertIn>(&genuine, |a| a.key = key.to_vec())),
        Some(peer(1, PeerReason::Signature))
    );
    assert_eq!(
        with(1, edit::<KeyAdvertIn>(&genuine, |a| a.key.push(0))),
        Some(peer(1, PeerReason::Length("key")))
    );
    assert_eq!(
        with(1, begun().1[2].1.clone()),
        Some(peer(1, PeerReason::Signature))
    );
    assert_eq!(
        with(1, forged(1, 2, key)),
        Some(peer(1, PeerReason::Signature))
    );
    assert_eq!(
        with(1, vec![0xff; 20]),
        Some(peer(1, PeerReason::Malformed))
    );
    assert_eq!(
        with(1, [genuine, vec![0x7a, 100], vec![0; 100]].concat()),
        Some(peer(1, PeerReason::Malformed))
    );
}

#[test]
fn sa03_small_order_and_copied_keys() {
    let mut adverts = begun().1;
    for low in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        adverts[1].1 = forged(1, 1, low);
        assert_eq!(finish(&adverts), Some(peer(1, PeerReason::Key)));
    }
    let copied: KeyAdvertIn = prost::Message::decode(adverts[2].1.as_slice()).unwrap();
    adverts[1].1 = forged(1, 1, copied.key.try_into().unwrap());
    assert_eq!(finish(&adverts), Some(peer(2, PeerReason::Key)));
}

#[test]
fn sa03_adverts_of_another_epoch_job_or_parameters() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let other = Parameters::new(3, 1, 0, None, None).unwrap();
    let foreign_job = EpochContext {
        job: [8; 32],
        epoch: 1,
    };
    for (params, context) in [
        (params(), context(2)),
        (params(), foreign_job),
        (other, context(1)),
    ] {
        let mut adverts = begun().1;
        adverts[2] = begin(params, context, &mut rng).1[2].clone();
        assert_eq!(finish(&adverts), Some(peer(2, PeerReason::Signature)));
    }
}

/// The coordinator (with the identity of party 0 stolen, or an older key of its) replaces the party's own key.
#[test]
fn sa04_own_key_replaced() {
    let mut adverts = begun().1;
    let key = AgreementKey::generate(&mut ChaCha20Rng::seed_from_u64(9))
        .public()
        .to_bytes();
    adverts[0].1 = forged(0, 0, key);
    assert_eq!(finish(&adverts), Some(CoordinatorReason::OwnKey.into()));
}

#[test]
fn sa06_an_attempt_is_masked_once() {
    let mut f = Federation::five();
    let (shape, mut rng) = (spec(16, 2), ChaCha20Rng::seed_from_u64(2));
    let vector = || RingVec::zeros(shape.modulus, 2);
    let mut mask = |round, attempt, input| {
        f.epochs[0]
            .mask(Attempt { round, attempt }, shape, input, &mut rng)
            .err()
    };
    // A refused input uses nothing up.
    assert_eq!(
        mask(4, 1, RingVec::zeros(shape.modulus, 3)),
        Some(CallerReason::Input.into())
    );
    assert_eq!(
        mask(4, 1, RingVec::zeros(Modulus::new(17).unwrap(), 2)),
        Some(CallerReason::Input.into())
    );
    assert_eq!(mask(4, 1, vector()), None);
    for (round, attempt) in [(4, 1), (4, 0), (3, 7)] {
        assert_eq!(
            mask(round, attempt, vector()),
            Some(CallerReason::Spent { round, attempt }.into())
        );
    }
    assert_eq!(mask(4, 2, vector()), None);
    assert_eq!(
        mask(u64::MAX, 0, vector()),
        Some(
            CallerReason::Skipped {
                round: u64::MAX,
                attempt: 0
            }
            .into()
        )
    );
}

/// The same input in two attempts, and for two parties, is masked by unrelated words.
#[test]
fn sa07_masks_are_fresh() {
    let mut f = Federation::five();
    let (shape, mut rng) = (spec(64, 4), ChaCha20Rng::seed_from_u64(2));
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..3 {
        for epoch in &mut f.epochs {
            let zeros = RingVec::zeros(shape.modulus, 4);
            let (_, body) = epoch
                .mask(Attempt { round, attempt: 0 }, shape, zeros, &mut rng)
                .unwrap();
            let message: crate::wire::MaskedInputIn =
                prost::Message::decode(body.as_slice()).unwrap();
            message
                .vector
                .chunks(8)
                .for_each(|word| assert!(seen.insert(word.to_vec())));
        }
    }
}

/// A colluder that advertises one key to parties 0 and 1 and another to party 2's half: the halves are in different epochs.
#[test]
fn sa02_parties_shown_different_keys_do_not_sum() {
    let params = Parameters::new(4, 0, 1, None, None).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (setups, adverts) = begin(params, context(1), &mut rng);
    let mut second = adverts.clone();
    second[3] = begin(params, context(1), &mut rng).1[3].clone();
    let (_, roster) = identities(4);
    let keys = Arc::new(EpochKeys::verify(params, &roster, context(1), &adverts, &[]).unwrap());
    let mut collecting = Collecting::new(keys, FIRST, spec(16, 1)).unwrap();
    for (i, setup) in setups.into_iter().enumerate().take(3) {
        let mut epoch = setup
            .freeze(if i < 2 { &adverts } else { &second })
            .and_then(|frozen| frozen.finish(&[]))
            .unwrap();
        let zeros = RingVec::zeros(spec(16, 1).modulus, 1);
        let (_, body) = epoch.mask(FIRST, spec(16, 1), zeros, &mut rng).unwrap();
        let expected = if i < 2 {
            Ok(())
        } else {
            Err(peer(i, PeerReason::Foreign))
        };
        assert_eq!(collecting.accept(party(i), &body), expected);
    }
    assert!(!collecting.ready());
}
