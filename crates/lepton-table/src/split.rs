//! Which rows go to which party (in simulation), and which are kept aside to measure the result.

mod dirichlet;

use std::collections::BTreeMap;

use rand_core::CryptoRng;

use crate::error::counted;
use crate::{Table, TableError};

pub use dirichlet::dirichlet;

/// The least number of rows a party can take part with: below two, its statistics are a person's values.
pub const MIN_ROWS: usize = 2;

/// One party's share of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyPart {
    /// The party's name: the value of the split column, or `party-1`, `party-2`, …
    pub name: String,
    /// Its rows, counted from 0, ascending. No row is in two parts.
    pub rows: Vec<usize>,
}

/// Why a table cannot be dealt out like that.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the fields are the blanks of the text above them"
)]
#[non_exhaustive]
pub enum SplitError {
    /// Nobody to deal to.
    #[error("a split needs at least one party; set the number of parties")]
    NoParties,
    /// More parties than rows.
    #[error(
        "{parties} parties cannot share {}: every party needs at least {MIN_ROWS}; take fewer parties or more rows", counted(.rows, "row")
    )]
    TooManyParties { parties: usize, rows: usize },
    /// A party that would hold too little.
    #[error(
        "party {party:?} would hold {}, it needs at least {MIN_ROWS}; take fewer parties, or give it more rows", counted(.rows, "row")
    )]
    PartyTooSmall { party: String, rows: usize },
    /// Fewer distinct values than parties to make of them.
    #[error(
        "{table}, column {column:?}: {values} distinct values cannot make {parties} parties; take at most {values}"
    )]
    TooFewValues {
        table: String,
        column: String,
        values: usize,
        parties: usize,
    },
    /// Rows that belong to nobody. `first_line` is the first one's line in the file.
    #[error(
        "{table}, column {column:?}: {rows} of {} without a value{}, so no party holds them; fill in the values or remove the rows",
        counted(.all, "row"),
        first(.first_line)
    )]
    MissingValues {
        table: String,
        column: String,
        rows: usize,
        all: usize,
        first_line: Option<u64>,
    },
    /// A concentration that gives no distribution.
    #[error(
        "alpha {alpha} is not a concentration; take a number from 1e-6 (each class at one party) to 1e9 (every class spread evenly)"
    )]
    BadAlpha { alpha: f64 },
    /// A share that is none.
    #[error(
        "test fraction {fraction} is not a share; take a number from 0 up to, but not including, 1"
    )]
    BadFraction { fraction: f64 },
    /// The table itself.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// One party per distinct value of `column`, sorted (numbers by size); or, with `parties`, the values grouped into that many parties of like size.
///
/// Grouping is greedy and the same every time: values from the one with most rows to the one with fewest (ties in sorted order) each go to
/// the party with fewest rows so far; parties are then ordered by their smallest value. A group is named after its values, `KS+OH`, and
/// from the fourth on `AK+AL+48 more`.
///
/// # Errors
/// `UnknownColumn`, `MissingValues`, `NoParties`, `TooFewValues`, `PartyTooSmall`.
pub fn by_column(
    table: &Table,
    column: &str,
    parties: Option<usize>,
) -> Result<Vec<PartyPart>, SplitError> {
    let groups = values_with_rows(table, column)?;
    let parts = match parties {
        None => groups
            .into_iter()
            .map(|(value, rows)| PartyPart { name: value, rows })
            .collect(),
        Some(0) => return Err(SplitError::NoParties),
        Some(parties) if parties > groups.len() => {
            let (table, column) = (table.name().to_owned(), column.to_owned());
            return Err(SplitError::TooFewValues {
                table,
                column,
                values: groups.len(),
                parties,
            });
        }
        Some(parties) => grouped(groups, parties),
    };
    large_enough(parts)
}

/// Rows dealt at random, as evenly as they go: sizes differ by at most one. Unbiased (Fisher and Yates' shuffle).
///
/// # Errors
/// `NoParties`, `TooManyParties`, `PartyTooSmall`.
pub fn even(
    n_rows: usize,
    parties: usize,
    rng: &mut impl CryptoRng,
) -> Result<Vec<PartyPart>, SplitError> {
    check_count(n_rows, parties)?;
    let mut order: Vec<usize> = (0..n_rows).collect();
    shuffle(&mut order, rng);
    let mut dealt = vec![Vec::new(); parties];
    for hand in order.chunks(parties) {
        for (part, row) in dealt.iter_mut().zip(hand) {
            part.push(*row);
        }
    }
    large_enough(numbered(dealt))
}

/// Rows dealt each by its own number, spread over `0 .. 2^64`, such as a hash of the row: row `i` goes to party `numbers[i] * parties / 2^64`. No other row has a
/// say in where it goes. A party may be left with few rows, or none: where that is no way to begin, the caller says so.
///
/// # Errors
/// `NoParties`, `TooManyParties`.
pub fn by_number(numbers: &[u64], parties: usize) -> Result<Vec<PartyPart>, SplitError> {
    check_count(numbers.len(), parties)?;
    let mut dealt = vec![Vec::new(); parties];
    for (row, number) in numbers.iter().enumerate() {
        let party = (u128::from(*number) * parties as u128) >> 64;
        if let Some(part) = usize::try_from(party).ok().and_then(|p| dealt.get_mut(p)) {
            part.push(row);
        }
    }
    Ok(numbered(dealt))
}

/// Training and test rows, both ascending: each record falls to the test side by its own coin of probability `fraction`.
///
/// Why coins, and neither exact counts nor strata: which side a record is on must not depend on any other record. Then adding or
/// removing a record changes one side only, training and evaluation work on disjoint records, and their privacy losses compose in
/// parallel (the larger, not the sum; McSherry 2009, theorem 4). A count to be met exactly, or a share to be met per class, would tie
/// the records to each other. Hence the sizes vary from draw to draw, and either side may be empty or lack a class: the caller checks.
///
/// The coin of row `i` is the `i`-th 64-bit word of `rng`. That argument therefore asks for a generator whose seed is secret and not
/// chosen after the data; with a seed known to others it holds for a record's presence at a fixed place (its row left blank), not for one
/// whose removal shifts all rows below it.
///
/// # Errors
/// `BadFraction` unless `0 <= fraction < 1`.
pub fn holdout(
    n_rows: usize,
    fraction: f64,
    rng: &mut impl CryptoRng,
) -> Result<(Vec<usize>, Vec<usize>), SplitError> {
    if !(0.0..1.0).contains(&fraction) {
        return Err(SplitError::BadFraction { fraction });
    }
    Ok((0..n_rows).partition(|_| unit(rng) >= fraction))
}

/// The distinct values of a column in order, each with its rows.
fn values_with_rows(table: &Table, column: &str) -> Result<Vec<(String, Vec<usize>)>, SplitError> {
    let texts = table.texts(column)?;
    let missing = texts.iter().filter(|text| text.is_none()).count();
    if missing > 0 {
        let first_line = texts
            .iter()
            .position(Option::is_none)
            .and_then(|row| table.line_of(row));
        let (table, column) = (table.name().to_owned(), column.to_owned());
        return Err(SplitError::MissingValues {
            table,
            column,
            rows: missing,
            all: texts.len(),
            first_line,
        });
    }
    let mut rows_of: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (row, value) in texts.into_iter().flatten().enumerate() {
        rows_of.entry(value).or_default().push(row);
    }
    Ok(table
        .distinct_values(column)?
        .into_iter()
        .filter_map(|(value, _)| rows_of.remove_entry(&value))
        .collect())
}

fn grouped(groups: Vec<(String, Vec<usize>)>, parties: usize) -> Vec<PartyPart> {
    let mut by_size: Vec<usize> = (0..groups.len()).collect();
    let size = |group: usize| groups.get(group).map_or(0, |(_, rows)| rows.len());
    by_size.sort_by_key(|group| (std::cmp::Reverse(size(*group)), *group));
    let mut sizes = vec![0; parties];
    let mut party_of = BTreeMap::new();
    for group in by_size {
        if let Some((party, held)) = sizes.iter_mut().enumerate().min_by_key(|(_, held)| **held) {
            *held += size(group);
            party_of.insert(group, party);
        }
    }
    // In the order of the values, so that parties come out by their smallest one.
    let mut order: Vec<usize> = Vec::with_capacity(parties);
    let mut bins = vec![Vec::new(); parties];
    for (group, (_, party)) in groups.into_iter().zip(party_of) {
        if !order.contains(&party) {
            order.push(party);
        }
        if let Some(bin) = bins.get_mut(party) {
            bin.push(group);
        }
    }
    order
        .into_iter()
        .filter_map(|party| bins.get_mut(party).map(std::mem::take))
        .map(merged)
        .collect()
}

fn merged(groups: Vec<(String, Vec<usize>)>) -> PartyPart {
    let values: Vec<&str> = groups.iter().map(|(value, _)| value.as_str()).collect();
    let name = match values.as_slice() {
        [first, second, rest @ ..] if rest.len() > 1 => {
            format!("{first}+{second}+{} more", rest.len())
        }
        few => few.join("+"),
    };
    let mut rows: Vec<usize> = groups.into_iter().flat_map(|(_, rows)| rows).collect();
    rows.sort_unstable();
    PartyPart { name, rows }
}

fn check_count(rows: usize, parties: usize) -> Result<(), SplitError> {
    match parties {
        0 => Err(SplitError::NoParties),
        _ if parties > rows => Err(SplitError::TooManyParties { parties, rows }),
        _ => Ok(()),
    }
}

/// Refuses a party of fewer than [`MIN_ROWS`] rows.
///
/// # Errors
/// `PartyTooSmall`.
pub fn large_enough(parts: Vec<PartyPart>) -> Result<Vec<PartyPart>, SplitError> {
    match parts.iter().find(|part| part.rows.len() < MIN_ROWS) {
        Some(part) => Err(SplitError::PartyTooSmall {
            party: part.name.clone(),
            rows: part.rows.len(),
        }),
        None => Ok(parts),
    }
}

/// `party-1` to `party-9`, or `party-01` to `party-10`: names sort as their numbers do.
fn numbered(dealt: Vec<Vec<usize>>) -> Vec<PartyPart> {
    let width = dealt.len().to_string().len();
    let part = |(index, mut rows): (usize, Vec<usize>)| {
        rows.sort_unstable();
        PartyPart {
            name: format!("party-{:0width$}", index + 1),
            rows,
        }
    };
    dealt.into_iter().enumerate().map(part).collect()
}

fn shuffle(order: &mut [usize], rng: &mut impl CryptoRng) {
    for last in (1..order.len()).rev() {
        order.swap(last, below(last + 1, rng));
    }
}

/// Uniform in `0..bound`, without bias: words past the last whole multiple of `bound` are drawn again.
fn below(bound: usize, rng: &mut impl CryptoRng) -> usize {
    let bound = bound as u64;
    let limit = u64::MAX - u64::MAX % bound;
    loop {
        let word = rng.next_u64();
        if word < limit {
            return usize::try_from(word % bound).expect("below a usize");
        }
    }
}

/// Uniform in `[0, 1)` with 53 bits; one word per call.
fn unit(rng: &mut impl CryptoRng) -> f64 {
    (rng.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

fn first(line: &Option<u64>) -> String {
    line.map_or_else(String::new, |line| format!(" (first on line {line})"))
}
