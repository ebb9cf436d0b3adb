//! The ratchet of a party's pair roots (SA-06).

use lepton_crypto::Seed;

use crate::{Attempt, CallerReason};

const MAX_SKIPPED_ROUNDS: u64 = 1 << 16;
const MAX_SKIPPED_ATTEMPTS: u64 = 1 << 10;

/// One peer's chain: secrets of what has not been used yet, and of nothing else.
struct Chain {
    /// From which every later round follows.
    later: Seed,
    /// From which the next attempts of the present round follow.
    present: Seed,
}

/// The chains with all neighbours, which move together.
pub(crate) struct Chains {
    round: u64,
    next_attempt: u64,
    chains: Vec<Chain>,
}

impl Chains {
    /// Chains from the pair roots, in the order of the neighbours; round 0 begins.
    pub(crate) fn new(roots: &[Seed]) -> Self {
        let chains = roots.iter().map(Chain::enter).collect();
        Self {
            round: 0,
            next_attempt: 0,
            chains,
        }
    }

    /// Refuses an attempt that was used or passed by, or lies too far ahead; changes nothing.
    pub(crate) fn check(&self, to: Attempt) -> Result<(), CallerReason> {
        let Attempt { round, attempt } = to;
        if (round, u64::from(attempt)) < (self.round, self.next_attempt) {
            return Err(CallerReason::Spent { round, attempt });
        }
        let passed = if round == self.round {
            self.next_attempt
        } else {
            0
        };
        if round - self.round > MAX_SKIPPED_ROUNDS
            || u64::from(attempt) - passed > MAX_SKIPPED_ATTEMPTS
        {
            return Err(CallerReason::Skipped { round, attempt });
        }
        Ok(())
    }

    /// The attempt's secret with each neighbour. Deletes everything from which it or an earlier one could be derived again.
    pub(crate) fn take(&mut self, to: Attempt) -> Result<Vec<Seed>, CallerReason> {
        self.check(to)?;
        let rounds = to.round - self.round;
        let passed = if rounds == 0 { self.next_attempt } else { 0 };
        let attempts = u64::from(to.attempt) - passed;
        self.round = to.round;
        self.next_attempt = u64::from(to.attempt) + 1;
        Ok(self
            .chains
            .iter_mut()
            .map(|chain| chain.take(rounds, attempts))
            .collect())
    }
}

impl Chain {
    fn enter(round: &Seed) -> Self {
        Self {
            later: round.derive("next round", b""),
            present: round.derive("attempts", b""),
        }
    }

    fn take(&mut self, rounds: u64, attempts: u64) -> Seed {
        for _ in 0..rounds {
            *self = Self::enter(&self.later);
        }
        for _ in 0..attempts {
            self.present = self.present.derive("next attempt", b"");
        }
        let secret = self.present.derive("attempt", b"");
        self.present = self.present.derive("next attempt", b"");
        secret
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chains() -> Chains {
        Chains::new(&[Seed::from_bytes([1; 32]), Seed::from_bytes([2; 32])])
    }

    fn at(round: u64, attempt: u32) -> Attempt {
        Attempt { round, attempt }
    }

    #[test]
    fn sa06_skipping_leads_to_the_same_secrets() {
        let (mut steady, mut sleepy) = (chains(), chains());
        for round in 0..5 {
            for attempt in 0..3 {
                steady.take(at(round, attempt)).unwrap();
            }
        }
        sleepy.take(at(1, 2)).unwrap();
        let (a, b) = (
            steady.take(at(7, 4)).unwrap(),
            sleepy.take(at(7, 4)).unwrap(),
        );
        assert!(a[0] == b[0] && a[1] == b[1] && a[0] != a[1]);
        let (a, b) = (
            steady.take(at(7, 5)).unwrap(),
            sleepy.take(at(7, 6)).unwrap(),
        );
        assert!(a[1] != b[1]);
        assert!(steady.take(at(7, 6)).unwrap()[1] == b[1]);
    }

    #[test]
    fn sa06_never_back_and_never_too_far() {
        let mut c = chains();
        c.take(at(3, 1)).unwrap();
        for (round, attempt) in [(3, 1), (3, 0), (2, 9), (0, 0)] {
            assert_eq!(
                c.take(at(round, attempt)).err(),
                Some(CallerReason::Spent { round, attempt })
            );
        }
        for (round, attempt) in [(u64::MAX, 0), (4 + (1 << 16), 0), (3, 2000), (4, u32::MAX)] {
            assert_eq!(
                c.take(at(round, attempt)).err(),
                Some(CallerReason::Skipped { round, attempt })
            );
        }
        c.take(at(3, 2)).unwrap();
        c.take(at(3 + (1 << 10), 1 << 10)).unwrap();
    }
}
