//! `lepton vault`: a party's encrypted tables and keys.

use clap::{Args, Subcommand};
use lepton_node::error::NodeError;

use crate::vault_key::KeyArgs;
use crate::vault_tables::{
    GrantTable, HeadTable, InitVault, ListVault, PruneTable, ReadTable, RevokeTable, RotateVault,
    SealTable, ShowTable, ShredTable, change, look,
};

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
    /// Make a vault: a folder for encrypted tables and their keys
    #[command(after_help = "Example: lepton vault init customers.vault --key-file root.key")]
    Init(InitVault),
    /// Encrypt a table into a vault, as a new table or as the next version of one
    #[command(
        after_help = "Example: lepton vault seal churn.csv --vault customers.vault --key-file root.key\n\nThe file that is sealed stays as it is: remove it yourself. Every column gets a key of its own."
    )]
    Seal(SealTable),
    /// Write a table out in the clear, as CSV, to standard output
    #[command(
        after_help = "Example: lepton vault open customers.vault/churn --key-file root.key | head\n\nWhat is written is not encrypted any more. An exit code other than 0 says that it is not the whole table."
    )]
    Open(ReadTable),
    /// List a vault's tables, versions and grants; needs no key
    #[command(after_help = "Example: lepton vault ls customers.vault")]
    Ls(ListVault),
    /// Show a table's columns, version, roots of integrity and grants
    #[command(after_help = "Example: lepton vault show customers.vault/churn --key-file root.key")]
    Show(ShowTable),
    /// Show the first rows of a table, on this terminal only
    #[command(after_help = "Example: lepton vault head customers.vault/churn --key-file root.key")]
    Head(HeadTable),
    /// Describe a table's columns from their cells, on this terminal only
    #[command(
        after_help = "Example: lepton vault describe customers.vault/churn --key-file root.key\n\nLeast and largest values, categories and counts are taken from raw rows, without any privacy: keep them."
    )]
    Describe(ReadTable),
    /// Let the holder of a key file read some columns of a table
    #[command(
        after_help = "Example: lepton vault grant customers.vault/churn --key-file root.key --to training --columns age,plan,churned --out training.key"
    )]
    Grant(GrantTable),
    /// Take a grant back
    #[command(
        after_help = "Example: lepton vault revoke customers.vault/churn --key-file root.key --from training --reencrypt\n\nWhat the holder copied stays with the holder. With --reencrypt the table gets fresh keys, and all older versions are removed."
    )]
    Revoke(RevokeTable),
    /// Replace a vault's keys without encrypting its data anew; add and remove who can open it
    #[command(
        after_help = "Example: lepton vault rotate customers.vault --key-file root.key --add-key-file second.key"
    )]
    Rotate(RotateVault),
    /// Drop old versions of a table: their keys and files
    #[command(
        after_help = "Example: lepton vault prune customers.vault/churn --key-file root.key --keep 2 --yes\n\nThe last version always stays. Copies of old files stay readable to whoever has them with their keys."
    )]
    Prune(PruneTable),
    /// Destroy a table for good, with a certificate
    #[command(
        after_help = "Example: lepton vault shred customers.vault/churn --key-file root.key --yes\n\nThe certificate says what destruction does not reach: backups, copies, models made from the table."
    )]
    Shred(ShredTable),
}

impl VaultArgs {
    /// Carries out the command.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        match self.command {
            VaultCommand::Key(args) => args.run(),
            VaultCommand::Init(args) => change::init(&args),
            VaultCommand::Seal(args) => change::seal(&args),
            VaultCommand::Open(args) => look::open(&args),
            VaultCommand::Ls(args) => look::ls(&args),
            VaultCommand::Show(args) => look::show(&args),
            VaultCommand::Head(args) => look::head(&args),
            VaultCommand::Describe(args) => look::describe(&args),
            VaultCommand::Grant(args) => change::grant(&args),
            VaultCommand::Revoke(args) => change::revoke(&args),
            VaultCommand::Rotate(args) => change::rotate(&args),
            VaultCommand::Prune(args) => change::prune(&args),
            VaultCommand::Shred(args) => change::shred(&args),
        }
    }
}
