//! Dealing, floors and rules, without a job.

use lepton_secagg::Parameters;
use proptest::prelude::*;

use super::{GroupShort, Groups, Rule, Undealt};

const MEDIAN: Rule = Rule::Median;

fn dealt(parameters: &Parameters, count: u16) -> Groups {
    Groups::deal(&[7; 32], parameters, count, MEDIAN).unwrap()
}

/// FT-17: a known answer, computed from the words of the rule by another program (SHA-256 of Python's hashlib).
#[test]
fn ft_17_dealing_has_a_known_answer() {
    let parameters = Parameters::new(11, 1, 1, None, None).unwrap();
    let groups = dealt(&parameters, 3);
    let found: Vec<u16> = (0..11).filter_map(|party| groups.of(party)).collect();
    assert_eq!(found, [2, 2, 2, 0, 1, 0, 1, 1, 0, 0, 1]);
    assert_eq!(groups.sizes(), [4, 4, 3]);
    assert_eq!((groups.floor(), groups.largest()), (3, 4));
    assert_eq!(groups.of(11), None);
    let other = Groups::deal(&[8; 32], &parameters, 3, MEDIAN).unwrap();
    assert_ne!(other, groups, "another job is another dealing");
}

#[test]
fn ft_18_a_short_group_is_named() {
    let parameters = Parameters::new(12, 1, 3, None, None).unwrap();
    let groups = dealt(&parameters, 3);
    let of_two: Vec<u16> = (0..12)
        .filter(|party| groups.of(*party) == Some(2))
        .collect();
    let without = |gone: &[u16]| -> Vec<u16> { (0..12).filter(|p| !gone.contains(p)).collect() };
    assert_eq!(groups.floor(), 3);
    assert_eq!(groups.check(without(&of_two[..1]).into_iter()), Ok(()));
    let short = groups.check(without(&of_two[..2]).into_iter()).unwrap_err();
    let expected = GroupShort {
        group: 2,
        left: 2,
        floor: 3,
    };
    assert_eq!(short, expected);
}

/// A median, whatever the number of groups, and a trimmed mean by hand.
#[test]
fn ft_19_rules_by_hand() {
    let means = |values: &[f64]| values.iter().map(|v| vec![*v, -v]).collect::<Vec<_>>();
    let five = means(&[1.0, 100.0, 2.0, -7.0, 3.0]);
    assert_eq!(MEDIAN.combine(&five), [2.0, -2.0]);
    assert_eq!(MEDIAN.combine(&means(&[4.0, 1.0, 2.0, 9.0])), [3.0, -3.0]);
    assert_eq!(Rule::TrimmedMean { trim: 1 }.combine(&five), [2.0, -2.0]);
    let six = means(&[1.0, 2.0, 3.0, 8.0, -50.0, 50.0]);
    assert_eq!(Rule::TrimmedMean { trim: 1 }.combine(&six), [3.5, -3.5]);
    assert_eq!(Rule::TrimmedMean { trim: 2 }.combine(&six), [2.5, -2.5]);
    assert_eq!(MEDIAN.tolerates(5), 2);
    assert_eq!(MEDIAN.tolerates(6), 2);
    assert_eq!(Rule::TrimmedMean { trim: 1 }.tolerates(9), 1);
}

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        Just(MEDIAN),
        (1_u16..5).prop_map(|trim| Rule::TrimmedMean { trim })
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// FT-17, FT-18: balanced, complete, the same again; every group can lose what the floor allows, and colluders never leave fewer than two others.
    #[test]
    fn ft_18_groups_are_large_enough_or_refused(n in 3_u16..200, c in 0_u16..6, d in 0_u16..20, count in 3_u16..40, job in any::<[u8; 32]>()) {
        let Ok(parameters) = Parameters::new(n, c, d, None, None) else { return Ok(()); };
        match Groups::deal(&job, &parameters, count, MEDIAN) {
            Ok(groups) => {
                prop_assert_eq!(groups.sizes().iter().sum::<u16>(), n);
                prop_assert!(groups.sizes().iter().all(|size| *size == n / count || *size == n / count + 1));
                for (group, size) in (0..).zip(groups.sizes()) {
                    let members = (0..n).filter(|party| groups.of(*party) == Some(group));
                    prop_assert_eq!(members.count(), usize::from(*size));
                }
                prop_assert!(groups.floor() >= c + 2 && groups.floor() <= n / count);
                prop_assert!(groups.check(0..n).is_ok());
                prop_assert_eq!(Groups::deal(&job, &parameters, count, MEDIAN), Ok(groups));
            }
            Err(Undealt::Sums(error)) => prop_assert!(false, "{error}"),
            Err(Undealt::TooSmall { most_groups, .. }) => {
                prop_assert!(n / count < c + 2);
                prop_assert!(most_groups < count);
                let most = most_groups;
                prop_assert!(most == 0 || Groups::deal(&job, &parameters, most, MEDIAN).is_ok());
                prop_assert!(Groups::deal(&job, &parameters, most + 1, MEDIAN).is_err());
            }
        }
    }

    /// FT-18: exactly the survivor sets with enough of every group are agreed to.
    #[test]
    fn ft_18_survivors_are_counted_by_group(alive in prop::collection::vec(any::<bool>(), 15), d in 0_u16..7) {
        let parameters = Parameters::new(15, 1, d, None, None).unwrap();
        let groups = dealt(&parameters, 3);
        let survivors: Vec<u16> = (0..15).filter(|party| alive[usize::from(*party)]).collect();
        let enough = (0..3).all(|group| {
            let left = survivors.iter().filter(|party| groups.of(**party) == Some(group));
            left.count() >= usize::from(groups.floor())
        });
        prop_assert_eq!(groups.check(survivors.into_iter()).is_ok(), enough);
    }

    /// FT-19: as many groups as the rule tolerates may say anything; every number stays between the lowest and the highest of the others. The mean does not.
    #[test]
    fn ft_19_bad_groups_do_not_leave_the_range_of_the_others(
        rule in rule(),
        good in prop::collection::vec(prop::collection::vec(-5.0_f64..5.0, 3), 9),
        bad in prop::collection::vec(prop::collection::vec(prop_oneof![Just(1e30), Just(-1e30), -10.0_f64..10.0], 3), 4),
        order in any::<u64>(),
    ) {
        let groups = 9;
        let tolerated = rule.tolerates(groups);
        let mut means: Vec<Vec<f64>> = good[..groups - tolerated].to_vec();
        means.extend_from_slice(&bad[..tolerated]);
        means.rotate_left(usize::try_from(order % 9).unwrap());
        let combined = rule.combine(&means);
        for (at, value) in combined.iter().enumerate() {
            let honest = || good[..groups - tolerated].iter().map(|mean| mean[at]);
            let (low, high) = (honest().fold(f64::INFINITY, f64::min), honest().fold(f64::NEG_INFINITY, f64::max));
            prop_assert!((low - 1e-12..=high + 1e-12).contains(value), "{value} not in {low}..{high}");
            let plain = means.iter().map(|mean| mean[at]).sum::<f64>() / 9.0;
            let huge = bad[..tolerated].iter().map(|mean| mean[at]).sum::<f64>().abs() > 1e29;
            prop_assert!(!huge || !(low..=high).contains(&plain), "the corrupted twin: the plain mean is ruined");
        }
        means.reverse();
        prop_assert_eq!(combined, rule.combine(&means));
    }

    /// FT-19: where the groups lie symmetrically, every rule gives their mean.
    #[test]
    fn ft_19_symmetric_groups_give_the_mean(rule in rule(), centre in -5.0_f64..5.0, offsets in prop::collection::vec(0.0_f64..3.0, 4)) {
        let mut means = vec![vec![centre]];
        means.extend(offsets.iter().flat_map(|offset| [vec![centre + offset], vec![centre - offset]]));
        let combined = rule.combine(&means);
        prop_assert!((combined[0] - centre).abs() < 1e-12);
    }
}
