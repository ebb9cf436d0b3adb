//! What a simulation leaves behind.

use lepton_crypto::Digest;
use lepton_protocol::exchange::Kind;
use lepton_protocol::frame::{Address, Step};
use lepton_protocol::plan::Plan;
use lepton_protocol::progress::Progress;
use lepton_protocol::training::Training;

use crate::memory::{MemoryLedger, MemoryStore};

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The job is over.
    Over,
    /// The coordinator stopped, for this cause.
    Fault(String),
    /// The coordinator was killed as asked.
    Killed,
    /// Nothing was left to happen although the job is not over: always a mistake of the machines.
    Stuck,
}

/// What survives the death of every process.
#[derive(Debug, Clone, Default)]
pub struct Durable {
    /// Epoch of the run that ended.
    pub epoch: u64,
    /// The coordinator's store.
    pub coordinator: MemoryStore,
    /// The parties' stores.
    pub stores: Vec<MemoryStore>,
    /// The parties' ledgers.
    pub ledgers: Vec<MemoryLedger>,
}

/// A sum that was opened and checked against the plain one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedSum {
    /// Number of the exchange.
    pub exchange: u64,
    /// What for.
    pub kind: Kind,
    /// Whose vectors it holds.
    pub survivors: Vec<u16>,
    /// The plain sum; with groups, the groups' sums of a training exchange, one after the other.
    pub sum: Vec<i64>,
}

/// A frame that was sent, before anybody intercepted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub at: u64,
    /// By whom.
    pub from: Address,
    /// To whom.
    pub to: Address,
    /// The step, if it is a frame.
    pub step: Option<Step>,
    /// Number of the exchange; 0 during set-up.
    pub exchange: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The end as a party saw it. A simulation has no secrets: the slot key is here so that tests can look for it elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Finale {
    /// Final parameters.
    pub parameters: Vec<f64>,
    /// Rounds that went into them, as the party was told.
    pub rounds: u32,
    /// Key of the category slots.
    pub slot_key: Option<[u8; 32]>,
}

/// The outcome.
pub struct SimOutcome {
    /// The seed.
    pub seed: u64,
    /// The plan of the job.
    pub plan: Plan,
    /// How it ended.
    pub end: End,
    /// The course of the job.
    pub training: Training,
    /// What the coordinator told its watchers, with the time.
    pub events: Vec<(u64, Progress)>,
    /// What the coordinator refused and went on.
    pub refused: Vec<String>,
    /// What each party refused.
    pub faults: Vec<Vec<String>>,
    /// What each party was left with, if it saw the end.
    pub finished: Vec<Option<Finale>>,
    /// Sums opened.
    pub sums: Vec<CheckedSum>,
    /// What must never happen and did: a wrong sum, a sample without a charge.
    pub violations: Vec<String>,
    /// All frames.
    pub frames: Vec<Sent>,
    /// Events that happened.
    pub steps: u64,
    /// Virtual time at the end.
    pub now: u64,
    /// Hash of everything that was delivered, in order: equal for equal runs.
    pub digest: Digest,
    /// What survives.
    pub durable: Durable,
}

impl SimOutcome {
    /// Whether the job came to its end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.end == End::Over && self.training.is_over()
    }
}
