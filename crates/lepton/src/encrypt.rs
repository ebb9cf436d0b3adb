//! `lepton encrypt` and `lepton decrypt`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use lepton_node::envelopes::{
    self, Cost, Enc, EnvelopeError, Format, Input, Key, Lock, Options, Passphrase, Recipient,
    Summary, Target, Unlock, read_key, read_passphrase, read_public_key,
};
use lepton_node::error::NodeError;
use lepton_node::random::Entropy;
use serde_json::json;

use crate::output;

/// Flags of `lepton encrypt`.
#[derive(Args)]
pub(crate) struct EncryptArgs {
    /// Public key (PEM or JWK) of somebody who shall be able to decrypt; may be given up to 64 times
    #[arg(long, value_name = "KEY")]
    recipient: Vec<PathBuf>,
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
    /// File of a private key (PEM, JWK) or an AES key; may be given several times
    #[arg(long, value_name = "FILE", required_unless_present = "passphrase_file")]
    key_file: Vec<PathBuf>,
    /// File with the passphrase of the key files, all of which are encrypted under it
    #[arg(long, value_name = "FILE", requires = "key_file")]
    key_passphrase_file: Option<PathBuf>,
    /// File with the passphrase of an envelope to a passphrase
    #[arg(long, value_name = "FILE", conflicts_with = "key_file")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    files: Files,
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
        let passphrase = self
            .passphrase_file
            .as_deref()
            .map(read_passphrase)
            .transpose()?;
        let recipients = self.recipients()?;
        let cost = if self.portable {
            Cost::PORTABLE
        } else {
            Cost::STRONG
        };
        let lock = match &passphrase {
            Some(passphrase) => Lock::Passphrase(passphrase, cost),
            None => Lock::Keys(&recipients),
        };
        let mut rng = Entropy::System.generator("encrypt", 0)?;
        let options = Options { lock, enc, format };
        let summary = envelopes::encrypt(input, &target, options, &mut rng)?;
        self.files.tell(summary)
    }

    fn recipients(&self) -> Result<Vec<Recipient>, NodeError> {
        if self.passphrase_file.is_some() {
            return Ok(Vec::new());
        }
        if self.recipient.is_empty() && self.key_file.is_empty() {
            return Err(NodeError::Use(
                "to whom? give --recipient KEY, --key-file FILE or --passphrase-file FILE"
                    .to_owned(),
            ));
        }
        let public = self
            .recipient
            .iter()
            .map(|path| read_public_key(path).map(Recipient::Public));
        let keys = keys(&self.key_file, self.key_passphrase_file.as_deref())?;
        let aes = keys.into_iter().map(|key| match key {
            Key::Aes(key) => Ok(Recipient::Aes(key)),
            _ => Err(NodeError::Use(
                "--key-file takes an AES key here; give the public half of a private key as --recipient".to_owned(),
            )),
        });
        public.chain(aes).collect()
    }
}

impl DecryptArgs {
    /// Carries out the command. A pipe has its chunks when they were authentic; only the end says whether the whole was.
    pub(crate) fn run(self) -> Result<(), NodeError> {
        let (input, target) = self.files.open()?;
        let passphrase = self
            .passphrase_file
            .as_deref()
            .map(read_passphrase)
            .transpose()?;
        let keys = keys(&self.key_file, self.key_passphrase_file.as_deref())?;
        let unlock = match &passphrase {
            Some(passphrase) => Unlock::Passphrase(passphrase),
            None => Unlock::Keys(&keys),
        };
        let summary = envelopes::decrypt(input, &target, unlock).map_err(|error| match error {
            NodeError::Envelope(EnvelopeError::Chunk(chunk)) if self.files.output.is_none() && chunk > 0 => {
                NodeError::Data(format!(
                    "{error}. Discard what was written: its {chunk} chunks are authentic, the whole is not"
                ))
            }
            other => other,
        })?;
        if !summary.committed {
            output::note(
                "note: the tool that made this envelope did not bind it to its key (`lepton.kc`): it is unaltered since it was made, by whomever",
            );
        }
        self.files.tell(summary)
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

    fn tell(&self, summary: Summary) -> Result<(), NodeError> {
        let format = match summary.format {
            Format::Jwe => "jwe",
            Format::Stream => "stream",
        };
        if self.json {
            return output::json(&json!({
                "format": format,
                "bytes": summary.bytes,
                "committed": summary.committed,
                "out": self.output.as_ref().map(|path| path.display().to_string()),
            }));
        }
        output::note(&format!(
            "done: {} bytes, the whole of them, as {format}",
            summary.bytes
        ));
        Ok(())
    }
}

/// The keys of files that are all encrypted under the passphrase, or none of them.
fn keys(paths: &[PathBuf], passphrase: Option<&Path>) -> Result<Vec<Key>, NodeError> {
    let passphrase: Option<Passphrase> = passphrase.map(read_passphrase).transpose()?;
    paths
        .iter()
        .map(|path| read_key(path, passphrase.as_ref()))
        .collect()
}
