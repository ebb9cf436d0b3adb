//! `lepton vault seal` and its siblings: tables in a vault.

pub(crate) mod change;
pub(crate) mod look;

use std::path::{Path, PathBuf};

use clap::Args;
use lepton_node::error::NodeError;
use lepton_node::files::only_owner_reads;
use lepton_node::net::pki::MemberFolder;
use lepton_node::tables::read_text;
use lepton_vault::{KeyFile, Passphrase, RootOfTrust, Signer, TokenKey, VaultError, table_place};
use zeroize::Zeroizing;

/// Who opens the vault.
#[derive(Args)]
pub(crate) struct RootFlags {
    /// File with the vault's passphrase in its first line
    #[arg(long, value_name = "FILE", conflicts_with = "key_file")]
    passphrase_file: Option<PathBuf>,
    /// Key file that opens the vault
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// PKCS#11 module of a token whose AES key opens the vault
    #[arg(long, value_name = "FILE", requires_all = ["token", "token_key", "pin_file"], conflicts_with_all = ["key_file", "passphrase_file"])]
    pkcs11: Option<PathBuf>,
    /// Label of the token
    #[arg(long, value_name = "LABEL", requires = "pkcs11")]
    token: Option<String>,
    /// Label of the AES key on the token
    #[arg(long, value_name = "LABEL", requires = "pkcs11")]
    token_key: Option<String>,
    /// File with the token's PIN in its first line
    #[arg(long, value_name = "FILE", requires = "pkcs11")]
    pin_file: Option<PathBuf>,
}

/// Who signs beside the vault.
#[derive(Args)]
pub(crate) struct SignFlags {
    /// This party's folder of enrolment: its identity signs beside the vault's own key
    #[arg(long, value_name = "FOLDER")]
    identity: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct InitVault {
    /// A new folder
    vault: PathBuf,
    #[command(flatten)]
    root: RootFlags,
}

#[derive(Args)]
pub(crate) struct SealTable {
    /// The table: a CSV, Parquet, Arrow or JSON Lines file, or encrypted Parquet with --parquet-keys
    table: PathBuf,
    /// The vault's folder
    #[arg(long, value_name = "FOLDER")]
    vault: PathBuf,
    #[command(flatten)]
    root: RootFlags,
    #[command(flatten)]
    sign: SignFlags,
    /// Its name in the vault; the file's name without ending, if absent
    #[arg(long)]
    name: Option<String>,
    /// What a column holds where its values would be misread, as postcode=category; may be repeated
    #[arg(long = "type", value_name = "COLUMN=TYPE")]
    types: Vec<String>,
    /// Keys that open an encrypted Parquet file of another tool: a JSON object of key names with base64
    #[arg(long, value_name = "FILE")]
    parquet_keys: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ReadTable {
    /// The table, as VAULT/TABLE
    table: PathBuf,
    #[command(flatten)]
    root: RootFlags,
    /// Only these columns, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    columns: Vec<String>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct HeadTable {
    #[command(flatten)]
    read: ReadTable,
    /// How many rows
    #[arg(long, default_value_t = 10)]
    rows: usize,
}

#[derive(Args)]
pub(crate) struct ListVault {
    /// The vault's folder
    vault: PathBuf,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct ShowTable {
    /// The table, as VAULT/TABLE
    table: PathBuf,
    #[command(flatten)]
    root: RootFlags,
    /// Read all cells and hold them against the roots of integrity
    #[arg(long)]
    check: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct GrantTable {
    /// The table, as VAULT/TABLE
    table: PathBuf,
    #[command(flatten)]
    root: RootFlags,
    /// Name of the grant
    #[arg(long, value_name = "NAME", required_unless_present = "parquet_keys")]
    to: Option<String>,
    /// Columns that are granted, separated by commas
    #[arg(long, value_delimiter = ',', required = true, value_name = "COLUMNS")]
    columns: Vec<String>,
    /// A new key file for the holder
    #[arg(long, value_name = "FILE", conflicts_with = "holder")]
    out: Option<PathBuf>,
    /// The holder's key file, where it has one of another grant
    #[arg(long, value_name = "FILE")]
    holder: Option<PathBuf>,
    /// Instead: a new file with the columns' keys for other tools that read Parquet; it cannot be revoked
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "out", "holder"])]
    parquet_keys: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct RevokeTable {
    /// The table, as VAULT/TABLE
    table: PathBuf,
    #[command(flatten)]
    root: RootFlags,
    #[command(flatten)]
    sign: SignFlags,
    /// Name of the grant
    #[arg(long, value_name = "NAME")]
    from: String,
    /// Encrypt the last version anew, so that keys which the holder kept open no version to come, and delete all older versions
    #[arg(long)]
    reencrypt: bool,
}

/// Who shall open the vault too.
#[derive(Args)]
struct AddRoot {
    /// Let this key file open the vault too; it is made, if there is none
    #[arg(long, value_name = "FILE", conflicts_with = "add_passphrase_file")]
    add_key_file: Option<PathBuf>,
    /// Let the passphrase in this file open the vault too
    #[arg(long, value_name = "FILE")]
    add_passphrase_file: Option<PathBuf>,
    /// Let an AES key on a token open the vault too: the token's PKCS#11 module
    #[arg(long, value_name = "FILE", requires_all = ["add_token", "add_token_key", "add_pin_file"], conflicts_with_all = ["add_key_file", "add_passphrase_file"])]
    add_pkcs11: Option<PathBuf>,
    /// Label of that token
    #[arg(long, value_name = "LABEL", requires = "add_pkcs11")]
    add_token: Option<String>,
    /// Label of the AES key on it
    #[arg(long, value_name = "LABEL", requires = "add_pkcs11")]
    add_token_key: Option<String>,
    /// File with its PIN in its first line
    #[arg(long, value_name = "FILE", requires = "add_pkcs11")]
    add_pin_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct PruneTable {
    /// The table, as VAULT/TABLE
    table: PathBuf,
    #[command(flatten)]
    root: RootFlags,
    /// How many of the last versions stay
    #[arg(long, value_name = "N", default_value_t = 1)]
    keep: usize,
    /// Yes, it cannot be undone
    #[arg(long)]
    yes: bool,
}

#[derive(Args)]
pub(crate) struct RotateVault {
    /// The vault's folder
    vault: PathBuf,
    #[command(flatten)]
    root: RootFlags,
    #[command(flatten)]
    add: AddRoot,
    /// Take a root away, by its name in `lepton vault ls`; may be repeated, for all that are neither at hand nor new: only those two can stay
    #[arg(long, value_name = "ROOT")]
    remove_root: Vec<String>,
}

#[derive(Args)]
pub(crate) struct ShredTable {
    /// The table, as VAULT/TABLE
    table: PathBuf,
    #[command(flatten)]
    root: RootFlags,
    #[command(flatten)]
    sign: SignFlags,
    /// Yes, it cannot be undone
    #[arg(long)]
    yes: bool,
}

impl RootFlags {
    fn root(&self) -> Result<Box<dyn RootOfTrust>, NodeError> {
        if let (Some(module), Some(token), Some(key), Some(pin)) =
            (&self.pkcs11, &self.token, &self.token_key, &self.pin_file)
        {
            return on_token(module, (token, key), pin);
        }
        match (&self.passphrase_file, &self.key_file) {
            (Some(path), _) => Ok(Box::new(Passphrase::from_file(path)?)),
            (None, Some(path)) => Ok(Box::new(KeyFile::open(path)?)),
            (None, None) => Err(NodeError::Use(
                "say what opens the vault: --key-file, --passphrase-file or --pkcs11".to_owned(),
            )),
        }
    }
}

impl AddRoot {
    fn root(&self) -> Result<Option<Box<dyn RootOfTrust>>, NodeError> {
        if let (Some(module), Some(token), Some(key), Some(pin)) = (
            &self.add_pkcs11,
            &self.add_token,
            &self.add_token_key,
            &self.add_pin_file,
        ) {
            return on_token(module, (token, key), pin).map(Some);
        }
        Ok(match (&self.add_key_file, &self.add_passphrase_file) {
            (Some(path), _) => Some(Box::new(change::made(path)?)),
            (None, Some(path)) => Some(Box::new(Passphrase::from_file(path)?)),
            (None, None) => None,
        })
    }
}

/// A key on a token, opened with the PIN in a file.
fn on_token(
    module: &Path,
    names: (&str, &str),
    pin: &Path,
) -> Result<Box<dyn RootOfTrust>, NodeError> {
    let pin = first_line(pin)?;
    Ok(Box::new(TokenKey::open(module, names, &pin)?))
}

/// A secret in the first line of a file that only its owner may read.
fn first_line(path: &Path) -> Result<Zeroizing<String>, NodeError> {
    only_owner_reads(path)?;
    let text = Zeroizing::new(read_text(path)?);
    Ok(Zeroizing::new(
        text.lines().next().unwrap_or_default().to_owned(),
    ))
}

impl SignFlags {
    fn signer(&self) -> Result<Option<Signer>, NodeError> {
        let Some(folder) = &self.identity else {
            return Ok(None);
        };
        let key = MemberFolder::open(folder)?.key()?.identity();
        Ok(Some(Signer { key }))
    }
}

/// Vault and name of a table.
fn place(path: &Path) -> Result<(PathBuf, String), NodeError> {
    let found = table_place(path).ok_or_else(|| {
        VaultError::Use(format!(
            "{}: this is no table of a vault; name it as VAULT/TABLE",
            path.display()
        ))
    })?;
    Ok(found)
}
