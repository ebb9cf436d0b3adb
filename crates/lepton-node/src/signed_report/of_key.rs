//! Revocations and certificates of destruction of keys (KY-02), verified as other signed documents are.

use serde_json::Value;

use super::envelope::Entry;
use super::verify::{SignerFound, Verification, Work};
use crate::key_register::{Found, Statement, verify_value};

impl Work<'_> {
    /// The signature, and who made it.
    pub(super) fn of_key(mut self, value: Value) -> Verification {
        let found = match verify_value(value) {
            Ok(found) => found,
            Err(problem) => {
                self.check("schema", Err(problem));
                return self.finish();
            }
        };
        let kind = self.done.document.clone();
        self.check("schema", Ok(format!("{kind}, of a key")));
        let result = if found.holds {
            Ok(format!("holds, key {}", found.signer))
        } else {
            Err("does not hold: document, signature or key were changed".to_owned())
        };
        let role = if found.by_itself() { "key" } else { "owner" };
        self.check(&format!("signature of the {role}"), result);
        let trusted = self.is_trusted(&found.signer);
        self.done.signers.push(SignerFound {
            role: role.to_owned(),
            party: None,
            public_key: found.signer.to_string(),
            holds: found.holds,
            trusted,
        });
        self.trust(&[Entry {
            role: role.to_owned(),
            party: None,
            public_key: found.signer.to_string(),
            signature: found.signature.clone(),
        }]);
        if role == "owner" {
            self.done.warnings.push(
                "another key than the one in question signed: that it belongs to its owner you must know otherwise"
                    .to_owned(),
            );
        }
        let sound = self.nothing_failed();
        let summary = self.key_in_question(&found);
        self.done.summary = sound.then_some(summary);
        self.finish()
    }

    fn key_in_question(&mut self, found: &Found) -> String {
        match &found.statement {
            Statement::Revocation(body) => {
                let reason = match body.reason.as_str() {
                    "" => String::new(),
                    reason => format!(": {reason}"),
                };
                format!(
                    "the {} key {} is not to be used since {}{reason}",
                    body.kind, body.thumbprint, body.revoked
                )
            }
            Statement::Destruction(body) => {
                let reach = body.not_reached.join("; ");
                self.done
                    .warnings
                    .push(format!("destruction does not reach: {reach}"));
                let name = body.thumbprint.as_ref();
                let name = name.map_or_else(String::new, |name| format!(", thumbprint {name}"));
                format!(
                    "the key file {} (SHA-256 {}{name}) was destroyed at {}. {}",
                    body.file, body.sha256, body.destroyed, body.what
                )
            }
        }
    }
}
