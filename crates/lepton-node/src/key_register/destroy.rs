//! The end of a private key's file (KY-05).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use lepton_crypto::Zeroizing;
use lepton_crypto::envelope::{Key, MAX_KEY_FILE, Passphrase, SigningKey};
use rand_core::CryptoRng;

use super::statement::{DESTRUCTION, Destruction, signed};
use crate::envelopes::{Target, read_key, sync_folder_of};
use crate::error::NodeError;
use crate::files::only_owner_reads;

const WHAT: &str =
    "The file of the private key was overwritten once with random bytes and removed.";

const NOT_REACHED: [&str; 6] = [
    "copies and exports of the key, its shares, and the key in escrow",
    "backups, snapshots and journals that hold the file as it was",
    "remnants on solid-state disks, and on file systems that write elsewhere what is overwritten",
    "memory and swap of programs that used the key",
    "what was decrypted with it, and envelopes that other recipients open",
    "the public key at others: revoke it, so that nobody encrypts to it any more",
];

/// Overwrites and removes the file of a private key, and writes a certificate of that to the new file `out`, signed by `by`. The certificate is on the disk,
/// without its name, before the file is touched, and gets its name after. A key that is encrypted can be destroyed without its passphrase; the certificate then
/// names the file alone.
///
/// # Errors
/// [`NodeError`]. Without a certificate the file may be there, overwritten, or gone.
pub fn destroy(
    path: &Path,
    passphrase: Option<&Passphrase>,
    (when, by): (&str, &SigningKey),
    out: &Path,
    rng: &mut impl CryptoRng,
) -> Result<Destruction, NodeError> {
    let failed = |error| NodeError::file(path, &error);
    if !path.symlink_metadata().map_err(failed)?.is_file() {
        return Err(NodeError::Use(format!(
            "{}: this is no file but something that leads to one; name the key's file itself",
            path.display()
        )));
    }
    let certificate = certificate(path, passphrase, when)?;
    let text = signed(DESTRUCTION, &certificate, by)?;
    let target = Target::File {
        path: out.to_owned(),
        replace: false,
    };
    let mut sink = target.open()?;
    sink.write(text.as_bytes())?;
    overwrite(path, rng).map_err(failed)?;
    std::fs::remove_file(path).map_err(failed)?;
    sync_folder_of(path).map_err(failed)?;
    sink.finish()?;
    Ok(certificate)
}

fn certificate(
    path: &Path,
    passphrase: Option<&Passphrase>,
    when: &str,
) -> Result<Destruction, NodeError> {
    only_owner_reads(path)?;
    let failed = |error| NodeError::file(path, &error);
    if path.metadata().map_err(failed)?.len() > MAX_KEY_FILE as u64 {
        return Err(NodeError::Use(format!(
            "{}: no key file is as long as this",
            path.display()
        )));
    }
    let bytes = Zeroizing::new(std::fs::read(path).map_err(failed)?);
    let key = match passphrase {
        None if Key::is_encrypted(&bytes) => None,
        passphrase => Some(read_key(path, passphrase)?),
    };
    let public = key.as_ref().and_then(Key::public);
    Ok(Destruction {
        thumbprint: public.map(|public| public.thumbprint()),
        kind: key.map_or_else(
            || "not known without its passphrase".to_owned(),
            |key| key.kind(),
        ),
        file: path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        sha256: lepton_crypto::sha256(&bytes).to_string(),
        destroyed: when.to_owned(),
        what: WHAT.to_owned(),
        not_reached: NOT_REACHED.map(str::to_owned).to_vec(),
    })
}

fn overwrite(path: &Path, rng: &mut impl CryptoRng) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(MAX_KEY_FILE);
    let mut noise = vec![0; length];
    rng.fill_bytes(&mut noise);
    file.write_all(&noise)?;
    file.sync_all()
}
