//! The `lepton` command: thin; everything it does is in the libraries below it.
//!
//! It is a library so that the Python wheel carries the same command: [`main_with`] is what both call. [`called`] is for a program that wants
//! a verb's answer and not its exit code.
#![expect(
    clippy::disallowed_methods,
    reason = "the command reads the clock and the terminal; the libraries below it do not"
)]

pub mod account;
mod audit;
mod audit_log;
mod bench;
mod budget;
mod ca;
mod cli;
mod clock;
mod doctor;
mod encrypt;
mod job;
mod key_register;
mod member;
mod model;
mod new;
mod output;
mod party_jobs;
mod predict;
mod progress;
mod report;
mod run;
mod serve;
mod table;
mod vault;
mod vault_key;
mod vault_tables;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::Parser;
use lepton_node::error::NodeError;
use lepton_node::trainers::Trainers;

/// Carries out a command line, its first word the name of the program; `--help` and wrong words are answered on the spot, as clap does.
/// Errors go to standard error in one block.
pub fn main_with(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    quiet_table_panics();
    match cli::Cli::try_parse_from(words) {
        Ok(cli) => cli.run(),
        Err(help_or_error) => {
            // Where standard output or error is closed there is nobody to tell.
            let _ = help_or_error.print();
            ExitCode::from(u8::try_from(help_or_error.exit_code()).unwrap_or(cli::WRONG_USE))
        }
    }
}

/// Carries out a command line as [`main_with`] does, and gives back what it would print on standard output. Notes still go to standard error.
///
/// # Errors
/// [`NodeError`]; `Use` for words that are no command.
pub fn called(words: impl IntoIterator<Item = OsString>) -> Result<String, NodeError> {
    let cli = cli::Cli::try_parse_from(words).map_err(|error| NodeError::Use(error.to_string()))?;
    output::captured(|| cli.carry_out())
}

/// How a program with a Python interpreter makes trainers of `module:object`; an error is for whoever wrote these words.
pub type Python = fn(&str) -> Result<Trainers, String>;

static PYTHON: OnceLock<Python> = OnceLock::new();

/// From now on, `lepton party run --python` works.
pub fn set_python(python: Python) {
    // The first one stays: it is the same interpreter.
    let _ = PYTHON.set(python);
}

pub(crate) fn trainers(what: Option<&str>) -> Result<Trainers, NodeError> {
    let Some(what) = what else {
        return Ok(Trainers::default());
    };
    let python = PYTHON.get().ok_or_else(|| {
        let words = "--python: this lepton has no Python in it; use the one that `pip install lepton-ai` brings";
        NodeError::Use(words.to_owned())
    })?;
    python(what).map_err(|error| NodeError::Use(format!("--python {what}: {error}")))
}

/// Everything about the wall clock that a run wants: now as RFC 3339 in UTC, and as a stamp for file names.
#[must_use]
pub fn now() -> (String, String) {
    clock::now()
}

/// Time of ledger entries: RFC 3339 in UTC.
#[must_use]
pub fn time() -> String {
    budget::time()
}

/// From now on, a broken table's panic is told of as an error only, once. Called before tables are read.
pub fn quiet_table_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |what| {
            if !lepton_table::panics_are_errors() {
                usual(what);
            }
        }));
    });
}
