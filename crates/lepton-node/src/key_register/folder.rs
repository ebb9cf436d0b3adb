//! What lies in a folder of keys (KY-01, KY-06).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lepton_crypto::Zeroizing;
use lepton_crypto::envelope::{KeyFile, MAX_KEY_FILE};
use serde::{Deserialize, Serialize};

use super::statement::{Found, Statement, verify};
use crate::envelopes::{Target, limited, write_new};
use crate::error::NodeError;
use crate::signed_report::strict;

/// `type` of the note that is written beside a private key.
pub const RECORD: &str = "lepton-key-record";
/// What its name ends with.
const RECORDED: &str = ".record.json";

/// What was noted of a private key when its file was written: a note, signed by nobody, so that it can be told without the passphrase what the file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`RECORD`].
    #[serde(rename = "type")]
    pub document: String,
    /// Name of the key's file.
    pub file: String,
    /// SHA-256 of the file as it was written.
    pub sha256: String,
    /// Kind of the key.
    pub kind: String,
    /// Its thumbprint (RFC 7638); an AES key has none.
    #[serde(deserialize_with = "Option::deserialize")]
    pub thumbprint: Option<String>,
    /// When the file was written.
    pub created: String,
}

/// What is known of a key's state from the statements in the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing is stated against it.
    Active,
    /// It was revoked.
    Revoked,
    /// Its private file was destroyed.
    Destroyed,
    /// Something is stated of it whose signature does not hold.
    Unclear,
}

/// A key in the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Name of the file.
    pub file: String,
    /// `public`, `private`, `share`, `escrow`, or `gone` for a file that was destroyed.
    pub half: String,
    /// Kind, where it is known.
    pub kind: Option<String>,
    /// Thumbprint, where it is known.
    pub thumbprint: Option<String>,
    /// Whether a private key's file is encrypted; absent for others.
    pub encrypted: Option<bool>,
    /// When its file was written, as the note beside it says; only if the file is still the one that is noted.
    pub created: Option<String>,
    /// What is stated of it.
    pub state: State,
    /// Since when.
    pub since: Option<String>,
    /// Thumbprint of the key that signed the statement.
    pub by: Option<String>,
}

/// Notes beside a private key's file what it is.
///
/// # Errors
/// [`NodeError`]. A note of that name that is there already is replaced: it was of an earlier file.
pub fn record(
    path: &Path,
    (kind, thumbprint): (String, Option<String>),
    created: &str,
) -> Result<PathBuf, NodeError> {
    let bytes = read(path)?;
    let note = Record {
        document: RECORD.to_owned(),
        file: name_of(path),
        sha256: lepton_crypto::sha256(&bytes).to_string(),
        kind,
        thumbprint,
        created: created.to_owned(),
    };
    let mut text = serde_json::to_string_pretty(&note)
        .map_err(|error| NodeError::Internal(error.to_string()))?;
    text.push('\n');
    let at = super::beside(path, RECORDED);
    let target = Target::File {
        path: at.clone(),
        replace: true,
    };
    write_new(&target, text.as_bytes())?;
    Ok(at)
}

/// All keys that lie in a folder, by name; its subfolders are not looked into. Nothing is decrypted.
///
/// # Errors
/// [`NodeError`] when the folder cannot be read.
pub fn list(folder: &Path) -> Result<Vec<Held>, NodeError> {
    let failed = |error| NodeError::file(folder, &error);
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        files.push(entry.map_err(failed)?.path());
    }
    files.sort();
    let (mut keys, mut notes, mut statements) = (Vec::new(), BTreeMap::new(), Vec::new());
    // Keys beside which something lies that is no sound revocation: nobody may take them (KY-04).
    let mut unclear = BTreeSet::new();
    for path in files.iter().filter(|path| path.is_file()) {
        let bytes = read(path).unwrap_or_default();
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        if let Some(key) = name_of(path).strip_suffix(super::REVOKED)
            && super::read_revocation(path).is_err()
        {
            unclear.insert(key.to_owned());
        }
        if let Ok(found) = verify(text) {
            statements.push(found);
        } else if let Some(note) = note_of(text) {
            notes.insert(note.file.clone(), note);
        } else if let Some(found) = KeyFile::of(&bytes) {
            let sha256 = lepton_crypto::sha256(&bytes).to_string();
            keys.push((held(name_of(path), found), sha256));
        }
    }
    let mut all: Vec<Held> = keys
        .into_iter()
        .map(|(key, sha256)| stated(noted(key, &sha256, &notes), &statements))
        .map(|key| match unclear.contains(&key.file) {
            true => not_clear(key),
            false => key,
        })
        .collect();
    all.extend(statements.iter().filter_map(gone));
    Ok(all)
}

fn note_of(text: &str) -> Option<Record> {
    let note: Record = serde_json::from_value(strict(text).ok()?).ok()?;
    (note.document == RECORD).then_some(note)
}

fn held(file: String, found: KeyFile) -> Held {
    let (half, kind, thumbprint, encrypted) = match found {
        KeyFile::Public(key) => ("public", Some(key.kind()), Some(key.thumbprint()), None),
        KeyFile::Plain(key) => {
            let thumbprint = key.public().map(|public| public.thumbprint());
            ("private", Some(key.kind()), thumbprint, Some(false))
        }
        KeyFile::Encrypted => ("private", None, None, Some(true)),
        KeyFile::Escrow => ("escrow", None, None, None),
        KeyFile::Share(share) => ("share", None, Some(share.key().to_owned()), None),
    };
    Held {
        file,
        half: half.to_owned(),
        kind,
        thumbprint,
        encrypted,
        created: None,
        state: State::Active,
        since: None,
        by: None,
    }
}

/// What the note beside a private key says, if the file is the one that was noted.
fn noted(mut key: Held, sha256: &str, notes: &BTreeMap<String, Record>) -> Held {
    let note = notes
        .get(&key.file)
        .filter(|note| note.sha256 == sha256 && key.half == "private");
    if let Some(note) = note {
        key.created = Some(note.created.clone());
        key.kind = key.kind.or_else(|| Some(note.kind.clone()));
        key.thumbprint = key.thumbprint.or_else(|| note.thumbprint.clone());
    }
    key
}

fn stated(mut key: Held, statements: &[Found]) -> Held {
    for found in statements {
        let (about, state, since) = match &found.statement {
            Statement::Revocation(body) => (Some(&body.thumbprint), State::Revoked, &body.revoked),
            // A file that is still there was not destroyed, whatever became of another copy.
            Statement::Destruction(body) if key.half == "public" => {
                (body.thumbprint.as_ref(), State::Destroyed, &body.destroyed)
            }
            Statement::Destruction(_) => continue,
        };
        if about.is_none() || about != key.thumbprint.as_ref() {
            continue;
        }
        if !found.holds {
            return not_clear(key);
        }
        if key.state != State::Revoked {
            key.state = state;
            key.since = Some(since.clone());
            key.by = Some(found.signer_name());
        }
    }
    key
}

fn not_clear(key: Held) -> Held {
    Held {
        state: State::Unclear,
        since: None,
        by: None,
        ..key
    }
}

/// What a sound certificate of destruction says is gone.
fn gone(found: &Found) -> Option<Held> {
    let Statement::Destruction(body) = &found.statement else {
        return None;
    };
    found.holds.then(|| Held {
        file: body.file.clone(),
        half: "gone".to_owned(),
        kind: Some(body.kind.clone()),
        thumbprint: body.thumbprint.clone(),
        encrypted: None,
        created: None,
        state: State::Destroyed,
        since: Some(body.destroyed.clone()),
        by: Some(found.signer_name()),
    })
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// A file that is no longer than key files are.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, NodeError> {
    limited(path, MAX_KEY_FILE)
}
