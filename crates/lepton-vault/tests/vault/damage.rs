//! Whatever is changed on the disk is noticed.

use lepton_vault::{Scan, SealedTable};

use crate::desk::{Desk, WHEN, files, table};

/// Every byte of the data file and of the catalog in turn: an error, or the very rows (a byte of what only others need, such as another root).
#[test]
fn every_byte_counts() {
    let desk = Desk::sealed();
    let path = desk.vault().join("churn");
    let whole = table(5);
    let data = desk.data_files().remove(0);
    let catalog = desk.vault().join("vault.json");
    for file in [&data, &catalog] {
        let bytes = std::fs::read(file).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            std::fs::write(file, &changed).unwrap();
            let read = SealedTable::open(&path, &desk.root(), None)
                .and_then(|sealed| sealed.read(&Scan::default()));
            match read {
                Ok(_) if file == &data => panic!("byte {at} of the data file does not count"),
                Ok(read) => assert_eq!(read.batch(), whole.batch(), "byte {at} of the catalog"),
                Err(_) => {}
            }
        }
        std::fs::write(file, &bytes).unwrap();
    }
    assert!(desk.read(&desk.root()).is_ok());
}

/// For a root the catalog's tag counts every byte but spaces and the order of keys that JSON leaves free.
#[test]
fn a_root_notices_a_changed_catalog() {
    let desk = Desk::sealed();
    desk.grant("training", &["age"]).unwrap();
    let catalog = desk.vault().join("vault.json");
    let text = std::fs::read_to_string(&catalog).unwrap();
    for (from, to) in [
        ("\"next\":2", "\"next\":1"),
        ("\"training\"", "\"trainiNg\""),
        ("\"generation\":3", "\"generation\":2"),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&catalog, text.replace(from, to)).unwrap();
        assert!(desk.read(&desk.root()).is_err(), "{from}");
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let desk = Desk::sealed();
    let data = desk.data_files().remove(0);
    let bytes = std::fs::read(&data).unwrap();
    for length in (0..bytes.len()).step_by(7) {
        std::fs::write(&data, &bytes[..length]).unwrap();
        assert!(desk.read(&desk.root()).is_err(), "{length}");
    }
    std::fs::write(&data, [bytes.as_slice(), &[0]].concat()).unwrap();
    assert!(desk.read(&desk.root()).is_err());
}

/// A version's file in another's place, and a table's in another table's.
#[test]
fn files_do_not_change_places() {
    let desk = Desk::sealed();
    desk.open().seal("churn", &table(5), WHEN, None).unwrap();
    desk.open().seal("twin", &table(5), WHEN, None).unwrap();
    let all = desk.data_files();
    let bytes: Vec<Vec<u8>> = all
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    for (to, from) in [(0, 1), (1, 0), (0, 2), (2, 0)] {
        std::fs::write(&all[to], &bytes[from]).unwrap();
        let refused = ["churn", "twin"].iter().any(|name| {
            (1..=2).any(|version| {
                SealedTable::open(&desk.vault().join(name), &desk.root(), Some(version))
                    .is_err_and(|error| error.to_string().contains("changed"))
            })
        });
        assert!(refused, "{from} in the place of {to}");
        std::fs::write(&all[to], &bytes[to]).unwrap();
    }
}

#[test]
fn only_the_owner_reads_what_is_written() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::sealed();
    for path in files(&desk.vault()) {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
    let root = desk.path("root.key");
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(lepton_vault::KeyFile::open(&root).is_err());
}
