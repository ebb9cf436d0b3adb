//! CSV (RFC 4180, leniently: any line ending, a byte order mark, `;` or tab for `,`) into a [`Table`].

use std::collections::BTreeMap;
use std::path::Path;

use arrow_array::StringArray;
use arrow_array::builder::StringBuilder;

use crate::error::shown;
use crate::file::read_file;
use crate::infer::{BadCell, typed};
use crate::{Delimiter, ReadOptions, Table, TableError};

impl Table {
    /// Reads a CSV file whole, whatever it is called. The table's name is the path as given.
    ///
    /// # Errors
    /// `NotFound`, `IsDirectory`, `Unreadable`, and those of [`Table::from_csv_bytes`].
    pub fn from_csv_path(
        path: impl AsRef<Path>,
        options: &ReadOptions,
    ) -> Result<Self, TableError> {
        let (name, bytes) = read_file(path.as_ref())?;
        Self::from_csv_bytes(&name, &bytes, options)
    }

    /// Reads CSV text; `name` stands for the path in errors.
    ///
    /// White space around a value is not part of it, quoted or not. Blank lines are skipped.
    ///
    /// # Errors
    /// `Empty`, `NoRows`, `TooLarge`, `NotUtf8`, `EmptyHeader`, `DuplicateHeader`, `Ragged`, `UnclosedQuote`, `NotANumber`, `NotFinite`.
    pub fn from_csv_bytes(
        name: &str,
        bytes: &[u8],
        options: &ReadOptions,
    ) -> Result<Self, TableError> {
        let source = Source::new(name, bytes, options.delimiter)?;
        let raw = Raw::parse(&source, options)?;
        let mut columns = Vec::with_capacity(raw.header.len());
        for (index, (column, text)) in raw.header.iter().zip(raw.columns).enumerate() {
            let declared = options.types.get(column).copied();
            let values = text.clone();
            let array = typed(values, declared)
                .map_err(|bad| source.bad_cell(&bad, column, index, &raw.starts, &text))?;
            columns.push((column.clone(), array));
        }
        Table::from_parts(name.to_owned(), columns, raw.starts.len(), raw.lines)
    }
}

/// The text of a file and where we are in it.
struct Source<'a> {
    name: &'a str,
    text: &'a str,
    delimiter: Delimiter,
}

/// The file as cells of text, with where each row starts (byte and line).
struct Raw {
    header: Vec<String>,
    columns: Vec<StringArray>,
    starts: Vec<usize>,
    lines: Vec<u64>,
}

impl<'a> Source<'a> {
    fn new(
        name: &'a str,
        bytes: &'a [u8],
        delimiter: Option<Delimiter>,
    ) -> Result<Self, TableError> {
        if i32::try_from(bytes.len()).is_err() {
            return Err(TableError::TooLarge {
                table: name.to_owned(),
                bytes: bytes.len(),
            });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let offset = error.valid_up_to();
            let line = 1 + line_breaks(bytes.get(..offset).unwrap_or_default());
            TableError::NotUtf8 {
                table: name.to_owned(),
                line,
                offset,
            }
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(TableError::Empty {
                table: name.to_owned(),
            });
        }
        Ok(Self {
            name,
            text,
            delimiter: delimiter.unwrap_or_else(|| detect(text)),
        })
    }

    fn reader(&self, from: usize) -> csv::Reader<&'a [u8]> {
        csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter.byte())
            .from_reader(self.text.as_bytes().get(from..).unwrap_or_default())
    }

    fn unreadable(&self, error: csv::Error) -> TableError {
        TableError::Unreadable {
            path: self.name.to_owned(),
            source: error.into(),
        }
    }

    /// How many lines the bytes between two offsets span.
    fn breaks(&self, from: usize, to: usize) -> u64 {
        line_breaks(self.text.as_bytes().get(from..to).unwrap_or_default())
    }

    /// The first byte of a record: the parser's own position may still lie before blank lines or half a line ending.
    fn record_start(&self, record: &csv::StringRecord) -> usize {
        let at = record.position().map_or(0, csv::Position::byte);
        let at = usize::try_from(at)
            .unwrap_or(usize::MAX)
            .min(self.text.len());
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        at + rest
            .iter()
            .take_while(|byte| matches!(byte, b'\n' | b'\r'))
            .count()
    }

    fn header(&self, record: &csv::StringRecord, line: u64) -> Result<Vec<String>, TableError> {
        let table = || self.name.to_owned();
        let header: Vec<String> = record.iter().map(|name| name.trim().to_owned()).collect();
        if let Some(index) = header.iter().position(String::is_empty) {
            return Err(TableError::EmptyHeader {
                table: table(),
                line,
                position: index + 1,
            });
        }
        let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, name) in header.iter().enumerate() {
            places.entry(name).or_default().push(index + 1);
        }
        let twice = header.iter().find_map(|name| {
            places
                .get(name.as_str())
                .filter(|at| at.len() > 1)
                .map(|at| (name, at))
        });
        match twice {
            Some((name, at)) => Err(TableError::DuplicateHeader {
                table: table(),
                line,
                column: name.clone(),
                positions: at.clone(),
            }),
            None => Ok(header),
        }
    }

    /// The error for a bad cell, with the line the cell itself is on. Parses its row again: errors may be slow.
    fn bad_cell(
        &self,
        bad: &BadCell,
        column: &str,
        index: usize,
        starts: &[usize],
        text: &StringArray,
    ) -> TableError {
        let start = starts.get(bad.row).copied().unwrap_or_default();
        let mut record = csv::StringRecord::new();
        // A row that was read once reads again; were it not so, the row's first line is still a true answer.
        let _ = self.reader(start).read_record(&mut record);
        let within: u64 = record
            .iter()
            .take(index)
            .map(|field| line_breaks(field.as_bytes()))
            .sum();
        let (table, column, value) = (
            self.name.to_owned(),
            column.to_owned(),
            shown(text.value(bad.row)),
        );
        let line = 1 + self.breaks(0, start) + within;
        bad.error(table, line, column, value)
    }
}

impl Raw {
    fn parse(source: &Source<'_>, options: &ReadOptions) -> Result<Self, TableError> {
        let mut reader = source.reader(0);
        let mut record = csv::StringRecord::new();
        if !reader
            .read_record(&mut record)
            .map_err(|error| source.unreadable(error))?
        {
            return Err(TableError::Empty {
                table: source.name.to_owned(),
            });
        }
        let mut at = source.record_start(&record);
        let mut line = 1 + source.breaks(0, at);
        let header = source.header(&record, line)?;
        let mut columns: Vec<StringBuilder> = header.iter().map(|_| StringBuilder::new()).collect();
        let (mut starts, mut lines) = (Vec::new(), Vec::new());
        while reader
            .read_record(&mut record)
            .map_err(|error| source.unreadable(error))?
        {
            let start = source.record_start(&record);
            line += source.breaks(at, start);
            at = start;
            if record.len() != header.len() {
                return Err(ragged(source, &record, at, line, header.len()));
            }
            starts.push(at);
            lines.push(line);
            for (column, field) in columns.iter_mut().zip(&record) {
                let value = field.trim();
                column.append_option((!options.missing_tokens.contains(value)).then_some(value));
            }
        }
        if let Some(line) = unclosed_quote(source, at, line) {
            return Err(TableError::UnclosedQuote {
                table: source.name.to_owned(),
                line,
            });
        }
        if starts.is_empty() {
            return Err(TableError::NoRows {
                table: source.name.to_owned(),
            });
        }
        Ok(Self {
            header,
            columns: columns.iter_mut().map(StringBuilder::finish).collect(),
            starts,
            lines,
        })
    }
}

fn ragged(
    source: &Source<'_>,
    record: &csv::StringRecord,
    at: usize,
    line: u64,
    expected: usize,
) -> TableError {
    if let Some(line) = unclosed_quote(source, at, line) {
        return TableError::UnclosedQuote {
            table: source.name.to_owned(),
            line,
        };
    }
    let within: u64 = record
        .iter()
        .map(|field| line_breaks(field.as_bytes()))
        .sum();
    TableError::Ragged {
        table: source.name.to_owned(),
        line,
        last_line: line + within,
        expected,
        found: record.len(),
    }
}

/// The line of the quote that is still open when the text ends, seen from the start of a record: RFC 4180, with quotes inside an
/// unquoted field taken as they are, just as the parser does.
fn unclosed_quote(source: &Source<'_>, from: usize, first_line: u64) -> Option<u64> {
    #[derive(PartialEq)]
    enum At {
        FieldStart,
        Plain,
        Quoted,
        QuoteInQuoted,
    }
    let (mut at, mut opened) = (At::FieldStart, from);
    for (offset, byte) in source.text.as_bytes().iter().enumerate().skip(from) {
        let ends_field = *byte == source.delimiter.byte() || matches!(byte, b'\n' | b'\r');
        at = match at {
            At::Quoted if *byte == b'"' => At::QuoteInQuoted,
            At::Quoted => At::Quoted,
            At::QuoteInQuoted if *byte == b'"' => At::Quoted,
            _ if ends_field => At::FieldStart,
            At::FieldStart if *byte == b'"' => {
                opened = offset;
                At::Quoted
            }
            _ => At::Plain,
        };
    }
    (at == At::Quoted).then(|| first_line + source.breaks(from, opened))
}

/// The delimiter the first line uses most, outside quotes; a comma when none.
fn detect(text: &str) -> Delimiter {
    let mut quoted = false;
    let mut counts = [0_usize; Delimiter::ALL.len()];
    for byte in text.trim_start_matches(['\n', '\r']).bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ if !quoted => {
                for (count, delimiter) in counts.iter_mut().zip(Delimiter::ALL) {
                    *count += usize::from(byte == delimiter.byte());
                }
            }
            _ => {}
        }
    }
    let mut best = (0, Delimiter::Comma);
    for (count, delimiter) in counts.into_iter().zip(Delimiter::ALL) {
        if count > best.0 {
            best = (count, delimiter);
        }
    }
    best.1
}

/// Line endings in `bytes`: `\n`, `\r\n` and a lone `\r` are one each.
fn line_breaks(bytes: &[u8]) -> u64 {
    let mut count = 0;
    let mut previous = 0;
    for byte in bytes {
        count += u64::from(*byte == b'\r' || (*byte == b'\n' && previous != b'\r'));
        previous = *byte;
    }
    count
}
