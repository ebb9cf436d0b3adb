//! Every refusal, with its text held word for word.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests put files where the product looks for them"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, in its helper functions too"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use lepton_table::{ColumnOut, ColumnType, ReadOptions, Table, TableError, write_csv};

fn read(text: impl AsRef<[u8]>) -> Result<Table, TableError> {
    Table::from_csv_bytes("t.csv", text.as_ref(), &ReadOptions::default())
}

fn declared(text: &str, column: &str, column_type: ColumnType) -> Result<Table, TableError> {
    let types = BTreeMap::from([(column.to_owned(), column_type)]);
    Table::from_csv_bytes("t.csv", text.as_bytes(), &ReadOptions::with_types(types))
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, TableError>, kind: &str, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), text);
    assert_eq!(error.kind(), kind);
}

fn ten_with(odd: &str) -> String {
    format!(
        "id,age\n{}10,{odd}\n",
        (1..10)
            .map(|row| format!("{row},{row}.5\n"))
            .collect::<String>()
    )
}

#[test]
fn a_path_that_leads_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("absent.csv");
    refused(
        Table::from_csv_path(&missing, &ReadOptions::default()),
        "not-found",
        &format!(
            "{}: no such file; check the path and its spelling",
            missing.display()
        ),
    );
    refused(
        Table::from_csv_path(folder.path(), &ReadOptions::default()),
        "is-directory",
        &format!(
            "{}: is a folder, not a file; name one table",
            folder.path().display()
        ),
    );
}

#[test]
fn a_file_that_cannot_be_read() {
    // A file in place of a folder on the way there.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "a\n1\n").unwrap();
    let error = Table::from_csv_path(file.join("t.csv"), &ReadOptions::default()).unwrap_err();
    assert_eq!(error.kind(), "unreadable");
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("{}/t.csv: cannot be read (", file.display())),
        "{text}"
    );
    assert!(
        text.ends_with("); check the file's permissions and its disk"),
        "{text}"
    );
}

#[test]
fn a_file_without_content() {
    let text = "t.csv: the file is empty; it needs a header line and at least one row";
    for content in ["", "\u{feff}", "\n\r\n\n", "  \n"] {
        refused(read(content), "empty", text);
    }
    refused(
        read("a,b\n\n"),
        "no-rows",
        "t.csv: the file has a header line but no rows; add rows, or name another file",
    );
}

#[test]
fn ragged_rows() {
    refused(
        read("a,b\n1,2\n\n3\n"),
        "ragged",
        "t.csv:4: this row has 1 field, the header has 2; look for a missing field, or a delimiter or quote in a value that is not quoted",
    );
    refused(
        read("a,b\r\n\"x\r\ny\",2\r\n\"x\r\ny\r\nz\",2,3\r\n"),
        "ragged",
        "t.csv:4: this row has 3 fields, the header has 2 (a quoted value makes it run to line 6); look for a missing field, or a delimiter or quote in a value that is not quoted",
    );
}

#[test]
fn quotes_left_open() {
    let text = "the quote opened on this line is never closed; close it, or write \"\" for a quote within a value";
    refused(
        read("a,b\n1,\"x\n3,y\n4,z\n"),
        "unclosed-quote",
        &format!("t.csv:2: {text}"),
    );
    refused(
        read("a,b\n\"1\n\n1\",\"x\n3,y\n"),
        "unclosed-quote",
        &format!("t.csv:4: {text}"),
    );
    refused(
        read("a,b\n1,2\n\"x\n3,y\n"),
        "unclosed-quote",
        &format!("t.csv:3: {text}"),
    );
    refused(
        read("a,b,\"c\n1,2,3\n"),
        "unclosed-quote",
        &format!("t.csv:1: {text}"),
    );
}

#[test]
fn headers_that_name_badly() {
    refused(
        read("\n\na,b, a ,a\n1,2,3,4\n"),
        "duplicate-header",
        "t.csv:3: the header names the column \"a\" 3 times (columns 1, 3, 4); give each column its own name",
    );
    refused(
        read(",a\n0,1\n"),
        "empty-header",
        "t.csv:1: column 1 has no name in the header; name it, or delete the column",
    );
}

#[test]
fn text_that_is_not_utf8() {
    refused(
        read(b"a,b\r\n1,x\r\n2,M\xfcller\r\n"),
        "not-utf8",
        "t.csv:3: byte 13 of the file is not UTF-8 text; save the file as CSV in UTF-8",
    );
    refused(
        read(b"\xff\xfea\0"),
        "not-utf8",
        "t.csv:1: byte 0 of the file is not UTF-8 text; save the file as CSV in UTF-8",
    );
}

#[test]
fn a_slip_in_a_column_of_numbers() {
    refused(
        read(ten_with("thirty")),
        "not-a-number",
        "t.csv:11, column \"age\": \"thirty\" is not a number, but 9 of the column's 10 values are; fix the value, or declare types.age = \"category\"",
    );
    refused(
        declared("a b\n1\nx\n", "a b", ColumnType::Number),
        "not-a-number",
        "t.csv:3, column \"a b\": \"x\" is not a number, but the column is declared a number; fix the value, or declare types.\"a b\" = \"category\"",
    );
    refused(
        read("x;y\n3,14;1\n2,72;1\n"),
        "not-a-number",
        "t.csv:2, column \"x\": \"3,14\" is not a number, but the column looks like numbers; decimals take a point and thousands no comma: fix the value, or declare types.x = \"category\"",
    );
}

#[test]
fn the_line_of_a_cell_is_its_own() {
    let text = format!(
        "note,age\n{}\"two\nlines\",\r\n\"a\n\nb\",old\n",
        "x,1\n".repeat(9)
    );
    let error = read(text).unwrap_err().to_string();
    assert!(
        error.starts_with("t.csv:15, column \"age\": \"old\" is not a number"),
        "{error}"
    );
}

#[test]
fn long_values_are_cut() {
    let error = read(ten_with(&"w".repeat(41))).unwrap_err().to_string();
    assert!(
        error.contains(&format!("\"{}…\" is not", "w".repeat(40))),
        "{error}"
    );
}

#[test]
fn numbers_that_are_not_finite() {
    for bad in ["inf", "-Infinity", "1e999", "nan", "+inf"] {
        let text = format!(
            "t.csv:3, column \"a\": \"{bad}\" is not a finite number; fix the value, leave the cell empty if it is missing, or declare types.a = \"category\""
        );
        refused(read(format!("a\n1\n{bad}\n")), "not-finite", &text);
        refused(
            declared(&format!("a\n1\n{bad}\n"), "a", ColumnType::Number),
            "not-finite",
            &text,
        );
        assert!(declared(&format!("a\n1\n{bad}\n"), "a", ColumnType::Category).is_ok());
    }
}

#[test]
fn columns_that_are_not_there() {
    let table = read("age,plan\n1,x\n").unwrap();
    refused(
        table.numeric("agee"),
        "unknown-column",
        "t.csv: there is no column \"agee\"; did you mean \"age\"?",
    );
    refused(
        table.category("Plan"),
        "unknown-column",
        "t.csv: there is no column \"Plan\"; did you mean \"plan\"?",
    );
    refused(
        table.column_type("income"),
        "unknown-column",
        "t.csv: there is no column \"income\"; the columns are age, plan",
    );
    refused(
        table.drop_columns(&["x"]),
        "unknown-column",
        "t.csv: there is no column \"x\"; the columns are age, plan",
    );
    refused(
        table.project(&["ages"]),
        "unknown-column",
        "t.csv: there is no column \"ages\"; did you mean \"age\"?",
    );
}

#[test]
fn columns_of_the_other_type() {
    let table = read("age,plan\n1,x\n").unwrap();
    refused(
        table.category("age"),
        "wrong-type",
        "t.csv, column \"age\": its type is number, needed is category; declare types.age = \"category\"",
    );
    refused(
        table.numeric("plan"),
        "wrong-type",
        "t.csv, column \"plan\": its type is category, needed is number; declare types.plan = \"number\"",
    );
}

#[test]
fn columns_that_say_nothing() {
    let table = read("a,b,c\n1,,no\n2,NA,no\n").unwrap();
    table.check_usable(&["a", "c"]).unwrap();
    refused(
        table.check_usable(&["a", "b"]),
        "all-missing",
        "t.csv, column \"b\": every value is missing; leave the column out, or supply values",
    );
    refused(
        table.check_classes("c"),
        "single-class",
        "t.csv, column \"c\": every row has the value \"no\"; telling classes apart needs rows of at least two",
    );
    table.check_classes("a").unwrap();
}

#[test]
fn tables_that_do_not_match() {
    let first = read("a,b,c\n1,x,2\n").unwrap();
    let second = read("c,b,d\nz,1,2\n").unwrap().with_name("u.csv");
    refused(
        Table::concat("both", &[first, second]),
        "schema-mismatch",
        "u.csv: its columns differ from those of t.csv: it lacks \"a\", it also has \"d\", \"b\" is a number in it and a category there, \"c\" is a category in it and a number there; tables used together need the same columns of the same types",
    );
}

/// The columns share one text, so that two gigabytes are asked for without being held.
#[test]
fn more_text_than_fits() {
    let wide = "x".repeat(1 << 26);
    let words: Arc<dyn Array> = Arc::new(StringArray::from(vec![wide.as_str()]));
    let table = Table::from_batch("b", batch(vec![("n", words)])).unwrap();
    refused(
        Table::concat("all", &vec![table.clone(); 32]),
        "too-large",
        "all: 2147483648 bytes of text are more than one table can hold (2147483647); split the file",
    );
    let error = table.select_rows(&[0; 33]).unwrap_err();
    assert_eq!(error.kind(), "too-large");
}

#[test]
fn mistakes_of_the_program() {
    let table = read("a\n1\n2\n").unwrap();
    refused(
        table.select_rows(&[0, 2]),
        "row-out-of-range",
        "t.csv: row 2 does not exist, the table has 2 rows; this is a mistake of the program",
    );
    let mut out = Vec::new();
    let columns = [
        ("a", ColumnOut::Numbers(&[1.0, 2.0])),
        ("b", ColumnOut::Numbers(&[1.0])),
    ];
    refused(
        write_csv(&mut out, &columns),
        "unequal-columns",
        "column \"b\" has 1 row, the first column has 2; this is a mistake of the program",
    );
    refused(
        write_csv(&mut out, &[("a", ColumnOut::Numbers(&[1.0, f64::NAN]))]),
        "not-written",
        "column \"a\": the value of row 1 is not a finite number and is not written; this is a mistake of the program",
    );
    assert!(out.is_empty(), "nothing half-written");
}

fn batch(arrays: Vec<(&str, Arc<dyn Array>)>) -> RecordBatch {
    let fields: Vec<Field> = arrays
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        arrays.into_iter().map(|(_, array)| array).collect(),
    )
    .unwrap()
}

#[test]
fn batches_of_other_kinds() {
    let numbers = || {
        Arc::new(Float64Array::from(vec![
            Some(1.0),
            None,
            Some(f64::INFINITY),
        ]))
    };
    let words = || Arc::new(StringArray::from(vec![Some("x"), None, Some("y")]));
    refused(
        Table::from_batch("b", batch(vec![("n", Arc::new(Int64Array::from(vec![1])))])),
        "unsupported-type",
        &format!(
            "b, column \"n\": {} is not a type Lepton computes with; write the column as numbers or texts, or leave it out of the file",
            DataType::Int64
        ),
    );
    refused(
        Table::from_batch("b", batch(vec![("n", numbers())])),
        "not-finite",
        "b:3, column \"n\": \"inf\" is not a finite number; fix the value, leave the cell empty if it is missing, or declare types.n = \"category\"",
    );
    refused(
        Table::from_batch("b", batch(vec![("n", words()), ("n", words())])),
        "duplicate-header",
        "b:0: the header names the column \"n\" 2 times (columns 1, 2); give each column its own name",
    );
    refused(
        Table::from_batch("b", batch(vec![("", words())])),
        "empty-header",
        "b:0: column 1 has no name in the header; name it, or delete the column",
    );
    assert_eq!(
        Table::from_batch("b", batch(vec![("n", words())]))
            .unwrap()
            .rows(),
        3
    );
}

#[test]
fn a_place_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent").join("out.csv");
    let error = read("a\n1\n").unwrap().write_csv_path(&path).unwrap_err();
    assert_eq!(error.kind(), "unwritable");
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("{}: cannot be written (", path.display())),
        "{text}"
    );
    assert!(
        text.ends_with("); check the folder's permissions and its free space"),
        "{text}"
    );
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.csv");
    std::fs::write(&path, "old\n").unwrap();
    let bad = [("a", ColumnOut::Numbers(&[f64::INFINITY]))];
    lepton_table::write_csv_path(&path, &bad).unwrap_err();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\n");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    read("a\n1\n").unwrap().write_csv_path(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\n1\n");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
