//! The report's page, its model card and the description of its JSON, from filled sample reports.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "samples are built and bent by helpers outside of test functions"
)]

use std::collections::{BTreeMap, BTreeSet};

use lepton_node::report::{model_card, render_html};
use lepton_protocol::report::{
    Baselines, CalibrationBin, CurvePoint, DataSummary, Importance, MetricsDoc, ModelSummary,
    Outcome, PartyDoc, PrivacyDoc, ProtectionDoc, ReleaseDoc, Report, Scatter, Timing, Traffic,
};
use serde_json::Value;

const JSON_DOCS: &str = include_str!("../../../docs/json.md");
const HOSTILE: &str = "<script>alert(1)</script>\"'&|`";

#[test]
fn every_sample_is_a_sound_page() {
    for (name, report) in samples() {
        let page = render_html(&report, None);
        check_page(&page).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert!(page.matches("<h2>").count() >= 5, "{name}");
        assert!(page.matches("<svg class=\"chart\"").count() >= 2, "{name}");
        for text in report
            .insecure
            .iter()
            .chain(&report.notes)
            .chain(&report.privacy.not_protected)
        {
            assert!(page.contains(&escaped(text)), "{name}: {text} is missing");
        }
        for party in &report.parties {
            assert!(
                page.contains(&escaped(&party.name)),
                "{name}: {} is missing",
                party.name
            );
        }
    }
}

#[test]
fn hostile_names_stay_text() {
    let report = hostile();
    let page = render_html(&report, None);
    check_page(&page).unwrap();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    let card = model_card(&report);
    assert!(!card.contains("<script"), "{card}");
    assert!(card.contains("&lt;script&gt;"));
    let broken = card
        .lines()
        .filter(|line| line.starts_with('|') && !line.trim_end().ends_with('|'))
        .count();
    assert_eq!(broken, 0, "a name broke a table of the card");
}

#[test]
fn the_check_of_a_page_sees_faults() {
    let good = render_html(&private(), None);
    assert!(check_page(&good).is_ok());
    let broken = [
        good.replace("</main>", ""),
        good.replace("</h1>", "</h2>"),
        good.replace("</main>", "<script>1</script></main>"),
        good.replace("</main>", "<img src='http://example.org'></main>"),
        good.replace("</main>", "<p>NaN</p></main>"),
        good.replace("href=\"#privacy\"", "href=\"#nowhere\""),
    ];
    for page in broken {
        assert!(check_page(&page).is_err());
    }
}

#[test]
fn numbers_that_are_none_show_as_dashes() {
    for report in [poisoned(), empty()] {
        let page = render_html(&report, None);
        check_page(&page).unwrap();
        assert!(page.contains('–'));
        let card = model_card(&report);
        assert!(!card.contains("NaN") && !card.contains(" inf "), "{card}");
    }
}

/// LJ-09: who joined the running job, and since when.
#[test]
fn a_party_that_joined_late_is_named_with_its_round() {
    let mut report = private();
    let page = render_html(&report, None);
    assert!(!page.contains("from round"));
    report.parties[1].joined_round = Some(7);
    let page = render_html(&report, None);
    check_page(&page).unwrap();
    let name = escaped(&report.parties[1].name);
    assert!(page.contains(&format!("{name} (from round 7 on)")));
}

#[test]
fn the_privacy_verdict_is_true() {
    let page = render_html(&private(), None);
    assert!(page.contains(
        "Five simulated parties trained a logistic model on about 5,282 rows without pooling them; accuracy 0.80, AUC 0.84"
    ));
    assert!(
        page.contains(
            "Every record is protected with epsilon ≤ 2.42, delta 1e-5 against outsiders"
        )
    );
    assert!(page.contains("epsilon ≤ 3.00 against the coordinator together with up to one party"));
    assert!(!page.contains("2.41"), "epsilon is rounded up");

    let page = render_html(&exact(), None);
    assert!(page.contains("<p class=\"verdict bad\">No privacy goal: exact sums were released."));
    assert!(!page.contains("is protected with epsilon"));

    let mut seeded = private();
    seeded.insecure = vec!["insecure_seed = 7: nothing in this run is protected.".to_owned()];
    let mut over = private();
    over.privacy.epsilon_coordinator = Some(3.01);
    let mut unbounded = private();
    unbounded.privacy.epsilon = Some(f64::INFINITY);
    for report in [seeded, over, unbounded] {
        for text in [render_html(&report, None), model_card(&report)] {
            assert!(
                text.contains("do not rely on it") && !text.contains("is protected with epsilon")
            );
        }
    }
}

/// The second epsilon is computed with one share of noise less even when nobody colludes (rule FT-05): it holds against a single curious party too.
#[test]
fn the_second_epsilon_names_whom_it_holds_against() {
    let single = "the coordinator, and against any single party";
    let mut report = private();
    assert!(!render_html(&report, None).contains(single));
    report.protection.colluders = 0;
    assert!(render_html(&report, None).contains(single));
}

/// With groups a training round opens several sums over fewer parties, with fewer shares: the page says so, and checks what they rest on.
#[test]
fn the_page_says_what_groups_mean() {
    let mut report = private();
    assert!(!render_html(&report, None).contains("t_g"));
    report.protection.groups = 3;
    report.protection.group_floor = Some(4);
    report.protection.group_threshold = Some(2);
    let page = render_html(&report, None);
    check_page(&page).unwrap();
    assert!(
        page.contains("In training rounds it learns 3 sums instead"),
        "{page}"
    );
    assert!(page.contains("c &lt; t_g ≤ f: 1 &lt; 2 ≤ 4") && page.contains("c + 2 ≤ f: 3 ≤ 4"));
    assert!(!page.contains("violated"));
    report.protection.group_floor = Some(2);
    assert!(render_html(&report, None).contains("violated: c + 2 ≤ f: 3 ≤ 2"));
}

/// Reports of earlier runs have no groups, and are read.
#[test]
fn a_report_without_groups_is_read() {
    let mut old = serde_json::to_value(exact()).unwrap();
    let protection = old["protection"].as_object_mut().unwrap();
    for key in ["groups", "group_floor", "group_threshold"] {
        assert!(protection.remove(key).is_some());
    }
    assert_eq!(serde_json::from_value::<Report>(old).unwrap(), exact());
}

#[test]
fn violated_conditions_are_called_so() {
    let mut report = private();
    assert!(!render_html(&report, None).contains("violated"));
    report.protection.quorum = 3;
    assert!(render_html(&report, None).contains("violated: 2Q &gt; n + c: 6 &gt; 6"));
}

#[test]
fn the_task_decides_how_errors_are_shown() {
    let page = render_html(&regression(), None);
    assert!(!page.contains("class=\"confusion"));
    assert!(
        page.contains("R²")
            && page.contains("Mean absolute error")
            && page.contains("Always the mean")
    );
    let page = render_html(&ten_classes(), None);
    assert!(page.contains("class=\"confusion many\""));
    assert_eq!(page.matches("<td class=\"number right").count(), 10);
}

#[test]
fn the_card_holds_nothing_but_what_is_released() {
    let mut report = private();
    report.importance[0].column = "importance-only".to_owned();
    report.parties[0].name = "party-only".to_owned();
    let card = model_card(&report);
    for section in [
        "Model details",
        "Intended use",
        "Data",
        "Metrics",
        "Privacy",
        "Limitations",
        "How to use it",
    ] {
        assert!(card.contains(&format!("## {section}\n")), "{section}");
    }
    for unreleased in [
        "party-only",
        "importance-only",
        "1,301",
        "0.871",
        "0.8555",
        "0.856",
    ] {
        assert!(!card.contains(unreleased), "{unreleased} is not released");
    }
    assert!(card.contains("lepton predict") && card.contains("safe_open"));
    assert!(
        model_card(&exact()).contains("> **Warning.** No privacy goal: exact sums were released.")
    );
}

#[test]
fn every_field_is_described_and_every_described_field_exists() {
    let mut found = BTreeMap::new();
    for (_, report) in samples() {
        collect(
            "Document",
            &serde_json::to_value(report).unwrap(),
            &mut found,
        );
    }
    assert_eq!(
        found,
        described(),
        "docs/json.md and the report differ (left: report, right: page)"
    );
}

#[test]
fn a_report_survives_json() {
    for (name, report) in samples() {
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(
            serde_json::from_str::<Report>(&text).unwrap(),
            report,
            "{name}"
        );
    }
}

// Checks of a page.

/// Balanced tags, links that lead somewhere, nothing from elsewhere, no number that is none.
fn check_page(page: &str) -> Result<(), String> {
    let lower = page.to_ascii_lowercase();
    let outside = [
        "<script",
        "http:",
        "https:",
        "javascript:",
        "url(",
        "@import",
        "<link",
        "<img",
        "<iframe",
    ];
    if let Some(found) = outside.iter().find(|forbidden| lower.contains(**forbidden)) {
        return Err(format!("{found} is in the page"));
    }
    let numbers = ["NaN", ">inf", "\"inf", ">-0<"];
    if let Some(found) = numbers.iter().find(|forbidden| page.contains(**forbidden)) {
        return Err(format!("{found} is in the page"));
    }
    let ids: BTreeSet<&str> = attributes(page, " id=\"").collect();
    if let Some(lost) = attributes(page, "href=\"#").find(|target| !ids.contains(target)) {
        return Err(format!("#{lost} leads nowhere"));
    }
    balanced(page.strip_prefix("<!DOCTYPE html>").ok_or("no doctype")?)
}

fn attributes<'a>(page: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    page.split(start)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
}

fn balanced(page: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, more) = after.split_at(tag_end(after).ok_or("a tag has no end")?);
        rest = more;
        let name = tag
            .trim_start_matches('/')
            .split_whitespace()
            .next()
            .ok_or("an empty tag")?;
        if !name.chars().all(char::is_alphanumeric) {
            return Err(format!("<{tag}> is no tag"));
        }
        if tag.starts_with('/') {
            let opened = open.pop();
            if opened != Some(name) {
                return Err(format!("</{name}> closes {opened:?}"));
            }
        } else if name != "meta" {
            open.push(name);
        }
    }
    if open.is_empty() {
        Ok(())
    } else {
        Err(format!("left open: {open:?}"))
    }
}

/// The first `>` outside of quotes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(at, letter)| {
        quoted ^= letter == '"';
        (letter == '>' && !quoted).then_some(at)
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

// Checks of the description.

type Fields = BTreeMap<String, BTreeSet<String>>;

/// Field names by the section of docs/json.md that describes them.
fn collect(section: &str, value: &Value, found: &mut Fields) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                found
                    .entry(section.to_owned())
                    .or_default()
                    .insert(name.clone());
                collect(section_of(name), inner, found);
            }
        }
        Value::Array(all) => all.iter().for_each(|inner| collect(section, inner, found)),
        _ => {}
    }
}

fn section_of(field: &str) -> &str {
    match field {
        "pooled" | "local_best" | "majority" | "federated" | "alone" => "metrics",
        other => other,
    }
}

/// The same from the page: headings, and table rows that begin with a field in backticks.
fn described() -> Fields {
    let mut found = Fields::new();
    let mut section = String::new();
    for line in JSON_DOCS.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.replace('`', "");
        } else if let Some(row) = line.strip_prefix("| `") {
            let field = row.split('`').next().unwrap_or_default().to_owned();
            assert!(
                found
                    .entry(section.clone())
                    .or_default()
                    .insert(field.clone()),
                "{section}: {field} twice"
            );
        }
    }
    found
}

// Samples.

fn samples() -> Vec<(&'static str, Report)> {
    vec![
        ("private", private()),
        ("exact", exact()),
        ("regression", regression()),
        ("ten_classes", ten_classes()),
    ]
}

const PARTIES: [&str; 5] = [
    "north-hospital",
    "south-hospital",
    "city-clinic",
    "university",
    "coast-practice",
];

/// Two classes, a privacy goal, a simulation.
fn private() -> Report {
    let parties = PARTIES;
    Report {
        format: "lepton-report/1".to_owned(),
        lepton_version: "0.1.0".to_owned(),
        name: "telecom-churn".to_owned(),
        description: Some("Which customers are about to leave, for the retention team.".to_owned()),
        run: "telecom-churn-20250301-101502".to_owned(),
        job_sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        started: "2025-03-01T10:15:02Z".to_owned(),
        outcome: Outcome::RoundsLost,
        rounds: 48,
        rounds_planned: 50,
        model: model("logistic", "logistic 16-1", &["No", "Yes"]),
        data: DataSummary {
            counted_in: "rows".to_owned(),
            label: "churn".to_owned(),
            split: "shuffled, equal parts for 5 parties".to_owned(),
            rows_train: 5281.6,
            rows_test: 1758.9,
            noised: true,
            class_counts: vec![3871.2, 1410.4],
        },
        metrics: MetricsDoc {
            noised: true,
            ..binary(0.8031, 0.8412)
        },
        curve: curve(48, true),
        baselines: Some(baselines(
            [
                (0.8055, 0.8433),
                (0.8123, 0.8555),
                (0.7911, 0.8234),
                (0.7345, 0.5),
            ]
            .map(|(accuracy, auc)| binary(accuracy, auc)),
        )),
        privacy: privacy(),
        protection: protection(),
        parties: parties
            .iter()
            .zip(0..)
            .map(|(name, at)| party(name, at))
            .collect(),
        importance: importance(),
        scatter: Some(scatter("university", 2)),
        timing: Timing {
            wall_s: 12.41,
            train_s: 2.2,
            protocol_s: 4.31,
            prepare_s: 0.55,
            evaluate_s: 0.93,
            baselines_s: 3.02,
        },
        traffic: Traffic {
            up_bytes: 4_123_456,
            down_bytes: 3_912_345,
            messages: 1_830,
        },
        insecure: vec![],
        notes: vec![
            "This run simulated the whole federation in one process.".to_owned(),
            "Rounds 12 and 31 were lost: too few parties answered.".to_owned(),
        ],
    }
}

/// The same without a goal, and with a fixed seed.
fn exact() -> Report {
    let report = private();
    Report {
        outcome: Outcome::Finished,
        rounds: 50,
        data: DataSummary { noised: false, rows_train: 5282.0, rows_test: 1761.0, class_counts: vec![3880.0, 1402.0], ..report.data },
        metrics: binary(0.8099, 0.8510),
        curve: curve(50, false),
        privacy: no_privacy(),
        parties: report.parties.into_iter().map(|party| PartyDoc { epsilon_charged: None, ..party }).collect(),
        insecure: vec![
            "insecure_seed = 7: keys, masks, samples and noise can be repeated by anybody who knows the number; nothing in this run is protected.".to_owned(),
            "No privacy goal is set: exact sums were released. The model, the metrics and the differences between rounds may reveal single records.".to_owned(),
        ],
        ..report
    }
}

fn regression() -> Report {
    let report = private();
    let metrics = |rmse: f64, noised| MetricsDoc {
        loss: Some(rmse * rmse / 2.5e7),
        rmse: Some(rmse),
        mae: Some(rmse * 0.7),
        r2: Some(1.0 - rmse * rmse / 2.5e7),
        rows: Some(1113.4),
        noised,
        ..MetricsDoc::default()
    };
    let points = report.curve.iter().map(|point| CurvePoint {
        accuracy: None,
        auc: None,
        ..*point
    });
    let parties = report.parties.iter().map(|party| PartyDoc {
        federated: Some(metrics(1900.5, false)),
        alone: Some(metrics(2210.0, false)),
        ..party.clone()
    });
    Report {
        name: "credit-amount".to_owned(),
        outcome: Outcome::StoppedEarly,
        rounds: 30,
        model: model("mlp", "mlp 16-32-1 (relu)", &[]),
        data: DataSummary {
            label: "amount".to_owned(),
            class_counts: vec![],
            ..report.data.clone()
        },
        metrics: metrics(1834.12, true),
        curve: points.filter(|point| point.round <= 30).collect(),
        baselines: Some(baselines(
            [1830.0, 1755.0, 2034.0, 5000.0].map(|rmse| metrics(rmse, false)),
        )),
        parties: parties.collect(),
        scatter: None,
        ..report
    }
}

/// Ten classes, a real federation: nothing that only a simulation knows, but one party's own picture.
fn ten_classes() -> Report {
    let report = private();
    let names: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let count = |truth: usize, at: usize| {
        if at == truth {
            41.0
        } else {
            wave(truth * 10 + at).abs() * 3.0 - 0.4
        }
    };
    let parties = report.parties.iter().map(|party| PartyDoc {
        rows_train: None,
        rows_test: None,
        federated: None,
        alone: None,
        ..party.clone()
    });
    Report {
        name: "digits".to_owned(),
        description: None,
        model: model("mlp", "mlp 64-32-10 (tanh)", &names),
        data: DataSummary {
            label: "digit".to_owned(),
            class_counts: vec![131.0; 10],
            rows_train: 1310.0,
            ..report.data.clone()
        },
        metrics: MetricsDoc {
            confusion: (0..10)
                .map(|truth| (0..10).map(|at| count(truth, at)).collect())
                .collect(),
            noised: true,
            ..binary(0.912, 0.987)
        },
        baselines: None,
        parties: parties.collect(),
        importance: vec![],
        scatter: Some(scatter("university", 10)),
        ..report
    }
}

/// Hostile text in every field that holds text.
fn hostile() -> Report {
    let mut value = serde_json::to_value(private()).unwrap();
    poison(&mut value);
    value["outcome"] = Value::from("finished");
    serde_json::from_value(value).unwrap()
}

fn poison(value: &mut Value) {
    match value {
        Value::String(text) => *text = format!("{HOSTILE}{text}\n"),
        Value::Array(all) => all.iter_mut().for_each(poison),
        Value::Object(fields) => fields.values_mut().for_each(poison),
        _ => {}
    }
}

/// NaN and infinity wherever a fraction can be, lists of unequal lengths, a class out of range.
fn poisoned() -> Report {
    let mut report = private();
    let bad = MetricsDoc {
        accuracy: Some(f64::NAN),
        auc: Some(f64::INFINITY),
        loss: Some(f64::NEG_INFINITY),
        confusion: vec![vec![f64::NAN, -2.0], vec![f64::INFINITY]],
        calibration: vec![CalibrationBin {
            predicted: f64::NAN,
            observed: 0.5,
            rows: -3.0,
        }],
        rows: Some(f64::NAN),
        ..MetricsDoc::default()
    };
    report.baselines = Some(baselines([(); 4].map(|()| bad.clone())));
    report.parties[0].alone = Some(bad.clone());
    report.metrics = bad;
    report.curve = vec![CurvePoint {
        round: 0,
        loss: Some(f64::NAN),
        accuracy: None,
        auc: Some(f64::INFINITY),
        epsilon: Some(f64::NAN),
    }];
    report.data.rows_train = f64::NAN;
    report.data.class_counts = vec![f64::NAN, -1.0];
    report.privacy.epsilon = Some(f64::NAN);
    report.privacy.releases[0].epsilon = f64::INFINITY;
    report.privacy.noise_multiplier = Some(f64::NAN);
    report.privacy.sampling_rate = Some(f64::NAN);
    report.privacy.clip = Some(f64::INFINITY);
    report.importance[0].loss_increase = f64::NAN;
    report.scatter = Some(Scatter {
        x: vec![f32::NAN, 1.0],
        y: vec![0.0, 2.0, 1.0],
        class: vec![0, u32::MAX],
        ..scatter("university", 2)
    });
    report.timing.wall_s = f64::NAN;
    report
}

/// Nothing where there may be nothing.
fn empty() -> Report {
    Report {
        metrics: MetricsDoc::default(),
        curve: vec![],
        baselines: None,
        parties: vec![],
        importance: vec![],
        scatter: Some(Scatter {
            x: vec![],
            y: vec![],
            class: vec![],
            predicted: vec![],
            ..scatter("nobody", 2)
        }),
        notes: vec![],
        model: model("unknown", "unknown", &[]),
        ..private()
    }
}

fn model(kind: &str, shape: &str, classes: &[&str]) -> ModelSummary {
    let numbers = [
        "tenure",
        "monthly_charges",
        "total_charges",
        "senior_citizen",
    ];
    let categories = ["contract", "internet_service", "payment_method"];
    let slots = categories
        .iter()
        .flat_map(|column| (0..4).map(move |slot| format!("{column}=slot-{}", 137 * slot + 12)));
    ModelSummary {
        kind: kind.to_owned(),
        shape: shape.to_owned(),
        parameters: 17,
        features: numbers
            .iter()
            .map(|name| (*name).to_owned())
            .chain(slots)
            .collect(),
        classes: classes.iter().map(|class| (*class).to_owned()).collect(),
    }
}

fn binary(accuracy: f64, auc: f64) -> MetricsDoc {
    let bins = (0..10_u8).map(|at| {
        let predicted = f64::from(at) / 10.0 + 0.05;
        let observed = (predicted * 0.9 + 0.04 + 0.03 * wave(at.into())).clamp(0.0, 1.0);
        CalibrationBin {
            predicted,
            observed,
            rows: 400.0 / f64::from(at + 1),
        }
    });
    MetricsDoc {
        accuracy: Some(accuracy),
        balanced_accuracy: Some(accuracy - 0.09),
        auc: Some(auc),
        loss: Some(1.24 - accuracy),
        confusion: vec![vec![1164.3, 128.1], vec![217.6, 248.9]],
        calibration: bins.collect(),
        rows: Some(1758.9),
        ..MetricsDoc::default()
    }
}

fn baselines([federated, pooled, local_best, majority]: [MetricsDoc; 4]) -> Baselines {
    Baselines {
        note: "simulation only, not private".to_owned(),
        federated,
        pooled,
        local_best,
        local_best_party: "university".to_owned(),
        majority,
    }
}

fn curve(rounds: u32, private: bool) -> Vec<CurvePoint> {
    let point = |round: u32| {
        let left = (-f64::from(round) / 9.0).exp();
        let noise = if private {
            0.006 * wave(round as usize)
        } else {
            0.0
        };
        CurvePoint {
            round,
            loss: Some(0.434 + 0.26 * left + noise),
            accuracy: Some(0.803 - 0.25 * left + noise),
            auc: Some(0.841 - 0.33 * left - noise),
            epsilon: private.then(|| 0.9 + 2.0 * (f64::from(round) / 48.0).sqrt()),
        }
    };
    (0..=rounds)
        .filter(|round| round % 5 == 0 || *round == rounds)
        .map(point)
        .collect()
}

fn privacy() -> PrivacyDoc {
    let release = |kind: &str, rows: &str, count, epsilon| ReleaseDoc {
        kind: kind.to_owned(),
        rows: rows.to_owned(),
        count,
        epsilon,
    };
    PrivacyDoc {
        epsilon: Some(2.412_345),
        delta: Some(1e-5),
        unit: Some("record".to_owned()),
        accountant: Some("rdp".to_owned()),
        adjacency: Some("add-remove".to_owned()),
        goal_epsilon: Some(3.0),
        epsilon_coordinator: Some(2.998_7),
        order: Some(9),
        noise: Some("distributed".to_owned()),
        noise_multiplier: Some(2.7312),
        sampling_rate: Some(0.2),
        clip: Some(1.0),
        steps: Some(50),
        sigma_party: Some(103_412),
        releases: vec![
            release("preparation", "training rows", 2, 0.9012),
            release("training", "training rows", 50, 2.7654),
            release("evaluation", "hold-out rows", 11, 2.9987),
        ],
        assumptions: vec![
            "At most 1 of the 5 parties pool what they know with the coordinator, and at least 3 honest parties add their noise to every sum; parties enforce a survivor set of at least 4.".to_owned(),
            "One record is one row of one party; a person with several rows is protected less (roughly as many times epsilon).".to_owned(),
            "Parties run this program unchanged; randomness comes from the operating system.".to_owned(),
        ],
        not_protected: vec![
            "Facts about groups: what is true of many records at once can be learnt, that is the purpose.".to_owned(),
            "A record against its own party, which holds it.".to_owned(),
        ],
    }
}

fn no_privacy() -> PrivacyDoc {
    PrivacyDoc {
        epsilon: None,
        delta: None,
        unit: None,
        accountant: None,
        adjacency: None,
        goal_epsilon: None,
        epsilon_coordinator: None,
        order: None,
        noise: None,
        noise_multiplier: None,
        sampling_rate: None,
        clip: None,
        steps: None,
        sigma_party: None,
        releases: vec![],
        assumptions: vec![
            "Each sum was masked: the coordinator saw no single party's numbers.".to_owned(),
        ],
        not_protected: vec![
            "With few parties, a party can subtract its own part from a sum.".to_owned(),
        ],
    }
}

fn protection() -> ProtectionDoc {
    ProtectionDoc {
        aggregation: "masked".to_owned(),
        parties: 5,
        colluders: 1,
        drops: 1,
        threshold: 4,
        quorum: 4,
        survivor_floor: 4,
        groups: 1,
        group_floor: None,
        group_threshold: None,
        sums: 61,
        abandoned: 2,
    }
}

fn party(name: &str, at: u32) -> PartyDoc {
    let less = f64::from(at) * 0.011;
    PartyDoc {
        name: name.to_owned(),
        rows_train: Some(1301 - u64::from(at) * 122),
        rows_test: Some(352),
        sums_joined: 61 - u64::from(at),
        sums_missed: u64::from(at),
        joined_round: None,
        federated: Some(binary(0.81 - less, 0.871 - less)),
        alone: Some(binary(0.78 - less, 0.82 - less)),
        up_bytes: 824_691,
        down_bytes: 782_469,
        epsilon_charged: Some(2.9781),
    }
}

fn importance() -> Vec<Importance> {
    let all = [
        ("tenure", 0.1123),
        ("contract", 0.0731),
        ("monthly_charges", 0.0412),
        ("internet_service", 0.0301),
        ("total_charges", 0.0192),
        ("payment_method", 0.0061),
        (
            "a_column_with_a_very_long_name_that_has_to_wrap_somewhere",
            0.0009,
        ),
        ("senior_citizen", -0.0023),
    ];
    all.iter()
        .map(|(column, increase)| Importance {
            column: (*column).to_owned(),
            loss_increase: *increase,
        })
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a picture of a few hundred rows"
)]
fn scatter(party: &str, classes: usize) -> Scatter {
    let rows = 0..300_usize;
    let class = |row: usize| row % classes;
    let axis = |turn: usize| {
        move |row: usize| (wave(row * 7 + turn) * 2.0 + wave(class(row) * 31 + turn) * 4.0) as f32
    };
    Scatter {
        party: party.to_owned(),
        explained: [0.312, 0.171],
        x: rows.clone().map(axis(1)).collect(),
        y: rows.clone().map(axis(5)).collect(),
        class: rows.clone().map(|row| class(row) as u32).collect(),
        predicted: rows
            .map(|row| if row % 9 == 0 { 0 } else { class(row) as u32 })
            .collect(),
    }
}

/// Something between -1 and 1 that looks irregular and is always the same.
fn wave(at: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let jump = (at as f64 * 12.9898).sin() * 43_758.547;
    2.0 * (jump - jump.floor()) - 1.0
}
