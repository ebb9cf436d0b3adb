//! JSON Lines in: an object of plain values a line, columns in the order in which they first appear.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow_array::StringArray;
use arrow_array::builder::{ArrayBuilder, StringBuilder};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::shown;
use crate::file::check_cells;
use crate::infer::typed;
use crate::write::number_text;
use crate::{Format, ReadOptions, Table, TableError};

/// Reads the bytes of a whole file.
pub(crate) fn read(name: &str, bytes: &[u8], options: &ReadOptions) -> Result<Table, TableError> {
    let table = || name.to_owned();
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        let before = bytes.iter().take(offset);
        TableError::NotUtf8 {
            table: table(),
            line: 1 + before.filter(|byte| **byte == b'\n').count() as u64,
            offset,
        }
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(TableError::Empty { table: table() });
    }
    if text.trim_start().starts_with('[') {
        return Err(TableError::Malformed {
            table: table(),
            format: Format::JsonLines,
            problem:
                "it is one list; JSON Lines has an object on every line, and no commas between them"
                    .to_owned(),
        });
    }
    let mut rows = Rows::default();
    for (line, content) in (1..).zip(text.lines()) {
        if !content.trim().is_empty() {
            rows.add(name, line, content, options)?;
        }
    }
    rows.into_table(name, options)
}

/// What was read so far.
#[derive(Default)]
struct Rows {
    columns: Vec<Column>,
    places: HashMap<String, usize>,
    lines: Vec<u64>,
    /// Of all cells as texts: numbers may be longer than they stand in the file.
    bytes: usize,
}

struct Column {
    name: String,
    cells: StringBuilder,
    texts_only: bool,
}

impl Rows {
    fn add(
        &mut self,
        name: &str,
        line: u64,
        content: &str,
        options: &ReadOptions,
    ) -> Result<(), TableError> {
        let bad = |problem: String| TableError::BadLine {
            table: name.to_owned(),
            line,
            problem,
        };
        let Line(cells) = serde_json::from_str(content).map_err(|error| bad(in_words(&error)))?;
        let row = self.lines.len();
        for (key, value) in cells {
            let place = self.place(name, (&key, line), (row, options.most_cells))?;
            let Some(column) = self.columns.get_mut(place) else {
                continue;
            };
            if column.cells.len() > row {
                return Err(bad(format!("the name {key:?} comes twice")));
            }
            match value {
                Value::Nested(what) => {
                    return Err(bad(format!("{key:?} holds {what}")));
                }
                Value::Null => column.cells.append_null(),
                Value::Text(text) => {
                    let text = text.trim();
                    self.bytes += text.len();
                    let there = !options.missing_tokens.contains(text);
                    column.cells.append_option(there.then_some(text));
                }
                Value::Number(digits) => {
                    self.bytes += digits.len();
                    column.texts_only = false;
                    column.cells.append_value(digits);
                }
                Value::Truth(truth) => column.cells.append_value(truth.to_string()),
            }
        }
        if i32::try_from(self.bytes).is_err() {
            return Err(TableError::TooLarge {
                table: name.to_owned(),
                bytes: self.bytes,
            });
        }
        self.lines.push(line);
        for column in &mut self.columns {
            if column.cells.len() == row {
                column.cells.append_null();
            }
        }
        check_cells(
            name,
            (self.columns.len(), self.lines.len()),
            options.most_cells,
        )
    }

    /// The column of that name, a new one where there is none.
    fn place(
        &mut self,
        name: &str,
        (key, line): (&str, u64),
        (row, most): (usize, usize),
    ) -> Result<usize, TableError> {
        let key = key.trim();
        if let Some(place) = self.places.get(key) {
            return Ok(*place);
        }
        let place = self.columns.len();
        if key.is_empty() {
            return Err(TableError::EmptyHeader {
                table: name.to_owned(),
                line,
                position: place + 1,
            });
        }
        check_cells(name, (place + 1, row + 1), most)?;
        let mut cells = StringBuilder::new();
        (0..row).for_each(|_| cells.append_null());
        self.places.insert(key.to_owned(), place);
        self.columns.push(Column {
            name: key.to_owned(),
            cells,
            texts_only: true,
        });
        Ok(place)
    }

    fn into_table(self, name: &str, options: &ReadOptions) -> Result<Table, TableError> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for mut column in self.columns {
            let text: StringArray = column.cells.finish();
            let declared = options.types.get(&column.name).copied();
            let array = if column.texts_only && declared.is_none() {
                // Texts are texts, also where they look like numbers: whoever wrote the file said so.
                Arc::new(text)
            } else {
                typed(text.clone(), declared).map_err(|bad| {
                    let line = self.lines.get(bad.row).copied().unwrap_or_default();
                    let value = shown(text.value(bad.row));
                    bad.error(name.to_owned(), line, column.name.clone(), value)
                })?
            };
            columns.push((column.name, array));
        }
        let rows = self.lines.len();
        Table::from_parts(name.to_owned(), columns, rows, self.lines)
    }
}

/// What is wrong with a line, without the position, which counts within the line.
fn in_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    format!("this is no JSON object ({text})")
}

/// A line's names and values in their order.
struct Line(Vec<(String, Value)>);

enum Value {
    Null,
    Truth(bool),
    /// In digits.
    Number(String),
    Text(String),
    Nested(&'static str),
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = Line;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
        let mut cells = Vec::new();
        while let Some(cell) = map.next_entry()? {
            cells.push(cell);
        }
        Ok(Line(cells))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Truth(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number_text(number + 0.0)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Nested("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Nested("an object of its own"))
    }
}
