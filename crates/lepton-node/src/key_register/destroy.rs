//! The end of a private key's file (KY-05).

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use lepton_crypto::Zeroizing;
use lepton_crypto::envelope::{Key, MAX_KEY_FILE, Passphrase, SigningKey};
use rand_core::CryptoRng;

use super::statement::{DESTRUCTION, Destruction, signed};
use crate::envelopes::{Target, sync_folder_of};
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
    let found = path.symlink_metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(leads_elsewhere(path));
    }
    only_owner_reads(path)?;
    // One file from here to the end: whatever is put in its place meanwhile is neither read nor overwritten.
    let options = OpenOptions::new().read(true).write(true).open(path);
    let mut file = options.map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if !is_same(&found, &file.metadata().map_err(failed)?) {
        return Err(leads_elsewhere(path));
    }
    if length > MAX_KEY_FILE as u64 {
        return Err(NodeError::Use(format!(
            "{}: no key file is as long as this",
            path.display()
        )));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE + 1));
    let mut reader = (&file).take(MAX_KEY_FILE as u64 + 1);
    reader.read_to_end(&mut bytes).map_err(failed)?;
    let certificate = certificate(path, &bytes, passphrase, when)?;
    let text = signed(DESTRUCTION, &certificate, by)?;
    let target = Target::File {
        path: out.to_owned(),
        replace: false,
    };
    let mut sink = target.open()?;
    sink.write(text.as_bytes())?;
    sink.sync()?;
    overwrite(&mut file, bytes.len(), rng).map_err(failed)?;
    let gone = || {
        if !is_same(&found, &path.symlink_metadata()?) {
            return Err(io::Error::other("another file was put in its place"));
        }
        std::fs::remove_file(path)?;
        sync_folder_of(path)
    };
    let half = |error: &dyn std::fmt::Display| {
        NodeError::Data(format!(
            "{}: the key was overwritten and cannot be had back, but there is no certificate of it ({error}); remove the file by hand if it is there",
            path.display()
        ))
    };
    gone().map_err(|error| half(&error))?;
    sink.finish().map_err(|error| half(&error))?;
    Ok(certificate)
}

fn leads_elsewhere(path: &Path) -> NodeError {
    NodeError::Use(format!(
        "{}: this is no file but something that leads to one; name the key's file itself",
        path.display()
    ))
}

#[cfg(unix)]
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    a.is_file() && b.is_file()
}

fn certificate(
    path: &Path,
    bytes: &[u8],
    passphrase: Option<&Passphrase>,
    when: &str,
) -> Result<Destruction, NodeError> {
    let read = |passphrase| {
        Key::from_file(bytes, passphrase)
            .map_err(|error| NodeError::Data(format!("{}: {error}", path.display())))
    };
    let key = match passphrase {
        None if Key::is_encrypted(bytes) => None,
        passphrase => Some(read(passphrase)?),
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
        sha256: lepton_crypto::sha256(bytes).to_string(),
        destroyed: when.to_owned(),
        what: WHAT.to_owned(),
        not_reached: NOT_REACHED.map(str::to_owned).to_vec(),
    })
}

fn overwrite(file: &mut File, length: usize, rng: &mut impl CryptoRng) -> io::Result<()> {
    let mut noise = vec![0; length];
    rng.fill_bytes(&mut noise);
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&noise)?;
    file.sync_all()
}
