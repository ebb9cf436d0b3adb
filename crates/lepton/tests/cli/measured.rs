//! `lepton audit` and `lepton bench`: commands that attack and measure.

use crate::support::{Desk, example};

#[test]
fn an_audit_holds_its_bounds_against_the_claim() {
    let desk = Desk::small();
    let job = example();
    let call = [
        "audit",
        "privacy",
        job.as_str(),
        "--set",
        "privacy.epsilon=3",
        "--set",
        "training.rounds=10",
        "--canaries",
        "200",
        "--guesses",
        "50",
        "--shadow-models",
        "4",
        "--json",
    ];
    let found = desk.call(&call).fine().json();
    let claimed = found["claimed"]["epsilon"].as_f64().unwrap();
    assert!(claimed > 0.5 && claimed <= 3.0);
    assert_eq!(found["refuted"], false);
    for canaries in ["canaries", "gradient_canaries"] {
        let canaries = &found[canaries];
        let (shown, most) = (
            &canaries["epsilon_lower_bound"],
            &canaries["epsilon_largest_possible"],
        );
        assert!(shown.as_f64().unwrap() <= most.as_f64().unwrap());
        assert!(canaries["included"].as_u64() < canaries["canaries"].as_u64());
    }
    let auc = found["membership"]["lira_auc"].as_f64().unwrap();
    assert!((0.3..0.7).contains(&auc), "{auc}");
    assert!(found["notes"].to_string().contains("they share one model"));
    let text = desk.call(&call[..call.len() - 1]).fine().stdout;
    assert!(
        text.starts_with("claimed ")
            && text.contains("\ngradients ")
            && text.contains("they share one model, so it may be too narrow")
            && text.contains("a release of its own")
    );
}

#[test]
fn an_audit_refuses_numbers_that_do_not_go_together() {
    let desk = Desk::small();
    let job = example();
    let more = [
        "audit",
        "privacy",
        job.as_str(),
        "--canaries",
        "10",
        "--guesses",
        "11",
    ];
    desk.call(&more)
        .refused(2, &["11 guesses about 10 canaries"]);
    let sure = ["audit", "privacy", job.as_str(), "--confidence", "1"];
    desk.call(&sure).refused(2, &["from 0.5 to below 1"]);
    let none = ["audit", "privacy", "nowhere.toml"];
    desk.call(&none).refused(1, &["nowhere.toml"]);
}

#[test]
fn a_masked_sum_is_measured() {
    let desk = Desk::small();
    let call = [
        "bench",
        "masked-sum",
        "--parties",
        "12",
        "--dropouts",
        "2",
        "--dim",
        "500",
        "--bits",
        "20",
        "--json",
    ];
    let costs = desk.call(&call).fine().json();
    assert_eq!(costs["exact"], true);
    assert_eq!(costs["neighbours"], 11);
    assert_eq!(costs["vector_bytes"], 1250);
    // docs/protocols/masked-sum.md: about 64 k^2 bytes each way beside the vector.
    let (up, down) = (
        costs["up_bytes"].as_u64().unwrap(),
        costs["down_bytes"].as_u64().unwrap(),
    );
    assert!(
        up < 1250 + 64 * 13 * 13 + 1500 && down < 64 * 13 * 13 + 3000,
        "{up} {down}"
    );
    assert!(costs.get("security_bits").is_none());
    let sparse = [
        "bench",
        "masked-sum",
        "--parties",
        "60",
        "--neighbours",
        "8",
        "--dim",
        "10",
        "--colluders",
        "2",
    ];
    let text = desk.call(&sparse).fine().stdout;
    assert!(text.contains("random graph of 8 neighbours") && text.contains("exact"));
    let many = ["bench", "masked-sum", "--parties", "5", "--dropouts", "4"];
    desk.call(&many).refused(2, &["drops"]);
}
