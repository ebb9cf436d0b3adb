//! `lepton doctor`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;
use lepton_node::doctor::{Check, Program, Rehearsal, Status, checks};
use lepton_node::error::NodeError;
use serde::Serialize;

use crate::{clock, output};

/// The year this version was written in: a clock that shows an earlier one is wrong.
const YEAR: u64 = 2026;

/// Columns that tables and progress need.
const LEAST_COLUMNS: u16 = 80;

/// Flags of `lepton doctor`.
#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// Instead of this machine, look at what the program of this configuration file needs: party.toml, coordinator.toml or federation.toml
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Also hold this job against the party's policy and table
    #[arg(long, value_name = "TOML", requires = "config")]
    job: Option<PathBuf>,
    /// The scientist who would submit it
    #[arg(
        long,
        value_name = "NAME",
        requires = "job",
        default_value = "",
        hide_default_value = true
    )]
    submitter: String,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    healthy: bool,
    version: &'a str,
    checks: &'a [Check],
}

impl DoctorArgs {
    fn program(&self, config: &Path) -> Result<Vec<Check>, NodeError> {
        let program = Program::load(config)?;
        let rehearsal = self.job.clone().map(|job| Rehearsal {
            job,
            submitter: self.submitter.clone(),
        });
        Ok(output::runtime()?.block_on(program.checks(rehearsal.as_ref(), crate::serve::CLOCKS)))
    }

    /// Checks the machine; an error when a check failed.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        let all = match &self.config {
            Some(config) => self.program(config)?,
            None => machine(),
        };
        let failed = all
            .iter()
            .filter(|check| check.status == Status::Failed)
            .count();
        if self.json {
            output::json(&Document {
                healthy: failed == 0,
                version: env!("CARGO_PKG_VERSION"),
                checks: &all,
            })?;
        } else {
            output::text(&words(&all))?;
        }
        match failed {
            0 => Ok(()),
            1 => Err(NodeError::Data(
                "1 check failed; its remedy stands beside it".to_owned(),
            )),
            more => Err(NodeError::Data(format!(
                "{more} checks failed; their remedies stand beside them"
            ))),
        }
    }
}

fn machine() -> Vec<Check> {
    let mut all = checks(Path::new("."));
    all.push(clock_check(&clock::now().0));
    all.push(terminal());
    all
}

fn words(all: &[Check]) -> String {
    let mut text = String::new();
    for check in all {
        let mark = match check.status {
            Status::Ok => "ok     ",
            Status::Warning => "warning",
            Status::Failed => "FAILED ",
        };
        // Words of others, a coordinator's for one, end up on a terminal.
        let found = output::plain(&check.found).replace('\n', "\n         ");
        text += &format!("{mark}  {}: {found}\n", check.name);
        if let Some(remedy) = &check.remedy {
            text += &format!("         {remedy}\n");
        }
    }
    text
}

fn clock_check(now: &str) -> Check {
    let name = "clock";
    let year: u64 = now
        .split('-')
        .next()
        .and_then(|year| year.parse().ok())
        .unwrap_or(0);
    if year < YEAR {
        Check::failed(
            name,
            format!("{now}, before this version was written"),
            "set the clock: dates in reports and certificates rest on it",
        )
    } else {
        Check::ok(name, now)
    }
}

fn terminal() -> Check {
    let name = "terminal";
    if !std::io::stderr().is_terminal() {
        return Check::ok(name, "none; progress comes as plain lines");
    }
    let colour = if std::env::var_os("NO_COLOR").is_some()
        || std::env::var("TERM").is_ok_and(|term| term == "dumb")
    {
        "no colour"
    } else {
        "colour"
    };
    match columns() {
        Some(columns) if columns < LEAST_COLUMNS => Check::warning(
            name,
            format!("{columns} columns, {colour}"),
            "widen the window to 80 columns for tables that fit",
        ),
        Some(columns) => Check::ok(name, format!("{columns} columns, {colour}")),
        None => Check::ok(name, format!("width unknown, {colour}")),
    }
}

/// Width of the terminal.
fn columns() -> Option<u16> {
    #[cfg(unix)]
    return rustix::termios::tcgetwinsize(std::io::stderr())
        .ok()
        .map(|size| size.ws_col);
    #[cfg(not(unix))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_clock_fails_with_a_remedy() {
        assert_eq!(clock_check("1970-01-01T00:00:00Z").status, Status::Failed);
        assert_eq!(clock_check("2027-01-01T00:00:00Z").status, Status::Ok);
    }
}
