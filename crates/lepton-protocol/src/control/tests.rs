//! Every message there and back, and corrupted twins.

use super::wire::{AnswerIn, BodyIn, FileIn, FilesIn, HelloIn, RefusalIn, RosterIn};
use super::*;
use crate::progress::Progress;
use lepton_crypto::{IdentityKey, Seed};

fn every_body() -> Vec<Body> {
    let mut bodies = usual_bodies();
    bodies.extend(bodies_of_starts());
    bodies
}

fn usual_bodies() -> Vec<Body> {
    let key = IdentityKey::from_seed(Seed::from_bytes([7; 32]));
    let job = SignedJob::sign("[job]".to_owned(), vec![1, 2], &key);
    assert!(job.is_signed_by(&key.public()));
    let refusal = Refusal::new("policy.submitters", "not you");
    vec![
        Body::Hello {
            boot: [3; 16],
            certificate: vec![4, 5],
        },
        Body::Submit(job.clone()),
        Body::Offer(job),
        Body::Answer(Answer::Accepted),
        Body::Answer(Answer::Refused(refusal.clone())),
        Body::Answer(Answer::AwaitingApproval),
        Body::Answer(Answer::Joined {
            boot: [9; 16],
            epoch: 4,
            roster: [8; 32],
        }),
        Body::Roster(vec![vec![1], vec![2, 3]]),
        Body::Frame(vec![0; 40].into()),
        Body::Ended(Ended {
            finished: true,
            words: "done".to_owned(),
        }),
        Body::List,
        Body::Watch(7),
        Body::Stop,
        Body::Log(9),
        Body::Events(Vec::new()),
        Body::Pull,
        Body::Done("submitted".to_owned()),
        Body::Refused(refusal),
        Body::Jobs(vec![JobLine {
            job: "00".to_owned(),
            name: "churn".to_owned(),
            submitter: "ada".to_owned(),
            submitted: String::new(),
            state: JobState::Waiting,
            words: "for party-2".to_owned(),
            parties: vec!["party-1".to_owned()],
            epoch: 2,
        }]),
        Body::Event(Box::new(JobEvent {
            number: 3,
            at: String::new(),
            state: Some(JobState::Running),
            progress: Progress::Note {
                text: "x".to_owned(),
            },
        })),
        Body::Files(vec![FileLine {
            name: "model/model.safetensors".to_owned(),
            bytes: 12,
            sha256: [6; 32],
        }]),
        Body::Fetch {
            name: "report.json".to_owned(),
            from: 3,
        },
        Body::Part(vec![1, 2, 3]),
    ]
}

/// Those about a start and about checkpoints (rules JC-31, JC-33).
fn bodies_of_starts() -> Vec<Body> {
    let part = StartPart {
        from: 4,
        of: 7,
        bytes: vec![1, 2, 3].into(),
    };
    vec![Body::Wanted(1 << 20), Body::Start(part), Body::Kept]
}

#[test]
fn every_message_survives_the_wire() {
    for body in every_body() {
        let message = Control { job: [5; 32], body };
        assert_eq!(Control::from_bytes(message.to_bytes()), Ok(message));
    }
}

/// JC-33: what is no part of a start that may be.
#[test]
fn a_part_of_a_start_lies_within_it() {
    let start = |from, of, bytes: Vec<u8>| {
        let part = StartPart {
            from,
            of,
            bytes: bytes.into(),
        };
        let (job, body) = ([5; 32], Body::Start(part));
        Control::from_bytes(Control { job, body }.to_bytes())
    };
    assert!(start(4, 7, vec![1; 3]).is_ok());
    for (from, of, length) in [
        (4, 7, 0),
        (5, 7, 3),
        (7, 7, 1),
        (u64::MAX, 7, 1),
        (0, MAX_START_BYTES + 1, 1),
        (0, MAX_START_BYTES, MAX_PART_BYTES + 1),
    ] {
        let read = start(from, of, vec![1; length]);
        assert!(read.is_err(), "{from} {of} {length}");
    }
    let whole = Bytes::from(vec![7; 10]);
    let lengths = [0, 4, 8].map(|from| StartPart::cut(&whole, from, 4).unwrap().bytes.len());
    assert_eq!(lengths, [4, 4, 2]);
    assert_eq!(StartPart::cut(&whole, 10, 4), None);
}

fn hello(length: usize) -> BodyIn {
    BodyIn::Hello(HelloIn {
        boot: vec![1; length],
        certificate: Vec::new(),
    })
}

/// JC-01: corrupted twins of good messages.
#[test]
fn a_message_with_one_wrong_field_is_refused() {
    let good = ControlIn {
        version: VERSION,
        job: vec![5; 32],
        body: Some(hello(16)),
    };
    assert!(good.clone().verify().is_ok());
    let version = ControlIn {
        version: 2,
        ..good.clone()
    };
    assert_eq!(version.verify(), Err(ControlError::Version(2)));
    for twin in [
        ControlIn {
            job: vec![5; 31],
            ..good.clone()
        },
        ControlIn {
            body: None,
            ..good.clone()
        },
        ControlIn {
            body: Some(hello(15)),
            ..good.clone()
        },
        // LJ-07: who joined without saying what.
        ControlIn {
            body: Some(BodyIn::Answer(AnswerIn {
                verdict: 4,
                boot: vec![9; 16],
                roster: vec![8; 31],
                ..AnswerIn::default()
            })),
            ..good.clone()
        },
        ControlIn {
            body: Some(BodyIn::Answer(AnswerIn {
                verdict: 5,
                ..AnswerIn::default()
            })),
            ..good.clone()
        },
        ControlIn {
            body: Some(BodyIn::Event("{".to_owned())),
            ..good.clone()
        },
    ] {
        assert!(matches!(twin.verify(), Err(ControlError::Malformed(_))));
    }
    for name in [
        "", "..", ".hidden", "a/../b", "/a", "a/", "a//b", "a/.b", "a/b/c/d", "a\\b", "ü",
    ] {
        let files = FilesIn {
            files: vec![FileIn {
                name: name.to_owned(),
                bytes: 0,
                sha256: vec![0; 32],
            }],
        };
        assert!(files.verify().is_err(), "{name}");
    }
    let long = RosterIn {
        certificates: vec![vec![0; MAX_CERTIFICATE_BYTES + 1]],
    };
    assert!(matches!(long.verify(), Err(ControlError::TooLarge { .. })));
}

/// JC-01: whatever a refusal says may be shown on a terminal.
#[test]
fn a_refusal_names_a_rule_and_moves_no_cursor() {
    let refused = |rule: &str| {
        let refusal = RefusalIn {
            rule: rule.to_owned(),
            words: "one\u{1b}[2Jtwo\u{9b}A".to_owned(),
        };
        let body = BodyIn::Answer(AnswerIn {
            verdict: 2,
            refusal: Some(refusal),
            ..AnswerIn::default()
        });
        ControlIn {
            version: VERSION,
            job: vec![5; 32],
            body: Some(body),
        }
        .verify()
    };
    for rule in ["PO-15", "data.types", "limits.jobs", "job.insecure_seed"] {
        let Body::Answer(Answer::Refused(refusal)) = refused(rule).unwrap().body else {
            panic!("{rule} is another body");
        };
        assert_eq!(
            (refusal.rule.as_str(), refusal.words.as_str()),
            (rule, "one [2Jtwo A")
        );
    }
    for rule in ["", "a rule", "a\u{1b}[2J", "PO-15\n", "règle", "a(b)"] {
        assert!(
            matches!(refused(rule), Err(ControlError::Malformed(_))),
            "{rule}"
        );
    }
}

/// The reason of a decline comes in a frame, not in an envelope: it is cut and cleaned all the same.
#[test]
fn a_reason_is_cut_and_cleaned() {
    assert_eq!(plain_words("no\r\nway\u{7f}"), "no  way ");
    assert_eq!(
        plain_words(&"ü".repeat(MAX_WORDS + 1)),
        "ü".repeat(MAX_WORDS)
    );
}

#[test]
fn a_changed_text_is_not_signed_any_more() {
    let key = IdentityKey::from_seed(Seed::from_bytes([7; 32]));
    let mut job = SignedJob::sign("[job]".to_owned(), Vec::new(), &key);
    job.text.push(' ');
    assert!(!job.is_signed_by(&key.public()));
}

#[test]
fn bytes_from_anywhere_never_panic() {
    let mut state = 1_u64;
    for length in 0..300 {
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                state.to_be_bytes()[0]
            })
            .collect();
        let _ = Control::from_bytes(bytes);
    }
    for body in every_body() {
        let bytes = Control { job: [5; 32], body }.to_bytes();
        for cut in 0..bytes.len() {
            let _ = Control::from_bytes(bytes[..cut].to_vec());
        }
    }
}
