//! What a policy decides about, and how it answers.

use std::fmt;

use lepton_crypto::{Digest, hash};
use lepton_dp::{Delta, Epsilon};
use serde::{Deserialize, Serialize};

use super::time::Moment;
use super::words::Role;
use crate::job::{Aggregation, Combine, DataSource, Job, Task, Unit};
use crate::plan::Plan;
use crate::public::{Moments, PublicState};

/// Who submits, as the verified certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitter {
    /// Name of the member.
    pub name: String,
    /// Serial number of the certificate, in hexadecimal digits.
    pub serial: String,
    /// Roles of the member.
    pub roles: Vec<Role>,
}

/// What a party derives by itself from the job and the number of parties: never taken from a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    pub(super) parties: u16,
    pub(super) colluders: u16,
    pub(super) threshold: u16,
    pub(super) quorum: u16,
    pub(super) columns: Vec<String>,
    pub(super) table: Option<String>,
    pub(super) task: Task,
    pub(super) aggregation: Aggregation,
    pub(super) grouped: bool,
    pub(super) goal: Option<(Epsilon, Delta, Unit)>,
    pub(super) parameters: u64,
    pub(super) rounds: u32,
    pub(super) insecure_seed: bool,
    pub(super) started: bool,
    digest: Digest,
}

impl Figures {
    /// The figures of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let (job, sums) = (plan.job(), plan.parameters());
        let columns = plan.features().iter().map(|feature| feature.name.clone());
        let goal = job
            .privacy()
            .map(|goal| (goal.epsilon, goal.delta, goal.unit));
        Self {
            parties: sums.parties(),
            colluders: sums.colluders(),
            threshold: sums.threshold(),
            quorum: sums.quorum(),
            columns: columns
                .chain(plan.person_column().map(str::to_owned))
                .chain([plan.label_name().to_owned()])
                .collect(),
            table: table_of(job),
            task: job.job().task,
            aggregation: job.protection().aggregation,
            grouped: job.training().combine != Combine::Mean,
            goal,
            parameters: known_parameters(plan),
            rounds: plan.rounds(),
            insecure_seed: job.job().insecure_seed.is_some(),
            started: job.model().start.is_some(),
            digest: hash("lepton policy request", &[&job.digest_bytes()]),
        }
    }

    /// What an approval is bound to: the whole job file (PO-15).
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Name of the table; none where the job names one per party, which only a simulation can.
    #[must_use]
    pub fn table(&self) -> Option<&str> {
        self.table.as_deref()
    }

    /// Every column that is read, the label last.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The job's goal; none for exact sums.
    #[must_use]
    pub fn goal(&self) -> Option<(Epsilon, Delta)> {
        self.goal.map(|(epsilon, delta, _)| (epsilon, delta))
    }
}

fn table_of(job: &Job) -> Option<String> {
    match &job.data().source {
        DataSource::Dealt { table, .. } => Some(table.clone()),
        DataSource::PerParty(_) => None,
    }
}

/// Trained numbers with nothing yet discovered but a label of two classes: never more than there will be.
fn known_parameters(plan: &Plan) -> u64 {
    let mut public = PublicState {
        rows: 1.0,
        moments: Some(std::collections::BTreeMap::<String, Moments>::new()),
        ..PublicState::default()
    };
    let label = plan.label_name().to_owned();
    if plan.discovered().contains(&label.as_str()) {
        public.kept.insert(label, vec![0, 1]);
    }
    let len = public
        .derive(plan)
        .ok()
        .and_then(|()| plan.model_len(&public).ok());
    // Where nothing is known yet, the look before the first round decides alone.
    len.and_then(|len| u64::try_from(len).ok()).unwrap_or(0)
}

/// A job that was accepted before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Granted {
    /// When.
    pub at: Moment,
    /// On which table.
    pub table: String,
    /// Its goal.
    pub epsilon: Epsilon,
    /// Its goal.
    pub delta: Delta,
}

/// What a policy decides about.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What the party derived from the job.
    pub figures: &'a Figures,
    /// Who submits it.
    pub submitter: &'a Submitter,
    /// Rows of the table at this party; `None` where the party has no such table.
    pub rows: Option<u64>,
    /// Now.
    pub now: Moment,
    /// Whether the job has begun here: then the hours, in which jobs may begin, are not asked for again (PO-14).
    pub begun: bool,
    /// The jobs accepted before, in any order, this one left out.
    pub granted: &'a [Granted],
    /// [`Figures::digest`] of the request that a person approved.
    pub approved: Option<Digest>,
}

/// A rule of `docs/protocols/policy.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// A simulation's seed.
    Seed,
    /// Who submits.
    Submitter,
    /// The table or the task.
    Table,
    /// A column.
    Column,
    /// Rows at this party.
    Rows,
    /// Number of parties.
    Parties,
    /// Colluders, threshold or quorum.
    Floors,
    /// How sums are made.
    Aggregation,
    /// A privacy goal is missing.
    Goal,
    /// The protected unit.
    Unit,
    /// Epsilon or delta of the job.
    Loss,
    /// Epsilon or delta of the period.
    Period,
    /// Size of the model, number of rounds.
    Size,
    /// Time of day or week.
    Hours,
    /// A person said no.
    Approval,
    /// Attempts at one round.
    Attempts,
    /// Exact sums at given parameters.
    Start,
}

impl Rule {
    /// Its number.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Seed => "PO-01",
            Self::Submitter => "PO-02",
            Self::Table => "PO-03",
            Self::Column => "PO-04",
            Self::Rows => "PO-05",
            Self::Parties => "PO-06",
            Self::Floors => "PO-07",
            Self::Aggregation => "PO-08",
            Self::Goal => "PO-09",
            Self::Unit => "PO-10",
            Self::Loss => "PO-11",
            Self::Period => "PO-12",
            Self::Size => "PO-13",
            Self::Hours => "PO-14",
            Self::Approval => "PO-15",
            Self::Attempts => "PO-16",
            Self::Start => "PO-18",
        }
    }
}

/// Why a job was refused: for the owner of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which rule.
    pub rule: Rule,
    /// What was asked, what is allowed. Stays at the party.
    pub words: String,
    pub(super) outward: String,
}

impl Refusal {
    /// The rule that may be named to others (PO-17): that a table has too few rows looks as if it were not open.
    #[must_use]
    pub fn outward_rule(&self) -> Rule {
        match self.rule {
            Rule::Rows => Rule::Table,
            rule => rule,
        }
    }

    /// What may be told to others (PO-17): made of the job and the policy, with nothing that comes from rows.
    #[must_use]
    pub fn outward(&self) -> &str {
        &self.outward
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.words, self.rule.id())
    }
}

/// What a policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The job may begin.
    Accept,
    /// It may once a person approved [`Figures::digest`]; the reason in words.
    NeedsApproval(String),
    /// It may not.
    Refuse(Refusal),
}
