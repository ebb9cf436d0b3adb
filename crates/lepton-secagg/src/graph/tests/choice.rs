//! What is chosen, and that nothing less would do.

use proptest::prelude::*;

use super::*;
use crate::Parameters;
use crate::graph::choose::{NoGraph, Numbers, Search, outward};
use crate::graph::tails::Marked;

const DOCUMENT: &str = include_str!("../../../../../docs/protocols/sparse-graph.md");

fn demand(parties: u16, colluders: u16, drops: u16) -> Demand {
    Demand {
        parties,
        colluders,
        drops,
        security: 40,
    }
}

fn bits(demand: Demand, numbers: Numbers) -> f64 {
    Search::new(demand).achieved(&numbers).0
}

fn chosen(demand: Demand) -> Numbers {
    let choice = choose(demand).unwrap();
    Numbers {
        cycles: choice.cycles,
        threshold: u16::from(choice.threshold),
        committee: choice.committee,
        quorum: choice.quorum,
    }
}

/// The document's table is what is chosen: rows of `n | c | d | k | t | x | L | Q | y`.
#[test]
fn sg11_the_documents_table() {
    let row = |line: &str| {
        let cells = line.trim_matches('|').split('|');
        let cells = cells.map(|cell| cell.trim().replace(',', "").parse::<u16>());
        cells
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .filter(|cells| cells.len() == 9)
    };
    let rows: Vec<_> = DOCUMENT.lines().filter_map(row).collect();
    assert_eq!(rows.len(), 12);
    for row in rows {
        let choice = choose(demand(row[0], row[1], row[2])).unwrap();
        let found = [
            2 * choice.cycles,
            u16::from(choice.threshold),
            choice.colluders_among_neighbours,
            choice.committee,
            choice.quorum,
            choice.colluders_in_committee,
        ];
        assert_eq!(found, row[3..], "for n, c, d = {:?}", &row[..3]);
        assert!((40.0..500.0).contains(&choice.security_bits));
    }
}

/// One cycle fewer fails the demand with every threshold that is live (the drops random).
#[test]
fn sg11_one_cycle_fewer_does_not_do() {
    for (n, c) in [(200, 2), (200, 20), (500, 25), (1000, 100), (10_000, 100)] {
        let demand = demand(n, c, c);
        let numbers = chosen(demand);
        assert!(bits(demand, numbers) >= 40.0);
        let cycles = numbers.cycles - 1;
        let others = u32::from(n) - 1;
        let surviving = Marked::after(cycles, others, others - u32::from(c));
        let stuck = |t: u16| outward(surviving.below(u32::from(t) - 1) * f64::from(n - c));
        for threshold in (2..=2 * cycles + 1).filter(|t| stuck(*t) <= (-21.0_f64).exp2()) {
            let fewer = Numbers {
                cycles,
                threshold,
                ..numbers
            };
            // Below 40 and the half bit by which the events' shares of the budget may be moved.
            assert!(bits(demand, fewer) < 40.5);
        }
    }
}

/// The corrupted twin of each inequality: a threshold or quorum one too low, or a committee too large for its quorum, fails the demand.
#[test]
fn sg11_every_number_counts() {
    let demand = demand(1000, 50, 50);
    let numbers = chosen(demand);
    let whole = bits(demand, numbers);
    let Numbers {
        threshold,
        committee,
        quorum,
        ..
    } = numbers;
    for weaker in [
        Numbers {
            threshold: threshold - 1,
            ..numbers
        },
        Numbers {
            quorum: quorum - 1,
            ..numbers
        },
        Numbers {
            committee: committee + 2,
            ..numbers
        },
    ] {
        assert!(bits(demand, weaker) < whole.min(40.0), "{weaker:?}");
    }
    // 2Q <= L: two quorums without any colluder.
    let split = Numbers {
        quorum: committee / 2,
        ..numbers
    };
    assert!(bits(demand, split) < 0.0);
    // More colluders or drops than demanded: less security.
    for (c, d) in [(51, 50), (50, 51), (100, 100)] {
        let more = Demand {
            colluders: c,
            drops: d,
            ..demand
        };
        assert!(bits(more, numbers) < whole);
    }
}

#[test]
fn sg04_security_is_of_the_whole_job() {
    let weak = demand(1000, 50, 50);
    let strong = Demand {
        security: 80,
        ..weak
    };
    let (weak, strong) = (choose(weak).unwrap(), choose(strong).unwrap());
    assert!(strong.cycles > weak.cycles && strong.committee > weak.committee);
    assert!(strong.security_bits >= 80.0);
    // What is reported for parameters is the same number.
    let parameters = Parameters::sparse(1000, 50, 50).unwrap();
    assert!((security_of(&parameters) - weak.security_bits).abs() < 1e-9);
    assert!(security_of(&Parameters::new(9, 2, 2, None, None).unwrap()).is_infinite());
}

/// Parameters that mean nothing have no security, and no panic.
#[test]
fn sg04_hopeless_numbers() {
    for (n, c, d, k) in [
        (60, 2, 12, 8),
        (60, 60, 0, 8),
        (60, 0, 59, 8),
        (60, 70, 20, 2),
        (12, 6, 6, 8),
    ] {
        let parameters = Parameters::insecure_sparse(n, c, d, k).unwrap();
        assert!(security_of(&parameters) < 40.0);
    }
    let zero = Numbers {
        cycles: 0,
        threshold: 0,
        committee: 0,
        quorum: 0,
    };
    assert!(bits(demand(9, 1, 1), zero) < 0.0);
}

#[test]
fn sg11_refusals_name_what_fails_and_what_is_near() {
    assert_eq!(choose(demand(2, 0, 0)), Err(NoGraph::Parties(2)));
    assert!(matches!(
        choose(demand(10, 5, 4)),
        Err(NoGraph::Alone { nearest: 8, .. })
    ));
    for (n, c, d) in [(200, 80, 80), (500, 150, 150), (1000, 300, 300)] {
        let error = choose(demand(n, c, d)).unwrap_err();
        let (NoGraph::Committee(nearest) | NoGraph::Neighbours(nearest)) = error else {
            panic!("{error}");
        };
        let (fewer, shorter) = (nearest.colluders.unwrap(), nearest.drops.unwrap());
        assert!(choose(demand(n, fewer, d)).is_ok() && choose(demand(n, c, shorter)).is_ok());
        assert!(
            choose(demand(n, fewer + 1, d)).is_err() && choose(demand(n, c, shorter + 1)).is_err()
        );
        assert!(error.to_string().ends_with(&format!(
            "choose colluders <= {fewer} or drops <= {shorter}"
        )));
    }
    // Not even without colluders.
    let drops = choose(demand(100, 10, 80)).unwrap_err().to_string();
    assert!(
        drops.contains("choose drops <= ") && !drops.contains("colluders <="),
        "{drops}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// SG-03's inequalities, and SG-13's: the threshold is above what colluders hold.
    #[test]
    fn sg11_sg13_whatever_is_chosen_is_safe(parties in 3_u16..2000, colluders in 0_u16..200, drops in 0_u16..200, security in 20_u32..100) {
        let demand = Demand { parties, colluders, drops, security };
        if let Ok(choice) = choose(demand) {
            prop_assert!(choice.security_bits >= f64::from(security));
            prop_assert!(u16::from(choice.threshold) > choice.colluders_among_neighbours);
            prop_assert!(2 * choice.quorum > choice.committee + choice.colluders_in_committee);
            prop_assert!(choice.quorum <= choice.committee && choice.committee <= parties);
            prop_assert!(2 * choice.cycles < parties && choice.cycles <= 127);
            prop_assert!(u16::from(choice.threshold) <= 2 * choice.cycles + 1);
        }
    }
}
