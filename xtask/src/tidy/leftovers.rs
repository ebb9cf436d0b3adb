//! Nothing unfinished stays behind, and libraries do not print.

use super::source::{line_of, shipped, split, words};
use super::{Finding, Tree};

const MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];
const PRINTERS: [&str; 4] = ["println", "print", "eprintln", "eprint"];
const MARKS: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];
/// Crates whose business is to print.
const FACES: [&str; 2] = ["crates/lepton/", "xtask/"];

/// Checks every source and script.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let rust = tree.rust().flat_map(|(path, text)| check_rust(path, text));
    let scripts = [".py", ".sh", ".toml", ".yml"]
        .into_iter()
        .flat_map(|ending| tree.texts(ending));
    rust.chain(scripts.flat_map(|(path, text)| marks(path, text)))
        .collect()
}

fn check_rust(path: &str, text: &str) -> Vec<Finding> {
    let parts = split(text);
    let mut findings = marks(path, &parts.comments);
    let mut find = |code: &str, names: &[&str], what: &str, fix: &str| {
        let called = words(code).filter(|(at, word)| {
            names.contains(word)
                && code
                    .get(at + word.len()..)
                    .is_some_and(|rest| rest.starts_with('!'))
        });
        findings.extend(called.map(|(at, word)| {
            Finding::new(path, line_of(code, at), format!("`{word}!` {what}"), fix)
        }));
    };
    find(
        &parts.code,
        &MACROS,
        "was left behind",
        "finish it, or return an error that says so",
    );
    if path.contains("/src/") && !FACES.iter().any(|face| path.starts_with(face)) {
        let fix = "return the text or send an event; only the command prints";
        find(shipped(&parts.code), &PRINTERS, "in a library", fix);
    }
    findings
}

fn marks(path: &str, text: &str) -> Vec<Finding> {
    let marked = words(text).filter(|(_, word)| MARKS.contains(word));
    let finding = |(at, word): (usize, &str)| {
        Finding::new(
            path,
            line_of(text, at),
            format!("`{word}` was left behind"),
            "do it, or say why it is so",
        )
    };
    marked.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of([(path, text)]))
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn leftovers_are_found_in_code_and_comments() {
        assert_eq!(
            lines(
                "crates/a/src/lib.rs",
                "fn a() { todo!() }\n// FIXME: later\nfn b() { dbg!(1); }"
            ),
            [2, 1, 3]
        );
        assert_eq!(lines("scripts/x.py", "a = 1\n# XXX"), [2]);
    }

    #[test]
    fn words_in_strings_and_names_are_no_leftovers() {
        assert_eq!(
            lines(
                "crates/a/src/lib.rs",
                "const A: &str = \"todo!() FIXME\"; fn todo() {}"
            ),
            [0; 0]
        );
    }

    #[test]
    fn libraries_do_not_print_but_the_command_and_tests_may() {
        let text = "fn a() { println!(); }\n#[cfg(test)]\nmod tests { fn b() { println!(); } }";
        assert_eq!(lines("crates/a/src/lib.rs", text), [1]);
        assert_eq!(lines("crates/lepton/src/main.rs", text), [0; 0]);
        assert_eq!(lines("crates/a/benches/x.rs", text), [0; 0]);
    }
}
