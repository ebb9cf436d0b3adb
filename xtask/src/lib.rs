//! The habits of this repository as functions: what `cargo xtask` and the test `tidy` run.

pub mod show;
pub mod site;
pub mod tidy;

/// Every verb of `cargo xtask` and what it does; documents may cite these and no others.
pub const VERBS: &[(&str, &str)] = &[
    ("help", "print this list"),
    (
        "show",
        "write a document from what the programs do: crash-matrix",
    ),
    (
        "site",
        "build docs/ as a web site in target/guide (or --out DIR) and check its pages and links",
    ),
    (
        "tidy",
        "check crate edges, leftovers, sizes, dead files, data hashes and everything the documents cite",
    ),
];

/// The repository this crate was compiled in.
#[must_use]
pub fn repository_root() -> std::path::PathBuf {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
