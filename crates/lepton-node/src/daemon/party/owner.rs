//! What the owner of the data has said: the policy, the tables, what was granted so far. Blocking.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lepton_crypto::Digest;
use lepton_protocol::control::{JobDigest, Refusal};
use lepton_protocol::job::Job;
use lepton_protocol::plan::Plan;
use lepton_protocol::policy::{
    Decision, Figures, Granted, Moment, Policy, Refusal as Broken, Request, Role as PolicyRole,
    Rule, Submitter, explain,
};
use lepton_table::Table;

use crate::config::TableConfig;
use crate::daemon::own_table::{self, Mismatch};
use crate::daemon::record::Documents;
use crate::daemon::{Member, Role, effective};
use crate::error::NodeError;
use crate::hex::hex;
use crate::store::Database;
use crate::tables::{Part, read_text};

/// The owner's files.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Name of the party.
    pub name: String,
    /// The policy; read anew for every decision, so that a change counts at once.
    pub policy: PathBuf,
    /// The tables, by name.
    pub tables: BTreeMap<String, TableConfig>,
    /// The wall clock.
    pub now: fn() -> Moment,
}

/// What the owner says of a job.
pub(super) enum Word {
    Accept,
    /// A person decides; why.
    Ask(String),
}

/// A refusal, with the rule's number where it is one of the policy's.
pub(super) struct No {
    pub(super) refusal: Refusal,
    pub(super) rule: Option<String>,
    /// For the owner's own eyes.
    pub(super) own: String,
}

impl From<Broken> for No {
    fn from(broken: Broken) -> Self {
        let rule = broken.rule.id();
        Self {
            refusal: Refusal::new(broken.outward_rule().id(), broken.outward()),
            rule: Some(rule.to_owned()),
            own: broken.words,
        }
    }
}

impl From<Refusal> for No {
    /// Words that may leave the party are words for its log as well.
    fn from(refusal: Refusal) -> Self {
        let own = refusal.words.clone();
        Self {
            refusal,
            rule: None,
            own,
        }
    }
}

impl From<Mismatch> for No {
    fn from(mismatch: Mismatch) -> Self {
        Self {
            refusal: mismatch.public,
            rule: None,
            own: mismatch.own,
        }
    }
}

impl From<NodeError> for No {
    fn from(error: NodeError) -> Self {
        Self {
            refusal: failed(),
            rule: None,
            own: error.to_string(),
        }
    }
}

/// What may be said of a failure: nothing but that there was one.
pub(super) fn failed() -> Refusal {
    Refusal::new("party.failed", "it failed; its own log says why")
}

/// What a decision is about, beside the plan.
pub(super) struct Asked<'a> {
    pub(super) job: &'a JobDigest,
    pub(super) submitter: &'a Member,
    /// Whether a person at the party has approved this very job.
    pub(super) approved: bool,
    /// Whether its exchanges have begun here.
    pub(super) begun: bool,
    /// Parties of the roster; none before it is known.
    pub(super) parties: Option<usize>,
}

/// A job that the policy would not refuse.
pub(crate) struct Rehearsed {
    /// Why a person would have to decide, if one would.
    pub(crate) asks: Option<String>,
    /// For the fewest parties that the policy takes and that can run it.
    pub(crate) plan: Plan,
    /// The table that it would read.
    pub(crate) table: Table,
}

/// What is known when a job is weighed.
struct Case<'a> {
    submitter: &'a Submitter,
    granted: &'a [Granted],
    approved: bool,
    begun: bool,
    parties: Option<usize>,
}

/// Accepted jobs with a goal, for the policy's period (rule PO-12).
pub(super) struct Grants(Documents);

impl Grants {
    pub(super) fn new(database: &Database) -> Self {
        Self(Documents::new(database, "granted"))
    }

    /// Counts a job from now on; each turn of it counts.
    pub(super) fn add(
        &self,
        (job, turn): (&JobDigest, u32),
        granted: &Granted,
    ) -> Result<(), NodeError> {
        self.0.save(&format!("{}-{turn}", hex(job)), granted)
    }

    /// All but those of this job's present turn.
    fn others(&self, (job, turn): (&JobDigest, u32)) -> Result<Vec<Granted>, NodeError> {
        let own = format!("{}-{turn}", hex(job));
        let all = self.0.all::<Granted>()?;
        Ok(all
            .into_iter()
            .filter(|(name, _)| *name != own)
            .map(|(_, granted)| granted)
            .collect())
    }
}

impl Owner {
    pub(super) fn policy(&self) -> Result<Policy, NodeError> {
        let text = read_text(&self.policy)?;
        Ok(Policy::parse(&self.policy.display().to_string(), &text)?)
    }

    /// Decides about a job, and reads its table once it may be read: nobody learns which columns there are who may not ask (rule JC-04).
    pub(super) fn decide(
        &self,
        asked: &Asked<'_>,
        (grants, turn): (&Grants, u32),
        job: Job,
    ) -> Result<(Word, Plan, Part), No> {
        let case = Case {
            submitter: &submitter(asked.submitter),
            granted: &grants.others((asked.job, turn))?,
            approved: asked.approved,
            begun: asked.begun,
            parties: asked.parties,
        };
        self.weigh(&case, job)
    }

    /// What would be said to a job that nobody has submitted, jobs granted before not counted.
    ///
    /// # Errors
    /// The rule that it breaks, in words for the owner.
    pub(crate) fn rehearse(&self, job: Job, submitter: &Submitter) -> Result<Rehearsed, Refusal> {
        let case = Case {
            submitter,
            granted: &[],
            approved: false,
            begun: false,
            parties: None,
        };
        // For the owner: the true rule.
        let plain = |no: No| {
            let rule = no.rule.unwrap_or(no.refusal.rule);
            Refusal::new(&rule, no.own)
        };
        let (word, plan, part) = self.weigh(&case, job).map_err(plain)?;
        own_table::rows(&plan, &part).map_err(|mismatch| plain(mismatch.into()))?;
        Ok(Rehearsed {
            asks: match word {
                Word::Accept => None,
                Word::Ask(why) => Some(why),
            },
            plan,
            table: part.table,
        })
    }

    fn weigh(&self, case: &Case<'_>, job: Job) -> Result<(Word, Plan, Part), No> {
        let policy = self.policy()?;
        let plan = match case.parties {
            Some(parties) => effective::plan(job, parties),
            None => effective::smallest_plan(&job, policy.least_parties().into()),
        };
        let plan = plan.map_err(|words| Refusal::new("job", words))?;
        let figures = Figures::of(&plan);
        let approved: Option<Digest> = case.approved.then(|| figures.digest());
        let table = figures.table().and_then(|name| self.tables.get(name));
        let decide = |rows: Option<u64>| {
            policy.decide(&Request {
                figures: &figures,
                submitter: case.submitter,
                rows,
                now: (self.now)(),
                begun: case.begun,
                granted: case.granted,
                approved,
            })
        };
        // Who may not ask for this table learns nothing of it. Its rows are counted next: that they are too few must look the same (rule PO-17).
        if let Decision::Refuse(broken) = decide(table.map(|_| u64::MAX))
            && matches!(broken.rule, Rule::Seed | Rule::Submitter | Rule::Table)
        {
            return Err(broken.into());
        }
        let Some(table) = table else {
            // The policy refuses a table that is not configured.
            return Err(failed().into());
        };
        let word = match decide(Some(own_table::rows_of(plan.job(), table)?)) {
            Decision::Refuse(broken) => return Err(broken.into()),
            Decision::NeedsApproval(why) => Word::Ask(why),
            Decision::Accept => Word::Accept,
        };
        let part = own_table::read(plan.job(), &self.name, table)?;
        Ok((word, plan, part))
    }

    /// What a job takes out of the party, in plain words.
    pub(super) fn explain(&self, text: &str, parties: Option<usize>) -> Result<String, NodeError> {
        let job = effective::admit(text).map_err(|refusal| NodeError::Use(refusal.words))?;
        let plan = match parties {
            Some(parties) => effective::plan(job, parties),
            None => effective::smallest_plan(&job, self.policy()?.least_parties().into()),
        };
        let plan = plan.map_err(NodeError::Use)?;
        Ok(explain(plan.job(), &plan))
    }
}

/// What a job with a privacy goal takes of the policy's period.
pub(super) fn granted(plan: &Plan, now: Moment) -> Option<Granted> {
    let figures = Figures::of(plan);
    let (epsilon, delta) = figures.goal()?;
    Some(Granted {
        at: now,
        table: figures.table()?.to_owned(),
        epsilon,
        delta,
    })
}

fn submitter(member: &Member) -> Submitter {
    let role = match member.role {
        Role::Party => Some(PolicyRole::Party),
        Role::Scientist => Some(PolicyRole::Scientist),
        Role::Operator => Some(PolicyRole::Operator),
        Role::Auditor => Some(PolicyRole::Auditor),
        Role::Coordinator => None,
    };
    Submitter {
        name: member.name.clone(),
        serial: member.serial.clone(),
        roles: role.into_iter().collect(),
    }
}
