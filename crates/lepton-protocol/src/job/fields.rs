//! How a key of a settings file is described: what it holds, its default, its choices, its meaning.

pub use super::field_table::FIELDS;

/// One key of a job file, or of another settings file.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Dotted path, for example `privacy.epsilon`; `*` stands for any name in a [`Kind::Named`] table.
    pub path: &'static str,
    /// What the value must be.
    pub kind: Kind,
    /// What holds when the key is absent.
    pub default: Absent,
    /// The valid words, for a key with a fixed list of them.
    pub choices: &'static [&'static str],
    /// Words reserved for later versions: refused, with a message that says so.
    pub later: &'static [&'static str],
    /// What the key means.
    pub doc: &'static str,
}

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A table with the fixed keys listed below its path.
    Table,
    /// A table of tables with names that the writer chooses.
    Named,
    /// `true` or `false`.
    Flag,
    /// A text that is not empty.
    Text,
    /// One of the choices.
    Choice,
    /// A whole number in a range, both ends included.
    Integer(i64, i64),
    /// A power of two in a range, both ends included.
    PowerOfTwo(i64, i64),
    /// A number in an interval.
    Number(Interval),
    /// A list of distinct texts, at least so many.
    Texts(usize),
    /// A list of distinct choices, at least one.
    Choices,
    /// A list of 1 to `.0` whole numbers, each from 1 to `.1`.
    Widths(usize, i64),
    /// A list of 1 to `.0` lists of whole numbers, each from 1 to `.1`; an inner list may be empty.
    Shapes(usize, i64),
    /// A table of column = whole number in a range, both ends included.
    ColumnIntegers(i64, i64),
    /// A table of column = choice.
    ColumnChoices,
    /// A table of column = [low, high].
    ColumnBounds,
    /// A table of column = list of distinct texts.
    ColumnTexts,
}

/// An interval of the finite numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Whether the lower end itself is valid.
    pub low_included: bool,
    /// Upper end; infinite for none.
    pub high: f64,
    /// Whether the upper end itself is valid.
    pub high_included: bool,
}

/// What holds when a key is absent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Absent {
    /// The job is refused.
    Required,
    /// This value, written as TOML.
    Value(&'static str),
    /// What this sentence says.
    Says(&'static str),
}

/// The field of the job file at a path.
#[must_use]
pub fn field(path: &str) -> Option<&'static Field> {
    find(FIELDS, path)
}

/// The field of `fields` at a path.
pub(super) fn find(fields: &'static [Field], path: &str) -> Option<&'static Field> {
    fields.iter().find(|field| fits(field.path, path))
}

/// The keys directly inside the table at `path` (empty for the top level).
pub(super) fn keys_of<'a>(
    fields: &'static [Field],
    path: &'a str,
) -> impl Iterator<Item = &'static str> + use<'a> {
    fields
        .iter()
        .filter_map(move |field| match field.path.rsplit_once('.') {
            Some((_, "*")) => None,
            Some((table, key)) => fits(table, path).then_some(key),
            None => path.is_empty().then_some(field.path),
        })
}

/// Whether a field's path is the path of a key, `*` standing for any name.
fn fits(pattern: &str, path: &str) -> bool {
    let mut parts = path.split('.');
    let all = pattern.split('.').all(|wanted| {
        parts
            .next()
            .is_some_and(|part| wanted == "*" || wanted == part)
    });
    all && parts.next().is_none()
}

impl Kind {
    /// The kind in words, as after "expected".
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Table => "a table".to_owned(),
            Self::Named => "a table of named tables".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Text => "a text in quotes".to_owned(),
            Self::Choice => "a word in quotes".to_owned(),
            Self::Integer(low, high) => format!("a whole number from {low} to {high}"),
            Self::PowerOfTwo(low, high) => format!("a power of two from {low} to {high}"),
            Self::Number(interval) => interval.words(),
            Self::Texts(0 | 1) => "a list of texts".to_owned(),
            Self::Texts(least) => format!("a list of at least {least} texts"),
            Self::Choices => "a list of words".to_owned(),
            Self::Widths(count, high) => {
                format!("a list of 1 to {count} whole numbers from 1 to {high}")
            }
            Self::Shapes(count, high) => {
                format!("a list of 1 to {count} lists of whole numbers from 1 to {high}")
            }
            Self::ColumnIntegers(low, high) => {
                format!("a table of column = whole number from {low} to {high}")
            }
            Self::ColumnChoices => "a table of column = word".to_owned(),
            Self::ColumnBounds => "a table of column = [low, high]".to_owned(),
            Self::ColumnTexts => "a table of column = list of texts".to_owned(),
        }
    }
}

impl Interval {
    /// Whether a number lies inside; never for NaN and the infinities.
    #[must_use]
    pub fn contains(&self, x: f64) -> bool {
        let above = if self.low_included {
            x >= self.low
        } else {
            x > self.low
        };
        let below = if self.high_included {
            x <= self.high
        } else {
            x < self.high
        };
        x.is_finite() && above && below
    }

    /// The interval in words.
    #[must_use]
    pub fn words(&self) -> String {
        let low = if self.low_included {
            "of at least"
        } else {
            "greater than"
        };
        let low = format!("a number {low} {}", self.low);
        match (self.high.is_finite(), self.high_included) {
            (false, _) => low,
            (true, true) => format!("{low} and at most {}", self.high),
            (true, false) => format!("{low} and less than {}", self.high),
        }
    }
}
