//! Whether a job's delta means anything for so many units.

use std::collections::BTreeSet;

use lepton_learn::RawColumn;
use lepton_protocol::job::Unit;
use lepton_protocol::plan::{Plan, PlanError};

use super::PartyTable;
use crate::error::NodeError;

/// A delta of one in the number of rows would allow releasing a whole row: a guarantee in name only.
pub(super) fn check(plan: &Plan, parties: &[PartyTable]) -> Result<(), NodeError> {
    let rows: usize = parties
        .iter()
        .map(|party| party.rows.train.first().map_or(0, RawColumn::len))
        .sum();
    let (rows, what) = match plan.unit() {
        Unit::Party => (parties.len(), "parties' tables"),
        Unit::Person => (persons(plan, parties), "persons"),
        Unit::Record => (rows, "training rows"),
    };
    match plan.privacy() {
        #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
        Some(privacy) if privacy.goal.delta.get() * rows as f64 >= 1.0 => Err(PlanError::Job {
            place: plan.job().origin_of("privacy.delta"),
            problem: format!(
                "delta = {} allows one of the {rows} {what} to be released whole; the largest delta that means anything here is {}",
                privacy.goal.delta.get(),
                largest_delta(rows)
            ),
        }
        .into()),
        _ => Ok(()),
    }
}

/// Persons among the training rows, counted at each party.
fn persons(plan: &Plan, parties: &[PartyTable]) -> usize {
    let ids = |party: &PartyTable| {
        let mut columns = party.rows.train.iter();
        let column = columns.find(|column| Some(column.name()) == plan.person_column());
        let held: BTreeSet<String> = column.map_or_else(BTreeSet::new, |column| {
            let ids = (0..column.len()).filter_map(|row| column.category(row));
            ids.map(std::borrow::Cow::into_owned).collect()
        });
        held.len()
    };
    parties.iter().map(ids).sum()
}

/// The largest number of one digit below one in `rows`, as a job file writes it.
fn largest_delta(rows: usize) -> String {
    let mut exponent = 1_u32;
    loop {
        let digit = (10_u128.pow(exponent) - 1) / (rows.max(1) as u128);
        if digit > 0 || exponent == 30 {
            return format!("{digit}e-{exponent}");
        }
        exponent += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::largest_delta;

    #[test]
    fn the_largest_delta_stays_below_one_in_the_rows() {
        for rows in [1, 2, 9, 10, 99, 100, 101, 426, 1000, 123_456_789] {
            let text = largest_delta(rows);
            assert!(
                text.parse::<f64>().unwrap() * rows as f64 <= 1.0 - 1e-9,
                "{rows}: {text}"
            );
        }
        assert_eq!(
            (largest_delta(426), largest_delta(100)),
            ("2e-3".to_owned(), "9e-3".to_owned())
        );
    }
}
