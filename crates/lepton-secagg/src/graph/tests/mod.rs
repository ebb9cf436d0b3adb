//! Tests of the sparse graph: the sampler against an independent program and by statistics, the bounds against complete enumeration of small cases.

mod choice;
mod cuts;
mod sampling;
mod tails;

use lepton_crypto::{Digest, hash};

use super::*;

fn seed(number: u32) -> Digest {
    hash("test", &[&number.to_le_bytes()])
}

fn party(position: u16) -> PartyIndex {
    PartyIndex::new(position)
}

/// All Hamiltonian cycles on `n` positions as orders that begin with 0, each in both directions: each equally likely.
fn all_cycles(n: u8) -> Vec<Vec<u8>> {
    let mut orders = vec![vec![0]];
    for _ in 1..n {
        orders = orders
            .iter()
            .flat_map(|order| {
                let rest = (1..n).filter(|next| !order.contains(next));
                rest.map(|next| [order.as_slice(), &[next]].concat())
            })
            .collect();
    }
    orders
}

/// The neighbours of each position in a cycle, as bits.
fn bits(order: &[u8]) -> Vec<u16> {
    let mut beside = vec![0; order.len()];
    for (at, position) in order.iter().enumerate() {
        let next = order[(at + 1) % order.len()];
        beside[usize::from(*position)] |= 1 << next;
        beside[usize::from(next)] |= 1 << position;
    }
    beside
}

/// The graphs of all unions of `cycles` cycles on `n` positions, each equally likely.
fn all_graphs(n: u8, cycles: u16) -> Vec<Vec<u16>> {
    let one: Vec<_> = all_cycles(n).iter().map(|order| bits(order)).collect();
    let mut graphs = vec![vec![0; usize::from(n)]];
    for _ in 0..cycles {
        graphs = graphs
            .iter()
            .flat_map(|graph| one.iter().map(|cycle| union(graph, cycle)))
            .collect();
    }
    graphs
}

fn union(a: &[u16], b: &[u16]) -> Vec<u16> {
    a.iter().zip(b).map(|(a, b)| a | b).collect()
}

/// The share of the graphs in which `event` happens.
fn share(graphs: &[Vec<u16>], event: impl Fn(&[u16]) -> bool) -> f64 {
    let hits = graphs.iter().filter(|graph| event(graph)).count();
    hits as f64 / graphs.len() as f64
}

/// Pearson's statistic.
fn chi_square(seen: &[u32], expected: impl Iterator<Item = f64>) -> f64 {
    let parts = seen.iter().zip(expected);
    parts
        .map(|(seen, expected)| (f64::from(*seen) - expected).powi(2) / expected)
        .sum()
}
