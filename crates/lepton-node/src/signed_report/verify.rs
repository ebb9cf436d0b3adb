//! `lepton verify`: everything that can be checked of a document with the file, and keys if there are any.

use std::path::{Component, Path};

use lepton_crypto::IdentityPublic;
use lepton_vault::{CERTIFICATE, TABLE_STATEMENT};
use serde::Serialize;
use serde_json::Value;

use super::canonical::{canonical, parse};
use super::document::{FileHash, PRIVACY_REPORT, PrivacyReport, Signer, VERSION};
use super::envelope::{Entry, Envelope};
use super::pem::public_keys;
use crate::error::NodeError;
use crate::key_register::{DESTRUCTION, REVOCATION};
use crate::tables::read_text;

/// Documents that can be verified.
const KNOWN: [&str; 5] = [
    PRIVACY_REPORT,
    TABLE_STATEMENT,
    CERTIFICATE,
    REVOCATION,
    DESTRUCTION,
];

/// Keys that the reader trusts, got by another way than the document.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// Each of these must have signed.
    required: Vec<IdentityPublic>,
    /// Nobody else may have signed, if given.
    members: Option<Vec<IdentityPublic>>,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Ok,
    /// It could not be made with what is here.
    NotChecked,
    /// It does not hold.
    Failed,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// How it went.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
}

/// Whose signature is on a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignerFound {
    /// `coordinator` or `party`.
    pub role: String,
    /// The party's name; absent for the coordinator.
    pub party: Option<String>,
    /// Its key, hexadecimal.
    pub public_key: String,
    /// Whether its signature holds against that key.
    pub holds: bool,
    /// Whether the reader gave this key.
    pub trusted: bool,
}

/// What `lepton verify` found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// Whether nothing failed.
    pub verified: bool,
    /// Whether keys were given and all that they ask for is there: only then the document says who made it.
    pub authenticated: bool,
    /// The document's type.
    pub document: String,
    /// Whether the document says that it is about a simulation; absent where it could not be read.
    pub simulated: Option<bool>,
    /// The document's summary, if every check of the document itself holds.
    pub summary: Option<String>,
    /// The checks, in order.
    pub checks: Vec<Check>,
    /// The signatures, in order.
    pub signers: Vec<SignerFound>,
    /// What a reader must know besides.
    pub warnings: Vec<String>,
}

impl Keys {
    /// Adds the keys of a PEM file, each of which must have signed.
    ///
    /// # Errors
    /// [`NodeError`] when the file holds no Ed25519 public key.
    pub fn require(&mut self, path: &Path) -> Result<(), NodeError> {
        self.required.extend(keys_of(path)?);
        Ok(())
    }

    /// Adds the keys of a PEM file: whoever signed must be among them.
    ///
    /// # Errors
    /// [`NodeError`] when the file holds no Ed25519 public key.
    pub fn allow(&mut self, path: &Path) -> Result<(), NodeError> {
        let keys = keys_of(path)?;
        self.members.get_or_insert_default().extend(keys);
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.required.is_empty() && self.members.is_none()
    }

    fn holds(&self, key: &IdentityPublic) -> bool {
        let members = self.members.iter().flatten();
        self.required
            .iter()
            .chain(members)
            .any(|known| known == key)
    }
}

fn keys_of(path: &Path) -> Result<Vec<IdentityPublic>, NodeError> {
    public_keys(&read_text(path)?).map_err(|problem| NodeError::File {
        place: path.display().to_string(),
        problem,
        remedy: "name a PEM file of an Ed25519 public key".to_owned(),
    })
}

/// Verifies a file, and that the files it names are those that lie beside it.
///
/// # Errors
/// [`NodeError`] when it is no document that this version knows. What does not hold is in the result.
pub fn verify_file(path: &Path, keys: &Keys) -> Result<Verification, NodeError> {
    let beside = path.parent().unwrap_or(Path::new(""));
    verify(&read_text(path)?, keys, Some(beside)).map_err(|problem| NodeError::File {
        place: path.display().to_string(),
        problem,
        remedy: "ask for the document again, or for a newer lepton".to_owned(),
    })
}

/// The same for a text; files are looked for in `beside`, if there is one.
///
/// # Errors
/// Why it is no document that this version knows.
pub fn verify(text: &str, keys: &Keys, beside: Option<&Path>) -> Result<Verification, String> {
    let value =
        parse(text).map_err(|error| format!("it cannot be read as strict JSON ({error})"))?;
    let kind = match value.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        _ => return Err("it has no `type` that says what it is".to_owned()),
    };
    match kind.as_str() {
        PRIVACY_REPORT => Ok(Work::new(kind, keys).privacy_report(value, beside)),
        TABLE_STATEMENT | CERTIFICATE => Ok(Work::new(kind, keys).of_vault(&value, beside)),
        REVOCATION | DESTRUCTION => Ok(Work::new(kind, keys).of_key(value)),
        _ => Err(format!(
            "its type is {kind:?}, which this version cannot verify (known: {})",
            KNOWN.join(", ")
        )),
    }
}

/// A verification under way.
pub(super) struct Work<'a> {
    keys: &'a Keys,
    pub(super) done: Verification,
}

impl<'a> Work<'a> {
    fn new(document: String, keys: &'a Keys) -> Self {
        Self {
            keys,
            done: Verification {
                verified: false,
                authenticated: false,
                document,
                simulated: None,
                summary: None,
                checks: Vec::new(),
                signers: Vec::new(),
                warnings: Vec::new(),
            },
        }
    }

    pub(super) fn check(&mut self, name: &str, result: Result<String, String>) -> bool {
        let (outcome, found) = match result {
            Ok(found) => (Outcome::Ok, found),
            Err(found) => (Outcome::Failed, found),
        };
        self.note(name, outcome, found);
        outcome == Outcome::Ok
    }

    pub(super) fn note(&mut self, name: &str, outcome: Outcome, found: String) {
        self.done.checks.push(Check {
            name: name.to_owned(),
            outcome,
            found,
        });
    }

    fn privacy_report(mut self, value: Value, beside: Option<&Path>) -> Verification {
        if let Some((report, entries, bytes)) = self.read(value) {
            self.signatures(&report, &entries, &bytes);
            self.trust(&entries);
            let sound = self.nothing_failed();
            self.warn(&report);
            for file in &report.files {
                self.file(file, beside);
            }
            self.done.simulated = Some(report.simulated);
            self.done.summary = sound.then_some(report.summary);
        }
        self.finish()
    }

    pub(super) fn finish(mut self) -> Verification {
        self.done.verified = self.nothing_failed();
        self.done.authenticated = self.done.verified && !self.keys.is_empty();
        self.done
    }

    pub(super) fn is_trusted(&self, key: &IdentityPublic) -> bool {
        self.keys.holds(key)
    }

    pub(super) fn nothing_failed(&self) -> bool {
        let failed = |check: &Check| check.outcome == Outcome::Failed;
        !self.done.checks.iter().any(failed)
    }

    /// The document as this version understands it, and the bytes that are signed.
    fn read(&mut self, value: Value) -> Option<(PrivacyReport, Vec<Entry>, Vec<u8>)> {
        let envelope: Envelope<Value> = match serde_json::from_value(value) {
            Ok(envelope) => envelope,
            Err(error) => {
                self.check(
                    "schema",
                    Err(format!("the envelope is not sound ({error})")),
                );
                return None;
            }
        };
        if !self.check("schema", schema(&envelope.report)) {
            return None;
        }
        let form = canonical(&envelope.report);
        let words = |bytes: &Vec<u8>| {
            let digest = lepton_crypto::sha256(bytes);
            format!("{} bytes (RFC 8785), SHA-256 {digest}", bytes.len())
        };
        self.check(
            "canonical form",
            form.as_ref().map(words).map_err(Clone::clone),
        );
        let report = serde_json::from_value(envelope.report).ok()?;
        Some((report, envelope.signatures, form.ok()?))
    }

    /// Exactly the announced signers, each with a signature that holds.
    fn signatures(&mut self, report: &PrivacyReport, entries: &[Entry], bytes: &[u8]) {
        let signed: Vec<Signer> = entries.iter().map(Entry::signer).collect();
        let announced = if signed == report.signers && !signed.is_empty() {
            Ok(format!("{} announced, {0} there", signed.len()))
        } else {
            Err(format!(
                "the report announces {}, the file has {}: signatures were added, taken away or renamed",
                list(&report.signers),
                list(&signed)
            ))
        };
        self.check("signers", announced);
        for entry in entries {
            let (signer, holds) = (entry.signer(), entry.signs(bytes));
            let name = format!("signature of {}", signer.words());
            let result = if holds {
                Ok(format!("holds, key {}", signer.public_key))
            } else {
                Err("does not hold: report, signature or key were changed".to_owned())
            };
            self.check(&name, result);
            self.done.signers.push(SignerFound {
                trusted: entry.key().is_some_and(|key| self.keys.holds(&key)),
                role: signer.role,
                party: signer.party,
                public_key: signer.public_key,
                holds,
            });
        }
    }

    /// Whether those signed whom the reader trusts.
    pub(super) fn trust(&mut self, entries: &[Entry]) {
        if self.keys.is_empty() {
            let found = "no key was given: checked against the keys in the file only, which proves that it was not changed since it was signed, not who signed it";
            self.note("who signed", Outcome::NotChecked, found.to_owned());
            return;
        }
        let keys: Vec<_> = entries.iter().filter_map(Entry::key).collect();
        let missing = self.keys.required.iter().find(|key| !keys.contains(key));
        let members = self.keys.members.as_deref();
        let strange = entries.iter().find(|entry| {
            members.is_some_and(|members| entry.key().is_none_or(|key| !members.contains(&key)))
        });
        let result = match (missing, strange) {
            (Some(key), _) => Err(format!("nobody signed with the given key {key}")),
            (None, Some(entry)) => Err(format!(
                "the key of {} is not among the given ones",
                entry.signer().words()
            )),
            (None, None) => {
                let trusted = self.done.signers.iter().filter(|one| one.trusted).count();
                Ok(format!("{trusted} of {} by a given key", entries.len()))
            }
        };
        self.check("who signed", result);
    }

    pub(super) fn file(&mut self, file: &FileHash, beside: Option<&Path>) {
        let name = format!("file {}", file.file);
        let plain = Path::new(&file.file)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let path = beside
            .filter(|_| plain)
            .map(|folder| folder.join(&file.file));
        let Some(path) = path.filter(|path| path.is_file()) else {
            return self.note(
                &name,
                Outcome::NotChecked,
                "does not lie beside the report".to_owned(),
            );
        };
        let result = match std::fs::read(&path) {
            Ok(bytes) if lepton_crypto::sha256(&bytes).to_string() == file.sha256 => {
                Ok(format!("{}, unchanged", file.what))
            }
            Ok(_) => Err(format!("is another file than {} of this report", file.what)),
            Err(error) => Err(format!("cannot be read ({error})")),
        };
        self.check(&name, result);
    }

    fn warn(&mut self, report: &PrivacyReport) {
        if report.simulated {
            self.done.warnings.push(report.identities.clone());
        }
        self.done.warnings.extend(report.insecure.iter().cloned());
    }
}

/// Whether the report is what its type and version say.
fn schema(report: &Value) -> Result<String, String> {
    let kind = report.get("type").and_then(Value::as_str).unwrap_or("none");
    if kind != PRIVACY_REPORT {
        return Err(format!("the report inside says that its type is {kind}"));
    }
    match report.get("version").and_then(Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => {
            return Err(format!(
                "version {version} of this document; this program knows version {VERSION}: use a lepton that knows it"
            ));
        }
        None => return Err("it has no version".to_owned()),
    }
    serde_json::from_value::<PrivacyReport>(report.clone())
        .map(|_| format!("{PRIVACY_REPORT}, version {VERSION}"))
        .map_err(|error| format!("it is not a sound {PRIVACY_REPORT} ({error})"))
}

fn list(signers: &[Signer]) -> String {
    if signers.is_empty() {
        return "nobody".to_owned();
    }
    let words: Vec<String> = signers.iter().map(Signer::words).collect();
    words.join(", ")
}
