//! One adversary at a time: nothing wrong is opened, and the rules name whom they promise to name.

use std::collections::BTreeSet;

use lepton_secagg::{CoordinatorReason, Fault, Parameters, PeerReason};
use lepton_sim::masked_sum::{
    Attack, MaskedSumConfig, MaskedSumOutcome, MaskedSumSim, Parcel, Passing, SetUp, Side,
};

const SEEDS: u64 = 12;

fn config(seed: u64) -> MaskedSumConfig {
    let params = Parameters::new(9, 2, 2, None, None).unwrap();
    let mut config = MaskedSumConfig::new(seed, params);
    config.colluders = BTreeSet::from([3, 7]);
    (config.rounds, config.attempts, config.set_up) = (3, 2, SetUp::Each);
    config
}

/// All runs of an adversary.
fn under(attack: Attack) -> Vec<MaskedSumOutcome> {
    let run = |seed| {
        let mut config = config(seed);
        config.honest_coordinator = attack.side() == Side::Colluders;
        config.intercept = Some(attack.adversary(seed));
        let outcome = MaskedSumSim::new(config).unwrap().run();
        assert_eq!(outcome.violations, [""; 0], "{attack:?} seed {seed}");
        outcome
    };
    (0..SEEDS).map(run).collect()
}

fn some_refusal(outcomes: &[MaskedSumOutcome], wanted: impl Fn(&Fault) -> bool) -> bool {
    let by_parties = outcomes.iter().flat_map(|o| &o.party_faults);
    let by_coordinator = outcomes.iter().flat_map(|o| &o.refused);
    let ends = outcomes.iter().flat_map(|o| &o.rounds);
    let ends = ends.flat_map(|round| &round.attempts);
    by_parties.map(|f| &f.fault).any(&wanted)
        || by_coordinator.map(|(_, fault)| fault).any(&wanted)
        || ends.clone().any(|end| match end {
            lepton_sim::masked_sum::AttemptEnd::Aborted(fault) => wanted(fault),
            lepton_sim::masked_sum::AttemptEnd::Exact(_) => false,
        })
}

/// Each refuses what it should, as the checker found no violation in any of them.
#[test]
fn every_adversary_is_noticed_for_what_it_does() {
    use CoordinatorReason as C;
    for attack in Attack::ALL {
        let outcomes = under(attack);
        let noticed = some_refusal(&outcomes, |fault| match (attack, fault) {
            (Attack::SplitViews, Fault::Coordinator(C::Signature { .. }))
            | (Attack::SplitViews | Attack::Dropped, Fault::TooFew { .. })
            | (Attack::SwappedBundles, Fault::Coordinator(C::Bundle { .. }))
            | (
                Attack::MixedPurposes | Attack::Replayed | Attack::CrossEpoch,
                Fault::Peer(_, PeerReason::Foreign),
            )
            | (Attack::SwappedAdverts | Attack::WithheldReveals, _)
            | (
                Attack::ForgedSurvivors | Attack::BitFlips | Attack::WrongLengths,
                Fault::Coordinator(_),
            )
            | (
                Attack::ForgedQuorum,
                Fault::Coordinator(C::Signature { .. } | C::Signer { .. } | C::BelowQuorum { .. }),
            ) => true,
            (Attack::AlteredOpenings, Fault::Peer(party, PeerReason::Opened { .. }))
            | (Attack::BadSignatures, Fault::Peer(party, _)) => [3, 7].contains(&party.get()),
            (
                Attack::CrookedDealing,
                Fault::Peer(party, PeerReason::Dealt | PeerReason::Sharing),
            ) => [3, 7].contains(&party.get()),
            (Attack::AlteredDealing, Fault::Pair(a, b)) => {
                [a, b].iter().any(|party| [3, 7].contains(&party.get()))
            }
            _ => false,
        });
        assert!(noticed, "{attack:?} was never noticed");
    }
}

/// SA-15, SA-18: adversaries beside an honest coordinator cannot have anybody else accused (the checker looks), and two of them cannot stop what
/// the parameters tolerate by opening or signing wrongly.
#[test]
fn sa18_wrong_openings_and_signatures_cost_no_round() {
    for attack in [Attack::AlteredOpenings, Attack::BadSignatures] {
        for outcome in under(attack) {
            assert!(outcome.all_exact(), "{attack:?} seed {}", outcome.seed);
        }
    }
}

/// SA-13, SA-18: shares other than committed convict their dealer, at a party or at the coordinator, in bundles that open; no bundle that somebody else
/// alters does.
#[test]
fn sa13_sa18_who_deals_wrongly_is_convicted() {
    let by = |attack, reason| {
        let outcomes = under(attack);
        some_refusal(&outcomes, |fault| match fault {
            Fault::Peer(party, found) => *found == reason && [3, 7].contains(&party.get()),
            _ => false,
        })
    };
    for reason in [PeerReason::Dealt, PeerReason::Sharing] {
        assert!(by(Attack::CrookedDealing, reason), "{reason:?}");
        for attack in [Attack::AlteredDealing, Attack::SwappedBundles] {
            assert!(!by(attack, reason), "{attack:?} {reason:?}");
        }
    }
}

/// A closure is an interceptor.
#[test]
fn sa16_without_signatures_nothing_is_opened() {
    let mut config = config(5);
    config.honest_coordinator = false;
    config.intercept = Some(Box::new(|message: &Passing<'_>| -> Vec<Parcel> {
        match message.kind {
            lepton_sim::masked_sum::Kind::Bundle => Vec::new(),
            _ => vec![message.pass()],
        }
    }));
    let outcome = MaskedSumSim::new(config).unwrap().run();
    assert_eq!(outcome.violations, [""; 0]);
    assert!(outcome.rounds.iter().all(|round| !round.is_exact()));
}
