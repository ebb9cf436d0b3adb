//! Crate manifests: folder name is crate name, workspace lints hold, the workspace's own facts are inherited.

use toml_edit::{DocumentMut, Item};

use super::{Finding, Tree};

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
    if field(&manifest, "lints", "workspace").and_then(Item::as_bool) != Some(true) {
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
}
