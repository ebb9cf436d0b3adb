//! Whole jobs: the same result as in one process, and who may do what.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lepton_node::daemon::effective::effective_text;
use lepton_node::daemon::party;
use lepton_node::simulate::{Place, Request, run};
use lepton_node::tables::Source;
use lepton_protocol::control::JobState;
use lepton_protocol::report::Report;
use tokio::sync::{mpsc, watch};

use crate::world::{Someone, World, ada, deal, signed};
use lepton_node::daemon::Role;

pub const TUMOURS: &str = r#"
[job]
name = "tumours"

[data]
table = "breast_cancer.csv"
label = "diagnosis"
classes = ["benign", "malignant"]
features = ["mean_radius", "mean_texture", "worst_radius"]
types = { mean_radius = "number", mean_texture = "number", worst_radius = "number" }
split = { by = "even", parties = 3 }

[prepare.bounds]
mean_radius = [0, 40]
mean_texture = [0, 60]
worst_radius = [0, 50]

[model]
kind = "logistic"

[training]
rounds = 3
batch = 1000
learning_rate = 0.05

[evaluation]
every = 1

[protection]
colluders = 1
drops = 0
"#;

pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../data")
        .join(name)
}

/// Three parties with a small table each, and the text of a small job.
pub fn tumours(extra: &[&str]) -> (World, String) {
    let folder = tempfile::tempdir().unwrap();
    let job = folder.path().join("job.toml");
    std::fs::write(&job, TUMOURS).unwrap();
    let overrides: Vec<String> = extra.iter().map(|text| (*text).to_owned()).collect();
    let text = effective_text(&job, &overrides).unwrap();
    let tables = deal(&data("breast_cancer.csv"), 3, folder.path());
    (World::new(folder, tables), text)
}

/// Submits, follows to the end, and gives the words of the end.
pub async fn finish(world: &World, text: &str) -> String {
    let mut client = world.client(&ada()).await;
    let job = signed(text, &ada());
    let digest = job.digest();
    client.submit(job).await.unwrap();
    client.watch(digest, 0, |_| {}).await.unwrap()
}

pub async fn report(world: &World, text: &str) -> Report {
    let digest = signed(text, &ada()).digest();
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("results");
    let mut client = world.client(&ada()).await;
    client.pull(digest, &out).await.unwrap();
    let text = std::fs::read(out.join("report.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The churn job over five daemons gives, number for number, what one process gives for the same rows and seeds.
#[tokio::test(flavor = "multi_thread")]
async fn five_daemons_learn_what_one_process_learns() {
    let folder = tempfile::tempdir().unwrap();
    let tables = deal(&data("telecom_churn.csv"), 5, folder.path());
    let job = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/churn/job.toml");
    let set = |extra: &[&str]| -> Vec<String> {
        let all = ["training.rounds=4", "evaluation.every=2"]
            .iter()
            .chain(extra);
        all.map(|text| (*text).to_owned()).collect()
    };
    let source = Source {
        job,
        overrides: set(&["job.insecure_seed=5"]),
        data: None,
        party_data: tables.clone(),
        vault_key: None,
    };
    let place = Place::At(folder.path().join("run"));
    let request = Request::New {
        source,
        scenario: None,
        folder: place,
        comparison: true,
    };
    let (events, _inbox) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(false);
    let expected = run(request, ("", ""), events, stopped)
        .await
        .unwrap()
        .report;

    // Its run folder holds the job with every column named: that is what is submitted, without the seed.
    let text = std::fs::read_to_string(folder.path().join("run/job.toml")).unwrap();
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with("insecure_seed"))
        .map(|line| format!("{line}\n"))
        .collect();
    let job = folder.path().join("submitted.toml");
    std::fs::write(&job, text).unwrap();
    let text = effective_text(&job, &[]).unwrap();
    let mut world = World::new(folder, tables);
    world.up().await;
    let end = finish(&world, &text).await;
    assert!(end.starts_with("finished: 4 of 4 rounds"), "{end}");
    let found = report(&world, &text).await;
    assert_eq!(found.metrics, expected.metrics);
    assert_eq!(found.curve, expected.curve);
    assert_eq!(
        (found.rounds, found.data.rows_train),
        (expected.rounds, expected.data.rows_train)
    );
    // JC-12: nothing made from rows.
    assert!(found.baselines.is_none() && found.scatter.is_none() && found.importance.is_empty());
    assert!(
        found
            .parties
            .iter()
            .all(|party| party.rows_train.is_none() && party.epsilon_charged.is_none())
    );
}

/// JC-10 and JC-02: who may ask for what, each with its failing twin.
#[tokio::test(flavor = "multi_thread")]
async fn roles_and_signatures_are_enforced() {
    let (mut world, text) = tumours(&[]);
    world.up().await;
    let job = signed(&text, &ada());
    let digest = job.digest();
    for role in [Role::Auditor, Role::Coordinator] {
        let other = Someone::new(role, "eve");
        let mut client = world.client(&other).await;
        let refused = client.submit(signed(&text, &other)).await.unwrap_err();
        assert!(refused.to_string().contains("(role)"), "{refused}");
    }
    let bob = Someone::new(Role::Scientist, "bob");
    let refused = world.client(&bob).await.submit(job).await.unwrap_err();
    assert!(refused.to_string().contains("(submitter)"), "{refused}");
    let end = finish(&world, &text).await;
    assert!(end.starts_with("finished"), "{end}");
    let elsewhere = world.folder.path().join("elsewhere");
    let pulled = world.client(&bob).await.pull(digest, &elsewhere).await;
    assert!(pulled.unwrap_err().to_string().contains("(role)") && !elsewhere.exists());
    assert!(world.client(&bob).await.stop(digest).await.is_err());
    let operator = Someone::new(Role::Operator, "ops");
    let out = world.folder.path().join("pulled");
    let pulled = world.client(&operator).await.pull(digest, &out).await;
    pulled.unwrap();
    assert!(out.join("model/model.safetensors").exists());
    // JC-11: the same text is the same job.
    let again = world
        .client(&ada())
        .await
        .submit(signed(&text, &ada()))
        .await
        .unwrap();
    assert_eq!(again, "it is known already: finished");
}

/// JC-10 and JC-11: a job is its submitter's by name, role and key; nobody else begins it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_its_submitters_alone() {
    let (mut world, text) = tumours(&[]);
    world.up().await;
    // The parties' policies take nothing from operators: the job fails.
    let sam = Someone::new(Role::Operator, "sam");
    let digest = signed(&text, &sam).digest();
    let mut own = world.client(&sam).await;
    own.submit(signed(&text, &sam)).await.unwrap();
    let mut told = 0;
    let end = own.watch(digest, 0, |_| told += 1).await.unwrap();
    assert!(end.starts_with("failed: no roster"), "{end}");
    assert_eq!(own.events(digest).await.unwrap().len(), told);
    // The same name in another role, and somebody else.
    for name in ["sam", "bob"] {
        let other = Someone::new(Role::Scientist, name);
        let mut client = world.client(&other).await;
        let out = world.folder.path().join("elsewhere");
        for refused in [
            client.submit(signed(&text, &other)).await.unwrap_err(),
            client.stop(digest).await.unwrap_err(),
            client.pull(digest, &out).await.unwrap_err(),
        ] {
            assert!(refused.to_string().contains("(role)"), "{name}: {refused}");
        }
        assert_eq!(client.list().await.unwrap()[0].state, JobState::Failed);
    }
    let again = own.submit(signed(&text, &sam)).await.unwrap();
    assert_eq!(again, "it goes on from where it stood");
}

/// JC-04 and JC-13: a party whose table lacks a column refuses, the job says who and why, and no value is in the words.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_does_not_fit_is_named_without_its_values() {
    let (mut world, text) = tumours(&[]);
    let whole = std::fs::read_to_string(&world.tables[1]).unwrap();
    std::fs::write(
        &world.tables[1],
        whole.replacen("worst_radius", "renamed", 1),
    )
    .unwrap();
    let typed = std::fs::read_to_string(&world.tables[2]).unwrap();
    let mut lines: Vec<String> = typed.lines().map(str::to_owned).collect();
    let column = lines[0]
        .split(',')
        .position(|name| name == "mean_radius")
        .unwrap();
    let mut cells: Vec<&str> = lines[1].split(',').collect();
    cells[column] = "secretword";
    lines[1] = cells.join(",");
    std::fs::write(&world.tables[2], lines.join("\n") + "\n").unwrap();
    world.up().await;
    let end = finish(&world, &text).await;
    assert!(
        end.starts_with("failed: no roster: 1 parties accepted and 3 are needed"),
        "{end}"
    );
    assert!(
        end.contains("p1 refused (data.features): its table has no column `worst_radius`"),
        "{end}"
    );
    assert!(
        end.contains(
            "p2 refused (data.types): column `mean_radius` of its table does not hold numbers only"
        ),
        "{end}"
    );
    assert!(!end.contains("secretword"));
    // The party's own record says more.
    let own = party::list(&world.home(2)).unwrap();
    assert!(own[0].words.contains("secretword"), "{}", own[0].words);
}

/// A person decides at each party; denied at one of them, the job fails with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_decide() {
    let (mut world, text) = tumours(&[]);
    world.policy = "[approval]\nperson = \"always\"\n".to_owned();
    world.up().await;
    let mut client = world.client(&ada()).await;
    let job = signed(&text, &ada());
    let digest = job.digest();
    client.submit(job).await.unwrap();
    for index in 0..3 {
        let home = world.home(index);
        let decision = |approve| party::Decision {
            approve,
            by: "eva".to_owned(),
            at: String::new(),
            words: "not this one".to_owned(),
        };
        for _ in 0..500 {
            if party::decide(&home, "tumours", &decision(index != 1)).is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let words = party::find(&home, "tumours").unwrap().explained;
        assert!(words.contains("No privacy goal"), "{words}");
    }
    let end = client.watch(digest, 0, |_| {}).await.unwrap();
    assert!(end.contains("p1 refused (PO-15): not this one"), "{end}");
    assert_eq!(client.list().await.unwrap()[0].state, JobState::Failed);
    // A denial stands when the job is submitted again, until a person takes it back.
    let end = finish(&world, &text).await;
    assert!(end.contains("p1 refused (PO-15): not this one"), "{end}");
    let approve = party::Decision {
        approve: true,
        by: "eva".to_owned(),
        at: String::new(),
        words: String::new(),
    };
    party::decide(&world.home(1), "tumours", &approve).unwrap();
    let accepted = || party::find(&world.home(1), "tumours").unwrap().state != "denied";
    for _ in 0..500 {
        if accepted() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(accepted());
    let end = finish(&world, &text).await;
    assert!(end.starts_with("finished"), "{end}");
}
