//! Rules of the protocols (`SA-07`): each cited one is defined once, each defined one is cited by code.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Tree};

/// Checks definitions in `docs/protocols/` against citations everywhere.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let defined = definitions(tree, &mut findings);
    let prefixes: BTreeSet<&str> = defined.keys().filter_map(|id| id.get(..2)).collect();
    let mut cited = BTreeSet::new();
    for (path, text) in [".rs", ".md", ".py", ".toml"]
        .into_iter()
        .flat_map(|ending| tree.texts(ending))
    {
        for (number, id) in
            lines_with_ids(text).filter(|(_, id)| id.get(..2).is_some_and(|p| prefixes.contains(p)))
        {
            if !defined.contains_key(id) {
                let what = format!("rule {id} is not defined in docs/protocols/");
                findings.push(Finding::new(
                    path,
                    number,
                    what,
                    "define it, or cite the right one",
                ));
            }
            if path.starts_with("crates/") && path.ends_with(".rs") {
                cited.insert(id);
            }
        }
    }
    for (id, (path, line)) in defined.iter().filter(|(id, _)| !cited.contains(*id)) {
        let fix = "cite it where it is kept or tested, or drop it";
        findings.push(Finding::new(
            path,
            *line,
            format!("no code cites rule {id}"),
            fix,
        ));
    }
    findings
}

/// Where each rule is defined: a line that begins with its id, after list, heading and bold marks.
fn definitions<'a>(
    tree: &'a Tree,
    findings: &mut Vec<Finding>,
) -> BTreeMap<&'a str, (&'a str, usize)> {
    let mut defined = BTreeMap::new();
    for (path, text) in tree
        .texts(".md")
        .filter(|(path, _)| path.starts_with("docs/protocols/"))
    {
        for (line, number) in text.lines().zip(1..) {
            let body = line.trim_start_matches(['*', '-', '#', '|', '>', ' ']);
            let marked = body.len() < line.len();
            let Some(id) = ids(body).next().filter(|id| marked && body.starts_with(id)) else {
                continue;
            };
            if let Some((other, at)) = defined.insert(id, (path, number)) {
                let what = format!("rule {id} is defined at {other}:{at} too");
                findings.push(Finding::new(
                    path,
                    number,
                    what,
                    "give one of them another number",
                ));
            }
        }
    }
    defined
}

fn lines_with_ids(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .zip(1..)
        .flat_map(|(line, number)| ids(line).map(move |id| (number, id)))
}

/// Words of the shape `AA-00`.
fn ids(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_')))
        .filter(|word| {
            let mut chars = word.chars();
            let upper = chars.by_ref().take(2).all(|c| c.is_ascii_uppercase());
            upper
                && chars.next() == Some('-')
                && word.len() == 5
                && chars.all(|c| c.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "* **SA-01 (one).** Text.\n* **SA-02 (two).** As in SA-01.\n";

    #[test]
    fn defined_and_cited_rules_pass_and_other_words_do_not_count() {
        let code = "// SA-01, SA-02; not ours: ZZ-99, SA-1, XSA-01";
        assert_eq!(
            check(&Tree::of([
                ("docs/protocols/a.md", RULES),
                ("crates/a/src/lib.rs", code)
            ])),
            []
        );
    }

    #[test]
    fn undefined_uncited_and_doubled_rules_are_found() {
        let undefined = [
            ("docs/protocols/a.md", RULES),
            ("crates/a/src/lib.rs", "// SA-01 SA-02\n// SA-03"),
        ];
        assert_eq!(
            check(&Tree::of(undefined))
                .first()
                .map(|finding| finding.line),
            Some(2)
        );
        let uncited = [
            ("docs/protocols/a.md", RULES),
            ("crates/a/src/lib.rs", "// SA-01"),
            ("x.md", "SA-02"),
        ];
        assert_eq!(
            check(&Tree::of(uncited))
                .first()
                .map(|finding| finding.line),
            Some(2)
        );
        let doubled = [
            ("docs/protocols/a.md", RULES),
            ("docs/protocols/b.md", "## SA-01"),
            ("crates/a/src/lib.rs", "// SA-01 SA-02"),
        ];
        assert_eq!(check(&Tree::of(doubled)).len(), 1);
    }
}
