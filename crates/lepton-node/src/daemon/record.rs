//! Small durable documents of the daemons: one JSON file each, replaced in one step and forced to the disk.

use std::path::Path;

use lepton_crypto::{IdentityPublic, Signature};
use lepton_protocol::control::SignedJob;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::NodeError;
use crate::federation::from_hex;
use crate::files::{Durability, replace};
use crate::simulate::hex;

/// Writes a document.
pub(crate) fn save(path: &Path, document: &impl Serialize) -> Result<(), NodeError> {
    let bytes = serde_json::to_vec_pretty(document)
        .map_err(|error| NodeError::Internal(error.to_string()))?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| NodeError::file(folder, &error))?;
    }
    replace(path, &bytes, Durability::Machine).map_err(|error| NodeError::file(path, &error))
}

/// Reads a document; `None` when there is none.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, NodeError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(NodeError::file(path, &error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        NodeError::Data(format!(
            "{}: cannot be read ({error}); restore it from a backup",
            path.display()
        ))
    })
}

/// Folders of jobs, one per digest.
pub(crate) fn job_folders(home: &Path) -> Result<Vec<([u8; 32], std::path::PathBuf)>, NodeError> {
    let jobs = home.join("jobs");
    let entries = match std::fs::read_dir(&jobs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(NodeError::file(&jobs, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|error| NodeError::file(&jobs, &error))?
            .path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        if let Some(digest) = name.as_deref().and_then(from_hex) {
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
        from_hex(&self.key).map(IdentityPublic::from_bytes)
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

/// Keeps other processes out of a daemon's folder for as long as the file lives.
pub(crate) fn lock(home: &Path) -> Result<std::fs::File, NodeError> {
    std::fs::create_dir_all(home).map_err(|error| NodeError::file(home, &error))?;
    let path = home.join("lock");
    let file = std::fs::File::create(&path).map_err(|error| NodeError::file(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(NodeError::Use(format!(
            "{} is in use by another process; end it first",
            home.display()
        ))),
        Err(std::fs::TryLockError::Error(error)) => Err(NodeError::file(&path, &error)),
    }
}
