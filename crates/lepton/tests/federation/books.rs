//! What a job released, held against what the parties' ledgers were charged (rules FT-08, FT-10, JC-12).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::world::World;

/// A job's events at the coordinator; a last line that is being written is left out.
pub(crate) fn events(job: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(job.join("events.jsonl")).unwrap_or_default();
    let lines = text
        .lines()
        .map_while(|line| serde_json::from_str(line).ok());
    lines.collect()
}

/// Sums that were opened, with their survivors.
pub(crate) fn sums(events: &[Value]) -> Vec<(String, Vec<u64>)> {
    let sum = |event: &Value| {
        let progress = &event["progress"];
        let survivors = progress["survivors"].as_array()?.iter();
        let kind = progress["kind"].as_str()?.replace('_', " ");
        Some((
            kind,
            survivors.map(|index| index.as_u64().unwrap()).collect(),
        ))
    };
    events.iter().filter_map(sum).collect()
}

/// What one party's ledger holds of one job.
#[derive(Debug, Default)]
pub(crate) struct Charged {
    /// Charges by kind.
    pub(crate) kinds: BTreeMap<String, usize>,
    pub(crate) all: usize,
}

/// Every charge of a job in a party's ledger; no exchange's attempt stands there twice.
pub(crate) fn charged(world: &World, party: &str, job: &str) -> Charged {
    let ledger = format!("{party}/ledger.db");
    let history = world.lepton(&["budget", "history", "--ledger", &ledger, "--json"]);
    let history = history.fine().json();
    let mut seen = BTreeSet::new();
    let mut found = Charged::default();
    for entry in history["entries"].as_array().unwrap() {
        let what = &entry["entry"]["what"]["charged"];
        if !what["job"]
            .as_str()
            .is_some_and(|name| name.starts_with(job))
        {
            continue;
        }
        let charge = &what["charge"];
        let key = ["side", "kind", "epoch", "round", "attempt"].map(|key| charge[key].to_string());
        assert!(seen.insert(key), "{party} charged twice: {charge}");
        let kind = charge["kind"].as_str().unwrap().to_owned();
        *found.kinds.entry(kind).or_default() += 1;
        found.all += 1;
    }
    found
}

/// Nothing was released that was not charged, and no share is still set aside. Gives the charges of all parties together.
pub(crate) fn balanced(world: &World, job: &Path) -> usize {
    let digest = job.file_name().unwrap().to_str().unwrap();
    let sums = sums(&events(job));
    let mut all = 0;
    for (index, party) in world.names.iter().enumerate() {
        world.all_ended(party);
        let charged = charged(world, party, digest);
        let mut released: BTreeMap<&str, usize> = BTreeMap::new();
        for (kind, survivors) in &sums {
            if survivors.contains(&(index as u64)) {
                *released.entry(kind).or_default() += 1;
            }
        }
        assert!(!released.is_empty(), "{party} is in no sum");
        for (kind, count) in released {
            let paid = charged.kinds.get(kind).copied().unwrap_or_default();
            assert!(
                paid >= count,
                "{party}: {count} sums of {kind} released, {paid} charged"
            );
        }
        assert_eq!(block(world, party)["open_jobs"], 0, "{party}");
        all += charged.all;
    }
    all
}

/// The budget of a party's table, as it stands.
pub(crate) fn block(world: &World, party: &str) -> Value {
    let ledger = format!("{party}/ledger.db");
    let shown = world.lepton(&["budget", "show", "--ledger", &ledger, "--json"]);
    shown.fine().json()["blocks"][0].clone()
}

/// Every audit log and every ledger holds, and coordinator and parties do not contradict each other about these jobs.
pub(crate) fn verified(world: &World, jobs: &[String]) {
    world
        .lepton(&["audit", "log", "verify", "hub/audit"])
        .fine();
    for party in &world.names {
        let (audit, ledger) = (format!("{party}/audit"), format!("{party}/ledger.db"));
        world.lepton(&["audit", "log", "verify", &audit]).fine();
        world
            .lepton(&["budget", "verify", "--ledger", &ledger])
            .fine();
        for job in jobs {
            let words = [
                "audit",
                "log",
                "cross-check",
                "hub/audit",
                &audit,
                "--job",
                job,
            ];
            let done = world.lepton(&words).fine();
            assert!(!done.stdout.contains("contradiction"), "{}", done.stdout);
            assert!(
                !done.stdout.contains(" 0 messages in both"),
                "{}",
                done.stdout
            );
        }
    }
}
