//! `lepton new`.

use std::path::Path;

use clap::Args;
use lepton_node::error::NodeError;
use lepton_node::scaffold;

use crate::output;

/// Flags of `lepton new`.
#[derive(Args)]
pub(crate) struct NewArgs {
    /// The name of the job and of its folder
    name: String,
}

impl NewArgs {
    /// Makes the folder.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        scaffold::create(Path::new(""), &self.name)?;
        let name = self.name;
        output::text(&format!(
            "{name}/ has a job (job.toml), a table to try it on (data.csv) and a README.md. Next:\n\n  lepton run {name}/job.toml\n"
        ))
    }
}
