//! `lepton vault key`: key files.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use lepton_node::envelopes::{
    Key, KeyFormat, KeyKind, Passphrase, Protection, PublicKey, Target, read_key, read_passphrase,
    read_public_key, read_share, recover, split, write_new,
};
use lepton_node::error::NodeError;
use lepton_node::key_register::record;
use lepton_node::random::Entropy;
use serde_json::{Value, json};

use crate::key_register::{DestroyKey, EscrowKey, ListKeys, RevokeKey, recovered};
use crate::{clock, output};

/// Flags of `lepton vault key`.
#[derive(Args)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Make a new key
    #[command(
        after_help = "Example: lepton vault key generate --kind hybrid --out me.key --public me.jwk --passphrase-file secret.txt"
    )]
    Generate(GenerateArgs),
    /// Take over a private or AES key of another tool into a file that is encrypted
    #[command(
        after_help = "Example: lepton vault key import openssl.pem --out me.key --passphrase-file secret.txt"
    )]
    Import(ImportArgs),
    /// Write the public half of a key, or with --private the key itself, for another tool
    #[command(
        after_help = "Example: lepton vault key export me.key --key-passphrase-file secret.txt --out me.pem"
    )]
    Export(ExportArgs),
    /// Say what a key file holds
    #[command(after_help = "Example: lepton vault key show me.pem")]
    Show(ShowArgs),
    /// Split a key into shares, some of which give it back
    #[command(
        after_help = "Example: lepton vault key split me.key --key-passphrase-file secret.txt --threshold 3 --shares 5 --out shares\n\nWhoever has as many shares as the threshold has the key: give each to another custodian, over a channel that nobody else reads. Note the printed set; every share of this split has it."
    )]
    Split(SplitArgs),
    /// Recover a key from its shares, or from escrow
    #[command(
        after_help = "Examples:\n  lepton vault key recover shares/share-1.json shares/share-4.json shares/share-5.json --out me.key --passphrase-file secret.txt\n  lepton vault key recover --escrow me.escrow --custodian-key custodian.key --out me.key --passphrase-file secret.txt"
    )]
    Recover(RecoverArgs),
    /// Encrypt a key to a custodian, who can recover it alone
    #[command(
        after_help = "Example: lepton vault key escrow me.key --key-passphrase-file secret.txt --to custodian.pem --out me.escrow"
    )]
    Escrow(EscrowKey),
    /// List the keys in a folder: kind, thumbprint, since when, revoked or destroyed; needs no passphrase
    #[command(after_help = "Example: lepton vault key list keys")]
    List(ListKeys),
    /// State, signed, that a public key is not to be used any more
    #[command(
        after_help = "Example: lepton vault key revoke me.pem --sign owner.key --reason \"the laptop was stolen\"\n\n`lepton encrypt` and `lepton decrypt --signer` refuse a key with such a statement beside its file. It does not reach those who do not get it, and takes nothing back that was encrypted."
    )]
    Revoke(RevokeKey),
    /// Overwrite and remove a private key's file, with a signed certificate
    #[command(
        after_help = "Example: lepton vault key destroy me.key --key-passphrase-file secret.txt --sign owner.key --yes\n\nCopies, backups, shares, escrow and what a solid-state disk keeps are not reached; the certificate says so. `lepton verify` checks it."
    )]
    Destroy(DestroyKey),
}

#[derive(Clone, Copy, ValueEnum)]
enum KindArg {
    /// For signatures; nothing can be encrypted to it
    Ed25519,
    /// X25519 with ML-KEM-768: holds against quantum computers too; for Lepton only
    Hybrid,
    X25519,
    P256,
    #[value(name = "rsa-3072")]
    Rsa3072,
    #[value(name = "rsa-4096")]
    Rsa4096,
    #[value(name = "aes-128")]
    Aes128,
    #[value(name = "aes-192")]
    Aes192,
    #[value(name = "aes-256")]
    Aes256,
}

#[derive(Clone, Copy, ValueEnum)]
enum KeyFormatArg {
    /// PKCS#8 or SubjectPublicKeyInfo in PEM: RSA, P-256, X25519, Ed25519
    Pem,
    /// JSON Web Key, encrypted as JWE: every kind
    Jwk,
}

/// Where a private key goes, and under what.
#[derive(Args)]
struct NewKey {
    /// New file for the key
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// File with the passphrase under which the key is encrypted
    #[arg(long, value_name = "FILE", required_unless_present = "insecure_plain")]
    passphrase_file: Option<PathBuf>,
    /// Write the key unencrypted: whoever can read the file has it
    #[arg(long, conflicts_with = "passphrase_file")]
    insecure_plain: bool,
    /// Form of the file [default: jwk for hybrid and AES keys, else pem]
    #[arg(long, value_name = "FORM")]
    format: Option<KeyFormatArg>,
}

#[derive(Args)]
struct GenerateArgs {
    /// Kind of key
    #[arg(long, value_name = "KIND")]
    kind: KindArg,
    #[command(flatten)]
    new: NewKey,
    /// New file for the public half, to be given to others
    #[arg(long, value_name = "FILE")]
    public: Option<PathBuf>,
}

/// A key file that is there.
#[derive(Args)]
struct OldKey {
    /// The key file
    key: PathBuf,
    /// File with its passphrase, if it is encrypted
    #[arg(long, value_name = "FILE")]
    key_passphrase_file: Option<PathBuf>,
}

#[derive(Args)]
struct ImportArgs {
    #[command(flatten)]
    old: OldKey,
    #[command(flatten)]
    new: NewKey,
}

#[derive(Args)]
struct ExportArgs {
    #[command(flatten)]
    old: OldKey,
    /// New file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Export the private key, not the public half
    #[arg(long)]
    private: bool,
    /// File with the passphrase under which the exported private key is encrypted
    #[arg(long, value_name = "FILE", requires = "private")]
    passphrase_file: Option<PathBuf>,
    /// Export the private key unencrypted: whoever can read the file has it
    #[arg(long, requires = "private", conflicts_with = "passphrase_file")]
    insecure_plain: bool,
    /// Form of the file [default: jwk for hybrid and AES keys, else pem]
    #[arg(long, value_name = "FORM")]
    format: Option<KeyFormatArg>,
}

#[derive(Args)]
struct ShowArgs {
    /// Key or share files; a public key needs no passphrase
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// File with the passphrase of encrypted key files
    #[arg(long, value_name = "FILE")]
    key_passphrase_file: Option<PathBuf>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct SplitArgs {
    #[command(flatten)]
    old: OldKey,
    /// How many shares give the key back
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..))]
    threshold: u8,
    /// How many shares to make
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..))]
    shares: u8,
    /// New folder for the shares
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

#[derive(Args)]
struct RecoverArgs {
    /// Files of shares
    #[arg(required_unless_present = "escrow", conflicts_with = "escrow")]
    shares: Vec<PathBuf>,
    /// Instead: the file with the key in escrow
    #[arg(long, value_name = "FILE", requires = "custodian_key")]
    escrow: Option<PathBuf>,
    /// Private key of its custodian
    #[arg(long, value_name = "FILE", requires = "escrow")]
    custodian_key: Option<PathBuf>,
    /// File with the passphrase of the custodian's key, if it is encrypted
    #[arg(long, value_name = "FILE", requires = "escrow")]
    custodian_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    new: NewKey,
}

impl KeyArgs {
    /// Carries out the command.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        match self.command {
            KeyCommand::Generate(args) => generate(&args),
            KeyCommand::Import(args) => args.new.write(&args.old.read()?),
            KeyCommand::Export(args) => export(&args),
            KeyCommand::Show(args) => show(&args),
            KeyCommand::Split(args) => split_key(&args),
            KeyCommand::Recover(args) => recover_key(&args),
            KeyCommand::Escrow(args) => args.run(),
            KeyCommand::List(args) => args.run(),
            KeyCommand::Revoke(args) => args.run(),
            KeyCommand::Destroy(args) => args.run(),
        }
    }
}

impl KindArg {
    const fn kind(self) -> KeyKind {
        match self {
            Self::Ed25519 => KeyKind::Ed25519,
            Self::Hybrid => KeyKind::Hybrid,
            Self::X25519 => KeyKind::X25519,
            Self::P256 => KeyKind::P256,
            Self::Rsa3072 => KeyKind::Rsa3072,
            Self::Rsa4096 => KeyKind::Rsa4096,
            Self::Aes128 => KeyKind::Aes128,
            Self::Aes192 => KeyKind::Aes192,
            Self::Aes256 => KeyKind::Aes256,
        }
    }
}

impl KeyFormatArg {
    const fn format(self) -> KeyFormat {
        match self {
            Self::Pem => KeyFormat::Pem,
            Self::Jwk => KeyFormat::Jwk,
        }
    }
}

impl OldKey {
    fn read(&self) -> Result<Key, NodeError> {
        let passphrase = self
            .key_passphrase_file
            .as_deref()
            .map(read_passphrase)
            .transpose()?;
        read_key(&self.key, passphrase.as_ref())
    }
}

impl NewKey {
    fn target(&self) -> Target {
        new_file(&self.out)
    }

    /// Encrypted unless the flag with the dangerous name says otherwise; the command line demands one of the two.
    fn write(&self, key: &Key) -> Result<(), NodeError> {
        let passphrase = self
            .passphrase_file
            .as_deref()
            .map(read_passphrase)
            .transpose()?;
        write_private(key, &self.target(), self.format, passphrase.as_ref())?;
        let thumbprint = key.public().map(|public| public.thumbprint());
        record(&self.out, (key.kind(), thumbprint), &clock::now().0)?;
        output::note(&format!("{}: {}", self.out.display(), named(key)));
        Ok(())
    }
}

fn write_private(
    key: &Key,
    target: &Target,
    format: Option<KeyFormatArg>,
    passphrase: Option<&Passphrase>,
) -> Result<(), NodeError> {
    let format = format.map_or_else(|| key.usual_format(), KeyFormatArg::format);
    let protection = passphrase.map_or(Protection::InsecurePlain, Protection::Passphrase);
    let mut rng = Entropy::System.generator("key file", 0)?;
    write_new(
        target,
        key.to_file(format, protection, &mut rng)?.as_bytes(),
    )
}

fn new_file(path: &Path) -> Target {
    Target::File {
        path: path.to_owned(),
        replace: false,
    }
}

/// What a key is, for people: kind and thumbprint.
fn named(key: &Key) -> String {
    match key.public() {
        Some(public) => format!("{}, thumbprint {}", key.kind(), public.thumbprint()),
        None => key.kind(),
    }
}

fn generate(args: &GenerateArgs) -> Result<(), NodeError> {
    args.new.target().check()?;
    if let Some(public) = &args.public {
        new_file(public).check()?;
        if matches!(
            args.kind,
            KindArg::Aes128 | KindArg::Aes192 | KindArg::Aes256
        ) {
            return Err(NodeError::Use(
                "an AES key has no public half; leave out --public".to_owned(),
            ));
        }
    }
    let mut rng = Entropy::System.generator("key", 0)?;
    let key = Key::generate(args.kind.kind(), &mut rng)?;
    args.new.write(&key)?;
    match (&args.public, key.public()) {
        (Some(path), Some(public)) => write_public(path, &public, args.new.format),
        _ => Ok(()),
    }
}

fn write_public(
    path: &Path,
    key: &PublicKey,
    format: Option<KeyFormatArg>,
) -> Result<(), NodeError> {
    let format = format.map_or_else(|| key.usual_format(), KeyFormatArg::format);
    write_new(&new_file(path), key.to_file(format)?.as_bytes())
}

fn export(args: &ExportArgs) -> Result<(), NodeError> {
    new_file(&args.out).check()?;
    let key = args.old.read()?;
    if !args.private {
        let public = key.public().ok_or_else(|| {
            NodeError::Use("an AES key has no public half; export it with --private".to_owned())
        })?;
        return write_public(&args.out, &public, args.format);
    }
    if args.passphrase_file.is_none() && !args.insecure_plain {
        return Err(NodeError::Use(
            "give --passphrase-file FILE under which the key is encrypted, or --insecure-plain"
                .to_owned(),
        ));
    }
    let passphrase = args
        .passphrase_file
        .as_deref()
        .map(read_passphrase)
        .transpose()?;
    write_private(&key, &new_file(&args.out), args.format, passphrase.as_ref())
}

fn show(args: &ShowArgs) -> Result<(), NodeError> {
    let passphrase = args
        .key_passphrase_file
        .as_deref()
        .map(read_passphrase)
        .transpose()?;
    let about = args
        .files
        .iter()
        .map(|path| describe(path, passphrase.as_ref()));
    let about = about.collect::<Result<Vec<_>, _>>()?;
    if args.json {
        return output::json(&about);
    }
    let lines = about.iter().map(|about| {
        let text = |name: &str| about.get(name).map(plain).unwrap_or_default();
        let more = ["thumbprint", "number", "threshold", "shares", "set"]
            .iter()
            .filter_map(|name| {
                about
                    .get(*name)
                    .map(|value| format!(", {name} {}", plain(value)))
            });
        format!(
            "{}: {} {}{}\n",
            text("file"),
            text("half"),
            text("kind"),
            more.collect::<String>()
        )
    });
    output::text(&lines.collect::<String>())
}

fn plain(value: &Value) -> String {
    output::plain(
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
            .as_str(),
    )
}

/// A public key, a share, or a private key: whichever it is.
fn describe(path: &Path, passphrase: Option<&Passphrase>) -> Result<Value, NodeError> {
    let file = path.display().to_string();
    if let Ok(public) = read_public_key(path) {
        return Ok(json!({
            "file": file, "half": "public", "kind": public.kind(), "thumbprint": public.thumbprint(),
        }));
    }
    if let Ok(share) = read_share(path) {
        return Ok(json!({
            "file": file, "half": "share", "kind": "of a key", "thumbprint": share.key(), "number": share.number(),
            "threshold": share.threshold(), "shares": share.holders(), "set": share.set().to_string(),
        }));
    }
    let key = read_key(path, passphrase)?;
    let mut about = json!({"file": file, "half": "private", "kind": key.kind()});
    if let (Some(about), Some(public)) = (about.as_object_mut(), key.public()) {
        about.insert("thumbprint".to_owned(), public.thumbprint().into());
    }
    Ok(about)
}

fn split_key(args: &SplitArgs) -> Result<(), NodeError> {
    if args.threshold > args.shares {
        return Err(NodeError::Use(
            "--threshold is more than --shares".to_owned(),
        ));
    }
    let key = args.old.read()?;
    let mut rng = Entropy::System.generator("shares", 0)?;
    let texts = split(&key, args.threshold, args.shares, &mut rng)?;
    std::fs::create_dir(&args.out).map_err(|error| NodeError::file(&args.out, &error))?;
    let written = (1..).zip(&texts).try_for_each(|(number, text)| {
        let path = args.out.join(format!("share-{number}.json"));
        write_new(&new_file(&path), text.as_bytes())
    });
    if let Err(error) = written {
        // The folder is ours: some of the shares alone are of no use.
        let _ = std::fs::remove_dir_all(&args.out);
        return Err(error);
    }
    let first = read_share(&args.out.join("share-1.json"))?;
    output::note(&format!(
        "{} shares in {}, {} of which give back {}; their set is {}",
        args.shares,
        args.out.display(),
        args.threshold,
        named(&key),
        first.set()
    ));
    Ok(())
}

fn recover_key(args: &RecoverArgs) -> Result<(), NodeError> {
    args.new.target().check()?;
    if let (Some(file), Some(custodian)) = (&args.escrow, &args.custodian_key) {
        let passphrase = args.custodian_passphrase_file.as_deref();
        return args.new.write(&recovered(file, custodian, passphrase)?);
    }
    let shares = args
        .shares
        .iter()
        .map(|path| read_share(path))
        .collect::<Result<Vec<_>, _>>()?;
    args.new.write(&recover(&shares)?)
}
