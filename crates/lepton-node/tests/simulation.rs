//! Whole runs in this process: every kind of training the job file offers, under a privacy goal and without, held against what the run folder,
//! the ledgers and the reloaded model say.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "runs are set up and read by helpers outside of test functions"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "what is on disk is what is tested"
)]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use lepton_dp::Delta;
use lepton_learn::{ColumnPrep, NumericScale, RawColumn};
use lepton_node::error::NodeError;
use lepton_node::files::{Durability, FileLedger};
use lepton_node::model_file::ModelFile;
use lepton_node::predict::predict;
use lepton_node::simulate::{Done, Place, Request, run};
use lepton_node::tables::{Federation, Source};
use lepton_protocol::ledger::{Charge, Ledger, Side, accountant_of};
use lepton_protocol::report::{MetricsDoc, Outcome, Report};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

/// Three parties tell tumours apart by six columns; the seed makes every run of a test the same.
const TUMOURS: &str = r#"
[job]
name = "tumours"
insecure_seed = 5

[data]
table = "breast_cancer.csv"
label = "diagnosis"
classes = ["benign", "malignant"]
features = ["mean_radius", "mean_texture", "mean_area", "mean_concavity", "worst_radius", "worst_texture"]
split = { by = "even", parties = 3 }

[prepare.bounds]
mean_radius = [0, 40]
mean_texture = [0, 60]
mean_area = [0, 4000]
mean_concavity = [0, 0.8]
worst_radius = [0, 50]
worst_texture = [0, 70]

[model]
kind = "logistic"

[training]
rounds = 6
learning_rate = 0.05
"#;

/// The same rows: how large is the mean radius, from columns that say much about it?
const RADIUS: &str = r#"
[job]
name = "radius"
insecure_seed = 5

[data]
table = "breast_cancer.csv"
label = "mean_radius"
features = ["mean_texture", "mean_area", "mean_concavity", "worst_radius"]
split = { by = "even", parties = 3 }

[prepare.bounds]
mean_radius = [0, 40]
mean_texture = [0, 60]
mean_area = [0, 4000]
mean_concavity = [0, 0.8]
worst_radius = [0, 50]

[model]
kind = "linear"

[training]
rounds = 8
learning_rate = 0.05
"#;

/// A privacy goal that so few rows can be trained under.
const GOAL: [&str; 2] = ["privacy.epsilon=8", "training.sampling_rate=0.5"];

/// A folder with a job in it, removed at the end.
struct Desk(TempDir);

impl Desk {
    fn new(job: &str) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::copy(data("breast_cancer.csv"), desk.path("breast_cancer.csv")).unwrap();
        fs::write(desk.path("job.toml"), job).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn source(&self, set: &[&str]) -> Source {
        Source {
            job: self.path("job.toml"),
            overrides: set.iter().map(|text| (*text).to_owned()).collect(),
            data: None,
            party_data: Vec::new(),
            vault_key: None,
        }
    }

    async fn run(&self, set: &[&str]) -> Done {
        simulate(self.source(set), self.path("runs")).await.unwrap()
    }

    async fn refused(&self, set: &[&str]) -> String {
        match simulate(self.source(set), self.path("runs")).await {
            Ok(_) => panic!("{set:?} was accepted"),
            Err(error) => error.to_string(),
        }
    }
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../data")
        .join(name)
}

async fn simulate(source: Source, runs: PathBuf) -> Result<Done, NodeError> {
    simulate_with(source, runs, None).await
}

async fn simulate_with(
    source: Source,
    runs: PathBuf,
    scenario: Option<PathBuf>,
) -> Result<Done, NodeError> {
    let (watcher, _events) = mpsc::unbounded_channel();
    let (_never, stop) = watch::channel(false);
    let request = Request::New {
        source,
        scenario,
        folder: Place::Below(runs),
        comparison: true,
    };
    let done = run(
        request,
        ("2026-01-02T03:04:05Z", "20260102-030405"),
        watcher,
        stop,
    )
    .await?;
    let json = fs::read(done.folder.join("report.json")).unwrap();
    let again: Report = serde_json::from_slice(&json).unwrap();
    assert_eq!(again, done.report, "report.json says something else");
    Ok(done)
}

/// The exact metrics of the released model, which only a simulation knows.
fn federated(report: &Report) -> &MetricsDoc {
    &report.baselines.as_ref().unwrap().federated
}

fn beats_majority(report: &Report) {
    let baselines = report.baselines.as_ref().unwrap();
    let (ours, majority) = (baselines.federated.accuracy, baselines.majority.accuracy);
    assert!(
        ours > majority,
        "{ours:?}, and the majority class gives {majority:?}"
    );
}

fn ledgers(done: &Done) -> Vec<Vec<Charge>> {
    (0..done.report.parties.len())
        .map(|party| {
            let path = done
                .folder
                .join(format!("state/parties/{party}/ledger.jsonl"));
            assert!(path.is_file(), "{} is missing", path.display());
            let ledger = FileLedger::open(&path, None, Durability::Process).unwrap();
            ledger.charges().to_vec()
        })
        .collect()
}

/// Each ledger holds one charge for each exchange its party was asked for, and the report admits to no less than any ledger (FT-03, FT-08).
fn check_ledgers(done: &Done, kinds: &[(&str, u32)]) {
    let privacy = &done.report.privacy;
    let seen = privacy.epsilon_coordinator.unwrap();
    assert!(privacy.epsilon.unwrap() <= seen, "the public sees no more");
    assert!(
        seen <= privacy.goal_epsilon.unwrap(),
        "{seen} passes the goal"
    );
    let delta = Delta::new(privacy.delta.unwrap()).unwrap();
    let planned: u32 = kinds.iter().map(|(_, count)| count).sum();
    for (charges, party) in ledgers(done).iter().zip(&done.report.parties) {
        for (kind, count) in kinds {
            let found = charges.iter().filter(|charge| charge.kind == *kind).count();
            assert_eq!(found, *count as usize, "{kind} of {}", party.name);
        }
        assert_eq!(charges.len(), planned as usize);
        let mut places: Vec<_> = charges.iter().map(|one| (one.epoch, one.round)).collect();
        places.dedup();
        assert_eq!(places.len(), charges.len(), "an exchange was charged twice");
        let spent = [Side::Training, Side::HoldOut].map(|side| {
            let total = accountant_of(charges, side).unwrap();
            total.epsilon(delta).unwrap().0.get()
        });
        let most = spent[0].max(spent[1]);
        assert!(seen >= most, "the report says {seen}, a ledger {most}");
        assert!(party.epsilon_charged.unwrap() >= most);
        assert!(party.epsilon_charged.unwrap() <= seen);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_predicted_in_its_own_unit() {
    let desk = Desk::new(RADIUS);
    let done = desk.run(&[]).await;
    let report = &done.report;
    assert_eq!(report.outcome, Outcome::Finished);
    let rmse = report.metrics.rmse.unwrap();
    // Radii lie between 7 and 28 with a deviation of 3.5.
    assert!((0.05..1.5).contains(&rmse), "{rmse}");
    assert!(report.metrics.mae.unwrap() <= rmse);
    assert!(report.metrics.r2.unwrap() > 0.8);
    assert_eq!(report.metrics.accuracy, None);
    let exact = federated(report).rmse.unwrap();
    assert!(
        (rmse - exact).abs() < 1e-3 * exact,
        "{rmse}, exactly {exact}"
    );
    let majority = report.baselines.as_ref().unwrap().majority.rmse.unwrap();
    assert!((2.0..5.0).contains(&majority), "{majority}");
    assert!(report.privacy.epsilon.is_none() && !report.data.noised);
    assert!(
        report
            .insecure
            .iter()
            .any(|text| text.contains("exact sums"))
    );
    assert!(
        ledgers(&done).iter().all(Vec::is_empty),
        "charged without a goal"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_predicted_under_a_goal() {
    let desk = Desk::new(RADIUS);
    let done = desk.run(&[GOAL[0], GOAL[1], "training.rounds=30"]).await;
    let report = &done.report;
    assert!(report.metrics.noised && report.data.noised);
    let exact = federated(report).rmse.unwrap();
    let majority = report.baselines.as_ref().unwrap().majority.rmse.unwrap();
    assert!(exact < majority, "{exact}, and the mean gives {majority}");
    let kinds = [
        ("survey", 0),
        ("statistics", 1),
        ("training", 30),
        ("evaluation", 5),
        ("final evaluation", 1),
    ];
    check_ledgers(&done, &kinds);
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_at_the_party_keeps_the_goal_over_several_steps() {
    let desk = Desk::new(TUMOURS);
    let local = ["privacy.noise=\"local\"", "training.local_steps=3"];
    let done = desk.run(&[GOAL[0], GOAL[1], local[0], local[1]]).await;
    let privacy = &done.report.privacy;
    assert_eq!(privacy.noise.as_deref(), Some("local"));
    assert_eq!(privacy.steps, Some(18), "six rounds of three steps");
    beats_majority(&done.report);
    let kinds = [
        ("statistics", 1),
        ("training", 6),
        ("evaluation", 1),
        ("final evaluation", 1),
    ];
    check_ledgers(&done, &kinds);
    let ledgers = ledgers(&done);
    let mut training = ledgers
        .iter()
        .flatten()
        .filter(|charge| charge.kind == "training");
    assert!(
        training.all(|charge| charge.count == 3),
        "every step is charged (FT-06)"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_from_an_earlier_model() {
    let desk = Desk::new(TUMOURS);
    let first = desk
        .run(&["training.rounds=12", "evaluation.every=1"])
        .await;
    let curve = |done: &Done| -> Vec<f64> {
        let points = done.report.curve.iter();
        points.map(|point| point.loss.unwrap()).collect()
    };
    let start = format!("model.start={:?}", first.folder.display().to_string());
    let second = desk
        .run(&[&start, "training.rounds=2", "evaluation.every=1"])
        .await;
    let (begun, ended, went_on) = (
        curve(&first)[0],
        *curve(&first).last().unwrap(),
        curve(&second)[0],
    );
    assert!(
        ended < begun - 0.03,
        "{begun} to {ended}: nothing to go on from"
    );
    assert!(
        (went_on - ended).abs() < (begun - ended) / 3.0,
        "{begun} to {ended}, then {went_on}"
    );

    let fewer = "data.features=[\"mean_radius\", \"mean_texture\"]";
    let text = desk.refused(&[&start, fewer]).await;
    assert!(text.contains("other inputs than this job"), "{text}");
    // As many columns, one of them another.
    let other = "data.features=[\"mean_radius\", \"mean_texture\", \"mean_area\", \"mean_concavity\", \"worst_radius\", \"worst_area\"]";
    let text = desk.refused(&[&start, other]).await;
    assert!(text.contains("other inputs than this job"), "{text}");
    desk.refused(&[&start, "model.kind=\"mlp\""]).await;
    let text = desk.refused(&["model.start=\"nowhere\""]).await;
    assert!(text.contains("nowhere"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_training_learns_and_says_so() {
    let desk = Desk::new(TUMOURS);
    let plain = desk.run(&[]).await;
    beats_majority(&plain.report);
    let again = desk.run(&[]).await;
    assert_eq!(
        plain.report.metrics, again.report.metrics,
        "the seed repeats a run"
    );
    let plain_model = ModelFile::load(&plain.folder).unwrap();
    let variants: [&[&str]; 6] = [
        &[
            "training.server_optimiser=\"fedadam\"",
            "training.server_learning_rate=0.1",
        ],
        &["training.proximal=1.0", "training.local_epochs=3"],
        &["training.class_weights=\"balanced\""],
        &["training.optimiser=\"adam\"", "training.learning_rate=0.02"],
        &["prepare.scale=\"minmax\"", "training.learning_rate=0.5"],
        &["model.l2=0.1"],
    ];
    for set in variants {
        let done = desk.run(set).await;
        assert_eq!(done.report.outcome, Outcome::Finished, "{set:?}");
        beats_majority(&done.report);
        assert!(done.report.metrics.auc.unwrap() > 0.9, "{set:?}");
        let model = ModelFile::load(&done.folder).unwrap();
        assert_ne!(
            model.model.params(),
            plain_model.model.params(),
            "{set:?} has no effect"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn minmax_uses_the_public_bounds() {
    let desk = Desk::new(TUMOURS);
    let set = ["prepare.scale=\"minmax\"", "training.rounds=1"];
    let model = ModelFile::load(&desk.run(&set).await.folder).unwrap();
    let columns = &model.header.preparation.columns;
    let ColumnPrep::Numeric { name, scale, .. } = &columns[0] else {
        panic!("a number became a category");
    };
    assert_eq!(name, "mean_radius");
    assert_eq!(*scale, NumericScale::MinMax { lo: 0.0, hi: 40.0 });
    // A range that nobody declared would be taken from the data.
    let open = "prepare.bounds={ mean_texture = [0, 60] }";
    let text = desk.refused(&[set[0], open]).await;
    assert!(
        text.contains("needs the public range of column \"mean_radius\""),
        "{text}"
    );
    let text = desk.refused(&[GOAL[0], GOAL[1], open]).await;
    assert!(
        text.contains("mean_radius") && text.contains("[prepare.bounds]"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_perceptron_with_tanh_learns() {
    let desk = Desk::new(TUMOURS);
    let set = [
        "model.kind=\"mlp\"",
        "model.hidden=[8]",
        "model.activation=\"tanh\"",
    ];
    let done = desk.run(&set).await;
    assert_eq!(done.report.model.shape, "mlp 6-8-1 (tanh)");
    assert_eq!(done.report.model.parameters, 6 * 8 + 8 + 8 + 1);
    beats_majority(&done.report);
    reloads(&desk, &set, &done);
}

#[tokio::test(flavor = "multi_thread")]
async fn early_stopping_keeps_the_best_model() {
    let desk = Desk::new(TUMOURS);
    let stop = "evaluation.early_stop={ metric = \"accuracy\", patience = 2 }";
    let goal: [&[&str]; 2] = [&[], &GOAL];
    for goal in goal {
        let set = [&[stop, "evaluation.every=1", "training.rounds=60"], goal].concat();
        let done = desk.run(&set).await;
        let report = &done.report;
        assert_eq!(report.outcome, Outcome::StoppedEarly);
        assert!(report.rounds < report.rounds_planned);
        let accuracies = report.curve.iter().map(|point| point.accuracy.unwrap());
        let best = accuracies.fold(f64::NEG_INFINITY, f64::max);
        if goal.is_empty() {
            assert_eq!(report.metrics.accuracy, Some(best));
        } else {
            // Measured anew, with less noise: within what the goal's noise does to some 140 rows.
            assert!((report.metrics.accuracy.unwrap() - best).abs() < 0.5);
            // Every round that was run is charged, also those after the one whose model is kept.
            let rounds = u32::try_from(report.privacy.steps.unwrap()).unwrap();
            assert!(rounds > report.rounds);
            let kinds = [
                ("training", rounds),
                ("statistics", 1),
                ("evaluation", rounds),
                ("final evaluation", 1),
            ];
            check_ledgers(&done, &kinds);
        }
    }
}

/// Sixty rows of two columns and a label that follows from them; with gaps in `b`, and each row `times` times.
fn party_table(party: usize, times: usize) -> String {
    let mut text = String::from("a,b,y\n");
    for row in 0..60 {
        let (a, b) = (row * 7 % 60, (row * 11 + party) % 60);
        let answer = if a + b > 60 { "yes" } else { "no" };
        let b = if row % 10 == party {
            String::new()
        } else {
            b.to_string()
        };
        for _ in 0..times {
            writeln!(text, "{a}.{party},{b},{answer}").unwrap();
        }
    }
    text
}

const GAPS: &str = r#"
[job]
name = "gaps"
insecure_seed = 5

[data]
table = "unused.csv"
label = "y"
classes = ["no", "yes"]

[prepare.bounds]
a = [0, 60]
b = [0, 60]

[model]
kind = "logistic"

[training]
rounds = 5
"#;

#[tokio::test(flavor = "multi_thread")]
async fn gaps_and_repeated_rows_are_treated_as_the_job_says() {
    let desk = Desk::new(GAPS);
    let tables = |times: usize| -> Vec<PathBuf> {
        (0..3)
            .map(|party| {
                let path = desk.path(&format!("{times}-party-{party}.csv"));
                fs::write(&path, party_table(party, times)).unwrap();
                path
            })
            .collect()
    };
    let run = async |times, set: &[&str]| {
        let source = Source {
            party_data: tables(times),
            vault_key: None,
            ..desk.source(set)
        };
        simulate(source, desk.path("runs")).await
    };
    let rows = |done: &Done| (done.report.data.rows_train + done.report.data.rows_test).round();
    let once = run(1, &["prepare.missing=\"indicator\""]).await.unwrap();
    assert_eq!(
        once.report.model.features,
        ["a", "a=(missing)", "b", "b=(missing)"]
    );
    assert_eq!(rows(&once), 180.0);
    beats_majority(&once.report);
    let twice = run(2, &["prepare.missing=\"indicator\""]).await.unwrap();
    assert_eq!(rows(&twice), 360.0, "equal rows stay");
    let set = [
        "prepare.missing=\"indicator\"",
        "prepare.duplicates=\"drop\"",
    ];
    let dropped = run(2, &set).await.unwrap();
    assert_eq!(rows(&dropped), 180.0, "equal rows of a party count once");
    assert_eq!(dropped.report.metrics, once.report.metrics);
    let complete = run(1, &["prepare.missing=\"drop\""]).await.unwrap();
    assert_eq!(rows(&complete), 162.0, "a row in ten has a gap");
    let Err(error) = run(1, &["prepare.missing=\"refuse\""]).await else {
        panic!("a gap was accepted");
    };
    let text = error.to_string();
    assert!(
        text.contains("1-party-0.csv:2") && text.contains("\"b\""),
        "{text}"
    );
    // Whether a record has a gap must not show (PR-07).
    let Err(error) = run(1, &["prepare.missing=\"refuse\"", GOAL[0], GOAL[1]]).await else {
        panic!("a refusal that tells of a record was accepted");
    };
    assert!(
        error
            .to_string()
            .contains("cannot stand under a privacy goal"),
        "{error}"
    );
}

/// The credit example, cut to two rounds.
const CREDIT: [&str; 3] = [
    "data.table=\"consumer_credit.csv\"",
    "training.rounds=2",
    "job.insecure_seed=5",
];

fn credit() -> Desk {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/credit/job.toml");
    let desk = Desk::new(&fs::read_to_string(example).unwrap());
    let table = "consumer_credit.csv";
    fs::copy(data(table), desk.path(table)).unwrap();
    desk
}

/// The hold-out rows of all parties as one table.
fn hold_out(federation: &Federation) -> String {
    let columns = &federation.parties[0].rows.hold_out;
    let names: Vec<&str> = columns.iter().map(RawColumn::name).collect();
    let mut text = names.join(",") + "\n";
    for party in &federation.parties {
        let columns = &party.rows.hold_out;
        for row in 0..columns[0].len() {
            let cells: Vec<String> = columns
                .iter()
                .map(|column| column.category(row).unwrap_or_default().into_owned())
                .collect();
            text += &(cells.join(",") + "\n");
        }
    }
    text
}

/// The saved model says of the hold-out rows exactly what the report says of it.
fn reloads(desk: &Desk, set: &[&str], done: &Done) {
    let federation = Federation::load(&desk.source(set)).unwrap();
    let table = desk.path("hold_out.csv");
    fs::write(&table, hold_out(&federation)).unwrap();
    let file = ModelFile::load(&done.folder).unwrap();
    assert_eq!(file.input_names(), done.report.model.features);
    let predicted = predict(&file, &table).unwrap();
    assert_eq!(predicted.unknown_labels, 0);
    assert_eq!(predicted.metrics.unwrap(), *federated(&done.report));
}

#[tokio::test(flavor = "multi_thread")]
async fn categories_are_found_together_and_the_model_keeps_them() {
    let desk = credit();
    let done = desk.run(&CREDIT).await;
    let features = &done.report.model.features;
    assert!(
        features.iter().any(|name| name == "home=rent"),
        "{features:?}"
    );
    assert!(
        features.iter().any(|name| name == "income=(missing)"),
        "{features:?}"
    );
    assert!(
        features.iter().all(|name| !name.contains("#")),
        "{features:?}"
    );
    reloads(&desk, &CREDIT, &done);
}

/// PR-09, with a goal and without: the saved table, its indices and the slot key say of every row what the job said.
#[tokio::test(flavor = "multi_thread")]
async fn embedded_categories_are_kept_by_the_model() {
    let desk = credit();
    let mlp = "model={kind=\"mlp\", hidden=[8], embeddings={home=3, job=2}}";
    for goal in [&[][..], &GOAL] {
        let set = [&CREDIT[..], &[mlp], goal].concat();
        let done = desk.run(&set).await;
        let features = &done.report.model.features;
        assert!(features.iter().any(|name| name == "home"), "{features:?}");
        assert!(done.report.model.shape.contains("tables home "));
        reloads(&desk, &set, &done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_category_stands_for_two_honest_parties_whoever_colludes() {
    let desk = Desk::new(&GAPS.replace("b = [0, 60]\n", ""));
    let party_data: Vec<PathBuf> = (0..4)
        .map(|party| {
            let mut text = String::from("a,b,y\n");
            for row in 0..40 {
                let kind = match (row % 3, party) {
                    (0, 0 | 1) => "pair",
                    (1, 0) => "lonely",
                    _ => "all",
                };
                let answer = if row % 2 == 0 { "yes" } else { "no" };
                writeln!(text, "{row},{kind},{answer}").unwrap();
            }
            let path = desk.path(&format!("party-{party}.csv"));
            fs::write(&path, text).unwrap();
            path
        })
        .collect();
    let cases: [(&[&str], &[&str]); 3] = [
        (
            &["protection.colluders=0"],
            &["b=(other)", "b=all", "b=pair"],
        ),
        (&["protection.colluders=1"], &["b=(other)", "b=all"]),
        (
            &["protection.colluders=0", "prepare.min_parties=3"],
            &["b=(other)", "b=all"],
        ),
    ];
    for (set, expected) in cases {
        let source = Source {
            party_data: party_data.clone(),
            vault_key: None,
            ..desk.source(set)
        };
        let report = simulate(source, desk.path("runs")).await.unwrap().report;
        let mut features = report.model.features.clone();
        features.retain(|name| name.starts_with('b'));
        features.sort();
        assert_eq!(features, expected, "{set:?} (PR-04)");
        let notes = report.notes.join("\n");
        assert!(
            notes.contains("Column `b`:") && !notes.contains("lonely"),
            "{notes}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_party_is_charged_no_more_than_the_report_says() {
    let desk = Desk::new(&TUMOURS.replace("parties = 3", "parties = 4"));
    let faults = desk.path("faults.toml");
    fs::write(
        &faults,
        "[[fault]]\nparty = \"party-2\"\nkind = \"drop\"\nfrom_round = 3\nuntil_round = 5\n",
    )
    .unwrap();
    let source = desk.source(&GOAL);
    let done = simulate_with(source, desk.path("runs"), Some(faults))
        .await
        .unwrap();
    assert_eq!(done.report.rounds, 6, "one party may be lost");
    let seen = done.report.privacy.epsilon_coordinator.unwrap();
    let charged: Vec<f64> = done
        .report
        .parties
        .iter()
        .map(|party| party.epsilon_charged.unwrap())
        .collect();
    assert!(
        charged.iter().all(|epsilon| *epsilon <= seen),
        "{charged:?} above {seen}"
    );
    let counts: Vec<usize> = ledgers(&done).iter().map(Vec::len).collect();
    assert!(
        counts[1] < counts[0] && counts[0] == counts[3],
        "{counts:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_goal_category_names_stay_unknown() {
    let desk = credit();
    let set = [CREDIT[0], CREDIT[1], CREDIT[2], GOAL[0], GOAL[1]];
    let done = desk.run(&set).await;
    let kinds = [
        ("survey", 1),
        ("statistics", 1),
        ("training", 2),
        ("evaluation", 0),
        ("final evaluation", 1),
    ];
    check_ledgers(&done, &kinds);
    let page = fs::read_to_string(done.folder.join("report.json")).unwrap();
    assert!(
        !page.contains("rent"),
        "a name that is not in the job (PR-01)"
    );
    let file = ModelFile::load(&done.folder).unwrap();
    assert!(file.header.slot_names.is_empty() && file.header.slot_key.is_some());
    reloads(&desk, &set, &done);
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_are_found_together_without_a_goal_alone() {
    let desk = Desk::new(&TUMOURS.replace("classes = [\"benign\", \"malignant\"]\n", ""));
    let done = desk.run(&[]).await;
    let mut classes = done.report.model.classes.clone();
    classes.sort();
    assert_eq!(classes, ["benign", "malignant"]);
    beats_majority(&done.report);
    reloads(&desk, &[], &done);
    let text = desk.refused(&GOAL).await;
    assert!(
        text.contains("must be public under a privacy goal"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_have_names_of_their_own() {
    let desk = credit();
    let done = desk.run(&CREDIT).await;
    // One kind of home in the table is called "other".
    let features = &done.report.model.features;
    let distinct: BTreeSet<&String> = features.iter().collect();
    assert_eq!(distinct.len(), features.len(), "{features:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_too_few_parties_hold_lends_no_name() {
    // So many values in so few slots that some slot holds one of each sort.
    let desk = Desk::new(&GAPS.replace("b = [0, 60]\n", ""));
    let table = |party: usize| {
        let mut text = String::from("a,b,y\n");
        for row in 0..80 {
            let sort = if row % 2 == 0 || party > 1 {
                "all"
            } else {
                "pair"
            };
            let answer = if row % 4 < 2 { "yes" } else { "no" };
            writeln!(text, "{row},{sort}-{},{answer}", row / 2).unwrap();
        }
        text
    };
    let source = Source {
        party_data: (0..4)
            .map(|party| write_table(&desk, party, &table(party)))
            .collect(),
        ..desk.source(&["protection.colluders=1", "prepare.slots=256"])
    };
    let done = simulate(source, desk.path("runs")).await.unwrap();
    let features = &done.report.model.features;
    assert!(features.iter().any(|name| name.contains("all-")));
    let named = features.iter().find(|name| name.contains("pair-"));
    assert_eq!(
        named, None,
        "two parties hold it, and one of them may collude (PR-04)"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_refusal_of_rare_classes_names_the_true_number() {
    let desk = Desk::new(&GAPS.replace("classes = [\"no\", \"yes\"]\n", ""));
    let table = |party: usize| {
        let mut text = String::from("a,b,y\n");
        for row in 0..40 {
            let answer = if party < 2 && row % 2 == 0 {
                "yes"
            } else {
                "no"
            };
            writeln!(text, "{row},{},{answer}", row * 7 % 40).unwrap();
        }
        text
    };
    let source = Source {
        party_data: (0..3)
            .map(|party| write_table(&desk, party, &table(party)))
            .collect(),
        ..desk.source(&["protection.colluders=1"])
    };
    let Err(error) = simulate(source, desk.path("runs")).await else {
        panic!("a class that two parties hold was kept, and one of them may collude (PR-04)");
    };
    let text = error.to_string();
    assert!(
        text.contains("fewer than two classes") && text.contains("at least 3 parties"),
        "{text}"
    );
}

fn write_table(desk: &Desk, party: usize, text: &str) -> PathBuf {
    let path = desk.path(&format!("party-{party}.csv"));
    fs::write(&path, text).unwrap();
    path
}
