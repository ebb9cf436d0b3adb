//! `lepton audit log`.

use std::sync::Arc;

use lepton_crypto::{IdentityKey, Seed};
use lepton_node::audit_log::{AuditLog, Direction, Event, Verdict};
use serde_json::Value;

use crate::support::Desk;

fn write(desk: &Desk, member: &str, number: u8, events: impl IntoIterator<Item = Event>) -> String {
    let key = Arc::new(IdentityKey::from_seed(Seed::from_bytes([number; 32])));
    let public = key.public().to_string();
    let noon = || "2026-11-21T12:00:00Z".to_owned();
    let log = AuditLog::open(&desk.path(member), 100, (member, key), noon).unwrap();
    for event in events {
        log.append(event).unwrap();
    }
    log.seal().unwrap();
    public
}

fn message(direction: Direction, peer: &str, bytes: u64) -> Event {
    Event::Message {
        direction,
        peer: peer.to_owned(),
        job: Some("4f0c".to_owned()),
        kind: "masked input".to_owned(),
        bytes,
    }
}

fn refused() -> Event {
    Event::Decision {
        job: "4f0c".to_owned(),
        by: "clinic".to_owned(),
        submitter: "anna".to_owned(),
        verdict: Verdict::Refused,
        rule: Some("PO-03".to_owned()),
    }
}

#[test]
fn a_log_is_verified_shown_and_cross_checked() {
    let desk = Desk::small();
    let sent = message(Direction::Sent, "hub", 512);
    let key = write(&desk, "clinic", 1, [refused(), sent]);
    write(
        &desk,
        "hub",
        2,
        [message(Direction::Received, "clinic", 512)],
    );
    let done = desk.call(&["audit", "log", "verify", "clinic"]).fine();
    assert!(
        done.stdout
            .starts_with("The log of clinic holds: 5 entries in 2 segments."),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout.contains(&format!("signed by      {key}")),
        "{}",
        done.stdout
    );
    desk.call(&["audit", "log", "verify", "clinic", "--key", &key])
        .fine();
    let other = "00".repeat(32);
    let done = desk.call(&["audit", "log", "verify", "clinic", "--key", &other]);
    assert_eq!(done.code, Some(1), "{}", done.stdout);
    let done = desk.call(&["audit", "log", "verify", "clinic", "--key", "12"]);
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    let done = desk
        .call(&["audit", "log", "show", "clinic", "--job", "4f"])
        .fine();
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", done.stdout);
    assert_eq!(
        lines[0],
        "       2 2026-11-21T12:00:00Z decision   by=clinic job=4f0c rule=PO-03 submitter=anna verdict=refused"
    );
    let done = desk
        .call(&["audit", "log", "show", "clinic", "--json"])
        .fine();
    let all: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(all[2]["event"]["bytes"], 512);
    let cross = [
        "audit",
        "log",
        "cross-check",
        "clinic",
        "hub",
        "--job",
        "4f0c",
    ];
    let done = desk.call(&cross).fine();
    assert_eq!(
        done.stdout,
        "clinic and hub: 1 messages in both logs, 0 sent and not received\n"
    );
}

#[test]
fn a_bent_log_and_a_contradiction_fail() {
    let desk = Desk::small();
    write(&desk, "clinic", 1, [message(Direction::Sent, "hub", 512)]);
    write(
        &desk,
        "hub",
        2,
        [message(Direction::Received, "clinic", 513)],
    );
    let done = desk.call(&[
        "audit",
        "log",
        "cross-check",
        "clinic",
        "hub",
        "--job",
        "4f0c",
    ]);
    assert_eq!(done.code, Some(1), "{}", done.stdout);
    assert!(
        done.stdout
            .contains("contradiction  hub received 1 messages"),
        "{}",
        done.stdout
    );
    let segment = "clinic/segment-00000001.jsonl";
    let bent = desk.read(segment).replace("\"bytes\":512", "\"bytes\":513");
    desk.write(segment, bent);
    let done = desk.call(&["audit", "log", "verify", "clinic"]);
    assert_eq!(done.code, Some(1), "{}", done.stdout);
    assert!(
        done.stderr
            .contains("segment-00000001.jsonl:3: the audit log does not hold"),
        "{}",
        done.stderr
    );
    let done = desk.call(&["audit", "log", "verify", "nowhere"]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
}
