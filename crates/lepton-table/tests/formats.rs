//! The same cells give the same table, in whatever format they come; what has no meaning here is refused by name.
#![cfg(test)]

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float32Array, Float64Array, Int64Array, LargeStringArray, ListArray, NullArray, RecordBatch,
    StringArray, StringViewArray, TimestampMillisecondArray, UInt64Array,
};
use lepton_table::{ColumnType, Format, ReadOptions, Table, TableError};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn parquet_as(batch: &RecordBatch, compression: Compression) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(2))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn parquet(batch: &RecordBatch) -> Vec<u8> {
    parquet_as(batch, Compression::SNAPPY)
}

fn ipc_file(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(&mut bytes, &batch.schema()).unwrap();
    let half = batch.num_rows() / 2;
    writer.write(&batch.slice(0, half)).unwrap();
    writer
        .write(&batch.slice(half, batch.num_rows() - half))
        .unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn ipc_stream(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = arrow_ipc::writer::StreamWriter::try_new(&mut bytes, &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn read(name: &str, bytes: impl Into<Vec<u8>>) -> Result<Table, TableError> {
    Table::from_bytes(name, bytes.into(), &ReadOptions::default())
}

fn read_as(name: &str, bytes: Vec<u8>, types: &[(&str, ColumnType)]) -> Result<Table, TableError> {
    let types = types.iter().map(|(name, kind)| ((*name).to_owned(), *kind));
    Table::from_bytes(name, bytes, &ReadOptions::with_types(types.collect()))
}

const CSV: &str =
    "age,plan,score,open\n41,gold,0.1,true\n,basic,1e300,false\n-3, basic ,?,\n7,NA,2.5,true\n";

const JSON: &str = r#"{"age":41,"plan":"gold","score":0.1,"open":true}
{"age":null,"plan":"basic","score":1e300,"open":false}

{"open":null,"age":-3,"plan":" basic "}
{"age":7,"plan":"NA","score":2.5,"open":true}
"#;

fn same() -> RecordBatch {
    let age = Int64Array::from(vec![Some(41), None, Some(-3), Some(7)]);
    let plan = StringArray::from(vec!["gold", "basic", " basic ", "NA"]);
    let score = Float64Array::from(vec![Some(0.1), Some(1e300), None, Some(2.5)]);
    let open = BooleanArray::from(vec![Some(true), Some(false), None, Some(true)]);
    batch(vec![
        ("age", Arc::new(age)),
        ("plan", Arc::new(plan)),
        ("score", Arc::new(score)),
        ("open", Arc::new(open)),
    ])
}

#[test]
fn four_formats_give_one_table() {
    let csv = read("a.csv", CSV).unwrap();
    assert_eq!(csv.columns()[0], ("age".to_owned(), ColumnType::Number));
    assert_eq!(csv.columns()[3], ("open".to_owned(), ColumnType::Category));
    let zstd = Compression::ZSTD(ZstdLevel::default());
    for (name, bytes) in [
        ("a.jsonl", JSON.as_bytes().to_vec()),
        ("a.parquet", parquet(&same())),
        ("a.parquet", parquet_as(&same(), zstd)),
        ("a.parquet", parquet_as(&same(), Compression::UNCOMPRESSED)),
        ("a.arrow", ipc_file(&same())),
        ("a.arrows", ipc_stream(&same())),
        // What a file is, its bytes say before its name does.
        ("a.csv", parquet(&same())),
        ("a", ipc_file(&same())),
        ("a.parquet", ipc_stream(&same())),
    ] {
        let table = read(name, bytes).unwrap();
        assert_eq!(table.batch(), csv.batch(), "{name}");
    }
}

/// Whatever is declared holds for every format: numbers as texts, in all their digits, and texts as numbers.
#[test]
fn declared_types_overrule_what_is_written() {
    let large = "9007199254740993";
    let csv = format!("id,size\n{large},\"1.5\"\n7,2\n");
    let json = format!("{{\"id\":{large},\"size\":\"1.5\"}}\n{{\"id\":7,\"size\":\"2\"}}\n");
    let columns = batch(vec![
        (
            "id",
            Arc::new(Int64Array::from(vec![9_007_199_254_740_993, 7])),
        ),
        ("size", Arc::new(StringArray::from(vec!["1.5", "2"]))),
    ]);
    let types = [
        ("id", ColumnType::Category),
        ("size", ColumnType::Number),
        ("other", ColumnType::Number),
    ];
    let expected = read_as("a.csv", csv.into_bytes(), &types).unwrap();
    assert_eq!(expected.category("id").unwrap().value(0), large);
    for (name, bytes) in [
        ("a.jsonl", json.into_bytes()),
        ("a.parquet", parquet(&columns)),
        ("a.arrow", ipc_file(&columns)),
    ] {
        let table = read_as(name, bytes, &types).unwrap();
        assert_eq!(table.batch(), expected.batch(), "{name}");
    }
    // Undeclared, a text stays one where the format can say so.
    let undeclared = read("a.parquet", parquet(&columns)).unwrap();
    assert_eq!(
        undeclared.column_type("size").unwrap(),
        ColumnType::Category
    );
}

#[test]
fn every_plain_type_has_its_meaning() {
    let texts = || vec![Some("a"), None];
    let keys: DictionaryArray<Int32Type> = texts().into_iter().collect();
    let decimal = Decimal128Array::from(vec![Some(-12_345), None])
        .with_precision_and_scale(10, 3)
        .unwrap();
    let moment = TimestampMillisecondArray::from(vec![Some(1_795_262_400_250), None]);
    let columns = batch(vec![
        ("large", Arc::new(LargeStringArray::from(texts()))),
        ("view", Arc::new(StringViewArray::from(texts()))),
        ("dictionary", Arc::new(keys)),
        ("decimal", Arc::new(decimal)),
        (
            "u64",
            Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])),
        ),
        (
            "f32",
            Arc::new(Float32Array::from(vec![Some(0.1), Some(f32::NAN)])),
        ),
        ("day", Arc::new(Date32Array::from(vec![Some(20_778), None]))),
        ("moment", Arc::new(moment.clone())),
        ("utc", Arc::new(moment.with_timezone("+02:00"))),
        ("nothing", Arc::new(NullArray::new(2))),
    ]);
    for (name, bytes) in [
        ("a.parquet", parquet(&columns)),
        ("a.arrow", ipc_file(&columns)),
    ] {
        let table = read(name, bytes).unwrap();
        let first = |column: &str| table.texts(column).unwrap()[0].clone().unwrap();
        for column in ["large", "view", "dictionary"] {
            assert_eq!(first(column), "a", "{name} {column}");
        }
        assert_eq!(first("decimal"), "-12.345");
        assert_eq!(
            table.numeric("u64").unwrap().value(0),
            18_446_744_073_709_551_615.0
        );
        assert_eq!(table.numeric("f32").unwrap().value(0), f64::from(0.1_f32));
        assert!(table.numeric("f32").unwrap().is_null(1));
        assert_eq!(first("day"), "2026-11-21");
        assert_eq!(first("moment"), "2026-11-21T12:00:00.250");
        assert_eq!(first("utc"), "2026-11-21T12:00:00.250Z");
        for column in table.column_names() {
            assert!(
                table.texts(&column).unwrap()[1].is_none(),
                "{name} {column}"
            );
        }
        let exact = read_as(name, parquet(&columns), &[("u64", ColumnType::Category)]).unwrap();
        assert_eq!(
            exact.category("u64").unwrap().value(0),
            u64::MAX.to_string()
        );
    }
}

#[test]
fn what_has_no_meaning_is_refused_by_name() {
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]);
    let bytes = BinaryArray::from(vec![&b"x"[..]]);
    for (name, array, word) in [
        (
            "scores",
            Arc::new(lists) as ArrayRef,
            "a list in every cell",
        ),
        ("photo", Arc::new(bytes), "bytes in every cell"),
    ] {
        let columns = batch(vec![
            ("age", Arc::new(Int64Array::from(vec![1]))),
            (name, array),
        ]);
        for bytes in [parquet(&columns), ipc_file(&columns)] {
            let error = read("a.parquet", bytes).unwrap_err();
            assert_eq!(error.kind(), "unsupported-type");
            let text = error.to_string();
            assert!(text.contains(name) && text.contains(word), "{text}");
        }
    }
    let infinite = batch(vec![(
        "x",
        Arc::new(Float64Array::from(vec![1.0, f64::INFINITY])),
    )]);
    let error = read("a.parquet", parquet(&infinite))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("a.parquet:2, column \"x\": \"inf\" is not a finite number"),
        "{error}"
    );
    let words = batch(vec![("x", Arc::new(StringArray::from(vec!["1", "two"])))]);
    let error = read_as("a.parquet", parquet(&words), &[("x", ColumnType::Number)]).unwrap_err();
    assert_eq!(error.kind(), "not-a-number");
}

#[test]
fn json_lines_say_where_they_are_wrong() {
    for (text, kind, word) in [
        ("[{\"a\":1}]", "malformed", "object on every line"),
        ("{\"a\":1}\n{\"a\":1", "bad-line", "a.jsonl:2"),
        ("{\"a\":1}\n7\n", "bad-line", "no JSON object"),
        (
            "{\"a\":{\"b\":1}}",
            "bad-line",
            "\"a\" holds an object of its own",
        ),
        (
            "{\"a\":1}\n\n{\"a\":[1]}",
            "bad-line",
            "a.jsonl:3: \"a\" holds a list",
        ),
        ("{\"a\":1,\"a\":2}", "bad-line", "comes twice"),
        ("{\"a\":1,\" a\":2}", "bad-line", "comes twice"),
        ("{\"\":1}", "empty-header", "has no name"),
        ("{\"a\":1e999}", "bad-line", "out of range"),
        ("  \n", "empty", "is empty"),
    ] {
        let error = read("a.jsonl", text).unwrap_err();
        assert_eq!(error.kind(), kind, "{text}: {error}");
        assert!(error.to_string().contains(word), "{text}: {error}");
    }
    // Nine numbers in ten: the odd one is a slip, as in CSV.
    let mixed = "{\"a\":1}\n".repeat(19) + "{\"a\":\"x\"}\n";
    let error = read("a.jsonl", mixed).unwrap_err();
    assert_eq!(error.kind(), "not-a-number");
    assert!(
        error.to_string().starts_with("a.jsonl:20, column \"a\""),
        "{error}"
    );
    // Numbers among texts are texts, and numbers that stand in quotes now and then are numbers.
    let texts = read("a.jsonl", "{\"a\":1}\n{\"a\":\"x\"}\n").unwrap();
    assert_eq!(texts.category("a").unwrap().value(0), "1");
    let numbers = read("a.jsonl", "{\"a\":1}\n{\"a\":\"2\"}\n{}\n").unwrap();
    assert_eq!(numbers.numeric("a").unwrap().value(1), 2.0);
    assert_eq!(numbers.line_of(2), Some(3));
}

#[test]
fn damaged_files_are_refused() {
    for (name, bytes) in [
        ("a.parquet", parquet(&same())),
        ("a.arrow", ipc_file(&same())),
        ("a.arrows", ipc_stream(&same())),
    ] {
        for length in 0..bytes.len() {
            let read = read(name, &bytes[..length]);
            // A stream may end behind any message.
            assert!(
                name == "a.arrows" || read.is_err(),
                "{name} cut to {length}"
            );
        }
        let empty = batch(vec![("x", Arc::new(Int64Array::from(Vec::<i64>::new())))]);
        let none = if name == "a.parquet" {
            parquet(&empty)
        } else {
            ipc_stream(&empty)
        };
        assert_eq!(read(name, none).unwrap_err().kind(), "no-rows");
        assert_eq!(read(name, "x,y\n1,2\n").unwrap_err().kind(), "malformed");
        assert_eq!(read(name, "").unwrap_err().kind(), "empty");
    }
    assert_eq!(read("a", "PARE and more").unwrap_err().kind(), "encrypted");
}

/// Bytes changed anywhere: another table or a refusal, never a panic.
#[test]
fn changed_files_are_read_or_refused() {
    for (name, bytes) in [
        ("a.parquet", parquet(&same())),
        ("a.arrow", ipc_file(&same())),
        ("a.jsonl", JSON.as_bytes().to_vec()),
    ] {
        for at in 0..bytes.len() {
            for value in [0, 0x7f, 0xff, bytes[at] ^ 1] {
                let mut changed = bytes.clone();
                changed[at] = value;
                let _ = read(name, changed);
            }
        }
    }
}

/// A file of few bytes can stand for many cells: they are counted before they are made.
#[test]
fn more_cells_than_wanted_are_refused() {
    let zeros = batch(vec![("x", Arc::new(Int64Array::from(vec![0; 10_000])))]);
    let options = |most_cells| ReadOptions {
        most_cells,
        ..ReadOptions::default()
    };
    let json = "{\"x\":0}\n".repeat(10_000);
    for (name, bytes) in [
        ("a.parquet", parquet(&zeros)),
        ("a.arrow", ipc_file(&zeros)),
        ("a.jsonl", json.into_bytes()),
    ] {
        let fits = Table::from_bytes(name, bytes.clone(), &options(10_000)).unwrap();
        assert_eq!(fits.rows(), 10_000);
        let error = Table::from_bytes(name, bytes, &options(9_999)).unwrap_err();
        assert_eq!(error.kind(), "too-many-cells", "{name}");
    }
}

#[test]
fn formats_are_told_by_bytes_and_then_by_name() {
    for (name, bytes, format) in [
        ("a.csv", &b"PAR1...."[..], Format::Parquet),
        ("a.parquet", b"ARROW1\0\0", Format::ArrowIpc),
        ("a.txt", &[0xff; 8], Format::ArrowIpc),
        ("A.PARQUET", b"x", Format::Parquet),
        ("a.feather", b"x", Format::ArrowIpc),
        ("a.ndjson", b"{}", Format::JsonLines),
        ("a.csv", b"{\"a\"}", Format::Csv),
        ("table", b"", Format::Csv),
    ] {
        assert_eq!(Format::of(name, bytes), format, "{name}");
    }
}

/// A text as JSON and CSV write it.
fn quoted(text: &str) -> (String, String) {
    let json = serde_json::to_string(text).unwrap();
    (json, format!("\"{}\"", text.replace('"', "\"\"")))
}

proptest::proptest! {
    /// Any numbers and texts, gaps among them: one table, whatever it was written in.
    #[test]
    fn any_cells_give_one_table(
        cells in proptest::collection::vec(
            (proptest::option::of(-1e300_f64..1e300), proptest::option::of("[ -~\\n]{0,6}|[0-9]{1,3}|NA")),
            1..12,
        )
    ) {
        let (mut csv, mut json) = (String::from("x,t\n"), String::new());
        for (number, text) in &cells {
            let digits = number.map_or_else(String::new, |number| format!("{number:?}"));
            let (in_json, in_csv) = text.as_deref().map_or_else(
                || ("null".to_owned(), "\"\"".to_owned()),
                quoted,
            );
            csv += &format!("{digits},{in_csv}\n");
            let digits = number.map_or_else(|| "null".to_owned(), |number| format!("{number:?}"));
            json += &format!("{{\"x\":{digits},\"t\":{in_json}}}\n");
        }
        let (numbers, texts): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
        let columns = batch(vec![
            ("x", Arc::new(Float64Array::from(numbers))),
            ("t", Arc::new(StringArray::from(texts))),
        ]);
        let types = [("x", ColumnType::Number), ("t", ColumnType::Category)];
        let expected = read_as("a.csv", csv.into_bytes(), &types).unwrap();
        for (name, bytes) in [
            ("a.jsonl", json.into_bytes()),
            ("a.parquet", parquet(&columns)),
            ("a.arrow", ipc_file(&columns)),
            ("a.arrows", ipc_stream(&columns)),
        ] {
            let table = read_as(name, bytes, &types).unwrap();
            proptest::prop_assert_eq!(table.batch(), expected.batch(), "{}", name);
        }
    }
}
