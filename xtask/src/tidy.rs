//! Tidy: what a reviewer would otherwise have to look for in every change, as one test.
//!
//! [`Tree::read`] is the only part that touches files, `edges::read` the only one that asks cargo; every
//! check is a function from what they read to [`Finding`]s, so that each has a failing twin in memory.

mod commands;
mod documents;
mod edges;
pub(crate) mod guide;
mod leftovers;
mod links;
mod machine;
mod manifest;
mod markdown;
mod modules;
mod rules;
mod size;
mod source;
mod sources;
mod translations;
mod tree;

use std::fmt;
use std::path::Path;

pub use tree::Tree;

/// One thing that is wrong: where, what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path relative to the repository root, with `/`.
    pub path: String,
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub fix: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
            fix: fix.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}:{}: {}; {}",
            self.path, self.line, self.what, self.fix
        )
    }
}

/// Everything tidy found, and how large functions and files are.
#[derive(Debug)]
pub struct Report {
    /// What is wrong, sorted by place; empty in a tidy repository.
    pub findings: Vec<Finding>,
    /// Measures of the code.
    pub sizes: size::Sizes,
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(out, "{finding}")?;
        }
        writeln!(out, "{}", self.sizes)?;
        match self.findings.len() {
            0 => writeln!(out, "tidy: nothing to do"),
            n => writeln!(out, "tidy: {n} finding(s)"),
        }
    }
}

/// Runs every check on the repository at `root`.
///
/// # Errors
/// When the tree cannot be read or `cargo metadata` does not answer.
pub fn check(root: &Path) -> anyhow::Result<Report> {
    let tree = Tree::read(root)?;
    let mut findings = edges::check(&edges::read(root)?);
    findings.extend(check_tree(&tree));
    findings.sort();
    findings.dedup();
    Ok(Report {
        findings,
        sizes: size::measure(&tree),
    })
}

/// Runs every check that needs nothing but the files.
#[must_use]
pub fn check_tree(tree: &Tree) -> Vec<Finding> {
    let checks: [fn(&Tree) -> Vec<Finding>; 13] = [
        commands::check,
        documents::check,
        edges::check_sources,
        guide::check,
        leftovers::check,
        links::check,
        machine::check,
        manifest::check,
        modules::check,
        rules::check,
        size::check,
        sources::check,
        translations::check,
    ];
    checks.iter().flat_map(|check| check(tree)).collect()
}
