//! No dead files: every source is reached by a `mod` line from a crate root.

use std::collections::BTreeSet;

use super::source::{split, words};
use super::{Finding, Tree};

/// Checks every file below a crate's `src`.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut alive = BTreeSet::new();
    for folder in tree.crates() {
        for (path, _) in tree.rust().filter(|(path, _)| is_root(path, folder)) {
            visit(tree, path, &mut alive);
        }
    }
    let sources = tree
        .rust()
        .map(|(path, _)| path)
        .filter(|path| path.contains("/src/"));
    let dead = sources.filter(|path| !alive.contains(*path));
    dead.map(|path| {
        Finding::new(
            path,
            1,
            "no `mod` line leads here",
            "declare it, or delete it",
        )
    })
    .collect()
}

fn is_root(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .and_then(|rest| rest.strip_prefix("/src/"))
        .is_some_and(|rest| {
            let bin = rest
                .strip_prefix("bin/")
                .is_some_and(|bin| !bin.contains('/') || bin.ends_with("/main.rs"));
            bin || rest == "lib.rs" || rest == "main.rs"
        })
}

/// Follows the `mod` lines of a file. Modules are looked for where a plain `mod name;` looks.
fn visit(tree: &Tree, path: &str, alive: &mut BTreeSet<String>) {
    let Some(text) = tree.text(path) else { return };
    if !alive.insert(path.to_owned()) {
        return;
    }
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.trim_end_matches(".rs");
    let is_folder_file = matches!(stem, "lib" | "main" | "mod") || folder.ends_with("/bin");
    let own = if is_folder_file {
        folder.to_owned()
    } else {
        format!("{folder}/{stem}")
    };
    for name in declared(&split(text).code) {
        for candidate in [format!("{own}/{name}.rs"), format!("{own}/{name}/mod.rs")] {
            visit(tree, &candidate, alive);
        }
    }
}

/// Names in `mod name;` lines.
fn declared(code: &str) -> Vec<&str> {
    let all: Vec<_> = words(code).collect();
    let pairs = all
        .iter()
        .zip(all.iter().skip(1))
        .filter(|((_, word), _)| *word == "mod");
    let ended = pairs.map(|(_, name)| name).filter(|(at, name)| {
        code.get(at + name.len()..)
            .is_some_and(|rest| rest.trim_start().starts_with(';'))
    });
    ended.map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_files_live_and_others_are_found() {
        let tree = Tree::of([
            ("crates/a/Cargo.toml", ""),
            ("crates/a/src/lib.rs", "pub mod b;\nmod c;\n// mod dead;"),
            ("crates/a/src/b.rs", "mod d;"),
            ("crates/a/src/b/d.rs", ""),
            ("crates/a/src/c/mod.rs", "mod e;"),
            ("crates/a/src/c/e.rs", ""),
            ("crates/a/src/bin/tool.rs", ""),
            ("crates/a/src/dead.rs", ""),
            ("crates/a/src/d.rs", ""),
        ]);
        let dead: Vec<_> = check(&tree)
            .into_iter()
            .map(|finding| finding.path)
            .collect();
        assert_eq!(dead, ["crates/a/src/d.rs", "crates/a/src/dead.rs"]);
    }
}
