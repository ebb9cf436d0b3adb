//! A whole federation of processes learns what one process learns from the same rows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process::Daemon;
use crate::world::{Setup, World, postgres, report, root};

/// Full batches have nothing random in them: what differs is the order of additions, and the rounding of the masked sums.
const CLOSE: f64 = 1e-4;

/// The churn job in this process' own simulation, on the tables of the federation's parties: its run folder holds the job with every column named.
fn in_one_process(world: &World) -> Value {
    let job = root("examples/churn/job.toml").display().to_string();
    let mut words = vec![
        "run",
        &job,
        "--run-dir",
        "sim",
        "--no-comparison",
        "--quiet",
    ];
    for set in [
        "training.rounds=6",
        "evaluation.every=2",
        "training.batch=10000",
    ] {
        words.extend(["--set", set]);
    }
    let tables: Vec<String> = world
        .tables()
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    words.push("--party-data");
    words.extend(tables.iter().map(String::as_str));
    world.lepton(&words).fine();
    report(&world.path("sim"))
}

pub(crate) fn assert_close(found: &Value, expected: &Value) {
    for name in ["loss", "accuracy", "auc"] {
        let value = |report: &Value| report["metrics"][name].as_f64().unwrap();
        let gap = (value(found) - value(expected)).abs();
        assert!(gap < CLOSE, "{name} is off by {gap}");
    }
    for path in ["/metrics/rows", "/data/rows_train", "/rounds"] {
        assert!(
            expected.pointer(path).is_some_and(|value| !value.is_null()),
            "{path}"
        );
        assert_eq!(found.pointer(path), expected.pointer(path), "{path}");
    }
}

fn verified(world: &World, results: &Path) {
    let name = |file: &str| results.join(file).display().to_string();
    let (document, key) = (name("privacy.json"), name("keys/coordinator.pem"));
    let done = world.lepton(&["verify", &document, "--key", &key]).fine();
    assert!(
        done.stdout
            .contains("verified: signed by the keys you gave"),
        "{}",
        done.stdout
    );
    // Its twin: one byte of the model is another.
    let model = results.join("model/model.safetensors");
    let mut bytes = std::fs::read(&model).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&model, bytes).unwrap();
    let done = world.lepton(&["verify", &document, "--key", &key]);
    assert_eq!(done.code, Some(1), "{}", done.stdout);
}

fn learns_what_one_process_learns(setup: &Setup<'_>) {
    let mut world = World::new(setup);
    let here = |name: &str| world.path(name).join("lepton.db").exists();
    assert_eq!(here("hub") && here(&world.names[0]), !setup.postgres);
    if setup.namespaces.is_some() {
        let all = world.parties.iter().chain([&world.hub]);
        let networks: BTreeSet<PathBuf> = all.map(Daemon::network).collect();
        assert_eq!(networks.len(), setup.parties + 1);
    }
    let expected = in_one_process(&world);
    let results = world.train("sim/job.toml", &[]).unwrap();
    let found = report(&results);
    assert_eq!(found["rounds"], 6, "{found}");
    assert_close(&found, &expected);
    verified(&world, &results);
    let model = Path::new("model/model.safetensors");
    for name in world.names.clone() {
        world.all_ended(&name);
        let config = format!("{name}/party.toml");
        let job = world.lepton(&[
            "party", "jobs", "show", "churn", "--config", &config, "--json",
        ]);
        let job = job.fine().json();
        assert_eq!(job["state"], "finished", "{job}");
        let folder = world.path(job["folder"].as_str().unwrap());
        assert!(folder.join(model).exists(), "{}", folder.display());
    }
    let listed = world.lepton(&["job", "list", "--json"]).fine().json();
    assert_eq!(listed[0]["state"], "finished");
    for party in &mut world.parties {
        party.stop();
    }
    world.hub.stop();
}

fn churn() -> Setup<'static> {
    Setup {
        table: "telecom_churn",
        parties: 5,
        ..Setup::default()
    }
}

#[test]
fn five_processes_with_sqlite_learn_what_one_process_learns() {
    learns_what_one_process_learns(&churn());
}

/// All members' stores are in one database, each under a key of its own.
#[test]
fn five_processes_with_postgresql_learn_what_one_process_learns() {
    if postgres().is_none() {
        eprintln!("PostgreSQL: not run, LEPTON_TEST_POSTGRES is not set");
        return;
    }
    learns_what_one_process_learns(&Setup {
        postgres: true,
        ..churn()
    });
}

/// Every party in a network namespace of its own: nothing but its link to the coordinator connects it to anybody.
#[test]
fn parties_in_namespaces_learn_what_one_process_learns() {
    let (Ok(names), Ok(host)) = (
        std::env::var("LEPTON_TEST_NAMESPACES"),
        std::env::var("LEPTON_TEST_NAMESPACES_HOST"),
    ) else {
        eprintln!("network namespaces: not run, LEPTON_TEST_NAMESPACES is not set");
        return;
    };
    let names: Vec<String> = names.split(' ').map(str::to_owned).collect();
    learns_what_one_process_learns(&Setup {
        namespaces: Some((names, host)),
        ..churn()
    });
}
