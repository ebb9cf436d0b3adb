//! Overrides of single keys: `--set privacy.epsilon=1`.

use super::errors::Place;
use super::tree::{self, Node, Table, quote_key};
use thiserror::Error;
use toml_edit::{Key, Value as TomlValue};

/// No key lies deeper than table, table, column; a little more room keeps the message about the unknown key.
const DEEPEST: usize = 8;

/// One key of the job file, set from outside the file.
#[derive(Debug, Clone)]
pub struct Override {
    path: Vec<String>,
    value: tree::Value,
}

/// An override that cannot be read; the caller's to correct.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OverrideError {
    /// No `=`.
    #[error("--set {0}: there is no '='; write table.key=value, for example privacy.epsilon=1")]
    NoEquals(String),
    /// No value after the `=`.
    #[error(
        "--set {0}: there is no value after '='; write table.key=value, or key=\"\" for an empty text"
    )]
    NoValue(String),
    /// The part before the `=` is no key.
    #[error(
        "--set {0}: {1:?} is not a key; write table.key=value, and put a part with spaces or dots in double quotes"
    )]
    Key(String, String),
    /// The part after the `=` begins as a text, list or table and does not end as one.
    #[error(
        "--set {0}: the value is not valid TOML ({1}); check quotes, brackets and commas, and that the shell kept them"
    )]
    Value(String, String),
}

impl Override {
    /// Reads `table.key=value`. The value is a TOML value; bare words become a text.
    ///
    /// # Errors
    /// [`OverrideError`], saying what to write instead.
    pub fn parse(text: &str) -> Result<Self, OverrideError> {
        let mut cuts = text.match_indices('=').map(|(at, _)| text.split_at(at));
        let (key, rest) = cuts
            .clone()
            .find(|(key, _)| Key::parse(key).is_ok())
            .or_else(|| cuts.next())
            .ok_or_else(|| OverrideError::NoEquals(text.to_owned()))?;
        let bad_key = || OverrideError::Key(text.to_owned(), key.trim().to_owned());
        let keys = Key::parse(key).map_err(|_| bad_key())?;
        if keys.len() > DEEPEST {
            return Err(bad_key());
        }
        let path: Vec<String> = keys.iter().map(|part| part.get().to_owned()).collect();
        let value = rest.strip_prefix('=').unwrap_or(rest).trim();
        if value.is_empty() {
            return Err(OverrideError::NoValue(text.to_owned()));
        }
        let place = Place::Set(show_path(&path));
        let value = match value.parse::<TomlValue>() {
            Ok(parsed) => tree::from_value(&parsed, &|_| place.clone()),
            Err(error) if value.starts_with(['"', '\'', '[', '{']) => {
                let why = error.message().lines().collect::<Vec<_>>().join(", ");
                return Err(OverrideError::Value(text.to_owned(), why));
            }
            Err(_) => tree::Value::Text(value.to_owned()),
        };
        Ok(Self { path, value })
    }

    /// The key that is set, as `privacy.epsilon`.
    #[must_use]
    pub fn key(&self) -> String {
        show_path(&self.path)
    }

    pub(super) fn apply(&self, root: &mut Table) {
        root.set(
            &self.path,
            Node {
                value: self.value.clone(),
                place: Place::Set(self.key()),
            },
        );
    }
}

fn show_path(path: &[String]) -> String {
    path.iter()
        .map(|part| quote_key(part))
        .collect::<Vec<_>>()
        .join(".")
}
