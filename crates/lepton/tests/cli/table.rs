//! `lepton table`, and tables in every format as a job reads them.

use arrow_array::cast::AsArray as _;
use arrow_array::types::Float64Type;
use lepton_table::{ReadOptions, Table};
use serde_json::{Value, json};

use crate::support::Desk;

/// The small job's table, in the other formats.
fn in_all_formats(desk: &Desk) {
    let table = Table::from_path(desk.path("data.csv"), &ReadOptions::default()).unwrap();
    let batch = table.batch();
    let mut bytes = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    desk.write("data.parquet", bytes);
    let mut bytes = Vec::new();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(&mut bytes, &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    desk.write("data.arrow", bytes);
    let mut lines = String::new();
    for row in 0..table.rows() {
        let cell = |column: &str| {
            let array = batch.column_by_name(column).unwrap();
            match array.as_primitive_opt::<Float64Type>() {
                Some(numbers) => json!(numbers.value(row)),
                None => json!(array.as_string::<i32>().value(row)),
            }
        };
        let cells: Vec<String> = table
            .column_names()
            .iter()
            .map(|name| format!("{}:{}", json!(name), cell(name)))
            .collect();
        lines += &format!("{{{}}}\n", cells.join(","));
    }
    desk.write("data.jsonl", lines);
}

/// A model's header, whose entries come in any order, and its numbers.
fn parts(model: &[u8]) -> (Value, Vec<u8>) {
    let (length, rest) = model.split_at(8);
    let length = u64::from_le_bytes(length.try_into().unwrap());
    let (header, numbers) = rest.split_at(usize::try_from(length).unwrap());
    (serde_json::from_slice(header).unwrap(), numbers.to_vec())
}

#[test]
fn a_job_gives_the_same_model_from_every_format() {
    let desk = Desk::small();
    in_all_formats(&desk);
    let mut models = Vec::new();
    for format in ["csv", "parquet", "arrow", "jsonl"] {
        let data = format!("data.{format}");
        desk.call(&[
            "run",
            "job.toml",
            "--data",
            &data,
            "--run-dir",
            format,
            "--set",
            "job.insecure_seed=7",
            "-q",
        ])
        .fine();
        let file = desk.path(format).join("model/model.safetensors");
        models.push(parts(&std::fs::read(file).unwrap()));
    }
    assert_eq!(models[0].1.len(), 4 * 3);
    for model in &models {
        assert!(*model == models[0]);
    }
}

#[test]
fn a_schema_is_drafted_and_then_checked_against() {
    let desk = Desk::small();
    let draft = desk.call(&["table", "schema", "data.csv"]).fine().stdout;
    assert!(draft.contains("\n[columns.y]\n"), "{draft}");
    desk.write("s.toml", &draft);
    let done = desk
        .call(&["table", "check", "data.csv", "--schema", "s.toml"])
        .fine();
    assert!(
        done.stdout
            .starts_with("60 rows, 3 columns\n\ncolumn  type"),
        "{}",
        done.stdout
    );
    assert_eq!(done.stderr, "");
    let one = desk
        .call(&["table", "check", "data.csv", "--label", "y", "--json"])
        .fine();
    let document: Value = serde_json::from_str(&one.stdout).unwrap();
    assert_eq!(document["rows"], 60);
    assert_eq!(document["columns"][0]["type"], "number");
}

#[test]
fn a_table_that_is_not_what_its_schema_says_fails() {
    let desk = Desk::small();
    let draft = desk.call(&["table", "schema", "data.csv"]).fine().stdout;
    desk.write("s.toml", draft + "\n[columns.lost]\nrole = \"feature\"\n");
    let done = desk.call(&["table", "check", "data.csv", "--schema", "s.toml"]);
    assert_eq!(done.code, Some(1));
    assert!(
        done.stdout
            .contains("ERROR    lost: is in the schema and not in the table")
    );
    assert!(
        done.stderr
            .starts_with("error: data.csv is not what its schema says")
    );
    desk.write("s.toml", "[columns.x1]\nroll = 3\n");
    let done = desk.call(&["table", "check", "data.csv", "--schema", "s.toml"]);
    assert_eq!(done.code, Some(1));
    assert!(
        done.stderr.contains("s.toml:2: unknown field `roll`"),
        "{}",
        done.stderr
    );
}

/// What a schema says of columns becomes part of the effective job; what the job says itself stays.
#[test]
fn a_job_takes_what_it_does_not_say_from_a_schema() {
    let desk = Desk::small();
    desk.write(
        "s.toml",
        "[columns.a]\nbounds = [-20, 20]\n[columns.b]\nrole = \"sensitive\"\n[columns.y]\nvalues = [\"no\", \"yes\"]\n",
    );
    let run = ["run", "job.toml", "--schema", "s.toml", "-q", "--run-dir"];
    desk.call(&[&run[..], &["out"]].concat()).fine();
    let job = desk.read("out/job.toml");
    assert!(job.contains("features = [\"a\"]"), "{job}");
    assert!(job.contains("classes = [\"no\", \"yes\"]"), "{job}");
    assert!(job.contains("[prepare.bounds]\na = [-20.0, 20.0]"), "{job}");
    let own = ["own", "--set", "prepare.bounds.a=[-30, 30]"];
    desk.call(&[&run[..], &own].concat()).fine();
    assert!(desk.read("own/job.toml").contains("a = [-30.0, 30.0]"));
}
