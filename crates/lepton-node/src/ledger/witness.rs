//! Signed heads: what shows that a ledger was rolled back or replaced (LG-07).

use lepton_crypto::{Digest, IdentityKey, IdentityPublic, Signature};
use lepton_protocol::ledger::Head;
use serde::{Deserialize, Serialize};

use crate::error::NodeError;
use crate::federation::from_hex;

const DOMAIN: &str = "lepton ledger head";

/// Somebody's signature on where a ledger stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// The ledger's random name.
    pub ledger: String,
    /// Where it stood.
    pub head: Head,
    /// Who says so.
    pub signer: IdentityPublic,
    /// Over [`Head::statement`].
    pub signature: Signature,
}

/// As one line of JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    ledger: String,
    count: u64,
    hash: String,
    signer: String,
    signature: String,
}

impl SignedHead {
    /// Signs where `ledger` stands.
    #[must_use]
    pub fn sign(ledger: &str, head: Head, identity: &IdentityKey) -> Self {
        Self {
            signature: identity.sign(DOMAIN, &head.statement(ledger)),
            ledger: ledger.to_owned(),
            head,
            signer: identity.public(),
        }
    }

    /// Whether the signature is the signer's.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        let statement = self.head.statement(&self.ledger);
        self.signer
            .verify(DOMAIN, &statement, &self.signature)
            .is_ok()
    }

    /// One line of JSON, for a file that the signer keeps.
    ///
    /// # Errors
    /// [`NodeError::Internal`] never in practice.
    pub fn to_json(&self) -> Result<String, NodeError> {
        let signature = self.signature.to_bytes();
        let line = Line {
            ledger: self.ledger.clone(),
            count: self.head.count,
            hash: self.head.hash.to_string(),
            signer: self.signer.to_string(),
            signature: signature.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        serde_json::to_string(&line).map_err(|error| NodeError::Internal(error.to_string()))
    }

    /// Back from a line; the signature is not checked yet.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let line: Line = serde_json::from_str(line).ok()?;
        let (first, second) = line.signature.split_at_checked(64)?;
        let signature = [from_hex(first)?, from_hex(second)?].concat();
        Some(Self {
            ledger: line.ledger,
            head: Head {
                count: line.count,
                hash: Digest::from_bytes(from_hex(&line.hash)?),
            },
            signer: IdentityPublic::from_bytes(from_hex(&line.signer)?),
            signature: Signature::from_bytes(signature.try_into().ok()?),
        })
    }
}
