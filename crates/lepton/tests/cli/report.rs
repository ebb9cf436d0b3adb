//! `lepton report`.

use crate::support::Desk;

#[test]
fn a_report_is_shown_again_and_its_page_made_anew() {
    let desk = Desk::small();
    let first = desk.call(&["run", "job.toml", "--run-dir", "out"]).fine();
    let page = desk.read("out/report.html");
    std::fs::remove_file(desk.path("out/report.html")).unwrap();
    let again = desk.call(&["report", "out"]).fine();
    assert_eq!((again.stdout, again.stderr.as_str()), (first.stdout, ""));
    assert_eq!(desk.read("out/report.html"), page);
    let json = desk.call(&["report", "out", "--json"]).fine().json();
    assert_eq!(json, desk.json("out/report.json"));
}

#[test]
fn what_is_no_run_is_refused() {
    let desk = Desk::small();
    desk.call(&["report", "none"]).refused(
        1,
        &["none: this is not a run folder (it has no run.json); name a folder below runs/"],
    );
    desk.call(&["run", "job.toml", "--run-dir", "out"]).fine();
    desk.write("out/report.json", "{\"format\": \"other\"}");
    desk.call(&["report", "out"])
        .refused(1, &["out/report.json: cannot be read as a report"]);
    desk.write("out/run.json", "{");
    desk.call(&["report", "out"])
        .refused(1, &["out/run.json: cannot be read"]);
}
