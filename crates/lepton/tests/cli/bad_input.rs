//! Every bad input gets what is wrong, where, and what to do; a non-zero exit; nothing half-written.

use crate::support::{Desk, SMALL, example, table};

/// Runs the small job on a table; there must be no run folder afterwards.
fn on_table(bytes: impl AsRef<[u8]>, code: i32, texts: &[&str]) {
    let desk = Desk::small();
    desk.write("own.csv", bytes);
    desk.call(&["run", "job.toml", "--data", "own.csv"])
        .refused(code, texts);
    assert!(desk.list("runs").is_empty());
}

fn with(arguments: &[&str], code: i32, texts: &[&str]) {
    let desk = Desk::small();
    let mut all = vec!["run"];
    all.extend(arguments);
    desk.call(&all).refused(code, texts);
    assert!(desk.list("runs").is_empty());
}

#[test]
fn missing_files() {
    with(
        &["none.toml"],
        1,
        &["none.toml: there is no such file; check the path"],
    );
    with(
        &["job.toml", "--data", "none.csv"],
        1,
        &["none.csv: no such file; check the path"],
    );
    with(
        &["job.toml", "--data", "."],
        1,
        &["is a folder, not a file; name one table"],
    );
    with(
        &["job.toml", "--party-data", "data.csv", "none.csv"],
        1,
        &["none.csv: no such file"],
    );
    with(
        &["job.toml", "--scenario", "none.toml"],
        1,
        &["none.toml: there is no such file"],
    );
    with(
        &["--resume", "none"],
        1,
        &[
            "none: this is not a run folder",
            "name a folder below runs/",
        ],
    );
}

#[test]
fn files_without_rows() {
    on_table(
        "",
        1,
        &["own.csv: the file is empty; it needs a header line and at least one row"],
    );
    on_table("\n\n", 1, &["own.csv: the file is empty"]);
    on_table(
        "a,b,y\n",
        1,
        &["own.csv: the file has a header line but no rows"],
    );
}

#[test]
fn ragged_rows() {
    on_table(
        "a,b,y\n1,2,yes\n3,no\n",
        1,
        &["own.csv:3: this row has 2 fields, the header has 3"],
    );
    on_table(
        "a,b,y\n1,2,yes\n3,4,no,5\n",
        1,
        &["own.csv:3: this row has 4 fields, the header has 3"],
    );
    on_table(
        "a,b,y\n1,2,\"yes\n3,4,no\n",
        1,
        &["own.csv:2: the quote opened on this line is never closed"],
    );
}

#[test]
fn text_among_numbers() {
    let text = format!("{}oops,1,yes\n", table(60));
    on_table(
        &text,
        1,
        &[
            "own.csv:62, column \"a\": \"oops\" is not a number",
            "fix the value, or declare",
        ],
    );
}

#[test]
fn numbers_that_are_none() {
    for number in ["inf", "-inf", "1e999"] {
        let text = format!("{}{number},1,yes\n", table(60));
        on_table(
            &text,
            1,
            &["own.csv:62, column \"a\"", "is not a finite number"],
        );
    }
}

#[test]
fn nan_counts_as_missing() {
    let desk = Desk::small();
    desk.write("own.csv", format!("{}NaN,1,yes\n", table(60)));
    desk.call(&["run", "job.toml", "--data", "own.csv"]).fine();
    let refuse = [
        "run",
        "job.toml",
        "--data",
        "own.csv",
        "--set",
        "prepare.missing=refuse",
        "--run-dir",
        "second",
    ];
    desk.call(&refuse)
        .refused(1, &["own.csv:62, column \"a\": the value is missing, and the job says missing = \"refuse\"; fill it"]);
    assert!(!desk.path("second").exists());
}

#[test]
fn a_column_without_values() {
    let text: String = (0..60)
        .map(|i| format!("{i},,{}\n", if i % 2 == 0 { "yes" } else { "no" }))
        .collect();
    on_table(
        format!("a,b,y\n{text}"),
        1,
        &["column \"b\": every value is missing; leave the column out"],
    );
    let text: String = (0..60).map(|i| format!("{i},1,\n")).collect();
    on_table(
        format!("a,b,y\n{text}"),
        1,
        &["column \"y\": every value is missing"],
    );
}

#[test]
fn one_class() {
    let text = table(60).replace("no", "yes");
    on_table(
        text,
        1,
        &[
            "own.csv, column \"y\": every row has the value \"yes\"",
            "at least two",
        ],
    );
}

#[test]
fn headers() {
    on_table(
        table(60).replace("a,b,y", "a,a,y"),
        1,
        &["own.csv:1: the header names the column \"a\" 2 times (columns 1, 2)"],
    );
    on_table(
        table(60).replace("a,b,y", "a,,y"),
        1,
        &["own.csv:1: column 2 has no name in the header"],
    );
    on_table(
        table(60).replace("a,b,y", "a,b,z"),
        2,
        &["job.toml:7: ", "\"y\""],
    );
}

#[test]
fn bytes_that_are_no_text() {
    on_table(
        b"a,b,y\n1,2,\xff\n",
        1,
        &["own.csv:2: byte 10 of the file is not UTF-8 text; save the file as CSV in UTF-8"],
    );
    let desk = Desk::small();
    desk.write("job.toml", b"[job]\nname = \"\xff\"\n");
    desk.call(&["run", "job.toml"]).refused(
        1,
        &["job.toml: byte 14 is not UTF-8 text; save the file as UTF-8"],
    );
}

#[test]
fn too_few_rows() {
    let desk = Desk::small();
    desk.write("one.csv", table(1));
    let call = desk.call(&[
        "run",
        "job.toml",
        "--party-data",
        "data.csv",
        "one.csv",
        "data.csv",
    ]);
    call.refused(
        1,
        &["one.csv: a party needs at least 2 rows and this one has 1"],
    );
    let call = desk.call(&["run", "job.toml", "--data", "one.csv"]);
    call.refused(
        1,
        &[
            "3 parties cannot share 1 row",
            "take fewer parties or more rows",
        ],
    );
    let call = desk.call(&["run", "job.toml", "--set", "data.split.parties=100"]);
    call.refused(1, &["100 parties cannot share 60 rows: every party needs at least 2; take fewer parties or more rows"]);
    assert!(desk.list("runs").is_empty());
}

#[test]
fn unknown_keys_name_the_line_and_the_nearest() {
    let desk = Desk::small();
    desk.write("job.toml", format!("{SMALL}roundz = 5\n"));
    desk.call(&["run", "job.toml"]).refused(
        2,
        &["job.toml:14: unknown key \"roundz\" in [training]; the nearest valid key is \"rounds\""],
    );
    desk.write("job.toml", "[job\n");
    desk.call(&["run", "job.toml"])
        .refused(2, &["job.toml:1: "]);
    with(
        &["job.toml", "--set", "training.roundz=3"],
        2,
        &["--set training.roundz: unknown key", "\"rounds\""],
    );
    with(
        &["job.toml", "--set", "training.rounds"],
        2,
        &["--set training.rounds"],
    );
}

#[test]
fn privacy_goals_that_are_none() {
    for epsilon in ["0", "-1", "nan"] {
        let set = format!("privacy.epsilon={epsilon}");
        with(
            &["job.toml", "--set", &set],
            2,
            &["--set privacy.epsilon: "],
        );
    }
    for delta in ["0", "1", "2"] {
        let set = format!("privacy.delta={delta}");
        with(&["job.toml", "--set", &set], 2, &["--set privacy.delta: "]);
    }
}

#[test]
fn a_delta_of_one_in_the_rows_is_refused() {
    let job = example();
    let wanted = [
        "--set privacy.delta: delta = 0.0025 allows one of the 424 training rows",
        "is 2e-3",
    ];
    with(
        &[
            &job,
            "--set",
            "privacy.epsilon=3",
            "--set",
            "privacy.delta=0.0025",
        ],
        2,
        &wanted,
    );
    let desk = Desk::small();
    let fine = [
        "run",
        &job,
        "--set",
        "privacy.epsilon=3",
        "--set",
        "privacy.delta=2e-3",
        "--set",
        "training.rounds=2",
    ];
    desk.call(&fine).fine();
}

#[test]
fn a_goal_that_noise_cannot_meet_is_refused() {
    let job = example();
    let wanted = [
        "--set privacy.epsilon: this privacy goal cannot be met",
        "the smallest epsilon that can be reached is",
    ];
    with(&[&job, "--set", "privacy.epsilon=0.0001"], 3, &wanted);
}

#[test]
fn a_threshold_above_the_parties() {
    with(
        &["job.toml", "--set", "protection.threshold=9"],
        2,
        &["[protection]: a threshold of 9", "choose threshold <= 3"],
    );
}

#[test]
fn a_run_folder_that_exists_is_left_alone() {
    let desk = Desk::small();
    desk.call(&["run", "job.toml", "--run-dir", "mine"]).fine();
    let before = desk.read("mine/report.json");
    let call = desk.call(&["run", "job.toml", "--run-dir", "mine"]);
    call.refused(
        2,
        &["mine exists already; name another folder with --run-dir"],
    );
    assert_eq!(desk.read("mine/report.json"), before);
    desk.call(&["run", "job.toml", "--runs", "data.csv"])
        .refused(1, &["data.csv: ", "name another folder"]);
    desk.call(&["run", "--resume", "mine"])
        .refused(2, &["mine is finished; show it with `lepton report mine`"]);
}

#[test]
fn scenarios_that_do_not_fit() {
    let desk = Desk::small();
    for (text, wanted) in [
        (
            "[[fault]]\nparty = \"nobody\"\nkind = \"drop\"\n",
            "there is no party \"nobody\"; the parties are party-1",
        ),
        (
            "[[fault]]\nparty = \"party-1\"\nkind = \"drop\"\nfrom_round = 3\nuntil_round = 2\n",
            "after it begins",
        ),
        (
            "[[fault]]\nparty = \"party-1\"\nkind = \"explode\"\n",
            "explode",
        ),
    ] {
        desk.write("scenario.toml", text);
        desk.call(&["run", "job.toml", "--scenario", "scenario.toml"])
            .refused(2, &["scenario.toml", wanted]);
    }
    assert!(desk.list("runs").is_empty());
}

#[test]
fn wrong_flags() {
    for arguments in [
        &["run"][..],
        &["fly"],
        &["run", "job.toml", "--resume", "x"],
        &["predict", "data.csv"],
    ] {
        let done = Desk::small().call(arguments);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""));
        assert!(done.stderr.starts_with("error: "), "{}", done.stderr);
    }
}
