//! Job files, policies, configuration, and the messages of a job (docs/protocols/federated-training.md, docs/protocols/job-control.md).

use std::path::Path;

use bytes::Bytes;
use lepton_crypto::{IdentityKey, Seed};
use lepton_protocol::control::{Body, Control, FileLine, JobEvent, JobState, Refusal, SignedJob};
use lepton_protocol::frame::{Address, Frame, FrameIn, Place, Step};
use lepton_protocol::job::{Job, Override};
use lepton_protocol::plan::Plan;
use lepton_protocol::policy::Policy;
use lepton_protocol::progress::Progress;
use lepton_protocol::public::{Moments, PublicState};
use lepton_protocol::training::Training;
use lepton_protocol::wire::{
    AdvertsIn, BeginIn, DeclineIn, FinishIn, InviteIn, RevealsIn, SlotKeyIn, SlotKeysIn,
    unpack_parameters,
};
use prost::Message;

use super::Decoder;
use super::sample::{COORDINATOR, FEDERATION, JOB, JOBS, PARTY, POLICY};
use crate::config::{CoordinatorConfig, FederationConfig, PartyConfig};

pub(super) fn decoders() -> Vec<Decoder> {
    let mut all = files();
    all.extend(messages());
    all.extend(states());
    all
}

fn files() -> Vec<Decoder> {
    let path = Path::new("/etc/lepton/program.toml");
    // A settings file's tree has spans, keys and defaults.
    let settings = |decoder: Decoder| decoder.taking(1000, 1 << 18);
    vec![
        settings(Decoder::of_text("job", &JOBS, |text| {
            Job::parse("job.toml", text, &[]).is_ok()
        })),
        settings(Decoder::of_text(
            "override",
            &["training.rounds=3", "data.features=[\"a\", \"b\"]"],
            |text| Override::parse(text).is_ok(),
        )),
        settings(Decoder::of_text("policy", &[POLICY], |text| {
            Policy::parse("policy.toml", text).is_ok()
        })),
        settings(Decoder::of_text("party-config", &[PARTY], |text| {
            PartyConfig::parse(path, text).is_ok()
        })),
        settings(Decoder::of_text(
            "coordinator-config",
            &[COORDINATOR],
            |text| CoordinatorConfig::parse(path, text).is_ok(),
        )),
        settings(Decoder::of_text(
            "federation-config",
            &[FEDERATION],
            |text| FederationConfig::parse(path, text).is_ok(),
        )),
    ]
}

fn messages() -> Vec<Decoder> {
    let key = key();
    let public = key.public();
    let control = bodies(&key).into_iter();
    let control = control.map(|body| Control { job: [5; 32], body }.to_bytes());
    vec![
        Decoder::of_bytes("frame", frames(&key), move |bytes| {
            let frame = FrameIn::parse(bytes.to_vec());
            let me = Address::Party(1);
            frame.is_ok_and(|frame| frame.verify(me, |_| Some(&public)).is_ok())
        }),
        // What a body is, says its frame; here its first byte.
        Decoder::of_bytes("frame-body", frame_bodies(), |bytes| {
            bytes
                .split_first()
                .is_some_and(|(kind, body)| body_is_read(*kind, body))
        }),
        Decoder::of_bytes("control", control.collect(), |bytes| {
            Control::from_bytes(bytes.to_vec()).is_ok()
        }),
    ]
}

/// What programs of one job tell each other, or themselves, about its state.
fn states() -> Vec<Decoder> {
    let plan = || Plan::new(job(JOB), 3).expect("a job that can be planned");
    let moments = Moments {
        mean: 40.0,
        std: 20.0,
    };
    let public = PublicState {
        rows: 100.0,
        moments: Some([("age".to_owned(), moments)].into()),
        class_counts: vec![60.0, 40.0],
        ..PublicState::default()
    };
    let checkpoint = Training::new(&plan(), None).to_bytes(3);
    let of_plan = plan();
    vec![
        // A party makes its own plan of the job that it is invited to: whatever it asks for.
        Decoder::of_text("plan", &[JOB], |text| {
            let job = Job::parse("job.toml", text, &[]);
            job.is_ok_and(|job| Plan::new(job, 3).is_ok())
        })
        .taking(1000, 1 << 26),
        Decoder::of_bytes("public-state", vec![public.to_wire()], move |bytes| {
            PublicState::from_wire(bytes, &of_plan).is_ok()
        })
        .taking(100, 1 << 16),
        Decoder::of_bytes(
            "checkpoint",
            vec![checkpoint.expect("a state that can be written")],
            |bytes| Training::from_bytes(bytes).is_ok(),
        )
        .taking(100, 1 << 16),
    ]
}

fn key() -> IdentityKey {
    IdentityKey::from_seed(Seed::from_bytes([7; 32]))
}

fn job(text: &str) -> Job {
    Job::parse("job.toml", text, &[]).expect("a job without mistakes")
}

fn frames(key: &IdentityKey) -> Vec<Vec<u8>> {
    let frame = |step, body| Frame {
        place: Place {
            job: [9; 32],
            epoch: 1,
            round: 2,
            attempt: 1,
        },
        step,
        from: Address::Coordinator,
        to: Address::Party(1),
        body,
    };
    [
        frame(Step::Ready, Bytes::new()).seal(key),
        frame(Step::View, vec![3; 200].into()).seal(key),
    ]
    .to_vec()
}

fn frame_bodies() -> Vec<Vec<u8>> {
    let bytes = || vec![vec![1; 32], vec![2; 32]];
    let invite = InviteIn {
        job: JOB.to_owned(),
        roster: bytes(),
    };
    let begin = BeginIn {
        kind: 3,
        training_round: 1,
        prepared: b"{\"rows\":1}".to_vec(),
        parameters: vec![0; 8].into(),
    };
    let finish = FinishIn {
        parameters: vec![0; 8].into(),
        prepared: Vec::new(),
        rounds: 4,
    };
    let slot_keys = SlotKeysIn {
        sealed: bytes(),
        commitment: vec![1; 32],
    };
    let slot_key = SlotKeyIn {
        sealed: vec![3; 60],
        commitment: vec![1; 32],
    };
    let decline = DeclineIn {
        reason: "no".to_owned(),
        refused: true,
    };
    let all = [
        invite.encode_to_vec(),
        AdvertsIn { adverts: bytes() }.encode_to_vec(),
        RevealsIn { reveals: bytes() }.encode_to_vec(),
        slot_keys.encode_to_vec(),
        slot_key.encode_to_vec(),
        begin.encode_to_vec(),
        decline.encode_to_vec(),
        finish.encode_to_vec(),
    ];
    let numbered = (0_u8..).zip(all);
    numbered
        .map(|(kind, body)| [&[kind], body.as_slice()].concat())
        .collect()
}

fn body_is_read(kind: u8, body: &[u8]) -> bool {
    match kind {
        0 => InviteIn::decode(body).is_ok(),
        1 => AdvertsIn::decode(body).is_ok(),
        2 => RevealsIn::decode(body).is_ok(),
        3 => SlotKeysIn::decode(body).is_ok(),
        4 => SlotKeyIn::decode(body).is_ok(),
        5 => BeginIn::decode(body)
            .is_ok_and(|begin| unpack_parameters(&begin.parameters, 2).is_some()),
        6 => DeclineIn::decode(body).is_ok(),
        7 => FinishIn::decode(body)
            .is_ok_and(|finish| unpack_parameters(&finish.parameters, 2).is_some()),
        _ => false,
    }
}

fn bodies(key: &IdentityKey) -> Vec<Body> {
    let job = SignedJob::sign(JOB.to_owned(), vec![1, 2], key);
    let event = JobEvent {
        number: 3,
        at: String::new(),
        state: Some(JobState::Running),
        progress: Progress::Note {
            text: "x".to_owned(),
        },
    };
    let file = FileLine {
        name: "model/model.safetensors".to_owned(),
        bytes: 12,
        sha256: [6; 32],
    };
    vec![
        Body::Hello {
            boot: [3; 16],
            certificate: vec![4, 5],
        },
        Body::Submit(job),
        Body::Roster(vec![vec![1], vec![2, 3]]),
        Body::Frame(vec![0; 40].into()),
        Body::Watch(7),
        Body::Refused(Refusal::new("policy.submitters", "not you")),
        Body::Event(Box::new(event)),
        Body::Files(vec![file]),
        Body::Part(vec![1, 2, 3]),
        Body::Wanted(3),
        Body::Start(lepton_protocol::control::StartPart {
            from: 0,
            of: 3,
            bytes: vec![1, 2, 3].into(),
        }),
        Body::Kept,
    ]
}
