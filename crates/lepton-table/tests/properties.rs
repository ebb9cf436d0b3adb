//! Random tables written and read back; random bytes.
#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, in its helper functions too"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, Float64Array, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use lepton_table::{ColumnType, Delimiter, ReadOptions, Table, TableError};
use proptest::prelude::*;

fn number() -> impl Strategy<Value = Option<f64>> {
    proptest::option::weighted(
        0.8,
        prop_oneof![
            any::<f64>().prop_filter("finite", |value| value.is_finite()),
            (-1000_i32..1000).prop_map(f64::from),
            Just(-0.0),
            Just(f64::MIN_POSITIVE / 4.0),
        ],
    )
}

/// Text as a cell can hold it: what a reader trims or takes for missing is left out.
fn word() -> impl Strategy<Value = Option<String>> {
    let text = prop_oneof![
        "[a-z]{1,4}",
        "[-+0-9.,;\t\"'\\\\ \n\ra-c]{1,8}",
        proptest::collection::vec(any::<char>(), 1..6)
            .prop_map(|letters| letters.into_iter().collect::<String>()),
    ];
    let kept = text
        .prop_map(|text| text.trim().to_owned())
        .prop_filter("a missing token", |text| {
            !ReadOptions::MISSING_TOKENS.contains(&text.as_str())
        });
    proptest::option::weighted(0.8, kept)
}

fn table() -> impl Strategy<Value = Table> {
    (1_usize..8).prop_flat_map(|rows| {
        let numbers = proptest::collection::vec(proptest::collection::vec(number(), rows), 0..3);
        let words = proptest::collection::vec(proptest::collection::vec(word(), rows), 1..3);
        (numbers, words).prop_map(|(numbers, words)| {
            let mut columns: Vec<(String, Arc<dyn Array>)> = Vec::new();
            for (index, values) in words.into_iter().enumerate() {
                columns.push((
                    format!("word, \"{index}\""),
                    Arc::new(StringArray::from(values)),
                ));
            }
            for (index, values) in numbers.into_iter().enumerate() {
                columns.push((
                    format!("number {index}"),
                    Arc::new(Float64Array::from(values)),
                ));
            }
            let fields: Vec<Field> = columns
                .iter()
                .map(|(name, array)| Field::new(name, array.data_type().clone(), true))
                .collect();
            let arrays = columns.into_iter().map(|(_, array)| array).collect();
            Table::from_batch(
                "made",
                RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap(),
            )
            .unwrap()
        })
    })
}

/// Bit for bit: `-0.0` is not `0.0` here.
fn bits(table: &Table, column: &str) -> Vec<Option<u64>> {
    table
        .numeric(column)
        .unwrap()
        .iter()
        .map(|cell| cell.map(f64::to_bits))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_table_written_is_the_table_read(made in table()) {
        let mut bytes = Vec::new();
        made.write_csv(&mut bytes).unwrap();
        let types: BTreeMap<String, ColumnType> = made.columns().into_iter().collect();
        let read = Table::from_csv_bytes("made", &bytes, &ReadOptions::with_types(types)).unwrap();
        prop_assert_eq!(made.columns(), read.columns());
        for (column, column_type) in made.columns() {
            match column_type {
                ColumnType::Number => prop_assert_eq!(bits(&made, &column), bits(&read, &column)),
                ColumnType::Category => prop_assert_eq!(made.texts(&column).unwrap(), read.texts(&column).unwrap()),
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        check_answer(&bytes)?;
    }

    #[test]
    fn any_csv_like_text_is_read_or_refused(text in "[ab,;\t\"\n\r 1.e?é\u{feff}-]{0,60}") {
        check_answer(text.as_bytes())?;
    }

    /// No row is swallowed: what was read whole takes one more row, and a quote reported open closes.
    #[test]
    fn quotes_are_seen_to_close(text in "[ab,\"\"\n\r]{1,40}") {
        let options = ReadOptions { delimiter: Some(Delimiter::Comma), ..ReadOptions::default() };
        let read = |text: &str| Table::from_csv_bytes("t.csv", text.as_bytes(), &options);
        match read(&text) {
            Ok(table) => {
                let row = vec!["\"\""; table.columns().len()].join(",");
                prop_assert_eq!(read(&format!("{text}\n{row}")).unwrap().rows(), table.rows() + 1);
            }
            Err(TableError::UnclosedQuote { .. }) => {
                let closed = read(&format!("{text}\""));
                let open = matches!(closed, Err(TableError::UnclosedQuote { .. }));
                prop_assert!(!open);
            }
            Err(_) => {}
        }
    }

    #[test]
    fn lines_agree_with_the_text(cells in proptest::collection::vec("[a-c\n\r]{0,4}", 1..12), ending in "\n|\r\n|\r") {
        // The marker is the row's own text, so its line can be counted in the file itself.
        let mut text = format!("cell,marker{ending}");
        for (row, cell) in cells.iter().enumerate() {
            text.push_str(&format!("\"{cell}\",<{row}>{ending}"));
        }
        let table = Table::from_csv_bytes("t", text.as_bytes(), &ReadOptions::default()).unwrap();
        for (row, cell) in cells.iter().enumerate() {
            let until = text.find(&format!("\"{cell}\",<{row}>")).unwrap();
            let line = 1 + text[..until].replace("\r\n", "\n").replace('\r', "\n").matches('\n').count();
            prop_assert_eq!(table.line_of(row), Some(line as u64));
        }
    }
}

/// A refusal names the table and a line of the file; a table holds finite numbers and the rows' lines ascend.
fn check_answer(bytes: &[u8]) -> Result<(), TestCaseError> {
    let last_line = 1 + bytes
        .iter()
        .filter(|byte| matches!(byte, b'\n' | b'\r'))
        .count() as u64;
    for delimiter in [None, Some(Delimiter::Comma), Some(Delimiter::Tab)] {
        let options = ReadOptions {
            delimiter,
            ..ReadOptions::default()
        };
        match Table::from_csv_bytes("t.csv", bytes, &options) {
            Ok(table) => {
                for (column, column_type) in table.columns() {
                    if column_type == ColumnType::Number {
                        prop_assert!(
                            table
                                .numeric(&column)
                                .unwrap()
                                .iter()
                                .flatten()
                                .all(f64::is_finite)
                        );
                    }
                }
                let lines: Vec<u64> = (0..table.rows())
                    .filter_map(|row| table.line_of(row))
                    .collect();
                prop_assert_eq!(lines.len(), table.rows());
                prop_assert!(
                    lines.is_sorted_by(|above, below| above < below)
                        && lines.iter().all(|line| *line <= last_line)
                );
            }
            Err(error) => {
                prop_assert!(error.to_string().starts_with("t.csv"));
                if let TableError::Ragged { line, .. }
                | TableError::NotUtf8 { line, .. }
                | TableError::UnclosedQuote { line, .. } = error
                {
                    prop_assert!((1..=last_line).contains(&line));
                }
            }
        }
    }
    Ok(())
}
