//! What a simulation of masked sums is given.

use std::collections::BTreeSet;
use std::sync::Arc;

use lepton_ring::Modulus;
use lepton_secagg::{Grouping, Parameters};

use super::MessageInterceptor;
use crate::Network;

/// A simulation: who, over which network, with which mishaps. Times are virtual milliseconds.
pub struct MaskedSumConfig {
    /// From which all randomness follows, identities included.
    pub seed: u64,
    /// The epoch's number. Epochs of one seed have the same identities and different keys.
    pub epoch: u64,
    /// The number of parties, and what they tolerate.
    pub params: Parameters,
    /// Groups with a sum each (SA-25); one sum over all without.
    pub grouping: Option<Arc<Grouping>>,
    /// Ring of the vectors.
    pub modulus: Modulus,
    /// Entries of the vectors.
    pub len: usize,
    /// Rounds.
    pub rounds: u64,
    /// Most attempts of a round.
    pub attempts: u32,
    /// How messages travel. A lost message takes its link down for the outage.
    pub network: Network,
    /// How long the coordinator waits at each step.
    pub patience: u64,
    /// Time between two parties that are shown the survivors together with the signatures.
    pub pace: u64,
    /// What goes wrong.
    pub mishaps: Vec<Mishap>,
    /// Parties that pool what they know with the coordinator. Their machines are those of honest parties; what they do beside is up to the interceptor.
    pub colluders: BTreeSet<u16>,
    /// Whether nobody but colluders changes messages: then faults must name colluders.
    pub honest_coordinator: bool,
    /// How parties come to the epoch's keys.
    pub set_up: SetUp,
    /// Who sees and changes messages.
    pub intercept: Option<Box<dyn MessageInterceptor>>,
}

impl MaskedSumConfig {
    /// One round of one attempt, 16 bits, vectors of 8, everybody honest, an undisturbed network.
    #[must_use]
    pub fn new(seed: u64, params: Parameters) -> Self {
        Self {
            seed,
            epoch: 0,
            params,
            grouping: None,
            modulus: Modulus::new(16).expect("16 bits are a modulus"),
            len: 8,
            rounds: 1,
            attempts: 1,
            network: Network::default(),
            patience: 2_000,
            pace: 1,
            mishaps: Vec::new(),
            colluders: BTreeSet::new(),
            honest_coordinator: true,
            set_up: SetUp::Shared,
            intercept: None,
        }
    }
}

/// How parties come to the epoch's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetUp {
    /// Keys are verified once for all parties of the process; no message of the set-up can be intercepted.
    Shared,
    /// Every party is sent all adverts and reveals, and verifies for itself.
    Each,
}

/// Something that happens to one party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mishap {
    /// Its position in the roster.
    pub party: u16,
    /// The round in which it happens.
    pub round: u64,
    /// What.
    pub kind: MishapKind,
}

/// What happens to a party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MishapKind {
    /// It is gone once it has sent this many messages of the attempt (0 to 3), and is back when a later round begins: the attempt is lost to it,
    /// the epoch is not.
    Leaves {
        /// Messages it still sends.
        after: u8,
        /// It is back this many rounds later.
        rounds: u64,
    },
    /// It is killed likewise, and with its memory the epoch is lost to it.
    Killed {
        /// Messages it still sends.
        after: u8,
    },
    /// Its vector takes this much longer.
    Slow(u64),
}
