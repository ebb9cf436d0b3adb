//! Signed documents of a vault: statements of versions and certificates of destruction (rules VA-12, VA-14).

use lepton_crypto::{IdentityKey, IdentityPublic, Signature};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalog::internal;
use crate::error::VaultError;
use crate::key::{hex, unhex};
use crate::manifest::{Edition, Manifest};
use crate::owner::Vault;

/// `type` of a statement.
pub const TABLE_STATEMENT: &str = "lepton-table-statement";
/// `type` of a certificate of destruction.
pub const CERTIFICATE: &str = "lepton-destruction-certificate";

/// `type` of the intention to destroy, which is there until the certificate is.
pub(crate) const INTENTION: &str = "lepton-destruction-intention";

/// What every signature is bound to.
const DOMAIN: &str = "lepton-vault-document/1";

/// A document with its signatures; nothing in it is left unsigned but they.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// [`TABLE_STATEMENT`] or [`CERTIFICATE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// What is said.
    pub body: Value,
    /// Over the RFC 8785 form of `type` and `body`.
    pub signatures: Vec<SignedBy>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedBy {
    /// `vault` or `party`.
    pub role: String,
    /// Ed25519 public key, hexadecimal.
    pub public_key: String,
    /// Ed25519 signature, hexadecimal.
    pub signature: String,
}

/// A party that signs beside the vault.
pub struct Signer {
    /// Its identity.
    pub key: IdentityKey,
}

/// What is stated of a version. It says nothing of cells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Random name of the vault.
    pub vault: String,
    /// Name of the table.
    pub table: String,
    /// Random name of the table.
    pub table_id: String,
    /// Its version.
    pub version: u64,
    /// How many columns it has.
    pub columns: usize,
    /// Name of the data file, which lies beside.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// The Merkle root of the cells.
    pub merkle_root: String,
    /// When it was sealed.
    pub sealed: String,
}

/// What was destroyed, and what that does not reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// Random name of the vault.
    pub vault: String,
    /// Name of the table.
    pub table: String,
    /// Random name of the table.
    pub table_id: String,
    /// Versions and the SHA-256 of their data files.
    pub versions: Vec<(u64, String)>,
    /// Names of the grants that ended.
    pub grants: Vec<String>,
    /// When.
    pub destroyed: String,
    /// In words.
    pub what: String,
    /// In words.
    pub not_reached: Vec<String>,
}

impl Statement {
    pub(crate) fn of(name: &str, edition: &Edition, file: &str, manifest: &Manifest) -> Self {
        Self {
            vault: edition.vault.clone(),
            table: name.to_owned(),
            table_id: edition.table.clone(),
            version: edition.version,
            columns: manifest.columns.len(),
            file: file.to_owned(),
            bytes: manifest.bytes,
            sha256: manifest.sha256.clone(),
            merkle_root: manifest.root.clone(),
            sealed: manifest.sealed.clone(),
        }
    }
}

impl Vault {
    /// A statement's file.
    pub(crate) fn signed(
        &self,
        statement: &Statement,
        party: Option<&Signer>,
    ) -> Result<Vec<u8>, VaultError> {
        self.sign(TABLE_STATEMENT, statement, party)
    }

    /// Signs with the vault's key and the party's.
    pub(crate) fn sign(
        &self,
        kind: &str,
        body: &impl Serialize,
        party: Option<&Signer>,
    ) -> Result<Vec<u8>, VaultError> {
        let own = self.signing_key()?;
        let keys = [
            ("vault", Some(&own)),
            ("party", party.map(|signer| &signer.key)),
        ];
        let body = serde_json::to_value(body).map_err(internal)?;
        let message = message(kind, &body).map_err(internal)?;
        let sign = |(role, key): (&str, Option<&IdentityKey>)| {
            key.map(|key| SignedBy {
                role: role.to_owned(),
                public_key: key.public().to_string(),
                signature: hex(&key.sign(DOMAIN, &message).to_bytes()),
            })
        };
        let document = Document {
            kind: kind.to_owned(),
            signatures: keys.into_iter().filter_map(sign).collect(),
            body,
        };
        let mut text = serde_json::to_vec_pretty(&document).map_err(internal)?;
        text.push(b'\n');
        Ok(text)
    }

    /// What an intention says, if it is one that this vault signed.
    pub(crate) fn intention(&self, bytes: &[u8]) -> Result<Option<Certificate>, VaultError> {
        let own = self.signing_key()?.public().to_string();
        let Ok(document) = serde_json::from_slice::<Document>(bytes) else {
            return Ok(None);
        };
        let signed = signatures(&document).is_ok_and(|found| {
            let mut found = found.iter();
            found.any(|(key, holds)| *holds && key.to_string() == own)
        });
        let body = serde_json::from_value::<Certificate>(document.body).ok();
        let ours = body.filter(|body| body.vault == self.catalog.vault);
        Ok(ours.filter(|_| signed && document.kind == INTENTION))
    }
}

/// Each signature with its key and whether it holds.
///
/// # Errors
/// Why it is no document of a vault.
pub fn verify(document: &Value) -> Result<(Document, Vec<(IdentityPublic, bool)>), String> {
    let document: Document =
        serde_json::from_value(document.clone()).map_err(|error| error.to_string())?;
    let known = match document.kind.as_str() {
        TABLE_STATEMENT => serde_json::from_value::<Statement>(document.body.clone()).map(drop),
        CERTIFICATE => serde_json::from_value::<Certificate>(document.body.clone()).map(drop),
        kind => return Err(format!("its type is {kind}")),
    };
    known.map_err(|error| error.to_string())?;
    let found = signatures(&document)?;
    Ok((document, found))
}

fn signatures(document: &Document) -> Result<Vec<(IdentityPublic, bool)>, String> {
    if document.signatures.is_empty() {
        return Err("it has no signature".to_owned());
    }
    let message = message(&document.kind, &document.body)?;
    let mut found = Vec::new();
    for signed in &document.signatures {
        let key = unhex(&signed.public_key).ok_or("a key in it is none")?;
        let key = IdentityPublic::from_bytes(*key);
        let holds = unhex(&signed.signature).is_some_and(|signature| {
            let signature = Signature::from_bytes(*signature);
            key.verify(DOMAIN, &message, &signature).is_ok()
        });
        found.push((key, holds));
    }
    Ok(found)
}

fn message(kind: &str, body: &Value) -> Result<Vec<u8>, String> {
    let signed = serde_json::json!({ "type": kind, "body": body });
    serde_json_canonicalizer::to_vec(&signed).map_err(|error| error.to_string())
}
