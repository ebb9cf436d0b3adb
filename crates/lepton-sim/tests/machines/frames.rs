//! FT-01 and FT-02: what a party and the coordinator refuse, and that nothing comes of it.

use lepton_crypto::IdentityKey;
use lepton_protocol::exchange::Kind;
use lepton_protocol::frame::{Address, Step};
use lepton_protocol::ledger::Ledger as _;
use lepton_protocol::wire::{BeginIn, InviteIn};
use lepton_sim::{End, Frame, SimOutcome, identity_of, reseal};
use prost::Message as _;

use crate::kit::{Toy, check, intercepted, run};

const SEED: u64 = 11;

/// Runs with the frames of `step` in exchange `round` to or from party 1 changed and signed with `key`.
fn with_changed(
    toy: &Toy,
    (step, round): (Step, u64),
    key: impl Fn() -> IdentityKey + 'static,
    change: impl Fn(&mut Frame) + 'static,
) -> SimOutcome {
    let config = intercepted(toy.config(SEED), move |seen| {
        let ends = [seen.from, seen.to];
        let hit = seen
            .read()
            .is_some_and(|frame| frame.step == step && frame.place.round == round);
        if hit && ends.contains(&Address::Party(1)) {
            return vec![seen.with(reseal(seen.bytes, &key(), &change))];
        }
        vec![seen.pass()]
    });
    let outcome = run(config);
    check(&outcome).unwrap();
    outcome
}

fn coordinator() -> IdentityKey {
    identity_of(SEED, Address::Coordinator)
}

fn party() -> IdentityKey {
    identity_of(SEED, Address::Party(1))
}

/// Party 1 refused a message of exchange `round` for `reason`, sat it out, and the job went on to its end.
fn assert_sat_out(outcome: &SimOutcome, round: u64, reason: &str) {
    let seen = &outcome.faults[1];
    assert!(
        seen.iter().any(|fault| fault.contains(reason)),
        "{reason}: {seen:?}"
    );
    assert_eq!(outcome.end, End::Over, "{reason}");
    for sum in &outcome.sums {
        assert_eq!(
            sum.survivors.contains(&1),
            sum.exchange != round,
            "{reason}: exchange {}",
            sum.exchange
        );
    }
    let charged: Vec<u64> = outcome.durable.ledgers[1]
        .charges()
        .iter()
        .map(|charge| charge.round)
        .collect();
    assert!(!charged.contains(&round), "{reason}: charged {charged:?}");
}

type Change = Box<dyn Fn(&mut Frame)>;
type Key = fn() -> IdentityKey;
type InviteChange = fn(&mut InviteIn);

#[test]
fn ft_01_a_party_refuses_foreign_frames() {
    let cases: Vec<(&str, Change)> = vec![
        ("another job", Box::new(|frame| frame.place.job[0] ^= 1)),
        ("of epoch 2", Box::new(|frame| frame.place.epoch += 1)),
        ("of epoch 0", Box::new(|frame| frame.place.epoch -= 1)),
        (
            "delivered to party 1",
            Box::new(|frame| frame.to = Address::Party(2)),
        ),
        (
            "party 2 is not a member",
            Box::new(|frame| frame.from = Address::Party(2)),
        ),
        (
            "only parties send",
            Box::new(|frame| frame.step = Step::Input),
        ),
        ("cannot be read", Box::new(|frame| frame.body = vec![0xff])),
    ];
    for (reason, change) in cases {
        let outcome = with_changed(
            &Toy::private(8.0),
            (Step::Begin, 3),
            coordinator,
            move |frame| change(frame),
        );
        assert_sat_out(&outcome, 3, reason);
    }
}

#[test]
fn ft_01_a_party_refuses_what_the_coordinator_did_not_sign() {
    let outcome = with_changed(&Toy::private(8.0), (Step::Begin, 3), party, |_| {});
    assert_sat_out(&outcome, 3, "not signed by it");
}

#[test]
fn ft_01_the_coordinator_refuses_foreign_frames_and_names_the_sender() {
    let cases: Vec<(&str, Key, Change)> = vec![
        (
            "another job",
            party,
            Box::new(|frame| frame.place.job[0] ^= 1),
        ),
        (
            "another job or epoch",
            party,
            Box::new(|frame| frame.place.epoch += 1),
        ),
        ("claims to come from party 1", coordinator, Box::new(|_| {})),
        (
            "claims to come from party 2",
            party,
            Box::new(|frame| frame.from = Address::Party(2)),
        ),
        (
            "party 9 is not a member",
            party,
            Box::new(|frame| frame.from = Address::Party(9)),
        ),
        (
            "late message",
            party,
            Box::new(|frame| frame.place.round -= 1),
        ),
        ("party 1", party, Box::new(|frame| frame.body.truncate(99))),
        (
            "out of turn",
            party,
            Box::new(|frame| frame.step = Step::Open),
        ),
    ];
    for (reason, key, change) in cases {
        let outcome = with_changed(&Toy::private(8.0), (Step::Input, 2), key, move |frame| {
            change(frame)
        });
        assert!(
            outcome.refused.iter().any(|fault| fault.contains(reason)),
            "{reason}: {:?}",
            outcome.refused
        );
        assert_eq!(outcome.end, End::Over, "{reason}");
        let second = outcome.sums.iter().find(|sum| sum.exchange == 2).unwrap();
        assert_eq!(second.survivors, [0, 2, 3], "{reason}");
    }
}

fn begin(change: impl Fn(&mut BeginIn) + 'static) -> impl Fn(&mut Frame) + 'static {
    move |frame| {
        let mut begin = BeginIn::decode(frame.body.as_slice()).unwrap();
        change(&mut begin);
        frame.body = begin.encode_to_vec();
    }
}

/// The preparation of a run of this toy, as it travels.
fn prepared(toy: &Toy) -> String {
    let outcome = run(toy.config(SEED));
    String::from_utf8(outcome.training.public().to_wire()).unwrap()
}

#[test]
fn ft_02_a_party_takes_only_finite_parameters_of_the_right_length() {
    let cases: Vec<fn(&mut Vec<u8>)> = vec![
        |parameters| parameters[..4].copy_from_slice(&f32::NAN.to_le_bytes()),
        |parameters| parameters[..4].copy_from_slice(&f32::INFINITY.to_le_bytes()),
        |parameters| parameters.truncate(4),
        |parameters| parameters.extend([0; 4]),
        Vec::clear,
        |parameters| {
            parameters.pop();
        },
    ];
    for change in cases {
        let outcome = with_changed(
            &Toy::private(8.0),
            (Step::Begin, 3),
            coordinator,
            begin(move |begin| {
                let mut parameters = begin.parameters.to_vec();
                change(&mut parameters);
                begin.parameters = parameters.into();
            }),
        );
        assert_sat_out(&outcome, 3, "parameters of a wrong length or not finite");
    }
}

#[test]
fn ft_02_a_party_takes_only_the_preparation_of_the_agreed_columns() {
    let toy = Toy::private(8.0);
    let good = prepared(&toy);
    let text = move |from: &str, to: &str| {
        let bad = good.replace(from, to);
        assert_ne!(bad, good, "{from}");
        bad.into_bytes()
    };
    let other = "other columns than the job names";
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("too large", vec![b' '; (1 << 24) + 1]),
        ("cannot be read", b"{".to_vec()),
        ("cannot be read", text("\"rows\":", "\"rows\":1e999,\"x\":")),
        ("cannot be read", text("\"kept\"", "\"keeps\"")),
        // How columns become inputs is derived, never taken from a message (PR-01, PR-02).
        (
            "cannot be read",
            text("\"rows\":", "\"preparation\":null,\"rows\":"),
        ),
        (other, text("\"age\":{", "\"ward\":{")),
        (other, text("\"kept\":{", "\"kept\":{\"site\":[1]")),
        (other, text("\"ranges\":{", "\"ranges\":{\"age\":[1.0,2.0]")),
        (other, text("\"std\":", "\"std\":-")),
        (other, text("\"class_counts\":[", "\"class_counts\":[1.0,")),
    ];
    for (reason, bad) in cases {
        let change = begin(move |begin| begin.prepared.clone_from(&bad));
        let outcome = with_changed(&toy, (Step::Begin, 3), coordinator, change);
        assert_sat_out(&outcome, 3, reason);
    }
}

#[test]
fn ft_02_a_party_refuses_exchanges_it_does_not_know() {
    let change = begin(|begin| begin.kind = 77);
    let outcome = with_changed(&Toy::private(8.0), (Step::Begin, 3), coordinator, change);
    assert_sat_out(&outcome, 3, "unknown kind");
}

/// An invitation with another job or roster is refused, so the job does not begin, and the coordinator says who is missing.
#[test]
fn ft_02_a_party_joins_only_the_job_and_roster_it_agreed_to() {
    let cases: Vec<(&str, InviteChange)> = vec![
        ("a job file that is not the agreed one", |invite| {
            invite.job.push(' ')
        }),
        ("a roster that is not the enrolled one", |invite| {
            invite.roster.swap(0, 2)
        }),
        ("a roster that is not the enrolled one", |invite| {
            invite.roster.truncate(2)
        }),
    ];
    for (reason, change) in cases {
        let outcome = with_changed(
            &Toy::default(),
            (Step::Invite, 0),
            coordinator,
            move |frame| {
                let mut invite = InviteIn::decode(frame.body.as_slice()).unwrap();
                change(&mut invite);
                frame.body = invite.encode_to_vec();
            },
        );
        assert!(outcome.faults[1][0].contains(reason));
        assert!(
            matches!(&outcome.end, End::Fault(cause) if cause.contains("party 1 declined: it agreed to another job or roster"))
        );
    }
}

/// FT-01: frames recorded in one epoch are worth nothing in the next, though job, parties and keys are the same.
#[test]
fn ft_01_an_epoch_refuses_the_frames_of_an_earlier_one() {
    use lepton_sim::{Delivery, Simulation, Stop};
    let toy = Toy::private(8.0);
    let mut first = toy.config(SEED);
    first.stop = Some(Stop::Steps(60));
    let killed = run(first);
    let old: Vec<_> = killed.frames.clone();
    let mut replays = old.into_iter().map(|sent| Delivery {
        to: sent.to,
        bytes: sent.bytes,
        later: 0,
    });
    let config = intercepted(toy.config(SEED), move |seen| {
        let mut out: Vec<Delivery> = replays
            .by_ref()
            .find(|old| old.to == seen.to)
            .into_iter()
            .collect();
        out.push(seen.pass());
        out
    });
    let outcome = Simulation::resumed(config, killed.durable).unwrap().run();
    check(&outcome).unwrap();
    assert_eq!(outcome.end, End::Over);
    assert!(outcome.faults.iter().flatten().count() > 4);
    assert!(
        outcome
            .faults
            .iter()
            .flatten()
            .all(|fault| fault.contains("a frame of epoch 1"))
    );
    assert!(
        outcome
            .refused
            .iter()
            .all(|fault| fault.contains("of another job or epoch"))
    );
    assert_eq!(outcome.training.metrics().map(|m| m.rows > 0.0), Some(true));
    let kinds: Vec<Kind> = outcome.sums.iter().map(|sum| sum.kind).collect();
    assert!(kinds.contains(&Kind::FinalEvaluation));
}
