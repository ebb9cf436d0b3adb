//! `lepton account`.

use crate::support::{Desk, Done};

/// A usual training run.
const TRAINING: &str = r#"{"adjacency": "add-remove", "events": [{"mechanism": "gaussian", "sigma": 1.0, "poisson": 0.01, "count": 1000}]}"#;

fn ask(events: &str, flags: &[&str]) -> Done {
    let desk = Desk::small();
    desk.write("events.json", events);
    let done = desk.call(&[&["account", "events.json"], flags].concat());
    assert_eq!(desk.list(""), ["data.csv", "events.json", "job.toml"]);
    done
}

/// dp-accounting 0.6.0: rdp 2.101366525 at order 7.8, pld 1.82823674 (interval 1e-5).
#[test]
fn a_training_run_by_both_accountants() {
    let json = ask(
        TRAINING,
        &["--accountant", "rdp", "--delta", "1e-5", "--json"],
    )
    .fine()
    .json();
    let epsilon = json["epsilon"].as_f64().unwrap();
    assert!((2.10..=2.101_366_526).contains(&epsilon), "{json}");
    assert_eq!(
        (&json["accountant"], &json["delta"]),
        (&"rdp".into(), &1e-5.into())
    );
    assert_eq!(
        (&json["order"], &json["adjacency"]),
        (&7.8.into(), &"add-remove".into())
    );
    assert!(json["calibration"].is_null());
    let json = ask(TRAINING, &["--delta", "1e-5", "--json"]).fine().json();
    let epsilon = json["epsilon"].as_f64().unwrap();
    assert!((1.8282..1.8284).contains(&epsilon), "{json}");
    assert_eq!(
        (&json["accountant"], &json["order"]),
        (&"pld".into(), &serde_json::Value::Null)
    );
    let back = ask(TRAINING, &["--epsilon", &epsilon.to_string(), "--json"])
        .fine()
        .json();
    assert!(
        (back["delta"].as_f64().unwrap() / 1e-5 - 1.0).abs() < 1e-3,
        "{back}"
    );
}

#[test]
fn answers_for_people() {
    let text = ask(TRAINING, &["--delta", "1e-5", "--accountant", "rdp"])
        .fine()
        .stdout;
    assert!(text.starts_with("epsilon 2.10136"), "{text}");
    assert!(
        text.contains("at delta 1e-5 (rdp, order 7.8, add-remove)\nnote: "),
        "{text}"
    );
}

/// mpmath: sigma 3.73063163481594 for epsilon 1 at delta 1e-5.
#[test]
fn the_least_noise() {
    let events = r#"{"events": [{"mechanism": "gaussian", "sigma": 10, "sensitivity": 5}]}"#;
    let flags = [
        "--calibrate",
        "sigma",
        "--epsilon",
        "1",
        "--delta",
        "1e-5",
        "--json",
    ];
    let json = ask(events, &flags).fine().json();
    let sigma = json["calibration"]["events"][0]["sigma"].as_f64().unwrap() / 5.0;
    assert!((3.730_631_634..3.730_636).contains(&sigma), "{json}");
    assert!((json["calibration"]["factor"].as_f64().unwrap() * 2.0 - sigma).abs() < 1e-9);
    assert!(json["epsilon"].as_f64().unwrap() <= 1.0);
    let text = ask(events, &flags[..flags.len() - 1]).fine().stdout;
    assert!(
        text.contains("smallest noise: ") && text.contains("  event 1: gaussian sigma 18.653"),
        "{text}"
    );
}

#[test]
fn every_mechanism_and_adjacency() {
    let events = r#"{"adjacency": "replace-one", "events": [
        {"mechanism": "gaussian", "sigma": 8, "count": 2}, {"mechanism": "laplace", "scale": 50.0, "count": 1e1},
        {"mechanism": "discrete-gaussian", "sigma": 40, "sensitivity": 2}, {"mechanism": "discrete-laplace", "scale": 30, "sensitivity": 1, "count": 3},
        {"mechanism": "randomised-response", "probability": 0.9, "categories": 4}]}"#;
    let (rdp, pld) = (
        ask(
            events,
            &["--accountant", "rdp", "--delta", "1e-6", "--json"],
        )
        .fine()
        .json(),
        ask(
            events,
            &["--accountant", "pld", "--delta", "1e-6", "--json"],
        )
        .fine()
        .json(),
    );
    let of = |json: &serde_json::Value| json["epsilon"].as_f64().unwrap();
    assert!(
        of(&pld) < of(&rdp) && of(&rdp) < 1.2 * of(&pld),
        "{rdp} {pld}"
    );
    let nothing = ask(r#"{"events": []}"#, &["--delta", "1e-6", "--json"])
        .fine()
        .json();
    assert_eq!(nothing["epsilon"], 0.0);
}

/// dp-accounting 0.6.0: epsilon 3.7736702953 for the best of a logarithmic number of runs of mean 20.
#[test]
fn tuning() {
    let event = |law: &str| {
        format!(
            r#"{{"events": [{{"tuning": {{{law}, "events": [{{"mechanism": "gaussian", "sigma": 1.0, "poisson": 0.01, "count": 1000}}]}}}}]}}"#
        )
    };
    let logarithmic = event(r#""trials": "logarithmic", "mean": 20"#);
    let flags = ["--accountant", "rdp", "--delta", "1e-5", "--json"];
    let json = ask(&logarithmic, &flags).fine().json();
    let epsilon = json["epsilon"].as_f64().unwrap();
    assert!((3.70..3.773_68).contains(&epsilon), "{json}");
    assert!(
        json["notes"]
            .to_string()
            .contains("drawn from the stated law beforehand")
    );
    let goal = ["--calibrate", "sigma", "--epsilon", "2"];
    let json = ask(&logarithmic, &[&flags[..], &goal].concat())
        .fine()
        .json();
    let event_of = &json["calibration"]["events"][0];
    assert_eq!(event_of["mechanism"], "tuning");
    assert!(
        event_of["events"][0]["sigma"].as_f64().unwrap() > 1.2,
        "{json}"
    );
    ask(&logarithmic, &["--delta", "1e-5"]).refused(2, &["use the accountant rdp"]);
    let refused = |law: &str, text: &str| {
        ask(&event(law), &flags).refused(2, &["event 1: ", text]);
    };
    refused(
        r#""trials": "geometrik", "mean": 20"#,
        "did you mean \"geometric\"?",
    );
    refused(r#""trials": "poisson""#, "`mean` is missing");
    refused(
        r#""trials": "geometric", "mean": 1"#,
        "the mean number of trials must be from 1.001",
    );
    refused(
        r#""trials": "negative-binomial", "mean": 5"#,
        "`shape` is missing",
    );
    refused(
        r#""trials": "poisson", "mean": 5, "shape": 1"#,
        "the key `shape` is unknown",
    );
}

/// Two records of a sum without sampling are one of twice the sensitivity.
#[test]
fn groups() {
    let wide = r#"{"events": [{"mechanism": "gaussian", "sigma": 10, "sensitivity": 2}]}"#;
    let narrow = r#"{"events": [{"mechanism": "gaussian", "sigma": 10}]}"#;
    for accountant in ["rdp", "pld"] {
        let flags = ["--accountant", accountant, "--delta", "1e-5", "--json"];
        let one = ask(wide, &flags).fine().json();
        let two = ask(narrow, &[&flags[..], &["--group-size", "2"]].concat())
            .fine()
            .json();
        let ratio = two["epsilon"].as_f64().unwrap() / one["epsilon"].as_f64().unwrap();
        assert!((1.0 - 1e-12..1.0 + 1e-9).contains(&ratio), "{one} {two}");
        assert_eq!(
            (&one["group_size"], &two["group_size"]),
            (&1.into(), &2.into())
        );
    }
    let text = ask(TRAINING, &["--epsilon", "6", "--group-size", "2"])
        .fine()
        .stdout;
    assert!(text.contains("groups of 2"), "{text}");
    ask(TRAINING, &["--delta", "1e-5", "--group-size", "0"]).refused(2, &["--group-size"]);
}

#[test]
fn wrong_files_name_event_and_field() {
    let wrong = |events: &str, texts: &[&str]| {
        ask(events, &["--delta", "1e-5", "--json"]).refused(2, texts);
    };
    wrong("{", &["events.json:1: this is not JSON"]);
    wrong("[]", &["the file must hold one JSON object"]);
    wrong("{}", &["`events` must be a list"]);
    wrong(
        r#"{"event": []}"#,
        &["the key `event` is unknown; did you mean `events`?"],
    );
    wrong(
        r#"{"adjacency": "both", "events": []}"#,
        &["`adjacency` must be \"add-remove\" or \"replace-one\", but is \"both\""],
    );
    wrong(
        r#"{"events": [{"mechanism": "gausian"}]}"#,
        &["event 1: `mechanism`: \"gausian\" is unknown; did you mean \"gaussian\"?"],
    );
    let second =
        |event: &str| format!(r#"{{"events": [{{"mechanism": "laplace", "scale": 1}}, {event}]}}"#);
    wrong(
        &second(r#"{"mechanism": "gaussian", "sigm": 1}"#),
        &["event 2: the key `sigm` is unknown; did you mean `sigma`?"],
    );
    wrong(
        &second(r#"{"mechanism": "gaussian"}"#),
        &["event 2: `sigma` is missing"],
    );
    wrong(
        &second(r#"{"mechanism": "gaussian", "sigma": -1}"#),
        &["event 2: `sigma` must be greater than 0, but is -1"],
    );
    wrong(
        &second(r#"{"mechanism": "gaussian", "sigma": "1"}"#),
        &["event 2: `sigma` must be a number, but is \"1\""],
    );
    wrong(
        &second(r#"{"mechanism": "gaussian", "sigma": 1, "poisson": 1.5}"#),
        &["event 2: `poisson`: the sampling rate must be greater than 0 and at most 1"],
    );
    wrong(
        &second(r#"{"mechanism": "gaussian", "sigma": 1, "count": 1.5}"#),
        &["event 2: `count` must be a whole number from 1 to 100000000"],
    );
    wrong(
        &second(r#"{"mechanism": "laplace", "sigma": 1}"#),
        &[
            "event 2: the key `sigma` is unknown; did you mean",
            "Known are mechanism, poisson, count, scale, sensitivity",
        ],
    );
    wrong(
        &second(r#"{"mechanism": "discrete-laplace", "scale": 1, "sensitivity": 0.5}"#),
        &["event 2: `sensitivity` must be a whole number"],
    );
    wrong(
        &second(r#"{"mechanism": "randomised-response", "probability": 0.5}"#),
        &["randomised-response under add-remove", "replace-one"],
    );
}

#[test]
fn wrong_use_and_failures_have_their_codes() {
    ask(TRAINING, &["--json"]).refused(2, &["nothing is asked for"]);
    ask(TRAINING, &["--delta", "1"]).refused(
        2,
        &["--delta: delta must be greater than 0 and less than 1, but is 1"],
    );
    ask(TRAINING, &["--epsilon=-1"])
        .refused(2, &["--epsilon: epsilon must be finite and at least 0"]);
    ask(TRAINING, &["--delta", "1e-5", "--epsilon", "1"])
        .refused(2, &["leave one out, or add `--calibrate sigma`"]);
    let sampled = TRAINING.replace("add-remove", "replace-one");
    ask(&sampled, &["--delta", "1e-5", "--accountant", "rdp"])
        .refused(2, &["use the accountant pld"]);
    let desk = Desk::small();
    desk.call(&["account", "none.json", "--delta", "1e-5"])
        .refused(1, &["none.json: there is no such file"]);
    let fixed = r#"{"adjacency": "replace-one", "events": [{"mechanism": "randomised-response", "probability": 0.1}]}"#;
    ask(
        fixed,
        &[
            "--calibrate",
            "sigma",
            "--epsilon",
            "0.1",
            "--delta",
            "1e-5",
        ],
    )
    .refused(1, &["meets the goal"]);
}
