//! A member's own folder: its key, its certificate, its federation's root.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::certificate::chain_from_pem;
use super::{Fingerprint, IdentityFile, Issued, Leaf, Member, Trust, signing_request};
use crate::files::{Durability, replace};
use crate::net::NetError;

const ABOUT: &str = "member.json";
const KEY: &str = "identity.key.pem";
const REQUEST: &str = "request.csr.pem";
const CERTIFICATE: &str = "certificate.pem";
const ROOT: &str = "federation.pem";
const LIST: &str = "revoked.pem";

/// A member's folder.
#[derive(Debug, Clone)]
pub struct MemberFolder {
    folder: PathBuf,
    member: Member,
    coordinator: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    member: Member,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    coordinator: Option<String>,
}

impl About {
    /// Reads what [`MemberFolder::create`] wrote.
    pub(super) fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

impl MemberFolder {
    /// Makes a key (EN-01) and a signing request (EN-03) in a new folder. `coordinator` is where to connect to, `host:port`.
    ///
    /// # Errors
    /// [`NetError`], also when the folder holds a member already.
    pub fn create(
        folder: &Path,
        member: Member,
        coordinator: Option<String>,
    ) -> Result<Self, NetError> {
        fs::create_dir_all(folder).map_err(|error| NetError::file(folder, &error))?;
        let new = Self {
            folder: folder.to_owned(),
            member,
            coordinator,
        };
        let key = IdentityFile::create(&new.key_path())?;
        let about = About {
            member: new.member.clone(),
            coordinator: new.coordinator.clone(),
        };
        let text = serde_json::to_string_pretty(&about)
            .map_err(|error| NetError::certificate("the member's folder", error))?;
        new.write(REQUEST, &signing_request(&key, &new.member)?)?;
        new.write(ABOUT, &text)?;
        Ok(new)
    }

    /// Opens a folder.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn open(folder: &Path) -> Result<Self, NetError> {
        let path = folder.join(ABOUT);
        let text = fs::read_to_string(&path).map_err(|error| NetError::file(&path, &error))?;
        let about = About::from_json(&text).map_err(|error| {
            NetError::Use(format!(
                "{}: not a member's folder ({error})",
                path.display()
            ))
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            member: about.member,
            coordinator: about.coordinator,
        })
    }

    /// Takes over what the authority issued, if it is for this member and this key.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn install(&self, issued: &Issued) -> Result<Leaf, NetError> {
        let roots = chain_from_pem(&issued.root)?;
        if let Ok(held) = fs::read_to_string(self.root_path())
            && chain_from_pem(&held)? != roots
        {
            return Err(NetError::certificate(
                "the root certificate",
                "it is not the one this member enrolled under",
            ));
        }
        let trust = Trust::new(self.member.federation.clone(), roots)?;
        let usage = match self.member.role {
            super::Role::Coordinator => super::Usage::Server,
            _ => super::Usage::Client,
        };
        if let Ok(held) = fs::read(self.list_path()) {
            trust.update(&held)?;
        }
        // A list never goes back (EN-07).
        let newer = !issued.revoked.is_empty() && trust.update(issued.revoked.as_bytes())?;
        let leaf = trust.verify(&chain_from_pem(&issued.certificate)?, usage)?;
        if leaf.member != self.member || leaf.key != self.key()?.public() {
            return Err(NetError::certificate(
                "the certificate",
                format!("it is not for {} with the key of this folder", self.member),
            ));
        }
        if newer {
            self.write(LIST, &issued.revoked)?;
        }
        self.write(ROOT, &issued.root)?;
        self.write(CERTIFICATE, &issued.certificate)?;
        Ok(leaf)
    }

    /// The fingerprints of the roots that this member trusts.
    ///
    /// # Errors
    /// [`NetError`] when it has none yet.
    pub fn roots(&self) -> Result<Vec<Fingerprint>, NetError> {
        let path = self.root_path();
        let text = fs::read_to_string(&path).map_err(|error| NetError::file(&path, &error))?;
        let roots = chain_from_pem(&text)?;
        Ok(roots.iter().map(Fingerprint::of).collect())
    }

    /// Who this is.
    #[must_use]
    pub const fn member(&self) -> &Member {
        &self.member
    }

    /// Where the coordinator listens, `host:port`, if this folder says so.
    #[must_use]
    pub fn coordinator(&self) -> Option<&str> {
        self.coordinator.as_deref()
    }

    /// The identity key.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn key(&self) -> Result<IdentityFile, NetError> {
        IdentityFile::open(&self.key_path())
    }

    /// The signing request, in PEM.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn request(&self) -> Result<String, NetError> {
        let path = self.request_path();
        fs::read_to_string(&path).map_err(|error| NetError::file(&path, &error))
    }

    /// Where the signing request is.
    #[must_use]
    pub fn request_path(&self) -> PathBuf {
        self.folder.join(REQUEST)
    }

    /// Where the key is.
    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        self.folder.join(KEY)
    }

    /// Where the certificate is.
    #[must_use]
    pub fn certificate_path(&self) -> PathBuf {
        self.folder.join(CERTIFICATE)
    }

    /// Where the federation's root is.
    #[must_use]
    pub fn root_path(&self) -> PathBuf {
        self.folder.join(ROOT)
    }

    /// Where the newest revocation list is.
    #[must_use]
    pub fn list_path(&self) -> PathBuf {
        self.folder.join(LIST)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), NetError> {
        let path = self.folder.join(name);
        replace(&path, text.as_bytes(), Durability::Machine)
            .map_err(|error| NetError::file(&path, &error))
    }
}
