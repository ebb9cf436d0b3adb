//! The documents and scripts that people look for are there.

use super::{Finding, Tree};

const WANTED: [&str; 19] = [
    ".ci/run",
    "ARCHITECTURE.md",
    "BENCHMARKS.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "README.zh-CN.md",
    "SECURITY.md",
    "clippy.toml",
    "deny.toml",
    "docs/decisions",
    "docs/glossary.md",
    "docs/json.md",
    "docs/protocols",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "test",
];
const SCRIPTS: [&str; 2] = [".ci/run", "test"];
/// Most lines of the map of the code.
const ARCHITECTURE_LINES: usize = 200;

/// Checks that everything wanted exists.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let missing = WANTED.iter().filter(|path| !tree.has(path));
    let mut findings: Vec<_> = missing
        .map(|path| {
            Finding::new(
                path,
                1,
                "is missing",
                "write it; CONTRIBUTING.md says what for",
            )
        })
        .collect();
    for path in SCRIPTS
        .iter()
        .filter(|path| tree.has(path) && !tree.is_executable(path))
    {
        findings.push(Finding::new(
            path,
            1,
            "cannot be executed",
            format!("chmod +x {path}"),
        ));
    }
    let lines = tree
        .text("ARCHITECTURE.md")
        .map_or(0, |text| text.lines().count());
    if lines > ARCHITECTURE_LINES {
        let what = format!("{lines} lines, more than {ARCHITECTURE_LINES}");
        findings.push(Finding::new(
            "ARCHITECTURE.md",
            1,
            what,
            "keep the map, move the detail",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_documents_plain_scripts_and_a_long_map_are_found() {
        let findings = check(&Tree::of([
            ("ARCHITECTURE.md", &"\n".repeat(201)),
            ("test", ""),
        ]));
        let has = |path: &str, what: &str| {
            findings
                .iter()
                .any(|f| f.path == path && f.what.contains(what))
        };
        assert!(
            has("README.md", "missing") && has("test", "executed") && has("ARCHITECTURE.md", "201")
        );
        assert!(!has("ARCHITECTURE.md", "missing"));
    }
}
