//! `lepton vault`: a party's encrypted tables and keys.

use clap::{Args, Subcommand};
use lepton_node::error::NodeError;

use crate::vault_tables::VaultTables;

/// Flags of `lepton vault`.
#[derive(Args)]
pub(crate) struct VaultArgs {
    #[command(subcommand)]
    command: VaultCommand,
}

#[derive(Subcommand)]
enum VaultCommand {
    #[command(flatten)]
    Tables(VaultTables),
}

impl VaultArgs {
    /// Carries out the command.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        match self.command {
            VaultCommand::Tables(tables) => tables.run(),
        }
    }
}
