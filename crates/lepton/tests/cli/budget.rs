//! `lepton budget`, and runs that are charged in a ledger (LG-01, LG-08, LG-11).

use crate::support::{Desk, SMALL};

/// A desk with a table of 60 rows, 57 of them different, its budget, and a job under a privacy goal.
fn desk(epsilon: &str) -> Desk {
    let desk = Desk::small();
    let goal = "\nsampling_rate = 0.5\n\n[prepare]\ncategories = \"declared\"\n\n[prepare.bounds]\na = [-20, 20]\nb = [-14, 14]\n\n[privacy]\nunit = \"record\"\nepsilon = 1.0\ndelta = 1e-3\nclip = 1.0\n";
    let job = SMALL.replace(
        "label = \"y\"",
        "label = \"y\"\nclasses = [\"no\", \"yes\"]",
    );
    desk.write("job.toml", job + goal);
    desk.call(&set("rows", epsilon)).fine();
    desk
}

fn set<'a>(data: &'a str, epsilon: &'a str) -> Vec<&'a str> {
    let mut words = vec![
        "budget",
        "set",
        "--ledger",
        "ledger.db",
        "--table",
        "data.csv",
        "--delta",
        "1e-3",
    ];
    words.extend(["--data", data, "--epsilon", epsilon]);
    words
}

const RUN: [&str; 6] = [
    "run",
    "job.toml",
    "--ledger",
    "ledger.db",
    "--quiet",
    "--json",
];

#[test]
fn a_run_is_charged_and_shown() {
    let desk = desk("8");
    let before = desk
        .call(&["budget", "show", "--ledger", "ledger.db", "--json"])
        .fine()
        .json();
    assert_eq!(
        (
            before["blocks"][0]["used_nanonats"].as_u64(),
            before["blocks"][0]["rows"].as_u64()
        ),
        (Some(0), Some(57))
    );
    desk.call(&RUN).fine();
    let after = desk
        .call(&["budget", "show", "--ledger", "ledger.db", "--json"])
        .fine()
        .json();
    let block = &after["blocks"][0];
    let (used, capacity) = (
        block["used_nanonats"].as_u64().unwrap(),
        block["capacity_nanonats"].as_u64().unwrap(),
    );
    assert!(used > 0 && used < capacity, "{after}");
    assert_eq!(
        (block["jobs"].as_u64(), block["open_jobs"].as_u64()),
        (Some(1), Some(0))
    );
    // The job's own epsilon, and a little: at each order the dearer side counts, and the sides differ in their best order.
    let epsilon = block["epsilon_so_far"].as_f64().unwrap();
    assert!(epsilon > 0.5 && epsilon <= 1.05, "{epsilon}");
    let history = desk
        .call(&["budget", "history", "--ledger", "ledger.db"])
        .fine()
        .stdout;
    for part in [
        "`rows`: epsilon 8 at delta 0.001 for the life of 57 rows",
        "job `small` reserved (epsilon 1 at delta 0.001)",
        "charged: training ",
        " ended",
    ] {
        assert!(history.contains(part), "{part:?} is not in: {history}");
    }
    let run = desk.list("runs").remove(0);
    let witness = format!("runs/{run}/state/ledger-heads.jsonl");
    let sound = desk
        .call(&[
            "budget",
            "verify",
            "--ledger",
            "ledger.db",
            "--witness",
            &witness,
        ])
        .fine()
        .stdout;
    assert!(
        sound.starts_with("sound: ") && sound.contains(" countersigned heads"),
        "{sound}"
    );
    let exported = desk
        .call(&["budget", "export", "--ledger", "ledger.db"])
        .fine()
        .stdout;
    assert!(
        exported
            .lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
    );
}

#[test]
fn a_run_that_does_not_fit_is_refused_before_it_begins() {
    let desk = desk("1.2");
    desk.call(&RUN).fine();
    let refused = desk.call(&RUN).refused(
        3,
        &[
            "the privacy budget of `",
            "refuses job `small`",
            "the largest privacy.epsilon of this job that still fits is ",
        ],
    );
    assert_eq!(desk.list("runs").len(), 1, "a refused run leaves nothing");
    let largest = refused.stderr.trim().rsplit(' ').next().unwrap().to_owned();
    let setting = format!("privacy.epsilon={largest}");
    let mut fitting = RUN.to_vec();
    fitting.extend(["--set", &setting]);
    desk.call(&fitting).fine();
    let shown = desk
        .call(&["budget", "show", "--ledger", "ledger.db"])
        .fine()
        .stdout;
    assert!(
        shown.contains("over 2 jobs") && shown.contains("WARNING"),
        "{shown}"
    );
}

#[test]
fn exact_sums_and_unknown_data_are_refused() {
    let desk = desk("8");
    desk.write("exact.toml", SMALL);
    let mut exact = RUN;
    exact[1] = "exact.toml";
    desk.call(&exact).refused(
        3,
        &[
            "job `small` has no privacy goal",
            "give it a [privacy] table",
        ],
    );
    desk.write(
        "strange.csv",
        "a,b,y\n".to_owned()
            + &(0..60)
                .map(|i| format!("{},0.5,{}\n", i % 20, if i % 2 == 0 { "no" } else { "yes" }))
                .collect::<String>(),
    );
    let mut strange = RUN.to_vec();
    strange.extend(["--data", "strange.csv"]);
    desk.call(&strange).refused(
        3,
        &[
            "no privacy budget covers",
            "strange.csv",
            "lepton budget set",
        ],
    );
    assert!(desk.list("runs").is_empty());
}

#[test]
fn the_same_rows_get_one_budget() {
    let desk = desk("8");
    desk.call(&set("rows", "9")).refused(
        2,
        &["data set `rows` has a budget already, which is for life"],
    );
    desk.call(&set("others", "9"))
        .refused(3, &["57 of the 57 rows are in data set `rows` already"]);
    let renew = [
        "budget",
        "renew",
        "--ledger",
        "ledger.db",
        "--data",
        "rosw",
        "--table",
        "data.csv",
    ];
    desk.call(&renew)
        .refused(2, &["there is no data set `rosw`", "did you mean `rows`?"]);
    let mut renew = renew;
    renew[5] = "rows";
    desk.call(&renew)
        .refused(3, &["all 57 rows are in this ledger already"]);
    desk.write("new.csv", "a,b,y\n1.5,2.5,yes\n");
    renew[7] = "new.csv";
    let shown = desk.call(&renew).fine().stdout;
    assert!(
        shown.contains("block 0: 57 rows") && shown.contains("block 1: 1 rows"),
        "{shown}"
    );
}

#[test]
fn wrong_numbers_and_missing_files_say_what_to_do() {
    let desk = Desk::small();
    desk.call(&set("rows", "-1")).refused(2, &["--epsilon"]);
    let mut tiny = set("rows", "0.000001");
    tiny[7] = "1e-9";
    desk.call(&tiny)
        .refused(2, &["no accountant can show an epsilon of 0.000001"]);
    assert_eq!(desk.list(""), ["data.csv", "job.toml"]);
    desk.call(&["budget", "show", "--ledger", "none.db"])
        .refused(
            1,
            &["none.db", "there is no ledger here", "lepton budget set"],
        );
}

/// An interrupted run keeps its share; resumed, it ends and gives back what it did not use. Nothing is charged twice.
#[test]
fn a_lost_disk_releases_nothing() {
    let desk = desk("8");
    let script = format!(
        "ulimit -f 40; exec {} {}",
        crate::support::LEPTON,
        RUN.join(" ")
    );
    let mut shell = std::process::Command::new("sh");
    let done = crate::support::Done::of(
        shell
            .args(["-c", &script])
            .current_dir(desk.path(""))
            .output()
            .unwrap(),
    );
    assert_ne!(done.code, Some(0));
    assert!(done.stderr.contains("free some space"), "{}", done.stderr);
    desk.call(&["budget", "verify", "--ledger", "ledger.db"])
        .fine();
    desk.call(&RUN).fine();
}

#[cfg(unix)]
#[test]
fn a_read_only_ledger_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let desk = desk("8");
    std::fs::set_permissions(
        desk.path("ledger.db"),
        std::fs::Permissions::from_mode(0o400),
    )
    .unwrap();
    // The superuser may write all the same.
    if std::fs::OpenOptions::new()
        .write(true)
        .open(desk.path("ledger.db"))
        .is_ok()
    {
        return;
    }
    desk.call(&RUN).refused(1, &["ledger.db", "right to write"]);
}
