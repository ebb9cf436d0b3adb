//! A job file as a tree of values, each with the place it was written at.

use super::errors::{Place, Problems};
use std::ops::Range;
use toml_edit::{Document, InlineTable, Item, Table as TomlTable, Value as TomlValue};

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// What TOML can say, as far as a job file cares.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    List(Vec<Node>),
    Table(Table),
    /// A date, a time, an array of tables: nothing a job file uses.
    Other(&'static str),
}

impl Value {
    /// The value in the words of an error message.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Text(text) => format!("the text {}", quote(&shorten(text))),
            Self::Integer(number) => format!("the number {number}"),
            Self::Float(number) => format!("the number {number:?}"),
            Self::Bool(truth) => format!("the truth value {truth}"),
            Self::List(_) => "a list".to_owned(),
            Self::Table(_) => "a table".to_owned(),
            Self::Other(what) => (*what).to_owned(),
        }
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 60 {
        text.to_owned()
    } else {
        text.chars().take(57).chain("...".chars()).collect()
    }
}

/// A TOML basic string, the same on every version of every library.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A key, bare where TOML allows it.
pub(super) fn quote_key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        quote(key)
    }
}

/// The entries of a table, in the order written.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) entries: Vec<(String, Node)>,
}

impl Table {
    /// The tree of a TOML text. A text that is no TOML adds one problem and gives `None`.
    pub(super) fn parse(text: &str, problems: &mut Problems) -> Option<Self> {
        let lines = Lines::of(text);
        match Document::parse(text) {
            Ok(document) => Some(from_toml(document.as_table(), &|span| {
                Place::Line(lines.at(span))
            })),
            Err(error) => {
                let line = lines.at(error.span());
                let (what, remedy) = syntax(&error, text.lines().nth(line - 1).unwrap_or_default());
                problems.add(
                    &Place::Line(line),
                    format!("not valid TOML: {what}"),
                    remedy,
                );
                None
            }
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, node)| node)
    }

    /// Sets the value at a path, making tables on the way; a value in the way of a table is replaced.
    pub(super) fn set(&mut self, path: &[String], node: Node) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        if rest.is_empty() {
            return self.put(first, node);
        }
        if !matches!(
            self.get(first),
            Some(Node {
                value: Value::Table(_),
                ..
            })
        ) {
            self.put(
                first,
                Node {
                    value: Value::Table(Self {
                        entries: Vec::new(),
                    }),
                    place: node.place.clone(),
                },
            );
        }
        if let Some((
            _,
            Node {
                value: Value::Table(table),
                ..
            },
        )) = self.entries.iter_mut().find(|(name, _)| name == first)
        {
            table.set(rest, node);
        }
    }

    fn put(&mut self, key: &str, node: Node) {
        match self.entries.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = node,
            None => self.entries.push((key.to_owned(), node)),
        }
    }
}

// The parser takes a bare word for the beginning of a number or a truth value; people leave quotes away.
fn syntax(error: &toml_edit::TomlError, line: &str) -> (String, String) {
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    let value = line.split_once('=').map_or("", |(_, value)| {
        value.split('#').next().unwrap_or(value).trim()
    });
    if message.contains("duplicate key") {
        (message, "keep one of the two".to_owned())
    } else if value.starts_with(|c: char| c.is_alphabetic() || "./~".contains(c))
        && !value.contains('"')
    {
        (
            format!("{value} is no number and has no quotes"),
            format!("write {} if it is a text", quote(&shorten(value))),
        )
    } else {
        (
            message,
            "a line is [table], key = value, or a # comment".to_owned(),
        )
    }
}

type PlaceOf<'a> = &'a dyn Fn(Option<Range<usize>>) -> Place;

fn from_toml(table: &TomlTable, place_of: PlaceOf<'_>) -> Table {
    let entry = |(key, item): (&str, &Item)| {
        let key_span = table.key(key).and_then(toml_edit::Key::span);
        (
            key.to_owned(),
            from_item(item, place_of(key_span.or_else(|| item.span())), place_of),
        )
    };
    Table {
        entries: table.iter().map(entry).collect(),
    }
}

fn from_inline(table: &InlineTable, place_of: PlaceOf<'_>) -> Table {
    let entry = |(key, value): (&str, &TomlValue)| {
        let key_span = table.key(key).and_then(toml_edit::Key::span);
        let place = place_of(key_span.or_else(|| value.span()));
        (
            key.to_owned(),
            Node {
                value: from_value(value, place_of),
                place,
            },
        )
    };
    Table {
        entries: table.iter().map(entry).collect(),
    }
}

fn from_item(item: &Item, place: Place, place_of: PlaceOf<'_>) -> Node {
    let value = match item {
        Item::Table(table) => Value::Table(from_toml(table, place_of)),
        Item::Value(value) => from_value(value, place_of),
        Item::ArrayOfTables(_) => Value::Other("a list of tables, [[...]]"),
        Item::None => Value::Other("nothing"),
    };
    Node { value, place }
}

/// A TOML value as a tree; `place_of` turns the byte range of an inner value into its place.
pub(super) fn from_value(value: &TomlValue, place_of: PlaceOf<'_>) -> Value {
    match value {
        TomlValue::String(text) => Value::Text(text.value().clone()),
        TomlValue::Integer(number) => Value::Integer(*number.value()),
        TomlValue::Float(number) => Value::Float(*number.value()),
        TomlValue::Boolean(truth) => Value::Bool(*truth.value()),
        TomlValue::Datetime(_) => Value::Other("a date or time"),
        TomlValue::Array(array) => {
            let node = |v: &TomlValue| Node {
                value: from_value(v, place_of),
                place: place_of(v.span()),
            };
            Value::List(array.iter().map(node).collect())
        }
        TomlValue::InlineTable(table) => Value::Table(from_inline(table, place_of)),
    }
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(
            text.bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n')
                .map(|(at, _)| at)
                .collect(),
        )
    }

    fn at(&self, span: Option<Range<usize>>) -> usize {
        let start = span.map_or(0, |span| span.start);
        self.0.partition_point(|newline| *newline < start) + 1
    }
}
