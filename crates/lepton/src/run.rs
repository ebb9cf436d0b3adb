//! `lepton run`.

use std::path::{Path, PathBuf};

use clap::Args;
use lepton_node::described;
use lepton_node::error::NodeError;
use lepton_node::ledger::LedgerUse;
use lepton_node::simulate::{self, Done, Place, Request, Using};
use lepton_node::tables::Source;
use lepton_protocol::report::{MetricsDoc, Report};
use tokio::sync::{mpsc, watch};

use crate::{clock, output, progress};

/// Flags of `lepton run`.
#[derive(Args)]
pub(crate) struct RunArgs {
    /// The job file
    #[arg(required_unless_present = "resume")]
    job: Option<PathBuf>,
    /// Override a key of the job file; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Take from this schema file what it says of columns and the job does not
    #[arg(long, value_name = "FILE", requires = "job")]
    schema: Option<PathBuf>,
    /// Use this table in place of the job's; rows are dealt as the job says
    #[arg(long, value_name = "TABLE", conflicts_with = "party_data")]
    data: Option<PathBuf>,
    /// Use these tables, one for each party
    #[arg(long, value_name = "TABLE", num_args = 2..)]
    party_data: Vec<PathBuf>,
    /// Key file that opens those of these tables that lie in a vault, named as VAULT/TABLE
    #[arg(long, value_name = "FILE", conflicts_with = "federation")]
    vault_key: Option<PathBuf>,
    /// Go on with an interrupted run
    #[arg(long, value_name = "RUN", conflicts_with_all = ["job", "set", "schema", "data", "party_data", "scenario", "run_dir"])]
    resume: Option<PathBuf>,
    /// Make parties slow, lost and back, as this file says
    #[arg(long, value_name = "TOML")]
    scenario: Option<PathBuf>,
    /// Where run folders go
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Exactly this run folder, which must not exist
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Charge the data in this ledger; the job is refused where its budget does not cover it
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    ledger: Option<PathBuf>,
    /// Let the federation that this file describes run the job
    #[arg(long, value_name = "TOML", conflicts_with_all = ["data", "party_data", "resume", "scenario", "run_dir", "ledger", "no_comparison"])]
    federation: Option<PathBuf>,
    /// Begin from this checkpoint of an earlier job of the federation; a model's folder is named in model.start
    #[arg(long, value_name = "JOB@ROUND", requires = "federation")]
    start: Option<String>,
    /// Submit the job and do not wait for it
    #[arg(long, requires = "federation")]
    detach: bool,
    /// Do not train pooled and single-party models to compare with; they can take longer than the run itself
    #[arg(long, conflicts_with = "resume")]
    no_comparison: bool,
    /// Print the report as one JSON document on stdout
    #[arg(long)]
    json: bool,
    /// No progress
    #[arg(long, short)]
    quiet: bool,
}

impl RunArgs {
    /// Runs the job.
    pub(crate) fn run(mut self) -> Result<(), NodeError> {
        if let (Some(job), Some(schema)) = (&self.job, &self.schema) {
            // What follows of a schema is part of the job like any other setting, in the effective job too.
            let described = described::settings(job, &self.set, schema)?;
            self.set.extend(described);
        }
        if let (Some(federation), Some(job)) = (self.federation.clone(), &self.job) {
            let shown = crate::job::Shown {
                detach: self.detach,
                quiet: self.quiet,
                json: self.json,
            };
            return crate::job::submit(
                &crate::job::Where::new(federation),
                (job, &self.set, self.start.as_deref()),
                (&self.runs, &shown),
            );
        }
        let runtime = output::runtime()?;
        let ledger = LedgerUse {
            path: self.ledger.clone(),
            clock: crate::budget::time,
        };
        let (json, quiet) = (self.json, self.quiet);
        let done = runtime.block_on(drive(ledger, self.request(), quiet))?;
        for line in &done.low_budgets {
            output::note(&format!("warning: {line}"));
        }
        if json {
            output::json(&done.report)
        } else {
            output::text(&closing(&done.report, &done.folder))
        }
    }

    fn request(self) -> Request {
        match (self.resume, self.job) {
            (Some(run), _) => Request::Resume(run),
            (None, job) => Request::New {
                source: Source {
                    job: job.unwrap_or_default(),
                    overrides: self.set,
                    data: self.data,
                    party_data: self.party_data,
                    vault_key: self.vault_key,
                },
                scenario: self.scenario,
                folder: self.run_dir.map_or(Place::Below(self.runs), Place::At),
                comparison: !self.no_comparison,
            },
        }
    }
}

async fn drive(ledger: LedgerUse, request: Request, quiet: bool) -> Result<Done, NodeError> {
    let (events, inbox) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.send_replace(true);
        }
        // Kept alive: a dropped sender would look like a request to stop.
        std::future::pending::<()>().await;
    });
    let screen = tokio::spawn(progress::show(inbox, quiet));
    let (time, stamp) = clock::now();
    let using = Using {
        ledger,
        ..Using::default()
    };
    let done = simulate::run_charged(request, using, (&time, &stamp), events, stopped).await;
    screen
        .await
        .map_err(|error| NodeError::Internal(error.to_string()))?;
    done
}

/// What a person reads at the end.
pub(crate) fn closing(report: &Report, folder: &Path) -> String {
    let mut text = format!(
        "\n{}: {} parties trained one model ({}) in {} rounds without pooling their rows ({:.1} s)\n\n",
        report.name,
        report.parties.len(),
        report.model.kind,
        report.rounds,
        report.timing.wall_s
    );
    text += &table(report);
    text += &privacy_line(report);
    let folder = folder.display();
    text += &format!(
        "\nmodel   {folder}/model\nreport  {folder}/report.html\nprivacy {folder}/privacy.json (signed; see `lepton verify`)\n"
    );
    text
}

fn table(report: &Report) -> String {
    let mut rows = vec![("federated", report.metrics.clone())];
    if let Some(baselines) = &report.baselines {
        if report.metrics.noised {
            rows.push(("federated, exact metrics *", baselines.federated.clone()));
        }
        rows.push(("pooled *", baselines.pooled.clone()));
        rows.push(("best single party *", baselines.local_best.clone()));
        rows.push(("majority class *", baselines.majority.clone()));
    }
    let regression = report.model.classes.is_empty();
    let names = if regression {
        ["RMSE", "MAE", "R2", "loss"]
    } else {
        ["accuracy", "balanced", "AUC", "loss"]
    };
    let mut text = format!(
        "{:<28}{:>10}{:>10}{:>10}{:>10}\n",
        "hold-out rows", names[0], names[1], names[2], names[3]
    );
    for (name, metrics) in rows {
        text += &format!("{name:<28}");
        for value in figures(&metrics, regression) {
            text += &value.map_or_else(|| format!("{:>10}", "-"), |value| format!("{value:>10.4}"));
        }
        text.push('\n');
    }
    if report.baselines.is_some() {
        text += "* simulation only, not private\n";
    }
    text
}

fn figures(metrics: &MetricsDoc, regression: bool) -> [Option<f64>; 4] {
    if regression {
        [metrics.rmse, metrics.mae, metrics.r2, metrics.loss]
    } else {
        [
            metrics.accuracy,
            metrics.balanced_accuracy,
            metrics.auc,
            metrics.loss,
        ]
    }
}

fn privacy_line(report: &Report) -> String {
    let privacy = &report.privacy;
    let mut text = match (
        privacy.epsilon,
        privacy.epsilon_coordinator,
        privacy.delta,
        privacy.goal_epsilon,
    ) {
        (Some(public), Some(seen), Some(delta), Some(goal)) => format!(
            "\nprivacy: each {} is protected with epsilon {} (delta {delta:e}) against the public, {} against the coordinator with {} colluding parties; goal {goal}\n",
            privacy.unit.as_deref().unwrap_or("record"),
            progress::upward(public),
            progress::upward(seen),
            report.protection.colluders
        ),
        _ => String::new(),
    };
    for warning in &report.insecure {
        text += &format!("\nWARNING: {warning}\n");
    }
    text
}
