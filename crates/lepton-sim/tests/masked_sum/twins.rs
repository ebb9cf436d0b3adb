//! The corrupted twin: the same adversary with more colluders than parameters allow for does open two sums, and the checker says so. The parties
//! at fault are those that the interceptor plays: they sign two survivor sets.

use std::collections::BTreeSet;

use lepton_secagg::Parameters;
use lepton_sim::masked_sum::{Attack, MaskedSumConfig, MaskedSumSim};

/// Violations of a coordinator that splits views among seven parties, with three colluders.
fn violations(params: Parameters) -> Vec<String> {
    let run = |seed| {
        let mut config = MaskedSumConfig::new(seed, params);
        config.colluders = BTreeSet::from([1, 3, 6]);
        config.honest_coordinator = false;
        config.rounds = 2;
        config.intercept = Some(Attack::SplitViews.adversary(seed));
        MaskedSumSim::new(config).unwrap().run().violations
    };
    (0..40).flat_map(run).collect()
}

#[test]
fn sa16_colluders_within_bounds_open_one_sum_at_most() {
    let params = Parameters::new(7, 3, 1, None, None).unwrap();
    assert_eq!(violations(params), [""; 0]);
}

#[test]
fn sa16_colluders_beyond_bounds_are_noticed() {
    let params = Parameters::new(7, 0, 3, None, None).unwrap();
    let found = violations(params);
    for what in [
        "two survivor sets",
        "can be combined",
        "can compute the sum",
    ] {
        assert!(found.iter().any(|v| v.contains(what)), "{what}: {found:?}");
    }
}

/// A threshold that colluders reach by themselves.
#[test]
fn sa17_colluders_that_hold_a_threshold_are_noticed() {
    let params = Parameters::new(7, 0, 0, Some(3), None).unwrap();
    let mut config = MaskedSumConfig::new(1, params);
    config.colluders = BTreeSet::from([1, 3, 6]);
    let outcome = MaskedSumSim::new(config).unwrap().run();
    assert!(outcome.violations[0].contains("can compute the sum"));
}
