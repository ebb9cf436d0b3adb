//! File-backed stores and ledgers, and the generators of the shell: whole values, exact limits, chains that tell damage, streams that repeat
//! only where they are meant to.
#![expect(
    clippy::unwrap_used,
    reason = "files are written and bent by helpers outside of test functions"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "what is on disk is what is tested"
)]

use std::fs;
use std::path::{Path, PathBuf};

use lepton_dp::rdp::{Accountant, Event, Orders};
use lepton_dp::{Delta, Epsilon, NoiseMultiplier, SamplingRate};
use lepton_node::files::{Durability, FileLedger, FileStore};
use lepton_node::random::{Entropy, public_generator, ratchet};
use lepton_protocol::ledger::{Charge, Ledger, LedgerError, Limit, Side};
use lepton_protocol::store::Store;
use rand_core::Rng;
use tempfile::TempDir;

const BOTH: [Durability; 2] = [Durability::Process, Durability::Machine];

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut all: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    all.sort();
    all
}

#[test]
fn values_are_replaced_and_outlive_the_store() {
    for durability in BOTH {
        let folder = folder();
        let path = folder.path().join("deep").join("store");
        let mut store = FileStore::open(&path, durability).unwrap();
        assert_eq!(store.get("checkpoint").unwrap(), None);
        store.put("checkpoint", b"first").unwrap();
        store.put("checkpoint", b"").unwrap();
        assert_eq!(store.get("checkpoint").unwrap().unwrap(), b"");
        store.put("checkpoint", b"second").unwrap();
        drop(store);
        let store = FileStore::open(&path, durability).unwrap();
        assert_eq!(store.get("checkpoint").unwrap().unwrap(), b"second");
        assert_eq!(names(&path), ["checkpoint"], "something is left over");
    }
}

#[test]
fn a_failed_write_leaves_the_old_value() {
    let folder = folder();
    let mut store = FileStore::open(folder.path(), Durability::Machine).unwrap();
    store.put("key", b"old").unwrap();
    // The temporary file cannot be made where a folder stands.
    fs::create_dir(folder.path().join("key.partial")).unwrap();
    let error = store.put("key", b"new").unwrap_err();
    assert!(error.place.ends_with("key"), "{error}");
    assert!(!error.remedy.is_empty());
    assert_eq!(store.get("key").unwrap().unwrap(), b"old");
    fs::remove_dir(folder.path().join("key.partial")).unwrap();
    store.put("key", b"new").unwrap();
    assert_eq!(store.get("key").unwrap().unwrap(), b"new");
}

#[test]
fn a_write_that_cannot_be_put_in_place_leaves_nothing() {
    let folder = folder();
    let mut store = FileStore::open(folder.path(), Durability::Process).unwrap();
    fs::create_dir_all(folder.path().join("key").join("full")).unwrap();
    store.put("key", b"new").unwrap_err();
    assert_eq!(names(folder.path()), ["key"]);
    store.get("key").unwrap_err();
}

#[test]
fn half_a_write_left_by_a_crash_is_not_read() {
    let folder = folder();
    let mut store = FileStore::open(folder.path(), Durability::Process).unwrap();
    store.put("key", b"old").unwrap();
    fs::write(folder.path().join("key.partial"), b"ne").unwrap();
    let mut store = FileStore::open(folder.path(), Durability::Process).unwrap();
    assert_eq!(store.get("key").unwrap().unwrap(), b"old");
    store.put("key", b"new").unwrap();
    assert_eq!(store.get("key").unwrap().unwrap(), b"new");
    assert_eq!(names(folder.path()), ["key"]);
}

#[test]
fn a_key_names_a_file_inside_the_folder() {
    let outer = folder();
    let inside = outer.path().join("store");
    let mut store = FileStore::open(&inside, Durability::Process).unwrap();
    for key in [
        "key/../escape",
        "/etc/escape",
        "a/b\\c",
        "nul\0",
        "gr\u{fc}n",
        "signed-0f",
        "dot.ted",
    ] {
        store.put(key, key.as_bytes()).unwrap();
        assert_eq!(store.get(key).unwrap().unwrap(), key.as_bytes(), "{key:?}");
    }
    assert_eq!(names(outer.path()), ["store"], "a key left the folder");
    assert_eq!(
        names(&inside),
        [
            "_etc_escape",
            "a_b_c",
            "dot.ted",
            "gr_n",
            "key_.._escape",
            "nul_",
            "signed-0f"
        ]
    );
    for key in ["", ".", ".."] {
        store.put(key, b"x").unwrap_err();
    }
    assert_eq!(names(outer.path()), ["store"]);
    assert_eq!(names(&inside).len(), 7);
}

#[test]
fn values_are_found_by_prefix_in_order() {
    let folder = folder();
    let mut store = FileStore::open(folder.path(), Durability::Process).unwrap();
    for (key, value) in [
        ("signed-b", "2"),
        ("signed-a", "1"),
        ("slot-key", "3"),
        ("signed-", "0"),
    ] {
        store.put(key, value.as_bytes()).unwrap();
    }
    let found = store.values("signed-").unwrap();
    let expected = [("", "0"), ("a", "1"), ("b", "2")]
        .map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()));
    assert_eq!(found, expected);
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_a_stored_value() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let mut store = FileStore::open(folder.path(), Durability::Process).unwrap();
    for value in [b"first", b"after"] {
        store.put("slot-key", value).unwrap();
        let file = fs::metadata(folder.path().join("slot-key")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_store_over_a_file_says_where() {
    let folder = folder();
    let path = folder.path().join("file");
    fs::write(&path, b"").unwrap();
    let error = FileStore::open(&path, Durability::Process).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
}

fn gaussian(z: f64) -> Event {
    Event::Gaussian {
        noise_multiplier: NoiseMultiplier::new(z).unwrap(),
    }
}

fn charge(side: Side, round: u64, event: Event) -> Charge {
    Charge {
        side,
        kind: "training".to_owned(),
        epoch: 1,
        round,
        attempt: 1,
        event,
        count: 1,
    }
}

fn limit(epsilon: f64, order: u32) -> Limit {
    Limit {
        epsilon: Epsilon::new(epsilon).unwrap(),
        delta: Delta::new(1e-5).unwrap(),
        training_order: order,
        hold_out_order: order,
    }
}

/// How many charges of `event` stay within `limit` by its own order: the closed form that the ledger has to match.
fn fitting(event: &Event, limit: &Limit) -> u64 {
    let fits = |count: u64| {
        let mut total = Accountant::new();
        total.add(event, count).unwrap();
        total.epsilon_by(limit.training_order, limit.delta) <= limit.epsilon.get()
    };
    (1..).take_while(|count| fits(*count)).last().unwrap_or(0)
}

/// Charges until the ledger refuses; gives how many went in.
fn fill(ledger: &mut FileLedger, side: Side, event: Event) -> u64 {
    (0..)
        .take_while(|round| match ledger.reserve(&charge(side, *round, event)) {
            Ok(()) => true,
            Err(LedgerError::Exceeded { .. }) => false,
            Err(other) => panic!("{other}"),
        })
        .count() as u64
}

fn curve(spent: &Accountant) -> Vec<(u32, f64)> {
    spent.rdp().collect()
}

#[test]
fn the_limit_is_kept_to_the_last_charge() {
    let sampled = Event::SampledGaussian {
        sampling_rate: SamplingRate::new(0.1).unwrap(),
        noise_multiplier: NoiseMultiplier::new(1.5).unwrap(),
    };
    for (event, order) in [(gaussian(10.0), 12), (sampled, 8), (gaussian(25.0), 32)] {
        let folder = folder();
        let limit = limit(2.0, order);
        let expected = fitting(&event, &limit);
        assert!(expected >= 2, "{expected} say nothing");
        let path = folder.path().join("ledger.jsonl");
        let mut ledger = FileLedger::open(&path, Some(limit), Durability::Process).unwrap();
        assert_eq!(fill(&mut ledger, Side::Training, event), expected);
        // The other side composes in parallel (FT-03).
        assert_eq!(fill(&mut ledger, Side::HoldOut, event), expected);
        assert_eq!(ledger.charges().len() as u64, 2 * expected);
    }
}

#[test]
fn the_order_that_decides_is_the_fixed_one() {
    let event = gaussian(10.0);
    let admitted = |order| {
        let folder = folder();
        let path = folder.path().join("ledger.jsonl");
        let mut ledger =
            FileLedger::open(&path, Some(limit(2.0, order)), Durability::Process).unwrap();
        fill(&mut ledger, Side::Training, event)
    };
    let counts: Vec<u64> = Orders::ALL
        .into_iter()
        .filter(|order| *order <= 64)
        .map(admitted)
        .collect();
    let best = counts.iter().max().unwrap();
    let worst = counts.iter().min().unwrap();
    assert!(
        worst < best,
        "every order admits {best}: none decides (FT-09)"
    );
}

#[test]
fn a_refused_charge_costs_nothing() {
    let folder = folder();
    let path = folder.path().join("ledger.jsonl");
    let limit = limit(1.0, 16);
    let mut ledger = FileLedger::open(&path, Some(limit), Durability::Machine).unwrap();
    ledger
        .reserve(&charge(Side::Training, 1, gaussian(8.0)))
        .unwrap();
    let before = (
        fs::read(&path).unwrap(),
        curve(ledger.spent(Side::Training)),
    );
    let error = ledger
        .reserve(&charge(Side::Training, 2, gaussian(0.5)))
        .unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, LedgerError::Exceeded { .. }) && text.contains("the limit is 1"),
        "{text}"
    );
    assert_eq!(
        before,
        (
            fs::read(&path).unwrap(),
            curve(ledger.spent(Side::Training))
        )
    );
    // What still fits is admitted after a refusal, and the chain holds.
    ledger
        .reserve(&charge(Side::Training, 3, gaussian(100.0)))
        .unwrap();
    let again = FileLedger::open(&path, Some(limit), Durability::Machine).unwrap();
    let rounds: Vec<u64> = again.charges().iter().map(|charge| charge.round).collect();
    assert_eq!(rounds, [1, 3]);
}

#[test]
fn several_steps_in_one_charge_count_as_several() {
    let folder = folder();
    let event = gaussian(20.0);
    let limit = limit(2.0, 16);
    let fits = fitting(&event, &limit);
    let path = folder.path().join("ledger.jsonl");
    let mut ledger = FileLedger::open(&path, Some(limit), Durability::Process).unwrap();
    let many = |count| Charge {
        count,
        ..charge(Side::Training, 1, event)
    };
    ledger.reserve(&many(fits + 1)).unwrap_err();
    ledger.reserve(&many(fits)).unwrap();
    ledger.reserve(&many(1)).unwrap_err();
}

#[test]
fn a_ledger_without_a_limit_stays_empty() {
    let folder = folder();
    let path = folder.path().join("ledger.jsonl");
    let mut ledger = FileLedger::open(&path, None, Durability::Process).unwrap();
    ledger
        .reserve(&charge(Side::Training, 1, gaussian(1.0)))
        .unwrap();
    assert_eq!(ledger.charges(), []);
    assert_eq!(fs::read(&path).unwrap(), b"");
}

/// A ledger of four charges, one of them for hold-out records.
fn filled(folder: &Path) -> PathBuf {
    let path = folder.join("ledger.jsonl");
    let mut ledger = open(&path).unwrap();
    for (round, side) in [
        (1, Side::Training),
        (2, Side::Training),
        (3, Side::HoldOut),
        (4, Side::Training),
    ] {
        ledger
            .reserve(&charge(side, round, gaussian(30.0)))
            .unwrap();
    }
    path
}

fn open(path: &Path) -> Result<FileLedger, LedgerError> {
    FileLedger::open(path, Some(limit(2.0, 16)), Durability::Process)
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn an_opened_ledger_has_spent_the_same_and_refuses_the_same() {
    let folder = folder();
    let path = filled(folder.path());
    let first = open(&path).unwrap();
    let mut total = Accountant::new();
    (0..3).for_each(|_| total.add(&gaussian(30.0), 1).unwrap());
    assert_eq!(curve(first.spent(Side::Training)), curve(&total));
    let mut second = open(&path).unwrap();
    assert_eq!(first.charges(), second.charges());
    for side in [Side::Training, Side::HoldOut] {
        assert_eq!(curve(first.spent(side)), curve(second.spent(side)));
    }
    let fits = fitting(&gaussian(30.0), &limit(2.0, 16));
    assert_eq!(fill(&mut second, Side::Training, gaussian(30.0)), fits - 3);
    let mut third = open(&path).unwrap();
    assert_eq!(fill(&mut third, Side::Training, gaussian(30.0)), 0);
}

#[test]
fn a_last_line_cut_short_anywhere_is_dropped() {
    let folder = folder();
    let path = filled(folder.path());
    let whole = fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap()
        + 1;
    for cut in last..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let mut ledger = open(&path).unwrap();
        assert_eq!(ledger.charges().len(), 3, "cut at byte {cut}");
        assert_eq!(fs::read(&path).unwrap(), &whole[..last]);
        // The chain goes on from what stands.
        ledger
            .reserve(&charge(Side::Training, 9, gaussian(30.0)))
            .unwrap();
        assert_eq!(open(&path).unwrap().charges().len(), 4);
    }
}

#[test]
fn damage_is_an_error_that_names_the_line() {
    let folder = folder();
    let path = filled(folder.path());
    let good = lines(&path);
    let edited = |line: usize, from: &str, to: &str| {
        let mut all = good.clone();
        let changed = all[line].replace(from, to);
        assert_ne!(changed, all[line], "{from} is not there");
        all[line] = changed;
        all
    };
    let without = |line: usize| {
        let mut all = good.clone();
        all.remove(line);
        all
    };
    let mut swapped = good.clone();
    swapped.swap(1, 2);
    let mut doubled = good.clone();
    doubled.insert(1, good[1].clone());
    let cases = [
        ("changed noise", edited(1, "30.0", "31.0"), 3),
        ("changed side", edited(2, "hold_out", "training"), 4),
        (
            "changed link",
            edited(1, "\"previous\":\"", "\"previous\":\"0"),
            2,
        ),
        (
            "first line changed",
            edited(0, "\"round\":1", "\"round\":7"),
            2,
        ),
        ("removed first", without(0), 1),
        ("removed middle", without(1), 2),
        ("reordered", swapped, 2),
        ("repeated", doubled, 3),
        ("not JSON in the middle", edited(2, "{", "("), 3),
        ("not JSON at the end", edited(3, "{", "("), 4),
        (
            "unknown event at the end",
            edited(3, "gaussian", "nonsense"),
            4,
        ),
        ("impossible noise at the end", edited(3, "30.0", "-30.0"), 4),
        ("empty line", edited(1, &good[1], ""), 2),
    ];
    for (what, all, line) in cases {
        let text = all.join("\n") + "\n";
        fs::write(&path, &text).unwrap();
        let Err(LedgerError::Store(error)) = open(&path) else {
            panic!("{what}: accepted");
        };
        assert!(
            error.place.ends_with(&format!("ledger.jsonl:{line}")),
            "{what}: {error}"
        );
        assert!(error.problem.contains("changed by hand or damaged"));
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            text,
            "{what}: a damaged ledger is not touched"
        );
    }
}

#[test]
fn a_ledger_that_is_no_text_is_an_error() {
    let folder = folder();
    let path = folder.path().join("ledger.jsonl");
    fs::write(&path, [0xff, 0xfe, b'\n']).unwrap();
    assert!(matches!(open(&path), Err(LedgerError::Store(_))));
}

fn draw(mut generator: impl Rng) -> [u64; 4] {
    [0; 4].map(|_| generator.next_u64())
}

#[test]
fn an_insecure_seed_repeats_for_the_same_actor_and_epoch_alone() {
    let stream =
        |seed, actor, epoch| draw(Entropy::InsecureSeed(seed).generator(actor, epoch).unwrap());
    let all = [
        stream(7, "party 0", 1),
        stream(7, "party 1", 1),
        stream(7, "party 0", 2),
        stream(8, "party 0", 1),
        stream(7, "identity of party 0", 1),
        stream(7, "", 1),
        draw(public_generator(7, "party 0")),
    ];
    assert_eq!(all[0], stream(7, "party 0", 1));
    for (index, one) in all.iter().enumerate() {
        assert!(
            !all[..index].contains(one),
            "streams {index} and another are the same"
        );
    }
    assert_eq!(
        draw(public_generator(1, "split")),
        draw(public_generator(1, "split"))
    );
}

/// Two equal draws of 256 bits: false alarms at 2^-256.
#[test]
fn the_operating_system_never_repeats() {
    let stream = || draw(Entropy::System.generator("party 0", 1).unwrap());
    assert_ne!(stream(), stream());
}

#[test]
fn a_ratchet_changes_the_stream_and_can_be_replayed() {
    let fresh = || Entropy::InsecureSeed(3).generator("party 0", 1).unwrap();
    let ratcheted = |times: usize| {
        let mut generator = fresh();
        (0..times).for_each(|_| ratchet(&mut generator));
        draw(generator)
    };
    let streams = [0, 1, 2, 3].map(ratcheted);
    for (index, one) in streams.iter().enumerate() {
        assert!(!streams[..index].contains(one));
        assert_eq!(*one, ratcheted(index));
    }
    // What was drawn before decides where the ratchet goes.
    let mut later = fresh();
    later.next_u64();
    ratchet(&mut later);
    assert_ne!(draw(later), streams[1]);
    // The new stream is no continuation of the old one.
    let mut old = fresh();
    let long: Vec<u64> = (0..64).map(|_| old.next_u64()).collect();
    assert!(!long.windows(4).any(|window| window == streams[1]));
}
