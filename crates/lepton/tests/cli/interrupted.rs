//! A run that is stopped from outside: nothing is lost, nothing is spent twice.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Desk, Done, LEPTON, example};

/// Starts 60 rounds of which some are slow, and returns in the middle of one of those.
fn in_a_slow_round(desk: &Desk, more: &[&str]) -> Child {
    in_a_slow_round_of(desk, &example(), more)
}

/// The same of a job with a party called `party-1`.
pub(crate) fn in_a_slow_round_of(desk: &Desk, job: &str, more: &[&str]) -> Child {
    // At least 3 messages of 40 ms in each of the rounds 21 to 40; evaluation every 20 rounds, so that a round is what is hit.
    let slow = "[[fault]]\nparty = \"party-1\"\nkind = \"slow\"\ndelay_ms = 40\nfrom_round = 21\nuntil_round = 40\n";
    desk.write("scenario.toml", slow);
    let fixed = [
        "run",
        job,
        "--run-dir",
        "out",
        "--scenario",
        "scenario.toml",
        "--set",
        "training.rounds=60",
        "--set",
        "evaluation.every=20",
    ];
    let mut child = desk
        .command(&[&fixed[..], more].concat())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    assert!(
        lines.any(|line| line.unwrap().starts_with("round 20: ")),
        "the run ended early"
    );
    std::thread::sleep(Duration::from_millis(60));
    child
}

#[test]
fn an_interrupt_keeps_the_state_and_says_how_to_go_on() {
    let desk = Desk::small();
    let mut child = in_a_slow_round(&desk, &[]);
    assert!(
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(
        said.ends_with(
            "error: interrupted; nothing is lost: continue with `lepton run --resume out`\n"
        ),
        "{said}"
    );
    let told = desk.call(&["report", "out"]);
    told.refused(
        1,
        &[
            "out is not finished: ",
            "of 60 rounds are in the model; go on with `lepton run --resume out`",
        ],
    );
    let report = desk
        .call(&["run", "--resume", "out", "--json"])
        .fine()
        .json();
    assert!(report["rounds"].as_u64().unwrap() >= 59);
    assert!(
        report["notes"].to_string().contains("resumed 1 time"),
        "{}",
        report["notes"]
    );
    assert_eq!(report, desk.json("out/report.json"));
}

#[test]
fn a_killed_run_goes_on() {
    let desk = Desk::small();
    let mut child = in_a_slow_round(&desk, &[]);
    child.kill().unwrap();
    child.wait().unwrap();
    let report = desk
        .call(&["run", "--resume", "out", "--json"])
        .fine()
        .json();
    assert!(report["metrics"]["accuracy"].as_f64().unwrap() > 0.9);
}

#[test]
fn a_run_killed_twice_stays_within_its_goal_and_says_what_was_lost() {
    let desk = Desk::small();
    let goal = [
        "--set",
        "privacy.epsilon=3",
        "--set",
        "training.sampling_rate=0.5",
    ];
    let mut child = in_a_slow_round(&desk, &goal);
    child.kill().unwrap();
    child.wait().unwrap();
    // The slow rounds go on at once; killed again there.
    let mut again = desk
        .command(&["run", "--resume", "out"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(700));
    again.kill().unwrap();
    again.wait().unwrap();
    let report = desk
        .call(&["run", "--resume", "out", "--json"])
        .fine()
        .json();
    assert!(report["privacy"]["epsilon_coordinator"].as_f64().unwrap() <= 3.0);
    assert_eq!(report["outcome"], "rounds_lost");
    assert!(report["rounds"].as_u64().unwrap() < 60);
    for party in report["parties"].as_array().unwrap() {
        assert!(party["epsilon_charged"].as_f64().unwrap() <= 3.0);
    }
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("was interrupted and left out") && notes.contains("resumed 2 time"),
        "{notes}"
    );
}

#[test]
fn a_full_disk_is_told_and_the_run_goes_on_afterwards() {
    let desk = Desk::small();
    // 16 blocks of 512 bytes: no file may pass 8 KiB.
    let script = format!(
        "ulimit -f 16; exec {LEPTON} run {} --run-dir out",
        example()
    );
    let done = Done::of(
        Command::new("sh")
            .args(["-c", &script])
            .current_dir(desk.path(""))
            .output()
            .unwrap(),
    );
    let done = done.refused(
        1,
        &[
            "out/",
            "free some space (or raise the file-size limit) and resume the run",
        ],
    );
    assert!(!done.stderr.contains("internal"), "{}", done.stderr);
    assert!(!desk.path("out/report.json").exists());
    let report = desk
        .call(&["run", "--resume", "out", "--json"])
        .fine()
        .json();
    assert!(report["metrics"]["accuracy"].as_f64().unwrap() > 0.9);
}

#[test]
fn a_disk_that_takes_nothing_leaves_nothing() {
    let desk = Desk::small();
    let script = format!("ulimit -f 0; exec {LEPTON} run job.toml --run-dir out");
    let mut shell = Command::new("sh");
    let run = shell.args(["-c", &script]).current_dir(desk.path(""));
    let done = Done::of(run.output().unwrap());
    done.refused(1, &["out/run.json: ", "free some space"]);
    assert!(!desk.path("out").exists());
}

#[test]
fn a_changed_job_is_not_resumed() {
    let desk = Desk::small();
    desk.write(
        "scenario.toml",
        "[[fault]]\nparty = \"party-1\"\nkind = \"drop\"\n",
    );
    let run = [
        "run",
        "job.toml",
        "--run-dir",
        "out",
        "--scenario",
        "scenario.toml",
    ];
    desk.call(&run).refused(1, &["resume the run"]);
    desk.write(
        "job.toml",
        desk.read("job.toml").replace("rounds = 3", "rounds = 4"),
    );
    desk.call(&["run", "--resume", "out"])
        .refused(1, &["the job or its columns changed since out began"]);
}

#[test]
fn a_run_that_is_under_way_is_not_resumed_beside_it() {
    let desk = Desk::small();
    let mut child = in_a_slow_round(&desk, &[]);
    let second = desk.call(&["run", "--resume", "out"]);
    second.refused(2, &["out is being run by another process"]);
    child.kill().unwrap();
    child.wait().unwrap();
    desk.call(&["run", "--resume", "out"]).fine();
}

/// Rule FT-11 without a privacy goal: a sum that was signed and lost is tried again over the same parties, and the job goes on.
#[test]
fn a_round_lost_after_its_signatures_does_not_stop_the_job() {
    let desk = Desk::small();
    let drop = |party: &str, at: &str| {
        format!(
            "[[fault]]\nparty = \"{party}\"\nkind = \"drop\"\nat = \"{at}\"\nfrom_round = 3\nuntil_round = 4\n"
        )
    };
    let faults = drop("party-1", "before_input") + &drop("party-2", "after_signature");
    desk.write("scenario.toml", faults);
    let run = [
        "run",
        &example(),
        "--json",
        "--run-dir",
        "out",
        "--scenario",
        "scenario.toml",
        "--set",
        "training.rounds=6",
        "--set",
        "data.split={by=\"even\",parties=4}",
        "--set",
        "protection.drops=1",
    ];
    let report = desk.call(&run).fine().json();
    assert_eq!(report["rounds"], 5);
    assert_eq!(report["outcome"], "rounds_lost");
    assert_eq!(report["protection"]["abandoned"], 1);
}

/// Rule PR-02: the kept slots belong to one key; a party that lost it does not go on with another.
#[test]
fn a_damaged_slot_key_is_not_replaced() {
    let desk = Desk::small();
    let mut child = in_a_slow_round(&desk, &[]);
    child.kill().unwrap();
    child.wait().unwrap();
    desk.write("out/state/parties/0/slot-key", "");
    desk.call(&["run", "--resume", "out"])
        .refused(1, &["the slot key that this party kept is damaged"]);
}
