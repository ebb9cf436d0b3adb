//! `lepton doctor`, and output that nobody reads to its end.

use crate::support::Desk;

#[test]
fn a_healthy_machine_passes() {
    let desk = Desk::small();
    let done = desk.call(&["doctor"]).fine();
    assert_eq!(
        done.stdout.lines().next(),
        Some("ok       randomness of the operating system: available")
    );
    for part in [
        "masked sum of 3 parties: gives the exact sum",
        "current folder writable: yes",
        "clock: ",
        "processor cores: ",
    ] {
        assert!(
            done.stdout.contains(part),
            "{part:?} is not in: {}",
            done.stdout
        );
    }
    assert_eq!(desk.list(""), ["data.csv", "job.toml"]);
    let json = desk.call(&["doctor", "--json"]).fine().json();
    assert_eq!(json["healthy"], true);
    assert!(
        json["checks"]
            .as_array()
            .unwrap()
            .iter()
            .all(|check| check["status"] != "failed")
    );
}

#[cfg(unix)]
#[test]
fn a_failed_check_has_a_remedy_and_fails_the_command() {
    let desk = Desk::small();
    // No file may hold a byte: the folder counts as not writable. `cat` reads what is printed, since a pipe has no size limit.
    let script = format!("ulimit -f 0; exec {} doctor", crate::support::LEPTON);
    let mut shell = std::process::Command::new("sh");
    let done = crate::support::Done::of(
        shell
            .args(["-c", &script])
            .current_dir(desk.path(""))
            .output()
            .unwrap(),
    );
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(
        done.stdout.contains("FAILED   current folder writable: no"),
        "{}",
        done.stdout
    );
    assert!(
        done.stderr
            .ends_with("error: 1 check failed; its remedy stands beside it\n")
    );
    assert_eq!(desk.list(""), ["data.csv", "job.toml"]);
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let desk = Desk::small();
    let script = format!(
        "({} run job.toml --json -q; echo $? >&2) | head -c 1",
        crate::support::LEPTON
    );
    let mut shell = std::process::Command::new("sh");
    let done = crate::support::Done::of(
        shell
            .args(["-c", &script])
            .current_dir(desk.path(""))
            .output()
            .unwrap(),
    );
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("{", "0\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_told_without_a_panic() {
    let desk = Desk::small();
    let call = |script: &str| {
        let script = script.replace("lepton", crate::support::LEPTON);
        let mut shell = std::process::Command::new("sh");
        let run = shell.args(["-c", &script]).current_dir(desk.path(""));
        crate::support::Done::of(run.output().unwrap())
    };
    let done = call("lepton doctor > /dev/full");
    assert_eq!(done.code, Some(1));
    assert!(
        done.stderr.starts_with("error: standard output: "),
        "{}",
        done.stderr
    );
    // Nobody can be told, but the exit code is right.
    assert_eq!(call("lepton run none.toml 2> /dev/full").code, Some(1));
    assert_eq!(call("lepton run job.toml 2> /dev/full").code, Some(0));
}
