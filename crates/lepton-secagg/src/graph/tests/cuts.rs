//! The bounds on cuts against complete enumeration of small graphs, and against drawn graphs.

use super::*;
use crate::graph::bounds::{Cuts, Sides, inside};

/// The positions `from..to` as bits.
fn range(from: u32, to: u32) -> u16 {
    ((1 << to) - 1) & !((1 << from) - 1)
}

fn members(set: u16) -> impl Iterator<Item = usize> {
    (0..16).filter(move |i| set >> i & 1 == 1)
}

fn touches(graph: &[u16], a: u16, b: u16) -> bool {
    members(a).any(|i| graph[i] & b != 0)
}

fn least_degree(graph: &[u16], set: u16) -> u32 {
    let degrees = members(set).map(|i| (graph[i] & set).count_ones());
    degrees.min().unwrap_or_default()
}

fn component(graph: &[u16], set: u16) -> u16 {
    let mut found = set & set.wrapping_neg();
    loop {
        let next = members(found).fold(found, |all, i| all | graph[i]) & set;
        if next == found {
            return found;
        }
        found = next;
    }
}

/// The bad event itself (SG-07): some survivor set whose honest members fall apart although each has `degree` of them beside it.
fn falls_apart(graph: &[u16], colluders: u32, drops: u32, degree: u32) -> bool {
    let n = u32::try_from(graph.len()).unwrap();
    let honest = range(0, n - colluders);
    let least = n - colluders - drops;
    let sets = (1..=honest).filter(|set| set & !honest == 0 && set.count_ones() >= least);
    let mut bad =
        sets.filter(|set| least_degree(graph, *set) >= degree && component(graph, *set) != *set);
    bad.next().is_some()
}

#[test]
fn sg09_sets_apart_in_a_cycle_exactly() {
    for n in [4_u8, 5, 6, 7] {
        let cycles = all_graphs(n, 1);
        let n = u32::from(n);
        let cuts = Cuts::new(n, 0, 0);
        for (a, b) in (1..n).flat_map(|a| (1..=n - a).map(move |b| (a, b))) {
            let truth = share(&cycles, |g| !touches(g, range(0, a), range(a, a + b)));
            assert!(
                (cuts.separated(a, b).exp2() - truth).abs() < 1e-9,
                "{n} {a} {b}"
            );
        }
    }
}

/// Runs are summed in steps when there are many: never below the exact sum, and close to it.
#[test]
fn sg09_sums_in_steps_round_up() {
    for (n, a, b) in [
        (1_000, 200, 600),
        (2_000, 600, 700),
        (3_000, 900, 500),
        (300, 100, 60),
    ] {
        let cuts = Cuts::new(n, 0, 0);
        let f = cuts.factorials();
        let others = n - a - b;
        let exact = (1..=a.min(others - 1)).map(|runs| {
            let of_a = f.subsets(others, runs) + f.of(a) + f.subsets(a - 1, runs - 1);
            let of_b = f.of(b) + f.subsets(b + others - runs - 1, b);
            f.of(others - 1) + of_a + of_b - f.of(n - 1)
        });
        let exact: Vec<_> = exact.collect();
        let top = exact.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exact = top
            + exact
                .iter()
                .map(|log| (log - top).exp2())
                .sum::<f64>()
                .log2();
        let bound = cuts.separated(a, b);
        assert!(
            (exact - 1e-9..exact + 0.2).contains(&bound),
            "{exact} {bound}"
        );
        // The simpler one-sided bound (1 - b/(n-1))^a is never smaller.
        let one_sided = f64::from(a) * (1.0 - f64::from(b) / f64::from(n - 1)).log2();
        assert!(bound <= one_sided);
    }
}

#[test]
fn sg08_degrees_inside_a_set_by_enumeration() {
    let (mut sharp, mut halved) = (0, 0);
    for (n, cycles) in [(5_u8, 2_u16), (6, 1), (6, 2), (7, 1), (5, 3)] {
        let graphs = all_graphs(n, cycles);
        let n = u32::from(n);
        for (a, degree) in (1..n).flat_map(|a| (1..=a).map(move |h| (a, h))) {
            let truth = share(&graphs, |g| least_degree(g, range(0, a)) >= degree);
            let bound = inside(n, a, Sides { cycles, degree }).exp2();
            assert!(
                truth <= bound + 1e-12,
                "{n} {cycles} {a} {degree}: {truth} {bound}"
            );
            sharp += u32::from(bound < 1.0 && truth > 0.0);
            // The corrupted twin: a succession inside counted for one of its ends only.
            let wrong = inside(
                n,
                a,
                Sides {
                    cycles,
                    degree: 2 * degree,
                },
            )
            .exp2();
            halved += u32::from(truth > wrong + 1e-12);
        }
    }
    assert!(sharp > 5 && halved > 10, "{sharp} {halved}");
}

#[test]
fn sg07_the_whole_event_by_enumeration() {
    let mut sharp = 0;
    for (n, cycles) in [(5_u8, 1_u16), (5, 2), (5, 3), (6, 1), (6, 2), (7, 1)] {
        let graphs = all_graphs(n, cycles);
        let n = u32::from(n);
        let settings =
            (0..3).flat_map(|c| (0..3).flat_map(move |d| (0..3).map(move |h| (c, d, h))));
        for (colluders, drops, degree) in settings.filter(|(c, d, _)| c + d + 2 <= n) {
            let truth = share(&graphs, |g| falls_apart(g, colluders, drops, degree));
            let bound = Cuts::new(n, colluders, drops).chance(Sides { cycles, degree }, 1.0);
            assert!(
                truth <= bound + 1e-9,
                "{n} {cycles} {colluders} {drops} {degree}: {truth} {bound}"
            );
            sharp += u32::from(bound < 1.0 && truth > 0.0);
        }
    }
    assert!(sharp > 20, "{sharp}");
}

/// The corrupted twin of the union over sets: the chance for *given* sides is below the chance that some sides exist.
#[test]
fn sg07_given_sides_are_not_all_sides() {
    let graphs = all_graphs(6, 2);
    let truth = share(&graphs, |g| falls_apart(g, 0, 2, 0));
    let cuts = Cuts::new(6, 0, 2);
    let given: f64 = [1, 2]
        .map(|a| (2.0 * cuts.separated(a, 4 - a)).exp2())
        .iter()
        .sum();
    assert!(given < truth);
}

/// The corrupted twin of the degree's definition: with `t` survivors in a *closed* neighbourhood the party itself is one of them, so
/// `h = t - 1 - x`; a bound for `h = t - x` is below the truth.
#[test]
fn sg07_the_party_itself_is_no_neighbour() {
    let graphs = all_graphs(6, 2);
    // No colluders, two drops, t = 2: every survivor has another one beside it. Two pairs fall apart.
    let closed = |g: &[u16]| falls_apart(g, 0, 2, 1);
    let truth = share(&graphs, closed);
    let bound = |degree| Cuts::new(6, 0, 2).chance(Sides { cycles: 2, degree }, 1.0);
    assert!(truth > 0.0 && truth <= bound(1) && truth > bound(2));
}

/// Drawn graphs against the exact chance that two sets are apart: the sampler and the formula speak of the same graph. A deviation of six standard
/// deviations over 20,000 graphs happens by chance less than once in 1e8.
#[test]
fn sg09_drawn_graphs() {
    let apart = |number| {
        let graph = Graph::sparse(40, 2, &seed(number));
        let far = |i| graph.neighbours(party(i)).iter().all(|j| j.get() < 30);
        far(0) && far(1)
    };
    let hits = (0..20_000).filter(|number| apart(*number)).count() as f64;
    let chance = (2.0 * Cuts::new(40, 0, 0).separated(2, 10)).exp2();
    let deviation = (20_000.0 * chance * (1.0 - chance)).sqrt();
    assert!((hits - 20_000.0 * chance).abs() < 6.0 * deviation);
    assert!(chance > 0.05);
}
