//! A translated README shows the same commands as the original.

use super::{Finding, Tree};

const ORIGINAL: &str = "README.md";

/// Checks every `README.LANGUAGE.md` against `README.md`.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let original = tree.text(ORIGINAL).unwrap_or_default();
    let translations = tree
        .texts(".md")
        .filter(|(path, _)| path.starts_with("README.") && *path != ORIGINAL);
    translations
        .flat_map(|(path, text)| check_one(path, text, original))
        .collect()
}

fn check_one(path: &str, text: &str, original: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (have, want) = (blocks(text), blocks(original));
    let differs = have.iter().zip(&want).find(|((_, a), (_, b))| a != b);
    if let Some(((line, have), (_, want))) = differs {
        let what = format!("shows `{have}` where {ORIGINAL} has `{want}`");
        findings.push(Finding::new(path, *line, what, "show the same commands"));
    } else if have.len() != want.len() {
        let what = format!(
            "{} lines of code where {ORIGINAL} has {}",
            have.len(),
            want.len()
        );
        findings.push(Finding::new(path, 1, what, "show the same commands"));
    }
    let (have, want) = (spans(text), spans(original));
    let odd = have.iter().find(|span| !want.contains(span));
    if let Some(odd) = odd.or_else(|| want.iter().find(|span| !have.contains(span))) {
        let what = format!("`{odd}` stands in only one of this and {ORIGINAL}");
        findings.push(Finding::new(path, 1, what, "name the same things"));
    }
    findings
}

/// The lines of all code blocks without their comments, with their numbers; empty ones left out.
fn blocks(text: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.starts_with("```") {
            inside = !inside;
            found.push((number, line));
        } else if inside && !code(line).is_empty() {
            found.push((number, code(line)));
        }
    }
    found
}

/// A line up to its comment.
fn code(line: &str) -> &str {
    let comment = line.match_indices('#').find(|(at, _)| {
        let before = line.get(..*at).unwrap_or_default();
        before.is_empty() || before.ends_with(char::is_whitespace)
    });
    let end = comment.map_or(line.len(), |(at, _)| at);
    line.get(..end).unwrap_or(line).trim()
}

/// The code spans of the prose.
fn spans(text: &str) -> Vec<&str> {
    let mut inside = false;
    let prose = text.lines().filter(|line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    prose
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = "Run `this`:\n```sh\n# first\nlepton run job.toml # all of it\n```\n";

    fn findings(translation: &str) -> Vec<Finding> {
        check(&Tree::of([
            ("README.md", ENGLISH),
            ("README.zh-CN.md", translation),
        ]))
    }

    #[test]
    fn comments_are_translated_and_commands_are_not() {
        let same = "运行 `this`：\n```sh\n# 首先\nlepton run job.toml # 全部\n```\n";
        assert!(findings(same).is_empty());
        for (wrong, what) in [
            (same.replace("job.toml", "jab.toml"), "jab.toml"),
            (same.replace("lepton run job.toml # 全部\n", ""), "```"),
            (same.replace("`this`", "`that`"), "that"),
            (same.replace("`this`", "这个"), "this"),
            (format!("{same}```sh\nlepton\n```\n"), "6 lines"),
        ] {
            let findings = findings(&wrong);
            assert!(findings.iter().any(|f| f.what.contains(what)), "{wrong}");
        }
    }
}
