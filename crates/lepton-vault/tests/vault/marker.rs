//! Nothing that is written has a plaintext cell or column name in it.

use lepton_table::{ReadOptions, Table};

use crate::desk::{Desk, WHEN, files};

const CELL: &str = "MARKER-7f3a91-CELL";
const COLUMN: &str = "MARKER-7f3a91-COLUMN";

fn holds(bytes: &[u8], marker: &str) -> bool {
    bytes
        .windows(marker.len())
        .any(|window| window == marker.as_bytes())
}

#[test]
fn no_cell_and_no_column_name_is_on_the_disk() {
    let desk = Desk::new();
    let row = |at: usize| format!("{CELL},{at}\n");
    let text: String = std::iter::once(format!("{COLUMN},n\n"))
        .chain((0..500).map(row))
        .collect();
    let table = Table::from_csv_bytes("t", text.as_bytes(), &ReadOptions::default()).unwrap();
    let search = |moment: &str| {
        let all = files(desk.folder.path());
        assert!(!all.is_empty());
        for path in all {
            let bytes = std::fs::read(&path).unwrap();
            for marker in [CELL, COLUMN, "MARKER-7f3a91"] {
                assert!(
                    !holds(&bytes, marker),
                    "{moment}: {marker} in {}",
                    path.display()
                );
            }
        }
    };
    // Also at every moment in between.
    let during = |verb: &'static str| {
        let folder = desk.folder.path().to_owned();
        Box::new(move |step: &str| {
            for path in files(&folder) {
                let bytes = std::fs::read(&path).unwrap_or_default();
                assert!(
                    !holds(&bytes, "MARKER-7f3a91"),
                    "{verb} at {step}: {}",
                    path.display()
                );
            }
        })
    };
    let mut vault = desk.open();
    vault.on_step(during("seal"));
    vault.seal("churn", &table, WHEN, None).unwrap();
    drop(vault);
    search("sealed");
    desk.grant("training", &[COLUMN]).unwrap();
    search("granted");
    let mut vault = desk.open();
    vault.on_step(during("change"));
    vault.rotate(&desk.root()).unwrap();
    vault.reencrypt("churn", None, WHEN, None).unwrap();
    drop(vault);
    search("encrypted anew");
    assert_eq!(desk.read(&desk.root()).unwrap().rows(), 500);
    search("read");
    desk.open().shred("churn", WHEN, None).unwrap();
    search("shredded");
    // The search itself finds what is there.
    std::fs::write(desk.path("plain"), &text).unwrap();
    assert!(holds(&std::fs::read(desk.path("plain")).unwrap(), CELL));
}
