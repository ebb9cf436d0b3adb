//! The schema file: what the owner of a table says of its columns (docs/data.md).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::file::read_file;
use crate::{ColumnType, ReadOptions, Table, TableError};

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Names a person or a record; never an input of a model.
    Identifier,
    /// An input only where a job names it.
    Sensitive,
    /// What is predicted as a rule.
    Label,
    /// Anything else.
    #[default]
    Feature,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identifier => "identifier",
            Self::Sensitive => "sensitive",
            Self::Label => "label",
            Self::Feature => "feature",
        })
    }
}

/// What is said of one column. Everything may be left out.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSchema {
    /// What it is for.
    #[serde(default)]
    pub role: Role,
    /// What it holds; inferred when absent.
    #[serde(default, rename = "type")]
    pub kind: Option<ColumnType>,
    /// The least and greatest number it can hold, known without looking at the rows.
    #[serde(default)]
    pub bounds: Option<(f64, f64)>,
    /// What its numbers count, for people.
    #[serde(default)]
    pub unit: Option<String>,
    /// Every category it can hold, known without looking at the rows.
    #[serde(default)]
    pub values: Option<Vec<String>>,
}

impl ColumnSchema {
    /// The stated type, or the one that bounds or values imply.
    #[must_use]
    pub fn stated_type(&self) -> Option<ColumnType> {
        let implied = match (&self.bounds, &self.values) {
            (Some(_), _) => Some(ColumnType::Number),
            (_, Some(_)) => Some(ColumnType::Category),
            _ => None,
        };
        self.kind.or(implied)
    }

    fn problem(&self) -> Option<&'static str> {
        match (self.kind, &self.bounds, &self.values) {
            (_, Some(_), Some(_)) => {
                Some("bounds are for numbers, values for categories; keep one")
            }
            (Some(ColumnType::Category), Some(_), _) => Some("a category has no bounds"),
            (Some(ColumnType::Number), _, Some(_)) => {
                Some("a number has bounds, no list of values")
            }
            (_, Some((low, high)), _) if !(low < high && (high - low).is_finite()) => {
                Some("bounds are two finite numbers, the smaller one first")
            }
            (_, _, Some(values)) if values.iter().collect::<BTreeSet<_>>().len() < values.len() => {
                Some("a value is listed twice")
            }
            (_, _, Some(values)) if values.is_empty() => Some("the list of values is empty"),
            _ => None,
        }
    }
}

/// Columns by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schema {
    columns: BTreeMap<String, ColumnSchema>,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaFile {
    columns: BTreeMap<String, ColumnSchema>,
}

impl Schema {
    /// Reads a schema file.
    ///
    /// # Errors
    /// `NotFound`, `IsDirectory`, `Unreadable`, `BadSchema`.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, TableError> {
        let (name, bytes) = read_file(path.as_ref())?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| bad(&name, None, "it is not UTF-8 text".to_owned()))?;
        Self::parse(&name, text)
    }

    /// Reads a schema from TOML; `name` stands for the path in errors.
    ///
    /// # Errors
    /// `BadSchema`.
    pub fn parse(name: &str, text: &str) -> Result<Self, TableError> {
        let file: SchemaFile = toml_edit::de::from_str(text).map_err(|error| {
            let line = error.span().map(|span| {
                let before = text.bytes().take(span.start);
                1 + before.filter(|byte| *byte == b'\n').count() as u64
            });
            let problem = error.message().lines().collect::<Vec<_>>().join(", ");
            bad(name, line, problem)
        })?;
        for (column, about) in &file.columns {
            if let Some(problem) = about.problem() {
                return Err(bad(name, None, format!("column {column:?}: {problem}")));
            }
        }
        Ok(Self {
            columns: file.columns,
        })
    }

    /// What is said of each column.
    #[must_use]
    pub fn columns(&self) -> &BTreeMap<String, ColumnSchema> {
        &self.columns
    }

    /// What is said of a column; `None` when nothing is.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnSchema> {
        self.columns.get(name)
    }

    /// The default options with the stated types. An identifier is a text, also where it looks like a number: 007 is not 7.
    #[must_use]
    pub fn read_options(&self) -> ReadOptions {
        let stated = |about: &ColumnSchema| {
            let id = about.role == Role::Identifier;
            about.stated_type().or(id.then_some(ColumnType::Category))
        };
        let types = self.columns.iter();
        let types = types.filter_map(|(name, about)| Some((name.clone(), stated(about)?)));
        ReadOptions::with_types(types.collect())
    }

    /// A schema file to begin with: every column of `table` with the type it was read as. No bounds and no values: what is taken from the rows
    /// would give the rows away.
    #[must_use]
    pub fn draft(table: &Table) -> String {
        let mut text = String::from(
            "# What may be said of a column: role = \"identifier\", \"sensitive\", \"label\" or \"feature\" (the default);\n\
             # type; bounds = [0, 110] of a number and values = [\"f\", \"m\"] of a category, where they are known without\n\
             # looking at the rows; unit = \"years\".\n",
        );
        for (name, kind) in table.columns() {
            let key = toml_edit::Key::new(&name).to_string();
            text += &format!("\n[columns.{}]\ntype = \"{kind}\"\n", key.trim());
        }
        text
    }
}

fn bad(path: &str, line: Option<u64>, problem: String) -> TableError {
    TableError::BadSchema {
        place: line.map_or_else(|| path.to_owned(), |line| format!("{path}:{line}")),
        problem,
    }
}
