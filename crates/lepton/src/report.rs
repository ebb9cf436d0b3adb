//! `lepton report`.

use std::path::{Path, PathBuf};

use clap::Args;
use lepton_node::error::NodeError;
use lepton_node::run_folder::RunFolder;
use lepton_node::signed_report::{self, PrivacyReport};
use lepton_node::tables::read_text;
use lepton_protocol::job::Job;
use lepton_protocol::report::Report;
use lepton_protocol::training::{CHECKPOINT, Training};

use crate::{output, run};

/// Flags of `lepton report`.
#[derive(Args)]
pub(crate) struct ReportArgs {
    /// A run folder
    run: PathBuf,
    /// Print the report as one JSON document on stdout
    #[arg(long)]
    json: bool,
}

impl ReportArgs {
    /// Prints the report again and makes its page anew.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        let (folder, _) = RunFolder::open(&self.run)?;
        let path = folder.path("report.json");
        if !path.exists() {
            return Err(NodeError::Data(unfinished(&folder)));
        }
        let report: Report =
            serde_json::from_str(&read_text(&path)?).map_err(|error| NodeError::File {
                place: path.display().to_string(),
                problem: format!("cannot be read as a report ({error})"),
                remedy: "restore the file, or start a new run".to_owned(),
            })?;
        let page = lepton_node::report::render_html(&report, privacy(&folder)?.as_ref());
        folder.write("report.html", page.as_bytes())?;
        if self.json {
            output::json(&report)
        } else {
            // It may have come from a coordinator.
            output::text(&output::plain(&run::closing(&report, folder.root())))
        }
    }
}

/// The run's privacy report, whose signatures must hold; runs of earlier versions have none.
fn privacy(folder: &RunFolder) -> Result<Option<PrivacyReport>, NodeError> {
    let path = folder.path(signed_report::FILE);
    if !path.exists() {
        return Ok(None);
    }
    let report = signed_report::open(&read_text(&path)?).map_err(|problem| NodeError::File {
        place: path.display().to_string(),
        problem: format!("is not as it was signed ({problem})"),
        remedy: format!("restore it; see `lepton verify {}`", path.display()),
    })?;
    Ok(Some(report))
}

/// How far the run got and how to go on.
fn unfinished(folder: &RunFolder) -> String {
    let run = folder.root().display();
    let far = match progress(folder.root()) {
        Some((done, planned)) => format!("{done} of {planned} rounds are in the model"),
        None => "it ended before its first round".to_owned(),
    };
    format!("{run} is not finished: {far}; go on with `lepton run --resume {run}`")
}

/// Rounds done and planned, as the last checkpoint and the job say.
fn progress(run: &Path) -> Option<(u32, u32)> {
    let checkpoint = std::fs::read(run.join("state").join("coordinator").join(CHECKPOINT)).ok()?;
    let (_, training) = Training::from_bytes(&checkpoint).ok()?;
    let job = Job::parse("job.toml", &read_text(&run.join("job.toml")).ok()?, &[]).ok()?;
    Some((training.rounds_done(), job.training().rounds.get()))
}
