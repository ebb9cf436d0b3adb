//! Audit logs: what is written is read back, every change shows, a crash is repaired, and two logs of one job are held against each other.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers outside of test functions; files are what is tested"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lepton_crypto::{IdentityKey, Seed};
use lepton_node::audit_log::{AuditLog, Direction, Event, Verdict, cross_check, read, verify};
use proptest::prelude::*;
use tempfile::TempDir;

const JOB: &str = "00ff";

fn key(number: u8) -> Arc<IdentityKey> {
    Arc::new(IdentityKey::from_seed(Seed::from_bytes([number; 32])))
}

fn noon() -> String {
    "2026-11-21T12:00:00Z".to_owned()
}

fn open(folder: &Path, member: &str, number: u8) -> Result<AuditLog, String> {
    AuditLog::open(folder, 5, (member, key(number)), noon).map_err(|error| error.to_string())
}

fn message(direction: Direction, peer: &str, kind: &str, bytes: u64) -> Event {
    Event::Message {
        direction,
        peer: peer.to_owned(),
        job: Some(JOB.to_owned()),
        kind: kind.to_owned(),
        bytes,
    }
}

fn decision(by: &str, verdict: Verdict) -> Event {
    Event::Decision {
        job: JOB.to_owned(),
        by: by.to_owned(),
        submitter: "anna".to_owned(),
        verdict,
        rule: (verdict == Verdict::Refused).then(|| "PO-03".to_owned()),
    }
}

fn charge(entry: u64) -> Event {
    Event::Charge {
        job: JOB.to_owned(),
        entry,
        kind: "training".to_owned(),
        round: entry,
        attempt: 1,
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|name| name == "jsonl"))
        .collect();
    all.sort();
    all
}

/// Two writers would make a chain that forks: the second is refused as long as the first lives.
#[test]
fn a_log_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), "clinic", 1).unwrap();
    let second = open(folder.path(), "clinic", 1).map(drop).unwrap_err();
    assert!(
        second.contains("another process writes this log"),
        "{second}"
    );
    drop(log);
    open(folder.path(), "clinic", 1).unwrap();
}

/// Two signed segments of six lines and a seal each, and one that goes on.
fn filled() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), "clinic", 1).unwrap();
    log.append(decision("clinic", Verdict::Accepted)).unwrap();
    for entry in 1..12 {
        log.append(charge(entry)).unwrap();
    }
    folder
}

#[test]
fn what_is_written_is_read_back() {
    let folder = filled();
    assert_eq!(files(folder.path()).len(), 3);
    let (summary, entries) = read(folder.path()).unwrap();
    assert_eq!(summary.member, "clinic");
    assert_eq!(summary.keys, [key(1).public().to_string()]);
    assert_eq!((summary.segments, summary.entries), (3, 17));
    assert_eq!((summary.unsigned, summary.repairs), (3, 0));
    let events: Vec<Event> = entries
        .into_iter()
        .map(|entry| entry.event)
        .filter(|event| event.job().is_some())
        .collect();
    assert_eq!(events[0], decision("clinic", Verdict::Accepted));
    assert_eq!(events[1..], (1..12).map(charge).collect::<Vec<_>>());
    verify(folder.path(), Some(&key(1).public())).unwrap();
}

#[test]
fn another_key_than_the_members_is_refused() {
    let folder = filled();
    let error = verify(folder.path(), Some(&key(2).public())).unwrap_err();
    assert!(
        error.to_string().contains("another key than the member's"),
        "{error}"
    );
}

#[test]
fn a_log_goes_on_where_it_ended() {
    let folder = filled();
    let log = open(folder.path(), "clinic", 1).unwrap();
    log.append(charge(12)).unwrap();
    log.seal().unwrap();
    drop(log);
    let log = open(folder.path(), "clinic", 1).unwrap();
    log.append(charge(13)).unwrap();
    let summary = verify(folder.path(), None).unwrap();
    assert_eq!((summary.segments, summary.unsigned), (4, 2));
    drop(log);
    // A name or key of today does not go on with an unsigned segment of yesterday, and does with a signed one.
    assert!(open(folder.path(), "clinic", 2).is_err());
    assert!(open(folder.path(), "hospital", 1).is_err());
    open(folder.path(), "clinic", 1).unwrap().seal().unwrap();
    let last = files(folder.path()).pop().unwrap();
    fs::remove_file(last).unwrap();
    open(folder.path(), "clinic", 2)
        .unwrap()
        .append(charge(14))
        .unwrap();
    assert_eq!(verify(folder.path(), None).unwrap().keys.len(), 2);
}

/// A changed byte of the signed part is found, wherever it is: every fifth is tried, and each place of a line comes up in some line.
#[test]
fn a_changed_byte_is_found() {
    let folder = filled();
    for path in &files(folder.path())[..2] {
        let good = fs::read(path).unwrap();
        for at in (0..good.len()).step_by(5) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(path, &bad).unwrap();
            assert!(
                verify(folder.path(), None).is_err(),
                "{} {at}",
                path.display()
            );
        }
        fs::write(path, good).unwrap();
    }
    verify(folder.path(), None).unwrap();
}

#[test]
fn lines_and_segments_cannot_be_left_out_moved_or_added() {
    let folder = filled();
    let all = files(folder.path());
    let good = fs::read_to_string(&all[0]).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    for left_out in 0..lines.len() {
        let mut bad = lines.clone();
        bad.remove(left_out);
        fs::write(&all[0], bad.join("\n") + "\n").unwrap();
        assert!(
            verify(folder.path(), None).is_err(),
            "without line {left_out}"
        );
    }
    for at in 1..lines.len() {
        let mut bad = lines.clone();
        bad.swap(at - 1, at);
        fs::write(&all[0], bad.join("\n") + "\n").unwrap();
        assert!(verify(folder.path(), None).is_err(), "swapped at {at}");
        let mut bad = lines.clone();
        bad.insert(at, lines[at]);
        fs::write(&all[0], bad.join("\n") + "\n").unwrap();
        assert!(verify(folder.path(), None).is_err(), "twice at {at}");
    }
    let spaced = good.replacen("{\"n\":1,", "{\"n\": 1,", 1);
    fs::write(&all[0], spaced).unwrap();
    assert!(verify(folder.path(), None).is_err(), "another spelling");
    fs::write(&all[0], &good).unwrap();
    for path in &all[..2] {
        let kept = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        assert!(verify(folder.path(), None).is_err(), "{}", path.display());
        fs::write(path, kept).unwrap();
    }
    verify(folder.path(), None).unwrap();
}

/// A forger with another key can make a whole log, and not one that carries the member's key.
#[test]
fn a_forged_log_has_another_key() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), "clinic", 9).unwrap();
    log.append(charge(1)).unwrap();
    log.seal().unwrap();
    assert_ne!(
        verify(folder.path(), None).unwrap().keys,
        [key(1).public().to_string()]
    );
    assert!(verify(folder.path(), Some(&key(1).public())).is_err());
    let path = &files(folder.path())[0];
    let text = fs::read_to_string(path).unwrap();
    let swapped = text.replace(&key(9).public().to_string(), &key(1).public().to_string());
    fs::write(path, swapped).unwrap();
    assert!(verify(folder.path(), None).is_err());
}

#[test]
fn a_line_cut_short_anywhere_is_repaired_and_recorded() {
    let folder = filled();
    let last = files(folder.path()).pop().unwrap();
    let good = fs::read_to_string(&last).unwrap();
    let whole = good.trim_end().rfind('\n').unwrap() + 1;
    for cut in [0, 1, whole / 2, whole, whole + 1, good.len() - 1] {
        fs::write(&last, &good[..cut]).unwrap();
        let torn = !good[..cut].is_empty() && !good[..cut].ends_with('\n');
        assert_eq!(
            verify(folder.path(), None).is_err(),
            torn || cut == 0,
            "{cut}"
        );
        open(folder.path(), "clinic", 1)
            .unwrap()
            .append(charge(99))
            .unwrap();
        let (summary, entries) = read(folder.path()).unwrap();
        assert_eq!(summary.repairs, u64::from(torn), "{cut}");
        assert_eq!(entries.last().unwrap().event, charge(99));
        for path in files(folder.path()) {
            if path > last {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

#[test]
fn damage_in_the_last_segment_stops_the_writer() {
    let folder = filled();
    let last = files(folder.path()).pop().unwrap();
    let good = fs::read_to_string(&last).unwrap();
    fs::write(&last, good.replacen("training", "evaluation", 1)).unwrap();
    let error = open(folder.path(), "clinic", 1).err().unwrap();
    assert!(error.contains("does not follow"), "{error}");
}

#[test]
fn two_true_logs_of_a_job_agree() {
    let (party, coordinator) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at_party = open(party.path(), "clinic", 1).unwrap();
    let at_coordinator = open(coordinator.path(), "hub", 2).unwrap();
    let (sent, received) = (Direction::Sent, Direction::Received);
    at_party
        .append(decision("clinic", Verdict::Accepted))
        .unwrap();
    at_coordinator
        .append(decision("clinic", Verdict::Accepted))
        .unwrap();
    for round in 0..7 {
        at_coordinator
            .append(message(sent, "clinic", "begin", 100 + round))
            .unwrap();
        at_party
            .append(message(received, "hub", "begin", 100 + round))
            .unwrap();
        at_party
            .append(message(sent, "hub", "masked input", 5000))
            .unwrap();
        if round != 3 {
            at_coordinator
                .append(message(received, "clinic", "masked input", 5000))
                .unwrap();
        }
    }
    let check = cross_check(party.path(), coordinator.path(), JOB).unwrap();
    assert_eq!(check.contradictions, [""; 0]);
    assert_eq!((check.matched, check.not_received), (13, 1));
    assert!(cross_check(party.path(), coordinator.path(), "another job").is_err());
    // The coordinator claims a message that the party never sent, and a decision it never made.
    at_coordinator
        .append(message(received, "clinic", "masked input", 5001))
        .unwrap();
    at_coordinator
        .append(decision("clinic", Verdict::Approved))
        .unwrap();
    let check = cross_check(party.path(), coordinator.path(), JOB).unwrap();
    assert_eq!(check.contradictions.len(), 2, "{:?}", check.contradictions);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300), after in any::<bool>()) {
        let folder = filled();
        let path = files(folder.path()).pop().unwrap();
        let mut all = if after { fs::read(&path).unwrap() } else { Vec::new() };
        all.extend(&bytes);
        fs::write(&path, all).unwrap();
        prop_assert!(verify(folder.path(), None).is_err() || bytes.is_empty());
        let _ = open(folder.path(), "clinic", 1);
    }
}
