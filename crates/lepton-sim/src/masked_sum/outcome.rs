//! What a simulation of masked sums leaves behind.

use std::collections::BTreeMap;

use lepton_crypto::Digest;
use lepton_secagg::{Attempt, Fault, PartyIndex};

/// What happened. With the same configuration everything is the same again.
#[derive(Debug)]
pub struct MaskedSumOutcome {
    /// The seed.
    pub seed: u64,
    /// Why the coordinator could not begin, if it could not.
    pub set_up: Option<Fault>,
    /// What became of each round.
    pub rounds: Vec<RoundOutcome>,
    /// What parties refused.
    pub party_faults: Vec<PartyFault>,
    /// What the coordinator refused without ending an attempt.
    pub refused: Vec<(Attempt, Fault)>,
    /// What must never be. After every message that an honest party sends and every sum:
    /// - an opened sum is exactly the sum of the vectors of the survivors that were signed;
    /// - honest parties open under at most one survivor hash in an attempt (SA-14, SA-16), each once, and each makes one message (a) (SA-06);
    /// - a message (c) has shares of what SA-17 says and commitments of all else, by the dealers' own commitments;
    /// - an honest party's self mask can be combined from what was opened and what colluders hold only if the party is in the opened set, and the pair
    ///   seed of two honest survivors never (SA-17);
    /// - no honest party is accused of what the rules promise to name the culprit of (SA-13, SA-15, SA-18).
    ///
    /// At the end, for every attempt: the crowds of honest parties whose sum the adversary can compute are none, or the one of all honest survivors,
    /// of at least `n - d - c`; with groups, those of the honest survivors of each, of at least the groups' floor less `c` (SA-26).
    pub violations: Vec<String>,
    /// Attempts in which an insecure graph, or colluders beyond those that parameters allow for, left honest survivors without a common mask, a party with
    /// too many colluders around it, or the committee with too many: the privacy checks above say nothing there.
    pub frail: u64,
    /// Messages that arrived.
    pub messages: u64,
    /// Messages that arrived out of place: for another attempt or step.
    pub out_of_place: u64,
    /// Virtual time at the end.
    pub now: u64,
    /// Digest of every arrival.
    pub digest: Digest,
}

/// What became of a round: its attempts in order.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundOutcome {
    /// The round.
    pub round: u64,
    /// Each but the last was aborted.
    pub attempts: Vec<AttemptEnd>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptEnd {
    /// With the exact sum of these parties.
    Exact(Vec<PartyIndex>),
    /// Without one, and why.
    Aborted(Fault),
}

/// Something that a party refused.
#[derive(Debug, Clone, PartialEq)]
pub struct PartyFault {
    /// Who refused.
    pub party: u16,
    /// When; the first attempt during the set-up.
    pub attempt: Attempt,
    /// What.
    pub fault: Fault,
}

impl AttemptEnd {
    /// A few words to count by.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Exact(_) => "exact".to_owned(),
            Self::Aborted(Fault::TooFew { step, .. }) => format!("too few at {step}"),
            Self::Aborted(Fault::Pair(..)) => "two parties contradict each other".to_owned(),
            Self::Aborted(Fault::Peer(_, reason)) => format!("a party {reason}"),
            Self::Aborted(fault) => fault.to_string(),
        }
    }
}

impl RoundOutcome {
    /// Whether the round has its sum.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        matches!(self.attempts.last(), Some(AttemptEnd::Exact(_)))
    }

    /// The last attempt's words.
    #[must_use]
    pub fn words(&self) -> String {
        self.attempts
            .last()
            .map_or_else(|| "no attempt".to_owned(), AttemptEnd::words)
    }
}

impl MaskedSumOutcome {
    /// How many rounds ended how. A run without set-up counts once.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        if self.set_up.is_some() {
            counts.insert("set-up refused".to_owned(), 1);
        }
        for round in &self.rounds {
            *counts.entry(round.words()).or_default() += 1;
        }
        counts
    }

    /// Whether every round has its sum.
    #[must_use]
    pub fn all_exact(&self) -> bool {
        !self.rounds.is_empty() && self.rounds.iter().all(RoundOutcome::is_exact)
    }
}
