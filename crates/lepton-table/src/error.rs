//! What can be wrong with a table: each text says what, where (`file:line`, column) and what to do.

use std::io;

use crate::file::MAX_COLUMNS;
use crate::{ColumnType, Format};

/// Why a table was refused.
///
/// A text may quote a cell. It is meant for the data's owner: what leaves the owner's machine is [`TableError::kind`] at most.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the fields are the blanks of the text above them; lines count from 1, `table` is the path as given"
)]
#[non_exhaustive]
pub enum TableError {
    /// Nothing is at that path.
    #[error("{path}: no such file; check the path and its spelling")]
    NotFound { path: String },
    /// The path is a folder.
    #[error("{path}: is a folder, not a file; name one table")]
    IsDirectory { path: String },
    /// The operating system would not give the bytes.
    #[error("{path}: cannot be read ({source}); check the file's permissions and its disk")]
    Unreadable { path: String, source: io::Error },
    /// The operating system would not take the bytes.
    #[error(
        "{path}: cannot be written ({source}); check the folder's permissions and its free space"
    )]
    Unwritable { path: String, source: io::Error },
    /// The file holds no bytes, or blank lines only.
    #[error("{table}: the file is empty; it needs a header line and at least one row")]
    Empty { table: String },
    /// The file ends after its header.
    #[error("{table}: the file has a header line but no rows; add rows, or name another file")]
    NoRows { table: String },
    /// More text than 32-bit offsets reach.
    #[error(
        "{table}: {bytes} bytes of text are more than one table can hold ({}); split the file",
        i32::MAX
    )]
    TooLarge { table: String, bytes: usize },
    /// A row with more or fewer fields than the header.
    #[error(
        "{table}:{line}: this row has {}, the header has {expected}{}; look for a missing field, or a delimiter or quote in a value that is not quoted",
        counted(.found, "field"),
        spans(.line, .last_line)
    )]
    Ragged {
        table: String,
        line: u64,
        last_line: u64,
        expected: usize,
        found: usize,
    },
    /// The file ends within a quoted field, which would swallow every row since.
    #[error(
        "{table}:{line}: the quote opened on this line is never closed; close it, or write \"\" for a quote within a value"
    )]
    UnclosedQuote { table: String, line: u64 },
    /// One name, several columns. Positions count from 1.
    #[error(
        "{table}:{line}: the header names the column {column:?} {} times (columns {}); give each column its own name",
        .positions.len(),
        numbers(.positions)
    )]
    DuplicateHeader {
        table: String,
        line: u64,
        column: String,
        positions: Vec<usize>,
    },
    /// A column without a name. The position counts from 1.
    #[error(
        "{table}:{line}: column {position} has no name in the header; name it, or delete the column"
    )]
    EmptyHeader {
        table: String,
        line: u64,
        position: usize,
    },
    /// Bytes that are not UTF-8. The offset counts from the start of the file.
    #[error(
        "{table}:{line}: byte {offset} of the file is not UTF-8 text; save the file as CSV in UTF-8"
    )]
    NotUtf8 {
        table: String,
        line: u64,
        offset: usize,
    },
    /// Text in a column of numbers. `declared`: the job says it is one; otherwise `numbers` of its `values` say so.
    #[error(
        "{table}:{line}, column {column:?}: {value:?} is not a number, but {}; {}fix the value, or declare {} = \"category\"",
        why_number(.declared, .numbers, .values),
        comma_hint(.value),
        type_key(.column)
    )]
    NotANumber {
        table: String,
        line: u64,
        column: String,
        value: String,
        declared: bool,
        numbers: usize,
        values: usize,
    },
    /// A number that is infinite, not a number, or too large for 64 bits.
    #[error(
        "{table}:{line}, column {column:?}: {value:?} is not a finite number; fix the value, leave the cell empty if it is missing, or declare {} = \"category\"",
        type_key(.column)
    )]
    NotFinite {
        table: String,
        line: u64,
        column: String,
        value: String,
    },
    /// No column of that name.
    #[error("{table}: there is no column {column:?}; {}", suggestion(.nearest, .columns))]
    UnknownColumn {
        table: String,
        column: String,
        nearest: Option<String>,
        columns: Vec<String>,
    },
    /// A column of the other type than asked for.
    #[error("{table}, column {column:?}: its type is {found}, needed is {needed}; declare {} = \"{needed}\"", type_key(.column))]
    WrongType {
        table: String,
        column: String,
        found: ColumnType,
        needed: ColumnType,
    },
    /// A column without a single value.
    #[error(
        "{table}, column {column:?}: every value is missing; leave the column out, or supply values"
    )]
    AllMissing { table: String, column: String },
    /// A label that says the same of every row.
    #[error(
        "{table}, column {column:?}: every row has the value {value:?}; telling classes apart needs rows of at least two"
    )]
    SingleClass {
        table: String,
        column: String,
        value: String,
    },
    /// Two tables that do not have the same columns.
    #[error(
        "{second}: its columns differ from those of {first}: {difference}; tables used together need the same columns of the same types"
    )]
    SchemaMismatch {
        first: String,
        second: String,
        difference: String,
    },
    /// A row number beyond the table. Rows count from 0 here.
    #[error(
        "{table}: row {row} does not exist, the table has {}; this is a mistake of the program",
        counted(.rows, "row")
    )]
    RowOutOfRange {
        table: String,
        row: usize,
        rows: usize,
    },
    /// A column of something else than numbers, texts, truth values and points in time.
    #[error(
        "{table}, column {column:?}: {found} is not a type Lepton computes with; write the column as numbers or texts, or leave it out of the file"
    )]
    UnsupportedType {
        table: String,
        column: String,
        found: String,
    },
    /// A file that is not what it begins as or is called.
    #[error(
        "{table}: cannot be read as {format} ({problem}); write the file again with the program that made it"
    )]
    Malformed {
        table: String,
        format: Format,
        problem: String,
    },
    /// Compressed in a way that this program does not undo.
    #[error("{table}: its compression is not supported; write it {remedy}")]
    Compressed { table: String, remedy: &'static str },
    /// Encrypted, and no key is at hand.
    #[error("{table}: is encrypted Parquet; open it with its keys first")]
    Encrypted { table: String },
    /// A line that is no JSON object of plain values.
    #[error(
        "{table}:{line}: {problem}; every line holds one object of names and plain values, as {{\"age\": 41, \"plan\": \"gold\"}}"
    )]
    BadLine {
        table: String,
        line: u64,
        problem: String,
    },
    /// More columns or cells than one table may have.
    #[error(
        "{table}: {cells} cells in {columns} columns are more than one table can hold ({most} in {MAX_COLUMNS}); split the file"
    )]
    TooManyCells {
        table: String,
        columns: usize,
        cells: usize,
        most: usize,
    },
    /// A schema file that cannot be used.
    #[error("{place}: {problem}; docs/data.md has an example")]
    BadSchema { place: String, problem: String },
    /// Columns of different lengths, to be written side by side.
    #[error(
        "column {column:?} has {}, the first column has {expected}; this is a mistake of the program",
        counted(.found, "row")
    )]
    UnequalColumns {
        column: String,
        expected: usize,
        found: usize,
    },
    /// A number that no reader would take back, to be written. Rows count from 0.
    #[error(
        "column {column:?}: the value of row {row} is not a finite number and is not written; this is a mistake of the program"
    )]
    NotWritten { column: String, row: usize },
}

impl TableError {
    /// The kind of error in one word, without anything of the data, the path or the column names.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::IsDirectory { .. } => "is-directory",
            Self::Unreadable { .. } => "unreadable",
            Self::Unwritable { .. } => "unwritable",
            Self::Empty { .. } => "empty",
            Self::NoRows { .. } => "no-rows",
            Self::TooLarge { .. } => "too-large",
            Self::Ragged { .. } => "ragged",
            Self::UnclosedQuote { .. } => "unclosed-quote",
            Self::DuplicateHeader { .. } => "duplicate-header",
            Self::EmptyHeader { .. } => "empty-header",
            Self::NotUtf8 { .. } => "not-utf8",
            Self::NotANumber { .. } => "not-a-number",
            Self::NotFinite { .. } => "not-finite",
            Self::UnknownColumn { .. } => "unknown-column",
            Self::WrongType { .. } => "wrong-type",
            Self::AllMissing { .. } => "all-missing",
            Self::SingleClass { .. } => "single-class",
            Self::SchemaMismatch { .. } => "schema-mismatch",
            Self::RowOutOfRange { .. } => "row-out-of-range",
            Self::UnsupportedType { .. } => "unsupported-type",
            Self::Malformed { .. } => "malformed",
            Self::Compressed { .. } => "compressed",
            Self::Encrypted { .. } => "encrypted",
            Self::BadLine { .. } => "bad-line",
            Self::BadSchema { .. } => "bad-schema",
            Self::TooManyCells { .. } => "too-many-cells",
            Self::UnequalColumns { .. } => "unequal-columns",
            Self::NotWritten { .. } => "not-written",
        }
    }
}

/// At most `limit` items, then how many more.
pub(crate) fn listed(items: &[String], limit: usize) -> String {
    let mut text = items
        .iter()
        .take(limit)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if items.len() > limit {
        text.push_str(&format!(" and {} more", items.len() - limit));
    }
    text
}

/// `1 row`, `2 rows`.
pub(crate) fn counted(count: &usize, thing: &str) -> String {
    if *count == 1 {
        format!("1 {thing}")
    } else {
        format!("{count} {thing}s")
    }
}

/// A cell's value cut to a length a terminal line bears.
pub(crate) fn shown(value: &str) -> String {
    const LIMIT: usize = 40;
    if value.chars().count() <= LIMIT {
        value.to_owned()
    } else {
        value.chars().take(LIMIT).chain(['…']).collect()
    }
}

/// The column closest in spelling, when it is close enough to be meant.
pub(crate) fn nearest(wanted: &str, columns: &[String]) -> Option<String> {
    let wanted = wanted.to_lowercase();
    let furthest = (wanted.chars().count() / 3).max(1);
    columns
        .iter()
        .map(|column| {
            (
                strsim::damerau_levenshtein(&wanted, &column.to_lowercase()),
                column,
            )
        })
        .filter(|(distance, _)| *distance <= furthest)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, column)| column.clone())
}

fn spans(line: &u64, last_line: &u64) -> String {
    if last_line > line {
        format!(" (a quoted value makes it run to line {last_line})")
    } else {
        String::new()
    }
}

fn numbers(positions: &[usize]) -> String {
    listed(
        &positions
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        8,
    )
}

fn why_number(declared: &bool, numbers: &usize, values: &usize) -> String {
    match (declared, numbers) {
        (true, _) => "the column is declared a number".to_owned(),
        (false, 0) => "the column looks like numbers".to_owned(),
        (false, _) => format!("{numbers} of the column's {values} values are"),
    }
}

fn comma_hint(value: &str) -> &'static str {
    if crate::infer::is_number_with_comma(value) {
        "decimals take a point and thousands no comma: "
    } else {
        ""
    }
}

/// The job file's key for a column's type, quoted where TOML wants it.
fn type_key(column: &str) -> String {
    let bare = !column.is_empty()
        && column
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare {
        format!("types.{column}")
    } else {
        format!("types.{column:?}")
    }
}

fn suggestion(nearest: &Option<String>, columns: &[String]) -> String {
    match nearest {
        Some(column) => format!("did you mean {column:?}?"),
        None => format!("the columns are {}", listed(columns, 12)),
    }
}
