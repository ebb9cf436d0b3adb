//! Committed data is what `data/SOURCES.toml` says: every file listed, every hash right.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use toml_edit::{DocumentMut, Item, TableLike};

use super::{Finding, Tree};

const LIST: &str = "data/SOURCES.toml";

/// Checks the list against the files beside it.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let files: BTreeSet<_> = tree
        .paths()
        .filter(|path| path.starts_with("data/") && is_data(path))
        .collect();
    let Some(text) = tree.text(LIST) else {
        let unlisted = (!files.is_empty())
            .then(|| Finding::new(LIST, 1, "is missing", "list the data's sources"));
        return unlisted.into_iter().collect();
    };
    let document = match text.parse::<DocumentMut>() {
        Ok(document) => document,
        Err(error) => {
            return vec![Finding::new(
                LIST,
                1,
                format!("not TOML: {error}"),
                "correct it",
            )];
        }
    };
    let mut entries = Vec::new();
    collect(document.as_table(), "", &mut entries);
    let mut findings = Vec::new();
    let mut listed = BTreeSet::new();
    for entry in &entries {
        let line = text
            .lines()
            .position(|line| line.contains(&entry.sha256))
            .map_or(1, |at| at + 1);
        findings.extend(check_entry(tree, entry, line));
        listed.insert(entry.path());
    }
    for path in files.iter().filter(|path| !listed.contains(**path)) {
        findings.push(Finding::new(
            path,
            1,
            format!("is not in {LIST}"),
            "add its source, licence and sha256",
        ));
    }
    findings
}

struct Entry {
    file: String,
    sha256: String,
    complete: bool,
}

impl Entry {
    /// The file from the repository's root; the list may name it from there or from its own folder.
    fn path(&self) -> String {
        if self.file.starts_with("data/") {
            self.file.clone()
        } else {
            format!("data/{}", self.file)
        }
    }
}

fn is_data(path: &str) -> bool {
    path != LIST && !path.ends_with(".md") && !path.starts_with("data/LICENSES/")
}

fn check_entry(tree: &Tree, entry: &Entry, line: usize) -> Vec<Finding> {
    let mut findings = Vec::new();
    match tree.bytes(&entry.path()) {
        None => findings.push(Finding::new(
            LIST,
            line,
            format!("{} does not exist", entry.path()),
            "remove the entry",
        )),
        Some(bytes) if hex(&Sha256::digest(bytes)) != entry.sha256.to_lowercase() => {
            let what = format!(
                "{} has sha256 {}",
                entry.path(),
                hex(&Sha256::digest(bytes))
            );
            findings.push(Finding::new(
                LIST,
                line,
                what,
                "export the file again, or correct the hash",
            ));
        }
        Some(_) => {}
    }
    if !entry.complete {
        let what = format!("{} lacks its source or licence", entry.path());
        findings.push(Finding::new(
            LIST,
            line,
            what,
            "say where it comes from and what allows it",
        ));
    }
    findings
}

/// Every table with a `sha256`: its `file` or `path` (or else the table's own name) is the file meant.
fn collect(table: &dyn TableLike, name: &str, entries: &mut Vec<Entry>) {
    let text = |keys: &[&str]| {
        keys.iter()
            .find_map(|key| table.get(key))
            .and_then(Item::as_str)
    };
    if let Some(sha256) = text(&["sha256"]) {
        let file = text(&["file", "path"]).unwrap_or(name).to_owned();
        let complete = text(&["source", "origin", "package"]).is_some()
            && text(&["licence", "license"]).is_some();
        entries.push(Entry {
            file,
            sha256: sha256.to_owned(),
            complete,
        });
    }
    for (key, item) in table.iter() {
        if let Some(inner) = item.as_table_like() {
            collect(inner, key, entries);
        }
        for inner in item.as_array_of_tables().into_iter().flatten() {
            collect(inner, key, entries);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of "abc" (FIPS 180-4, example B.1).
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn list(file: &str, sha256: &str) -> String {
        format!(
            "[[file]]\nfile = \"{file}\"\nsource = \"s\"\nlicence = \"MIT\"\nsha256 = \"{sha256}\"\n"
        )
    }

    #[test]
    fn a_true_list_passes() {
        assert_eq!(
            check(&Tree::of([
                ("data/a.csv", "abc"),
                (LIST, &list("a.csv", ABC))
            ])),
            []
        );
        assert_eq!(check(&Tree::of([])), []);
    }

    #[test]
    fn a_changed_missing_or_unlisted_file_is_found() {
        let changed = Tree::of([("data/a.csv", "abd"), (LIST, &list("a.csv", ABC))]);
        let missing = Tree::of([(LIST, &list("data/a.csv", ABC))]);
        let unlisted = Tree::of([
            ("data/a.csv", "abc"),
            ("data/b.csv", ""),
            (LIST, &list("a.csv", ABC)),
        ]);
        let unsourced = Tree::of([
            ("data/a.csv", "abc"),
            (LIST, &list("a.csv", ABC).replace("licence", "l")),
        ]);
        for tree in [
            changed,
            missing,
            unlisted,
            unsourced,
            Tree::of([("data/a.csv", "abc")]),
        ] {
            assert_eq!(check(&tree).len(), 1, "{tree:?}");
        }
    }
}
