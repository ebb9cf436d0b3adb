//! Runs that end well.

use serde_json::Value;

use crate::support::{Desk, Done, example, example_table};

/// Parts of a report that differ between equal runs.
fn without_times(mut report: Value) -> Value {
    for part in ["timing", "run", "started"] {
        report.as_object_mut().unwrap().remove(part);
    }
    report
}

#[test]
fn a_run_leaves_model_report_and_events() {
    let desk = Desk::small();
    let done = desk.call(&["run", "job.toml", "--run-dir", "out"]).fine();
    let mut lines = done.stdout.lines().skip(1);
    assert!(lines.next().unwrap().starts_with(
        "small: 3 parties trained one model (logistic) in 3 rounds without pooling their rows ("
    ));
    assert!(done.stdout.contains("WARNING: No privacy goal is set"));
    assert!(
        done.stdout
            .ends_with("\nmodel   out/model\nreport  out/report.html\nprivacy out/privacy.json (signed; see `lepton verify`)\n")
    );
    assert!(
        done.stderr.starts_with("prepared: 2 inputs, 2 classes, "),
        "{}",
        done.stderr
    );
    let wanted = [
        "events.jsonl",
        "job.toml",
        "keys",
        "model",
        "privacy.json",
        "report.html",
        "report.json",
        "run.json",
        "state",
    ];
    assert_eq!(desk.list("out"), wanted);
    assert_eq!(
        desk.list("out/model"),
        ["model.safetensors", "model_card.md"]
    );
    assert!(
        desk.read("out/events.jsonl")
            .lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
}

#[test]
fn quiet_is_quiet() {
    let done = Desk::small().call(&["run", "job.toml", "-q"]).fine();
    assert_eq!(done.stderr, "");
}

/// Without the comparison nothing is trained beside the federation's model, and the page does not show numbers that are not there.
#[test]
fn the_comparison_can_be_left_out() {
    let desk = Desk::small();
    let asked = [
        "run",
        &example(),
        "--json",
        "--run-dir",
        "out",
        "--set",
        "training.rounds=4",
        "--no-comparison",
    ];
    let report = desk.call(&asked).fine().json();
    for of in ["pooled", "local_best"] {
        let metrics = report.pointer(&format!("/baselines/{of}")).unwrap();
        assert!(metrics["accuracy"].is_null(), "{metrics}");
    }
    for of in ["federated", "majority"] {
        let metrics = report.pointer(&format!("/baselines/{of}")).unwrap();
        assert!(metrics["accuracy"].is_f64(), "{metrics}");
    }
    assert!(report["parties"][0]["alone"].is_null());
}

#[test]
fn json_is_one_document_equal_to_the_file_with_every_promised_field() {
    let desk = Desk::small();
    let done = desk
        .call(&[
            "run",
            &example(),
            "--json",
            "--run-dir",
            "out",
            "--set",
            "training.rounds=4",
        ])
        .fine();
    let report = done.json();
    assert_eq!(report, desk.json("out/report.json"));
    for path in [
        "/metrics/accuracy",
        "/metrics/balanced_accuracy",
        "/metrics/auc",
        "/metrics/loss",
    ] {
        assert!(report.pointer(path).unwrap().is_f64(), "{path}");
    }
    for of in ["pooled", "local_best", "majority"] {
        assert!(
            report
                .pointer(&format!("/baselines/{of}/accuracy"))
                .unwrap()
                .is_f64()
        );
    }
    for path in [
        "/privacy/epsilon",
        "/privacy/delta",
        "/privacy/unit",
        "/privacy/accountant",
    ] {
        assert!(report.pointer(path).unwrap().is_null(), "{path}");
    }
    for path in ["/timing/wall_s", "/timing/train_s", "/timing/protocol_s"] {
        assert!(
            report.pointer(path).unwrap().as_f64().unwrap() > 0.0,
            "{path}"
        );
    }
    for path in ["/traffic/up_bytes", "/traffic/down_bytes"] {
        assert!(
            report.pointer(path).unwrap().as_u64().unwrap() > 0,
            "{path}"
        );
    }
    assert_eq!(report["rounds"], 4);
    assert_eq!(report["parties"].as_array().unwrap().len(), 3);
}

#[test]
fn a_privacy_goal_is_kept_and_reported() {
    let desk = Desk::small();
    let set = [
        "run",
        &example(),
        "--json",
        "--set",
        "privacy.epsilon=3",
        "--set",
        "training.rounds=10",
    ];
    let privacy = desk.call(&set).fine().json()["privacy"].clone();
    let number = |key: &str| privacy[key].as_f64().unwrap();
    assert!(
        number("epsilon") <= number("epsilon_coordinator") && number("epsilon_coordinator") <= 3.0
    );
    assert_eq!((number("goal_epsilon"), number("delta")), (3.0, 1e-5));
    assert_eq!(
        (&privacy["unit"], &privacy["accountant"]),
        (&"record".into(), &"rdp".into())
    );
}

#[test]
fn an_insecure_seed_repeats_a_run_on_any_number_of_threads() {
    let desk = Desk::small();
    for goal in [&[][..], &["--set", "privacy.epsilon=3"]] {
        let job = example();
        let mut arguments = vec![
            "run",
            &job,
            "--json",
            "--set",
            "job.insecure_seed=7",
            "--set",
            "training.rounds=5",
        ];
        arguments.extend(goal);
        let first = without_times(desk.call(&arguments).fine().json());
        let second = Done::of(
            desk.command(&[&arguments[..], &["--run-dir", "b"]].concat())
                .output()
                .unwrap(),
        )
        .fine();
        assert_eq!(first, without_times(second.json()));
        let mut alone = desk.command(&[&arguments[..], &["--run-dir", "c"]].concat());
        let alone = Done::of(alone.env("TOKIO_WORKER_THREADS", "1").output().unwrap()).fine();
        assert_eq!(first, without_times(alone.json()));
        assert!(first["insecure"].to_string().contains("insecure_seed = 7"));
        for name in ["runs", "b", "c"] {
            std::fs::remove_dir_all(desk.path(name)).unwrap();
        }
    }
}

#[test]
fn own_tables_take_the_place_of_the_jobs() {
    let desk = Desk::small();
    let text = example_table();
    let (header, rows) = text.split_once('\n').unwrap();
    let rows: Vec<&str> = rows.lines().collect();
    desk.write(
        "all.csv",
        [header, "\n", &rows[..300].join("\n"), "\n"].concat(),
    );
    let names = ["north", "south", "west", "east"];
    for (name, part) in names.iter().zip(rows.chunks(150)) {
        desk.write(
            &format!("{name}.csv"),
            [header, "\n", &part.join("\n"), "\n"].concat(),
        );
    }
    let job = example();
    let one = desk
        .call(&["run", &job, "--json", "--data", "all.csv"])
        .fine()
        .json();
    assert_eq!(
        one["data"]["rows_train"].as_f64().unwrap() + one["data"]["rows_test"].as_f64().unwrap(),
        300.0
    );
    let each = [
        "run",
        &job,
        "--json",
        "--run-dir",
        "out",
        "--party-data",
        "north.csv",
        "south.csv",
        "west.csv",
        "east.csv",
    ];
    let each = desk.call(&each).fine().json();
    let found: Vec<&str> = each["parties"]
        .as_array()
        .unwrap()
        .iter()
        .map(|party| party["name"].as_str().unwrap())
        .collect();
    assert_eq!(found, names);
    assert!(each["metrics"]["accuracy"].as_f64().unwrap() > 0.9);
}

#[test]
fn tables_with_different_columns_are_refused() {
    let desk = Desk::small();
    desk.write("other.csv", desk.read("data.csv").replace("a,b,y", "a,c,y"));
    let call = desk.call(&["run", "job.toml", "--party-data", "data.csv", "other.csv"]);
    call.refused(1, &["other.csv: its columns differ from those of"]);
    assert!(desk.list("runs").is_empty());
}

#[test]
fn a_party_lost_and_back_at_every_step_does_not_stop_the_run() {
    let desk = Desk::small();
    let fault = |at: &str, from: u32| {
        format!(
            "[[fault]]\nparty = \"party-2\"\nkind = \"drop\"\nat = \"{at}\"\nfrom_round = {from}\nuntil_round = {}\n\n",
            from + 2
        )
    };
    desk.write(
        "scenario.toml",
        fault("before_input", 2) + &fault("after_input", 6) + &fault("after_signature", 10),
    );
    let arguments = [
        "run",
        &example(),
        "--json",
        "--scenario",
        "scenario.toml",
        "--set",
        "protection.colluders=0",
        "--set",
        "protection.drops=1",
        "--set",
        "training.rounds=14",
    ];
    let report = desk.call(&arguments).fine().json();
    assert_eq!(report["rounds"], 14);
    let missed: Vec<u64> = report["parties"]
        .as_array()
        .unwrap()
        .iter()
        .map(|party| party["sums_missed"].as_u64().unwrap())
        .collect();
    assert!(
        missed[0] == 0 && missed[1] >= 4 && missed[2] == 0,
        "{missed:?}"
    );
}

#[test]
fn a_party_lost_for_good_without_spare_ends_the_run_resumably() {
    let desk = Desk::small();
    desk.write(
        "scenario.toml",
        "[[fault]]\nparty = \"party-2\"\nkind = \"drop\"\nfrom_round = 2\n",
    );
    let done = desk.call(&[
        "run",
        "job.toml",
        "--run-dir",
        "out",
        "--scenario",
        "scenario.toml",
    ]);
    done.refused(
        1,
        &[
            "2 of 3 parties are left and each sum needs 3",
            "bring parties back and resume the run",
        ],
    );
    assert!(!desk.path("out/report.json").exists());
    desk.write("scenario.toml", "");
    desk.call(&["run", "--resume", "out"]).fine();
}
