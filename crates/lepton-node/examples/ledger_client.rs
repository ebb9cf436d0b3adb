//! One job's traffic with a durable ledger, for `scripts/ledger_stress.py`, which kills it at random moments.
//!
//! `ledger_client LEDGER TABLE JOB CHARGES`: reserves, charges one release after the other, ends the job. Prints a line after each step that was answered with success.
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use lepton_dp::NoiseMultiplier;
use lepton_dp::rdp::Event;
use lepton_node::ledger::{Cells, DurableLedger, JobTable};
use lepton_protocol::ledger::{Charge, LedgerError, Planned, Reserved, Side, Unit, planned_cost};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [ledger, table, job, charges] = arguments.as_slice() else {
        return Err("usage: ledger_client LEDGER TABLE JOB CHARGES".into());
    };
    let ledger = DurableLedger::open(Path::new(ledger), || "2026-01-01T00:00:00Z".to_owned())?;
    let count: u64 = charges.parse()?;
    match traffic(&ledger, Path::new(table), (job, count)) {
        Err(error) if error.downcast_ref::<LedgerError>().is_some_and(is_refusal) => say("refused"),
        result => result,
    }
}

fn traffic(ledger: &DurableLedger, table: &Path, (job, count): (&str, u64)) -> Result<(), Failure> {
    let event = Event::Gaussian {
        noise_multiplier: NoiseMultiplier::new(60.0)?,
    };
    let planned = vec![Planned {
        side: Side::Training,
        event,
        count,
        charges: count,
    }];
    let reserved = Reserved {
        job: job.to_owned(),
        title: format!("job `{job}`"),
        epsilon: 1.0,
        delta: 1e-6,
        seats: BTreeMap::new(),
        unit: Unit::Record,
        person: None,
        curve: planned_cost(&planned, Unit::Record)?,
    };
    let tables = vec![JobTable {
        cells: Cells::read(table)?,
        seats: vec![("party".to_owned(), (0..50).collect())],
    }];
    ledger.reserve(reserved, tables, planned)?;
    say("reserved")?;
    for round in 0..count {
        let charge = Charge {
            side: Side::Training,
            kind: "training".to_owned(),
            epoch: 1,
            round,
            attempt: 0,
            event,
            count: 1,
        };
        match ledger.charge(job, "party", &charge) {
            // Another process of the same job was faster, or this one before it was killed: charged, and not to be sampled again.
            Err(LedgerError::Budget(error)) if error.to_string().contains("charged already") => {}
            result => {
                result?;
                say(&format!("charged {round}"))?;
            }
        }
    }
    ledger.close(job)?;
    say("closed")
}

fn is_refusal(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Budget(error) if error.is_refusal())
}

fn say(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
