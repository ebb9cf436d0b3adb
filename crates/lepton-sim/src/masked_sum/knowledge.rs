//! What a coordinator and its colluders can find out in one attempt, from who holds and opens which shares.

use std::collections::{BTreeMap, BTreeSet};

/// Who shares secrets with whom, and who is corrupt.
pub(crate) struct Graph {
    /// By party, ascending, without itself.
    pub(crate) neighbours: Vec<Vec<u16>>,
    pub(crate) threshold: usize,
    pub(crate) colluders: BTreeSet<u16>,
}

/// What was opened in one attempt.
#[derive(Default)]
pub(crate) struct Knowledge {
    /// Honest holders whose share was opened, by dealer and target (the dealer itself: its self mask).
    opened: BTreeMap<(u16, u16), usize>,
}

impl Graph {
    /// Ascending, with itself.
    pub(crate) fn closed(&self, party: u16) -> Vec<u16> {
        let mut members = self.neighbours_of(party).to_vec();
        let place = members.partition_point(|member| *member < party);
        members.insert(place, party);
        members
    }

    pub(crate) fn neighbours_of(&self, party: u16) -> &[u16] {
        let found = self.neighbours.get(usize::from(party));
        found.map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn is_honest(&self, party: u16) -> bool {
        !self.colluders.contains(&party)
    }

    /// Colluders that hold a share of everything the dealer deals.
    pub(crate) fn colluders_around(&self, dealer: u16) -> usize {
        let neighbours = self.neighbours_of(dealer).iter();
        neighbours.filter(|party| !self.is_honest(**party)).count()
    }

    /// Whether some honest party has as many colluders around it as combine to a secret.
    pub(crate) fn is_surrounded(&self) -> bool {
        (0..)
            .take(self.neighbours.len())
            .any(|party| self.is_honest(party) && self.colluders_around(party) >= self.threshold)
    }

    /// The connected groups of `members` under the edges that `joined` keeps.
    pub(crate) fn groups(
        &self,
        members: &BTreeSet<u16>,
        joined: impl Fn(u16, u16) -> bool,
    ) -> Vec<BTreeSet<u16>> {
        let mut left = members.clone();
        let mut groups = Vec::new();
        while let Some(first) = left.pop_first() {
            let (mut group, mut fresh) = (BTreeSet::from([first]), vec![first]);
            while let Some(party) = fresh.pop() {
                for next in self.neighbours_of(party) {
                    if left.contains(next) && joined(party, *next) {
                        left.remove(next);
                        group.insert(*next);
                        fresh.push(*next);
                    }
                }
            }
            groups.push(group);
        }
        groups
    }
}

impl Knowledge {
    /// An honest holder opened its share of what `dealer` dealt about `target`.
    pub(crate) fn opens(&mut self, dealer: u16, target: u16) {
        *self.opened.entry((dealer, target)).or_default() += 1;
    }

    /// Whether the seed of the mask of these two (a self mask: one party twice) can be combined.
    pub(crate) fn knows(&self, graph: &Graph, a: u16, b: u16) -> bool {
        let combines = |dealer, target| {
            let opened = self.opened.get(&(dealer, target)).copied();
            graph.colluders_around(dealer) + opened.unwrap_or_default() >= graph.threshold
        };
        !graph.is_honest(a) || !graph.is_honest(b) || combines(a, b) || combines(b, a)
    }

    /// The groups of honest parties whose sum of vectors can be computed: those that no unknown mask covers or ties to others. `senders` are the
    /// honest parties whose message (a) is known.
    pub(crate) fn exposed(&self, graph: &Graph, senders: &BTreeSet<u16>) -> Vec<BTreeSet<u16>> {
        let ties = |a, b| !self.knows(graph, a, b);
        let covered = |party: u16| {
            let peers = graph.neighbours_of(party).iter();
            let mut alone = peers.filter(|peer| graph.is_honest(**peer) && !senders.contains(peer));
            ties(party, party) || alone.any(|peer| ties(party, *peer))
        };
        let groups = graph.groups(senders, ties);
        let open = |group: &BTreeSet<u16>| !group.iter().any(|party| covered(*party));
        groups.into_iter().filter(open).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five parties, each a neighbour of all, threshold 3, colluders 3 and 4.
    fn five() -> Graph {
        Graph {
            neighbours: (0..5)
                .map(|p| (0..5).filter(|q| *q != p).collect())
                .collect(),
            threshold: 3,
            colluders: BTreeSet::from([3, 4]),
        }
    }

    fn everybody() -> BTreeSet<u16> {
        BTreeSet::from([0, 1, 2])
    }

    #[test]
    fn colluders_alone_expose_nobody() {
        let graph = five();
        assert!(!graph.is_surrounded());
        assert!(
            Knowledge::default()
                .exposed(&graph, &everybody())
                .is_empty()
        );
    }

    #[test]
    fn opened_self_masks_expose_the_sum_of_all_honest_and_no_other() {
        let mut known = Knowledge::default();
        for party in everybody() {
            known.opens(party, party);
        }
        assert_eq!(known.exposed(&five(), &everybody()), [everybody()]);
    }

    /// The attack on five parties without agreement: one share of each of two pair seeds and of the self mask, beside the colluders'.
    #[test]
    fn split_views_expose_one_party() {
        let mut known = Knowledge::default();
        for target in [0, 1, 2] {
            known.opens(0, target);
        }
        let exposed = known.exposed(&five(), &everybody());
        assert_eq!(exposed, [BTreeSet::from([0])]);
    }

    /// A pair mask with an honest party that sent nothing covers a vector whose self mask is known.
    #[test]
    fn the_mask_of_a_dropped_party_covers_until_it_is_opened() {
        let mut known = Knowledge::default();
        let sent = BTreeSet::from([0, 1]);
        for party in [0, 1] {
            known.opens(party, party);
        }
        assert!(known.exposed(&five(), &sent).is_empty());
        known.opens(0, 2);
        known.opens(1, 2);
        assert_eq!(known.exposed(&five(), &sent), [sent]);
    }
}
