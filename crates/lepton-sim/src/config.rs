//! What a simulation is given.

use std::ops::RangeInclusive;

use lepton_protocol::ledger::Charge;
use lepton_protocol::training::StartModel;
use lepton_protocol::work::PartyRows;

use crate::intercept::Interceptor;

/// A simulation: who, what, over which network, with which faults. Times are virtual milliseconds from the start.
pub struct SimConfig {
    /// From which all randomness follows, identities included.
    pub seed: u64,
    /// The parties, in roster order.
    pub parties: Vec<SimParty>,
    /// The effective job file: columns and their types named.
    pub job: String,
    /// How frames travel.
    pub network: Network,
    /// What goes wrong.
    pub faults: Vec<SimFault>,
    /// Who sees and changes frames.
    pub intercept: Option<Box<dyn Interceptor>>,
    /// How long the coordinator waits at each step.
    pub patience: u64,
    /// Where the coordinator is killed, if anywhere.
    pub stop: Option<Stop>,
    /// What the coordinator begins from.
    pub start: Option<StartModel>,
    /// What the parties know the job to begin from.
    pub signed_start: Option<StartModel>,
}

impl SimConfig {
    /// An undisturbed network, 10 s of patience.
    #[must_use]
    pub fn new(seed: u64, job: String, parties: Vec<SimParty>) -> Self {
        Self {
            seed,
            parties,
            job,
            network: Network::default(),
            faults: Vec::new(),
            intercept: None,
            patience: 10_000,
            stop: None,
            start: None,
            signed_start: None,
        }
    }
}

/// One party.
#[derive(Debug, Clone)]
pub struct SimParty {
    /// Its name, for reports.
    pub name: String,
    /// Its rows.
    pub rows: PartyRows,
    /// What its ledger holds already.
    pub spent: Vec<Charge>,
}

impl SimParty {
    /// A party with an empty ledger.
    #[must_use]
    pub fn new(name: &str, rows: PartyRows) -> Self {
        Self {
            name: name.to_owned(),
            rows,
            spent: Vec::new(),
        }
    }
}

/// How frames travel. Probabilities are per frame.
#[derive(Debug, Clone)]
pub struct Network {
    /// Delay of a frame.
    pub delay: RangeInclusive<u64>,
    /// Time to compute a vector.
    pub compute: RangeInclusive<u64>,
    /// Probability that the connection breaks under a frame.
    pub loss: f64,
    /// How long a broken connection stays down.
    pub outage: RangeInclusive<u64>,
    /// Probability that a frame arrives twice.
    pub duplication: f64,
    /// Probability that a frame may overtake others.
    pub reorder: f64,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            delay: 1..=20,
            compute: 1..=50,
            loss: 0.0,
            outage: 1..=1_000,
            duplication: 0.0,
            reorder: 0.0,
        }
    }
}

/// A fault of one party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimFault {
    /// Its position in the roster.
    pub party: u16,
    /// When.
    pub when: When,
    /// What.
    pub kind: FaultKind,
}

/// When a fault holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// From this time until that.
    Time(u64, u64),
    /// From exchange `from`, once the party has sent `after` frames in it (0 before its input, 1 after it, 2 after its signature), until exchange
    /// `until` begins; a party whose connection comes back then is asked again in the exchange after it. Exchanges are counted from 1.
    Exchange {
        /// First exchange.
        from: u64,
        /// Frames the party still sends in it.
        after: u8,
        /// First exchange without the fault.
        until: u64,
    },
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The connection is down.
    Drop,
    /// Everything the party sends takes this much longer.
    Slow(u64),
    /// The process is killed and restarts at the end of the fault, with its store and ledger and nothing else: it takes part again only in a new epoch.
    Crash,
}

/// Where the coordinator is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// At this time.
    Time(u64),
    /// After this many events.
    Steps(u64),
}

/// Why a simulation cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The job is not valid.
    #[error("the simulated job is not valid: {0}")]
    Job(String),
    /// The job cannot be planned for these parties.
    #[error(transparent)]
    Plan(#[from] lepton_protocol::plan::PlanError),
    /// What an earlier run left behind does not fit.
    #[error("the earlier run cannot be resumed: {0}")]
    Resume(String),
}
