//! Signatures over a document, detached from it, in one file with it.

use lepton_crypto::{IdentityKey, IdentityPublic, Signature};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::canonical::{canonical, parse};
use super::document::{PRIVACY_REPORT, PrivacyReport, Signer, VERSION};
use crate::hex::{hex, unhex};

/// What every signature of a privacy report is bound to, so that it is worth nothing over anything else.
pub const DOMAIN: &str = "lepton-privacy-report/1";

/// A signed document: a [`PrivacyReport`] on its way into a file, a [`Value`] on its way out, so that fields which this version does not know are
/// under the signature too. The envelope itself has no other fields: nothing in a file is left unsigned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope<R> {
    /// The `type` of the report, again: what a reader looks at first.
    #[serde(rename = "type")]
    pub kind: String,
    /// The report: what is signed, as canonical JSON.
    pub report: R,
    /// The signatures.
    pub signatures: Vec<Entry>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// As in [`Signer`].
    pub role: String,
    /// As in [`Signer`]; always there, though it may be null.
    #[serde(deserialize_with = "Option::deserialize")]
    pub party: Option<String>,
    /// As in [`Signer`].
    pub public_key: String,
    /// Ed25519 signature, 128 lower-case hexadecimal digits.
    pub signature: String,
}

impl Entry {
    pub(super) fn signer(&self) -> Signer {
        Signer {
            role: self.role.clone(),
            party: self.party.clone(),
            public_key: self.public_key.clone(),
        }
    }

    /// The key, if it is one.
    pub(super) fn key(&self) -> Option<IdentityPublic> {
        unhex(&self.public_key).map(IdentityPublic::from_bytes)
    }

    /// Whether this is a signature over `bytes`.
    pub(super) fn signs(&self, bytes: &[u8]) -> bool {
        let signature = unhex(&self.signature).map(Signature::from_bytes);
        self.key()
            .zip(signature)
            .is_some_and(|(key, signature)| key.verify(DOMAIN, bytes, &signature).is_ok())
    }
}

/// Signs `report` with the keys of its signers, in their order.
///
/// # Errors
/// What is wrong: the report has no canonical form, or a key is not the one its signer names.
pub fn sign(
    report: PrivacyReport,
    keys: &[&IdentityKey],
) -> Result<Envelope<PrivacyReport>, String> {
    let value = serde_json::to_value(&report).map_err(|error| error.to_string())?;
    let bytes = canonical(&value)?;
    // What was signed is what a reader will have: numbers and names survive the file.
    parse(std::str::from_utf8(&bytes).map_err(|error| error.to_string())?)?;
    if keys.len() != report.signers.len() {
        return Err("there are not as many keys as signers".to_owned());
    }
    let signatures = report.signers.iter().zip(keys).map(|(signer, key)| {
        if key.public().to_string() != signer.public_key {
            return Err(format!("the key of {} is another", signer.words()));
        }
        Ok(Entry {
            role: signer.role.clone(),
            party: signer.party.clone(),
            public_key: signer.public_key.clone(),
            signature: hex(&key.sign(DOMAIN, &bytes).to_bytes()),
        })
    });
    Ok(Envelope {
        kind: PRIVACY_REPORT.to_owned(),
        signatures: signatures.collect::<Result<_, String>>()?,
        report,
    })
}

/// The report of a file whose every signature holds against the key beside it.
///
/// # Errors
/// What is wrong with it.
pub fn open(text: &str) -> Result<PrivacyReport, String> {
    let envelope: Envelope<Value> =
        serde_json::from_value(parse(text)?).map_err(|error| error.to_string())?;
    if envelope.kind != PRIVACY_REPORT {
        return Err(format!("its type is {}", envelope.kind));
    }
    let report: PrivacyReport = serde_json::from_value(envelope.report.clone())
        .map_err(|error| format!("it is no privacy report ({error})"))?;
    if report.kind != PRIVACY_REPORT || report.version != VERSION {
        return Err(format!(
            "it is a {} of version {}",
            report.kind, report.version
        ));
    }
    let signed: Vec<Signer> = envelope.signatures.iter().map(Entry::signer).collect();
    if signed != report.signers || signed.is_empty() {
        return Err("it is not signed by those who should have".to_owned());
    }
    let bytes = canonical(&envelope.report)?;
    match envelope
        .signatures
        .iter()
        .find(|entry| !entry.signs(&bytes))
    {
        None => Ok(report),
        Some(entry) => Err(format!(
            "the signature of {} does not hold",
            entry.signer().words()
        )),
    }
}
