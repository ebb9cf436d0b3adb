//! What the program or another one wrote earlier and reads back: logs, reports, models, records of stores.

use std::collections::BTreeMap;
use std::sync::Arc;

use lepton_crypto::{IdentityKey, Seed, sha256};
use lepton_learn::{
    ColumnPrep, Levels, Missing, Model, ModelKind, ModelSpec, NumericSummary, Outputs, Preparation,
    Scaling, TargetPrep,
};
use lepton_protocol::control::SignedJob;
use lepton_protocol::ledger::Head;

use super::Decoder;
use crate::audit_log::{self, AuditLog, Direction, Event};
use crate::daemon::record::StoredJob;
use crate::envelopes::{Key, KeyKind};
use crate::key_register;
use crate::ledger::SignedHead;
use crate::model_file::{FILE, ModelFile, ModelHeader};
use crate::random::Entropy;
use crate::signed_report::{self, Keys, sample};
use crate::tables::read_text;

pub(super) fn decoders() -> Vec<Decoder> {
    let key = key();
    let head = Head {
        count: 12,
        hash: sha256(b"entry"),
    };
    let head = SignedHead::sign("ledger", head, &key).to_json();
    let job = SignedJob::sign("[job]".to_owned(), vec![1, 2], &key);
    let job = serde_json::to_string(&StoredJob::new(&job));
    vec![
        Decoder::of_text("audit-log", &[segment()], |text| {
            audit_log::read_text(text).is_ok()
        }),
        Decoder::of_text("privacy-report", &[report()], |text| {
            let verified = signed_report::verify(text, &Keys::default(), None);
            let verified = verified.is_ok_and(|found| found.verified);
            assert_eq!(
                verified,
                signed_report::open(text).is_ok(),
                "both readers agree"
            );
            verified
        })
        .taking(300, 1 << 17),
        Decoder::of_text("key-statement", &[revocation()], |text| {
            key_register::verify(text).is_ok_and(|found| found.holds)
        })
        .taking(300, 1 << 17),
        Decoder::of_text(
            "public-key",
            &[signed_report::public_key_pem(&key.public())],
            |text| signed_report::public_keys(text).is_ok_and(|keys| !keys.is_empty()),
        ),
        Decoder::of_text("ledger-head", &[head.expect("a head")], |text| {
            SignedHead::parse(text).is_some_and(|head| head.is_genuine())
        }),
        Decoder::of_text("stored-job", &[job.expect("a job")], |text| {
            serde_json::from_str::<StoredJob>(text).is_ok_and(|job| job.signed().is_some())
        }),
        Decoder::of_bytes("model-file", vec![model()], |bytes| {
            ModelFile::from_bytes(bytes).is_ok()
        })
        .taking(100, 1 << 17),
    ]
}

fn key() -> IdentityKey {
    IdentityKey::from_seed(Seed::from_bytes([7; 32]))
}

/// An audit log of one message.
fn segment() -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let signer = Arc::new(key());
    let noon = || "2026-11-21T12:00:00Z".to_owned();
    let log = AuditLog::open(folder.path(), 9, ("clinic", signer), noon).expect("a new log");
    let message = Event::Message {
        direction: Direction::Received,
        peer: "hub".to_owned(),
        job: Some("00ff".to_owned()),
        kind: "frame".to_owned(),
        bytes: 40,
    };
    log.append(message).expect("a line");
    log.seal().expect("a signature");
    read_text(&folder.path().join("segment-00000001.jsonl")).expect("a segment")
}

/// A key's revocation of itself.
fn revocation() -> String {
    let mut rng = Entropy::InsecureSeed(7).generator("statement", 0);
    let rng = rng.as_mut().expect("a seeded generator");
    let key = Key::generate(KeyKind::Ed25519, rng).expect("a key");
    let public = key.public().expect("a public half");
    let Key::Signing(key) = key else {
        unreachable!("an Ed25519 key signs")
    };
    key_register::revocation(&public, "2026-01-01T00:00:00Z", "lost", &key).expect("a statement")
}

fn report() -> String {
    let keys = sample::keys();
    let envelope = signed_report::sign(sample::sample(&keys), &keys.each_ref());
    let envelope = envelope.expect("a report that can be signed");
    serde_json::to_string(&envelope).expect("a report that can be written")
}

/// A model of one number and two classes.
fn model() -> Vec<u8> {
    let summary = NumericSummary {
        lo: 0.0,
        hi: 1.0,
        mean: 0.5,
        std: 0.25,
        missing: 0.0,
    };
    let levels = Levels::Declared(vec!["a".to_owned(), "b".to_owned()]);
    let preparation = Preparation {
        columns: vec![ColumnPrep::numeric(
            "x",
            Scaling::Standard,
            Missing::Mean,
            &summary,
        )],
        target: TargetPrep::Classes {
            name: "y".to_owned(),
            levels,
        },
    };
    let spec = ModelSpec {
        kind: ModelKind::Logistic,
        inputs: preparation.width(),
        outputs: Outputs::Classes(2),
        l2: 0.0,
    };
    let header = ModelHeader {
        format: "lepton-model/1".to_owned(),
        name: "n".to_owned(),
        spec: spec.clone(),
        preparation,
        classes: vec!["a".to_owned(), "b".to_owned()],
        positive: Some(1),
        slot_key: None,
        slot_names: BTreeMap::new(),
        privacy: Some((1.0, 1e-5)),
        unit: None,
        job_sha256: String::new(),
        rounds: 1,
    };
    let len = lepton_learn::param_len(&spec).expect("a small model");
    let model = Model::new(spec, vec![0.5; len]).expect("as many numbers as it has");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = ModelFile { header, model };
    file.save(folder.path()).expect("a model that can be saved");
    std::fs::read(folder.path().join(FILE)).expect("a file that was just written")
}
