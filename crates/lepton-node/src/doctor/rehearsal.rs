//! What a federation would say to a job, without asking anybody.

use lepton_protocol::control::Refusal;
use lepton_protocol::policy::{Role as PolicyRole, Submitter};

use super::{Check, Rehearsal, failure};
use crate::config::PartyConfig;
use crate::daemon::effective;
use crate::daemon::party::{Owner, Rehearsed};
use crate::daemon::service::Clocks;
use crate::error::NodeError;
use crate::ledger::{DurableLedger, JobLedger};

const NAME: &str = "job";

/// Whether a federation can be given this job.
pub(super) fn submission(rehearsal: &Rehearsal) -> Check {
    match effective::effective_text(&rehearsal.job, &[]) {
        Ok(_) => Check::ok(NAME, "can be submitted; the parties decide for themselves"),
        Err(error) => failure(NAME, &error, "correct the job (docs/job.md)"),
    }
}

/// Whether this party would take part: its policy, its table's columns and types, and its ledger.
pub(super) fn at_party(
    rehearsal: &Rehearsal,
    (config, own): (&PartyConfig, &str),
    clocks: Clocks,
) -> Check {
    let text = match effective::effective_text(&rehearsal.job, &[]) {
        Ok(text) => text,
        Err(error) => return failure(NAME, &error, "correct the job (docs/job.md)"),
    };
    let owner = Owner {
        name: own.to_owned(),
        policy: config.policy.clone(),
        tables: config.tables.clone(),
        now: clocks.moment,
    };
    let submitter = Submitter {
        name: rehearsal.submitter.clone(),
        serial: String::new(),
        roles: vec![PolicyRole::Scientist],
    };
    let who = match rehearsal.submitter.as_str() {
        "" => "a scientist".to_owned(),
        name => format!("the scientist {name}"),
    };
    let said = effective::admit(&text).and_then(|job| owner.rehearse(job, &submitter));
    let rehearsed = match said {
        Ok(rehearsed) => rehearsed,
        Err(refusal) => {
            let words = format!(
                "from {who} it would be refused ({}): {}",
                refusal.rule, refusal.words
            );
            return Check::failed(NAME, words, remedy(&refusal));
        }
    };
    if let Err(error) = covered(&rehearsed, (config, own), clocks) {
        let words = format!("from {who} it would be refused (ledger.budget): {error}");
        let remedy = "set the table's budget with `lepton budget set`, or see what is left with `lepton budget show`";
        return Check::failed(NAME, words, remedy);
    }
    match rehearsed.asks {
        None => Check::ok(
            NAME,
            format!("would be accepted from {who}, jobs accepted before not counted (PO-12)"),
        ),
        Some(why) => Check::warning(
            NAME,
            format!("from {who} it would wait for a person: {why}"),
            "when it is submitted, decide with `lepton party jobs approve` or `lepton party jobs deny`",
        ),
    }
}

/// Whether the ledger has budget for a job with a privacy goal. One that is not there yet has none.
fn covered(
    rehearsed: &Rehearsed,
    (config, own): (&PartyConfig, &str),
    clocks: Clocks,
) -> Result<(), NodeError> {
    if rehearsed.plan.privacy().is_none() {
        return Ok(());
    }
    if !config.ledger.exists() {
        return Err(NodeError::Data(format!(
            "no table has a budget: there is no {} yet",
            config.ledger.display()
        )));
    }
    let ledger = DurableLedger::open(&config.ledger, clocks.text)?;
    JobLedger::would_cover(ledger, own, (&rehearsed.plan, &rehearsed.table))
}

fn remedy(refusal: &Refusal) -> &'static str {
    match refusal.rule.as_str() {
        "PO-02" => {
            "name a submitter that the policy's [submit] allows with --submitter, or change [submit]; serial numbers are not known here"
        }
        "PO-03" => "open the table and the task in the policy, and list the table in party.toml",
        "PO-14" => "submit it within the policy's [hours], or change them",
        "data.features" => "correct data.features or data.label in the job, or the table's header",
        "data.types" => "change data.types in the job, or the types in party.toml",
        "data.table" => "correct the table, or the job's columns and types",
        _ => "change the job, or the policy if its owner agrees (docs/policy.md)",
    }
}
