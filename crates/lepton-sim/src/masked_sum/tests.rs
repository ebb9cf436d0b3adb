//! The checker notices what must not be: each rule once as it is and once broken.

use std::num::NonZeroUsize;
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use lepton_crypto::Digest;
use lepton_protocol::frame::Address;
use lepton_ring::RingVec;
use lepton_secagg::{
    Collecting, CoordinatorReason, Fault, Grouping, Parameters, PartyIndex, PeerReason, Summed,
    VectorSpec,
};
use rand_core::SeedableRng;

use super::MaskedSumConfig;
use super::bodies::{OpenBody, WORD, edit};
use super::checker::Checker;
use super::setup::{self, FIRST};
use crate::identity_of;

/// What a checker is told of an attempt of four parties of which the last is dropped.
struct Told {
    config: MaskedSumConfig,
    checker: Checker,
    inputs: Vec<Vec<u8>>,
    hash: Digest,
    survivors: Vec<PartyIndex>,
    openings: Vec<Vec<u8>>,
    summed: Summed,
}

const SENDERS: u16 = 3;

/// Up to where the checker has been told of the attempt.
#[derive(PartialEq, PartialOrd)]
enum Until {
    Input,
    Agree,
    Open,
}

fn told(until: Until) -> Told {
    let params = Parameters::new(4, 0, 1, None, None).unwrap();
    let mut config = MaskedSumConfig::new(1, params);
    let scene = setup::scene(&config).unwrap();
    let founded = setup::found(&mut config, &scene).unwrap();
    let mut checker = Checker::new(&config);
    let mut epochs: Vec<_> = founded.epochs.into_iter().flatten().collect();
    epochs.iter().for_each(|epoch| checker.knows(epoch));
    let spec = VectorSpec {
        modulus: config.modulus,
        len: config.len,
        purpose: [0; 32],
    };
    let keys = founded.keys.unwrap();
    let mut collecting = Collecting::new(Arc::clone(&keys), FIRST, spec).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (mut masked, mut inputs) = (Vec::new(), Vec::new());
    for (party, epoch) in (0..SENDERS).zip(&mut epochs) {
        let zeros = RingVec::zeros(spec.modulus, spec.len);
        let (state, body) = epoch.mask(FIRST, spec, zeros, &mut rng).unwrap();
        collecting.accept(PartyIndex::new(party), &body).unwrap();
        checker.sent_input(party, FIRST, &body);
        masked.push(state);
        inputs.push(body);
    }
    let mut signing = collecting.close().unwrap();
    let (hash, survivors) = (signing.survivor_hash(), signing.survivors());
    let mut signed = Vec::new();
    for (party, state) in (0..SENDERS).zip(masked) {
        let identity = identity_of(config.seed, Address::Party(party));
        let view = signing.view(PartyIndex::new(party)).unwrap();
        let (state, body) = state.sign(&view, &identity).unwrap();
        signing.accept(PartyIndex::new(party), &body).unwrap();
        if until >= Until::Agree {
            checker.agreed(party, FIRST, hash, &survivors);
        }
        signed.push(state);
    }
    let (mut opening, bundle) = signing.close().unwrap();
    let mut openings = Vec::new();
    for (party, state) in (0..SENDERS).zip(signed) {
        let body = state.open(&bundle).unwrap();
        opening.accept(PartyIndex::new(party), &body).unwrap();
        if until >= Until::Open {
            checker.opened(party, FIRST, hash, &body);
        }
        openings.push(body);
    }
    Told {
        config,
        checker,
        inputs,
        hash,
        survivors,
        openings,
        summed: opening.finish(NonZeroUsize::MIN).unwrap(),
    }
}

impl Told {
    fn finish(self) -> Vec<String> {
        self.checker.finish().0
    }

    /// Exactly one violation, which says this.
    #[track_caller]
    fn violates(self, what: &str) {
        let violations = self.finish();
        assert!(
            violations.len() == 1 && violations[0].contains(what),
            "{violations:?} instead of {what}"
        );
    }
}

#[test]
fn what_is_as_it_must_be_violates_nothing() {
    let mut told = told(Until::Open);
    let zeros = RingVec::zeros(told.config.modulus, told.config.len);
    let hash = Some(told.hash);
    told.checker.summed(FIRST, hash, &told.summed, &[zeros]);
    let body = told.inputs[0].clone();
    told.checker.sent_input(0, FIRST, &body);
    assert_eq!(told.finish(), [""; 0]);
}

#[test]
fn a_sum_that_is_not_the_survivors_is_noticed() {
    let mut told = told(Until::Open);
    let ones = RingVec::from_wrapping(told.config.modulus, &vec![1; told.config.len]);
    let hash = Some(told.hash);
    told.checker.summed(FIRST, hash, &told.summed, &[ones]);
    told.violates("not the sum of its survivors");
}

#[test]
fn a_sum_that_nobody_opened_is_noticed() {
    let mut told = told(Until::Agree);
    let zeros = RingVec::zeros(told.config.modulus, told.config.len);
    let hash = Some(told.hash);
    told.checker.summed(FIRST, hash, &told.summed, &[zeros]);
    let violations = told.finish();
    let [unsigned, unshared] = violations.as_slice() else {
        panic!("{violations:?}")
    };
    assert!(unsigned.contains("did not sign"), "{unsigned}");
    assert!(unshared.contains("without the shares for it"), "{unshared}");
}

#[test]
fn sa06_a_second_message_is_noticed() {
    let mut told = told(Until::Input);
    let other = told.inputs[1].clone();
    told.checker.sent_input(0, FIRST, &other);
    told.violates("made two messages (a)");
}

#[test]
fn sa12_a_set_without_the_party_is_noticed() {
    let mut told = told(Until::Input);
    let (hash, survivors) = (told.hash, told.survivors.clone());
    told.checker.agreed(3, FIRST, hash, &survivors);
    told.violates("agreed to a bad set");
}

#[test]
fn sa14_a_second_agreement_is_noticed() {
    let mut told = told(Until::Agree);
    let survivors = told.survivors.clone();
    told.checker
        .agreed(0, FIRST, Digest::from_bytes([1; 32]), &survivors);
    told.violates("agreed to two hashes");
}

/// A party that opens without agreement.
#[test]
fn sa16_opening_without_agreement_is_noticed() {
    let mut told = told(Until::Input);
    let (hash, body) = (told.hash, told.openings[0].clone());
    told.checker.opened(0, FIRST, hash, &body);
    told.violates("did not agree to");
}

#[test]
fn sa16_opening_twice_is_noticed() {
    let mut told = told(Until::Open);
    let (hash, body) = (told.hash, told.openings[0].clone());
    told.checker.opened(0, FIRST, hash, &body);
    told.violates("opened twice");
}

#[test]
fn sa16_two_opened_sets_are_noticed() {
    let mut told = told(Until::Open);
    let body = told.openings[0].clone();
    let other = Digest::from_bytes([1; 32]);
    told.checker.opened(3, FIRST, other, &body);
    let violations = told.finish();
    assert!(
        violations[0].contains("two survivor sets"),
        "{violations:?}"
    );
}

/// Whatever entry is not what SA-17 says, the dealer's digest does not come out.
#[test]
fn sa17_every_entry_is_checked() {
    let entries = told(Until::Input).openings[0].len() / WORD - 1;
    assert_eq!(entries, 12);
    for entry in 0..entries {
        let mut told = told(Until::Agree);
        let body = edit(&told.openings[0], |body: &mut OpenBody| {
            body.entries[entry * WORD + 7] ^= 1;
        });
        let hash = told.hash;
        told.checker.opened(0, FIRST, hash, &body);
        told.violates("did not open what is due");
    }
}

/// What was opened for three survivors is not what is due for four.
#[test]
fn sa17_shares_of_another_set_are_noticed() {
    let mut told = told(Until::Input);
    let everybody: Vec<_> = (0..4).map(PartyIndex::new).collect();
    let (hash, body) = (told.hash, told.openings[0].clone());
    told.checker.agreed(0, FIRST, hash, &everybody);
    told.checker.opened(0, FIRST, hash, &body);
    told.violates("did not open what is due");
}

#[test]
fn sa13_sa15_sa18_wrong_accusations_are_noticed() {
    let honest = PartyIndex::new(1);
    let refusals = [
        Fault::Pair(PartyIndex::new(0), honest),
        Fault::Peer(honest, PeerReason::Sharing),
        Fault::Peer(honest, PeerReason::Opened { dealer: honest }),
    ];
    for fault in refusals {
        let mut told = told(Until::Input);
        told.checker.coordinator_refused(&fault);
        told.violates("accuses wrongly");
    }
    let refusals = [
        Fault::Peer(honest, PeerReason::Dealt),
        CoordinatorReason::Bundle { dealer: honest }.into(),
        CoordinatorReason::Foreign.into(),
    ];
    for fault in refusals {
        let mut told = told(Until::Input);
        told.checker.party_refused(0, &fault);
        told.violates("accuses wrongly");
    }
}

/// SA-26: a set with enough parties, but not of each group.
#[test]
fn a_set_that_leaves_a_group_short_is_noticed() {
    let params = Parameters::new(4, 0, 1, None, None).unwrap();
    let mut config = MaskedSumConfig::new(1, params);
    let survivors = [0, 1, 2].map(PartyIndex::new);
    let violations = |config: &MaskedSumConfig| {
        let mut checker = Checker::new(config);
        checker.agreed(0, FIRST, Digest::from_bytes([0; WORD]), &survivors);
        checker.finish().0
    };
    assert_eq!(violations(&config), [""; 0]);
    let groups = Grouping::new(&params, &[0, 0, 1, 1], 2).unwrap();
    config.grouping = Some(Arc::new(groups));
    assert!(violations(&config)[0].contains("agreed to a bad set"));
}
