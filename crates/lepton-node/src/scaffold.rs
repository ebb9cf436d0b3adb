//! `lepton new`: a folder with a job that runs at once, without a network.

use std::fs;
use std::path::{Path, PathBuf};

use lepton_protocol::job::JobName;

use crate::error::NodeError;

const JOB: &str = include_str!("scaffold/job.toml");
const README: &str = include_str!("scaffold/README.md");
const TABLE: &[u8] = include_bytes!("../../../data/breast_cancer.csv");
const LICENCE: &[u8] = include_bytes!("../../../data/LICENSES/scikit-learn-BSD-3-Clause.txt");

/// Makes the folder `name` below `parent` and gives its path. It is written under another name first, so it is there whole or not at all.
///
/// # Errors
/// [`NodeError::Use`] for a name that no job can have, or one that is taken; [`NodeError`] when the disk does not take it.
pub fn create(parent: &Path, name: &str) -> Result<PathBuf, NodeError> {
    if JobName::new(name).is_none() {
        return Err(NodeError::Use(format!(
            "\"{name}\" cannot name a job: use lower-case letters, digits, `-` and `_`, a letter first, at most 63 in all"
        )));
    }
    let folder = parent.join(name);
    if folder.symlink_metadata().is_ok() {
        return Err(NodeError::Use(format!(
            "{name} exists already; choose another name, or move it away"
        )));
    }
    let partial = parent.join(format!(".{name}.partial-{}", std::process::id()));
    let made = fill(&partial, name).and_then(|()| {
        fs::rename(&partial, &folder).map_err(|error| NodeError::file(&folder, &error))
    });
    if made.is_err() {
        // The failure itself is reported; a leftover that cannot be removed changes nothing about it.
        let _ = fs::remove_dir_all(&partial);
    }
    made.map(|()| folder)
}

fn fill(folder: &Path, name: &str) -> Result<(), NodeError> {
    fs::create_dir(folder).map_err(|error| NodeError::file(folder, &error))?;
    let (job, readme) = (
        JOB.replace("{{name}}", name),
        README.replace("{{name}}", name),
    );
    let files: [(&str, &[u8]); 4] = [
        ("job.toml", job.as_bytes()),
        ("README.md", readme.as_bytes()),
        ("data.csv", TABLE),
        ("data-LICENCE.txt", LICENCE),
    ];
    for (file, bytes) in files {
        let path = folder.join(file);
        fs::write(&path, bytes).map_err(|error| NodeError::file(&path, &error))?;
    }
    Ok(())
}
