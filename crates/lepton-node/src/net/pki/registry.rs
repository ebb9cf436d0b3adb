//! What the authority remembers: members, their certificates, open invitations. One JSON file, replaced as a whole, under a lock.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Name, Role, Serial};
use crate::files::{Durability, replace};
use crate::net::NetError;

const STATE: &str = "members.json";
const LOCK: &str = "members.lock";
/// Certificates expired longer than this are forgotten, seconds.
const MEMORY: u64 = 30 * 24 * 3600;

/// The authority's state.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Registry {
    pub(super) federation: Name,
    /// Life of a leaf, seconds.
    pub(super) life: u64,
    /// Number of the newest revocation list.
    pub(super) list_number: u64,
    pub(super) members: Vec<Entry>,
    pub(super) invitations: Vec<Invited>,
    /// Certificates revoked while their member stays, such as those over a replaced key.
    pub(super) withdrawn: Vec<Certificate>,
}

/// A member.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) name: Name,
    pub(super) role: Role,
    /// Identity key, in hexadecimal.
    pub(super) key: String,
    /// When it was revoked, seconds since 1970.
    pub(super) revoked: Option<u64>,
    pub(super) certificates: Vec<Certificate>,
}

/// A certificate that was issued.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Certificate {
    pub(super) serial: Serial,
    pub(super) not_after: u64,
    /// When it was withdrawn, seconds since 1970.
    #[serde(default)]
    pub(super) withdrawn: Option<u64>,
}

/// An invitation that was given out.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Invited {
    pub(super) id: String,
    /// The invitation's secret, in hexadecimal. Stays after its use, since the same key may ask again (EN-05); gone once the invitation expired.
    pub(super) secret: Option<Zeroizing<String>>,
    pub(super) name: Name,
    pub(super) role: Role,
    pub(super) expires: u64,
    /// The key it was used for, in hexadecimal.
    pub(super) used_for: Option<String>,
}

impl Registry {
    pub(super) const fn new(federation: Name, life: u64) -> Self {
        Self {
            federation,
            life,
            list_number: 0,
            members: Vec::new(),
            invitations: Vec::new(),
            withdrawn: Vec::new(),
        }
    }

    /// Reads what [`Locked::save`] wrote.
    pub(super) fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    pub(super) fn member(&mut self, role: Role, name: &Name) -> Option<&mut Entry> {
        self.members
            .iter_mut()
            .find(|entry| entry.role == role && entry.name == *name)
    }

    /// Forgets what no longer matters.
    fn prune(&mut self, now: u64) {
        let fresh = |certificate: &Certificate| certificate.not_after.saturating_add(MEMORY) > now;
        for entry in &mut self.members {
            entry.certificates.retain(fresh);
        }
        self.withdrawn.retain(fresh);
        self.invitations
            .retain(|invited| invited.expires.saturating_add(MEMORY) > now);
        for invited in &mut self.invitations {
            if invited.expires <= now {
                invited.secret = None;
            }
        }
    }
}

/// The authority's folder while nobody else changes it.
pub(super) struct Locked {
    path: PathBuf,
    pub(super) state: Registry,
    _lock: File,
}

impl Locked {
    /// Waits for the lock and reads the state.
    pub(super) fn open(folder: &Path) -> Result<Self, NetError> {
        let lock = lock(folder)?;
        let path = folder.join(STATE);
        let text = fs::read_to_string(&path).map_err(|error| NetError::file(&path, &error))?;
        let state = Registry::from_json(&Zeroizing::new(text)).map_err(|error| {
            NetError::Use(format!(
                "{}: not what `lepton ca` wrote ({error}); restore it",
                path.display()
            ))
        })?;
        Ok(Self {
            path,
            state,
            _lock: lock,
        })
    }

    /// Writes a first state.
    pub(super) fn create(folder: &Path, state: Registry) -> Result<Self, NetError> {
        let lock = lock(folder)?;
        let path = folder.join(STATE);
        let mut new = Self {
            path,
            state,
            _lock: lock,
        };
        new.save()?;
        Ok(new)
    }

    /// Makes the state durable (EN-08): before any certificate or list made from it leaves.
    pub(super) fn save(&mut self) -> Result<(), NetError> {
        self.state.prune(super::now());
        let text = serde_json::to_string_pretty(&self.state)
            .map(Zeroizing::new)
            .map_err(|error| NetError::certificate("the member list", error))?;
        replace(&self.path, text.as_bytes(), Durability::Machine)
            .map_err(|error| NetError::file(&self.path, &error))
    }
}

fn lock(folder: &Path) -> Result<File, NetError> {
    let path = folder.join(LOCK);
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|error| NetError::file(&path, &error))?;
    file.lock().map_err(|error| NetError::file(&path, &error))?;
    Ok(file)
}
