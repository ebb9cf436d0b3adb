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
    // The disk was full before the reservation was on it: nothing was spent, and nothing released.
    let block = block(&desk);
    assert_eq!(block["used_nanonats"], 0, "{block}");
    for run in desk.list("runs") {
        assert!(!desk.path(&format!("runs/{run}/model")).exists());
    }
    desk.call(&RUN).fine();
}

/// The first block as `show` has it.
fn block(desk: &Desk) -> serde_json::Value {
    let show = ["budget", "show", "--ledger", "ledger.db", "--json"];
    desk.call(&show).fine().json()["blocks"][0].clone()
}

/// Runs 12 rounds of which all but the first two are slow, kills it in the third, and leaves the folder `out`.
#[cfg(unix)]
fn killed_run(desk: &Desk) {
    use std::io::{BufRead, BufReader};
    let slow = "[[fault]]\nparty = \"party-1\"\nkind = \"slow\"\ndelay_ms = 60\nfrom_round = 3\nuntil_round = 12\n";
    desk.write("scenario.toml", slow);
    let run = "run job.toml --ledger ledger.db --run-dir out --scenario scenario.toml --set training.rounds=12 --set evaluation.every=2";
    let words: Vec<&str> = run.split(' ').collect();
    let mut child = desk
        .command(&words)
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    let begun = lines.any(|line| line.unwrap().starts_with("round 2: "));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(begun, "the run ended before its second round");
}

const RESUME: [&str; 5] = ["run", "--resume", "out", "--quiet", "--json"];

/// LG-05: a killed run keeps its share; resumed it ends, gives back what it did not use, and pays for nothing twice.
#[cfg(unix)]
#[test]
fn a_killed_run_goes_on_in_its_ledger() {
    let desk = desk("8");
    killed_run(&desk);
    let open = block(&desk);
    assert_eq!(open["open_jobs"], 1);
    desk.call(&RESUME).fine();
    let ended = block(&desk);
    assert_eq!(
        (&ended["jobs"], &ended["open_jobs"]),
        (&1.into(), &0.into())
    );
    assert!(ended["used_nanonats"].as_u64() > Some(0));
    let history = ["budget", "history", "--ledger", "ledger.db", "--json"];
    let history = desk.call(&history).fine().json();
    let mut seen = std::collections::BTreeSet::new();
    for entry in history["entries"].as_array().unwrap() {
        let charged = &entry["entry"]["what"]["charged"];
        let charge = &charged["charge"];
        let key = format!(
            "{} {} {} {} {} {}",
            charged["seat"],
            charge["side"],
            charge["kind"],
            charge["epoch"],
            charge["round"],
            charge["attempt"]
        );
        assert!(charged.is_null() || seen.insert(key), "{charged} twice");
    }
    let epochs = |number: &str| seen.iter().filter(|key| key.contains(number)).count();
    assert!(
        epochs("\"training\" 1 ") > 0 && epochs("\"training\" 2 ") > 0,
        "{seen:?}"
    );
    // Both epochs' heads are kept: three parties sign at each start.
    let heads = desk.read("out/state/ledger-heads.jsonl");
    assert_eq!(heads.lines().count(), 6);
    let verify = [
        "budget",
        "verify",
        "--ledger",
        "ledger.db",
        "--witness",
        "out/state/ledger-heads.jsonl",
    ];
    desk.call(&verify).fine();
    // The privacy report says where the ledger stood.
    let privacy = desk.json("out/privacy.json");
    for party in privacy["report"]["parties"].as_array().unwrap() {
        let head = &party["ledger_head"];
        let number = head["entries"].as_u64().unwrap();
        let entry = &history["entries"][usize::try_from(number).unwrap() - 1];
        assert_eq!(entry["hash"], head["hash"]);
    }
}

/// LG-07: a run does not go on in a ledger that lost what the run knows, and leaves the evidence as it is.
#[cfg(unix)]
#[test]
fn a_rolled_back_ledger_stops_a_resumed_run() {
    let desk = desk("8");
    let ledgers = ["", "-wal", "-shm"].map(|end| format!("ledger.db{end}"));
    let keep = |to: &str, from: &str| {
        for name in &ledgers {
            let (from, to) = (
                desk.path(&format!("{from}{name}")),
                desk.path(&format!("{to}{name}")),
            );
            if from.exists() {
                std::fs::copy(from, to).unwrap();
            } else {
                // Not every copy has all three files.
                let _ = std::fs::remove_file(to);
            }
        }
    };
    keep("old-", "");
    killed_run(&desk);
    let heads = desk.read("out/state/ledger-heads.jsonl");
    keep("new-", "");
    keep("", "old-");
    desk.call(&RESUME)
        .refused(1, &["the ledger was rolled back"]);
    assert_eq!(desk.read("out/state/ledger-heads.jsonl"), heads);
    // With the heads away, the run's own record of its charges tells.
    std::fs::remove_file(desk.path("out/state/ledger-heads.jsonl")).unwrap();
    desk.call(&RESUME).refused(
        1,
        &["that this run made are gone: the ledger was rolled back"],
    );
    keep("", "new-");
    desk.call(&RESUME).fine();
}

/// A resumed run trains on the rows it began with, or not at all.
#[cfg(unix)]
#[test]
fn other_rows_are_no_resumption() {
    let desk = desk("8");
    killed_run(&desk);
    let rows = desk.read("data.csv");
    desk.write("data.csv", rows.replacen("-20,", "-19,", 1));
    desk.call(&RESUME).refused(
        1,
        &[
            "the rows of party-",
            "changed since out began; start a new run",
        ],
    );
    desk.write("data.csv", rows);
    desk.call(&RESUME).fine();
}

/// A kill between the run folder and the reservation: the run knows its ledger, and reserves when it is resumed.
#[test]
fn a_run_knows_its_ledger_before_it_reserves() {
    let desk = desk("8");
    let mut run = RUN.to_vec();
    run.extend(["--run-dir", "out"]);
    desk.call(&run).fine();
    let (text, job) = (desk.read("out/run.json"), desk.read("out/job.toml"));
    let name = desk.json("out/run.json")["ledger"]["job"]
        .as_str()
        .unwrap()
        .to_owned();
    std::fs::remove_dir_all(desk.path("out")).unwrap();
    std::fs::create_dir(desk.path("out")).unwrap();
    desk.write("out/run.json", text.replace(&name, "another"));
    desk.write("out/job.toml", job);
    desk.call(&RESUME).fine();
    assert_eq!(block(&desk)["jobs"], 2);
    // The same again is a run that has ended in its ledger.
    std::fs::remove_dir_all(desk.path("out")).unwrap();
    std::fs::create_dir(desk.path("out")).unwrap();
    desk.write("out/run.json", text);
    desk.call(&RESUME)
        .refused(3, &["it has ended in this ledger; start a new run"]);
}

/// LG-12: a run that will not go on gives back what it did not charge, and cannot go on.
#[cfg(unix)]
#[test]
fn an_abandoned_run_is_closed() {
    let desk = desk("8");
    killed_run(&desk);
    let open = block(&desk);
    let name = open["open"][0]["run"].as_str().unwrap();
    let close = ["budget", "close", &name[..8], "--ledger", "ledger.db"];
    let said = desk.call(&close).fine().stdout;
    assert!(said.starts_with("closed: job `small`, run "), "{said}");
    let closed = block(&desk);
    assert_eq!(closed["open_jobs"], 0);
    let used = |block: &serde_json::Value| block["used_nanonats"].as_u64().unwrap();
    assert!(0 < used(&closed) && used(&closed) < used(&open), "{closed}");
    desk.call(&RESUME)
        .refused(3, &["it has ended in this ledger; start a new run"]);
    assert_eq!(used(&block(&desk)), used(&closed));
    desk.call(&close)
        .refused(2, &["no open run of this ledger is called"]);
}

/// LG-12: closed while it runs, a run is stopped by its next charge, and what it had charged stays.
#[cfg(unix)]
#[test]
fn a_run_that_is_closed_while_it_runs_ends() {
    use std::io::{BufRead, BufReader};
    let desk = desk("8");
    let slow = "[[fault]]\nparty = \"party-1\"\nkind = \"slow\"\ndelay_ms = 80\nfrom_round = 3\nuntil_round = 40\n";
    desk.write("scenario.toml", slow);
    let run = "run job.toml --ledger ledger.db --run-dir out --scenario scenario.toml --set training.rounds=40 --set evaluation.every=2";
    let words: Vec<&str> = run.split(' ').collect();
    let mut child = desk
        .command(&words)
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("round 2: ")));
    let open = block(&desk)["open"][0]["run"].as_str().unwrap().to_owned();
    desk.call(&["budget", "close", &open, "--ledger", "ledger.db", "--json"])
        .fine();
    let closed = block(&desk)["used_nanonats"].clone();
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_ne!(child.wait().unwrap().code(), Some(0), "{rest:?}");
    assert!(!desk.path("out/model").exists());
    assert_eq!(block(&desk)["used_nanonats"], closed);
}

/// LG-13: a plan is kept by runs, shown, and warned of.
#[test]
fn a_plan_is_kept() {
    let desk = desk("8");
    let fresh = Desk::small();
    let mut with_plan = set("rows", "8");
    with_plan.extend([
        "--plan",
        "0.5/job",
        "--plan",
        "0.02/30d",
        "--warn-at",
        "0.5",
    ]);
    let shown = fresh.call(&with_plan).fine().stdout;
    for part in [
        "one job takes 50.0 % at most",
        "the jobs of any 30 days take 2.0 % at most",
        "for each record, for life",
    ] {
        assert!(shown.contains(part), "{part:?} is not in: {shown}");
    }
    fresh.write("job.toml", desk.read("job.toml"));
    fresh.call(&RUN).refused(
        3,
        &[
            "the spending plan of `rows` refuses job `small`",
            "wait until earlier jobs are 30 days old",
        ],
    );
    let faster = [
        "budget",
        "plan",
        "--ledger",
        "ledger.db",
        "--data",
        "rows",
        "--plan",
        "0.5/30d",
    ];
    let shown = fresh.call(&faster).fine().stdout;
    assert!(
        shown.contains("any 30 days take 50.0 %") && !shown.contains("one job takes"),
        "{shown}"
    );
    fresh.call(&RUN).fine();
    let mut again = faster;
    again[7] = "0.02/30d";
    fresh.call(&again).fine();
    let mut wrong = set("other", "8");
    wrong.extend(["--plan", "0.5/week"]);
    fresh
        .call(&wrong)
        .refused(2, &["`0.5/week` is no plan", "0.25/90d"]);
    let document = block(&fresh);
    assert_eq!(document["plan"]["period_days"], 30);
    let warned =
        serde_json::json!(["0.0 % of what the spending plan of `rows` gives to 30 days is left"]);
    assert_eq!(
        (&document["warn_at"], &document["warnings"]),
        (&0.5.into(), &warned)
    );
}

/// LG-14: a job for records is no job for persons.
#[test]
fn a_budget_for_persons_refuses_a_job_for_records() {
    let desk = Desk::small();
    desk.write("job.toml", self::desk("8").read("job.toml"));
    let mut persons = set("people", "8");
    persons.extend(["--unit", "person"]);
    desk.call(&persons).refused(2, &["name it with --id"]);
    persons.extend(["--id", "a"]);
    let shown = desk.call(&persons).fine().stdout;
    assert!(shown.contains("for each person, for life"), "{shown}");
    desk.call(&RUN).refused(
        3,
        &[
            "protects each record, and the budget of `people` is for each person",
            "privacy.unit = \"person\"",
        ],
    );
}

#[test]
fn noise_from_a_seed_is_not_charged() {
    let desk = desk("8");
    let mut seeded = RUN.to_vec();
    seeded.extend(["--set", "job.insecure_seed=7"]);
    desk.call(&seeded)
        .refused(3, &["insecure_seed", "no budget covers it"]);
    assert_eq!(block(&desk)["jobs"], 0);
}

/// Files of one name in several folders are different parties, each charged.
#[test]
fn parties_have_names_of_their_own() {
    let desk = desk("20");
    let (rows, mut tables) = (desk.read("data.csv"), Vec::new());
    let header = rows.lines().next().unwrap();
    for (index, name) in ["x/a.csv", "y/a-3.csv", "z/a.csv"].into_iter().enumerate() {
        std::fs::create_dir(desk.path(&name[..1])).unwrap();
        let part: Vec<&str> = rows.lines().skip(1).skip(index * 20).take(20).collect();
        desk.write(name, format!("{header}\n{}\n", part.join("\n")));
        tables.push(name);
    }
    let mut run = RUN.to_vec();
    run.push("--party-data");
    run.extend(tables);
    let report = desk.call(&run).fine().json();
    let parties = report["parties"].as_array().unwrap().iter();
    let names: Vec<&str> = parties
        .map(|party| party["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "a-3", "a-4"]);
    assert_eq!(block(&desk)["jobs"], 1);
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
