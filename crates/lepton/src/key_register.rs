//! `lepton vault key list|revoke|destroy|escrow`: keys that are kept track of.

use std::path::{Path, PathBuf};

use clap::Args;
use lepton_node::envelopes::{
    Key, PublicKey, Recipient, SigningKey, Target, escrow, from_escrow, read_key, read_passphrase,
    read_public_key, read_signing_key, write_new,
};
use lepton_node::error::NodeError;
use lepton_node::key_register::{
    Held, Revocation, State, destroy, list, read_revocation, refuse_revoked, revocation_of, revoke,
};
use lepton_node::random::Entropy;
use lepton_node::tables::read_text;

use crate::{clock, output};

/// Whose signature a statement gets.
#[derive(Args)]
struct SignedBy {
    /// Ed25519 key (PEM or JWK) that signs: the owner's, or the key itself
    #[arg(long, value_name = "FILE")]
    sign: PathBuf,
    /// File with its passphrase
    #[arg(long, value_name = "FILE")]
    sign_passphrase_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ListKeys {
    /// The folder
    folder: PathBuf,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct RevokeKey {
    /// The public key (PEM or JWK) that is not to be used any more
    key: PathBuf,
    #[command(flatten)]
    by: SignedBy,
    /// Why, for those who read it
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// New file for the statement [default: beside the key, its name with .revoked.json]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct DestroyKey {
    /// The private key's file
    key: PathBuf,
    /// File with its passphrase; without it an encrypted key is destroyed too, and the certificate names the file alone
    #[arg(long, value_name = "FILE")]
    key_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    by: SignedBy,
    /// New file for the certificate [default: beside the key, its name with .destroyed.json]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Yes, it cannot be undone
    #[arg(long)]
    yes: bool,
}

#[derive(Args)]
pub(crate) struct EscrowKey {
    /// The private key's file
    key: PathBuf,
    /// File with its passphrase, if it is encrypted
    #[arg(long, value_name = "FILE")]
    key_passphrase_file: Option<PathBuf>,
    /// Public key of a custodian, who can then recover the key alone; may be repeated, any one of them can
    #[arg(long, value_name = "KEY", required = true)]
    to: Vec<PathBuf>,
    /// Signed revocation of a key that must not be a custodian; may be repeated
    #[arg(long, value_name = "FILE")]
    revoked: Vec<PathBuf>,
    /// New file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl SignedBy {
    fn read(&self) -> Result<SigningKey, NodeError> {
        let passphrase = self.sign_passphrase_file.as_deref();
        let passphrase = passphrase.map(read_passphrase).transpose()?;
        read_signing_key(&self.sign, passphrase.as_ref())
    }
}

impl ListKeys {
    /// Lists what lies in a folder.
    pub(crate) fn run(&self) -> Result<(), NodeError> {
        let keys = list(&self.folder)?;
        if self.json {
            return output::json(&keys);
        }
        output::text(&keys.iter().map(line).collect::<String>())
    }
}

fn line(key: &Held) -> String {
    let state = match key.state {
        State::Active => "active",
        State::Revoked => "REVOKED",
        State::Destroyed => "destroyed",
        State::Unclear => "UNCLEAR (a statement of it is not sound)",
    };
    let encrypted = match key.encrypted {
        Some(false) => ", NOT ENCRYPTED",
        _ => "",
    };
    let part = |before: &str, value: &Option<String>| {
        let value = value.as_ref();
        value.map_or_else(String::new, |value| format!("{before}{value}"))
    };
    let line = format!(
        "{}: {} {}{encrypted}{}{}, {state}{}{}",
        key.file,
        key.half,
        key.kind
            .as_deref()
            .unwrap_or("of a kind that it does not tell"),
        part(", thumbprint ", &key.thumbprint),
        part(", made ", &key.created),
        part(" since ", &key.since),
        part(", said by the key ", &key.by),
    );
    output::plain(&line.replace('\n', " ")) + "\n"
}

impl RevokeKey {
    /// States that a key is revoked.
    pub(crate) fn run(&self) -> Result<(), NodeError> {
        let key = read_public_key(&self.key)?;
        let own = revocation_of(&self.key);
        let out = self.out.as_ref().unwrap_or(&own);
        revoke(&key, (&clock::now().0, &self.reason), &self.by.read()?, out)?;
        output::note(&format!(
            "{} says that the key {} is revoked: give it to everybody who has the key. Beside a copy of {} it keeps `lepton encrypt` and `lepton decrypt --signer` from using it; they take it as --revoked too",
            out.display(),
            key.thumbprint(),
            self.key.display()
        ));
        Ok(())
    }
}

impl DestroyKey {
    /// Destroys a private key's file.
    pub(crate) fn run(&self) -> Result<(), NodeError> {
        if !self.yes {
            return Err(NodeError::Use(format!(
                "{} would be destroyed for good, and with it what only this key opens; say --yes",
                self.key.display()
            )));
        }
        let passphrase = self.key_passphrase_file.as_deref();
        let passphrase = passphrase.map(read_passphrase).transpose()?;
        let by = self.by.read()?;
        let mut name = self.key.file_name().unwrap_or_default().to_owned();
        name.push(".destroyed.json");
        let out = self.out.clone();
        let out = out.unwrap_or_else(|| self.key.with_file_name(name));
        let mut rng = Entropy::System.generator("destruction", 0)?;
        let when = clock::now().0;
        let told = destroy(&self.key, passphrase.as_ref(), (&when, &by), &out, &mut rng)?;
        let mut text = format!(
            "{} is destroyed. The certificate is {}\nNot reached:\n",
            self.key.display(),
            out.display()
        );
        for line in &told.not_reached {
            text += &format!("  - {line}\n");
        }
        output::text(&text)
    }
}

impl EscrowKey {
    /// Encrypts a key to its custodians.
    pub(crate) fn run(&self) -> Result<(), NodeError> {
        let target = new_file(&self.out);
        target.check()?;
        let passphrase = self.key_passphrase_file.as_deref();
        let passphrase = passphrase.map(read_passphrase).transpose()?;
        let key = read_key(&self.key, passphrase.as_ref())?;
        let custodians = usable(&self.to, &self.revoked)?;
        let mut rng = Entropy::System.generator("escrow", 0)?;
        let mut text = escrow(&key, &custodians, &mut rng)?;
        text.push('\n');
        write_new(&target, text.as_bytes())?;
        output::note(&format!(
            "{}: any one of {} custodians recovers the key from it, alone and without asking: with `lepton vault key recover --escrow`",
            self.out.display(),
            custodians.len()
        ));
        Ok(())
    }
}

/// The key in a file that holds it in escrow.
pub(crate) fn recovered(
    file: &Path,
    custodian: &Path,
    passphrase: Option<&Path>,
) -> Result<Key, NodeError> {
    let passphrase = passphrase.map(read_passphrase).transpose()?;
    let custodian = read_key(custodian, passphrase.as_ref())?;
    Ok(from_escrow(&read_text(file)?, &[custodian])?)
}

/// Recipients whose keys nobody revoked.
pub(crate) fn usable(files: &[PathBuf], revoked: &[PathBuf]) -> Result<Vec<Recipient>, NodeError> {
    let keys = unrevoked(files, revoked, read_public_key)?;
    Ok(keys.into_iter().map(Recipient::Public).collect())
}

/// Public keys that nobody revoked, beside their files or in the files given.
pub(crate) fn unrevoked(
    files: &[PathBuf],
    revoked: &[PathBuf],
    read: impl Fn(&Path) -> Result<PublicKey, NodeError>,
) -> Result<Vec<PublicKey>, NodeError> {
    let given = revoked.iter().map(|path| read_revocation(path));
    let given = given.collect::<Result<Vec<Revocation>, _>>()?;
    let checked = |path: &PathBuf| {
        let key = read(path)?;
        refuse_revoked(path, &key, &given)?;
        Ok(key)
    };
    files.iter().map(checked).collect()
}

fn new_file(path: &Path) -> Target {
    Target::File {
        path: path.to_owned(),
        replace: false,
    }
}
