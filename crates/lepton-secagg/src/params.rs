//! Who takes part, and how many may fail.

use core::fmt;

use thiserror::Error;

use crate::NoGraph;
use crate::graph;

/// A party's position in the roster, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyIndex(u16);

impl PartyIndex {
    /// The party at `position`; whether a roster has one there is checked where it is used.
    #[must_use]
    pub const fn new(position: u16) -> Self {
        Self(position)
    }

    /// The position.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    pub(crate) fn at(self) -> usize {
        usize::from(self.0)
    }

    pub(crate) fn bytes(self) -> [u8; 2] {
        self.0.to_le_bytes()
    }
}

impl fmt::Display for PartyIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Most parties of a complete graph: a share is a point of GF(256), and zero is the secret's.
pub const MAX_COMPLETE: u16 = 255;

/// From this many parties on, [`Parameters::fitting`] prefers a sparse graph: every message is then of bounded size.
const PREFER_SPARSE: u16 = 129;

/// Failure probability of a sparse graph over a whole job, as `-log2` (SA-21).
const SPARSE_SECURITY: u32 = 40;

/// Who shares masks with whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// Everybody with everybody; everybody may sign.
    Complete,
    /// A random graph and a random committee that signs (SA-21).
    Sparse {
        /// Random Hamiltonian cycles whose union is the graph: each party has at most twice as many neighbours.
        cycles: u16,
        /// Parties that sign.
        committee: u16,
    },
}

/// Parameters that satisfy every inequality of SA-01 and, for a sparse graph, SA-21.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    parties: u16,
    colluders: u16,
    drops: u16,
    threshold: u8,
    quorum: u16,
    topology: Topology,
}

/// A violated inequality of SA-01 and the nearest choice that satisfies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ParameterError {
    /// `2 <= n <= 255` is violated.
    #[error("{0} parties: a masked sum needs 2 to 255 on a complete graph")]
    Parties(u16),
    /// No sparse graph keeps SA-21.
    #[error(
        "no sparse graph keeps {colluders} colluders and {drops} drops among {parties} parties apart: {reason}"
    )]
    Sparse {
        /// `n`.
        parties: u16,
        /// `c`.
        colluders: u16,
        /// `d`.
        drops: u16,
        /// What fails and the nearest possible choice.
        reason: NoGraph,
    },
    /// An insecure graph that cannot be drawn.
    #[error(
        "{neighbours} neighbours among {parties} parties: a sparse graph needs 2 to 254, two fewer than there are parties, and fewer drops than parties"
    )]
    Neighbours {
        /// `n`.
        parties: u16,
        /// `k`.
        neighbours: u16,
    },
    /// `c <= n - 2` is violated.
    #[error(
        "{colluders} colluders among {parties} parties would learn the others' data from any sum: choose colluders <= {nearest}"
    )]
    Colluders {
        /// `n`.
        parties: u16,
        /// `c`.
        colluders: u16,
        /// The largest `c` for `n`.
        nearest: u16,
    },
    /// `2Q > n + c` is violated.
    #[error(
        "a quorum of {quorum} lets two survivor sets be signed: 2 * quorum > parties + colluders needs quorum >= {nearest}"
    )]
    QuorumTooLow {
        /// `Q`.
        quorum: u16,
        /// The least `Q`.
        nearest: u16,
    },
    /// `Q <= n - d` is violated.
    #[error(
        "a quorum of {quorum} cannot be met by the {remaining} parties left after the allowed drops: choose drops <= {nearest_drops} (or fewer colluders)"
    )]
    QuorumTooHigh {
        /// `Q`.
        quorum: u16,
        /// `n - d`.
        remaining: u16,
        /// The largest `d` for this `Q`.
        nearest_drops: u16,
    },
    /// `c <= t - 1` or `t >= 2` is violated.
    #[error(
        "a threshold of {threshold} lets colluders combine shares by themselves: threshold > colluders needs threshold >= {nearest}"
    )]
    ThresholdTooLow {
        /// `t`.
        threshold: u16,
        /// The least `t`.
        nearest: u16,
    },
    /// `t <= n - d` is violated.
    #[error(
        "a threshold of {threshold} cannot be met by the {remaining} parties left after the allowed drops: choose threshold <= {remaining}"
    )]
    ThresholdTooHigh {
        /// `t`.
        threshold: u16,
        /// `n - d`, the largest `t`.
        remaining: u16,
    },
}

impl Parameters {
    /// Checks SA-01 for `n` parties, `c` colluders, `d` drops, threshold `t` and quorum `Q`. An absent quorum becomes the least with
    /// `2Q > n + c`, an absent threshold becomes the quorum. Refuses a violated inequality, naming it and the nearest valid choice.
    pub fn new(
        parties: u16,
        colluders: u16,
        drops: u16,
        threshold: Option<u16>,
        quorum: Option<u16>,
    ) -> Result<Self, ParameterError> {
        if !(2..=MAX_COMPLETE).contains(&parties) {
            return Err(ParameterError::Parties(parties));
        }
        if colluders > parties - 2 {
            return Err(ParameterError::Colluders {
                parties,
                colluders,
                nearest: parties - 2,
            });
        }
        let least_quorum = (parties + colluders) / 2 + 1;
        let quorum = quorum.unwrap_or(least_quorum);
        if quorum < least_quorum {
            return Err(ParameterError::QuorumTooLow {
                quorum,
                nearest: least_quorum,
            });
        }
        let remaining = parties.saturating_sub(drops);
        if quorum > remaining {
            let nearest_drops = parties.saturating_sub(quorum);
            return Err(ParameterError::QuorumTooHigh {
                quorum,
                remaining,
                nearest_drops,
            });
        }
        let threshold = checked_threshold(threshold.unwrap_or(quorum), colluders, remaining)?;
        Ok(Self {
            parties,
            colluders,
            drops,
            threshold,
            quorum,
            topology: Topology::Complete,
        })
    }

    /// A sparse graph for `n` parties, `c` colluders and `d` drops whose failure probability over a whole job is at most 2^-40 (SA-21),
    /// with the fewest neighbours for which that holds. Refuses numbers for which there is none.
    pub fn sparse(parties: u16, colluders: u16, drops: u16) -> Result<Self, ParameterError> {
        let demand = graph::Demand {
            parties,
            colluders,
            drops,
            security: SPARSE_SECURITY,
        };
        let choice = graph::choose(demand).map_err(|error| ParameterError::Sparse {
            parties,
            colluders,
            drops,
            reason: error,
        })?;
        Ok(Self {
            parties,
            colluders,
            drops,
            threshold: choice.threshold,
            quorum: choice.quorum,
            topology: Topology::Sparse {
                cycles: choice.cycles,
                committee: choice.committee,
            },
        })
    }

    /// The graph that a federation of this size should have: complete up to 128 parties, sparse above where there is one, else complete.
    pub fn fitting(parties: u16, colluders: u16, drops: u16) -> Result<Self, ParameterError> {
        let complete = || Self::new(parties, colluders, drops, None, None);
        if parties < PREFER_SPARSE {
            return complete();
        }
        match Self::sparse(parties, colluders, drops) {
            Err(_) if parties <= MAX_COMPLETE => complete(),
            choice => choice,
        }
    }

    /// A sparse graph with this many neighbours, whatever its failure probability: for measurements and simulations only. A coordinator that
    /// cheats may single out parties with a probability that [`Self::security_bits`] bounds, if at all.
    pub fn insecure_sparse(
        parties: u16,
        colluders: u16,
        drops: u16,
        neighbours: u16,
    ) -> Result<Self, ParameterError> {
        let refused = ParameterError::Neighbours {
            parties,
            neighbours,
        };
        let cycles = neighbours / 2;
        let k = 2 * cycles;
        if !(2..MAX_COMPLETE).contains(&k) || k + 1 >= parties || drops >= parties {
            return Err(refused);
        }
        let threshold = u8::try_from((2 * k).div_ceil(3).max(2)).map_err(|_| refused)?;
        let committee = (4 * k).min(parties);
        Ok(Self {
            parties,
            colluders,
            drops,
            threshold,
            quorum: (2 * committee).div_ceil(3),
            topology: Topology::Sparse { cycles, committee },
        })
    }

    /// `-log2` of the probability that the graph fails to keep its guarantee somewhere in a whole job (SA-21); `None` for a complete graph,
    /// which cannot fail.
    #[must_use]
    pub fn security_bits(&self) -> Option<f64> {
        match self.topology {
            Topology::Complete => None,
            Topology::Sparse { .. } => Some(graph::security_of(self)),
        }
    }

    /// Any numbers on a complete graph, for the tests that show why SA-01 refuses them.
    #[cfg(test)]
    pub(crate) fn insecure(
        parties: u16,
        colluders: u16,
        drops: u16,
        threshold: u8,
        quorum: u16,
    ) -> Self {
        Self {
            parties,
            colluders,
            drops,
            threshold,
            quorum,
            topology: Topology::Complete,
        }
    }

    /// `n`.
    #[must_use]
    pub fn parties(&self) -> u16 {
        self.parties
    }

    /// Who shares masks with whom.
    #[must_use]
    pub fn topology(&self) -> Topology {
        self.topology
    }

    /// `k`: the most neighbours a party has.
    #[must_use]
    pub fn neighbours(&self) -> u16 {
        match self.topology {
            Topology::Complete => self.parties - 1,
            Topology::Sparse { cycles, .. } => cycles.saturating_mul(2).min(self.parties - 1),
        }
    }

    /// `L`: how many parties may sign.
    #[must_use]
    pub fn committee(&self) -> u16 {
        match self.topology {
            Topology::Complete => self.parties,
            Topology::Sparse { committee, .. } => committee,
        }
    }

    /// `c`: parties that may pool what they know with the coordinator.
    #[must_use]
    pub fn colluders(&self) -> u16 {
        self.colluders
    }

    /// `d`: parties that may stop answering in an attempt.
    #[must_use]
    pub fn drops(&self) -> u16 {
        self.drops
    }

    /// `t`: shares that open a secret, of those of its dealer's closed neighbourhood.
    #[must_use]
    pub fn threshold(&self) -> u16 {
        u16::from(self.threshold)
    }

    /// `Q`: signatures that fix a survivor set.
    #[must_use]
    pub fn quorum(&self) -> u16 {
        self.quorum
    }

    /// The fewest survivors a party accepts: `max(n - d, t, Q)`.
    #[must_use]
    pub fn survivor_floor(&self) -> u16 {
        (self.parties() - self.drops)
            .max(self.threshold())
            .max(self.quorum)
    }

    pub(crate) fn sharing_threshold(&self) -> u8 {
        self.threshold
    }

    pub(crate) fn n(&self) -> usize {
        usize::from(self.parties)
    }

    pub(crate) fn is_sparse(&self) -> bool {
        matches!(self.topology, Topology::Sparse { .. })
    }

    pub(crate) fn everyone(&self) -> impl Iterator<Item = PartyIndex> + use<> {
        (0..self.parties()).map(PartyIndex::new)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (cycles, committee) = match self.topology {
            Topology::Complete => (0, 0),
            Topology::Sparse { cycles, committee } => (cycles, committee),
        };
        [
            self.parties(),
            self.colluders,
            self.drops,
            self.threshold(),
            self.quorum,
            cycles,
            committee,
        ]
        .into_iter()
        .flat_map(u16::to_le_bytes)
        .collect()
    }
}

fn checked_threshold(threshold: u16, colluders: u16, remaining: u16) -> Result<u8, ParameterError> {
    let nearest = (colluders + 1).max(2);
    if threshold < nearest {
        return Err(ParameterError::ThresholdTooLow { threshold, nearest });
    }
    match u8::try_from(threshold) {
        Ok(t) if threshold <= remaining => Ok(t),
        _ => Err(ParameterError::ThresholdTooHigh {
            threshold,
            remaining,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sa01_derived_choices() {
        for (n, c, d, t, q, floor) in [
            (2, 0, 0, 2, 2, 2),
            (3, 0, 1, 2, 2, 2),
            (3, 1, 0, 3, 3, 3),
            (5, 2, 1, 4, 4, 4),
            (10, 3, 3, 7, 7, 7),
            (10, 3, 1, 7, 7, 9),
        ] {
            let p = Parameters::new(n, c, d, None, None).unwrap();
            assert_eq!(
                (p.threshold(), p.quorum(), p.survivor_floor()),
                (t, q, floor)
            );
        }
    }

    #[test]
    fn sa01_names_the_inequality_and_the_nearest_choice() {
        use ParameterError as E;
        let new = Parameters::new;
        assert_eq!(new(1, 0, 0, None, None), Err(E::Parties(1)));
        assert_eq!(new(256, 0, 0, None, None), Err(E::Parties(256)));
        assert_eq!(
            new(2, 1, 0, None, None),
            Err(E::Colluders {
                parties: 2,
                colluders: 1,
                nearest: 0
            })
        );
        assert_eq!(
            new(3, 1, 1, None, None),
            Err(E::QuorumTooHigh {
                quorum: 3,
                remaining: 2,
                nearest_drops: 0
            })
        );
        assert_eq!(
            new(5, 2, 2, None, None),
            Err(E::QuorumTooHigh {
                quorum: 4,
                remaining: 3,
                nearest_drops: 1
            })
        );
        assert_eq!(
            new(5, 2, 0, None, Some(3)),
            Err(E::QuorumTooLow {
                quorum: 3,
                nearest: 4
            })
        );
        assert_eq!(
            new(5, 2, 0, Some(2), None),
            Err(E::ThresholdTooLow {
                threshold: 2,
                nearest: 3
            })
        );
        assert_eq!(
            new(5, 0, 0, Some(1), None),
            Err(E::ThresholdTooLow {
                threshold: 1,
                nearest: 2
            })
        );
        assert_eq!(
            new(5, 2, 1, Some(5), None),
            Err(E::ThresholdTooHigh {
                threshold: 5,
                remaining: 4
            })
        );
        assert!(new(5, 0, u16::MAX, None, None).is_err());
    }

    proptest! {
        #[test]
        fn sa01_whatever_is_accepted_satisfies_all(n in 0u16..300, c in 0u16..300, d in 0u16..300, t: Option<u8>, q: Option<u8>) {
            if let Ok(p) = Parameters::new(n, c, d, t.map(u16::from), q.map(u16::from)) {
                let (t, q) = (p.threshold(), p.quorum());
                prop_assert!((2..=255).contains(&n) && t > c && t >= 2 && 2 * q > n + c && t <= n - d && q <= n - d);
                prop_assert!(p.survivor_floor() >= c + 2 && q >= c + 2);
            }
        }
    }
}
