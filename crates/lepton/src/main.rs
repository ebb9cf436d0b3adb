//! The `lepton` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    lepton::main_with(std::env::args_os())
}
