//! Exact tails against enumeration and against exact fractions.

use super::*;
use crate::graph::tails::{LogFactorials, Marked, Sample};

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 + 1e-9 * b.abs()
}

/// All committees of up to nine parties, as bit sets: the marked parties are the first ones.
#[test]
fn sg06_committee_tails_by_enumeration() {
    for (parties, marked) in [(5, 2), (8, 3), (9, 6), (9, 9), (9, 0)] {
        let factorials = LogFactorials::new(parties);
        for size in 1..=parties {
            let sets = || (0_u32..1 << parties).filter(|set| set.count_ones() == size);
            for x in 0..=size {
                let of_marked = |set: &u32| (set & ((1 << marked) - 1)).count_ones() > x;
                let truth = sets().filter(of_marked).count() as f64 / sets().count() as f64;
                let sample = Sample {
                    parties,
                    marked,
                    size,
                };
                let tail = sample.above(&factorials, x);
                let below_mean = (x + 1) * parties <= marked * size;
                assert!(close(tail, truth) || (below_mean && tail >= truth));
            }
        }
    }
}

/// Exact rational arithmetic (Python's `fractions`).
#[test]
fn sg06_large_committee_tails() {
    for (parties, marked, size, x, log) in [
        (10_000, 1_000, 100, 45, -65.967_956_960_363_68),
        (1_000, 100, 85, 38, -64.165_563_277_928_97),
        (65_535, 13_107, 421, 168, -68.904_212_126_894_98),
        (200, 20, 51, 19, -44.242_414_800_094_52),
    ] {
        let sample = Sample {
            parties,
            marked,
            size,
        };
        let tail = sample.above(&LogFactorials::new(parties), x);
        assert!(close(tail.log2(), log), "{} {log}", tail.log2());
        // A tail that begins one later is another number: the comparison is sharp.
        assert!(!close(
            sample.above(&LogFactorials::new(parties), x + 1).log2(),
            log
        ));
    }
}

#[test]
fn a_tail_below_the_mean_is_never_too_small() {
    let sample = Sample {
        parties: 60_000,
        marked: 30_000,
        size: 40_000,
    };
    let factorials = LogFactorials::new(60_000);
    assert!(close(sample.above(&factorials, 10), 1.0));
    assert!((0.4..=1.0).contains(&sample.above(&factorials, 20_000)));
    assert!(sample.above(&factorials, 21_000) < 1e-10);
}

/// The number of distinct marked neighbours, over all graphs of two and three cycles: both the law of a party's pair of neighbours in a cycle
/// and the collapse of repeated edges.
#[test]
fn sg05_marked_neighbours_by_enumeration() {
    for (n, cycles) in [(5, 1), (5, 2), (5, 3), (6, 2)] {
        let graphs = all_graphs(n, cycles);
        for marked in 0..u32::from(n) {
            let law = Marked::after(cycles, u32::from(n) - 1, marked);
            // Position 0 looks at the last positions.
            let mask = ((1_u16 << marked) - 1) << (u32::from(n) - marked);
            for x in 0..=marked {
                let count = |graph: &[u16]| (graph[0] & mask).count_ones();
                assert!(close(law.above(x), share(&graphs, |g| count(g) > x)));
                assert!(close(law.below(x), share(&graphs, |g| count(g) < x)));
            }
        }
    }
}

/// Exact rational arithmetic on the same chain (Python's `fractions`).
#[test]
fn sg05_large_tails() {
    for (others, marked, cycles, x, log) in [
        (9_999, 1_000, 41, 44, -78.356_539_327_165_41),
        (999, 100, 33, 35, -71.283_418_291_364_87),
    ] {
        let tail = Marked::after(cycles, others, marked).above(x);
        assert!(close(tail.log2(), log), "{} {log}", tail.log2());
    }
}

/// The corrupted twin of the union over parties: one party's tail is less than the chance that any party has too many.
#[test]
fn sg05_one_party_is_not_all_parties() {
    let graphs = all_graphs(6, 2);
    // Colluders 4 and 5, honest 0 to 3.
    let hit = |graph: &[u16], i: usize| (graph[i] & 0b11_0000) == 0b11_0000;
    let any = share(&graphs, |graph| (0..4).any(|i| hit(graph, i)));
    let one = Marked::after(2, 5, 2).above(1);
    assert!(one < any && any <= 4.0 * one);
}

#[test]
fn sg12_factorials() {
    let factorials = LogFactorials::new(65_535);
    let exact = |i: u32| (1..=i).map(|i| f64::from(i).log2()).sum::<f64>();
    for i in [0, 1, 2, 3, 10, 100] {
        assert!((factorials.of(i) - exact(i)).abs() < 1e-9);
    }
    // log2(65535!) by Stirling's series with two corrections, its error below 1e-20.
    let n = 65_535.0_f64;
    let stirling = n * n.ln() - n + (2.0 * std::f64::consts::PI * n).ln() / 2.0 + 1.0 / (12.0 * n);
    let log = stirling / std::f64::consts::LN_2;
    assert!((factorials.of(65_535) - log).abs() < 1e-8);
    assert!(factorials.subsets(3, 4).is_infinite());
    assert!((factorials.subsets(52, 5).exp2() - 2_598_960.0).abs() < 1e-3);
}
