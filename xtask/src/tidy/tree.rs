//! The repository's files, read once.

#![expect(
    clippy::disallowed_methods,
    reason = "tidy's one place that touches files"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;

/// Folders that hold products of a build or a run, wherever they lie.
const PRODUCTS: [&str; 10] = [
    "target",
    "runs",
    ".git",
    ".venv",
    ".tools",
    "__pycache__",
    ".pytest_cache",
    "node_modules",
    ".idea",
    ".vscode",
];

/// All files of a repository by path relative to its root (with `/`).
#[derive(Debug, Default, Clone)]
pub struct Tree {
    files: BTreeMap<String, Vec<u8>>,
    folders: BTreeSet<String>,
    executable: BTreeSet<String>,
}

impl Tree {
    /// Reads everything below `root` but the products of builds and runs.
    ///
    /// # Errors
    /// When a folder or file cannot be read.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    /// Reads one file of the repository as text.
    pub(crate) fn read_one(root: &Path, path: &str) -> anyhow::Result<String> {
        std::fs::read_to_string(root.join(path)).with_context(|| format!("reading {path}"))
    }

    /// Adds (or replaces) a file.
    pub fn insert(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        let parents = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        self.folders.extend(parents.map(str::to_owned));
        self.files.insert(path.to_owned(), content.into());
    }

    /// Whether a file or folder of that path exists; `/` at the end is ignored.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty() || self.files.contains_key(path) || self.folders.contains(path)
    }

    /// Whether the file may be executed by its owner (always false where the system has no such notion).
    pub(crate) fn is_executable(&self, path: &str) -> bool {
        self.executable.contains(path)
    }

    /// The bytes of a file.
    pub(crate) fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// The text of a file, if it is UTF-8.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.bytes(path)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// Paths of all files, sorted.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Path and text of every UTF-8 file whose path ends so.
    pub(crate) fn texts<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.paths()
            .filter(move |path| path.ends_with(ending))
            .filter_map(|path| Some((path, self.text(path)?)))
    }

    /// Path and text of every Rust file of the workspace's own crates.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts(".rs")
            .filter(|(path, _)| path.starts_with("crates/") || path.starts_with("xtask/"))
    }

    /// Folders of all crates: `xtask` and those in `crates/`.
    pub(crate) fn crates(&self) -> impl Iterator<Item = &str> {
        self.paths()
            .filter_map(|path| path.strip_suffix("/Cargo.toml"))
            .filter(|folder| *folder == "xtask" || folder.starts_with("crates/"))
    }

    fn read_folder(&mut self, root: &Path, folder: &str) -> anyhow::Result<()> {
        let at = root.join(folder);
        for entry in
            std::fs::read_dir(&at).with_context(|| format!("reading folder {}", at.display()))?
        {
            let entry = entry?;
            let kind = entry.file_type()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() {
                name.clone()
            } else {
                format!("{folder}/{name}")
            };
            if kind.is_dir() && !PRODUCTS.contains(&name.as_str()) {
                self.read_folder(root, &path)?;
            } else if kind.is_file() {
                let content = std::fs::read(entry.path())
                    .with_context(|| format!("reading {}", entry.path().display()))?;
                if may_execute(&entry.metadata()?) {
                    self.executable.insert(path.clone());
                }
                self.insert(&path, content);
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn may_execute(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn may_execute(_: &std::fs::Metadata) -> bool {
    true
}

#[cfg(test)]
impl Tree {
    /// A tree made of these files.
    pub(crate) fn of<const N: usize>(files: [(&str, &str); N]) -> Self {
        let mut tree = Self::default();
        for (path, content) in files {
            tree.insert(path, content);
        }
        tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_files_and_leaves_products_out() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["docs", "target", "crates/a/src"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        for name in ["docs/a.md", "target/b.md", "crates/a/src/lib.rs"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let tree = Tree::read(folder.path()).unwrap();
        assert_eq!(
            tree.paths().collect::<Vec<_>>(),
            ["crates/a/src/lib.rs", "docs/a.md"]
        );
        assert!(tree.has("crates/a/") && tree.has("docs/a.md") && !tree.has("target"));
    }
}
