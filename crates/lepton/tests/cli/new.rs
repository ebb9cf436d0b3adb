//! `lepton new`.

use crate::support::Desk;

#[test]
fn a_new_job_runs_at_once_with_and_without_a_goal() {
    let desk = Desk::small();
    let made = desk.call(&["new", "first"]).fine();
    assert_eq!(
        made.stdout.lines().next(),
        Some("first/ has a job (job.toml), a table to try it on (data.csv) and a README.md. Next:")
    );
    assert_eq!(
        desk.list("first"),
        ["README.md", "data-LICENCE.txt", "data.csv", "job.toml"]
    );
    assert!(desk.read("first/README.md").contains("BSD 3-Clause"));
    let plain = desk
        .call(&["run", "first/job.toml", "--json", "--run-dir", "plain"])
        .fine()
        .json();
    assert_eq!(plain["name"], "first");
    assert!(plain["metrics"]["accuracy"].as_f64().unwrap() > 0.9);
    let goal = desk
        .call(&[
            "run",
            "first/job.toml",
            "--json",
            "--set",
            "privacy.epsilon=3",
        ])
        .fine()
        .json();
    assert!(goal["privacy"]["epsilon_coordinator"].as_f64().unwrap() <= 3.0);
    let run = format!("runs/{}", goal["run"].as_str().unwrap());
    let shown = desk.call(&["model", "show", &run]).fine().stdout;
    let wanted = format!(
        "privacy     epsilon {}, delta 1e-5 for each training record",
        goal["privacy"]["epsilon_coordinator"]
    );
    assert!(shown.contains(&wanted), "{wanted:?} is not in: {shown}");

    desk.call(&["predict", "--model", "plain", "first/data.csv"])
        .fine();
}

#[test]
fn what_is_there_is_left_alone() {
    let desk = Desk::small();
    std::fs::create_dir(desk.path("mine")).unwrap();
    desk.call(&["new", "mine"])
        .refused(2, &["mine exists already; choose another name"]);
    assert!(desk.list("mine").is_empty());
    desk.write("file", "");
    desk.call(&["new", "file"])
        .refused(2, &["file exists already"]);
}

#[test]
fn names_that_no_job_can_have() {
    let desk = Desk::small();
    for name in [
        "First",
        "1st",
        "a/b",
        "../up",
        "",
        "-x",
        "a b",
        &"x".repeat(64),
    ] {
        desk.call(&["new", "--", name])
            .refused(2, &["cannot name a job: use lower-case letters"]);
    }
    assert_eq!(desk.list(""), ["data.csv", "job.toml"]);
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing() {
    let desk = Desk::small();
    let script = format!("ulimit -f 16; exec {} new first", crate::support::LEPTON);
    let mut shell = std::process::Command::new("sh");
    let done = crate::support::Done::of(
        shell
            .args(["-c", &script])
            .current_dir(desk.path(""))
            .output()
            .unwrap(),
    );
    done.refused(1, &["data.csv: ", "free some space"]);
    assert_eq!(desk.list(""), ["data.csv", "job.toml"]);
}
