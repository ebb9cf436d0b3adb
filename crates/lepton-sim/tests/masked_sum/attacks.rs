//! One adversary at a time: nothing wrong is opened, and the rules name whom they promise to name.

use std::collections::BTreeSet;
use std::sync::Arc;

use lepton_secagg::{CoordinatorReason, Fault, Grouping, Parameters, PartyIndex, PeerReason, Step};
use lepton_sim::masked_sum::{
    Attack, AttemptEnd, Kind, MaskedSumConfig, MaskedSumOutcome, MaskedSumSim, Parcel, PartyFault,
    Passing, SetUp, Side,
};

const SEEDS: u64 = 12;

fn config(seed: u64) -> MaskedSumConfig {
    let params = Parameters::new(9, 2, 2, None, None).unwrap();
    let mut config = MaskedSumConfig::new(seed, params);
    config.colluders = BTreeSet::from([3, 7]);
    (config.rounds, config.attempts, config.set_up) = (3, 2, SetUp::Each);
    config
}

/// Twelve parties in two groups of six that may lose two each, with both colluders in the first.
fn grouped(seed: u64) -> MaskedSumConfig {
    let params = Parameters::new(12, 2, 3, None, None).unwrap();
    let of = [0, 1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 0];
    let mut config = config(seed);
    config.params = params;
    config.grouping = Some(Arc::new(Grouping::new(&params, &of, 4).unwrap()));
    config
}

/// What the reveals of a set-up are for: a graph that leaves most parties without an agreement with each other.
fn sparse(seed: u64) -> MaskedSumConfig {
    let params = Parameters::insecure_sparse(60, 2, 6, 8).unwrap();
    let mut config = MaskedSumConfig::new(seed, params);
    config.colluders = BTreeSet::from([3, 7]);
    config.set_up = SetUp::Each;
    config
}

/// Runs an adversary: nothing wrong is opened.
fn attacked(attack: Attack, mut config: MaskedSumConfig) -> MaskedSumOutcome {
    let seed = config.seed;
    config.honest_coordinator = attack.side() == Side::Colluders;
    config.intercept = Some(attack.adversary(seed));
    let outcome = MaskedSumSim::new(config).unwrap().run();
    assert_eq!(outcome.violations, [""; 0], "{attack:?} seed {seed}");
    outcome
}

/// All runs of an adversary.
fn under(attack: Attack) -> Vec<MaskedSumOutcome> {
    let config = match attack {
        Attack::WithheldReveals => sparse,
        _ => config,
    };
    (0..SEEDS)
        .map(|seed| attacked(attack, config(seed)))
        .collect()
}

fn some_refusal(outcomes: &[MaskedSumOutcome], wanted: impl Fn(&Fault) -> bool) -> bool {
    let by_parties = outcomes.iter().flat_map(|o| &o.party_faults);
    let by_coordinator = outcomes.iter().flat_map(|o| &o.refused);
    let ends = outcomes.iter().flat_map(|o| &o.rounds);
    let mut ends = ends.flat_map(|round| &round.attempts);
    by_parties.map(|f| &f.fault).any(&wanted)
        || by_coordinator.map(|(_, fault)| fault).any(&wanted)
        || ends.any(|end| match end {
            AttemptEnd::Aborted(fault) => wanted(fault),
            AttemptEnd::Exact(_) => false,
        })
}

/// Whether a fault is what this adversary, and no other trouble, brings about.
fn tells(attack: Attack, fault: &Fault) -> bool {
    use CoordinatorReason as C;
    use PeerReason as P;
    let colluder = |party: &PartyIndex| [3, 7].contains(&party.get());
    match (attack, fault) {
        (Attack::SplitViews, Fault::Coordinator(C::Signature { .. }))
        | (Attack::SplitViews | Attack::Dropped, Fault::TooFew { .. })
        | (
            Attack::WithheldReveals,
            Fault::TooFew {
                step: Step::Setup, ..
            },
        )
        | (Attack::SwappedBundles, Fault::Coordinator(C::Bundle { .. }))
        | (
            Attack::MixedPurposes | Attack::Replayed | Attack::CrossEpoch,
            Fault::Peer(_, P::Foreign),
        )
        | (Attack::SwappedAdverts, Fault::Coordinator(C::OwnKey))
        | (
            Attack::SwappedAdverts,
            Fault::Peer(_, P::Foreign | P::Signature | P::Key | P::Duplicate),
        )
        | (
            Attack::ForgedSurvivors,
            Fault::Coordinator(
                C::Survivors | C::BelowFloor { .. } | C::OwnInput | C::Stranded { .. },
            ),
        )
        | (
            Attack::ForgedQuorum,
            Fault::Coordinator(C::Signature { .. } | C::Signer { .. } | C::BelowQuorum { .. }),
        )
        | (
            Attack::BitFlips,
            Fault::Peer(_, P::Malformed | P::Signature | P::Opened { .. })
            | Fault::Coordinator(C::Malformed | C::Bundle { .. } | C::Signature { .. }),
        )
        | (
            Attack::WrongLengths,
            Fault::Peer(_, P::Malformed | P::Length(_) | P::Proof)
            | Fault::Coordinator(C::Malformed),
        ) => true,
        (Attack::AlteredOpenings, Fault::Peer(party, P::Opened { .. }))
        | (Attack::BadSignatures, Fault::Peer(party, _))
        | (Attack::CrookedDealing, Fault::Peer(party, P::Dealt | P::Sharing)) => colluder(party),
        (Attack::AlteredDealing, Fault::Pair(a, b)) => colluder(a) || colluder(b),
        _ => false,
    }
}

/// Each is refused for what it does, as the checker found no violation in any of them.
#[test]
fn every_adversary_is_noticed_for_what_it_does() {
    for attack in Attack::ALL {
        let outcomes = under(attack);
        assert!(
            some_refusal(&outcomes, |fault| tells(attack, fault)),
            "{attack:?} was never noticed"
        );
    }
}

/// Bits and lengths: each place that checks them is reached.
#[test]
fn sa10_bits_and_lengths_are_checked_everywhere() {
    use CoordinatorReason as C;
    use PeerReason as P;
    let lengths = under(Attack::WrongLengths);
    let flips = under(Attack::BitFlips);
    let of = |outcomes, wanted: fn(&Fault) -> bool| some_refusal(outcomes, wanted);
    assert!(of(&lengths, |f| matches!(f, Fault::Peer(_, P::Length(_)))));
    assert!(of(&lengths, |f| matches!(f, Fault::Peer(_, P::Proof))));
    assert!(of(&lengths, |f| matches!(f, Fault::Peer(_, P::Malformed))));
    assert!(of(&lengths, |f| matches!(
        f,
        Fault::Coordinator(C::Malformed)
    )));
    assert!(of(&flips, |f| matches!(f, Fault::Peer(_, P::Signature))));
    assert!(of(&flips, |f| matches!(f, Fault::Peer(_, P::Foreign))));
    assert!(of(&flips, |f| matches!(
        f,
        Fault::Coordinator(C::Signature { .. })
    )));
}

/// SA-22: who lacks a reveal finishes no set-up, and nobody else is accused of it.
#[test]
fn sa22_withheld_reveals_end_the_set_up_of_who_lacks_them() {
    let mut withheld = 0;
    for seed in 0..4 {
        let mut config = sparse(seed);
        config.honest_coordinator = false;
        let mut thief = Attack::WithheldReveals.adversary(seed);
        config.intercept = Some(Box::new(move |message: &Passing<'_>| match message.kind {
            Kind::Reveal => thief.on_message(message),
            _ => vec![message.pass()],
        }));
        let outcome = MaskedSumSim::new(config).unwrap().run();
        assert_eq!(outcome.violations, [""; 0], "seed {seed}");
        let set_up = |fault: &&PartyFault| {
            matches!(
                fault.fault,
                Fault::TooFew {
                    step: Step::Setup,
                    have,
                    need: 60
                } if have < 60
            )
        };
        withheld += outcome.party_faults.iter().filter(set_up).count();
    }
    assert!(withheld > 0);
}

/// SA-25 to SA-28: the same adversaries against sums by group.
#[test]
fn sa28_no_adversary_opens_more_than_the_groups_sums() {
    let mut exact = 0;
    for attack in Attack::ALL {
        let runs = (0..8).map(|seed| attacked(attack, grouped(seed)));
        let outcomes: Vec<_> = runs.collect();
        // A complete graph has no reveals.
        assert!(
            attack == Attack::WithheldReveals
                || some_refusal(&outcomes, |fault| tells(attack, fault)),
            "{attack:?} was never noticed"
        );
        let rounds = outcomes.iter().flat_map(|outcome| &outcome.rounds);
        exact += rounds.filter(|round| round.is_exact()).count();
    }
    assert!(exact > 100, "sums come about: {exact}");
}

/// SA-21: parameters that are proven, under all adversaries.
#[test]
fn sa21_secure_sparse_parameters_stand_every_adversary() {
    let params = Parameters::sparse(200, 2, 2).unwrap();
    let mut exact = 0;
    for (seed, attack) in (0..).zip(Attack::ALL.into_iter().cycle().take(2 * Attack::ALL.len())) {
        let mut config = MaskedSumConfig::new(seed, params);
        config.colluders = BTreeSet::from([3, 7]);
        if attack.needs_set_up() {
            config.set_up = SetUp::Each;
        }
        let outcome = attacked(attack, config);
        assert_eq!(outcome.frail, 0, "{attack:?} seed {seed}");
        exact += u64::from(outcome.all_exact());
    }
    assert!(exact > 3, "sums come about: {exact}");
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
            Kind::Bundle => Vec::new(),
            _ => vec![message.pass()],
        }
    }));
    let outcome = MaskedSumSim::new(config).unwrap().run();
    assert_eq!(outcome.violations, [""; 0]);
    assert!(outcome.rounds.iter().all(|round| !round.is_exact()));
}
