//! Crate edges point down only; pure crates reach nothing that has effects.

use std::collections::BTreeMap;
use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand};

use super::source::{line_of, shipped, split};
use super::{Finding, Tree};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Pure,
    Round,
    Shell,
    Beside,
    Face,
}

struct Wall {
    name: &'static str,
    layer: Layer,
    may_use: &'static [&'static str],
}

const PURE: &[&str] = &[
    "lepton-ring",
    "lepton-crypto",
    "lepton-dp",
    "lepton-secagg",
    "lepton-mpc",
    "lepton-learn",
];
const BELOW_SIM: &[&str] = &[
    "lepton-ring",
    "lepton-crypto",
    "lepton-dp",
    "lepton-secagg",
    "lepton-learn",
    "lepton-protocol",
];
const BELOW_NODE: &[&str] = &[
    "lepton-ring",
    "lepton-crypto",
    "lepton-dp",
    "lepton-secagg",
    "lepton-learn",
    "lepton-protocol",
    "lepton-table",
    "lepton-vault",
];

/// Every crate, its layer, and the crates it may use; a new crate gets its line here.
const WALLS: &[Wall] = &[
    Wall {
        name: "lepton-ring",
        layer: Layer::Pure,
        may_use: &[],
    },
    Wall {
        name: "lepton-crypto",
        layer: Layer::Pure,
        may_use: &[],
    },
    Wall {
        name: "lepton-dp",
        layer: Layer::Pure,
        may_use: &[],
    },
    Wall {
        name: "lepton-secagg",
        layer: Layer::Pure,
        may_use: &["lepton-crypto", "lepton-ring"],
    },
    Wall {
        name: "lepton-mpc",
        layer: Layer::Pure,
        may_use: &["lepton-crypto", "lepton-ring"],
    },
    Wall {
        name: "lepton-learn",
        layer: Layer::Pure,
        may_use: &["lepton-dp"],
    },
    Wall {
        name: "lepton-protocol",
        layer: Layer::Round,
        may_use: PURE,
    },
    Wall {
        name: "lepton-table",
        layer: Layer::Shell,
        may_use: &[],
    },
    Wall {
        name: "lepton-vault",
        layer: Layer::Shell,
        may_use: &["lepton-crypto", "lepton-table"],
    },
    Wall {
        name: "lepton-node",
        layer: Layer::Shell,
        may_use: BELOW_NODE,
    },
    Wall {
        name: "lepton-sim",
        layer: Layer::Beside,
        may_use: BELOW_SIM,
    },
    Wall {
        name: "lepton",
        layer: Layer::Face,
        may_use: &[
            "lepton-node",
            "lepton-protocol",
            "lepton-table",
            "lepton-vault",
            "lepton-learn",
            "lepton-dp",
        ],
    },
    Wall {
        name: "lepton-python",
        layer: Layer::Face,
        may_use: &[
            "lepton",
            "lepton-crypto",
            "lepton-dp",
            "lepton-mpc",
            "lepton-node",
            "lepton-protocol",
            "lepton-ring",
        ],
    },
    Wall {
        name: "lepton-fuzz",
        layer: Layer::Beside,
        may_use: &["lepton-node"],
    },
    Wall {
        name: "xtask",
        layer: Layer::Beside,
        may_use: &[],
    },
];

/// Crates with effects (clock, files, tasks, sockets, entropy, terminal) that no pure crate may name.
const EFFECTS: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "hyper",
    "async-std",
    "smol",
    "getrandom",
    "indicatif",
    "clap",
    "tempfile",
];

/// Of these, the ones a pure crate may not even reach through others. (Vetted crypto crates may carry
/// an entropy source for long-lived keys; protocols take a generator as an argument.)
const EFFECTS_AT_ANY_DEPTH: &[&str] = &["tokio", "mio", "socket2", "hyper", "indicatif", "clap"];

/// What the text of a pure crate may not name.
const EFFECT_PATHS: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "SystemTime",
    "Instant::now",
    "tokio::",
];

/// One crate of the workspace and what it depends on.
#[derive(Debug, Default, Clone)]
pub(crate) struct Crate {
    name: String,
    manifest: String,
    /// Direct normal and build dependencies.
    normal: Vec<String>,
    /// Direct test dependencies.
    dev: Vec<String>,
    /// Everything the normal dependencies reach outside the workspace, with the path taken.
    reach: BTreeMap<String, String>,
}

/// Asks cargo for the workspace's crates and their direct dependencies, and the lock file for the rest.
pub(crate) fn read(root: &Path) -> anyhow::Result<Vec<Crate>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()?;
    let lock = lock_edges(Tree::read_one(root, "Cargo.lock")?.as_str())?;
    let folder = metadata.workspace_root.clone();
    let crates = metadata.packages.iter().map(|package| {
        let names = |wanted: fn(DependencyKind) -> bool| {
            let kept = package.dependencies.iter().filter(|edge| wanted(edge.kind));
            kept.map(|edge| edge.name.clone()).collect::<Vec<_>>()
        };
        let manifest = package
            .manifest_path
            .strip_prefix(&folder)
            .unwrap_or(&package.manifest_path);
        let normal = names(|kind| kind == DependencyKind::Normal);
        Crate {
            name: package.name.to_string(),
            manifest: manifest.as_str().replace('\\', "/"),
            reach: reach(&normal, &lock),
            normal,
            dev: names(|kind| kind == DependencyKind::Development),
        }
    });
    Ok(crates.collect())
}

/// Checks the edges of the workspace's crates.
pub(crate) fn check(crates: &[Crate]) -> Vec<Finding> {
    crates.iter().flat_map(check_crate).collect()
}

/// Checks that the text of pure crates names no effects.
pub(crate) fn check_sources(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for wall in WALLS.iter().filter(|wall| wall.layer <= Layer::Round) {
        let folder = format!("crates/{}/src/", wall.name);
        for (path, text) in tree.rust().filter(|(path, _)| path.starts_with(&folder)) {
            let code = split(text).code;
            for name in EFFECT_PATHS {
                findings.extend(shipped(&code).match_indices(name).map(|(at, _)| {
                    let what = format!("`{name}` in {}, which is to have no effects", wall.name);
                    Finding::new(
                        path,
                        line_of(&code, at),
                        what,
                        "take the value as an argument",
                    )
                }));
            }
        }
    }
    findings
}

fn check_crate(of: &Crate) -> Vec<Finding> {
    let Some(wall) = wall(&of.name) else {
        let what = format!("crate {} stands in no layer", of.name);
        return vec![Finding::new(
            &of.manifest,
            1,
            what,
            "give it a line in xtask/src/tidy/edges.rs",
        )];
    };
    let mut findings = Vec::new();
    let mut find =
        |what: String, fix: &str| findings.push(Finding::new(&of.manifest, 1, what, fix));
    for used in &of.normal {
        if self::wall(used).is_some() && !wall.may_use.contains(&used.as_str()) {
            find(
                format!("{} may not use {used}", of.name),
                "move the code down or pass a value",
            );
        }
        if wall.layer <= Layer::Round && EFFECTS.contains(&used.as_str()) {
            find(
                format!("{} is free of effects and may not use {used}", of.name),
                "do it in lepton-node",
            );
        }
    }
    for used in &of.dev {
        if self::wall(used).is_some_and(|used| used.layer > wall.layer) {
            find(
                format!("tests of {} may not use {used}, a layer above", of.name),
                "test it up there",
            );
        }
    }
    if wall.layer <= Layer::Round {
        for (effect, way) in of
            .reach
            .iter()
            .filter(|(name, _)| EFFECTS_AT_ANY_DEPTH.contains(&name.as_str()))
        {
            find(
                format!("{} reaches {effect} ({way})", of.name),
                "drop that dependency or its feature",
            );
        }
    }
    findings
}

fn wall(name: &str) -> Option<&'static Wall> {
    WALLS.iter().find(|wall| wall.name == name)
}

/// Names of packages and of their dependencies, from the lock file.
fn lock_edges(lock: &str) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut edges = BTreeMap::<String, Vec<String>>::new();
    let document = lock.parse::<toml_edit::DocumentMut>()?;
    let packages = document
        .get("package")
        .and_then(toml_edit::Item::as_array_of_tables);
    for package in packages.into_iter().flatten() {
        let name = package
            .get("name")
            .and_then(toml_edit::Item::as_str)
            .unwrap_or_default();
        let used = package
            .get("dependencies")
            .and_then(toml_edit::Item::as_array);
        let used = used
            .into_iter()
            .flatten()
            .filter_map(toml_edit::Value::as_str);
        let used = used
            .filter_map(|entry| entry.split(' ').next())
            .map(str::to_owned);
        edges.entry(name.to_owned()).or_default().extend(used);
    }
    Ok(edges)
}

/// Everything outside the workspace that these dependencies reach, with one path to it.
fn reach(direct: &[String], lock: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, String> {
    let outside = direct.iter().filter(|name| wall(name).is_none());
    let mut open: Vec<(String, String)> =
        outside.map(|name| (name.clone(), name.clone())).collect();
    let mut reached = BTreeMap::new();
    while let Some((name, way)) = open.pop() {
        if reached.contains_key(&name) {
            continue;
        }
        for next in lock.get(&name).into_iter().flatten() {
            open.push((next.clone(), format!("{way} > {next}")));
        }
        reached.insert(name, way);
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crate_with(name: &str, normal: &[&str], dev: &[&str]) -> Crate {
        let own = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        Crate {
            name: name.to_owned(),
            normal: own(normal),
            dev: own(dev),
            ..Crate::default()
        }
    }

    #[test]
    fn allowed_edges_pass() {
        let good = [
            crate_with(
                "lepton-secagg",
                &["lepton-ring", "rand_core"],
                &["proptest"],
            ),
            crate_with(
                "lepton-node",
                &["lepton-protocol", "tokio", "getrandom"],
                &["tempfile"],
            ),
        ];
        assert_eq!(check(&good), []);
    }

    #[test]
    fn upward_edges_effects_and_strangers_are_found() {
        let upward = crate_with("lepton-ring", &["lepton-node"], &[]);
        let sideways = crate_with("lepton-ring", &["lepton-dp"], &[]);
        let effect = crate_with("lepton-protocol", &["tokio"], &[]);
        let test = crate_with("lepton-dp", &[], &["lepton-node"]);
        let stranger = crate_with("lepton-common", &[], &[]);
        for bad in [upward, sideways, effect, test, stranger] {
            assert_eq!(check(std::slice::from_ref(&bad)).len(), 1, "{}", bad.name);
        }
    }

    #[test]
    fn an_effect_behind_another_crate_is_found() {
        let lock = "[[package]]\nname = \"prost\"\ndependencies = [\"between 1.0\"]\n\
                    [[package]]\nname = \"between\"\ndependencies = [\"tokio\"]\n";
        let mut of = crate_with("lepton-protocol", &["prost"], &[]);
        of.reach = reach(&of.normal, &lock_edges(lock).unwrap());
        let findings = check(&[of]);
        assert!(
            findings
                .iter()
                .any(|finding| finding.what.contains("prost > between > tokio")),
            "{findings:?}"
        );
    }

    #[test]
    fn a_clock_in_a_pure_crate_is_found_and_one_in_its_tests_is_not() {
        let text = "use std::time::Duration;\nfn f() { Instant::now() }\n#[cfg(test)]\nmod tests { use std::fs; }";
        let findings = check_sources(&Tree::of([("crates/lepton-dp/src/lib.rs", text)]));
        assert_eq!(
            findings
                .iter()
                .map(|finding| finding.line)
                .collect::<Vec<_>>(),
            [2]
        );
    }
}
