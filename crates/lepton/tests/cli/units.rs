//! Jobs that protect whole parties, from the job file to the reports (docs/protocols/privacy-units.md).

use crate::support::{Desk, SMALL, table};

/// A desk with forty parties of fifteen rows, and a goal for each of them.
fn desk(privacy: &str) -> Desk {
    let desk = Desk::small();
    let job = SMALL.replace(
        "label = \"y\"",
        "label = \"y\"\nclasses = [\"no\", \"yes\"]\nsplit = { by = \"even\", parties = 40 }",
    );
    let goal = "\n[prepare.bounds]\na = [-20, 20]\nb = [-14, 14]\n\n[privacy]\nunit = \"party\"\nepsilon = 8\ndelta = 1e-3\n";
    desk.write("job.toml", job + goal + privacy);
    desk.write("data.csv", table(600));
    desk
}

const RUN: [&str; 6] = ["run", "job.toml", "--run-dir", "run", "--quiet", "--json"];

#[test]
fn a_job_for_parties_says_so_everywhere() {
    let desk = desk("clip = 1.0\n");
    let report = desk.call(&RUN).fine().json();
    let privacy = &report["privacy"];
    assert_eq!(privacy["unit"], "party");
    assert_eq!(privacy["adjacency"], "add-remove");
    assert!(privacy["sampling_rate"].is_null());
    assert!(privacy["epsilon_coordinator"].as_f64().unwrap() <= 8.0);
    assert_eq!(report["data"]["counted_in"], "parties");
    assert_eq!(report["data"]["rows_train"], 40.0);
    for release in privacy["releases"].as_array().unwrap() {
        assert_eq!(release["rows"], "all rows of a party");
    }
    let statement = desk.read("run/privacy.json");
    assert!(statement.contains("Each party is protected with epsilon"));
    assert!(!statement.contains("Each record is protected"));
    assert!(statement.contains("takes part with its rows or with none"));
    let page = desk.read("run/report.html");
    assert!(page.contains("Every party is protected with epsilon"));
    assert!(
        desk.read("run/model/model_card.md")
            .contains("their number is not released")
    );
    desk.call(&["verify", "run/privacy.json"]).fine();
}

/// PU-10, from the job file to the statement.
#[test]
fn an_adaptive_norm_is_stated() {
    let desk = desk("clip = \"adaptive\"\nclip_start = 2.0\n");
    let report = desk.call(&RUN).fine().json();
    let norm = report["privacy"]["clip"].as_f64().unwrap();
    assert!(norm != 2.0 && (1.0..4.0).contains(&norm), "{norm}");
    let assumptions = report["privacy"]["assumptions"].to_string();
    assert!(assumptions.contains("noised count of uncut contributions"));
}

/// PU-11 to PU-14: a table with an id column, three rows a person, parties by a column of sites.
#[test]
fn a_job_for_persons_says_so_everywhere() {
    let desk = Desk::small();
    let plain = table(600);
    let rows = plain.lines().skip(1).enumerate().map(|(row, line)| {
        let person = row / 3;
        format!("{line},{person:04},site{}\n", person % 4)
    });
    let with_ids: String = std::iter::once("a,b,y,id,site\n".to_owned())
        .chain(rows)
        .collect();
    desk.write("data.csv", with_ids);
    let job = SMALL.replace(
        "label = \"y\"",
        "label = \"y\"\nclasses = [\"no\", \"yes\"]\nperson = \"id\"\nsplit = { by = \"column\", column = \"site\" }",
    );
    let goal = "sampling_rate = 0.5\n[prepare.bounds]\na = [-20, 20]\nb = [-14, 14]\n\n[privacy]\nunit = \"person\"\nepsilon = 8\ndelta = 1e-3\n";
    desk.write("job.toml", job.clone() + goal);
    let report = desk.call(&RUN).fine().json();
    let privacy = &report["privacy"];
    assert_eq!(privacy["unit"], "person");
    assert!(privacy["epsilon_coordinator"].as_f64().unwrap() <= 8.0);
    assert_eq!(report["data"]["counted_in"], "persons");
    // Of 200 persons some 150 are on the training side; 450 rows would be far beyond what the noise can add.
    let counted = report["data"]["rows_train"].as_f64().unwrap();
    assert!((80.0..250.0).contains(&counted), "{counted}");
    // The id is no input.
    let inputs = report["model"]["features"].to_string();
    assert!(!inputs.contains("id") && inputs.contains('a'), "{inputs}");
    assert!(privacy["assumptions"].to_string().contains("at p parties"));
    assert!(
        desk.read("run/privacy.json")
            .contains("Each person is protected with epsilon")
    );

    let apart = job.replace(
        "split = { by = \"column\", column = \"site\" }",
        "split = { by = \"even\", parties = 4 }",
    );
    desk.write("job.toml", apart + goal);
    desk.call(&["run", "job.toml"]).refused(2, &["dealt apart"]);
}

/// PU-09, LG-14: a budget for records pays for a guarantee about parties what exchanging a whole party costs, about four times its divergence.
#[test]
fn pu_09_a_budget_for_records_is_charged_the_exchange() {
    let desk = desk("clip = 1.0\n");
    let call = |text: &str| desk.call(&text.split(' ').collect::<Vec<_>>());
    let set = "budget set --ledger ledger.db --table data.csv --delta 1e-3 --data rows --epsilon";
    call(&format!("{set} 100")).fine();
    let run = [RUN.as_slice(), &["--ledger", "ledger.db"]].concat();
    let goal = desk.call(&run).fine().json()["privacy"]["goal_epsilon"]
        .as_f64()
        .unwrap();
    let shown = call("budget show --ledger ledger.db --json").fine().json();
    let epsilon = shown["blocks"][0]["epsilon_so_far"].as_f64().unwrap();
    assert!(epsilon > 2.0 * goal && epsilon < 100.0, "{epsilon} {goal}");
}

#[test]
fn what_a_party_cannot_have_is_refused() {
    let with_noise = desk("clip = 1.0\nnoise = \"local\"\n");
    with_noise
        .call(&RUN)
        .refused(2, &["privacy.noise contradicts", "noise = \"distributed\""]);
    desk("clip = 1.0\n")
        .call(&["audit", "privacy", "job.toml"])
        .refused(2, &["single records", "protects each party"]);
}
