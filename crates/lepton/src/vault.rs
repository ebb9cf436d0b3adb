//! `lepton vault`.

use clap::{Args, Subcommand};
use lepton_node::error::NodeError;

use crate::vault_key::KeyArgs;

/// Flags of `lepton vault`.
#[derive(Args)]
pub(crate) struct VaultArgs {
    #[command(subcommand)]
    command: VaultCommand,
}

#[derive(Subcommand)]
enum VaultCommand {
    /// Make, convert, look at, split and recover key files
    #[command(
        after_help = "Example: lepton vault key generate --kind x25519 --out me.key --public me.pem --passphrase-file secret.txt"
    )]
    Key(KeyArgs),
}

impl VaultArgs {
    /// Carries out the command.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        match self.command {
            VaultCommand::Key(args) => args.run(),
        }
    }
}
