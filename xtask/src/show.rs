//! Documents that are written from what the programs do.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

/// Writes the document called `what`, and gives its path.
///
/// # Errors
/// When there is none of that name, or something in it does not hold.
pub fn write(root: &Path, what: &str) -> anyhow::Result<PathBuf> {
    match what {
        "crash-matrix" => crash_matrix(root),
        _ => bail!("usage: cargo xtask show crash-matrix"),
    }
}

/// Kill -9 at every step of a job, by the federation tests of the command.
fn crash_matrix(root: &Path) -> anyhow::Result<PathBuf> {
    let path = root.join("docs/crash-matrix.md");
    let test = ["test", "-p", "lepton", "--test", "federation", "--"];
    let one = [
        "--ignored",
        "--exact",
        "--nocapture",
        "matrix::the_whole_matrix",
    ];
    let status = Command::new("cargo")
        .args(test)
        .args(one)
        .current_dir(root)
        .env("LEPTON_CRASH_MATRIX", &path)
        .status()
        .context("cargo does not start")?;
    ensure!(status.success(), "the matrix does not hold: see above");
    Ok(path)
}
