//! How a file is to be understood.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What a column holds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// Finite numbers, stored as `Float64`.
    Number,
    /// Text, each distinct value a category; stored as `Utf8`.
    Category,
}

impl ColumnType {
    /// The word a job file uses: `number` or `category`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Category => "category",
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What stands between the fields of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delimiter {
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// A tab.
    Tab,
}

impl Delimiter {
    pub(crate) const ALL: [Self; 3] = [Self::Comma, Self::Semicolon, Self::Tab];

    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }
}

/// How to read a file. The default infers everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// Declared column types; they overrule what the values look like. A name that the file lacks is ignored here, because the same
    /// declaration serves tables with and without the label: the job's own check names it.
    pub types: BTreeMap<String, ColumnType>,
    /// What a cell holds, surrounding white space aside, when its value is missing. Compared exactly, in every column.
    pub missing_tokens: BTreeSet<String>,
    /// The delimiter of CSV; `None` takes the one the header line uses most, outside quotes.
    pub delimiter: Option<Delimiter>,
    /// Most cells taken from Parquet, Arrow IPC and JSON Lines, whose few bytes can stand for many. (CSV is bounded by its bytes.)
    pub most_cells: usize,
}

impl ReadOptions {
    /// The cells that count as missing unless told otherwise.
    pub const MISSING_TOKENS: [&str; 7] = ["", "NA", "N/A", "null", "NaN", "None", "?"];

    /// The default options with these declared types.
    #[must_use]
    pub fn with_types(types: BTreeMap<String, ColumnType>) -> Self {
        Self {
            types,
            ..Self::default()
        }
    }
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            types: BTreeMap::new(),
            missing_tokens: Self::MISSING_TOKENS
                .iter()
                .map(ToString::to_string)
                .collect(),
            delimiter: None,
            most_cells: crate::MAX_CELLS,
        }
    }
}
