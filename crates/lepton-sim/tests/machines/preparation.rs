//! PR-01 to PR-07 as they show in whole runs.

use lepton_crypto::Seed;
use lepton_protocol::exchange::Kind;
use lepton_protocol::frame::{Address, Step};
use lepton_protocol::progress::Progress;
use lepton_protocol::wire::SlotKeyIn;
use lepton_protocol::work::{PartyRows, slot_function};
use lepton_sim::{End, SimConfig, SimOutcome, SimParty, identity_of, reseal};
use prost::Message as _;

use crate::kit::{Toy, category, check, intercepted, numeric, run};

/// Every name holds this mark, and the job file does not.
const MARK: &str = "xyzzy";

/// Sites by party: one everywhere, one at three parties, one at party 1 alone; classes likewise.
fn marked_rows(party: u16, count: usize) -> PartyRows {
    let own = format!("{MARK}-own-of-{party}");
    let sites: Vec<String> = match party {
        0 | 2 | 3 => vec![format!("{MARK}-all"), format!("{MARK}-some")],
        1 => vec![format!("{MARK}-all"), own],
        _ => vec![format!("{MARK}-all")],
    };
    let part = || {
        let names = |from: &[String]| from.iter().cycle().take(count).cloned().map(Some).collect();
        let classes = [format!("{MARK}-sick"), format!("{MARK}-well")];
        let age = (0..count).map(|row| Some((row * 7 % 90) as f64));
        vec![
            numeric("age", age.collect()),
            category("site", names(&sites)),
            category("outcome", names(&classes)),
        ]
    };
    PartyRows {
        train: part(),
        hold_out: part(),
    }
}

fn marked(toy: &Toy, seed: u64) -> SimConfig {
    let parties =
        (0..toy.parties).map(|index| SimParty::new(&format!("{index}"), marked_rows(index, 30)));
    SimConfig::new(seed, toy.job(), parties.collect())
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|part| part == text)
}

fn key_of(outcome: &SimOutcome) -> [u8; 32] {
    outcome.finished[0].clone().unwrap().slot_key.unwrap()
}

fn slot(outcome: &SimOutcome, column: &str, value: &str) -> u32 {
    let key = Seed::from_bytes(key_of(outcome));
    slot_function(Some(&key), outcome.plan.slots())(column, value)
}

fn assert_no_mark(outcome: &SimOutcome) {
    check(outcome).unwrap();
    assert!(outcome.is_over() && outcome.frames.len() > 40);
    let checkpoint = outcome.training.to_bytes(1).unwrap();
    let all = outcome.frames.iter().map(|sent| &sent.bytes);
    for bytes in all.chain([&checkpoint]) {
        assert!(!holds(bytes, MARK.as_bytes()));
    }
}

#[test]
fn pr_01_names_never_travel() {
    assert_no_mark(&run(marked(&Toy::default(), 21)));
}

/// PR-01 under a goal, where the classes have to be in the job and the sites are still found.
#[test]
fn pr_01_names_never_travel_under_a_goal() {
    let toy = Toy {
        epsilon: Some(50.0),
        ..Toy::default()
    };
    let mut config = marked(&toy, 21);
    config.job = config
        .job
        .replace("[data]\n", "[data]\nclasses = [\"left\", \"right\"]\n");
    for party in &mut config.parties {
        let rows = &mut party.rows;
        for part in [&mut rows.train, &mut rows.hold_out] {
            let classes = ["left", "right"].iter().cycle().take(30);
            part[2] = category("outcome", classes.map(|c| Some((*c).to_owned())).collect());
        }
    }
    assert_no_mark(&run(config));
}

/// PR-01 also in the words of a party that declines: `missing = "refuse"`, and a row of party 1 has a site and no age.
#[test]
fn pr_01_a_decline_does_not_quote_the_row() {
    let mut config = marked(&Toy::default(), 22);
    config.job = config
        .job
        .replace("[prepare]\n", "[prepare]\nmissing = \"refuse\"\n");
    if let lepton_learn::RawColumn::Numeric { values, .. } = &mut config.parties[1].rows.train[0] {
        values[3] = None;
    }
    let outcome = run(config);
    let declined = outcome
        .events
        .iter()
        .filter(|(_, event)| matches!(event, Progress::Declined { party: 1, .. }));
    assert!(declined.count() > 0, "{:?}", outcome.events);
    assert_no_mark(&outcome);
}

#[test]
fn pr_02_the_slot_key_reaches_every_party_and_no_frame_shows_it() {
    let outcome = run(marked(&Toy::default(), 23));
    check(&outcome).unwrap();
    let key = key_of(&outcome);
    assert!(
        outcome
            .finished
            .iter()
            .all(|end| end.clone().unwrap().slot_key == Some(key))
    );
    assert!(outcome.frames.iter().all(|sent| !holds(&sent.bytes, &key)));
    // Each party got bytes of its own.
    let mut sealed: Vec<&[u8]> = outcome
        .frames
        .iter()
        .filter(|sent| sent.step == Some(Step::SlotKey))
        .map(|sent| sent.bytes.as_slice())
        .collect();
    sealed.sort_unstable();
    sealed.dedup();
    assert_eq!(sealed.len(), 4);
    assert_ne!(key_of(&run(marked(&Toy::default(), 24))), key);
}

/// PR-02 across epochs: kept slots mean the same after a resume, so the key is the same.
#[test]
fn pr_02_the_slot_key_outlives_an_epoch() {
    use lepton_sim::{Simulation, Stop};
    for steps in [90, 130, 170] {
        let mut config = marked(&Toy::default(), 26);
        config.stop = Some(Stop::Steps(steps));
        let killed = run(config);
        let config = marked(&Toy::default(), 26);
        let outcome = Simulation::resumed(config, killed.durable).unwrap().run();
        check(&outcome).unwrap();
        assert!(outcome.is_over());
        let kept = &outcome.training.public().kept["site"];
        for site in ["xyzzy-all", "xyzzy-some"] {
            assert!(
                kept.contains(&slot(&outcome, "site", site)),
                "{steps}: {site}"
            );
        }
    }
}

/// PR-02: the coordinator cannot put a key of its own in the place of the sealed one, nor hand one party's to another.
#[test]
fn pr_02_a_slot_key_that_party_0_did_not_seal_is_refused() {
    for swap in [false, true] {
        let mut earlier: Vec<u8> = vec![7; 60];
        let config = intercepted(marked(&Toy::default(), 25), move |seen| {
            let frame = seen.read().unwrap();
            if frame.step != Step::SlotKey {
                return vec![seen.pass()];
            }
            if seen.to != Address::Party(2) {
                if swap {
                    earlier = SlotKeyIn::decode(frame.body.as_slice()).unwrap().sealed;
                }
                return vec![seen.pass()];
            }
            let key = identity_of(25, Address::Coordinator);
            let changed = reseal(seen.bytes, &key, |frame| {
                let mut message = SlotKeyIn::decode(frame.body.as_slice()).unwrap();
                message.sealed.clone_from(&earlier);
                frame.body = message.encode_to_vec();
            });
            vec![seen.with(changed)]
        });
        let outcome = run(config);
        check(&outcome).unwrap();
        assert!(outcome.faults[2][0].contains("did not seal for this party"));
        assert!(
            matches!(&outcome.end, End::Fault(cause) if cause.contains("party 2 declined: it refuses the slot key"))
        );
        assert!(outcome.sums.is_empty());
    }
}

/// PR-03 and PR-04 without a goal: the survey counts parties, not rows; what one party alone holds is folded.
#[test]
fn pr_04_a_category_of_one_party_is_folded() {
    let outcome = run(marked(&Toy::default(), 29));
    check(&outcome).unwrap();
    assert!(outcome.is_over());
    let all = slot(&outcome, "site", "xyzzy-all");
    let some = slot(&outcome, "site", "xyzzy-some");
    let own = slot(&outcome, "site", "xyzzy-own-of-1");
    let survey = &outcome.sums[0];
    assert_eq!(survey.kind, Kind::Survey);
    let count = |slot: u32| survey.sum[slot as usize];
    assert_eq!((count(all), count(some), count(own)), (4, 3, 1));
    let public = outcome.training.public();
    let mut kept = vec![all, some];
    kept.sort_unstable();
    assert_eq!(public.kept["site"], kept);
    assert_eq!(public.kept["outcome"].len(), 2);
    // The model has an input for each kept slot and one for all others.
    let inputs = public.preparation.as_ref().unwrap().width();
    assert_eq!(inputs, 1 + kept.len() + 1);
}

/// PR-05 and PR-06: sums of the statistics are exact integers that do not depend on how rows are divided.
#[test]
fn pr_05_statistics_do_not_depend_on_the_division() {
    let toy = Toy {
        discovered: false,
        ..Toy::default()
    };
    let whole = crate::kit::rows(7, 96);
    let statistics = |sizes: [usize; 4]| {
        let mut start = 0;
        let parties = sizes.map(|size| {
            let rows: Vec<usize> = (start..start + size).collect();
            start += size;
            let part = |columns: &[lepton_learn::RawColumn]| {
                columns.iter().map(|column| column.select(&rows)).collect()
            };
            let rows = PartyRows {
                train: part(&whole.train),
                hold_out: part(&whole.hold_out),
            };
            SimParty::new("party", rows)
        });
        let outcome = run(SimConfig::new(27, toy.job(), parties.to_vec()));
        check(&outcome).unwrap();
        outcome.sums[0].sum.clone()
    };
    let even = statistics([24, 24, 24, 24]);
    assert_eq!(even[0], 96 << 20);
    assert_eq!(even, statistics([1, 2, 90, 3]));
    assert_eq!(even, statistics([96, 0, 0, 0]));
}

/// PR-05: without declared bounds and a goal, the range is a power of two found by the survey; with a goal the job is refused.
#[test]
fn pr_05_a_missing_range_is_found_without_a_goal_and_refused_with_one() {
    let unbounded = |toy: &Toy| toy.job().replace("[prepare.bounds]\nage = [0, 100]\n", "");
    let mut config = Toy::default().config(28);
    config.job = unbounded(&Toy::default());
    let outcome = run(config);
    check(&outcome).unwrap();
    assert_eq!(outcome.training.public().ranges["age"], (-128.0, 128.0));
    let mut config = Toy::private(8.0).config(28);
    config.job = unbounded(&Toy::private(8.0));
    let error = lepton_sim::Simulation::new(config)
        .err()
        .map(|error| error.to_string());
    assert!(error.unwrap().contains("`age` has no public bounds"));
}

/// PR-07: a missing number under `refuse` makes its party decline, under `drop` it costs one row, and a missing label always does.
#[test]
fn pr_07_missing_values() {
    let with_gap = |column: usize, missing: &str| {
        let toy = Toy {
            discovered: false,
            ..Toy::default()
        };
        let mut config = toy.config(29);
        config.job = config.job.replace(
            "[prepare]\n",
            &format!("[prepare]\nmissing = \"{missing}\"\n"),
        );
        match &mut config.parties[1].rows.train[column] {
            lepton_learn::RawColumn::Numeric { values, .. } => values[3] = None,
            lepton_learn::RawColumn::Category { values, .. } => values[3] = None,
        }
        let outcome = run(config);
        check(&outcome).unwrap();
        outcome
    };
    let weight = |outcome: &SimOutcome| {
        let training = outcome.sums.iter().find(|sum| sum.kind == Kind::Training);
        training.unwrap().sum[0]
    };
    assert_eq!(weight(&with_gap(0, "mean")), 96);
    assert_eq!(weight(&with_gap(0, "drop")), 95);
    assert_eq!(weight(&with_gap(2, "mean")), 95);
    let refused = with_gap(0, "refuse");
    assert!(
        refused
            .events
            .iter()
            .any(|(_, event)| matches!(event, Progress::Declined { party: 1, .. }))
    );
    assert_eq!(weight(&refused), 72);
}
