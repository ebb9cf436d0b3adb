//! `lepton audit log`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lepton_node::audit_log::{
    CrossCheck, Entry, IdentityPublic, Summary, cross_check, read, verify,
};
use lepton_node::error::NodeError;
use serde_json::json;

use crate::output;

/// Flags of `lepton audit log`.
#[derive(Args)]
pub(crate) struct LogArgs {
    #[command(subcommand)]
    what: LogCommand,
}

#[derive(Subcommand)]
enum LogCommand {
    /// Check every link and every signature of a log
    #[command(after_help = "Example: lepton audit log verify /var/lib/lepton/audit")]
    Verify(VerifyArgs),
    /// Print a log, after checking it
    #[command(after_help = "Example: lepton audit log show /var/lib/lepton/audit --job 4f0c")]
    Show(ShowArgs),
    /// Hold the logs of two members against each other, for one job
    #[command(
        after_help = "Example: lepton audit log cross-check clinic/audit coordinator/audit --job 4f0c"
    )]
    CrossCheck(CrossArgs),
}

#[derive(Args)]
struct VerifyArgs {
    /// Folder of the log
    folder: PathBuf,
    /// The member's public key, 64 hexadecimal digits; without it, compare the printed keys
    #[arg(long, value_name = "HEX", value_parser = public_key)]
    key: Option<IdentityPublic>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ShowArgs {
    /// Folder of the log
    folder: PathBuf,
    /// Only what is about this job: its digest, or the beginning of it
    #[arg(long, value_name = "HEX")]
    job: Option<String>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct CrossArgs {
    /// Folder of one log
    first: PathBuf,
    /// Folder of the other
    second: PathBuf,
    /// The job's digest
    #[arg(long, value_name = "HEX")]
    job: String,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// Reads a public key from its hexadecimal digits.
pub(crate) fn public_key(text: &str) -> Result<IdentityPublic, String> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
    let key = bytes.and_then(|bytes| IdentityPublic::try_from(bytes.as_slice()).ok());
    key.ok_or_else(|| "a public key of 64 hexadecimal digits".to_owned())
}

impl LogArgs {
    /// Checks and prints; an error when a log does not hold or two contradict each other.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        match self.what {
            LogCommand::Verify(args) => args.run(),
            LogCommand::Show(args) => args.run(),
            LogCommand::CrossCheck(args) => args.run(),
        }
    }
}

impl VerifyArgs {
    fn run(self) -> Result<(), NodeError> {
        let found = verify(&self.folder, self.key.as_ref())?;
        if self.json {
            return output::json(&summary_json(&found));
        }
        output::text(&summary_words(&found, self.key.is_some()))
    }
}

fn summary_json(found: &Summary) -> serde_json::Value {
    json!({
        "log": found.log, "member": found.member, "keys": found.keys, "segments": found.segments,
        "entries": found.entries, "unsigned": found.unsigned, "repairs": found.repairs,
    })
}

fn summary_words(found: &Summary, key_given: bool) -> String {
    let mut text = format!(
        "The log of {} holds: {} entries in {} segments.\n",
        found.member, found.entries, found.segments
    );
    for key in &found.keys {
        text += &format!("signed by      {key}\n");
    }
    if !key_given {
        text += "               compare with the key in the member's certificate, or give --key\n";
    }
    text += &format!(
        "not yet signed {} entries at the end, which somebody without the key could have cut off\n",
        found.unsigned
    );
    if found.repairs > 0 {
        text += &format!("repaired       {} times after a crash\n", found.repairs);
    }
    text
}

impl ShowArgs {
    fn run(self) -> Result<(), NodeError> {
        let (_, mut entries) = read(&self.folder)?;
        if let Some(job) = &self.job {
            entries.retain(|entry| entry.event.job().is_some_and(|of| of.starts_with(job)));
        }
        if self.json {
            return output::json(&entries);
        }
        let lines: Result<String, NodeError> = entries.iter().map(line).collect();
        output::text(&lines?)
    }
}

/// Number, time and the event's own fields.
fn line(entry: &Entry) -> Result<String, NodeError> {
    let event = serde_json::to_value(&entry.event);
    let event = event.map_err(|error| NodeError::Internal(error.to_string()))?;
    let what = event.get("what").and_then(|what| what.as_str());
    let mut text = format!(
        "{:>8} {} {:<10}",
        entry.n,
        entry.at,
        what.unwrap_or_default()
    );
    for (name, value) in event.as_object().into_iter().flatten() {
        if name != "what" {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            text += &format!(" {name}={value}");
        }
    }
    Ok(text + "\n")
}

impl CrossArgs {
    fn run(self) -> Result<(), NodeError> {
        let found = cross_check(&self.first, &self.second, &self.job)?;
        if self.json {
            output::json(&json!({
                "members": found.members, "matched": found.matched,
                "not_received": found.not_received, "contradictions": found.contradictions,
            }))?;
        } else {
            output::text(&cross_words(&found))?;
        }
        if found.contradictions.is_empty() {
            return Ok(());
        }
        Err(NodeError::Data(format!(
            "the logs contradict each other in {} points: at least one of them is not true",
            found.contradictions.len()
        )))
    }
}

fn cross_words(found: &CrossCheck) -> String {
    let [one, other] = &found.members;
    let mut text = format!(
        "{one} and {other}: {} messages in both logs, {} sent and not received\n",
        found.matched, found.not_received
    );
    for contradiction in &found.contradictions {
        text += &format!("contradiction  {contradiction}\n");
    }
    text
}
