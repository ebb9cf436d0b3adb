//! `lepton verify`.

use serde_json::Value;

use crate::support::Desk;

/// The small job, run.
fn finished() -> Desk {
    let desk = Desk::small();
    desk.call(&["run", "job.toml", "--run-dir", "out", "-q"])
        .fine();
    desk
}

#[test]
fn a_report_verifies_and_says_what_that_is_worth() {
    let desk = finished();
    let done = desk.call(&["verify", "out/privacy.json"]).fine();
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines[0], "ok       schema: privacy-report, version 1");
    assert!(lines[1].starts_with("ok       canonical form: ") && lines[1].contains("RFC 8785"));
    assert_eq!(lines[2], "ok       signers: 4 announced, 4 there");
    assert!(lines[3].starts_with("ok       signature of coordinator: holds, key "));
    assert!(lines[4].starts_with("ok       signature of party "));
    assert_eq!(
        lines[7],
        "-        who signed: no key was given: checked against the keys in the file only, which proves that it was not changed since it was signed, not who signed it"
    );
    assert_eq!(
        lines[8..10],
        [
            "ok       file job.toml: the effective job, unchanged",
            "ok       file model/model.safetensors: the released model, unchanged",
        ]
    );
    let rest = done.stdout.split_once("\nverified: ").unwrap().1;
    assert!(rest.starts_with(
        "unchanged since it was signed, by whomever\nNo privacy goal was set. Each party's numbers were hidden in masked sums"
    ));
    assert!(rest.contains(
        "\nNOTE: Simulated identities: the keys were drawn for this run and thrown away."
    ));
    assert!(rest.contains("\nNOTE: No privacy goal is set: exact sums were released."));
    assert_eq!(done.stderr, "");
}

#[test]
fn given_keys_are_asked_for() {
    let desk = finished();
    let own = [
        "verify",
        "out/privacy.json",
        "--key",
        "out/keys/coordinator.pem",
    ];
    let done = desk.call(&own).fine();
    assert!(
        done.stdout
            .contains("ok       who signed: 1 of 4 by a given key\n")
    );
    assert!(
        done.stdout
            .contains("\nverified: signed by the keys you gave\n")
    );
    let all = [
        "verify",
        "out/privacy.json",
        "--keys",
        "out/keys/all.pem",
        "--json",
    ];
    let found = desk.call(&all).fine().json();
    assert_eq!(
        (&found["verified"], &found["authenticated"]),
        (&true.into(), &true.into())
    );

    let rfc_8410 = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    desk.write("stranger.pem", rfc_8410);
    let stranger = desk.call(&["verify", "out/privacy.json", "--key", "stranger.pem"]);
    assert_eq!(stranger.code, Some(1));
    assert!(stranger.stdout.contains(
        "FAILED   who signed: nobody signed with the given key 19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1\n"
    ));
    assert!(!stranger.stdout.contains("\nverified"));
    let some = desk.call(&[
        "verify",
        "out/privacy.json",
        "--keys",
        "out/keys/party-1.pem",
    ]);
    assert_eq!(some.code, Some(1));
    assert!(
        some.stdout
            .contains("FAILED   who signed: the key of coordinator is not among the given ones\n")
    );
    desk.call(&["verify", "out/privacy.json", "--key", "job.toml"])
        .refused(
            1,
            &["job.toml: there is no PEM block in it; name a PEM file of an Ed25519 public key"],
        );
}

#[test]
fn a_changed_report_fails() {
    let desk = finished();
    let good = desk.read("out/privacy.json");
    desk.write(
        "out/privacy.json",
        good.replacen("\"rounds\": 3", "\"rounds\": 4", 1),
    );
    let done = desk.call(&["verify", "out/privacy.json"]);
    assert_eq!(done.code, Some(1));
    assert_eq!(done.stdout.matches("FAILED   signature of ").count(), 4);
    assert_eq!(
        done.stderr,
        "error: out/privacy.json is not verified: do not rely on it; ask whoever should have signed it for the original\n"
    );
    let json = desk.call(&["verify", "out/privacy.json", "--json"]);
    assert_eq!(json.code, Some(1));
    let found: Value = json.json();
    assert_eq!(
        (&found["verified"], &found["summary"]),
        (&false.into(), &Value::Null)
    );
    desk.call(&["report", "out"]).refused(
        1,
        &["out/privacy.json: is not as it was signed (the signature of coordinator does not hold)"],
    );

    desk.write("out/privacy.json", &good);
    desk.write("out/job.toml", desk.read("out/job.toml") + "\n");
    let done = desk.call(&["verify", "out/privacy.json"]);
    assert_eq!(done.code, Some(1));
    assert!(done.stdout.contains(
        "FAILED   file job.toml: is another file than the effective job of this report\n"
    ));

    std::fs::create_dir(desk.path("alone")).unwrap();
    desk.write("alone/privacy.json", &good);
    let done = desk.call(&["verify", "alone/privacy.json"]).fine();
    assert!(
        done.stdout
            .contains("-        file model/model.safetensors: does not lie beside the report\n")
    );
}

#[test]
fn what_is_no_document_is_refused() {
    let desk = Desk::small();
    desk.call(&["verify", "none.json"])
        .refused(1, &["none.json: there is no such file"]);
    for (text, problem) in [
        ("job", "it cannot be read as strict JSON"),
        (
            "{\"format\": \"lepton-report/1\"}",
            "it has no `type` that says what it is",
        ),
        (
            "{\"type\": \"proof\"}",
            "its type is \"proof\", which this version cannot verify (known: privacy-report, lepton-table-statement, lepton-destruction-certificate, lepton-key-revocation, lepton-key-destruction)",
        ),
        (
            "{\"type\": \"proof\", \"type\": \"privacy-report\"}",
            "\"type\" stands twice in one object",
        ),
    ] {
        desk.write("file.json", text);
        desk.call(&["verify", "file.json"])
            .refused(1, &["file.json: ", problem]);
    }
}

#[test]
fn a_document_cannot_write_to_the_terminal() {
    let desk = Desk::small();
    let signature =
        r#"{"role": "\u001b[2Jparty", "party": null, "public_key": "0", "signature": "0"}"#;
    let text = finished().read("out/privacy.json");
    let (head, _) = text.split_once("\"signatures\"").unwrap();
    desk.write(
        "file.json",
        format!("{head}\"signatures\": [{signature}]}}"),
    );
    let done = desk.call(&["verify", "file.json"]);
    assert_eq!(done.code, Some(1));
    assert!(
        done.stdout
            .contains("FAILED   signature of \u{fffd}[2Jparty")
    );
    assert!(!done.stdout.contains('\u{1b}'));
}
