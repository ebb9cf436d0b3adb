//! Other files of the same kind as the job file: a policy, a configuration. One table of fields, every problem at once, unknown keys with the nearest valid one.

use super::check;
use super::entries::Entries;
use super::errors::{JobErrors, Problems};
use super::fields::Field;
use super::tree::{Table, Value};
use super::words::Word;

/// A file that was read by a table of fields: every key is known and its value alone is valid.
///
/// Getters give what was written or the field's fixed default, and `None` where there is neither.
#[derive(Debug)]
pub struct Settings {
    source_name: String,
    entries: Entries,
}

impl Settings {
    /// Reads a text; `source_name` is how messages call it.
    ///
    /// # Errors
    /// [`JobErrors`] with every problem found, each with its place and what to do.
    pub fn read(
        source_name: &str,
        text: &str,
        fields: &'static [Field],
    ) -> Result<Self, JobErrors> {
        let mut problems = Problems::default();
        let Some(root) = Table::parse(text, &mut problems) else {
            return Err(problems.into_errors(source_name));
        };
        let entries = check::check(&root, fields, &mut problems);
        problems.finish(source_name)?;
        Ok(Self {
            source_name: source_name.to_owned(),
            entries,
        })
    }

    /// Refuses the file for problems that several keys have together: `(path, what is wrong, what to do)`.
    ///
    /// # Errors
    /// [`JobErrors`] unless the list is empty.
    pub fn refuse(&self, found: &[(String, String, String)]) -> Result<(), JobErrors> {
        let mut problems = Problems::default();
        for (path, what, remedy) in found {
            problems.add(
                &self.entries.place_or_table(path),
                what.as_str(),
                remedy.as_str(),
            );
        }
        problems.finish(&self.source_name)
    }

    /// Whether a key or table was written.
    #[must_use]
    pub fn written(&self, path: &str) -> bool {
        self.entries.written(path)
    }

    /// Where a key was written, as `policy.toml:12`; the file's name for a default.
    #[must_use]
    pub fn origin_of(&self, path: &str) -> String {
        self.entries.place(path).map_or_else(
            || self.source_name.clone(),
            |place| place.show(&self.source_name),
        )
    }

    /// A text.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        self.entries.text(path)
    }

    /// A whole number.
    #[must_use]
    pub fn integer(&self, path: &str) -> Option<i64> {
        self.entries.integer(path)
    }

    /// A number.
    #[must_use]
    pub fn number(&self, path: &str) -> Option<f64> {
        self.entries.number(path)
    }

    /// A truth value.
    #[must_use]
    pub fn flag(&self, path: &str) -> Option<bool> {
        self.entries.flag(path)
    }

    /// A word out of a fixed list.
    #[must_use]
    pub fn word<W: Word>(&self, path: &str) -> Option<W> {
        self.entries.word(path)
    }

    /// A list of texts.
    #[must_use]
    pub fn texts(&self, path: &str) -> Option<Vec<String>> {
        self.entries.texts(path)
    }

    /// A list of words out of a fixed list.
    #[must_use]
    pub fn words<W: Word>(&self, path: &str) -> Option<Vec<W>> {
        let texts = self.texts(path)?;
        texts.iter().map(|text| W::from_word(text)).collect()
    }

    /// The names in a table of named tables, in the order written.
    #[must_use]
    pub fn names(&self, path: &str) -> Vec<String> {
        self.entries.names(path)
    }

    /// A table of name = word.
    #[must_use]
    pub fn word_table<W: Word>(&self, path: &str) -> Vec<(String, W)> {
        let word = |(name, node): (String, super::tree::Node)| match node.value {
            Value::Text(text) => Some((name, W::from_word(&text)?)),
            _ => None,
        };
        self.entries
            .columns(path)
            .into_iter()
            .filter_map(word)
            .collect()
    }
}
