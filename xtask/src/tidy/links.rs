//! Every path and link in the documents leads somewhere.

use super::markdown::{Piece, pieces};
use super::{Finding, Tree};

/// What a repository path begins with.
const TOPS: [&str; 11] = [
    "crates/",
    "docs/",
    "examples/",
    "data/",
    "scripts/",
    "xtask/",
    "tests/",
    ".ci/",
    ".cargo/",
    "./test",
    "./.ci/",
];

/// Checks every Markdown file.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.texts(".md")
        .flat_map(|(path, text)| check_document(tree, path, text))
        .collect()
}

fn check_document(tree: &Tree, path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, piece) in pieces(text) {
        match piece {
            Piece::Link(target) => findings.extend(check_link(tree, path, line, target)),
            Piece::Code(code) => {
                for cited in code.split_whitespace().flat_map(cited_paths) {
                    if !exists(tree, path, &cited) {
                        let what = format!("`{cited}` does not exist");
                        findings.push(Finding::new(path, line, what, "cite the path as it is now"));
                    }
                }
            }
        }
    }
    findings
}

fn check_link(tree: &Tree, path: &str, line: usize, target: &str) -> Option<Finding> {
    let target = target.split_whitespace().next().unwrap_or_default();
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = if file.is_empty() {
        path.to_owned()
    } else {
        beside(path, file)
    };
    if !tree.has(&file) {
        let what = format!("the link to {target} leads nowhere");
        return Some(Finding::new(
            path,
            line,
            what,
            "link to the file as it is now",
        ));
    }
    let text = tree
        .text(&file)
        .filter(|_| file.ends_with(".md") && !anchor.is_empty())?;
    let known = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .any(|heading| slug(heading) == anchor);
    let what = format!("{file} has no heading for #{anchor}");
    (!known).then(|| Finding::new(path, line, what, "link to a heading that exists"))
}

/// The paths in one word of a command or code span; none if it does not look like one.
fn cited_paths(word: &str) -> Vec<String> {
    let word = word
        .trim_start_matches(['"', '\'', '(', '['])
        .trim_end_matches(['"', '\'', ')', ']', ',', ';', ':', '.']);
    let word = word.split(['#', ':']).next().unwrap_or_default();
    let is_path = TOPS.iter().any(|top| word.starts_with(top));
    if !is_path || word.contains("/runs/") || word.contains(['*', '<', '$', '…', '=', '?', '|']) {
        return Vec::new();
    }
    match word
        .split_once('{')
        .and_then(|(head, rest)| Some((head, rest.split_once('}')?)))
    {
        Some((head, (choices, tail))) => choices
            .split(',')
            .map(|choice| format!("{head}{choice}{tail}"))
            .collect(),
        None => vec![word.to_owned()],
    }
}

/// Whether a cited path exists, seen from the root, the document's folder, or the document's crate.
fn exists(tree: &Tree, document: &str, cited: &str) -> bool {
    let cited = cited.trim_start_matches("./");
    tree.has(cited) || tree.has(&beside(document, cited))
}

/// A path relative to a document, from the root.
pub(crate) fn beside(document: &str, target: &str) -> String {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// A heading's anchor as code hosts make it.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(document: &str) -> Vec<usize> {
        let tree = Tree::of([
            ("docs/a.md", document),
            ("docs/b.md", "# The title, twice"),
            ("examples/churn/job.toml", ""),
            ("examples/digits/job.toml", ""),
            ("test", ""),
        ]);
        check(&tree).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn what_exists_passes() {
        let good = "[b](b.md) [b](b.md#the-title-twice) [web](https://example.org/x)\n\
            `examples/{churn,digits}/job.toml` `examples/*/job.toml` `examples/churn/runs/x` `b.md`\n\
            ```sh\nlepton run examples/churn/job.toml --set a=1\n./test\n```\n";
        assert_eq!(found(good), [0; 0]);
    }

    #[test]
    fn what_does_not_exist_is_found() {
        assert_eq!(found("\n[c](c.md)"), [2]);
        assert_eq!(found("[b](b.md#another)"), [1]);
        assert_eq!(found("`docs/c.md:12`"), [1]);
        assert_eq!(found("`examples/{churn,credit}/job.toml`"), [1]);
        assert_eq!(
            found("```sh\n$ lepton run examples/credit/job.toml\n```"),
            [2]
        );
    }
}
