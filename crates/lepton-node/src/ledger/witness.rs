//! Signed heads: what shows that a ledger was rolled back or replaced (LG-07).

use std::path::Path;

use lepton_crypto::{Digest, IdentityKey, IdentityPublic, Signature};
use lepton_protocol::ledger::Head;
use serde::{Deserialize, Serialize};

use crate::error::NodeError;
use crate::files::{Durability, replace};
use crate::hex::{hex, unhex};

const DOMAIN: &str = "lepton ledger head";

/// Where a run keeps signed heads, one a line, in its folder of states.
pub(crate) const FILE: &str = "ledger-heads.jsonl";

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
        let line = Line {
            ledger: self.ledger.clone(),
            count: self.head.count,
            hash: self.head.hash.to_string(),
            signer: self.signer.to_string(),
            signature: hex(&self.signature.to_bytes()),
        };
        serde_json::to_string(&line).map_err(|error| NodeError::Internal(error.to_string()))
    }

    /// All heads of a file; none where there is no file.
    ///
    /// # Errors
    /// [`NodeError`] naming file and line.
    pub fn read(path: &Path) -> Result<Vec<Self>, NodeError> {
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = crate::tables::read_text(path)?;
        let head = |(number, line)| {
            Self::parse(line).ok_or_else(|| {
                NodeError::Data(format!(
                    "{}:{}: this is not a signed head; give a ledger-heads.jsonl",
                    path.display(),
                    number + 1
                ))
            })
        };
        text.lines().enumerate().map(head).collect()
    }

    /// Adds heads to a file, in one step: what others signed before is the evidence of a roll-back and stays.
    pub(crate) fn append(path: &Path, heads: &[Self]) -> Result<(), NodeError> {
        let mut text = if path.exists() {
            crate::tables::read_text(path)?
        } else {
            String::new()
        };
        for head in heads {
            text = text + &head.to_json()? + "\n";
        }
        replace(path, text.as_bytes(), Durability::Machine)
            .map_err(|error| NodeError::file(path, &error))
    }

    /// Back from a line; the signature is not checked yet.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let line: Line = serde_json::from_str(line).ok()?;
        Some(Self {
            ledger: line.ledger,
            head: Head {
                count: line.count,
                hash: Digest::from_bytes(unhex(&line.hash)?),
            },
            signer: IdentityPublic::from_bytes(unhex(&line.signer)?),
            signature: Signature::from_bytes(unhex(&line.signature)?),
        })
    }
}
