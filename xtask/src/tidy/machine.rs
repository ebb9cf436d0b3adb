//! No text names a path of the machine it was written on.

use super::{Finding, Tree};

/// First folders of absolute paths that exist on somebody's machine only.
const OWN_FOLDERS: [&str; 3] = ["root", "home", "Users"];
/// Written by tools or by others.
const FOREIGN: [&str; 2] = ["Cargo.lock", "LICENSE"];

/// Checks every text file but data.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let own = tree
        .texts("")
        .filter(|(path, _)| !FOREIGN.contains(path) && !path.ends_with(".csv"));
    own.flat_map(|(path, text)| check_text(path, text))
        .collect()
}

fn check_text(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let folders: Vec<_> = OWN_FOLDERS
        .iter()
        .map(|folder| format!("/{folder}/"))
        .collect();
    for (line, number) in text.lines().zip(1..) {
        for folder in folders.iter().filter(|folder| names_path(line, folder)) {
            let what = format!("an absolute path below {folder}");
            findings.push(Finding::new(
                path,
                number,
                what,
                "use a path relative to the repository",
            ));
        }
    }
    findings
}

/// Whether the folder occurs at the start of a path rather than inside of one.
fn names_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        !before.is_some_and(|c| {
            c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '}' | ')' | '*')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_paths_are_found_and_others_are_not() {
        let folder = format!("cd /{}/x", "home");
        let text =
            format!("{folder}\nsee a/home/b, ~/home/c, $HOME/x and https://example.org/home/d\n");
        let findings = check(&Tree::of([("docs/a.md", &text), ("Cargo.lock", &text)]));
        assert_eq!(
            findings
                .iter()
                .map(|finding| finding.line)
                .collect::<Vec<_>>(),
            [1]
        );
    }
}
