//! Every page below `docs/` has its place in the guide, once.

use super::links::beside;
use super::markdown::{Piece, pieces};
use super::{Finding, Tree};

const SUMMARY: &str = "docs/SUMMARY.md";

/// Checks the table of contents against the pages; that its links lead somewhere is held with all other links.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let listed = listed(tree.text(SUMMARY).unwrap_or_default());
    let pages = tree.texts(".md").map(|(path, _)| path);
    let pages = pages.filter(|path| path.starts_with("docs/") && *path != SUMMARY);
    let mut findings = Vec::new();
    for page in pages {
        let mut places = listed.iter().filter(|(_, path)| path == page);
        if places.next().is_none() {
            let what = format!("not listed in {SUMMARY}");
            findings.push(Finding::new(page, 1, what, "give it a line there"));
        }
        findings.extend(places.map(|(line, path)| {
            let what = format!("{path} is listed twice");
            Finding::new(SUMMARY, *line, what, "list it once")
        }));
    }
    findings
}

/// The pages that the table of contents lists, from the root, with their lines.
pub(crate) fn listed(contents: &str) -> Vec<(usize, String)> {
    let pieces = pieces(contents).into_iter();
    pieces
        .filter_map(|(line, piece)| match piece {
            Piece::Link(target) if !target.is_empty() => Some((line, beside(SUMMARY, target))),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_without_a_place_or_with_two_are_found() {
        let contents =
            "- [Jobs](job.md)\n- [More]()\n  - [Sums](protocols/sum.md)\n- [Again](job.md)\n";
        let mut tree = Tree::of([
            (SUMMARY, contents),
            ("docs/job.md", ""),
            ("docs/protocols/sum.md", ""),
            ("README.md", ""),
        ]);
        let found = |tree: &Tree| -> Vec<_> {
            let findings = check(tree).into_iter();
            findings.map(|f| (f.path, f.line)).collect()
        };
        assert_eq!(found(&tree), [(SUMMARY.to_owned(), 4)]);
        tree.insert(SUMMARY, "- [Jobs](job.md)\n");
        assert_eq!(found(&tree), [("docs/protocols/sum.md".to_owned(), 1)]);
    }
}
