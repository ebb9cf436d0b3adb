//! Checkpoints of a real federation, and jobs that begin from them (rules JC-30 to JC-35).

use serde_json::Value;

use crate::crash::JOB;
use crate::process::Done;
use crate::whole::assert_close;
use crate::world::{Setup, World, report};

const POLICY: &str = "[privacy]\nrequired = false\nexact_start = true\n";

fn refused(done: &Done, words: &str) {
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(done.stderr.contains(words), "{}", done.stderr);
}

/// Submits the job with these settings and flags, and gives how the command ended, with the report.
fn train(world: &World, set: &[&str], more: &[&str]) -> (Done, Option<Value>) {
    let out = tempfile::tempdir_in(world.folder.path()).unwrap().keep();
    let place = out.display().to_string();
    let more = [&["--quiet", "--runs", &place], more].concat();
    let done = world.submit("job.toml", set, &more).end();
    let results = std::fs::read_dir(&out).unwrap().next();
    (done, results.map(|entry| report(&entry.unwrap().path())))
}

/// What a job keeps after a kill of the coordinator, by commands alone.
fn look(world: &World) {
    let words = ["job", "checkpoints", "tumours", "--json"];
    let listed = world.lepton(&words).fine().json();
    let rounds = listed.as_array().unwrap().iter();
    let rounds: Vec<_> = rounds.map(|doc| doc["round"].as_u64().unwrap()).collect();
    assert_eq!(rounds, [3, 4]);
    let table = world.lepton(&["job", "checkpoints", "tumours"]).fine();
    let digest = listed[0]["sha256"].as_str().unwrap();
    assert!(table.stdout.contains(digest), "{}", table.stdout);
    let pull = |round: &str, out: &str| {
        world.lepton(&["job", "pull", "tumours", "--round", round, "--out", out])
    };
    pull("3", "third").fine();
    refused(&pull("2", "second"), "no checkpoint of round 2");
    assert!(!world.path("second").exists());
}

/// Four rounds are three rounds, a checkpoint, and one round from it.
#[test]
fn a_job_begins_from_a_checkpoint_of_another() {
    let mut world = World::new(&Setup {
        policy: POLICY,
        ..Setup::default()
    });
    std::fs::write(world.path("job.toml"), JOB).unwrap();
    let keep = [
        "training.rounds=4",
        "training.checkpoint_every=1",
        "training.checkpoints=2",
    ];
    let whole = report(&world.train("job.toml", &keep).unwrap());
    world.hub.kill();
    world.hub.start();
    world.all_linked();
    look(&world);
    let again = ["job.name=again", "training.rounds=1"];
    let (_, first) = train(&world, &again, &["--start", "tumours@3"]);
    let mut first = first.unwrap();
    first["rounds"] = whole["rounds"].clone();
    assert_close(&first, &whole);
    // The folder says the same as the name.
    let folder = [&again[..], &["model.start=\"third\""]].concat();
    let (known, same) = train(&world, &folder, &[]);
    assert!(
        known.stderr.contains("known already: finished"),
        "{}",
        known.stderr
    );
    assert_eq!(same.unwrap()["job_sha256"], first["job_sha256"]);
    let other = ["job.name=other", "model.kind=\"mlp\""];
    let (other, none) = train(&world, &other, &["--start", "tumours@3"]);
    refused(&other, "another kind of model");
    assert!(none.is_none());
    let listed = world.lepton(&["job", "list", "--json"]).fine().json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
}
