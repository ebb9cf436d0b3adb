//! `lepton doctor`.

use std::io::IsTerminal;
use std::path::Path;

use clap::Args;
use lepton_node::doctor::{Check, Status, checks};
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
    /// Checks the machine; an error when a check failed.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        let mut all = checks(Path::new("."));
        all.push(clock_check(&clock::now().0));
        all.push(terminal());
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

fn words(all: &[Check]) -> String {
    let mut text = String::new();
    for check in all {
        let mark = match check.status {
            Status::Ok => "ok     ",
            Status::Warning => "warning",
            Status::Failed => "FAILED ",
        };
        text += &format!("{mark}  {}: {}\n", check.name, check.found);
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
