//! Category columns as trained vectors, from the job file to predictions (rules PR-09 and FT-26).
#![cfg(unix)]

use std::path::Path;

use serde_json::Value;

use crate::interrupted::in_a_slow_round_of;
use crate::support::Desk;

fn file(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join(name).display().to_string()
}

/// Customers with their states, each state two numbers.
fn states() -> String {
    file("examples/churn_states/embeddings.toml")
}

/// Columns with their categories found together, two of them embedded, missing values as a category of their own.
const FOUND: [&str; 4] = [
    "--set",
    "model={kind=\"mlp\",hidden=[8],embeddings={home=3,job=2}}",
    "--set",
    "training.rounds=6",
];

const GOAL: [&str; 4] = [
    "--set",
    "privacy.epsilon=3",
    "--set",
    "training.sampling_rate=0.5",
];

fn run(desk: &Desk, job: &str, more: &[&str]) -> Value {
    let fixed = ["run", job, "--run-dir", "out", "--no-comparison", "--json"];
    desk.call(&[&fixed[..], more].concat()).fine().json()
}

fn auc(report: &Value) -> f64 {
    report["baselines"]["federated"]["auc"].as_f64().unwrap()
}

/// The table's first row once for each of these states.
fn rows(states: &[&str]) -> String {
    let table = std::fs::read_to_string(file("data/churn_states.csv")).unwrap();
    let mut lines = table.lines();
    let head = lines.next().unwrap();
    let (_, rest) = lines.next().unwrap().split_once(',').unwrap();
    let rows = states.iter().map(|state| format!("{state},{rest}\n"));
    format!("{head}\n{}", rows.collect::<String>())
}

/// The probability of each row of `csv`.
fn probabilities(desk: &Desk, csv: &str) -> Vec<String> {
    desk.write("rows.csv", csv);
    let done = desk.call(&["predict", "--model", "out", "rows.csv"]).fine();
    let rows = done.stdout.lines().skip(1);
    rows.map(|row| row.rsplit(',').next().unwrap().to_owned())
        .collect()
}

#[test]
fn a_job_with_embedded_states_trains_predicts_and_says_so() {
    let desk = Desk::small();
    let set = [
        "--set",
        "training.rounds=15",
        "--set",
        "job.insecure_seed=4",
    ];
    let report = run(&desk, &states(), &set);
    let model = &report["model"];
    assert_eq!(model["kind"], "mlp");
    // 21 other inputs and 2 numbers of the state; 51 states and "other".
    assert_eq!(model["shape"], "mlp 23-32-1 (relu), tables state 52x2");
    assert_eq!(model["parameters"], 52 * 2 + 24 * 32 + 33);
    let features = model["features"].as_array().unwrap();
    assert!(features.contains(&"state".into()), "{features:?}");
    assert!(auc(&report) > 0.8, "{}", auc(&report));
    let columns = report["importance"].as_array().unwrap();
    assert!(columns.iter().any(|one| one["column"] == "state"));
    assert!(report["scatter"]["x"].as_array().unwrap().len() > 100);
    assert!(
        desk.read("out/model/model_card.md")
            .contains("tables state 52x2")
    );

    let shown = desk.call(&["model", "show", "out"]).fine().stdout;
    for text in [
        "an mlp (32 hidden units, relu) over 1 embedding table",
        "layer0.table0 [52, 2]",
        "state: category looked up in a table, one of AL, ",
    ] {
        assert!(shown.contains(text), "{text:?} is not in {shown}");
    }
    // What nobody declared and what is missing are both "other"; states differ.
    let found = probabilities(&desk, &rows(&["KS", "ZZ", "", "NJ"]));
    assert_eq!(found[1], found[2]);
    assert!(found[0] != found[1] && found[0] != found[3] && found[1] != found[3]);
}

#[test]
fn a_goal_is_kept_over_the_tables() {
    for noise in ["distributed", "local"] {
        let desk = Desk::small();
        let noise = format!("privacy.noise={noise}");
        let more = ["--set", "training.rounds=10", "--set", &noise];
        let report = run(&desk, &states(), &[&GOAL[..], &more].concat());
        assert_eq!(report["rounds"], 10);
        let spent = report["privacy"]["epsilon_coordinator"].as_f64().unwrap();
        assert!(spent > 1.0 && spent <= 3.0, "{spent}");
        // A category that nobody trained on predicts all the same.
        assert_eq!(probabilities(&desk, &rows(&["ZZ"])).len(), 1);
    }
}

#[test]
fn found_categories_have_rows_of_their_own() {
    for goal in [&[][..], &GOAL] {
        let desk = Desk::small();
        let report = run(
            &desk,
            &file("examples/credit/job.toml"),
            &[&FOUND[..], goal].concat(),
        );
        let shown = desk.call(&["model", "show", "out", "--json"]).fine().json();
        let tensors = shown["tensors"].as_array().unwrap();
        let columns = shown["preparation"]["columns"].as_array().unwrap();
        for (table, name) in ["home", "job"].iter().enumerate() {
            let column = columns
                .iter()
                .find(|column| column["category"]["name"] == **name)
                .unwrap();
            assert_eq!(column["category"]["encoding"], "index");
            let kept = column["category"]["levels"]["slots"]["kept"].as_array();
            // The kept ones, "other" and "missing".
            let rows = kept.unwrap().len() + 2;
            assert!(rows > 4, "{rows}");
            assert_eq!(tensors[table]["name"], format!("layer0.table{table}"));
            assert_eq!(tensors[table]["shape"][0], rows);
        }
        let features = report["model"]["features"].to_string();
        assert!(features.contains("\"home\"") && !features.contains("home="));
        let least = if goal.is_empty() { 0.7 } else { 0.3 };
        assert!(auc(&report) > least, "{}", auc(&report));
    }
}

/// A killed run goes on with the table it had.
#[test]
fn a_killed_run_goes_on_with_its_tables() {
    let desk = Desk::small();
    let mut child = in_a_slow_round_of(&desk, &states(), &["--no-comparison"]);
    child.kill().unwrap();
    child.wait().unwrap();
    let report = desk
        .call(&["run", "--resume", "out", "--json"])
        .fine()
        .json();
    assert_eq!(
        report["model"]["shape"],
        "mlp 23-32-1 (relu), tables state 52x2"
    );
    assert!(report["rounds"].as_u64().unwrap() >= 59);
    assert!(auc(&report) > 0.8, "{}", auc(&report));
}

/// A table's rows belong to its categories: the same sizes with other categories are no start.
#[test]
fn a_model_goes_on_from_the_same_categories_alone() {
    let desk = Desk::small();
    let set = ["--set", "training.rounds=2"];
    run(&desk, &states(), &set);
    let start = format!("model.start={:?}", desk.path("out").display().to_string());
    let again = [
        "run",
        &states(),
        "--run-dir",
        "next",
        "--no-comparison",
        "--set",
        &start,
        "--set",
        "training.rounds=2",
    ];
    desk.call(&again).fine();
    let job = std::fs::read_to_string(states()).unwrap();
    let job = job.replace("../../data", &file("data"));
    for (from, to) in [
        ("\"AL\", \"AK\"", "\"AK\", \"AL\""),
        ("state = 2", "# none"),
    ] {
        assert!(job.contains(from));
        desk.write("other.toml", job.replace(from, to));
        let folder = format!("from-{}", from.len());
        let other = ["run", "other.toml", "--run-dir", &folder, "--set", &start];
        desk.call(&other).refused(
            2,
            &["the model to start from has other inputs than this job"],
        );
    }
}
