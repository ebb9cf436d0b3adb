//! Functions fit the screen, files fit the head.

use std::fmt;

use super::source::{line_of, split, words};
use super::{Finding, Tree};

/// Most lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;
/// Most lines of a file below a `src` folder.
const FILE_LINES: usize = 600;

/// A function or file that may be longer, and why. (path, function or "" for the file, reason)
const ALLOWED: &[(&str, &str, &str)] = &[];

/// How large functions and files are, in lines.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Sizes {
    functions: Vec<usize>,
    files: Vec<usize>,
}

impl fmt::Display for Sizes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let long = self
            .functions
            .iter()
            .filter(|lines| **lines > FUNCTION_LINES)
            .count();
        write!(
            out,
            "functions: {}, median {}, p95 {}, over {FUNCTION_LINES} lines: {long}; files: {}, median {}, p95 {}",
            self.functions.len(),
            percentile(&self.functions, 50),
            percentile(&self.functions, 95),
            self.files.len(),
            percentile(&self.files, 50),
            percentile(&self.files, 95),
        )
    }
}

/// Measures all Rust code of the workspace.
pub(crate) fn measure(tree: &Tree) -> Sizes {
    let mut sizes = Sizes::default();
    for (path, text) in tree.rust() {
        sizes
            .functions
            .extend(functions(text).iter().map(|function| function.lines));
        if path.contains("/src/") {
            sizes.files.push(text.lines().count());
        }
    }
    sizes.functions.sort_unstable();
    sizes.files.sort_unstable();
    sizes
}

/// Checks every function and file against its limit.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    check_with(tree, ALLOWED)
}

fn check_with(tree: &Tree, allowed: &[(&str, &str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used = vec![false; allowed.len()];
    let mut permit = |path: &str, name: &str| {
        let found = allowed
            .iter()
            .position(|entry| (entry.0, entry.1) == (path, name));
        found
            .and_then(|at| used.get_mut(at))
            .map(|entry| *entry = true)
            .is_some()
    };
    for (path, text) in tree.rust() {
        let lines = text.lines().count();
        if path.contains("/src/") && lines > FILE_LINES && !permit(path, "") {
            let what = format!("{lines} lines, more than {FILE_LINES}");
            findings.push(Finding::new(path, 1, what, "split it by subject"));
        }
        for function in functions(text) {
            if function.lines > FUNCTION_LINES && !permit(path, &function.name) {
                let what = format!(
                    "fn {} has {} lines, more than {FUNCTION_LINES}",
                    function.name, function.lines
                );
                findings.push(Finding::new(
                    path,
                    function.line,
                    what,
                    "split it into named steps",
                ));
            }
        }
    }
    for (entry, _) in allowed.iter().zip(&used).filter(|(_, used)| !**used) {
        let what = format!("the allowance for {} {} is not needed", entry.0, entry.1);
        findings.push(Finding::new("xtask/src/tidy/size.rs", 1, what, "remove it"));
    }
    findings
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// All functions with a body, nested ones too.
fn functions(text: &str) -> Vec<Function> {
    let code = split(text).code;
    let mut found = Vec::new();
    let mut words = words(&code).peekable();
    while let Some((at, word)) = words.next() {
        let Some((name_at, name)) = words.peek().filter(|_| word == "fn").copied() else {
            continue;
        };
        let between = code.get(at + 2..name_at).unwrap_or("(");
        if !between.trim().is_empty() {
            continue; // a function type
        }
        if let Some(end) = body_end(code.get(name_at..).unwrap_or_default()) {
            let (line, last) = (line_of(&code, at), line_of(&code, name_at + end));
            found.push(Function {
                name: name.to_owned(),
                line,
                lines: last - line + 1,
            });
        }
    }
    found
}

/// Offset of the brace that closes the first body in a text that starts at a function's name; none for a
/// declaration.
fn body_end(text: &str) -> Option<usize> {
    let (mut nesting, mut braces) = (0_usize, 0_usize);
    for (at, c) in text.bytes().enumerate() {
        match c {
            b'(' | b'[' => nesting += 1,
            b')' | b']' => nesting = nesting.saturating_sub(1),
            b';' if nesting == 0 && braces == 0 => return None,
            b'{' => braces += 1,
            b'}' if braces == 1 => return Some(at),
            b'}' => braces = braces.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn percentile(sorted: &[usize], percent: usize) -> usize {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function_of(lines: usize) -> String {
        format!(
            "fn long(a: [u8; 3]) {{\n{}}}\n",
            "    f(\"}\");\n".repeat(lines - 2)
        )
    }

    #[test]
    fn functions_are_measured_with_their_braces() {
        let text = "trait T { fn a(&self); fn b(&self) -> u8 { 1 } }\nfn c(f: fn(u8)) {\n    fn d() {}\n}\n";
        let found: Vec<_> = functions(text)
            .into_iter()
            .map(|f| (f.name, f.line, f.lines))
            .collect();
        let own = |name: &str, line, lines| (name.to_owned(), line, lines);
        assert_eq!(found, [own("b", 1, 1), own("c", 2, 3), own("d", 3, 1)]);
    }

    #[test]
    fn long_functions_and_files_are_found() {
        let of = |text: &str| check_with(&Tree::of([("crates/a/src/lib.rs", text)]), &[]).len();
        assert_eq!(of(&function_of(70)), 0);
        assert_eq!(of(&function_of(71)), 1);
        assert_eq!(of(&"\n".repeat(600)), 0);
        assert_eq!(of(&"\n".repeat(601)), 1);
    }

    #[test]
    fn an_allowance_holds_and_an_unused_one_is_found() {
        let allowed = [("crates/a/src/lib.rs", "long", "one table")];
        let with = |lines| {
            check_with(
                &Tree::of([("crates/a/src/lib.rs", &function_of(lines))]),
                &allowed,
            )
        };
        assert_eq!(with(71), []);
        assert_eq!(with(70).len(), 1);
    }

    #[test]
    fn percentiles_are_of_the_sorted_list() {
        let list: Vec<usize> = (1..=100).collect();
        assert_eq!(
            (
                percentile(&list, 50),
                percentile(&list, 95),
                percentile(&[], 95)
            ),
            (50, 95, 0)
        );
    }
}
