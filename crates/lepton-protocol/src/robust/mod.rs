//! Robust combination over groups: who is in which group, how many of a group must be left, and how the groups' means become one (rules FT-17 to FT-19).
//!
//! After Yin et al., *Byzantine-Robust Distributed Learning* (ICML 2018: coordinate-wise median and trimmed mean) and Velicheti et al., *Secure
//! Byzantine-Robust Distributed Learning via Clustering* (2021: the same over masked sums of groups).

mod rule;
#[cfg(test)]
mod tests;

use std::ops::Range;

use lepton_crypto::hash;
use lepton_secagg::Parameters;

pub use rule::Rule;

/// Groups that the parties of a job are dealt into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// By party.
    group_of: Vec<u16>,
    /// By group.
    sizes: Vec<u16>,
    floor: u16,
    rule: Rule,
}

/// Groups that would be too small to hide a party in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooSmall {
    /// Parties of the smallest group asked for.
    pub smallest: u16,
    /// Parties that every group needs.
    pub needed: u16,
    /// The most groups that are large enough; fewer than 3 are no use.
    pub most_groups: u16,
}

/// Why a party does not agree to a survivor set.
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
    /// [`TooSmall`] where colluders and the coordinator could be left with one party's update.
    pub fn deal(
        job: &[u8; 32],
        parameters: &Parameters,
        count: u16,
        rule: Rule,
    ) -> Result<Self, TooSmall> {
        let parties = parameters.parties();
        let needed = parameters.colluders() + 2;
        let smallest = parties / count.max(1);
        if count == 0 || smallest < needed {
            return Err(TooSmall {
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
        Ok(Self {
            group_of,
            sizes,
            floor: needed.max(smallest.saturating_sub(parameters.drops())),
            rule,
        })
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

    /// Parties of the largest group: so many honest vectors at most meet in one slot.
    #[must_use]
    pub fn largest(&self) -> u16 {
        self.sizes.iter().copied().max().unwrap_or(0)
    }

    /// Survivors that every group needs in every sum: at least two more than there are colluders (rule FT-18).
    #[must_use]
    pub fn floor(&self) -> u16 {
        self.floor
    }

    /// The group of a party; `None` for a position outside the roster.
    #[must_use]
    pub fn of(&self, party: u16) -> Option<u16> {
        self.group_of.get(usize::from(party)).copied()
    }

    /// The entries of a vector of `len` that belong to the group of `party`; none for a position outside the roster.
    #[must_use]
    pub fn slots(&self, party: u16, len: usize) -> Range<usize> {
        let part = len / self.count().max(1);
        match self.of(party) {
            Some(group) => {
                let start = usize::from(group) * part;
                start..start + part
            }
            None => 0..0,
        }
    }

    /// Rule FT-18: refuses survivors of which some group has too few.
    ///
    /// # Errors
    /// [`GroupShort`] naming the first such group.
    pub fn check(&self, survivors: impl Iterator<Item = u16>) -> Result<(), GroupShort> {
        let mut left = vec![0_u16; self.count()];
        for group in survivors.filter_map(|party| self.of(party)) {
            let at = usize::from(group);
            left.iter_mut().skip(at).take(1).for_each(|left| *left += 1);
        }
        let short = (0..).zip(left).find(|(_, left)| *left < self.floor);
        match short {
            None => Ok(()),
            Some((group, left)) => Err(GroupShort {
                group,
                left,
                floor: self.floor,
            }),
        }
    }
}
