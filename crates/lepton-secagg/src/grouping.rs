//! Groups of parties whose vectors are summed apart (SA-25 to SA-28).

use std::sync::Arc;

use lepton_crypto::{Digest, hash};
use thiserror::Error;

use crate::keys::EpochKeys;
use crate::neighbourhood::Neighbourhood;
use crate::survivors::Survivors;
use crate::{CallerReason, Parameters, PartyIndex, VectorSpec};

/// Which group each party's vector is summed in, and how many survivors each group needs: public, and part of what everything in an attempt is
/// bound to (SA-25).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    params: Parameters,
    /// Groups by party.
    of: Vec<u16>,
    /// Other members of the group, by party, ascending.
    others: Vec<Vec<PartyIndex>>,
    groups: u16,
    floor: u16,
    threshold: u8,
}

/// Groups that cannot be summed apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GroupingError {
    /// Members of a group need not be neighbours on a sparse graph.
    #[error("sums by group need the complete graph, of at most 255 parties")]
    Sparse,
    /// Not one group for each party of the roster.
    #[error("{have} parties are in groups where the parameters say {need}")]
    Parties {
        /// Parties with a group.
        have: usize,
        /// `n`.
        need: usize,
    },
    /// A floor at which colluders could tell one party's vector from its group's sum.
    #[error(
        "a group's sum needs {nearest} survivors, two more than there are colluders, not {floor}"
    )]
    Floor {
        /// The floor asked for.
        floor: u16,
        /// The least, `c + 2`.
        nearest: u16,
    },
    /// A group that cannot reach the floor.
    #[error("group {group} has {have} parties, fewer than the {need} that each of its sums needs")]
    Small {
        /// The group.
        group: u16,
        /// Its parties.
        have: u16,
        /// The floor.
        need: u16,
    },
}

/// The shape of the vectors of an attempt, and the groups they are summed in.
#[derive(Debug, Clone)]
pub struct SumSpec {
    /// Shape and purpose of one party's vector.
    pub vector: VectorSpec,
    /// Groups with a sum each; one sum over all parties without.
    pub grouping: Option<Arc<Grouping>>,
}

impl From<VectorSpec> for SumSpec {
    /// One sum over all parties.
    fn from(vector: VectorSpec) -> Self {
        Self {
            vector,
            grouping: None,
        }
    }
}

impl Grouping {
    /// Groups `0, 1, …` by roster position, each of which needs `floor` survivors in every attempt (SA-26).
    ///
    /// # Errors
    /// [`GroupingError`]: a sparse graph, another number of parties than the parameters say, a floor below `c + 2`, and a group (of those up to the
    /// largest number used) with fewer parties than the floor.
    pub fn new(params: &Parameters, of: &[u16], floor: u16) -> Result<Self, GroupingError> {
        if params.is_sparse() {
            return Err(GroupingError::Sparse);
        }
        if of.len() != params.n() {
            return Err(GroupingError::Parties {
                have: of.len(),
                need: params.n(),
            });
        }
        let nearest = params.colluders() + 2;
        if floor < nearest {
            return Err(GroupingError::Floor { floor, nearest });
        }
        let groups = of.iter().max().map_or(0, |last| last.saturating_add(1));
        for group in 0..groups {
            let have = of.iter().map(|other| u16::from(*other == group)).sum();
            if have < floor {
                return Err(GroupingError::Small {
                    group,
                    have,
                    need: floor,
                });
            }
        }
        // c + 1 holders are more than colluders and fewer than the floor; more would only cost drops after the signatures.
        let threshold = (params.colluders() + 1).max(2);
        let members = |party: PartyIndex, group: u16| {
            let others = (0..).map(PartyIndex::new).zip(of);
            let others = others.filter(|(other, of)| **of == group && *other != party);
            others.map(|(other, _)| other).collect()
        };
        let others = (0..).map(PartyIndex::new).zip(of);
        Ok(Self {
            params: *params,
            of: of.to_vec(),
            others: others
                .map(|(party, group)| members(party, *group))
                .collect(),
            groups,
            floor,
            threshold: u8::try_from(threshold).expect("c + 1 < n <= 255 (SA-01)"),
        })
    }

    /// Number of groups.
    #[must_use]
    pub fn groups(&self) -> u16 {
        self.groups
    }

    /// The group of a party; `None` outside the roster.
    #[must_use]
    pub fn of(&self, party: PartyIndex) -> Option<u16> {
        self.of.get(party.at()).copied()
    }

    /// Survivors that every group needs in every sum.
    #[must_use]
    pub fn floor(&self) -> u16 {
        self.floor
    }

    /// Shares that open a secret, of those of its dealer's group.
    #[must_use]
    pub fn threshold(&self) -> u16 {
        self.threshold.into()
    }

    /// The first group with fewer of these parties than the floor, and how many it has (SA-26).
    #[must_use]
    pub fn short(&self, parties: impl IntoIterator<Item = PartyIndex>) -> Option<(u16, u16)> {
        let mut left = vec![0_u16; self.groups.into()];
        for group in parties.into_iter().filter_map(|party| self.of(party)) {
            if let Some(left) = left.get_mut(usize::from(group)) {
                *left += 1;
            }
        }
        (0..).zip(left).find(|(_, left)| *left < self.floor)
    }

    /// What the binding of an attempt covers.
    pub(crate) fn digest(&self) -> Digest {
        let of: Vec<u8> = self.of.iter().flat_map(|of| of.to_le_bytes()).collect();
        let numbers = [self.floor, self.threshold()].map(u16::to_le_bytes);
        hash(
            "lepton/masked-sum/grouping/v1",
            &[&of, numbers.as_flattened()],
        )
    }
}

/// Who shares masks and secrets with whom in one attempt: the epoch's graph, or the part of it within groups (SA-25).
#[derive(Clone)]
pub(crate) struct Scope {
    pub(crate) keys: Arc<EpochKeys>,
    grouping: Option<Arc<Grouping>>,
}

impl Scope {
    /// Refuses a grouping that was made for other parameters.
    pub(crate) fn new(
        keys: Arc<EpochKeys>,
        grouping: Option<Arc<Grouping>>,
    ) -> Result<Self, CallerReason> {
        match &grouping {
            Some(grouping) if grouping.params != *keys.parameters() => Err(CallerReason::Grouping),
            _ => Ok(Self { keys, grouping }),
        }
    }

    pub(crate) fn parameters(&self) -> &Parameters {
        self.keys.parameters()
    }

    pub(crate) fn grouping(&self) -> Option<&Grouping> {
        self.grouping.as_deref()
    }

    /// Ascending.
    pub(crate) fn neighbours(&self, party: PartyIndex) -> &[PartyIndex] {
        match &self.grouping {
            None => self.keys.neighbours(party),
            Some(grouping) => grouping.others.get(party.at()).map_or(&[], Vec::as_slice),
        }
    }

    pub(crate) fn neighbourhood(&self, party: PartyIndex) -> Neighbourhood {
        Neighbourhood::of(self.neighbours(party), party)
    }

    /// `t`: of the whole sum, or within a group (SA-27).
    pub(crate) fn threshold(&self) -> u8 {
        let whole = self.parameters().sharing_threshold();
        self.grouping().map_or(whole, |grouping| grouping.threshold)
    }

    /// Sums that are kept.
    pub(crate) fn sums(&self) -> usize {
        self.grouping().map_or(1, |grouping| grouping.groups.into())
    }

    /// Which of them a party's vector goes into.
    pub(crate) fn sum_of(&self, party: PartyIndex) -> usize {
        let group = self.grouping().and_then(|grouping| grouping.of(party));
        group.unwrap_or_default().into()
    }

    /// A survivor with fewer than `t` survivors in its closed neighbourhood, and how many it has: its self mask cannot be opened (SA-24). Within
    /// groups the floor leaves none (SA-26).
    pub(crate) fn stranded(&self, survivors: &Survivors) -> Option<(PartyIndex, usize)> {
        let need = usize::from(self.threshold());
        let params = self.parameters();
        let parties = params.everyone().filter(|party| survivors.contains(*party));
        let mut counted = parties.map(|party| {
            let neighbours = self.neighbours(party).iter();
            (
                party,
                1 + neighbours.filter(|n| survivors.contains(**n)).count(),
            )
        });
        counted.find(|(_, have)| *have < need)
    }

    /// The first group with too few survivors, how many it has and how many it needs (SA-26).
    pub(crate) fn short(&self, survivors: &Survivors) -> Option<(u16, usize, usize)> {
        let grouping = self.grouping()?;
        let (group, left) = grouping.short(survivors.list(self.parameters()))?;
        Some((group, left.into(), grouping.floor.into()))
    }
}
