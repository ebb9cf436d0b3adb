//! What must hold of a built site, as a function of its files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Site;
use super::html::{Piece, attribute, pieces};
use crate::tidy::guide;

/// Letters and digits that a page has at least, beside its headings.
const LEAST: usize = 100;

/// What checking a site gave.
#[derive(Debug)]
pub struct Checked {
    /// Pages of the summary that were looked at.
    pub pages: usize,
    /// Links within the site that were followed.
    pub links: usize,
    /// Where, and what is wrong; empty in a sound site.
    pub findings: Vec<String>,
}

impl fmt::Display for Checked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(out, "{finding}")?;
        }
        let (pages, links) = (self.pages, self.links);
        let found = self.findings.len();
        writeln!(out, "{pages} pages, {links} links: {found} finding(s)")
    }
}

/// Checks all pages, against the text of `SUMMARY.md` and each other.
pub(super) fn check(site: &Site, summary: &str) -> Checked {
    let listed: Vec<String> = guide::listed(summary)
        .iter()
        .filter_map(|(_, page)| built_from(page))
        .collect();
    let mut findings: Vec<String> = listed
        .iter()
        .filter_map(|page| check_page(site, page))
        .collect();
    let anchors: BTreeMap<&str, BTreeSet<String>> = site
        .pages()
        .map(|(page, text)| (page, anchors(text)))
        .collect();
    let mut links = 0;
    for (page, text) in site.pages() {
        for target in targets(text).filter(|target| is_within(target)) {
            links += 1;
            let wrong = check_link(site, &anchors, page, &target);
            findings.extend(wrong.map(|wrong| format!("{page}: the link to {target} {wrong}")));
        }
    }
    Checked {
        pages: listed.len(),
        links,
        findings,
    }
}

/// The page that mdBook makes of a file below `docs/`.
fn built_from(file: &str) -> Option<String> {
    let page = file.strip_prefix("docs/")?.strip_suffix(".md")?;
    Some(format!("{page}.html"))
}

/// What is wrong with a page that the summary lists.
fn check_page(site: &Site, page: &str) -> Option<String> {
    let Some(text) = site.page(page) else {
        return Some(format!("{page} is not there"));
    };
    let said = said(text);
    (said < LEAST).then(|| format!("{page} says nothing: {said} letters and digits"))
}

/// Letters and digits of a page's own text, without headings and what stands around every page.
fn said(page: &str) -> usize {
    let (mut main, mut heading) = (false, false);
    let mut count = 0;
    for piece in pieces(page) {
        match piece {
            Piece::Open("main", _) => main = true,
            Piece::Close("main") => main = false,
            Piece::Open("h1" | "h2" | "h3" | "h4" | "h5" | "h6", _) => heading = true,
            Piece::Close("h1" | "h2" | "h3" | "h4" | "h5" | "h6") => heading = false,
            Piece::Text(text) if main && !heading => {
                count += text.chars().filter(|c| c.is_alphanumeric()).count();
            }
            _ => {}
        }
    }
    count
}

fn anchors(page: &str) -> BTreeSet<String> {
    let pieces = pieces(page).into_iter();
    pieces
        .filter_map(|piece| match piece {
            Piece::Open(_, attributes) => attribute(attributes, "id"),
            _ => None,
        })
        .collect()
}

/// What a page links to, shows and loads.
fn targets(page: &str) -> impl Iterator<Item = String> {
    let pieces = pieces(page).into_iter();
    pieces.filter_map(|piece| match piece {
        Piece::Open("base", _) => None,
        Piece::Open(_, attributes) => {
            attribute(attributes, "href").or_else(|| attribute(attributes, "src"))
        }
        _ => None,
    })
}

/// Whether a target claims to lie in the site: it names no scheme.
fn is_within(target: &str) -> bool {
    let scheme = target.split_once(':').map(|(scheme, _)| scheme);
    scheme.is_none_or(|scheme| scheme.contains(['/', '#', '?', '.']))
}

/// What is wrong with one link.
fn check_link(
    site: &Site,
    anchors: &BTreeMap<&str, BTreeSet<String>>,
    page: &str,
    target: &str,
) -> Option<String> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    if file.starts_with('/') {
        return Some("begins at the server's root; a site lies anywhere".to_owned());
    }
    let file = if file.is_empty() {
        page.to_owned()
    } else {
        let Some(file) = beside(page, file) else {
            return Some("leaves the site".to_owned());
        };
        file
    };
    if !site.has(&file) {
        return Some(format!("leads nowhere: there is no {file}"));
    }
    let known = anchors.get(file.as_str());
    let known = anchor.is_empty() || known.is_some_and(|known| known.contains(anchor));
    (!known).then(|| format!("leads nowhere: {file} has no #{anchor}"))
}

/// A file relative to a page; `None` above the site's root.
fn beside(page: &str, file: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "- [A](a.md)\n- [More]()\n  - [B](deep/b.md)\n";

    fn page(body: &str) -> String {
        let words = "words that say something. ".repeat(6);
        format!("<title>t</title><main><h1 id=\"top\">Top</h1>{words}{body}</main>")
    }

    /// What is found when the page `a.html` has this body.
    fn found(body: &str) -> Vec<String> {
        let (a, b) = (page(body), page("<a href=\"../a.html#top\">a</a>"));
        let site = Site::of(&[("a.html", &a), ("deep/b.html", &b), ("deep/c.css", "")]);
        let checked = check(&site, SUMMARY);
        assert_eq!(checked.pages, 2);
        checked.findings
    }

    #[test]
    fn a_sound_site_passes() {
        let body = "<a href=\"deep/b.html#top\">b</a> <a href=\"#top\">up</a> <link href=\"deep/c.css\">\
            <a href=\"https://example.org/x\">web</a> <a href=\"mailto:a@example.org\">mail</a>\
            <pre>&lt;a href=\"no.html\"&gt;</pre>";
        assert_eq!(found(body), [""; 0]);
    }

    #[test]
    fn what_leads_nowhere_is_found() {
        for (link, what) in [
            ("c.html", "there is no c.html"),
            ("b.html", "there is no b.html"),
            ("deep/b.html#bottom", "has no #bottom"),
            ("#bottom", "a.html has no #bottom"),
            ("../a.html", "leaves the site"),
            ("/a.html", "server's root"),
            ("deep/b.md", "there is no deep/b.md"),
        ] {
            let findings = found(&format!("<a class=\"x\" href=\"{link}\">l</a>"));
            assert_eq!(findings.len(), 1, "{link}: {findings:?}");
            assert!(findings.concat().contains(what), "{findings:?}");
        }
        assert_eq!(found("<img src=\"a.png\">").len(), 1);
    }

    #[test]
    fn pages_that_are_missing_or_empty_are_found() {
        let words = "words around the page. ".repeat(9);
        let hollow = format!("<nav>{words}</nav><main><h1>{words}</h1></main>");
        let checked = check(&Site::of(&[("a.html", &hollow)]), SUMMARY);
        let text = checked.findings.join("\n");
        assert!(text.contains("a.html says nothing: 0 letters"), "{text}");
        assert!(text.contains("deep/b.html is not there"), "{text}");
    }
}
