//! The `lepton` command: thin; everything it does is in the libraries below it.
#![expect(
    clippy::disallowed_methods,
    reason = "the command reads the clock and the terminal; the libraries below it do not"
)]

mod account;
mod audit;
mod audit_log;
mod bench;
mod budget;
mod ca;
mod cli;
mod clock;
mod doctor;
mod job;
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
mod vault;
mod vault_tables;
mod verify;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::Cli::parse().run()
}
