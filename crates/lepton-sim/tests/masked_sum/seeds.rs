//! Many seeds: a round has the exact sum of its survivors or a cause, and nobody learns anything else. `examples/masked_sums.rs` runs more of them.

use std::collections::{BTreeMap, BTreeSet};

use lepton_sim::masked_sum::{Attack, Family, Scenario};

/// Runs the seeds; how often rounds ended how.
#[track_caller]
fn study(family: Family, seeds: u64) -> BTreeMap<String, u64> {
    let mut ends = BTreeMap::new();
    let mut attacks = BTreeSet::new();
    for seed in 0..seeds {
        let scenario = Scenario { family, seed };
        attacks.extend(scenario.attack());
        let outcome = scenario.run().unwrap_or_else(|what| panic!("{what}"));
        assert_eq!(outcome.frail, 0, "{scenario}: the graph promises nothing");
        for (end, count) in outcome.counts() {
            *ends.entry(end).or_default() += count;
        }
    }
    println!("{seeds} seeds, adversaries {attacks:?}: {ends:?}");
    if seeds >= 300 {
        assert_eq!(attacks.len(), Attack::ALL.len(), "{attacks:?}");
    }
    ends
}

#[test]
fn small_federations() {
    let ends = study(Family::Small, 300);
    assert!(ends["exact"] > 100, "{ends:?}");
    assert!(ends.len() >= 4, "aborts at each step: {ends:?}");
}

#[test]
fn sparse_federations() {
    let ends = study(Family::Sparse, 60);
    assert!(ends["exact"] > 20, "{ends:?}");
}

#[test]
fn a_thousand_parties() {
    let scenario = Scenario {
        family: Family::Thousand,
        seed: 0,
    };
    let params = scenario.config().unwrap().params;
    println!("{params:?}");
    assert!(params.security_bits().unwrap() >= 40.0, "SA-21: {params:?}");
    assert_eq!(study(Family::Thousand, 1)["exact"], 1);
}

#[test]
fn two_thousand_parties() {
    assert_eq!(study(Family::TwoThousand, 1)["exact"], 1);
}

#[test]
fn a_seed_is_a_reproduction() {
    let run = |family, seed| Scenario { family, seed }.run().unwrap();
    for (family, seed) in [(Family::Small, 3), (Family::Small, 8), (Family::Sparse, 2)] {
        let (one, two) = (run(family, seed), run(family, seed));
        assert_eq!(one.digest, two.digest);
        assert_eq!(one.rounds, two.rounds);
        assert_ne!(one.digest, run(Family::Small, 5).digest);
    }
}

#[test]
fn a_failure_can_be_run_again_by_one_line() {
    let scenario = Scenario {
        family: Family::TwoThousand,
        seed: 17,
    };
    let line = scenario.replay();
    assert!(line.ends_with("--example masked_sums -- two-thousand 17"));
    assert_eq!("two-thousand".parse(), Ok(Family::TwoThousand));
}
