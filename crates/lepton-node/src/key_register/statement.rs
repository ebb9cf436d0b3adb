//! Signed statements about keys: revocations and certificates of destruction (KY-02).

use lepton_crypto::envelope::{PublicKey, SigningKey, SigningPublic};
use lepton_crypto::{IdentityPublic, Signature};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::NodeError;
use crate::hex::{hex, unhex};
use crate::signed_report::{canonical, strict};

/// `type` of a revocation.
pub const REVOCATION: &str = "lepton-key-revocation";
/// `type` of a certificate of destruction.
pub const DESTRUCTION: &str = "lepton-key-destruction";

/// What every signature is bound to.
const DOMAIN: &str = "lepton-key-document/1";

/// That a key is not to be used any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// The key's thumbprint (RFC 7638).
    pub thumbprint: String,
    /// Its kind.
    pub kind: String,
    /// Since when, by the clock of whoever says so.
    pub revoked: String,
    /// Why; may be empty.
    pub reason: String,
}

/// That a private key's file was destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destruction {
    /// The key's thumbprint (RFC 7638), if the file could be read.
    #[serde(deserialize_with = "Option::deserialize")]
    pub thumbprint: Option<String>,
    /// Its kind.
    pub kind: String,
    /// Name of the file.
    pub file: String,
    /// SHA-256 of the file as it was.
    pub sha256: String,
    /// When, by the clock of whoever did it.
    pub destroyed: String,
    /// In words.
    pub what: String,
    /// In words.
    pub not_reached: Vec<String>,
}

impl Revocation {
    /// The reason in words, with a colon before it.
    pub(super) fn because(&self) -> String {
        let visible = |letter: char| if letter.is_control() { ' ' } else { letter };
        match self.reason.as_str() {
            "" => String::new(),
            reason => format!(": {}", reason.chars().map(visible).collect::<String>()),
        }
    }
}

/// What is stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// A key was revoked.
    Revocation(Revocation),
    /// A key was destroyed.
    Destruction(Destruction),
}

impl Statement {
    fn thumbprint(&self) -> Option<&str> {
        match self {
            Self::Revocation(body) => Some(&body.thumbprint),
            Self::Destruction(body) => body.thumbprint.as_deref(),
        }
    }
}

/// A statement's file as it is written: nothing in it is left unsigned but the signature.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "type")]
    kind: String,
    body: Value,
    signature: SignedBy,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedBy {
    /// Ed25519 public key, hexadecimal.
    public_key: String,
    /// Ed25519 signature over the RFC 8785 form of `type` and `body`, hexadecimal.
    signature: String,
}

/// A statement that could be read.
pub struct Found {
    /// What is stated.
    pub statement: Statement,
    /// Whose key it names as its signer.
    pub signer: IdentityPublic,
    /// The signature, hexadecimal.
    pub signature: String,
    /// Whether the signature holds against that key.
    pub holds: bool,
}

impl Found {
    /// Whether the key in question signed itself; else somebody else did, who says to be its owner.
    #[must_use]
    pub fn by_itself(&self) -> bool {
        self.statement.thumbprint() == Some(self.signer_name().as_str())
    }

    /// Thumbprint of the key that it names as its signer.
    #[must_use]
    pub fn signer_name(&self) -> String {
        SigningPublic::from(self.signer).thumbprint()
    }
}

/// The text of a revocation.
///
/// # Errors
/// [`NodeError::Internal`].
pub fn revocation(
    key: &PublicKey,
    when: &str,
    reason: &str,
    by: &SigningKey,
) -> Result<String, NodeError> {
    let body = Revocation {
        thumbprint: key.thumbprint(),
        kind: key.kind(),
        revoked: when.to_owned(),
        reason: reason.to_owned(),
    };
    signed(REVOCATION, &body, by)
}

/// The text of a signed statement.
pub(super) fn signed(
    kind: &str,
    body: &impl Serialize,
    by: &SigningKey,
) -> Result<String, NodeError> {
    let internal = |error: String| NodeError::Internal(format!("a statement: {error}"));
    let body = serde_json::to_value(body).map_err(|error| internal(error.to_string()))?;
    let message = message(kind, &body).map_err(internal)?;
    let key = by.identity();
    let document = Document {
        kind: kind.to_owned(),
        signature: SignedBy {
            public_key: key.public().to_string(),
            signature: hex(&key.sign(DOMAIN, &message).to_bytes()),
        },
        body,
    };
    let mut text =
        serde_json::to_string_pretty(&document).map_err(|error| internal(error.to_string()))?;
    text.push('\n');
    Ok(text)
}

/// Reads a statement, and looks whether its signature holds.
///
/// # Errors
/// Why it is no statement about a key.
pub fn verify(text: &str) -> Result<Found, String> {
    verify_value(strict(text)?)
}

/// The same for JSON that was read strictly.
pub(crate) fn verify_value(value: Value) -> Result<Found, String> {
    let document: Document = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let message = message(&document.kind, &document.body)?;
    let statement = match document.kind.as_str() {
        REVOCATION => serde_json::from_value(document.body).map(Statement::Revocation),
        DESTRUCTION => serde_json::from_value(document.body).map(Statement::Destruction),
        kind => return Err(format!("its type is {kind}")),
    };
    let SignedBy {
        public_key,
        signature,
    } = document.signature;
    let signer = unhex(&public_key).ok_or("the key in it is none")?;
    let signer = IdentityPublic::from_bytes(signer);
    let made = unhex(&signature).map(Signature::from_bytes);
    Ok(Found {
        statement: statement.map_err(|error| error.to_string())?,
        holds: made.is_some_and(|made| signer.verify(DOMAIN, &message, &made).is_ok()),
        signer,
        signature,
    })
}

fn message(kind: &str, body: &Value) -> Result<Vec<u8>, String> {
    canonical(&json!({ "type": kind, "body": body }))
}

#[cfg(test)]
mod tests {
    use lepton_crypto::envelope::{Key, KeyKind};

    use super::*;
    use crate::random::Entropy;

    fn key(seed: u64) -> Key {
        let mut rng = Entropy::InsecureSeed(seed).generator("test", 0).unwrap();
        Key::generate(KeyKind::Ed25519, &mut rng).unwrap()
    }

    fn signer(seed: u64) -> SigningKey {
        match key(seed) {
            Key::Signing(key) => key,
            _ => unreachable!("an Ed25519 key signs"),
        }
    }

    fn revoked() -> String {
        let public = key(1).public().unwrap();
        revocation(&public, "2026-01-01T00:00:00Z", "lost", &signer(2)).unwrap()
    }

    /// KY-02: whatever is changed in a statement, it does not hold or is none.
    #[test]
    fn no_member_of_a_statement_can_be_changed() {
        let text = revoked();
        let found = verify(&text).unwrap();
        assert!(found.holds && !found.by_itself());
        assert_eq!(found.signer, signer(2).identity().public());
        let sound = |value: &Value| verify(&value.to_string()).is_ok_and(|found| found.holds);
        let document: Value = serde_json::from_str(&text).unwrap();
        assert!(sound(&document), "spaces and order do not matter");
        for (place, member) in [
            ("/body", "thumbprint"),
            ("/body", "kind"),
            ("/body", "revoked"),
            ("/body", "reason"),
            ("/signature", "public_key"),
            ("/signature", "signature"),
            ("", "type"),
        ] {
            let mut bad = document.clone();
            let holder = bad.pointer_mut(place).unwrap();
            let old = holder[member].as_str().unwrap().to_owned();
            let last = if old.ends_with('0') { "1" } else { "0" };
            let flipped = old.get(..old.len() - 1).unwrap().to_owned() + last;
            holder[member] = flipped.into();
            assert!(!sound(&bad), "{member}");
            let mut bad = document.clone();
            let holder = bad.pointer_mut(place).unwrap().as_object_mut().unwrap();
            holder.remove(member);
            assert!(!sound(&bad), "without {member}");
            let holder = bad.pointer_mut(place).unwrap().as_object_mut().unwrap();
            holder.insert("more".to_owned(), 1.into());
            assert!(!sound(&bad), "more beside {member}");
        }
        let twice = text.replacen('{', r#"{"type": "lepton-key-revocation","#, 1);
        assert!(verify(&twice).is_err(), "a member that is repeated");
    }

    /// A signature over a revocation is none over a certificate, nor in another domain.
    #[test]
    fn statements_are_not_taken_for_each_other() {
        let other = revoked().replace(REVOCATION, DESTRUCTION);
        assert!(verify(&other).is_err(), "its body is another");
        let mut document: Value = serde_json::from_str(&revoked()).unwrap();
        let sign = |kind: &str| {
            let message = message(kind, &document["body"]).unwrap();
            hex(&signer(2).identity().sign(DOMAIN, &message).to_bytes())
        };
        let [right, wrong] = [REVOCATION, DESTRUCTION].map(sign);
        for (signature, holds) in [(right, true), (wrong, false)] {
            document["signature"]["signature"] = signature.into();
            assert_eq!(verify(&document.to_string()).unwrap().holds, holds);
        }
        let public = key(1).public().unwrap();
        let itself = revocation(&public, "2026-01-01T00:00:00Z", "", &signer(1)).unwrap();
        let found = verify(&itself).unwrap();
        assert!(found.holds && found.by_itself());
        let identity = signer(2);
        let message = message(REVOCATION, &json!({})).unwrap();
        let elsewhere = identity
            .identity()
            .sign("lepton-vault-document/1", &message);
        let public = identity.identity().public();
        assert!(public.verify(DOMAIN, &message, &elsewhere).is_err());
    }
}
