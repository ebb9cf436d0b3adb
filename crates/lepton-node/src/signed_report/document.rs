//! The privacy report: what was protected, against whom, how strongly, on which assumptions, and what was not. Every field is described in
//! `docs/privacy-report.md`.

use lepton_dp::{DistributedNoise, Event, NoiseMultiplier, SamplingRate};
use serde::{Deserialize, Serialize};

/// The `type` of this document.
pub const PRIVACY_REPORT: &str = "privacy-report";

/// The version of its schema that this program writes and reads.
pub const VERSION: u32 = 1;

/// What a run releases about its data, for people who have to answer for it. Nothing in it is made from raw rows: it may be passed on wherever the
/// model goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrivacyReport {
    /// [`PRIVACY_REPORT`].
    #[serde(rename = "type")]
    pub kind: String,
    /// [`VERSION`]. Fields are added within a version, never renamed or removed.
    pub version: u32,
    /// Version of the program that wrote it.
    pub lepton_version: String,
    /// Whether one process played all parties.
    pub simulated: bool,
    /// The whole in one sentence or two.
    pub summary: String,
    /// Which run.
    pub run: RunFacts,
    /// What is protected.
    pub protected: Protected,
    /// What was promised before the run; absent without a privacy goal.
    pub goal: Option<Goal>,
    /// Against whom, and how strongly.
    pub adversaries: Vec<Adversary>,
    /// Every noisy release, grouped; empty without a privacy goal.
    pub mechanisms: Vec<Mechanism>,
    /// Everything the statement rests on.
    pub assumptions: Vec<String>,
    /// Everything that is not protected.
    pub not_protected: Vec<String>,
    /// Everything weaker than the default that this run touched.
    pub insecure: Vec<String>,
    /// The parameters of the masked sums.
    pub masked_sum: MaskedSum,
    /// Each party's part.
    pub parties: Vec<PartyFacts>,
    /// Files that belong to this report.
    pub files: Vec<FileHash>,
    /// Where these facts are of use in data-protection law.
    pub law: Law,
    /// What the keys of the signers are worth.
    pub identities: String,
    /// Who signs: exactly these.
    pub signers: Vec<Signer>,
}

/// Which run it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// The job's name.
    pub job: String,
    /// Folder name of the run.
    pub folder: String,
    /// Start, RFC 3339 in UTC.
    pub started: String,
    /// SHA-256 of the effective job file.
    pub job_sha256: String,
    /// Rounds that went into the model.
    pub rounds: u32,
    /// Rounds the job asked for.
    pub rounds_planned: u32,
}

/// What one guarantee protects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Protected {
    /// `record`; absent without a privacy goal.
    pub unit: Option<String>,
    /// `add-remove`; absent without a privacy goal.
    pub adjacency: Option<String>,
    /// What the guarantee says, in words.
    pub meaning: String,
    /// Which releases it covers, in words.
    pub covers: String,
    /// `rdp`; absent without a privacy goal.
    pub accountant: Option<String>,
}

/// What was promised.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// Largest epsilon, against every adversary of the report.
    pub epsilon: f64,
    /// At this delta.
    pub delta: f64,
}

/// Somebody who looks, and what bounds what they can learn about one unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adversary {
    /// `public`, `coordinator` or `other_parties`.
    pub name: String,
    /// Who that is, in words.
    pub who: String,
    /// What they see, in words.
    pub sees: String,
    /// Epsilon spent at the goal's delta, rounded up; absent where there is no bound.
    pub epsilon: Option<f64>,
    /// That delta.
    pub delta: Option<f64>,
    /// Epsilon at other deltas, rounded up. Each pair holds for the same releases.
    pub curve: Vec<CurvePair>,
    /// Errors of whoever tests for one record (f-DP).
    pub trade_off: Vec<TradeOff>,
}

/// An (epsilon, delta) pair.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePair {
    /// Delta.
    pub delta: f64,
    /// Epsilon, rounded up.
    pub epsilon: f64,
}

/// Whoever decides with at most this chance of a false alarm whether a record was there misses it with at least that chance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TradeOff {
    /// Chance of a false alarm.
    pub false_alarm: f64,
    /// Least chance of a miss, rounded down.
    pub miss_at_least: f64,
}

/// A kind of noisy release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mechanism {
    /// `survey`, `statistics`, `training`, `evaluation` or `final evaluation`.
    pub release: String,
    /// `training records` or `hold-out records`.
    pub records: String,
    /// Name of the mechanism.
    pub mechanism: String,
    /// How often it was charged.
    pub times: u64,
    /// Chance of each record to take part.
    pub sampling_rate: f64,
    /// As the coordinator with its colluders sees it.
    pub coordinator: NoiseSeen,
    /// As the public sees it.
    pub public: NoiseSeen,
}

/// Noise as one adversary sees it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NoiseSeen {
    /// Standard deviation of the noise over what one record can change.
    pub noise_multiplier: f64,
    /// Shares of noise that the adversary does not know; absent where the noise is one party's alone.
    pub shares: Option<u32>,
    /// Standard deviation of each share, in integer units.
    pub sigma_share: Option<u64>,
    /// Length of the vector.
    pub length: Option<u64>,
}

/// The parameters of the masked sums (`docs/protocols/masked-sum.md`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaskedSum {
    /// `complete` (every two parties share a mask) or `sparse`.
    pub graph: String,
    /// Parties that each party shares masks with, at most.
    pub neighbours: u32,
    /// Of a sparse graph: the chance that it fails to separate somewhere in the job is at most 2 to the minus this; rounded down.
    pub graph_failure_bits: Option<f64>,
    /// n.
    pub parties: u32,
    /// c: parties that may pool what they know with the coordinator.
    pub colluders: u32,
    /// d: parties that a sum may lose.
    pub drops: u32,
    /// t: shares that open a secret.
    pub threshold: u32,
    /// Q: signatures that fix the list of survivors.
    pub quorum: u32,
    /// Parties that may sign.
    pub committee: u32,
    /// Fewest parties that a party lets itself be summed with, in all groups together.
    pub survivor_floor: u32,
    /// Sums that each training round opens: one, or one for each group of parties.
    pub groups: u32,
    /// Fewest parties in each of them, where there are groups.
    pub group_floor: Option<u32>,
    /// Shares that open a secret in a training round, where there are groups.
    pub group_threshold: Option<u32>,
    /// Sums completed.
    pub sums: u64,
    /// Attempts given up.
    pub abandoned: u64,
}

/// A party's part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartyFacts {
    /// Its name.
    pub name: String,
    /// Sums that hold its numbers.
    pub sums_joined: u64,
    /// Sums that went without it.
    pub sums_missed: u64,
    /// Epsilon that its own ledger holds for this job, rounded up; absent without a privacy goal.
    pub epsilon_charged: Option<f64>,
    /// Head of the ledger that outlives the job; absent where there is none.
    pub ledger_head: Option<LedgerHead>,
}

/// Where a ledger stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerHead {
    /// How many entries.
    pub entries: u64,
    /// Hash of the last one, lower-case hexadecimal.
    pub hash: String,
}

/// A file and its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHash {
    /// Where it lies, from the folder of this report.
    pub file: String,
    /// What it is.
    pub what: String,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// Uses in data-protection law.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Law {
    /// How to read the lines.
    pub note: String,
    /// The lines.
    pub lines: Vec<LawLine>,
}

/// A provision and what this report has for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LawLine {
    /// `GDPR` or `CCPA`.
    pub law: String,
    /// Where.
    pub provision: String,
    /// What it is about.
    pub subject: String,
    /// What this report supplies.
    pub supplied: String,
    /// What it does not.
    pub open: String,
}

/// Who signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// `coordinator` or `party`.
    pub role: String,
    /// The party's name; absent for the coordinator.
    pub party: Option<String>,
    /// Ed25519 public key, 64 lower-case hexadecimal digits.
    pub public_key: String,
}

impl Signer {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.party {
            Some(party) => format!("{} {party}", self.role),
            None => self.role.clone(),
        }
    }
}

impl NoiseSeen {
    /// From what the accountant was given.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let noise = match event {
            Event::Distributed { noise, .. } => Some(noise),
            _ => None,
        };
        Self {
            noise_multiplier: event.noise_multiplier().get(),
            shares: noise.map(DistributedNoise::parties),
            sigma_share: noise.map(DistributedNoise::sigma_each),
            length: noise.map(|noise| noise.dims() as u64),
        }
    }

    /// Back to what an accountant adds up.
    ///
    /// # Errors
    /// [`lepton_dp::DpError`] for numbers that no release has.
    pub fn event(&self, sampling_rate: f64) -> Result<Event, lepton_dp::DpError> {
        let event = Event::SampledGaussian {
            sampling_rate: SamplingRate::new(sampling_rate)?,
            noise_multiplier: NoiseMultiplier::new(self.noise_multiplier)?,
        };
        let shares = self.shares.zip(self.sigma_share).zip(self.length);
        let Some(((shares, sigma), length)) = shares else {
            return Ok(event);
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(event.with_slack(DistributedNoise::new(shares, sigma, length)?))
    }
}
