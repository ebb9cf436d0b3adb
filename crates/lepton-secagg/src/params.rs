//! Who takes part, and how many may fail.

use core::fmt;

use thiserror::Error;

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

/// Parameters that satisfy every inequality of SA-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    parties: u8,
    colluders: u16,
    drops: u16,
    threshold: u8,
    quorum: u16,
}

/// A violated inequality of SA-01 and the nearest choice that satisfies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ParameterError {
    /// `2 <= n <= 255` is violated.
    #[error("{0} parties: a masked sum needs 2 to 255")]
    Parties(u16),
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
        let Some(n) = u8::try_from(parties).ok().filter(|n| *n >= 2) else {
            return Err(ParameterError::Parties(parties));
        };
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
            parties: n,
            colluders,
            drops,
            threshold,
            quorum,
        })
    }

    /// `n`.
    #[must_use]
    pub fn parties(&self) -> u16 {
        u16::from(self.parties)
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

    /// `t`: shares that open a secret.
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

    pub(crate) fn shares(&self) -> u8 {
        self.parties
    }

    pub(crate) fn sharing_threshold(&self) -> u8 {
        self.threshold
    }

    pub(crate) fn n(&self) -> usize {
        usize::from(self.parties)
    }

    pub(crate) fn everyone(&self) -> impl Iterator<Item = PartyIndex> + use<> {
        (0..self.parties()).map(PartyIndex::new)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [
            self.parties(),
            self.colluders,
            self.drops,
            self.threshold(),
            self.quorum,
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
