//! What is read, from every shape of CSV that is met in practice.
#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, in its helper functions too"
)]

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::Array;
use lepton_table::{ColumnType, Delimiter, ReadOptions, Table};

fn read(text: impl AsRef<[u8]>) -> Table {
    Table::from_csv_bytes("t.csv", text.as_ref(), &ReadOptions::default()).unwrap()
}

fn texts(table: &Table, column: &str) -> Vec<String> {
    table
        .texts(column)
        .unwrap()
        .into_iter()
        .map(|cell| cell.unwrap_or_else(|| "-".to_owned()))
        .collect()
}

#[test]
fn types_are_inferred() {
    let table = read("n,c,b\n1,x,\n-2.5e3,3,NA\n.5,y,?\n+7,,null\n");
    assert_eq!(
        table.columns(),
        [
            ("n".to_owned(), ColumnType::Number),
            ("c".to_owned(), ColumnType::Category),
            ("b".to_owned(), ColumnType::Category)
        ]
    );
    assert_eq!(
        table.numeric("n").unwrap().values().as_ref(),
        [1.0, -2500.0, 0.5, 7.0]
    );
    assert_eq!(texts(&table, "c"), ["x", "3", "y", "-"]);
    assert_eq!(table.category("b").unwrap().null_count(), 4);
}

#[test]
fn nine_in_ten_is_the_border() {
    let file = |numbers: usize, words: usize| {
        format!("k,a\n{}{}", "k,1\n".repeat(numbers), "k,x\n".repeat(words))
    };
    let read =
        |text: String| Table::from_csv_bytes("t.csv", text.as_bytes(), &ReadOptions::default());
    assert_eq!(
        read(file(8, 1)).unwrap().column_type("a").unwrap(),
        ColumnType::Category
    );
    assert_eq!(
        read(file(89, 10)).unwrap().column_type("a").unwrap(),
        ColumnType::Category
    );
    assert_eq!(read(file(9, 1)).unwrap_err().kind(), "not-a-number");
    assert_eq!(read(file(90, 10)).unwrap_err().kind(), "not-a-number");
    // Missing cells are no values.
    assert_eq!(
        read(format!("{}k,\nk,\n", file(9, 1))).unwrap_err().kind(),
        "not-a-number"
    );
}

#[test]
fn declared_types_overrule() {
    let types = BTreeMap::from([
        ("digit".to_owned(), ColumnType::Category),
        ("blank".to_owned(), ColumnType::Number),
        ("not_here".to_owned(), ColumnType::Number),
    ]);
    let table = Table::from_csv_bytes(
        "t",
        b"digit,blank\n07,\n1.0,NA\n",
        &ReadOptions::with_types(types),
    )
    .unwrap();
    assert_eq!(texts(&table, "digit"), ["07", "1.0"]);
    assert_eq!(table.numeric("blank").unwrap().null_count(), 2);
}

#[test]
fn default_missing_tokens() {
    for token in ReadOptions::MISSING_TOKENS {
        assert_eq!(
            texts(&read(format!("k,a\nk,1\nk, {token} \n")), "a"),
            ["1", "-"],
            "{token:?}"
        );
    }
    let options = ReadOptions {
        missing_tokens: BTreeSet::from(["-9".to_owned()]),
        ..ReadOptions::default()
    };
    let table = Table::from_csv_bytes("t", b"a,b\n-9,NA\n3,\n", &options).unwrap();
    assert_eq!(texts(&table, "a"), ["-", "3"]);
    assert_eq!(texts(&table, "b"), ["NA", ""]);
}

#[test]
fn byte_order_mark_line_endings_and_blanks() {
    for text in [
        "\u{feff}a,b\r\n1,x\r\n\r\n2,y",
        "a,b\n1,x\n\n2,y\n",
        "a,b\r1,x\r\r2,y\r",
        "\n\na , b\n 1 , x \n2,y\n\n\n",
    ] {
        let table = read(text);
        assert_eq!(table.column_names(), ["a", "b"], "{text:?}");
        assert_eq!(
            (texts(&table, "a"), texts(&table, "b")),
            (vec!["1".into(), "2".into()], vec!["x".into(), "y".into()]),
            "{text:?}"
        );
    }
}

#[test]
fn lines_are_counted_by_every_ending() {
    let lines = |text: &str| {
        let table = read(text);
        (0..=table.rows())
            .map_while(|row| table.line_of(row))
            .collect::<Vec<_>>()
    };
    assert_eq!(lines("a,b\n1,x\n2,y\n"), [2, 3]);
    assert_eq!(lines("a,b\r\n1,x\r\n\r\n2,y\r\n"), [2, 4]);
    assert_eq!(lines("a,b\r1,x\r\r2,y"), [2, 4]);
    assert_eq!(
        lines("\u{feff}\n\"a\nb\",c\n\"1\r\n\r\n\",x\n\n2,y\n3,z"),
        [4, 8, 9]
    );
}

#[test]
fn quoting() {
    let table =
        read("name,note\n\"Doe, Jane\",\"said \"\"hi\"\"\"\n\"two\nlines\",plain \"quote\n");
    assert_eq!(texts(&table, "name"), ["Doe, Jane", "two\nlines"]);
    assert_eq!(texts(&table, "note"), ["said \"hi\"", "plain \"quote"]);
}

#[test]
fn delimiters_are_seen_in_the_header() {
    for text in [
        "a;b\n1;x,y\n",
        "a\tb\n1\tx,y\n",
        "a,b\n1,\"x,y\"\n",
        "\"a\";\"b\"\n1;x,y\n",
        "\n\"a\"\t\"b\"\n1\tx,y\n",
    ] {
        let table = read(text);
        assert_eq!(
            (texts(&table, "a"), texts(&table, "b")),
            (vec!["1".into()], vec!["x,y".into()]),
            "{text:?}"
        );
    }
    assert_eq!(read("\"a,b,c\";d\n1;2\n").column_names(), ["a,b,c", "d"]);
    let options = ReadOptions {
        delimiter: Some(Delimiter::Comma),
        ..ReadOptions::default()
    };
    assert_eq!(
        Table::from_csv_bytes("t", b"a;b\n1\n", &options)
            .unwrap()
            .column_names(),
        ["a;b"]
    );
}

#[test]
fn rows_and_columns_are_picked_in_order() {
    let table = read("a,b,c\n1,x,9\n2,y,8\n3,,7\n");
    let picked = table.select_rows(&[2, 0, 2]).unwrap();
    assert_eq!(
        (texts(&picked, "a"), texts(&picked, "b")),
        (
            vec!["3".into(), "1".into(), "3".into()],
            vec!["-".into(), "x".into(), "-".into()]
        )
    );
    assert_eq!(
        (0..3).map(|row| picked.line_of(row)).collect::<Vec<_>>(),
        [Some(4), Some(2), Some(4)]
    );
    assert_eq!(
        table.project(&["c", "a"]).unwrap().column_names(),
        ["c", "a"]
    );
    assert_eq!(
        table.drop_columns(&["b"]).unwrap().column_names(),
        ["a", "c"]
    );
    let none = table.drop_columns(&["a", "b", "c"]).unwrap();
    assert_eq!(
        (none.rows(), none.select_rows(&[1]).unwrap().rows()),
        (3, 1)
    );
    assert_eq!(table.select_rows(&[]).unwrap().rows(), 0);
}

#[test]
fn tables_are_stacked() {
    let (first, second) = (read("a,b,c\n1,x,\n"), read("c,b,a\n5,,2\n"));
    let both = Table::concat("both", &[first.clone(), second]).unwrap();
    assert_eq!(both.column_names(), ["a", "b", "c"]);
    assert_eq!(texts(&both, "a"), ["1", "2"]);
    assert_eq!(texts(&both, "b"), ["x", "-"]);
    // `c` has no value in the first table, so the second one's type decides.
    assert_eq!(both.column_type("c").unwrap(), ColumnType::Number);
    assert_eq!(texts(&both, "c"), ["-", "5"]);
    assert_eq!(Table::concat("none", &[]).unwrap().rows(), 0);
    assert_eq!(Table::concat("one", &[first]).unwrap().rows(), 1);
}

#[test]
fn distinct_values_are_counted_in_order() {
    let table = read("n,c\n10,b\n9,a\n10,\n-0,b\n0,?\n");
    let counted = |column| table.distinct_values(column).unwrap();
    assert_eq!(
        counted("n"),
        [
            ("0".to_owned(), 2),
            ("9".to_owned(), 1),
            ("10".to_owned(), 2)
        ]
    );
    assert_eq!(counted("c"), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
}

#[test]
fn debug_shows_no_value() {
    assert_eq!(
        format!("{:?}", read("a\nsecret\n")),
        "Table { name: \"t.csv\", rows: 1, columns: [\"a\"], .. }"
    );
}

#[test]
fn the_sample_tables_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            let table = Table::from_csv_path(&path, &ReadOptions::default()).unwrap();
            assert!(table.rows() > 100, "{}", path.display());
            read += 1;
        }
    }
    assert!(read > 0);
}
