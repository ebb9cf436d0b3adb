//! Whom a party shares secrets with (SA-08, SA-21).

use crate::PartyIndex;

/// A party's closed neighbourhood: itself and its neighbours, ascending. The place of a member in it is its *rank*; it holds the shares of
/// number rank + 1 of everything the party deals.
pub(crate) struct Neighbourhood {
    party: PartyIndex,
    members: Vec<PartyIndex>,
}

impl Neighbourhood {
    /// Of the party with these neighbours, ascending.
    pub(crate) fn of(neighbours: &[PartyIndex], party: PartyIndex) -> Self {
        let mut members = neighbours.to_vec();
        let own = members.partition_point(|member| *member < party);
        members.insert(own, party);
        Self { party, members }
    }

    /// Whose it is.
    pub(crate) fn party(&self) -> PartyIndex {
        self.party
    }

    /// All members, the party among them, ascending.
    pub(crate) fn members(&self) -> &[PartyIndex] {
        &self.members
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// The members but the party itself, ascending.
    pub(crate) fn others(&self) -> impl Iterator<Item = PartyIndex> + '_ {
        self.members
            .iter()
            .copied()
            .filter(|member| *member != self.party)
    }

    /// The party's own rank.
    pub(crate) fn own_rank(&self) -> usize {
        self.members.partition_point(|member| *member < self.party)
    }

    pub(crate) fn rank(&self, member: PartyIndex) -> Option<usize> {
        self.members.binary_search(&member).ok()
    }
}
