//! The documentation as a web site: mdBook makes it of `docs/`, and its pages are held against each other.

#![expect(
    clippy::disallowed_methods,
    reason = "a site is a folder of files, read here and nowhere else"
)]

mod check;
mod html;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use mdbook_driver::MDBook;
use mdbook_driver::config::Config;

pub use check::Checked;

/// What every site has, and few other folders do.
const MARK: &str = "toc.html";

/// Where a site goes if nobody says otherwise; what `docs/book.toml` says to mdBook's own command too.
#[must_use]
pub fn usual_place(root: &Path) -> PathBuf {
    root.join("target").join("guide")
}

/// Builds the site of `root/docs` in the folder `out`, whose former content goes.
///
/// # Errors
/// When `out` holds something that is no site, when a page of the summary does not exist, or when mdBook cannot read or write.
pub fn build(root: &Path, out: &Path) -> anyhow::Result<()> {
    let content = out.read_dir().ok().and_then(|mut files| files.next());
    ensure!(
        content.is_none() || out.join(MARK).is_file(),
        "{} holds other files, which would be removed; name an empty folder or a site",
        out.display()
    );
    let docs = root.join("docs");
    let mut config = Config::from_disk(docs.join("book.toml"))?;
    config.build.build_dir = std::path::absolute(out)?;
    MDBook::load_with_config(docs, config)?.build()
}

/// Checks the site in the folder `out`, built of `root/docs`: every page of the summary is there and says something, and every
/// link and anchor leads somewhere within the site.
///
/// # Errors
/// When a file cannot be read.
pub fn check(root: &Path, out: &Path) -> anyhow::Result<Checked> {
    let summary = root.join("docs").join("SUMMARY.md");
    let summary = std::fs::read_to_string(&summary)
        .with_context(|| format!("reading {}", summary.display()))?;
    let mut site = Site::default();
    site.read(out, "")?;
    Ok(check::check(&site, &summary))
}

/// The files of a site by path (with `/`); only pages have their text here.
#[derive(Debug, Default, Clone)]
pub(crate) struct Site(BTreeMap<String, Option<String>>);

impl Site {
    fn read(&mut self, root: &Path, folder: &str) -> anyhow::Result<()> {
        let path = root.join(folder);
        let entries = path
            .read_dir()
            .with_context(|| format!("reading {}", path.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let path = format!("{folder}{}", name.to_string_lossy());
            if entry.file_type()?.is_dir() {
                self.read(root, &format!("{path}/"))?;
            } else {
                let text = path
                    .ends_with(".html")
                    .then(|| std::fs::read_to_string(entry.path()));
                let text = text.transpose();
                self.0.insert(
                    path.clone(),
                    text.with_context(|| format!("reading {path}"))?,
                );
            }
        }
        Ok(())
    }

    /// Whether there is such a file.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// The text of a page.
    pub(crate) fn page(&self, path: &str) -> Option<&str> {
        self.0.get(path)?.as_deref()
    }

    /// All pages with their texts.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (&str, &str)> {
        let pages = self.0.iter();
        pages.filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let text = |path: &str, text: &str| path.ends_with(".html").then(|| text.to_owned());
        let files = files.iter();
        Self(
            files
                .map(|(path, content)| ((*path).to_owned(), text(path, content)))
                .collect(),
        )
    }
}
