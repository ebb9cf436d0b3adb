//! The checker itself.

use super::*;
use crate::config::SimParty;
use lepton_learn::RawColumn;
use lepton_protocol::work::PartyRows;

const JOB: &str = "[job]\nname = \"toy\"\n[data]\ntable = \"toy.csv\"\nlabel = \"y\"\nfeatures = [\"x\"]\n\
    [data.types]\nx = \"number\"\ny = \"number\"\n[prepare.bounds]\nx = [0, 10]\ny = [0, 10]\n\
    [model]\nkind = \"linear\"\n[training]\nrounds = 1\nlocal_steps = 1\nlearning_rate = 0.1\n";

fn column(name: &str, from: u32) -> RawColumn {
    RawColumn::Numeric {
        name: name.to_owned(),
        values: (from..from + 8)
            .map(|value| Some(f64::from(value % 10)))
            .collect(),
    }
}

/// Runs a small job; every vector of `exchange` that party 1 hands in is recorded one unit off.
fn violations(exchange: u64) -> Vec<String> {
    let rows = |party: u32| PartyRows {
        train: vec![column("x", party), column("y", party + 3)],
        hold_out: vec![column("x", party + 1), column("y", party + 5)],
    };
    let parties = (0..3).map(|party| SimParty::new("party", rows(party)));
    let config = SimConfig::new(1, JOB.to_owned(), parties.collect());
    let mut simulation = Simulation::new(config).unwrap();
    simulation
        .queue
        .push(0, Happening::Coordinator(coordinator::Event::Start));
    while let Some((at, happening)) = simulation.queue.pop() {
        simulation.now = at;
        simulation.log.steps += 1;
        if let Happening::Computed(1, _, place, Ok(vector)) = &happening
            && place.round == exchange
        {
            let mut wrong = vector.clone();
            wrong[0] += 1;
            simulation.checks.handed_in(exchange, 1, &wrong);
        }
        simulation.happen(happening);
    }
    assert_eq!(simulation.end, Some(End::Over));
    simulation.checks.violations
}

/// The corrupted twin of every check of a sum: one unit in one entry is seen in each exchange.
#[test]
fn a_sum_that_is_off_by_one_is_a_violation() {
    assert_eq!(violations(99), Vec::<String>::new());
    for exchange in [1, 2, 3] {
        let seen = violations(exchange);
        assert_eq!(seen.len(), 1, "exchange {exchange}");
        assert!(seen[0].contains("is not the sum of the vectors"));
    }
}
