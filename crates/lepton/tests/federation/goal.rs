//! A job under a privacy goal: budgets, ledgers, audit logs, refusals.

use crate::books;
use crate::crash::JOB;
use crate::process::{PATIENCE, within};
use crate::world::{Setup, World, report};

/// What a goal needs beside it.
pub(crate) const GOAL: [&str; 4] = [
    "privacy.epsilon=1",
    "privacy.delta=1e-5",
    "privacy.clip=2",
    "training.sampling_rate=0.5",
];

fn world(policy: &str, approval: bool, budget: f64) -> World {
    let world = World::new(&Setup {
        policy,
        approval,
        budget: Some(budget),
        ..Setup::default()
    });
    std::fs::write(world.path("job.toml"), JOB).unwrap();
    world
}

/// JC-05, JC-12, FT-08: the ledgers hold what was released; a job that they do not cover is refused by the party that says so.
#[test]
fn a_job_with_a_goal_is_charged_and_a_second_one_refused() {
    // A budget of the job's own epsilon, and a little.
    let mut world = world("", false, 1.3);
    let results = world.train("job.toml", &GOAL).unwrap();
    assert_eq!(report(&results)["rounds"], 3);
    let jobs = world.jobs();
    let all = books::balanced(&world, &jobs[0]);
    assert!(all >= 3 * world.names.len(), "{all}");
    let before: Vec<_> = world
        .names
        .iter()
        .map(|party| books::block(&world, party))
        .collect();
    for block in &before {
        assert!(block["used_nanonats"].as_u64() > Some(0), "{block}");
    }
    let digest = jobs[0].file_name().unwrap().to_str().unwrap().to_owned();
    let second = [&GOAL[..], &["job.name=second"]].concat();
    let refused = world.train("job.toml", &second).unwrap_err();
    let named = |party: &String| {
        refused.contains(&format!(
            "{party} refused (ledger.budget): its privacy ledger does not cover the job"
        ))
    };
    assert!(world.names.iter().any(named), "{refused}");
    // What is left of a budget is the party's own business.
    assert!(
        !refused.contains("nanonats") && !refused.contains("epsilon 1"),
        "{refused}"
    );
    for (party, before) in world.names.iter().zip(before) {
        let now = books::block(&world, party);
        assert_eq!(now["used_nanonats"], before["used_nanonats"], "{party}");
    }
    for party in &mut world.parties {
        party.stop();
    }
    world.hub.stop();
    books::verified(&world, &[digest]);
}

/// JC-04: persons at the parties decide, from wherever they sit; one who does not is named.
#[test]
fn a_job_begins_when_every_person_has_approved() {
    let world = world("", true, 10.0);
    world.submit("job.toml", &GOAL, &["--detach"]).end().fine();
    for party in &world.names {
        let config = format!("{party}/party.toml");
        let approve = [
            "party", "jobs", "approve", "tumours", "--config", &config, "--by", "eva",
        ];
        let approved = within(PATIENCE, || {
            (world.lepton(&approve).code == Some(0)).then_some(())
        });
        assert!(approved.is_some(), "{party} was never asked");
    }
    world.train("job.toml", &GOAL).unwrap();
    books::balanced(&world, &world.jobs()[0]);
}

/// JC-04: a policy's refusal reaches the submitter with the rule, and nothing is charged.
#[test]
fn a_job_that_the_policy_does_not_allow_is_refused_with_its_rule() {
    let world = world("[privacy]\nepsilon = 0.5\n", false, 10.0);
    let refused = world.train("job.toml", &GOAL).unwrap_err();
    for party in &world.names {
        let words = format!("{party} refused (PO-11)");
        assert!(refused.contains(&words), "{refused}");
        assert_eq!(books::block(&world, party)["used_nanonats"], 0);
    }
    let exact = world.train("job.toml", &["job.name=exact"]).unwrap_err();
    assert!(exact.contains("p0 refused (PO-09)"), "{exact}");
    // The twin: half of the epsilon is allowed.
    let mut allowed = GOAL;
    allowed[0] = "privacy.epsilon=0.5";
    world.train("job.toml", &allowed).unwrap();
}
