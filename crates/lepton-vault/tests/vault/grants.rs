//! Grants: their columns and no others.

use lepton_vault::{GrantFile, Scan, SealedTable, VaultError};

use crate::desk::{Desk, WHEN, table};

#[test]
fn a_grant_opens_its_columns_and_no_others() {
    let desk = Desk::sealed();
    let holder = desk.grant("training", &["age", "plan"]).unwrap();
    let read = desk.read(&holder).unwrap();
    assert_eq!(read.column_names(), ["age", "plan"]);
    let whole = table(5);
    assert_eq!(read.numeric("age").unwrap(), whole.numeric("age").unwrap());
    assert_eq!(
        read.category("plan").unwrap(),
        whole.category("plan").unwrap()
    );
    let sealed = SealedTable::open_with(&desk.vault().join("churn"), &holder).unwrap();
    assert!(sealed.check_roots().unwrap());
    for column in ["spend", "name"] {
        let scan = Scan {
            columns: Some(vec![column.to_owned()]),
            ..Scan::default()
        };
        assert!(
            matches!(sealed.read(&scan), Err(VaultError::Refused(_))),
            "{column}"
        );
    }
    // It is no root.
    assert!(lepton_vault::Vault::open(&desk.vault(), &holder).is_err());
}

#[test]
fn a_grant_goes_on_with_new_versions() {
    let desk = Desk::sealed();
    let holder = desk.grant("training", &["age"]).unwrap();
    desk.open().seal("churn", &table(7), WHEN, None).unwrap();
    assert_eq!(desk.read(&holder).unwrap().rows(), 7);
    // A version without the column is not granted: the last one that has it stays.
    let other = table(3).drop_columns(&["age"]).unwrap();
    desk.open().seal("churn", &other, WHEN, None).unwrap();
    assert_eq!(desk.read(&holder).unwrap().rows(), 7);
    desk.open().rotate(&desk.root()).unwrap();
    assert_eq!(desk.read(&holder).unwrap().rows(), 7);
    let granted = desk.open().granted("churn").unwrap();
    assert_eq!(granted["training"], ["age"]);
}

#[test]
fn a_revoked_key_opens_nothing() {
    let desk = Desk::sealed();
    let holder = desk.grant("training", &["age"]).unwrap();
    let other = desk.grant("study", &["plan"]).unwrap();
    desk.open().revoke("churn", "training").unwrap();
    assert!(matches!(desk.read(&holder), Err(VaultError::Refused(_))));
    assert!(desk.read(&other).is_ok());
    assert!(desk.open().revoke("churn", "training").is_err());
    desk.open().reencrypt("churn", None, WHEN, None).unwrap();
    assert!(desk.read(&holder).is_err());
    assert_eq!(desk.read(&other).unwrap().column_names(), ["plan"]);
}

#[test]
fn a_destroyed_table_opens_for_nobody() {
    let desk = Desk::sealed();
    let holder = desk.grant("training", &["age"]).unwrap();
    desk.open().shred("churn", WHEN, None).unwrap();
    assert!(desk.read(&holder).is_err());
}

#[test]
fn one_key_file_serves_several_tables() {
    let desk = Desk::sealed();
    let holder = desk.grant("training", &["age"]).unwrap();
    desk.open().seal("visits", &table(4), WHEN, None).unwrap();
    let known = GrantFile::Known(&holder);
    desk.open()
        .grant("visits", "training", &["plan".to_owned()], &known)
        .unwrap();
    let sealed = SealedTable::open_with(&desk.vault().join("visits"), &holder).unwrap();
    assert_eq!(sealed.columns()[0].0, "plan");
    assert!(
        desk.open()
            .grant("visits", "again", &["age".to_owned()], &known)
            .is_err()
    );
}

#[test]
fn what_cannot_be_granted_is_said() {
    let desk = Desk::sealed();
    for columns in [&["nothing"][..], &[]] {
        assert!(matches!(desk.grant("x", columns), Err(VaultError::Use(_))));
        // No key file is left behind for nothing.
        assert!(!desk.path("x.key").exists());
    }
    desk.grant("training", &["age"]).unwrap();
    assert!(desk.grant("training", &["plan"]).is_err());
}

/// The keys for other tools are those of the granted columns.
#[test]
fn keys_for_other_tools_are_by_column() {
    let desk = Desk::sealed();
    let text = desk
        .open()
        .parquet_keys("churn", &["plan".to_owned()])
        .unwrap();
    let keys: std::collections::BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    let ends: Vec<&str> = keys
        .keys()
        .map(|name| name.rsplit(':').next().unwrap())
        .collect();
    assert_eq!(ends, ["c3", "footer"]);
}
