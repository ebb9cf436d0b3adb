//! `lepton predict` and `lepton model show`.

use crate::support::{Desk, SMALL, example, example_table, table};

fn trained() -> Desk {
    let desk = Desk::small();
    desk.call(&[
        "run",
        "job.toml",
        "--run-dir",
        "out",
        "--set",
        "training.rounds=20",
    ])
    .fine();
    desk
}

#[test]
fn predictions_come_as_csv_with_a_probability_for_each_class() {
    let desk = trained();
    let done = desk.call(&["predict", "--model", "out", "data.csv"]).fine();
    let mut lines = done.stdout.lines();
    // Classes that no job listed come in the order of their hidden slots, anew in each run.
    let yes_last = lines.next() == Some("row,prediction,p_no,p_yes");
    assert!(yes_last || done.stdout.starts_with("row,prediction,p_yes,p_no\n"));
    assert_eq!(lines.clone().count(), 60);
    for (number, line) in (1..).zip(lines) {
        let cells: Vec<&str> = line.split(',').collect();
        let (first, last): (f64, f64) = (cells[2].parse().unwrap(), cells[3].parse().unwrap());
        let (no, yes) = if yes_last {
            (first, last)
        } else {
            (last, first)
        };
        assert_eq!(cells[0], number.to_string());
        assert_eq!(cells[1], if yes > no { "yes" } else { "no" });
        assert!((no + yes - 1.0).abs() < 1e-5);
    }
    assert!(
        done.stderr
            .starts_with("60 of 60 rows predicted, written to standard output\n")
    );
    assert!(
        done.stderr
            .contains("against the label column (60 rows): accuracy ")
    );
    assert!(
        done.stderr
            .contains("Rows and predictions stayed on this machine.")
    );
}

#[test]
fn a_label_is_not_needed_and_other_columns_do_not_matter() {
    let desk = trained();
    let whole = desk
        .call(&["predict", "--model", "out/model", "data.csv"])
        .fine()
        .stdout;
    let rows = table(60);
    let text = rows.lines().enumerate().map(|(line, row)| {
        let (features, _) = row.rsplit_once(',').unwrap();
        // A column that nobody declared, of numbers with one slip: no matter, the model does not read it.
        let more = if line == 0 {
            "more"
        } else if line == 30 {
            "oops"
        } else {
            "1"
        };
        format!("{more},{features}\n")
    });
    desk.write("bare.csv", text.collect::<String>());
    let done = desk
        .call(&[
            "predict",
            "--model",
            "out/model",
            "bare.csv",
            "--out",
            "p.csv",
        ])
        .fine();
    assert_eq!((done.stdout.as_str(), desk.read("p.csv")), ("", whole));
    let json = desk
        .call(&["predict", "--model", "out", "bare.csv", "--json"])
        .fine()
        .json();
    assert!(json["metrics"].is_null());
}

#[test]
fn json_gives_rows_predictions_and_exact_metrics() {
    let desk = Desk::small();
    let run = desk
        .call(&["run", &example(), "--run-dir", "out", "--json"])
        .fine()
        .json();
    desk.write("all.csv", example_table());
    let json = desk
        .call(&["predict", "--model", "out", "all.csv", "--json"])
        .fine()
        .json();
    let predictions = json["predictions"].as_array().unwrap();
    assert_eq!((json["rows"].as_u64(), predictions.len()), (Some(569), 569));
    assert_eq!(
        (&predictions[0]["row"], &predictions[0]["prediction"]),
        (&1.into(), &"malignant".into())
    );
    assert!(
        predictions[0]["probabilities"]["malignant"]
            .as_f64()
            .unwrap()
            > 0.9
    );
    // Counted here once more, from the table's last column.
    let labels: Vec<String> = example_table()
        .lines()
        .skip(1)
        .map(|line| line.rsplit(',').next().unwrap().to_owned())
        .collect();
    let right = labels
        .iter()
        .zip(predictions)
        .filter(|(label, found)| found["prediction"] == label.as_str())
        .count();
    assert!((json["metrics"]["accuracy"].as_f64().unwrap() - right as f64 / 569.0).abs() < 1e-12);
    assert!(run["metrics"]["accuracy"].as_f64().unwrap() > 0.9 && right > 530);
}

#[test]
fn rows_left_out_are_listed_without_a_prediction() {
    let desk = Desk::small();
    desk.call(&[
        "run",
        "job.toml",
        "--run-dir",
        "out",
        "--set",
        "prepare.missing=drop",
    ])
    .fine();
    desk.write("gaps.csv", "a,b\n1,2\n,2\n3,4\n");
    let done = desk.call(&["predict", "--model", "out", "gaps.csv"]).fine();
    assert_eq!(done.stdout.lines().nth(2), Some("2,,,"));
    assert!(done.stderr.starts_with("2 of 3 rows predicted"));
    let json = desk
        .call(&["predict", "--model", "out", "gaps.csv", "--json"])
        .fine()
        .json();
    assert!(json["predictions"][1]["prediction"].is_null());
}

#[test]
fn a_regression_predicts_in_the_labels_own_unit() {
    let desk = Desk::small();
    let rows: String = (0..120)
        .map(|i| {
            format!(
                "{},{},{}\n",
                i % 17,
                i % 11,
                5000 + 300 * (i % 17) - 200 * (i % 11)
            )
        })
        .collect();
    desk.write("data.csv", format!("a,b,y\n{rows}"));
    desk.write("job.toml", SMALL.replace("logistic", "linear"));
    desk.call(&[
        "run",
        "job.toml",
        "--run-dir",
        "out",
        "--set",
        "training.rounds=60",
        "--set",
        "training.learning_rate=0.1",
    ])
    .fine();
    let done = desk.call(&["predict", "--model", "out", "data.csv"]).fine();
    let mut lines = done.stdout.lines();
    assert_eq!(lines.next(), Some("row,prediction"));
    let first: f64 = lines
        .next()
        .unwrap()
        .split(',')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    assert!((first - 5000.0).abs() < 300.0, "{first}");
    let metrics = desk
        .call(&["predict", "--model", "out", "data.csv", "--json"])
        .fine()
        .json()["metrics"]
        .clone();
    let rmse = metrics["rmse"].as_f64().unwrap();
    assert!(rmse > 1.0 && rmse < 300.0, "{rmse}");
    assert!(metrics["r2"].as_f64().unwrap() > 0.9);
    let shown = desk.call(&["model", "show", "out"]).fine().stdout;
    assert!(
        shown.starts_with("small: a linear model\n") && shown.contains("predicts    `y`, a number"),
        "{shown}"
    );
}

#[test]
fn labels_that_the_model_does_not_know_are_told() {
    let desk = trained();
    desk.write("new.csv", "a,b,y\n5,5,yes\n-5,-5,no\n1,1,perhaps\n");
    let done = desk.call(&["predict", "--model", "out", "new.csv"]).fine();
    assert!(
        done.stderr.contains(
            "rows with a label that is none of the model's classes, not in the metrics: 1"
        ),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("against the label column (2 rows)"));
}

#[test]
fn bad_input_is_refused() {
    let desk = trained();
    desk.write("misspelt.csv", "A,bb\n1,2\n");
    desk.call(&["predict", "--model", "out", "misspelt.csv"])
        .refused(
            1,
            &["misspelt.csv: there is no column \"a\"; did you mean \"A\"?"],
        );
    desk.write("text.csv", "a,b\n1,2\nmany,2\n");
    let wanted = [
        "text.csv:3, column \"a\": \"many\" is not a finite number, and the model reads this column as numbers",
    ];
    desk.call(&["predict", "--model", "out", "text.csv"])
        .refused(1, &wanted);
    desk.write("empty.csv", "");
    desk.call(&["predict", "--model", "out", "empty.csv"])
        .refused(1, &["empty.csv: the file is empty"]);
    desk.call(&["predict", "--model", "out", "none.csv"])
        .refused(1, &["none.csv: no such file"]);
    desk.call(&["predict", "--model", "nowhere", "data.csv"])
        .refused(1, &["nowhere: there is no model.safetensors here"]);
    let call = desk.call(&[
        "predict",
        "--model",
        "out",
        "data.csv",
        "--out",
        "no/folder/p.csv",
    ]);
    call.refused(1, &["no/folder/p.csv", "cannot be written"]);
    desk.call(&["model", "show", "nowhere"]).refused(
        1,
        &["nowhere: there is no model.safetensors here; name a model folder or a run folder"],
    );
}

#[test]
fn a_missing_value_is_refused_where_the_job_refused_it() {
    let desk = Desk::small();
    desk.call(&[
        "run",
        "job.toml",
        "--run-dir",
        "out",
        "--set",
        "prepare.missing=refuse",
    ])
    .fine();
    desk.write("gaps.csv", "a,b\n1,2\n,2\n");
    desk.call(&["predict", "--model", "out", "gaps.csv"])
        .refused(1, &["gaps.csv:3, column \"a\": the value is missing, and the model was trained on complete rows"]);
}

#[test]
fn damaged_models_are_refused() {
    let desk = trained();
    let bytes = std::fs::read(desk.path("out/model/model.safetensors")).unwrap();
    let mut changed = bytes.clone();
    changed[..8].fill(0xff);
    for damaged in [
        &b""[..],
        b"lepton",
        &bytes[..bytes.len() - 3],
        &bytes[..40],
        &changed,
    ] {
        desk.write("out/model/model.safetensors", damaged);
        for arguments in [
            &["model", "show", "out"][..],
            &["predict", "--model", "out", "data.csv"],
        ] {
            desk.call(arguments).refused(
                1,
                &["model.safetensors: ", "write it again with `lepton run`"],
            );
        }
    }
}

#[test]
fn a_model_is_shown_in_words_and_as_json() {
    let desk = trained();
    let shown = desk.call(&["model", "show", "out"]).fine().stdout;
    assert!(
        shown.starts_with(
            "small: a logistic model\n\nparameters  3\ninputs      2 from 2 columns\n"
        ),
        "{shown}"
    );
    for part in [
        "predicts    `y`, one of ",
        "rounds      20",
        "no privacy goal",
        "layer0.weight [1, 2]",
        "  a: number",
        "largest weights",
    ] {
        assert!(shown.contains(part), "{part:?} is not in: {shown}");
    }
    let json = desk.call(&["model", "show", "out", "--json"]).fine().json();
    assert_eq!(
        (&json["name"], &json["format"]),
        (&"small".into(), &"lepton-model/1".into())
    );
    assert_eq!(json["inputs"], serde_json::json!(["a", "b"]));
    assert!(json["slot_key"].is_null());
    assert_eq!(json["largest_weights"].as_array().unwrap().len(), 2);
}
