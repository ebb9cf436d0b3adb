//! Keys that are kept track of: what lies in a folder, which keys were revoked and which destroyed, and the signed statements about that
//! (`docs/protocols/keys.md`).

mod destroy;
mod folder;
mod statement;

pub use destroy::destroy;
pub use folder::{Held, RECORD, Record, State, list, record};
pub(crate) use statement::verify_value;
pub use statement::{
    DESTRUCTION, Destruction, Found, REVOCATION, Revocation, Statement, revocation, verify,
};

use std::path::{Path, PathBuf};

use lepton_crypto::envelope::{PublicKey, SigningKey};

use crate::envelopes::{Target, limited, write_new};
use crate::error::NodeError;

/// What the name of a revocation beside a public key's file ends with.
const REVOKED: &str = ".revoked.json";

/// Most bytes of a statement or a record.
const MAX_STATEMENT: usize = 64 << 10;

/// Most bytes of a revocation's reason.
const MAX_REASON: usize = 1 << 10;

/// Where the revocation of the key in a file lies, if there is one.
#[must_use]
pub fn revocation_of(public: &Path) -> PathBuf {
    beside(public, REVOKED)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

/// States, signed by `by`, that a key is not to be used any more, and writes that to a new file (KY-03).
///
/// # Errors
/// [`NodeError`].
pub fn revoke(
    key: &PublicKey,
    (when, reason): (&str, &str),
    by: &SigningKey,
    out: &Path,
) -> Result<(), NodeError> {
    if reason.len() > MAX_REASON {
        return Err(NodeError::Use(format!(
            "the reason has {} bytes; {MAX_REASON} are the most",
            reason.len()
        )));
    }
    let text = revocation(key, when, reason, by)?;
    let target = Target::File {
        path: out.to_owned(),
        replace: false,
    };
    write_new(&target, text.as_bytes())
}

/// Refuses a key that was revoked: by a statement beside its file, or by one of `given` (KY-04).
///
/// # Errors
/// [`NodeError::Refused`] for a revoked key; [`NodeError::Data`] for a statement that is not sound, or another one beside the file.
pub fn refuse_revoked(file: &Path, key: &PublicKey, given: &[Revocation]) -> Result<(), NodeError> {
    let name = key.thumbprint();
    let mut own = revocation_of(file);
    // Beside what a link leads to as well.
    if is_absent(&own)? {
        let led = file.canonicalize();
        own = revocation_of(&led.map_err(|error| NodeError::file(file, &error))?);
    }
    let beside = match is_absent(&own)? {
        true => None,
        false => Some(read_revocation(&own)?),
    };
    if let Some(other) = beside.as_ref().filter(|found| found.thumbprint != name) {
        return Err(NodeError::Data(format!(
            "{}: it revokes the key {}, and {} holds {name}; find out which of them belongs there",
            own.display(),
            other.thumbprint,
            file.display()
        )));
    }
    let mut all = beside.iter().chain(given);
    match all.find(|found| found.thumbprint == name) {
        Some(found) => Err(NodeError::Refused(format!(
            "{}: this key was revoked at {}{}; ask its holder for the new one",
            file.display(),
            found.revoked,
            found.because()
        ))),
        None => Ok(()),
    }
}

/// Whether nothing has this name; what cannot be told is an error.
fn is_absent(path: &Path) -> Result<bool, NodeError> {
    match path.symlink_metadata() {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(NodeError::file(path, &error)),
    }
}

/// A sound revocation from a file.
///
/// # Errors
/// [`NodeError`].
pub fn read_revocation(path: &Path) -> Result<Revocation, NodeError> {
    let bytes = limited(path, MAX_STATEMENT)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let found = verify(text).map_err(|problem| not_sound(path, &problem))?;
    match found.statement {
        Statement::Revocation(body) if found.holds => Ok(body),
        Statement::Revocation(_) => Err(not_sound(path, "its signature does not hold")),
        Statement::Destruction(_) => Err(not_sound(path, "it is a certificate of destruction")),
    }
}

fn not_sound(path: &Path, problem: &str) -> NodeError {
    NodeError::Data(format!(
        "{}: this is no sound revocation ({problem}); do not use the key before you know what it is",
        path.display()
    ))
}
