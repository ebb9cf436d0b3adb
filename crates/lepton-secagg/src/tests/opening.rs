//! Attacks on message (c): SA-17 to SA-19.

use std::collections::BTreeSet;

use super::*;
use crate::wire::OpeningsIn;

#[test]
fn sa17_exactly_the_due_shares_are_opened() {
    // With party 4 dropped: four self masks, four pair seeds with party 4, nothing else.
    for (senders, count) in [(vec![0, 1, 2, 3], 8), (vec![0, 1, 2, 3, 4], 5)] {
        let mut f = Federation::five();
        let (_, signed, bundle, _) = f.signed(&senders);
        let held = signed[0].held();
        let body: OpeningsIn = prost::Message::decode(
            signed
                .into_iter()
                .next()
                .unwrap()
                .open(&bundle)
                .unwrap()
                .as_slice(),
        )
        .unwrap();
        // One entry for every secret of every surviving dealer; the share itself only where one is due, else the commitment to it.
        assert_eq!(body.entries.len(), senders.len() * 5 * 32);
        let due = held.iter().flatten().filter(|share| {
            let mut entries = body.entries.chunks(32);
            entries.any(|entry| entry == share.as_slice())
        });
        assert_eq!(due.count(), count);
    }
}

/// No share of a pair seed of two survivors, of a dropped party's self mask, or dealt by a dropped party is among the opened ones.
#[test]
fn sa17_both_shares_of_a_peer_are_never_opened() {
    let mut f = Federation::five();
    let inputs = f.mask(FIRST, spec(16, 4));
    let senders = [0, 1, 2, 3];
    // What holder 0 holds: its bundle from every dealer, party 4's too (its message came late and was discarded).
    let held: Vec<Vec<Vec<u8>>> = (1..5)
        .map(|dealer| {
            let message: crate::wire::MaskedInputIn =
                prost::Message::decode(inputs.bodies[dealer].as_slice()).unwrap();
            let holder = &inputs.masked[0];
            let aad = holder.bundle_context_from(party(dealer), &inputs.masked[dealer].digest());
            let plain = lepton_crypto::open(
                holder.opener(party(dealer)),
                &aad,
                &message.sealed[place(dealer, 0)],
            )
            .unwrap();
            plain.chunks(32).map(<[u8]>::to_vec).collect()
        })
        .collect();
    let (mut signing, views) = f.close(FIRST, &inputs, &senders);
    let mut all = Vec::new();
    for (i, m) in inputs.masked.into_iter().enumerate().take(4) {
        let (signed, body) = f.sign(m, &views).unwrap();
        signing.accept(party(i), &body).unwrap();
        all.push(signed);
    }
    let (_, bundle) = signing.close().unwrap();
    let body: OpeningsIn =
        prost::Message::decode(all.remove(0).open(&bundle).unwrap().as_slice()).unwrap();
    let opened: BTreeSet<Vec<u8>> = body.entries.chunks(32).map(<[u8]>::to_vec).collect();
    for (dealer, column) in (1..5).zip(&held) {
        for (target, share) in column.iter().enumerate() {
            let due = dealer != 4 && (target == dealer || target == 4);
            assert_eq!(
                opened.contains(share),
                due,
                "dealer {dealer}, secret {target}"
            );
        }
    }
}

#[test]
fn sa18_altered_openings_name_the_opener() {
    let mut f = Federation::five();
    let (mut opening, signed, bundle, sum) = f.signed(&[0, 1, 2, 3]);
    let bodies: Vec<_> = signed
        .into_iter()
        .map(|s| s.open(&bundle).unwrap())
        .collect();
    let altered =
        |position: usize| edit::<OpeningsIn>(&bodies[1], |m| m.entries[position * 32 + 5] ^= 1);
    assert_eq!(
        opening.accept(party(1), &altered(12)),
        Err(peer(1, PeerReason::Opened { dealer: party(2) }))
    );
    assert_eq!(
        opening.accept(party(1), &altered(19)),
        Err(peer(1, PeerReason::Opened { dealer: party(3) }))
    );
    // Another's opening is not one's own.
    assert_eq!(
        opening.accept(party(1), &bodies[2]),
        Err(peer(1, PeerReason::Opened { dealer: party(0) }))
    );
    for (i, body) in bodies.iter().enumerate().skip(1) {
        opening.accept(party(i), body).unwrap();
    }
    assert!(opening.finish(ONE).unwrap().sums == [sum]);
}

#[test]
fn sa18_wrong_openings_are_refused() {
    let mut f = Federation::five();
    let (mut opening, signed, bundle, _) = f.signed(&[0, 1, 2, 3]);
    let body = signed.into_iter().next().unwrap().open(&bundle).unwrap();
    let mut accept = |i, body: &[u8]| opening.accept(party(i), body).err();
    assert_eq!(accept(4, &body), Some(peer(4, PeerReason::Unexpected)));
    assert_eq!(
        accept(0, &edit::<OpeningsIn>(&body, |m| m.survivor_hash[0] ^= 1)),
        Some(peer(0, PeerReason::Foreign))
    );
    assert_eq!(
        accept(
            0,
            &edit::<OpeningsIn>(&body, |m| {
                m.entries.pop();
            })
        ),
        Some(peer(0, PeerReason::Length("entries")))
    );
    assert_eq!(
        accept(0, &edit::<OpeningsIn>(&body, |m| m.entries.extend([0; 32]))),
        Some(peer(0, PeerReason::Length("entries")))
    );
    assert_eq!(
        accept(0, &edit::<OpeningsIn>(&body, |m| m.entries.resize(4096, 0))),
        Some(peer(0, PeerReason::Malformed))
    );
    assert_eq!(accept(0, &body), None);
    assert_eq!(accept(0, &body), Some(peer(0, PeerReason::Duplicate)));
}

#[test]
fn sa19_below_the_threshold() {
    let mut f = Federation::five();
    let (mut opening, signed, bundle, _) = f.signed(&[0, 1, 2, 3, 4]);
    for (i, s) in signed.into_iter().enumerate().take(2) {
        opening.accept(party(i), &s.open(&bundle).unwrap()).unwrap();
    }
    assert!(!opening.ready());
    assert_eq!(
        opening.finish(ONE).err(),
        Some(Fault::TooFew {
            have: 2,
            need: 3,
            step: Step::Opening
        })
    );
}
