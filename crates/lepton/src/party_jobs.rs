//! `lepton party jobs`: what this party was asked for, and a person's decisions about it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lepton_node::config::PartyConfig;
use lepton_node::daemon::party::{Decision, PartyJob, decide, find, list};
use lepton_node::error::NodeError;

use crate::output;

/// Flags of `lepton party jobs`.
#[derive(Args)]
pub(crate) struct PartyJobsArgs {
    #[command(subcommand)]
    command: PartyJobsCommand,
}

#[derive(Subcommand)]
enum PartyJobsCommand {
    /// All jobs that were ever offered to this party
    List(Listed),
    /// What a job would take out of this party, in plain words
    Show(Shown),
    /// Take part in a job that awaits a person's approval
    Approve(Decided),
    /// Do not take part in it
    Deny(Denied),
}

#[derive(Args)]
struct Where {
    /// The party's configuration file
    #[arg(long, value_name = "TOML", default_value = "party.toml")]
    config: PathBuf,
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
struct Shown {
    /// The beginning of the job's digest, or its name
    job: String,
    #[command(flatten)]
    place: Where,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Decided {
    /// The beginning of the job's digest, or its name
    job: String,
    #[command(flatten)]
    place: Where,
    /// Who decides: kept at this party, told to nobody
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

#[derive(Args)]
struct Denied {
    #[command(flatten)]
    decided: Decided,
    /// Why: told to the coordinator and the job's submitter
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "the owner of the data denied the job"
    )]
    because: String,
}

impl PartyJobsArgs {
    /// Carries out the command.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        match self.command {
            PartyJobsCommand::List(args) => {
                let jobs = list(&args.place.folder()?)?;
                if args.json {
                    return output::json(&jobs);
                }
                output::text(&table(&jobs))
            }
            PartyJobsCommand::Show(args) => {
                let job = find(&args.place.folder()?, &args.job)?;
                if args.json {
                    return output::json(&job);
                }
                output::text(&shown(&job))
            }
            PartyJobsCommand::Approve(args) => args.decide(true, String::new()),
            PartyJobsCommand::Deny(args) => args.decided.decide(false, args.because),
        }
    }
}

impl Where {
    fn folder(&self) -> Result<PathBuf, NodeError> {
        Ok(PartyConfig::load(&self.config)?.jobs)
    }
}

impl Decided {
    fn decide(self, approve: bool, words: String) -> Result<(), NodeError> {
        let somebody = || std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
        let decision = Decision {
            approve,
            by: self.by.unwrap_or_else(somebody),
            at: crate::budget::time(),
            words,
        };
        let job = decide(&self.place.folder()?, &self.job, &decision)?;
        let what = if approve { "approved" } else { "denied" };
        output::text(&format!(
            "{what}: job `{}` of {}. The party's daemon acts on it within seconds, or when it starts.\n",
            job.name, job.submitter
        ))
    }
}

fn table(jobs: &[PartyJob]) -> String {
    if jobs.is_empty() {
        return "no job was offered to this party yet\n".to_owned();
    }
    let line = |job: &PartyJob| output::JobRow {
        digest: job.job.clone(),
        columns: [
            job.name.clone(),
            job.submitter.clone(),
            job.offered.clone(),
            job.state.clone(),
        ],
        words: job.words.clone(),
    };
    output::job_table("offered", jobs.iter().map(line))
}

fn shown(job: &PartyJob) -> String {
    let mut text = format!(
        "job       {}\nname      {}\nsubmitter {}\noffered   {}\nstate     {}\n",
        job.job, job.name, job.submitter, job.offered, job.state
    );
    if !job.words.is_empty() {
        text += &format!("because   {}\n", output::plain(&job.words));
    }
    if !job.parties.is_empty() {
        text += &format!("parties   {}\n", job.parties.join(", "));
    }
    for late in &job.joined_late {
        text += &format!("joined    {}, at {}\n", late.name, late.since);
    }
    text + &format!(
        "\n{}\nEverything that is kept of it: {}\n",
        output::plain(&job.explained),
        job.folder.display()
    )
}
