//! Robust combination over groups: who is in which group, how many of a group must be left, and how the groups' means become one (rules FT-17 to FT-19).
//!
//! After Yin et al., *Byzantine-Robust Distributed Learning* (ICML 2018: coordinate-wise median and trimmed mean) and Velicheti et al., *Secure
//! Byzantine-Robust Distributed Learning via Clustering* (2021: the same over masked sums of groups).

mod rule;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use lepton_crypto::hash;
use lepton_secagg::{Grouping, GroupingError, Parameters, PartyIndex};

pub use rule::Rule;

/// Groups that the parties of a job are dealt into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// What the masked sums are told.
    grouping: Arc<Grouping>,
    /// By group.
    sizes: Vec<u16>,
    rule: Rule,
}

/// Why parties cannot be dealt into groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undealt {
    /// Groups that would be too small to hide a party in.
    TooSmall {
        /// Parties of the smallest group asked for.
        smallest: u16,
        /// Parties that every group needs.
        needed: u16,
        /// The most groups that are large enough; fewer than 3 are no use.
        most_groups: u16,
    },
    /// The masked sums refuse: a sparse graph.
    Sums(GroupingError),
}

/// Why an attempt ends before its survivors are shown to anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{left} parties of group {group} are left, and a sum over a group needs {floor}")]
pub struct GroupShort {
    /// The group.
    pub group: u16,
    /// Its survivors.
    pub left: u16,
    /// What it needs.
    pub floor: u16,
}

impl Groups {
    /// Deals the parties of a job into `count` groups whose sizes differ by one at most: in the order of a hash over the job's digest and the party's position,
    /// one to each group in turn (rule FT-17). The same in every epoch of the job.
    ///
    /// # Errors
    /// [`Undealt`]: colluders and the coordinator could be left with one party's update, or the graph is sparse.
    pub fn deal(
        job: &[u8; 32],
        parameters: &Parameters,
        count: u16,
        rule: Rule,
    ) -> Result<Self, Undealt> {
        let parties = parameters.parties();
        let needed = parameters.colluders() + 2;
        let smallest = parties / count.max(1);
        if count == 0 || smallest < needed {
            return Err(Undealt::TooSmall {
                smallest,
                needed,
                most_groups: parties / needed,
            });
        }
        let mut order: Vec<u16> = (0..parties).collect();
        order.sort_by_cached_key(|party| {
            let place = hash("lepton groups", &[job, &party.to_be_bytes()]);
            (*place.as_bytes(), *party)
        });
        let mut group_of = vec![0; usize::from(parties)];
        let mut sizes = vec![0; usize::from(count)];
        for (party, group) in order.into_iter().zip((0..count).cycle()) {
            let (party, at) = (usize::from(party), usize::from(group));
            group_of
                .iter_mut()
                .skip(party)
                .take(1)
                .for_each(|of| *of = group);
            sizes
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|size| *size += 1);
        }
        let floor = needed.max(smallest.saturating_sub(parameters.drops()));
        let grouping = Grouping::new(parameters, &group_of, floor).map_err(Undealt::Sums)?;
        Ok(Self {
            grouping: Arc::new(grouping),
            sizes,
            rule,
        })
    }

    /// What the masked sums are told (rules FT-17 and FT-18).
    #[must_use]
    pub fn grouping(&self) -> &Arc<Grouping> {
        &self.grouping
    }

    /// How the groups' means become one.
    #[must_use]
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// Number of groups.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sizes.len()
    }

    /// Parties dealt into each group.
    #[must_use]
    pub fn sizes(&self) -> &[u16] {
        &self.sizes
    }

    /// Parties of the largest group: so many vectors at most meet in one sum.
    #[must_use]
    pub fn largest(&self) -> u16 {
        self.sizes.iter().copied().max().unwrap_or(0)
    }

    /// Survivors that every group needs in every sum: at least two more than there are colluders (rule FT-18).
    #[must_use]
    pub fn floor(&self) -> u16 {
        self.grouping.floor()
    }

    /// The group of a party; `None` for a position outside the roster.
    #[must_use]
    pub fn of(&self, party: u16) -> Option<u16> {
        self.grouping.of(PartyIndex::new(party))
    }

    /// Rule FT-18: refuses survivors of which some group has too few.
    ///
    /// # Errors
    /// [`GroupShort`] naming the first such group.
    pub fn check(&self, survivors: impl Iterator<Item = u16>) -> Result<(), GroupShort> {
        let survivors = survivors.map(PartyIndex::new);
        match self.grouping.short(survivors) {
            None => Ok(()),
            Some((group, left)) => Err(GroupShort {
                group,
                left,
                floor: self.floor(),
            }),
        }
    }
}
