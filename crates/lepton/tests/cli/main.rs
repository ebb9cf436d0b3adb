//! The command through its binary: what it prints, how it exits, what it leaves on the disk.
#![expect(
    clippy::disallowed_methods,
    reason = "a test of the command reads what the command wrote"
)]
#![cfg(test)]

mod account;
mod audit_log;
mod bad_input;
mod budget;
mod doctor;
mod doctor_config;
mod embedded;
mod enrolment;
#[cfg(unix)]
mod envelopes;
mod interrupted;
#[cfg(unix)]
mod keys;
mod measured;
mod new;
mod predict;
mod report;
mod run;
mod settings;
mod support;
mod table;
mod units;
mod vault;
mod verify;
