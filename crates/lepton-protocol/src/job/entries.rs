//! The keys that were written, with their places, and the defaults of those that were not.

use super::errors::Place;
use super::fields::{Absent, Field, find};
use super::tree::{Node, Value, from_value};
use super::value_check::number;
use super::words::Word;
use std::collections::{BTreeMap, BTreeSet};
use toml_edit::Value as TomlValue;

/// What was written, by dotted path.
#[derive(Debug)]
pub(super) struct Entries {
    fields: &'static [Field],
    written: BTreeMap<String, Node>,
    bad: BTreeSet<String>,
    open: BTreeMap<String, Place>,
}

impl Entries {
    pub(super) fn new(fields: &'static [Field]) -> Self {
        Self {
            fields,
            written: BTreeMap::new(),
            bad: BTreeSet::new(),
            open: BTreeMap::new(),
        }
    }

    pub(super) fn fields(&self) -> &'static [Field] {
        self.fields
    }

    /// The names that were written in a table of named tables, in order.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        match self.written.get(path).map(|node| &node.value) {
            Some(Value::Table(table)) => {
                table.entries.iter().map(|(name, _)| name.clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn flag(&self, path: &str) -> Option<bool> {
        match self.value(path)? {
            Value::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    pub(super) fn write(&mut self, path: &str, node: &Node) {
        self.written.insert(path.to_owned(), node.clone());
    }

    /// Notes a key that was written as left to a rule.
    pub(super) fn leave_open(&mut self, path: &str, place: &Place) {
        self.open.insert(path.to_owned(), place.clone());
    }

    /// The keys that were written as left to a rule.
    pub(super) fn left_open(&self) -> impl Iterator<Item = (&String, &Place)> {
        self.open.iter()
    }

    /// Marks a path as already complained about: nothing is concluded from it or from what it contains.
    pub(super) fn spoil(&mut self, path: &str) {
        self.bad.insert(path.to_owned());
    }

    pub(super) fn is_bad(&self, path: &str) -> bool {
        let mut prefixes = path.match_indices('.').map(|(at, _)| path.split_at(at).0);
        self.bad.contains(path) || prefixes.any(|prefix| self.bad.contains(prefix))
    }

    pub(super) fn written(&self, path: &str) -> bool {
        self.written.contains_key(path)
    }

    pub(super) fn place(&self, path: &str) -> Option<&Place> {
        self.written.get(path).map(|node| &node.place)
    }

    /// The place of a key, or of the nearest table around it, or the first line.
    pub(super) fn place_or_table(&self, path: &str) -> Place {
        let table = path.rsplit_once('.').map_or("", |(table, _)| table);
        self.place(path)
            .or_else(|| self.place(table))
            .cloned()
            .unwrap_or(Place::Line(1))
    }

    /// The places of all keys, columns and list-like tables included.
    pub(super) fn places(&self) -> BTreeMap<String, Place> {
        let mut places = BTreeMap::new();
        for (path, node) in &self.written {
            places.insert(path.clone(), node.place.clone());
            if let Value::Table(table) = &node.value {
                let inner = table
                    .entries
                    .iter()
                    .map(|(key, node)| (format!("{path}.{key}"), node.place.clone()));
                places.extend(inner);
            }
        }
        places
    }

    /// The value written; `None` if there is none or it is bad.
    pub(super) fn node(&self, path: &str) -> Option<&Node> {
        if self.is_bad(path) {
            None
        } else {
            self.written.get(path)
        }
    }

    /// The value written or the fixed default; `None` if it is bad or there is no fixed default.
    fn value(&self, path: &str) -> Option<Value> {
        if self.is_bad(path) {
            return None;
        }
        if let Some(node) = self.written.get(path) {
            return Some(node.value.clone());
        }
        let Absent::Value(literal) = find(self.fields, path)?.default else {
            return None;
        };
        let parsed = literal.parse::<TomlValue>().ok()?;
        Some(from_value(&parsed, &|_| Place::Line(1)))
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        match self.value(path)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn word<W: Word>(&self, path: &str) -> Option<W> {
        W::from_word(&self.text(path)?)
    }

    pub(super) fn number(&self, path: &str) -> Option<f64> {
        number(&self.value(path)?)
    }

    pub(super) fn integer(&self, path: &str) -> Option<i64> {
        match self.value(path)? {
            Value::Integer(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn list(&self, path: &str) -> Option<Vec<Node>> {
        match self.value(path)? {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn texts(&self, path: &str) -> Option<Vec<String>> {
        texts(&self.list(path)?)
    }

    /// Column and node of every entry of a table by column; empty if there is no such table.
    pub(super) fn columns(&self, path: &str) -> Vec<(String, Node)> {
        match self.value(path) {
            Some(Value::Table(table)) => table.entries,
            _ => Vec::new(),
        }
    }
}

/// The texts of a list; `None` if something else is among them.
pub(super) fn texts(items: &[Node]) -> Option<Vec<String>> {
    let text = |node: &Node| match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    items.iter().map(text).collect()
}
