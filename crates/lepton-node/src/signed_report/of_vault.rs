//! Statements and certificates of a vault (rules VA-12 and VA-14), verified as other signed documents are.

use std::path::Path;

use lepton_vault::{Certificate, Document, Statement, TABLE_STATEMENT};
use serde_json::Value;

use super::document::FileHash;
use super::envelope::Entry;
use super::verify::{Outcome, SignerFound, Verification, Work};

impl Work<'_> {
    /// Signatures, who made them, and the data file where it lies beside.
    pub(super) fn of_vault(mut self, value: &Value, beside: Option<&Path>) -> Verification {
        let (document, found) = match lepton_vault::verify(value) {
            Ok(found) => found,
            Err(problem) => {
                self.check("schema", Err(problem));
                return self.finish();
            }
        };
        let kind = &document.kind;
        self.check("schema", Ok(format!("{kind}, of a vault")));
        for (signed, (key, holds)) in document.signatures.iter().zip(&found) {
            let result = if *holds {
                Ok(format!("holds, key {key}"))
            } else {
                Err("does not hold: document, signature or key were changed".to_owned())
            };
            self.check(&format!("signature of the {}", signed.role), result);
            let trusted = self.is_trusted(key);
            self.done.signers.push(SignerFound {
                role: signed.role.clone(),
                party: None,
                public_key: key.to_string(),
                holds: *holds,
                trusted,
            });
        }
        let entries: Vec<Entry> = entries(&document).collect();
        self.trust(&entries);
        let sound = self.nothing_failed();
        let summary = self.subject(&document, beside);
        self.done.summary = summary.filter(|_| sound && self.nothing_failed());
        self.finish()
    }

    /// What the document is about, in words.
    fn subject(&mut self, document: &Document, beside: Option<&Path>) -> Option<String> {
        if document.kind == TABLE_STATEMENT {
            let stated: Statement = serde_json::from_value(document.body.clone()).ok()?;
            let file = FileHash {
                file: stated.file,
                sha256: stated.sha256,
                what: "the sealed table".to_owned(),
            };
            self.file(&file, beside);
            return Some(format!(
                "version {} of table {}, sealed {}; its cells have the Merkle root {}",
                stated.version, stated.table, stated.sealed, stated.merkle_root
            ));
        }
        let certified: Certificate = serde_json::from_value(document.body.clone()).ok()?;
        for (version, sha256) in &certified.versions {
            let found = format!("SHA-256 {sha256}");
            self.note(
                &format!("file of version {version}"),
                Outcome::NotChecked,
                found,
            );
        }
        self.done.warnings.push(format!(
            "destruction does not reach: {}",
            certified.not_reached.join("; ")
        ));
        Some(format!(
            "table {} of vault {} was destroyed at {}. {}",
            certified.table, certified.vault, certified.destroyed, certified.what
        ))
    }
}

fn entries(document: &Document) -> impl Iterator<Item = Entry> + '_ {
    document.signatures.iter().map(|signed| Entry {
        role: signed.role.clone(),
        party: None,
        public_key: signed.public_key.clone(),
        signature: signed.signature.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::verify::{Keys, Outcome, verify_file};
    use lepton_table::{ReadOptions, Table};
    use lepton_vault::{KeyFile, Vault};

    #[test]
    fn a_statement_is_held_against_the_file_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = KeyFile::create(&folder.path().join("root.key")).unwrap();
        let at = folder.path().join("vault");
        let mut vault = Vault::init(&at, &root).unwrap();
        let table = Table::from_csv_bytes("t", b"a\n1\n2\n", &ReadOptions::default()).unwrap();
        let stated = vault
            .seal("t", &table, "2026-01-01T00:00:00Z", None)
            .unwrap();
        let data = at.join("t").join(&stated.file);
        let statement = data.with_extension("statement.json");
        let found = verify_file(&statement, &Keys::default()).unwrap();
        assert!(found.verified && !found.authenticated);
        assert!(found.summary.unwrap().contains(&stated.merkle_root));
        let mut bytes = std::fs::read(&data).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&data, bytes).unwrap();
        let found = verify_file(&statement, &Keys::default()).unwrap();
        assert!(!found.verified);
        let (_, certificate) = vault.shred("t", "2026-01-02T00:00:00Z", None).unwrap();
        let text = std::fs::read_to_string(&certificate).unwrap();
        assert!(
            verify_file(&certificate, &Keys::default())
                .unwrap()
                .verified
        );
        std::fs::write(&certificate, text.replace("2026-01-02", "2025-01-02")).unwrap();
        let found = verify_file(&certificate, &Keys::default()).unwrap();
        assert!(
            found
                .checks
                .iter()
                .any(|check| check.outcome == Outcome::Failed)
        );
        assert_eq!(found.summary, None);
    }
}
