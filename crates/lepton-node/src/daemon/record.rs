//! Small durable documents of the daemons: in the member's store, and, for people to read, as JSON files.

use std::path::Path;

use lepton_crypto::{IdentityPublic, Signature};
use lepton_protocol::control::SignedJob;
use lepton_protocol::store::Store;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::NodeError;
use crate::files::{Durability, replace};
use crate::hex::{hex, unhex};
use crate::store::{Database, SqlStore};

/// Documents of one kind in a member's store, each under a name of its own.
#[derive(Clone)]
pub(crate) struct Documents(SqlStore);

impl Documents {
    pub(crate) fn new(database: &Database, kind: &str) -> Self {
        Self(database.store(kind))
    }

    /// Durable when it returns.
    pub(crate) fn save(&self, name: &str, document: &impl Serialize) -> Result<(), NodeError> {
        let bytes =
            serde_json::to_vec(document).map_err(|error| NodeError::Internal(error.to_string()))?;
        Ok(self.0.clone().put(name, &bytes)?)
    }

    pub(crate) fn load<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, NodeError> {
        let bytes = self.0.get(name)?;
        bytes.map(|bytes| parsed(name, &bytes)).transpose()
    }

    pub(crate) fn all<T: DeserializeOwned>(&self) -> Result<Vec<(String, T)>, NodeError> {
        let found = self.0.values("")?;
        let one = |(name, bytes): (String, Vec<u8>)| Ok((name.clone(), parsed(&name, &bytes)?));
        found.into_iter().map(one).collect()
    }
}

fn parsed<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, NodeError> {
    serde_json::from_slice(bytes).map_err(|error| {
        NodeError::Data(format!(
            "the stored document {name} cannot be read ({error}); use the version that wrote it, or restore the store from a backup"
        ))
    })
}

/// Under which name a job's machine keeps its values.
pub(crate) fn actor(job: &[u8; 32]) -> String {
    format!("job {}", hex(job))
}

/// The job that a document is about.
pub(crate) fn job_of(name: &str) -> Result<[u8; 32], NodeError> {
    unhex(name).ok_or_else(|| {
        NodeError::Data(format!(
            "the store holds a job called {name}, which is no digest"
        ))
    })
}

/// Makes a folder that only its owner reads, where it is missing.
pub(crate) fn make_folder(path: &Path) -> Result<(), NodeError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(|error| NodeError::file(path, &error))
}

/// Writes a document for people; durable when it returns.
pub(crate) fn save(path: &Path, document: &impl Serialize) -> Result<(), NodeError> {
    write(path, document, Durability::Machine)
}

/// Writes a document for people that nothing depends on: a power cut may leave the one before.
pub(crate) fn show(path: &Path, document: &impl Serialize) -> Result<(), NodeError> {
    write(path, document, Durability::Process)
}

fn write(path: &Path, document: &impl Serialize, durability: Durability) -> Result<(), NodeError> {
    let bytes = serde_json::to_vec_pretty(document)
        .map_err(|error| NodeError::Internal(error.to_string()))?;
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    replace(path, &bytes, durability).map_err(|error| NodeError::file(path, &error))
}

/// Reads a document that was written for people or by them; `None` when there is none.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, NodeError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(NodeError::file(path, &error)),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| NodeError::Data(format!("{}: cannot be read ({error})", path.display())))
}

/// Folders of jobs, one per digest.
pub(crate) fn job_folders(jobs: &Path) -> Result<Vec<([u8; 32], std::path::PathBuf)>, NodeError> {
    let entries = match std::fs::read_dir(jobs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(NodeError::file(jobs, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| NodeError::file(jobs, &error))?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        if let Some(digest) = name.as_deref().and_then(unhex) {
            found.push((digest, path));
        }
    }
    found.sort();
    Ok(found)
}

/// A signed submission as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredJob {
    text: String,
    certificate: Vec<u8>,
    signature: Vec<u8>,
}

impl StoredJob {
    pub(crate) fn new(job: &SignedJob) -> Self {
        Self {
            text: job.text.clone(),
            certificate: job.certificate.clone(),
            signature: job.signature.to_bytes().to_vec(),
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// As it was submitted; `None` when the file was changed by hand.
    pub(crate) fn signed(&self) -> Option<SignedJob> {
        Some(SignedJob {
            text: self.text.clone(),
            certificate: self.certificate.clone(),
            signature: Signature::try_from(self.signature.as_slice()).ok()?,
        })
    }
}

/// One place of a roster as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) name: String,
    key: String,
}

impl Place {
    pub(crate) fn new(name: &str, key: &IdentityPublic) -> Self {
        Self {
            name: name.to_owned(),
            key: hex(&key.to_bytes()),
        }
    }

    pub(crate) fn key(&self) -> Option<IdentityPublic> {
        unhex(&self.key).map(IdentityPublic::from_bytes)
    }
}

/// The keys of a roster, in order.
pub(crate) fn keys(roster: &[Place]) -> Result<Vec<IdentityPublic>, NodeError> {
    let damaged =
        || NodeError::Data("a stored roster is damaged; restore it from a backup".to_owned());
    roster
        .iter()
        .map(|place| place.key().ok_or_else(damaged))
        .collect()
}
