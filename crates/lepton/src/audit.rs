//! `lepton audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lepton_node::audit::{Audit, CanaryFindings, Setting, audit};
use lepton_node::error::NodeError;
use lepton_node::random::Entropy;
use lepton_node::tables::{Federation, Source};

use crate::audit_log::LogArgs;
use crate::output;

/// Flags of `lepton audit`.
#[derive(Args)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    what: AuditCommand,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Attack a job's training on this machine and hold what is found against the epsilon it claims
    #[command(
        after_help = "Example: lepton audit privacy examples/churn/job.toml --set privacy.epsilon=3"
    )]
    Privacy(PrivacyArgs),
    /// Read the audit log of a party or a coordinator
    Log(LogArgs),
}

/// Flags of `lepton audit privacy`.
#[derive(Args)]
struct PrivacyArgs {
    /// The job file
    job: PathBuf,
    /// Override a key of the job file; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Use this table in place of the job's; rows are dealt as the job says
    #[arg(long, value_name = "TABLE", conflicts_with = "party_data")]
    data: Option<PathBuf>,
    /// Use these tables, one for each party
    #[arg(long, value_name = "TABLE", num_args = 2..)]
    party_data: Vec<PathBuf>,
    /// Key file that opens those of these tables that lie in a vault, named as VAULT/TABLE
    #[arg(long, value_name = "FILE")]
    vault_key: Option<PathBuf>,
    /// Records planted by the toss of a coin
    #[arg(long, default_value_t = 400)]
    canaries: u32,
    /// About how many of them to guess; fixed beforehand
    #[arg(long, default_value_t = 100)]
    guesses: u32,
    /// Confidence of the lower bound
    #[arg(long, default_value_t = 0.95, value_parser = confidence)]
    confidence: f64,
    /// Models trained for membership inference; 0 leaves it out
    #[arg(long, default_value_t = 0)]
    shadow_models: u32,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

fn confidence(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.5..1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0.5 to below 1, as 0.95".to_owned()),
    }
}

impl AuditArgs {
    /// Does what was asked for.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        match self.what {
            AuditCommand::Privacy(args) => args.run(),
            AuditCommand::Log(args) => args.run(),
        }
    }
}

impl PrivacyArgs {
    /// Audits and prints; an error when the claim is refuted.
    fn run(self) -> Result<(), NodeError> {
        let args = self;
        let federation = Federation::load(&Source {
            job: args.job,
            overrides: args.set,
            data: args.data,
            party_data: args.party_data,
            vault_key: args.vault_key,
        })?;
        let setting = Setting {
            canaries: args.canaries,
            guesses: args.guesses,
            confidence: args.confidence,
            shadow_models: args.shadow_models,
        };
        let found = audit(&federation, setting, Entropy::System)?;
        if args.json {
            output::json(&found)?;
        } else {
            output::text(&words(&found))?;
        }
        if found.refuted {
            return Err(NodeError::Data(
                "the audit refutes the claimed epsilon: do not release what this build trains, and report it"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

fn words(found: &Audit) -> String {
    let mut text = String::new();
    match &found.claimed {
        Some(claimed) => {
            text += &format!(
                "claimed        epsilon {:.3} for the public, {:.3} against the coordinator with its colluders, at delta {:e}\n",
                claimed.epsilon, claimed.epsilon_coordinator, claimed.delta
            );
        }
        None => text += "claimed        nothing: the job has no privacy goal\n",
    }
    text += &canary_words("records", &found.canaries);
    if let Some(canaries) = &found.gradient_canaries {
        text += &canary_words("gradients", canaries);
    }
    if let Some(membership) = &found.membership {
        text += &format!(
            "membership     LiRA: AUC {:.3}, {:.1} % of members found at 1 % false alarms ({:.1} to {:.1} %); loss threshold: AUC {:.3}; {} rows, {} shadow models\n",
            membership.lira_auc,
            100.0 * membership.lira_true_positives_at_1_percent,
            100.0 * membership.lira_interval.0,
            100.0 * membership.lira_interval.1,
            membership.loss_auc,
            membership.rows,
            membership.shadow_models
        );
    }
    for note in &found.notes {
        text += &format!("note           {note}\n");
    }
    text
}

fn canary_words(name: &str, canaries: &CanaryFindings) -> String {
    format!(
        "{name:<14} {} of {} canaries included; {} of {} guesses right: epsilon is at least {:.3} (confidence {}; {:.3} is the most that so many guesses can show)\n",
        canaries.included,
        canaries.canaries,
        canaries.correct,
        canaries.guesses,
        canaries.epsilon_lower_bound,
        canaries.confidence,
        canaries.epsilon_largest_possible
    )
}
