//! The corrupted twin: the same adversary with more colluders than parameters allow for does open two sums, and the checker says so. The parties
//! at fault are those that the interceptor plays: they sign two survivor sets.

use std::collections::BTreeSet;
use std::sync::Arc;

use lepton_secagg::{Grouping, Parameters};
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

/// Violations of a coordinator that splits views among twelve parties in two groups, the even and the odd.
fn among_groups(params: Parameters, floor: u16, colluders: [u16; 3]) -> Vec<String> {
    let of: Vec<u16> = (0..12).map(|party| party % 2).collect();
    let groups = Arc::new(Grouping::new(&params, &of, floor).unwrap());
    let run = |seed| {
        let mut config = MaskedSumConfig::new(seed, params);
        config.colluders = BTreeSet::from(colluders);
        config.honest_coordinator = false;
        config.rounds = 2;
        config.grouping = Some(Arc::clone(&groups));
        config.intercept = Some(Attack::SplitViews.adversary(seed));
        MaskedSumSim::new(config).unwrap().run().violations
    };
    (0..40).flat_map(run).collect()
}

/// All colluders in one group, or not: within bounds each group has one sum at most, of enough honest parties.
#[test]
fn sa26_colluders_within_bounds_open_one_sum_of_each_group() {
    let params = Parameters::new(12, 3, 1, None, None).unwrap();
    for colluders in [[1, 3, 5], [1, 3, 6], [0, 2, 4]] {
        assert_eq!(among_groups(params, 5, colluders), [""; 0], "{colluders:?}");
    }
}

/// The twins: as many colluders where parameters allow for none. In one group they hold its threshold; spread or not, they sign two sets.
#[test]
fn sa26_colluders_beyond_bounds_are_noticed_in_groups() {
    let params = Parameters::new(12, 0, 4, None, None).unwrap();
    let found = among_groups(params, 2, [1, 3, 5]);
    let group = "can compute the sum of {7}";
    assert!(found.iter().any(|v| v.contains(group)), "{found:?}");
    let params = Parameters::new(12, 1, 4, None, None).unwrap();
    let found = among_groups(params, 3, [1, 2, 5]);
    assert!(
        found.iter().any(|v| v.contains("two survivor sets")),
        "{found:?}"
    );
}
