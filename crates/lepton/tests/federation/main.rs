//! Real federations on one machine: a process for every member, TLS between them, stores on the disk, kill -9 (docs/protocols/job-control.md).
//!
//! PostgreSQL takes part where `scripts/with_postgres.sh` started one, network namespaces where `scripts/in_namespaces.sh` made them; `./test` runs both.
#![expect(
    clippy::disallowed_methods,
    reason = "a test of the command reads what the command wrote, and times processes"
)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "worlds are set up by helpers outside of test functions"
)]
#![cfg(unix)]

mod books;
mod crash;
mod goal;
mod late;
mod matrix;
mod process;
mod start;
mod whole;
mod world;
