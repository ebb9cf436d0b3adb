//! Runs simulated masked sums: `masked_sums FAMILY SEED` runs one and tells what happened; `masked_sums FAMILY from FIRST COUNT` runs many and counts how
//! they ended. The families are `small`, `sparse`, `thousand` and `two-thousand`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use lepton_sim::masked_sum::{Family, Scenario};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [family, seed] => one(family, seed),
        [family, "from", first, count] => many(family, first, count),
        _ => Err("usage: masked_sums FAMILY SEED | masked_sums FAMILY from FIRST COUNT".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("{what}");
            ExitCode::FAILURE
        }
    }
}

fn one(family: &str, seed: &str) -> Result<(), String> {
    let scenario = Scenario {
        family: family.parse()?,
        seed: number(seed)?,
    };
    let outcome = scenario.run()?;
    println!("{scenario}: {outcome:#?}");
    Ok(())
}

fn many(family: &str, first: &str, count: &str) -> Result<(), String> {
    let family: Family = family.parse()?;
    let (first, count) = (number(first)?, number(count)?);
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    let (mut failures, mut frail, mut messages) = (0, 0, 0);
    for seed in first..first.saturating_add(count) {
        match (Scenario { family, seed }).run() {
            Ok(outcome) => {
                frail += outcome.frail;
                messages += outcome.messages;
                for (end, count) in outcome.counts() {
                    *ends.entry(end).or_default() += count;
                }
            }
            Err(what) => {
                eprintln!("{what}");
                failures += 1;
            }
        }
    }
    println!("{count} seeds, {messages} messages; rounds by how they ended:");
    for (end, count) in &ends {
        println!("{count:>9}  {end}");
    }
    println!("{frail:>9}  attempts on graphs about which nothing is promised");
    if failures == 0 {
        Ok(())
    } else {
        Err(format!(
            "{failures} of {count} seeds violate what must hold"
        ))
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}
