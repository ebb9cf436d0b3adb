//! `lepton encrypt`, `lepton decrypt` and `lepton rewrap`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use lepton_node::envelopes::{
    self, Cost, Enc, EnvelopeError, Format, Input, Key, Lock, Options, Origin, Passphrase,
    PublicKey, Recipient, SigningPublic, Summary, Target, Unlock, read_key, read_passphrase,
    read_signer, read_signing_key,
};
use lepton_node::error::NodeError;
use lepton_node::random::Entropy;
use serde_json::{Value, json};

use crate::key_register::{unrevoked, usable};
use crate::output;

/// To whom an envelope is closed.
#[derive(Args)]
pub(crate) struct ToWhom {
    /// Public key (PEM or JWK) of somebody who shall be able to decrypt; may be given up to 64 times
    #[arg(long, value_name = "KEY")]
    recipient: Vec<PathBuf>,
    /// Statement that a key is revoked, which is then refused as a recipient; may be repeated. One beside the key is found
    #[arg(long, value_name = "FILE")]
    revoked: Vec<PathBuf>,
}

/// With what an envelope is opened.
#[derive(Args)]
struct WithWhat {
    /// File of a private key (PEM, JWK) or an AES key that opens the envelope; may be given several times
    #[arg(long, value_name = "FILE", required_unless_present = "passphrase_file")]
    key_file: Vec<PathBuf>,
    /// File with the passphrase of the key files, all of which are encrypted under it
    #[arg(long, value_name = "FILE", requires = "key_file")]
    key_passphrase_file: Option<PathBuf>,
    /// File with the passphrase that opens an envelope to a passphrase
    #[arg(long, value_name = "FILE", conflicts_with = "key_file")]
    passphrase_file: Option<PathBuf>,
}

/// Flags of `lepton encrypt`.
#[derive(Args)]
pub(crate) struct EncryptArgs {
    #[command(flatten)]
    to: ToWhom,
    /// File of an AES key, 16, 24 or 32 raw bytes or a JWK, with which to decrypt
    #[arg(long, value_name = "FILE")]
    key_file: Vec<PathBuf>,
    /// File with the passphrase of the AES key's file
    #[arg(long, value_name = "FILE", requires = "key_file")]
    key_passphrase_file: Option<PathBuf>,
    /// File with a passphrase in its only line; nobody else can be a recipient then
    #[arg(long, value_name = "FILE", conflicts_with_all = ["recipient", "key_file"])]
    passphrase_file: Option<PathBuf>,
    /// Derive from the passphrase by PBES2, which other tools know, not by Argon2id, which is stronger
    #[arg(long, requires = "passphrase_file")]
    portable: bool,
    /// Ed25519 key (PEM or JWK) that signs: its holder made this, for these recipients
    #[arg(long, value_name = "FILE")]
    sign: Option<PathBuf>,
    /// File with the passphrase of the key that signs
    #[arg(long, value_name = "FILE", requires = "sign")]
    sign_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    files: Files,
    /// Form of the envelope [default: jwe for up to 64 KiB, stream for more]
    #[arg(long, value_name = "FORM")]
    format: Option<FormatArg>,
    /// Cipher of the content of a JWE; a stream always has AES-256-GCM
    #[arg(long, value_name = "CIPHER", default_value = "aes-256")]
    cipher: CipherArg,
}

/// Flags of `lepton decrypt`.
#[derive(Args)]
pub(crate) struct DecryptArgs {
    #[command(flatten)]
    with: WithWhat,
    /// Ed25519 public key (PEM or JWK) of somebody who must have signed; of several, one must have
    #[arg(long, value_name = "KEY")]
    signer: Vec<PathBuf>,
    /// Statement that a signer's key is revoked, which is then refused; may be repeated. One beside the key is found
    #[arg(long, value_name = "FILE", requires = "signer")]
    revoked: Vec<PathBuf>,
    #[command(flatten)]
    files: Files,
}

/// Flags of `lepton rewrap`.
#[derive(Args)]
pub(crate) struct RewrapArgs {
    /// The envelope's file; it is replaced when the new one is whole
    envelope: PathBuf,
    #[command(flatten)]
    with: WithWhat,
    #[command(flatten)]
    to: ToWhom,
    /// File of an AES key for the new envelope, 16, 24 or 32 raw bytes or a JWK
    #[arg(long, value_name = "FILE")]
    to_key_file: Vec<PathBuf>,
    /// File with the passphrase of these AES keys' files
    #[arg(long, value_name = "FILE", requires = "to_key_file")]
    to_key_passphrase_file: Option<PathBuf>,
    /// File with the passphrase for the new envelope; nobody else can be a recipient then
    #[arg(long, value_name = "FILE", conflicts_with_all = ["recipient", "to_key_file"])]
    to_passphrase_file: Option<PathBuf>,
    /// Derive from the new passphrase by PBES2, which other tools know, not by Argon2id, which is stronger
    #[arg(long, requires = "to_passphrase_file")]
    portable: bool,
    /// Write a new file instead, and leave the envelope as it is
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON document about what was done on stdout
    #[arg(long)]
    json: bool,
}

/// Where to read and where to write.
#[derive(Args)]
struct Files {
    /// File to read [default: standard input]
    #[arg(long = "in", value_name = "FILE")]
    input: Option<PathBuf>,
    /// File to write; it appears when it is whole [default: standard output]
    #[arg(long = "out", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file of --out if it exists
    #[arg(long, requires = "output")]
    force: bool,
    /// Print one JSON document about what was done on stdout
    #[arg(long, requires = "output")]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatArg {
    /// JSON Web Encryption (RFC 7516), up to 16 MiB: other tools open it
    Jwe,
    /// Authenticated chunks: any size, in constant memory
    Stream,
}

#[derive(Clone, Copy, ValueEnum)]
enum CipherArg {
    #[value(name = "aes-128")]
    Aes128,
    #[value(name = "aes-192")]
    Aes192,
    #[value(name = "aes-256")]
    Aes256,
}

impl EncryptArgs {
    /// Carries out the command.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        let (input, target) = self.files.open()?;
        let enc = match self.cipher {
            CipherArg::Aes128 => Enc::A128Gcm,
            CipherArg::Aes192 => Enc::A192Gcm,
            CipherArg::Aes256 => Enc::A256Gcm,
        };
        let format = self.format.map(|format| match format {
            FormatArg::Jwe => Format::Jwe,
            FormatArg::Stream => Format::Stream,
        });
        let passphrase = optional(self.passphrase_file.as_deref())?;
        let recipients = match &passphrase {
            Some(_) => Vec::new(),
            None => self
                .to
                .recipients(&self.key_file, self.key_passphrase_file.as_deref())?,
        };
        let of_signer = optional(self.sign_passphrase_file.as_deref())?;
        let sign = self.sign.as_deref();
        let sign = sign
            .map(|path| read_signing_key(path, of_signer.as_ref()))
            .transpose()?;
        let mut rng = Entropy::System.generator("encrypt", 0)?;
        let options = Options {
            lock: lock(passphrase.as_ref(), self.portable, &recipients),
            enc,
            format,
            sign: sign.as_ref(),
        };
        let summary = envelopes::encrypt(input, &target, options, &mut rng)?;
        self.files.tell(&summary)
    }
}

/// A passphrase, or keys.
fn lock<'a>(
    passphrase: Option<&'a Passphrase>,
    portable: bool,
    recipients: &'a [Recipient],
) -> Lock<'a> {
    let cost = if portable {
        Cost::PORTABLE
    } else {
        Cost::STRONG
    };
    passphrase.map_or(Lock::Keys(recipients), |passphrase| {
        Lock::Passphrase(passphrase, cost)
    })
}

impl ToWhom {
    /// Public keys, and the AES keys of files.
    fn recipients(
        &self,
        key_files: &[PathBuf],
        passphrase: Option<&Path>,
    ) -> Result<Vec<Recipient>, NodeError> {
        if self.recipient.is_empty() && key_files.is_empty() {
            return Err(NodeError::Use(
                "to whom? give --recipient KEY, or the file of an AES key or of a passphrase"
                    .to_owned(),
            ));
        }
        let public = usable(&self.recipient, &self.revoked)?;
        let keys = keys(key_files, passphrase)?;
        let aes = keys.into_iter().map(|key| match key {
            Key::Aes(key) => Ok(Recipient::Aes(key)),
            _ => Err(NodeError::Use(
                "an AES key is needed to encrypt to; give the public half of a private key as --recipient".to_owned(),
            )),
        });
        public.into_iter().map(Ok).chain(aes).collect()
    }
}

impl WithWhat {
    fn secrets(&self) -> Result<(Option<Passphrase>, Vec<Key>), NodeError> {
        let passphrase = optional(self.passphrase_file.as_deref())?;
        let keys = keys(&self.key_file, self.key_passphrase_file.as_deref())?;
        Ok((passphrase, keys))
    }
}

impl RewrapArgs {
    /// Carries out the command.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        // What a link leads to is replaced, not the link: the old envelope would stay where it is.
        let envelope = std::fs::canonicalize(&self.envelope)
            .map_err(|error| NodeError::file(&self.envelope, &error))?;
        let target = Target::File {
            path: self.out.clone().unwrap_or_else(|| envelope.clone()),
            replace: self.out.is_none(),
        };
        target.check()?;
        let (passphrase, keys) = self.with.secrets()?;
        let new_passphrase = optional(self.to_passphrase_file.as_deref())?;
        let recipients = match &new_passphrase {
            Some(_) => Vec::new(),
            None => self
                .to
                .recipients(&self.to_key_file, self.to_key_passphrase_file.as_deref())?,
        };
        let unlock = unlock(passphrase.as_ref(), &keys);
        let lock = lock(new_passphrase.as_ref(), self.portable, &recipients);
        let mut rng = Entropy::System.generator("rewrap", 0)?;
        let done = envelopes::rewrap(&envelope, &target, (unlock, lock), &mut rng)?;
        let out = self.out.as_deref().unwrap_or(&self.envelope);
        if self.json {
            return output::json(&about(&done, Some(out)));
        }
        output::note(match done.format {
            Format::Stream => {
                "done: other recipients, the same data under the same key. Whoever could open it before still can, with an old copy or the key that is in it: to close that, decrypt it and encrypt it anew"
            }
            Format::Jwe => {
                "done: sealed anew for other recipients. Whoever could open it before still can, with an old copy"
            }
        });
        Ok(())
    }
}

impl DecryptArgs {
    /// Carries out the command. A pipe has its chunks when they were authentic; only the end says whether the whole was.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        let (input, target) = self.files.open()?;
        let (passphrase, keys) = self.with.secrets()?;
        let signers = self.signers()?;
        let unlock = unlock(passphrase.as_ref(), &keys);
        let summary = envelopes::decrypt(input, &target, unlock, &signers)
            .map_err(|error| self.explained(error))?;
        if !summary.committed {
            output::note(
                "note: the tool that made this envelope did not bind it to its key (`lepton.kc`): it is unaltered since it was made, by whomever",
            );
        }
        if let Origin::Unchecked { signer } = &summary.origin {
            output::note(&format!(
                "note: a signature is there, by a key that calls itself {signer}; it was not checked against anybody: name who must have signed, as --signer PUBLIC.pem",
            ));
        }
        self.files.tell(&summary)
    }

    /// Those who may have signed, none of whom is revoked.
    fn signers(&self) -> Result<Vec<SigningPublic>, NodeError> {
        let read = |path: &Path| read_signer(path).map(PublicKey::Signing);
        let keys = unrevoked(&self.signer, &self.revoked, read)?;
        Ok(keys.iter().filter_map(PublicKey::signing).collect())
    }

    /// What a pipe got before the end was known is named.
    fn explained(&self, error: NodeError) -> NodeError {
        let piped = self.files.output.is_none();
        match error {
            NodeError::Envelope(EnvelopeError::Chunk(chunk)) if piped && chunk > 0 => {
                NodeError::Data(format!(
                    "{error}. Discard what was written: its {chunk} chunks are authentic, the whole is not"
                ))
            }
            NodeError::Envelope(
                EnvelopeError::BadSignature
                | EnvelopeError::OtherSigner(_)
                | EnvelopeError::OtherContent,
            ) if piped => NodeError::Data(format!(
                "{error}. Discard what was written, if anything was: it is not from whom it should be"
            )),
            other => other,
        }
    }
}

impl Files {
    fn open(&self) -> Result<(Input, Target), NodeError> {
        let target = match &self.output {
            Some(path) => Target::File {
                path: path.clone(),
                replace: self.force,
            },
            None => Target::Stdout,
        };
        target.check()?;
        let input = match &self.input {
            Some(path) => Input::file(path)?,
            None => Input::stdin(),
        };
        Ok((input, target))
    }

    fn tell(&self, summary: &Summary) -> Result<(), NodeError> {
        if self.json {
            return output::json(&about(summary, self.output.as_deref()));
        }
        let signed = match &summary.origin {
            Origin::Signed(key) => format!(", signed by the key {}", key.thumbprint()),
            _ => String::new(),
        };
        output::note(&format!(
            "done: {} bytes, the whole of them, as {}{signed}",
            summary.bytes,
            word(summary.format)
        ));
        Ok(())
    }
}

const fn word(format: Format) -> &'static str {
    match format {
        Format::Jwe => "jwe",
        Format::Stream => "stream",
    }
}

/// The JSON document about what was done.
fn about(summary: &Summary, out: Option<&Path>) -> Value {
    let (signature, signer) = match &summary.origin {
        Origin::Unsigned => ("none", None),
        Origin::Unchecked { signer } => ("unchecked", Some(signer.clone())),
        Origin::Signed(key) => ("good", Some(key.thumbprint())),
    };
    json!({
        "format": word(summary.format),
        "bytes": summary.bytes,
        "committed": summary.committed,
        "signature": signature,
        "signer": signer,
        "out": out.map(|path| path.display().to_string()),
    })
}

fn optional(path: Option<&Path>) -> Result<Option<Passphrase>, NodeError> {
    path.map(read_passphrase).transpose()
}

fn unlock<'a>(passphrase: Option<&'a Passphrase>, keys: &'a [Key]) -> Unlock<'a> {
    passphrase.map_or(Unlock::Keys(keys), Unlock::Passphrase)
}

/// The keys of files that are all encrypted under the passphrase, or none of them.
fn keys(paths: &[PathBuf], passphrase: Option<&Path>) -> Result<Vec<Key>, NodeError> {
    let passphrase = optional(passphrase)?;
    paths
        .iter()
        .map(|path| read_key(path, passphrase.as_ref()))
        .collect()
}
