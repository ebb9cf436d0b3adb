//! Who gets which rows of one table, in a simulation.

use lepton_protocol::job::{Job, Split};
use lepton_table::Table;
use lepton_table::split::{self, PartyPart};

use super::raw_column;
use crate::error::NodeError;
use crate::random::public_generator;

pub(super) fn divide(job: &Job, table: &Table, split: &Split) -> Result<Vec<PartyPart>, NodeError> {
    let mut rng = public_generator(job.data().split_seed, "split");
    let count = |parties: std::num::NonZeroU32| parties.get() as usize;
    let parts = match split {
        Split::Column { column, parties } => by_column(table, column, parties.map(count))?,
        Split::Even { parties } => split::even(table.rows(), count(*parties), &mut rng)?,
        Split::Hash { parties } => {
            let parts = split::by_number(&own_numbers(job, table)?, count(*parties))?;
            // Under a goal a party may have few rows, or none: a refusal would tell of rows.
            match job.privacy() {
                Some(_) => parts,
                None => split::large_enough(parts)?,
            }
        }
        Split::Dirichlet { parties, alpha } => split::dirichlet(
            &table.texts(&job.data().label)?,
            count(*parties),
            alpha.get(),
            &mut rng,
        )?,
    };
    Ok(parts)
}

/// A number for each row: a hash of the job's public seed with the row, or with the person whose row it is.
fn own_numbers(job: &Job, table: &Table) -> Result<Vec<u64>, NodeError> {
    let seed = job.data().split_seed.to_be_bytes();
    let columns = match &job.data().person {
        Some(person) => vec![raw_column(table, person)?],
        None => table
            .column_names()
            .iter()
            .map(|name| raw_column(table, name))
            .collect::<Result<_, _>>()?,
    };
    let number = |row| {
        let key = lepton_learn::row_key(&columns, row);
        let digest = lepton_crypto::hash("lepton deal", &[&seed, &key]);
        let first = digest.as_bytes().first_chunk().copied();
        u64::from_be_bytes(first.unwrap_or_default())
    };
    Ok((0..table.rows()).map(number).collect())
}

/// One party for each value; `parties`, if given, is how many values the column must have.
fn by_column(
    table: &Table,
    column: &str,
    parties: Option<usize>,
) -> Result<Vec<PartyPart>, NodeError> {
    let parts = split::by_column(table, column, None)?;
    match parties.filter(|wanted| *wanted != parts.len()) {
        None => Ok(parts),
        Some(wanted) => Err(NodeError::Use(format!(
            "{}: column `{column}` has {} values, and data.split.parties says {wanted}; correct it or leave it out",
            table.name(),
            parts.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lepton_table::ReadOptions;

    use super::*;

    fn job(more: &str) -> Job {
        let text = format!(
            "[job]\nname = \"deal\"\n[model]\nkind = \"logistic\"\n[data]\ntable = \"t.csv\"\nlabel = \"y\"\nclasses = [\"a\", \"b\"]\nsplit = {{ by = \"hash\", parties = 3 }}\n{more}"
        );
        Job::parse("job.toml", &text, &[]).unwrap()
    }

    /// Row texts by party; rows are `id,x,y` with ten rows for each id.
    fn dealt(job: &Job, skipped: Option<usize>) -> BTreeMap<String, usize> {
        let line = |row: usize| format!("p{},{row},{}\n", row / 10, ["a", "b"][row % 2]);
        let rows: Vec<usize> = (0..200).filter(|row| Some(*row) != skipped).collect();
        let lines: String = rows.iter().map(|row| line(*row)).collect();
        let text = format!("id,x,y\n{lines}");
        let options = ReadOptions::default();
        let table = Table::from_csv_bytes("t.csv", text.as_bytes(), &options).unwrap();
        let parties = Split::Hash {
            parties: 3.try_into().unwrap(),
        };
        let parts = divide(job, &table, &parties).unwrap();
        let of = |(party, part): (usize, PartyPart)| {
            let lines = part.rows.into_iter().map(|row| line(rows[row]));
            lines.map(|line| (line, party)).collect::<Vec<_>>()
        };
        parts.into_iter().enumerate().flat_map(of).collect()
    }

    #[test]
    fn a_row_less_moves_no_other_row() {
        let job = job("");
        let all = dealt(&job, None);
        assert_eq!(all.len(), 200);
        let counts = (0..3).map(|party| all.values().filter(|at| **at == party).count());
        // Each is Binomial(200, 1/3); the seed and the rows are fixed.
        assert!(counts.into_iter().all(|count| (40..95).contains(&count)));
        for skipped in [0, 77, 199] {
            let fewer = dealt(&job, Some(skipped));
            assert_eq!(fewer.len(), 199);
            assert!(fewer.iter().all(|(line, party)| all[line] == *party));
        }
    }

    #[test]
    fn rows_of_a_person_stay_together() {
        let job = job(
            "person = \"id\"\n[training]\nsampling_rate = 0.5\n[privacy]\nunit = \"person\"\nepsilon = 3\ndelta = 1e-5\n[prepare.bounds]\nx = [0, 200]\n",
        );
        let mut party_of = BTreeMap::new();
        for (line, party) in dealt(&job, None) {
            let id = line.split(',').next().unwrap().to_owned();
            assert_eq!(*party_of.entry(id).or_insert(party), party);
        }
        assert_eq!(party_of.len(), 20);
    }
}
