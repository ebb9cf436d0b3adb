//! A party whose daemon is started in the middle of a job, and killed as soon as it is in (docs/protocols/late-join.md).

use serde_json::Value;

use crate::books;
use crate::crash::JOB;
use crate::goal::GOAL;
use crate::process::{PATIENCE, within};
use crate::world::{Setup, World, report};

/// Waits until the job has said this.
fn said(world: &World, words: &str) {
    let heard = within(PATIENCE, || {
        let job = world.jobs().pop()?;
        let events = books::events(&job);
        let said = events.iter().any(|event| event.to_string().contains(words));
        said.then_some(())
    });
    assert!(heard.is_some(), "never said {words}");
}

/// LJ-06, LJ-08, LJ-09, over TLS and with `kill -9`: the newcomer takes part from one round on, comes back after it was killed, and every ledger holds what was released.
#[test]
fn a_party_that_was_down_joins_and_survives_a_kill() {
    let mut world = World::new(&Setup {
        parties: 4,
        late: 1,
        budget: Some(100.0),
        ..Setup::default()
    });
    std::fs::write(world.path("job.toml"), JOB).unwrap();
    let more = [
        "training.late_join=5",
        "training.rounds=80",
        "evaluation.every=8",
    ];
    let set = [&GOAL[..], &more].concat();
    world.submit("job.toml", &set, &["--detach"]).end().fine();
    said(&world, "\"trained\"");
    world.parties[3].start();
    said(&world, "p3 joined: 4 parties from round");
    world.parties[3].kill();
    world.parties[3].start();

    let results = world.train("job.toml", &set).unwrap();
    let found = report(&results);
    let rounds: Vec<&Value> = (0..4)
        .map(|at| &found["parties"][at]["joined_round"])
        .collect();
    assert!(rounds[..3].iter().all(|round| round.is_null()), "{found}");
    assert!(rounds[3].as_u64() > Some(1), "{found}");
    assert!(found["privacy"]["epsilon_coordinator"].as_f64() <= Some(1.0));
    let document = results.join("privacy.json").display().to_string();
    let key = results.join("keys/coordinator.pem").display().to_string();
    world.lepton(&["verify", &document, "--key", &key]).fine();

    let jobs = world.jobs();
    books::balanced(&world, &jobs[0]);
    let digest = jobs[0].file_name().unwrap().to_str().unwrap().to_owned();
    let [old, new] = ["p0", "p3"].map(|party| books::charged(&world, party, &digest));
    assert!(old.kinds.contains_key("statistics") && !new.kinds.contains_key("statistics"));
    assert!(new.kinds["training"] < old.kinds["training"]);
    let show = [
        "party",
        "jobs",
        "show",
        "tumours",
        "--config",
        "p1/party.toml",
    ];
    let shown = world.lepton(&show).fine().stdout;
    assert!(
        shown.contains("parties   p0, p1, p2, p3\njoined    p3, at 2"),
        "{shown}"
    );
    for party in &mut world.parties {
        party.stop();
    }
    world.hub.stop();
    books::verified(&world, &[digest]);
}
