//! Crate manifests: folder name is crate name, workspace lints hold, the workspace's own facts are inherited.

use toml_edit::{DocumentMut, Item};

use super::{Finding, Tree};

/// The one crate that may allow `unsafe` where it says why: the bindings, which take pointers from Python.
const BINDINGS: &str = "lepton-python";

/// Checks every crate's `Cargo.toml`.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.crates()
        .flat_map(|folder| check_crate(tree, folder))
        .collect()
}

fn check_crate(tree: &Tree, folder: &str) -> Vec<Finding> {
    let path = format!("{folder}/Cargo.toml");
    let text = tree.text(&path).unwrap_or_default();
    let manifest = match text.parse::<DocumentMut>() {
        Ok(manifest) => manifest,
        Err(error) => {
            return vec![Finding::new(
                &path,
                1,
                format!("not TOML: {error}"),
                "correct it",
            )];
        }
    };
    let mut findings = Vec::new();
    let name = field(&manifest, "package", "name")
        .and_then(Item::as_str)
        .unwrap_or_default();
    if folder.rsplit('/').next() != Some(name) {
        let what = format!("crate {name} lies in folder {folder}");
        findings.push(Finding::new(
            &path,
            1,
            what,
            "give folder and crate one name",
        ));
    }
    let own = name == BINDINGS && lints_but_for_unsafe(tree, &manifest);
    if !own && field(&manifest, "lints", "workspace").and_then(Item::as_bool) != Some(true) {
        let fix = "add `[lints]` with `workspace = true`";
        findings.push(Finding::new(
            &path,
            1,
            "the workspace's lints do not hold here",
            fix,
        ));
    }
    for key in ["version", "edition", "rust-version", "license", "publish"] {
        let inherited = field(&manifest, "package", key).and_then(|item| item.get("workspace"));
        if inherited.and_then(Item::as_bool) != Some(true) {
            let what = format!("`{key}` is not the workspace's");
            findings.push(Finding::new(
                &path,
                1,
                what,
                format!("write `{key}.workspace = true`"),
            ));
        }
    }
    findings
}

/// Whether the manifest repeats the workspace's lints, with `unsafe_code` denied where they forbid it.
fn lints_but_for_unsafe(tree: &Tree, manifest: &DocumentMut) -> bool {
    let text = tree.text("Cargo.toml").unwrap_or_default();
    let workspace = text.parse::<DocumentMut>().unwrap_or_default();
    let mut wanted = lints(field(&workspace, "workspace", "lints"));
    for (name, level) in &mut wanted {
        if name == "rust.unsafe_code" {
            "deny".clone_into(level);
        }
    }
    !wanted.is_empty() && lints(manifest.get("lints")) == wanted
}

/// Names with groups, and levels, sorted.
fn lints(of: Option<&Item>) -> Vec<(String, String)> {
    let groups = of.and_then(Item::as_table_like).into_iter();
    let groups = groups.flat_map(|groups| groups.iter());
    let mut found: Vec<_> = groups
        .flat_map(|(group, lints)| {
            let lints = lints.as_table_like().into_iter();
            let lints = lints.flat_map(|lints| lints.iter());
            lints.map(move |(name, level)| {
                let level = level.as_str().unwrap_or_default();
                (format!("{group}.{name}"), level.to_owned())
            })
        })
        .collect();
    found.sort();
    found
}

fn field<'a>(manifest: &'a DocumentMut, table: &str, key: &str) -> Option<&'a Item> {
    manifest.get(table).and_then(|table| table.get(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"lepton-dp\"\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n[lints]\nworkspace = true\n";

    #[test]
    fn a_good_manifest_passes() {
        assert_eq!(
            check(&Tree::of([("crates/lepton-dp/Cargo.toml", GOOD)])),
            []
        );
    }

    #[test]
    fn another_name_or_missing_lints_are_found() {
        let renamed = Tree::of([("crates/dp/Cargo.toml", GOOD)]);
        let unlinted = Tree::of([(
            "crates/lepton-dp/Cargo.toml",
            GOOD.split("[lints]").next().unwrap(),
        )]);
        let pinned = GOOD.replace("edition.workspace = true", "edition = \"2021\"");
        let pinned = Tree::of([("crates/lepton-dp/Cargo.toml", &pinned)]);
        for tree in [renamed, unlinted, pinned] {
            assert_eq!(check(&tree).len(), 1);
        }
    }

    #[test]
    fn the_bindings_alone_repeat_the_lints_and_deny_unsafe() {
        let workspace =
            "[workspace.lints.rust]\nunsafe_code = \"forbid\"\nmissing_docs = \"deny\"\n";
        let package = GOOD.split("[lints]").next().unwrap();
        let package = package.replace("lepton-dp", BINDINGS);
        let found = |folder: &str, lints: &str| {
            let text = format!("{package}{lints}").replace(BINDINGS, folder);
            let path = format!("crates/{folder}/Cargo.toml");
            let tree = Tree::of([("Cargo.toml", workspace), (path.as_str(), text.as_str())]);
            check(&tree).len()
        };
        let lints = "[lints.rust]\nmissing_docs = \"deny\"\nunsafe_code = \"deny\"\n";
        assert_eq!(found(BINDINGS, lints), 0);
        assert_eq!(found("lepton-dp", lints), 1);
        for weaker in ["missing_docs = \"deny\"\n", "unsafe_code = \"deny\"\n"] {
            assert_eq!(found(BINDINGS, &lints.replace(weaker, "")), 1);
        }
        assert_eq!(found(BINDINGS, &lints.replace("\"deny\"", "\"allow\"")), 1);
    }
}
