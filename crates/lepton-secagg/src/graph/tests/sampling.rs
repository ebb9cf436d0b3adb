//! The graph and the committee as they are drawn.

use std::collections::BTreeMap;

use lepton_crypto::sha256;

use super::*;
use crate::graph::sample::shuffled;
use crate::graph::tails::Marked;

fn positions(parties: &[PartyIndex]) -> Vec<u16> {
    parties.iter().map(|party| party.get()).collect()
}

fn counting() -> Digest {
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(0..).for_each(|(byte, i)| *byte = i);
    Digest::from_bytes(bytes)
}

/// Vectors of an independent program (Python, its own ChaCha20 checked against RFC 8439), for the seed of bytes 0 to 31.
#[test]
fn sg02_fixed_vectors() {
    let graph = Graph::sparse(12, 2, &counting());
    let rows: [&[u16]; 12] = [
        &[6, 7, 8, 9],
        &[4, 5, 11],
        &[6, 7, 10],
        &[4, 5, 9, 10],
        &[1, 3, 8, 9],
        &[1, 3, 7, 8],
        &[0, 2, 10, 11],
        &[0, 2, 5, 8],
        &[0, 4, 5, 7],
        &[0, 3, 4, 11],
        &[2, 3, 6],
        &[1, 6, 9],
    ];
    for (row, i) in rows.iter().zip(0..) {
        assert_eq!(positions(graph.neighbours(party(i))), *row);
    }
    assert_eq!(
        positions(&committee(100, 9, &counting())),
        [2, 4, 10, 30, 32, 44, 45, 64, 86]
    );
    let graph = Graph::sparse(1000, 20, &counting());
    let mut bytes = Vec::new();
    for i in 0..1000 {
        let row = graph.neighbours(party(i));
        bytes.extend(u16::try_from(row.len()).unwrap().to_le_bytes());
        bytes.extend(row.iter().flat_map(|other| other.bytes()));
    }
    assert_eq!(
        sha256(&bytes).to_string(),
        "dd7a6e6bd3ee5a6bb71e2a0e8bed3550db2b62dc1dcb03b6f6b27ae47cfb7c6b"
    );
}

#[test]
fn sg01_rows_are_ascending_symmetric_and_bounded() {
    for (n, cycles) in [(2, 1), (3, 2), (5, 1), (50, 4), (200, 30), (1000, 9)] {
        let graph = Graph::sparse(n, cycles, &seed(1));
        for i in (0..n).map(party) {
            let row = graph.neighbours(i);
            assert!(row.is_sorted_by(|a, b| a < b) && !row.contains(&i));
            assert!((1..=2 * usize::from(cycles)).contains(&row.len()));
            assert!(row.iter().all(|j| graph.neighbours(*j).contains(&i)));
        }
        assert!(graph.neighbours(party(n)).is_empty());
    }
    assert!(
        Graph::sparse(1, 3, &seed(1))
            .neighbours(party(0))
            .is_empty()
    );
    assert!(
        Graph::sparse(9, 0, &seed(1))
            .neighbours(party(0))
            .is_empty()
    );
}

#[test]
fn the_complete_graph() {
    let graph = Graph::complete(4);
    assert_eq!(positions(graph.neighbours(party(2))), [0, 1, 3]);
    assert_eq!(positions(graph.neighbours(party(0))), [1, 2, 3]);
    assert!(graph.neighbours(party(4)).is_empty());
}

#[test]
fn sg02_seeds_cycles_and_committee_are_separate() {
    assert_ne!(shuffled(50, 0, &seed(1)), shuffled(50, 0, &seed(2)));
    assert_ne!(shuffled(50, 0, &seed(1)), shuffled(50, 1, &seed(1)));
    assert_ne!(committee(50, 9, &seed(1)), committee(50, 9, &seed(2)));
    assert_eq!(
        committee(5, 5, &seed(1)),
        (0..5).map(party).collect::<Vec<_>>()
    );
    assert_eq!(committee(5, 9, &seed(1)).len(), 5);
    // More cycles only add edges.
    let (few, many) = (
        Graph::sparse(50, 3, &seed(1)),
        Graph::sparse(50, 4, &seed(1)),
    );
    let kept = |i: PartyIndex| {
        let many = many.neighbours(i);
        few.neighbours(i).iter().all(|j| many.contains(j))
    };
    assert!((0..50).map(party).all(kept));
}

/// How often each outcome is drawn in 60,000 draws.
fn frequencies<T: Ord>(draw: impl Fn(u32) -> T) -> Vec<u32> {
    let mut seen = BTreeMap::new();
    (0..DRAWS).for_each(|number| *seen.entry(draw(number)).or_default() += 1);
    seen.into_values().collect()
}

const DRAWS: u32 = 60_000;

fn uniform(seen: &[u32]) -> f64 {
    chi_square(
        seen,
        std::iter::repeat(f64::from(DRAWS) / seen.len() as f64),
    )
}

/// All C(10, 3) committees are equally likely. False alarm 1e-7 (chi-square, 119 degrees of freedom).
#[test]
fn sg02_committees_are_uniform() {
    let seen = frequencies(|number| committee(10, 3, &seed(number)));
    assert_eq!(seen.len(), 120);
    assert!(uniform(&seen) < 217.2);
}

/// All 60 Hamiltonian cycles on six positions are equally likely. False alarm 1e-7 (59 degrees of freedom).
#[test]
fn sg01_cycles_are_uniform() {
    let seen = frequencies(|number| {
        let graph = Graph::sparse(6, 1, &seed(number));
        let rows = (0..6).map(party).map(|i| graph.neighbours(i).to_vec());
        rows.collect::<Vec<_>>()
    });
    assert_eq!(seen.len(), 60);
    assert!(uniform(&seen) < 133.7);
}

/// Both cycles of a graph together: all 12 * 12 pairs on five positions. False alarm 1e-7 (143 degrees of freedom).
#[test]
fn sg01_cycles_are_independent() {
    let undirected = |order: Vec<u16>| {
        let order: Vec<u8> = order.iter().map(|p| u8::try_from(*p).unwrap()).collect();
        bits(&order)
    };
    let seen = frequencies(|number| {
        let cycle = |cycle| undirected(shuffled(5, cycle, &seed(number)));
        (cycle(0), cycle(1))
    });
    assert_eq!(seen.len(), 144);
    assert!(uniform(&seen) < 248.9);
}

/// The corrupted twin: exchanging each place with *any* place, a common mistake, is found out by the same statistic.
#[test]
fn a_biased_shuffle_is_noticed() {
    let naive = |number: u32| {
        let bytes = *seed(number).as_bytes();
        let mut order: [u8; 4] = [0, 1, 2, 3];
        (0..4).for_each(|place| order.swap(place, usize::from(bytes[place] % 4)));
        order
    };
    let seen = frequencies(naive);
    // 24 orders; the statistic exceeds 78.6 by chance once in 1e7.
    assert_eq!(seen.len(), 24);
    assert!(uniform(&seen) > 1000.0);
}

/// Distinct marked neighbours of a party in drawn graphs against the exact law, repeated edges collapsed. False alarm 1e-7 per cell count.
#[test]
fn sg05_marked_neighbours_follow_the_law() {
    let mut seen = [0; 13];
    for number in 0..5000 {
        let graph = Graph::sparse(30, 6, &seed(number));
        // Three parties far apart would be dependent: one party per graph.
        let marked = graph.neighbours(party(7)).iter().filter(|j| j.get() >= 20);
        seen[marked.count()] += 1;
    }
    let law = Marked::after(6, 29, 10);
    let mass = |k: u32| 5000.0 * (1.0 - law.above(k) - law.below(k));
    // Cells 0 and 8 to 12 are rare: joined with their neighbours.
    let joined = [&[seen[0] + seen[1]], &seen[2..7], &[seen[7..].iter().sum()]].concat();
    let expected = [mass(0) + mass(1)]
        .into_iter()
        .chain((2..7).map(mass))
        .chain([5000.0 * law.above(6)]);
    assert!(expected.clone().all(|cell| cell > 20.0));
    // Seven cells; the bound for eight degrees of freedom is the more cautious one.
    assert!(chi_square(&joined, expected) < 48.0);
}
