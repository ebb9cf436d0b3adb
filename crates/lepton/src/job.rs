//! `lepton job`, and `lepton run --federation`: jobs of a real federation, from where a scientist sits.

mod checkpoints;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use lepton_node::config::FederationConfig;
use lepton_node::daemon::effective::{Submission, submission};
use lepton_node::daemon::service::{Asking, ask};
use lepton_node::daemon::the_one;
use lepton_node::error::NodeError;
use lepton_node::hex::unhex;
use lepton_protocol::control::{JobDigest, JobLine};
use lepton_protocol::job::Job;
use lepton_protocol::progress::Progress;
use lepton_protocol::report::Report;
use tokio::sync::mpsc;

use crate::{output, progress};

/// Flags of `lepton job`.
#[derive(Args)]
pub(crate) struct JobArgs {
    #[command(subcommand)]
    command: JobCommand,
}

#[derive(Subcommand)]
enum JobCommand {
    /// All jobs of the federation
    List(Listed),
    /// Follow a job until it is over
    Watch(One),
    /// End a job; what was charged for it stays charged
    Stop(One),
    /// Everything that a job has said so far, with times
    Logs(Logged),
    /// Fetch model, report and signed privacy report of a finished job, or one of its checkpoints
    #[command(
        after_help = "Examples:\n  lepton job pull churn --out results\n  lepton job pull churn --round 20 --out churn-20"
    )]
    Pull(Pulled),
    /// Checkpoints that a job keeps (training.checkpoint_every)
    #[command(
        after_help = "Example: lepton job checkpoints churn\n\nA checkpoint is fetched with `lepton job pull churn --round 20 --out FOLDER`, and another job begins from it with `lepton run job.toml --federation federation.toml --start churn@20`."
    )]
    Checkpoints(Kept),
}

#[derive(Args)]
pub(crate) struct Where {
    /// How to reach the federation (docs/configuration.md)
    #[arg(long, value_name = "TOML", default_value = "federation.toml")]
    federation: PathBuf,
}

#[derive(Args)]
struct Listed {
    #[command(flatten)]
    place: Where,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct One {
    /// The beginning of the job's digest, or its name
    job: String,
    #[command(flatten)]
    place: Where,
}

#[derive(Args)]
struct Logged {
    #[command(flatten)]
    one: One,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Pulled {
    #[command(flatten)]
    one: One,
    /// A new folder for the results
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// The checkpoint of this round, not the results
    #[arg(long, value_name = "N")]
    round: Option<u32>,
}

#[derive(Args)]
struct Kept {
    #[command(flatten)]
    one: One,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl JobArgs {
    /// Carries out the command.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        output::runtime()?.block_on(async {
            match self.command {
                JobCommand::List(args) => {
                    let jobs = args.place.ask().await?.client.list().await?;
                    if args.json {
                        return output::json(&jobs);
                    }
                    output::text(&table(&jobs))
                }
                JobCommand::Watch(args) => {
                    let (mut asking, job) = args.find().await?;
                    follow(&mut asking, digest(&job)?, false).await
                }
                JobCommand::Stop(args) => {
                    let (mut asking, job) = args.find().await?;
                    let words = asking.client.stop(digest(&job)?).await?;
                    output::text(&format!("job `{}`: {}\n", job.name, output::plain(&words)))
                }
                JobCommand::Logs(args) => args.run().await,
                JobCommand::Pull(args) => {
                    let (mut asking, job) = args.one.find().await?;
                    let job = digest(&job)?;
                    match args.round {
                        None => pull(&mut asking, job, (&args.out, false)).await,
                        Some(round) => {
                            checkpoints::pull(&mut asking, (job, round), &args.out).await
                        }
                    }
                }
                JobCommand::Checkpoints(args) => {
                    let (mut asking, job) = args.one.find().await?;
                    checkpoints::list(&mut asking, digest(&job)?, args.json).await
                }
            }
        })
    }
}

impl Where {
    pub(crate) fn new(federation: PathBuf) -> Self {
        Self { federation }
    }

    async fn ask(&self) -> Result<Asking, NodeError> {
        ask(&FederationConfig::load(&self.federation)?).await
    }
}

impl One {
    /// The link, and the one job that is meant.
    async fn find(&self) -> Result<(Asking, JobLine), NodeError> {
        let mut asking = self.place.ask().await?;
        let job = the_job(&mut asking, &self.job).await?;
        Ok((asking, job))
    }
}

/// The one job at the coordinator that is meant.
async fn the_job(asking: &mut Asking, wanted: &str) -> Result<JobLine, NodeError> {
    let jobs = asking.client.list().await?;
    let here = "at the coordinator; `lepton job list` shows all";
    the_one(jobs, (wanted, here), |job| (&job.job, &job.name))
}

impl Logged {
    async fn run(self) -> Result<(), NodeError> {
        let (mut asking, job) = self.one.find().await?;
        let events = asking.client.events(digest(&job)?).await?;
        for event in &events {
            if self.json {
                let line = serde_json::to_string(event)
                    .map_err(|error| NodeError::Internal(error.to_string()))?;
                output::text(&format!("{line}\n"))?;
            } else {
                let words = output::plain(&progress::words(&event.progress, &job.parties));
                output::text(&format!("{}  {words}\n", event.at))?;
            }
        }
        Ok(())
    }
}

/// How a submitted job is shown.
pub(crate) struct Shown {
    pub(crate) detach: bool,
    pub(crate) quiet: bool,
    pub(crate) json: bool,
}

/// Submits a job, and follows it to its results unless told not to; `from` is the checkpoint that it starts from, as JOB@ROUND.
pub(crate) fn submit(
    place: &Where,
    (job, overrides, from): (&Path, &[String], Option<&str>),
    (out, shown): (&Path, &Shown),
) -> Result<(), NodeError> {
    // Before anybody is asked for anything.
    let ready = match from {
        None => Some(submission(job, overrides, None)?),
        Some(_) => None,
    };
    output::runtime()?.block_on(async {
        let mut asking = place.ask().await?;
        let Submission { text, start } = match (ready, from) {
            (Some(ready), _) => ready,
            (None, from) => {
                let model = checkpoints::model(&mut asking, from.unwrap_or_default()).await?;
                submission(job, overrides, Some(model))?
            }
        };
        // The folder's name is ours to say, not the coordinator's.
        let name = Job::parse("the effective job", &text, &[])?
            .name()
            .to_string();
        let signed = asking.sign(text);
        let digest = signed.digest();
        let said = asking.client.submit_from(signed, start).await?;
        let short: String = lepton_node::daemon::short(&digest);
        output::note(&format!("job {short}: {}", output::plain(&said)));
        if shown.detach {
            return output::text(&format!("{short}\n"));
        }
        follow(&mut asking, digest, shown.quiet).await?;
        let folder = out.join(format!("{name}-{short}"));
        pull(&mut asking, digest, (&folder, shown.json)).await
    })
}

async fn follow(asking: &mut Asking, job: JobDigest, quiet: bool) -> Result<(), NodeError> {
    let (events, inbox) = mpsc::unbounded_channel();
    let screen = tokio::spawn(progress::show(inbox, quiet));
    let ended = asking.client.watch(job, 0, |event| {
        // The screen lives as long as this sends. Who declined stands, by name, in the note before.
        if !matches!(event.progress, Progress::Declined { .. }) {
            let _ = events.send(plain(event.progress));
        }
    });
    let ended = ended.await;
    drop(events);
    screen
        .await
        .map_err(|error| NodeError::Internal(error.to_string()))?;
    let words = output::plain(&ended?);
    if words.starts_with("finished") {
        return Ok(());
    }
    let problem = format!("the job is over without a result: {words}");
    // As the coordinator words a party's refusal.
    Err(if words.contains(" refused (") {
        NodeError::Refused(problem)
    } else {
        NodeError::Data(problem)
    })
}

async fn pull(
    asking: &mut Asking,
    job: JobDigest,
    (out, json): (&Path, bool),
) -> Result<(), NodeError> {
    asking.client.pull(job, out).await?;
    let path = out.join("report.json");
    let text = std::fs::read_to_string(&path).map_err(|error| NodeError::file(&path, &error))?;
    let report: Report = serde_json::from_str(&text)
        .map_err(|error| NodeError::Data(format!("{}: {error}", path.display())))?;
    if json {
        return output::json(&report);
    }
    output::text(&output::plain(&crate::run::closing(&report, out)))
}

/// Words of others end up on a terminal.
fn plain(progress: Progress) -> Progress {
    match progress {
        Progress::Note { text } => Progress::Note {
            text: output::plain(&text),
        },
        Progress::Declined {
            party,
            reason,
            refused,
        } => Progress::Declined {
            party,
            reason: output::plain(&reason),
            refused,
        },
        Progress::Abandoned {
            kind,
            round,
            reason,
        } => Progress::Abandoned {
            kind,
            round,
            reason: output::plain(&reason),
        },
        other => other,
    }
}

fn table(jobs: &[JobLine]) -> String {
    if jobs.is_empty() {
        return "there are no jobs yet\n".to_owned();
    }
    let line = |job: &JobLine| output::JobRow {
        digest: job.job.clone(),
        columns: [
            job.name.clone(),
            job.submitter.clone(),
            job.submitted.clone(),
            job.state.words().to_owned(),
        ],
        words: job.words.clone(),
    };
    output::job_table("submitted", jobs.iter().map(line))
}

fn digest(job: &JobLine) -> Result<JobDigest, NodeError> {
    unhex(&job.job)
        .ok_or_else(|| NodeError::Data("the coordinator listed a job without a digest".to_owned()))
}
