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
mod encrypt;
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
mod table;
mod vault;
mod vault_key;
mod vault_tables;
mod verify;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // A broken table is told of as an error, once.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |what| {
        if !lepton_table::panics_are_errors() {
            usual(what);
        }
    }));
    cli::Cli::parse().run()
}
