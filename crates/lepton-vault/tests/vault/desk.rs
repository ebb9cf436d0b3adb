//! A vault in a folder of its own.

use std::path::{Path, PathBuf};

use lepton_table::{ReadOptions, Table};
use lepton_vault::{GrantFile, KeyFile, Scan, SealedTable, Vault, VaultError};
use tempfile::TempDir;

pub(crate) const WHEN: &str = "2026-01-01T00:00:00Z";

pub(crate) struct Desk {
    pub(crate) folder: TempDir,
}

impl Desk {
    /// With a vault under a key file, and nothing in it.
    pub(crate) fn new() -> Self {
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let root = KeyFile::create(&desk.path("root.key")).unwrap();
        Vault::init(&desk.vault(), &root).unwrap();
        desk
    }

    /// With the table `churn` sealed.
    pub(crate) fn sealed() -> Self {
        let desk = Self::new();
        desk.open().seal("churn", &table(5), WHEN, None).unwrap();
        desk
    }

    /// A copy of its folder, to be spoilt.
    pub(crate) fn copy(&self) -> Self {
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        copy_folder(self.folder.path(), desk.folder.path());
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn vault(&self) -> PathBuf {
        self.path("vault")
    }

    pub(crate) fn root(&self) -> KeyFile {
        KeyFile::open(&self.path("root.key")).unwrap()
    }

    /// Waits a little for the lock: a child that another test starts has, for a moment, all that this process has open.
    pub(crate) fn open(&self) -> Vault {
        for _ in 0..100 {
            match Vault::open(&self.vault(), &self.root()) {
                Err(VaultError::Use(_)) => std::thread::sleep(std::time::Duration::from_millis(10)),
                done => return done.unwrap(),
            }
        }
        Vault::open(&self.vault(), &self.root()).unwrap()
    }

    pub(crate) fn grant(&self, name: &str, columns: &[&str]) -> Result<KeyFile, VaultError> {
        let path = self.path(&format!("{name}.key"));
        let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
        self.open()
            .grant("churn", name, &columns, &GrantFile::New(&path))?;
        KeyFile::open(&path)
    }

    /// The table as a key opens it.
    pub(crate) fn read(&self, key: &KeyFile) -> Result<Table, VaultError> {
        SealedTable::open_with(&self.vault().join("churn"), key)?.read(&Scan::default())
    }

    pub(crate) fn data_files(&self) -> Vec<PathBuf> {
        files(&self.vault())
            .into_iter()
            .filter(|path| path.extension().is_some_and(|end| end == "parquet"))
            .collect()
    }
}

/// Rows of two numbers and two texts, with holes.
pub(crate) fn table(rows: usize) -> Table {
    let row = |row: usize| {
        let missing = row % 4 == 1;
        let age = if missing {
            String::new()
        } else {
            (20 + row % 60).to_string()
        };
        let plan = ["gold", "silver", "", "basic"][row % 4];
        format!("{row}.5,{age},{plan},n{}\n", row % 7)
    };
    let text: String = std::iter::once("spend,age,plan,name\n".to_owned())
        .chain((0..rows).map(row))
        .collect();
    Table::from_csv_bytes("churn.csv", text.as_bytes(), &ReadOptions::default()).unwrap()
}

/// All files below a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
