//! The privacy report of whole runs: its numbers are those of the ledgers, its description is complete, its signatures hold.
#![expect(
    clippy::unwrap_used,
    reason = "runs are set up and read by helpers outside of test functions"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "what is on disk is what is tested"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use lepton_dp::{Accountant, Delta};
use lepton_node::signed_report::{
    Adversary, Keys, Mechanism, Outcome, PrivacyReport, open, verify_file,
};
use lepton_node::simulate::{Done, Place, Request, run};
use lepton_node::tables::Source;
use lepton_protocol::ledger::{Charge, Side, accountant_of};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

const DOCS: &str = include_str!("../../../docs/privacy-report.md");

const JOB: &str = r#"
[job]
name = "tumours"

[data]
table = "breast_cancer.csv"
label = "diagnosis"
classes = ["benign", "malignant"]
features = ["mean_radius", "mean_texture"]
split = { by = "even", parties = 3 }

[prepare.bounds]
mean_radius = [0, 40]
mean_texture = [0, 60]

[model]
kind = "logistic"

[training]
rounds = 5
learning_rate = 0.05
"#;

const GOAL: [&str; 3] = [
    "privacy.epsilon=8",
    "privacy.delta=2e-5",
    "training.sampling_rate=0.5",
];

struct Run {
    _folder: TempDir,
    done: Done,
}

impl Run {
    async fn new(set: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let table = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../data/breast_cancer.csv");
        fs::copy(table, folder.path().join("breast_cancer.csv")).unwrap();
        fs::write(folder.path().join("job.toml"), JOB).unwrap();
        let request = Request::New {
            source: Source {
                job: folder.path().join("job.toml"),
                overrides: set.iter().map(|text| (*text).to_owned()).collect(),
                data: None,
                party_data: Vec::new(),
                vault_key: None,
            },
            scenario: None,
            folder: Place::At(folder.path().join("out")),
            comparison: true,
        };
        let (watcher, _events) = mpsc::unbounded_channel();
        let (_stop, stopped) = watch::channel(false);
        let started = ("2026-01-01T12:00:00Z", "20260101-120000");
        let done = run(request, started, watcher, stopped).await.unwrap();
        Self {
            _folder: folder,
            done,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.done.folder.join(name)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path("privacy.json")).unwrap()
    }

    fn report(&self) -> PrivacyReport {
        open(&self.text()).unwrap()
    }
}

fn adversary<'r>(report: &'r PrivacyReport, name: &str) -> &'r Adversary {
    let mut all = report.adversaries.iter();
    all.find(|one| one.name == name).unwrap()
}

/// Epsilon of the records that lost most, from the mechanisms that the report lists.
fn from_mechanisms(report: &PrivacyReport, public: bool, delta: f64) -> f64 {
    let epsilon = |records: &str| {
        let mut total = Accountant::new();
        let own = |one: &&Mechanism| one.records == records;
        for one in report.mechanisms.iter().filter(own) {
            let seen = if public { one.public } else { one.coordinator };
            total
                .add(&seen.event(one.sampling_rate).unwrap(), one.times)
                .unwrap();
        }
        let (epsilon, _) = total.epsilon(Delta::new(delta).unwrap()).unwrap();
        epsilon.round_up(6).get()
    };
    epsilon("training records").max(epsilon("hold-out records"))
}

#[tokio::test]
async fn the_numbers_are_those_of_the_ledgers() {
    let run = Run::new(&GOAL).await;
    let report = run.report();
    let goal = report.goal.unwrap();
    assert_eq!((goal.epsilon, goal.delta), (8.0, 2e-5));
    let (public, seen) = (
        adversary(&report, "public"),
        adversary(&report, "coordinator"),
    );
    assert_eq!(adversary(&report, "other_parties").epsilon, seen.epsilon);
    assert!(public.epsilon < seen.epsilon && seen.epsilon.unwrap() <= goal.epsilon);
    // What each party's ledger holds on the disk.
    for number in 0..3 {
        let path = run.path(&format!("state/parties/{number}/ledger.jsonl"));
        let charges = charges(&fs::read_to_string(path).unwrap());
        let mut most: f64 = 0.0;
        for side in [Side::Training, Side::HoldOut] {
            let spent = accountant_of(&charges, side).unwrap();
            let (epsilon, _) = spent.epsilon(Delta::new(goal.delta).unwrap()).unwrap();
            most = most.max(epsilon.round_up(6).get());
        }
        assert_eq!(seen.epsilon, Some(most));
        assert_eq!(report.parties[number].epsilon_charged, Some(most));
    }
    // What the report itself lists, at every delta of its curves.
    for (one, is_public) in [(public, true), (seen, false)] {
        let at_goal = one.curve.iter().any(|pair| pair.delta == goal.delta);
        // Of the smallest deltas, one or two are not shown: at this epsilon the tables' share would be too much of them (FT-22).
        assert!(at_goal && (7..=8).contains(&one.curve.len()));
        for pair in &one.curve {
            // Noise from tables has its share of delta (FT-22): of the goal's next to nothing, of any other at most a thousandth.
            let tables = if pair.delta == goal.delta { 0.0 } else { 1e-3 };
            let exact = pair.delta * (1.0 - tables);
            assert_eq!(pair.epsilon, from_mechanisms(&report, is_public, exact));
        }
        assert!(
            one.curve
                .windows(2)
                .all(|two| two[0].epsilon <= two[1].epsilon)
        );
        assert!(
            one.curve
                .iter()
                .any(|pair| Some(pair.epsilon) == one.epsilon)
        );
        let misses: Vec<f64> = one.trade_off.iter().map(|one| one.miss_at_least).collect();
        assert!(misses.is_sorted_by(|a, b| a >= b) && misses[0] > 0.0);
        // Nobody can be held to more than guessing allows.
        assert!(
            one.trade_off
                .iter()
                .all(|one| one.miss_at_least <= 1.0 - one.false_alarm)
        );
    }
    assert_eq!(
        Some(seen.epsilon.unwrap()),
        run.done.report.privacy.epsilon_coordinator
    );
    assert_eq!(public.epsilon, run.done.report.privacy.epsilon);
    assert_eq!(report.assumptions, run.done.report.privacy.assumptions);
    assert_eq!(report.not_protected, run.done.report.privacy.not_protected);
}

/// The charges of a ledger's file, whatever stands around them in a line.
fn charges(text: &str) -> Vec<Charge> {
    fn find(value: Value) -> Option<Charge> {
        if let Ok(charge) = serde_json::from_value(value.clone()) {
            return Some(charge);
        }
        let fields = value.as_object()?;
        fields.values().find_map(|inner| find(inner.clone()))
    }
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter_map(find).collect()
}

#[tokio::test]
async fn a_run_leaves_a_report_that_verifies() {
    let run = Run::new(&GOAL).await;
    let path = run.path("privacy.json");
    let found = verify_file(&path, &Keys::default()).unwrap();
    assert!(found.verified && !found.authenticated);
    let matches = |check: &&lepton_node::signed_report::Check| {
        check.name.starts_with("file ") && check.outcome == Outcome::Ok
    };
    assert_eq!(found.checks.iter().filter(matches).count(), 5);
    assert_eq!(found.simulated, Some(true));
    let report = run.report();
    assert_eq!(report.signers.len(), 4, "the coordinator and every party");
    assert_eq!(report.run.job_sha256, report.files[0].sha256);
    assert!(report.identities.starts_with("Simulated identities"));

    let mut keys = Keys::default();
    for name in ["coordinator", "party-1", "party-2", "party-3"] {
        keys.require(&run.path(&format!("keys/{name}.pem")))
            .unwrap();
    }
    keys.allow(&run.path("keys/all.pem")).unwrap();
    assert!(verify_file(&path, &keys).unwrap().authenticated);
    // Another run's keys are others.
    let other = Run::new(&[]).await;
    let mut keys = Keys::default();
    keys.require(&other.path("keys/coordinator.pem")).unwrap();
    assert!(!verify_file(&path, &keys).unwrap().verified);
    for file in ["job.toml", "model/model.safetensors"] {
        let old = fs::read(run.path(file)).unwrap();
        fs::write(run.path(file), [&old[..], b" "].concat()).unwrap();
        assert!(!verify_file(&path, &Keys::default()).unwrap().verified);
        fs::write(run.path(file), old).unwrap();
    }
    assert!(verify_file(&path, &Keys::default()).unwrap().verified);
    let page = fs::read_to_string(run.path("report.html")).unwrap();
    assert!(page.contains("For the data-protection officer") && page.contains("Art. 35(7)"));
}

#[tokio::test]
async fn without_a_goal_nothing_is_claimed() {
    let run = Run::new(&[]).await;
    let report = run.report();
    assert!(report.goal.is_none() && report.mechanisms.is_empty());
    for one in &report.adversaries {
        assert_eq!((one.epsilon, one.delta), (None, None));
        assert!(one.curve.is_empty() && one.trade_off.is_empty());
    }
    assert!(report.summary.starts_with("No privacy goal was set."));
    assert!(
        report
            .law
            .lines
            .iter()
            .any(|line| line.supplied.starts_with("No bound"))
    );
    assert_eq!(report.insecure, run.done.report.insecure);
    let text = run.text().to_lowercase();
    for word in ["compliant", "fulfils", "guarantees compliance"] {
        assert!(!text.contains(word), "{word}");
    }
}

#[tokio::test]
async fn an_insecure_seed_voids_the_numbers_in_words() {
    for goal in [&GOAL[..], &[]] {
        let run = Run::new(&[goal, &["job.insecure_seed=4"]].concat()).await;
        let report = run.report();
        assert!(report.summary.contains("nothing in this run is protected"));
        assert!(
            report
                .protected
                .meaning
                .starts_with("Nothing holds for this run")
        );
        assert!(report.law.note.contains("do not rely"));
        assert!(report.identities.contains("insecure_seed"));
        for claim in [
            "A bound on what all releases",
            "numbers are hidden",
            "Masked sums only",
        ] {
            assert!(!run.text().contains(claim), "{claim}");
        }
    }
}

/// Field names by the section that describes them.
type Fields = BTreeMap<String, BTreeSet<String>>;

fn collect(section: &str, value: &Value, found: &mut Fields) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let section = found.entry(section.to_owned()).or_default();
                section.insert(name.clone());
                let inner_section = if name == "public" {
                    "coordinator"
                } else {
                    name
                };
                collect(inner_section, inner, found);
            }
        }
        Value::Array(all) => all.iter().for_each(|inner| collect(section, inner, found)),
        _ => {}
    }
}

fn described() -> Fields {
    let mut found = Fields::new();
    let mut section = String::new();
    for line in DOCS.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.replace('`', "");
        } else if let Some(row) = line.strip_prefix("| `") {
            let field = row.split('`').next().unwrap_or_default().to_owned();
            found.entry(section.clone()).or_default().insert(field);
        }
    }
    found
}

#[tokio::test]
async fn every_field_is_described_and_every_described_field_exists() {
    let run = Run::new(&GOAL).await;
    let mut found = Fields::new();
    collect(
        "Envelope",
        &serde_json::from_str(&run.text()).unwrap(),
        &mut found,
    );
    // A simulation keeps no ledger that outlives it.
    let head = ["entries", "hash"].map(str::to_owned).into();
    found.entry("ledger_head".to_owned()).or_insert(head);
    let page: Fields = described()
        .into_iter()
        .filter(|(section, _)| {
            section != "Output of `lepton verify --json`".replace('`', "").as_str()
        })
        .collect();
    assert_eq!(
        found, page,
        "left: privacy.json, right: docs/privacy-report.md"
    );
}

/// SA-26, SA-27: what groups mean for the sums is in what is signed, on the officer's page and in `report.json`.
#[tokio::test]
async fn groups_are_in_the_signed_report() {
    let plain = Run::new(&[]).await;
    let sums = plain.report().masked_sum;
    assert_eq!(
        (sums.groups, sums.group_floor, sums.group_threshold),
        (1, None, None)
    );
    let run = Run::new(&[
        "training.combine=median",
        "training.groups=3",
        "data.split.parties=9",
    ])
    .await;
    let sums = run.report().masked_sum;
    assert_eq!(
        (sums.groups, sums.group_floor, sums.group_threshold),
        (3, Some(3), Some(2))
    );
    let numbers = &run.done.report.protection;
    assert_eq!(
        (numbers.groups, numbers.group_floor, numbers.group_threshold),
        (3, Some(3), Some(2))
    );
    let page = fs::read_to_string(run.path("report.html")).unwrap();
    let words = "in training rounds 3 sums, one for each group, over at least 3 each, where 2 shares open a mask";
    assert!(page.contains(words), "{page}");
    let stated = run.report().assumptions.join(" ");
    assert!(stated.contains("sums over all parties were over at least the survivor floor of them"));
}
