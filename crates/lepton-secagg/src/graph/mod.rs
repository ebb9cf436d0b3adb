//! Who shares masks with whom, and who signs: a random sparse graph and a random committee, with proven failure probabilities.
//!
//! The model, the proofs and a table of choices are in `docs/protocols/sparse-graph.md` (rules `SG-nn`).

mod bounds;
mod choose;
mod sample;
mod tails;
#[cfg(test)]
mod tests;

use lepton_crypto::Digest;

use crate::PartyIndex;

pub(crate) use choose::{Demand, choose, security_of};
pub use choose::{Nearest, NoGraph};
pub(crate) use sample::committee;

/// The neighbours of every party.
pub(crate) struct Graph {
    /// One party's neighbours after the other's, each ascending.
    neighbours: Vec<PartyIndex>,
    /// Where each party's begin, and the end of the last.
    starts: Vec<usize>,
}

impl Graph {
    /// Everybody is everybody's neighbour.
    pub(crate) fn complete(n: u16) -> Self {
        let others = |party| (0..n).filter(move |other| *other != party);
        Self::of((0..n).map(|party| others(party).map(PartyIndex::new)))
    }

    /// The union of independent, uniformly random Hamiltonian cycles on `n` positions (SG-01): the same for everybody who has the seed, and
    /// at most `2 * cycles` neighbours for each.
    pub(crate) fn sparse(n: u16, cycles: u16, seed: &Digest) -> Self {
        let rows = sample::Rows::new(n, cycles, seed);
        Self::of(rows.iter().map(|row| row.iter().copied()))
    }

    /// A party's neighbours in ascending order, without itself; none for a party that does not exist.
    pub(crate) fn neighbours(&self, party: PartyIndex) -> &[PartyIndex] {
        let range = self
            .starts
            .get(party.at())
            .zip(self.starts.get(party.at() + 1));
        range
            .and_then(|(start, end)| self.neighbours.get(*start..*end))
            .unwrap_or_default()
    }

    fn of<Row: IntoIterator<Item = PartyIndex>>(rows: impl Iterator<Item = Row>) -> Self {
        let (mut neighbours, mut starts) = (Vec::new(), vec![0]);
        for row in rows {
            neighbours.extend(row);
            starts.push(neighbours.len());
        }
        Self { neighbours, starts }
    }
}
