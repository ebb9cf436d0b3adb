//! `lepton verify`.

use std::path::PathBuf;

use clap::Args;
use lepton_node::error::NodeError;
use lepton_node::signed_report::{Keys, Outcome, Verification, verify_file};

use crate::output;

/// Flags of `lepton verify`.
#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// A signed document, such as the privacy.json of a run; its `type` says what it is
    document: PathBuf,
    /// Somebody who must have signed, as a public key you got from them; may be repeated
    #[arg(long, value_name = "PUBKEY.pem")]
    key: Vec<PathBuf>,
    /// Everybody who may have signed, as one file of public keys
    #[arg(long, value_name = "PEM")]
    keys: Option<PathBuf>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

impl VerifyArgs {
    /// Verifies; an error when something does not hold.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        let mut keys = Keys::default();
        for path in &self.key {
            keys.require(path)?;
        }
        if let Some(path) = &self.keys {
            keys.allow(path)?;
        }
        let found = verify_file(&self.document, &keys)?;
        if self.json {
            output::json(&found)?;
        } else {
            output::text(&words(&found))?;
        }
        if found.verified {
            return Ok(());
        }
        Err(NodeError::Data(format!(
            "{} is not verified: do not rely on it; ask whoever should have signed it for the original",
            self.document.display()
        )))
    }
}

fn words(found: &Verification) -> String {
    let mut text = String::new();
    for check in &found.checks {
        let mark = match check.outcome {
            Outcome::Ok => "ok     ",
            Outcome::NotChecked => "-      ",
            Outcome::Failed => "FAILED ",
        };
        text += &format!("{mark}  {}: {}\n", plain(&check.name), plain(&check.found));
    }
    if let Some(summary) = found.summary.as_ref().filter(|_| found.verified) {
        let who = if found.authenticated {
            "signed by the keys you gave"
        } else {
            "unchanged since it was signed, by whomever"
        };
        text += &format!("\nverified: {who}\n{}\n", plain(summary));
    }
    for warning in &found.warnings {
        text += &format!("\nNOTE: {}\n", plain(warning));
    }
    text
}

/// A document's own words, without anything that a terminal would obey.
fn plain(text: &str) -> String {
    let visible = |letter: char| {
        if letter.is_control() {
            '\u{fffd}'
        } else {
            letter
        }
    };
    text.chars().map(visible).collect()
}
