//! Dishonest dealers: SA-13 and SA-18.

use lepton_crypto::{Digest, open, seal};

use super::*;
use crate::context::{column_digest, secrets_digest, vector_digest};
use crate::deal::ShareCommitments;
use crate::wire::MaskedInputIn;

/// Lets `dealer` change its message and seal other shares, with valid seals over the message's new digest.
fn redeal(
    inputs: &mut Inputs,
    dealer: usize,
    change: impl FnOnce(&mut MaskedInputIn, &mut [Vec<u8>]),
) {
    let mut message: MaskedInputIn =
        prost::Message::decode(inputs.bodies[dealer].as_slice()).unwrap();
    let n = inputs.masked.len();
    let old = inputs.masked[dealer].digest();
    let mut columns: Vec<Vec<u8>> = (0..n)
        .map(|h| {
            if h == dealer {
                return Vec::new();
            }
            let victim = &inputs.masked[h];
            let aad = victim.bundle_context_from(party(dealer), &old);
            open(
                victim.opener(party(dealer)),
                &aad,
                &message.sealed[place(dealer, h)],
            )
            .unwrap()
            .to_vec()
        })
        .collect();
    change(&mut message, &mut columns);
    let new = digest_of(inputs, dealer, &message);
    for h in (0..n).filter(|h| *h != dealer) {
        let victim = &inputs.masked[h];
        let aad = victim.bundle_context_from(party(dealer), &new);
        message.sealed[place(dealer, h)] = seal(victim.opener(party(dealer)), &aad, &columns[h]);
    }
    inputs.masked[dealer].set_digest(new);
    inputs.bodies[dealer] = prost::Message::encode_to_vec(&message);
}

fn digest_of(inputs: &Inputs, dealer: usize, message: &MaskedInputIn) -> Digest {
    let (vector, secrets) = (
        vector_digest(&message.vector),
        secrets_digest(&message.secrets),
    );
    inputs.masked[dealer].binding().input_digest(
        party(dealer),
        vector.as_ref(),
        secrets.as_ref(),
        &message.columns,
    )
}

#[test]
fn sa13_a_share_that_does_not_match_its_commitment() {
    let mut f = Federation::five();
    let mut inputs = f.mask(FIRST, spec(16, 4));
    redeal(&mut inputs, 2, |_, columns| columns[4][3 * 32] ^= 1);
    let (_, views) = f.close(FIRST, &inputs, &[0, 1, 2, 3, 4]);
    for (i, masked) in inputs.masked.into_iter().enumerate() {
        let expected = (i == 4).then(|| peer(2, PeerReason::Dealt));
        assert_eq!(f.sign(masked, &views).err(), expected);
    }
}

#[test]
fn sa13_a_bundle_of_the_wrong_length() {
    let mut f = Federation::five();
    let mut inputs = f.mask(FIRST, spec(16, 4));
    redeal(&mut inputs, 2, |_, columns| columns[4].truncate(32));
    // The coordinator would refuse the message for its length; here it colludes and shows the bundle.
    let sealed = prost::Message::decode(inputs.bodies[2].as_slice())
        .map(|m: MaskedInputIn| m.sealed[place(2, 4)].clone())
        .unwrap();
    inputs.bodies[2] = edit::<MaskedInputIn>(&inputs.bodies[2], |m| {
        m.sealed[place(2, 4)].resize(5 * 32 + 16, 0)
    });
    let (_, views) = f.close(FIRST, &inputs, &[0, 1, 2, 3, 4]);
    let view = edit::<crate::wire::SurvivorViewIn>(&views[4].1, |v| {
        v.dealers[place(4, 2)].sealed = sealed
    });
    let fault = inputs.masked.remove(4).sign(&view, &f.identities[4]).err();
    assert_eq!(fault, Some(peer(2, PeerReason::Dealt)));
}

/// The dealer commits to the altered share: holders cannot see it, but the combined secret is not the committed one.
fn summed_with_bad_sharing(target: usize, senders: &[usize]) -> Option<Fault> {
    let mut f = Federation::five();
    let mut inputs = f.mask(FIRST, spec(16, 4));
    redeal(&mut inputs, 2, |message, columns| {
        let share = &mut columns[0][target * 32..][..32];
        share[9] ^= 0x10;
        let binding = f.binding_of(FIRST, spec(16, 4));
        let commit = ShareCommitments::new(&binding, party(2), party(0));
        let commitments: Vec<u8> = (0..)
            .zip(columns[0].chunks(32))
            .flat_map(|(rank, share)| *commit.to(rank, share).as_bytes())
            .collect();
        message.columns[..32].copy_from_slice(column_digest(&commitments).as_ref());
    });
    let (mut signing, views) = f.close(FIRST, &inputs, senders);
    let mut all = Vec::new();
    for (i, masked) in inputs
        .masked
        .into_iter()
        .enumerate()
        .filter(|(i, _)| senders.contains(i))
    {
        let (signed, body) = f.sign(masked, &views).unwrap();
        signing.accept(party(i), &body).unwrap();
        all.push((i, signed));
    }
    let (mut opening, bundle) = signing.close().unwrap();
    all.into_iter()
        .for_each(|(i, s)| opening.accept(party(i), &s.open(&bundle).unwrap()).unwrap());
    opening.finish(ONE).err()
}

#[test]
fn sa18_shares_that_do_not_combine_to_the_commitment() {
    let sharing = Some(peer(2, PeerReason::Sharing));
    assert_eq!(
        summed_with_bad_sharing(2, &[0, 1, 2, 3, 4]),
        sharing,
        "self mask"
    );
    assert_eq!(
        summed_with_bad_sharing(4, &[0, 1, 2, 3]),
        sharing,
        "pair seed with the dropped party"
    );
    assert_eq!(
        summed_with_bad_sharing(3, &[0, 1, 2, 3, 4]),
        None,
        "a pair seed of survivors is never opened"
    );
}

impl Federation {
    fn binding_of(&self, attempt: Attempt, spec: VectorSpec) -> crate::context::Binding {
        crate::context::Binding::new(&self.keys.digest(), attempt, spec)
    }
}
