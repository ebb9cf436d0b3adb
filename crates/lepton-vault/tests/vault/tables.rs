//! Sealing, reading in place, rotation, destruction.

use std::sync::{Arc, Mutex};

use lepton_crypto::Zeroizing;
use lepton_table::{ReadOptions, Table};
use lepton_vault::{
    Between, CERTIFICATE, Document, KeyFile, Passphrase, Scan, SealedTable, TABLE_STATEMENT, Vault,
    VaultError, describe, verify,
};
use proptest::prelude::*;

use crate::desk::{Desk, WHEN, files, table};

fn same(a: &Table, b: &Table) -> bool {
    a.batch() == b.batch()
}

#[test]
fn a_table_comes_back_as_it_was() {
    let desk = Desk::sealed();
    let read = desk.read(&desk.root()).unwrap();
    assert!(same(&read, &table(5)));
    // Nothing but the file's own name is told.
    assert_eq!(
        read.name(),
        desk.vault().join("churn").display().to_string()
    );
    let sealed = SealedTable::open(&desk.vault().join("churn"), &desk.root(), None).unwrap();
    assert_eq!((sealed.rows(), sealed.version()), (5, 1));
    assert!(sealed.check_roots().unwrap());
}

#[test]
fn versions_are_kept_apart() {
    let desk = Desk::sealed();
    desk.open().seal("churn", &table(9), WHEN, None).unwrap();
    let path = desk.vault().join("churn");
    let rows = |version| {
        let sealed = SealedTable::open(&path, &desk.root(), version).unwrap();
        sealed.read(&Scan::default()).unwrap().rows()
    };
    assert_eq!((rows(None), rows(Some(1)), rows(Some(2))), (9, 5, 9));
    assert!(SealedTable::open(&path, &desk.root(), Some(3)).is_err());
}

/// VA-17: old versions go with their keys and files, grants go on with those that stay.
#[test]
fn old_versions_are_dropped() {
    let desk = Desk::sealed();
    let holder = desk.grant("training", &["age"]).unwrap();
    for rows in [6, 7, 8] {
        desk.open().seal("churn", &table(rows), WHEN, None).unwrap();
    }
    let before = files(&desk.vault());
    let catalog = std::fs::read(desk.vault().join("vault.json")).unwrap();
    assert!(matches!(
        desk.open().prune("churn", 0),
        Err(VaultError::Use(_))
    ));
    assert!(desk.open().prune("nobody", 1).is_err());
    assert!(desk.open().prune("churn", 4).unwrap().is_empty());
    assert_eq!(
        std::fs::read(desk.vault().join("vault.json")).unwrap(),
        catalog
    );
    assert_eq!(desk.open().prune("churn", 2).unwrap(), [1, 2]);
    // A data file and a statement for each.
    assert_eq!(files(&desk.vault()).len(), before.len() - 4);
    let path = desk.vault().join("churn");
    let rows = |version| {
        let sealed = SealedTable::open(&path, &desk.root(), version)?;
        sealed.read(&Scan::default()).map(|table| table.rows())
    };
    assert_eq!((rows(None).unwrap(), rows(Some(3)).unwrap()), (8, 7));
    assert!(rows(Some(1)).is_err() && rows(Some(2)).is_err());
    assert_eq!(desk.read(&holder).unwrap().rows(), 8);
    // A grant whose versions are all gone opens nothing, until one comes that has its columns.
    let other = table(3).drop_columns(&["age"]).unwrap();
    desk.open().seal("churn", &other, WHEN, None).unwrap();
    assert_eq!(desk.open().prune("churn", 1).unwrap(), [3, 4]);
    assert!(desk.read(&holder).is_err());
    let next = desk.open().seal("churn", &table(9), WHEN, None).unwrap();
    assert_eq!(next.version, 6, "a number is given once");
    assert_eq!(desk.read(&holder).unwrap().rows(), 9);
}

#[test]
fn columns_and_row_groups_are_left_out() {
    let desk = Desk::new();
    let rows = 600_000;
    desk.open().seal("churn", &table(rows), WHEN, None).unwrap();
    let sealed = SealedTable::open(&desk.vault().join("churn"), &desk.root(), None).unwrap();
    let scan = Scan {
        columns: Some(vec!["plan".to_owned(), "spend".to_owned()]),
        between: vec![Between {
            column: "spend".to_owned(),
            low: 300_000.0,
            high: 300_001.0,
        }],
        batch_rows: 1000,
    };
    assert_eq!(sealed.row_groups(&scan).unwrap(), (1, 3));
    let batches: Vec<_> = sealed.batches(&scan).unwrap().map(Result::unwrap).collect();
    assert!(batches.iter().all(|batch| batch.num_rows() <= 1000));
    assert_eq!(
        batches.iter().map(|batch| batch.num_rows()).sum::<usize>(),
        1 << 18
    );
    let first = Table::from_batch("x", batches[0].clone()).unwrap();
    assert_eq!(first.column_names(), ["plan", "spend"]);
    assert_eq!(
        first.numeric("spend").unwrap().value(0),
        f64::from(1 << 18) + 0.5
    );
    let unknown = Scan {
        columns: Some(vec!["nothing".to_owned()]),
        ..Scan::default()
    };
    assert!(matches!(
        sealed.batches(&unknown).err(),
        Some(VaultError::Refused(_))
    ));
}

#[test]
fn other_keys_and_passphrases_open_nothing() {
    let desk = Desk::sealed();
    let stranger = KeyFile::create(&desk.path("stranger.key")).unwrap();
    assert!(matches!(desk.read(&stranger), Err(VaultError::Refused(_))));
    assert!(Vault::open(&desk.vault(), &stranger).is_err());
    let phrase = Passphrase::new(Zeroizing::new(b"correct horse".to_vec())).unwrap();
    assert!(Vault::open(&desk.vault(), &phrase).is_err());
}

#[test]
fn a_passphrase_opens_its_vault() {
    let desk = Desk::new();
    let folder = desk.path("other");
    let phrase = |text: &[u8]| Passphrase::new(Zeroizing::new(text.to_vec())).unwrap();
    let mut vault = Vault::init(&folder, &phrase(b"correct horse")).unwrap();
    vault.seal("churn", &table(3), WHEN, None).unwrap();
    drop(vault);
    let sealed = SealedTable::open(&folder.join("churn"), &phrase(b"correct horse"), None);
    assert_eq!(sealed.unwrap().rows(), 3);
    assert!(SealedTable::open(&folder.join("churn"), &phrase(b"correct horsf"), None).is_err());
}

#[test]
fn one_program_at_a_time_changes_a_vault() {
    let desk = Desk::new();
    let open = desk.open();
    assert!(matches!(
        Vault::open(&desk.vault(), &desk.root()),
        Err(VaultError::Use(_))
    ));
    drop(open);
    desk.open();
}

#[test]
fn rotation_changes_keys_and_no_data() {
    let desk = Desk::sealed();
    let before = (
        std::fs::read(desk.vault().join("vault.json")).unwrap(),
        desk.data_files(),
    );
    let data = std::fs::read(&before.1[0]).unwrap();
    desk.open().rotate(&desk.root()).unwrap();
    let after = std::fs::read(desk.vault().join("vault.json")).unwrap();
    assert_ne!(before.0, after);
    assert_eq!(std::fs::read(&desk.data_files()[0]).unwrap(), data);
    assert!(same(&desk.read(&desk.root()).unwrap(), &table(5)));
}

#[test]
fn roots_come_and_go() {
    let desk = Desk::sealed();
    let second = KeyFile::create(&desk.path("custodian.key")).unwrap();
    desk.open()
        .change_roots(&desk.root(), Some(&second), &[])
        .unwrap();
    assert!(same(&desk.read(&second).unwrap(), &table(5)));
    // A rotation by one root keeps the other.
    Vault::open(&desk.vault(), &second)
        .unwrap()
        .rotate(&second)
        .unwrap();
    assert!(desk.read(&desk.root()).is_ok());
    let names = Vault::list(&desk.vault()).unwrap().roots;
    assert_eq!(names.len(), 2);
    // Who is taken away knows the slot of a third root: that cannot stay.
    let refused = desk.open().change_roots(&desk.root(), None, &names[..1]);
    assert!(matches!(refused, Err(VaultError::Use(_))));
    let mut vault = Vault::open(&desk.vault(), &second).unwrap();
    vault.change_roots(&second, None, &names[..1]).unwrap();
    assert!(desk.read(&desk.root()).is_err());
    assert!(desk.read(&second).is_ok());
    assert!(vault.change_roots(&second, None, &names[1..]).is_err());
    assert!(
        vault
            .change_roots(&second, None, &["key-file:nobody".to_owned()])
            .is_err()
    );
}

#[test]
fn reencryption_leaves_one_file_under_new_keys() {
    let desk = Desk::sealed();
    let old = desk.data_files();
    desk.open().reencrypt("churn", None, WHEN, None).unwrap();
    let new = desk.data_files();
    assert_eq!(new.len(), 1);
    assert_ne!(old, new);
    assert!(same(&desk.read(&desk.root()).unwrap(), &table(5)));
}

#[test]
fn a_shredded_table_is_gone_and_certified() {
    let desk = Desk::sealed();
    let sha256 = lepton_crypto::sha256(&std::fs::read(&desk.data_files()[0]).unwrap());
    let (certificate, path) = desk.open().shred("churn", WHEN, None).unwrap();
    assert_eq!(certificate.versions, [(1, sha256.to_string())]);
    assert!(desk.read(&desk.root()).is_err());
    assert_eq!(desk.data_files(), Vec::<std::path::PathBuf>::new());
    let text = std::fs::read_to_string(path).unwrap();
    let (document, found) = verify(&serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(document.kind, CERTIFICATE);
    assert!(found.iter().all(|(_, holds)| *holds) && !found.is_empty());
    // Others go on, and the name is free for another table.
    desk.open().seal("churn", &table(4), WHEN, None).unwrap();
    assert_eq!(desk.read(&desk.root()).unwrap().rows(), 4);
}

#[test]
fn a_statement_says_what_the_file_is_and_no_other() {
    let desk = Desk::sealed();
    let path = files(&desk.vault().join("churn"));
    let path = path
        .iter()
        .find(|path| path.display().to_string().contains("statement"));
    let text = std::fs::read_to_string(path.unwrap()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let sha256 = lepton_crypto::sha256(&std::fs::read(&desk.data_files()[0]).unwrap());
    assert_eq!(value["body"]["sha256"], sha256.to_string());
    let (Document { kind, .. }, found) = verify(&value).unwrap();
    assert_eq!(kind, TABLE_STATEMENT);
    let own = Vault::list(&desk.vault()).unwrap().public_key;
    assert_eq!(
        found
            .iter()
            .map(|(key, holds)| (key.to_string(), *holds))
            .collect::<Vec<_>>(),
        [(own, true)]
    );
    for (field, other) in [
        ("version", serde_json::json!(2)),
        ("merkle_root", "00".into()),
    ] {
        let mut changed = value.clone();
        changed["body"][field] = other;
        assert!(
            verify(&changed).unwrap().1.iter().all(|(_, holds)| !holds),
            "{field}"
        );
    }
}

#[test]
fn names_stay_in_the_folder() {
    let desk = Desk::new();
    for name in [
        "",
        "..",
        "../x",
        "a/b",
        ".hidden",
        "vault.json",
        "vault.lock",
        "Vault.x",
        "ä",
        &"a".repeat(65),
    ] {
        assert!(
            desk.open().seal(name, &table(3), WHEN, None).is_err(),
            "{name:?}"
        );
    }
}

#[test]
fn names_differ_in_more_than_case() {
    let desk = Desk::sealed();
    let refused = desk.open().seal("Churn", &table(3), WHEN, None);
    assert!(matches!(refused, Err(VaultError::Use(_))));
    desk.open().seal("churn", &table(3), WHEN, None).unwrap();
}

/// Only what the vault signed is certified, and once.
#[test]
fn a_forged_intention_is_not_certified() {
    let desk = Desk::sealed();
    let (certificate, path) = desk.open().shred("churn", WHEN, None).unwrap();
    let written = std::fs::read(&path).unwrap();
    let pending = path.with_extension("pending");
    for forged in [serde_json::to_vec(&certificate).unwrap(), written.clone()] {
        std::fs::remove_file(&path).ok();
        std::fs::write(&pending, forged).unwrap();
        let opened = Vault::open(&desk.vault(), &desk.root());
        assert!(matches!(opened.err(), Some(VaultError::Damaged { .. })));
        assert!(!path.exists());
    }
}

/// A table that gets new keys between the reading of the catalog and that of its file.
#[test]
fn a_reader_without_the_lock_tries_once_more() {
    use lepton_vault::{RootOfTrust, Slot};
    struct Slow<'a>(&'a Desk, std::sync::atomic::AtomicBool);
    impl RootOfTrust for Slow<'_> {
        fn wrap(&self, vault: &str, key: &lepton_crypto::Seed) -> Result<Slot, VaultError> {
            self.0.root().wrap(vault, key)
        }
        fn unwrap(
            &self,
            vault: &str,
            slot: &Slot,
        ) -> Result<Option<lepton_crypto::Seed>, VaultError> {
            if !self.1.swap(true, std::sync::atomic::Ordering::SeqCst) {
                self.0.open().reencrypt("churn", None, WHEN, None)?;
            }
            self.0.root().unwrap(vault, slot)
        }
    }
    let desk = Desk::sealed();
    let slow = Slow(&desk, false.into());
    let sealed = SealedTable::open(&desk.vault().join("churn"), &slow, None).unwrap();
    assert_eq!(sealed.version(), 2);
}

#[test]
fn a_vault_is_made_in_an_empty_folder_only() {
    let desk = Desk::new();
    let folder = desk.path("new").join("deep");
    std::fs::create_dir_all(&folder).unwrap();
    // What a killed program left there.
    std::fs::write(folder.join("vault.lock"), "").unwrap();
    std::fs::write(folder.join("vault.json.partial"), "{").unwrap();
    std::fs::write(folder.join("other"), "").unwrap();
    assert!(Vault::init(&folder, &desk.root()).is_err());
    std::fs::remove_file(folder.join("other")).unwrap();
    drop(Vault::init(&folder, &desk.root()).unwrap());
    assert!(Vault::init(&folder, &desk.root()).is_err());
}

#[test]
fn what_failed_is_as_if_it_had_not_begun() {
    let desk = Desk::sealed();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut vault = desk.open();
    let steps = Arc::clone(&seen);
    vault.on_step(Box::new(move |step| {
        steps.lock().unwrap().push(step.to_owned())
    }));
    vault.seal("churn", &table(3), WHEN, None).unwrap();
    let seen = seen.lock().unwrap();
    // The data is settled before the catalog that names it takes its place.
    let settled = seen.iter().position(|step| step == "settle").unwrap();
    assert!(settled < seen.iter().rposition(|step| step == "rename").unwrap());
}

#[test]
fn a_description_is_that_of_the_cells() {
    let found = describe(&table(8)).unwrap();
    let age = &found[1];
    assert_eq!(
        (age.missing, age.least, age.largest),
        (2, Some(20.0), Some(27.0))
    );
    let plan = &found[2];
    assert_eq!((plan.missing, plan.distinct), (2, 3));
    assert_eq!(plan.most[0].1, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_cells_come_back(
        numbers in proptest::collection::vec(proptest::option::of(-1e300..1e300), 1..200),
        texts in proptest::collection::vec("[a-zäöü ,\"]{0,9}", 200),
    ) {
        use arrow_array::{Float64Array, RecordBatch, StringArray};
        let texts: Vec<Option<&str>> =
            texts.iter().take(numbers.len()).map(|text| (text.len() % 3 > 0).then_some(text.as_str())).collect();
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("a.b", Arc::new(Float64Array::from(numbers)) as _, true),
            ("c d", Arc::new(StringArray::from(texts)) as _, true),
        ]).unwrap();
        let made = Table::from_batch("made", batch).unwrap();
        let desk = Desk::new();
        desk.open().seal("churn", &made, WHEN, None).unwrap();
        let read = desk.read(&desk.root()).unwrap();
        prop_assert!(same(&read, &made));
    }

    /// Nothing that somebody writes in the catalog's place makes the program fall.
    #[test]
    fn any_catalog_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let desk = Desk::sealed();
        std::fs::write(desk.vault().join("vault.json"), bytes).unwrap();
        prop_assert!(desk.read(&desk.root()).is_err());
    }
}

#[test]
fn a_csv_and_its_sealed_form_are_one_table() {
    let text = b"a,b\n1,x\n,\n3,z\n";
    let csv = Table::from_csv_bytes("t.csv", text, &ReadOptions::default()).unwrap();
    let desk = Desk::new();
    desk.open().seal("churn", &csv, WHEN, None).unwrap();
    let read = desk.read(&desk.root()).unwrap();
    assert_eq!(read.columns(), csv.columns());
    assert_eq!(read.texts("b").unwrap(), csv.texts("b").unwrap());
}
