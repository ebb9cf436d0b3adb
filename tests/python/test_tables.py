"""Tables that pyarrow wrote are the tables that a CSV file of the same cells is."""

import datetime
import decimal
import json
import os
import subprocess

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

COLUMNS = {
    "age": pa.array([41, None, -3, 7], pa.int16()),
    "plan": pa.array(["gold", "basic", "basic", None]),
    "score": pa.array([0.1, 1e300, None, -2.5]),
    "city": pa.array(["Zürich", "日本", "Zürich", "x"]).dictionary_encode(),
    "paid": pa.array([decimal.Decimal("12.50"), None, decimal.Decimal("-0.01"), decimal.Decimal("3")], pa.decimal128(12, 2)),
    "since": pa.array([datetime.date(2026, 11, 21), None, datetime.date(1969, 1, 1), datetime.date(2000, 2, 29)]),
}
TABLE = pa.table(COLUMNS)


def write_stream(table, path, **options):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema, **options) as writer:
        writer.write_table(table, max_chunksize=3)


def write_file(table, path, **options):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema, **options) as writer:
        writer.write_table(table)


def write_json_lines(table, path):
    rows = table.set_column(4, "paid", table["paid"].cast(pa.float64())).to_pylist()
    path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows), encoding="utf-8")


WAYS = {
    "snappy.parquet": lambda table, path: pa.parquet.write_table(table, path),
    "zstd.parquet": lambda table, path: pa.parquet.write_table(table, path, compression="zstd", row_group_size=2),
    "plain.parquet": lambda table, path: pa.parquet.write_table(
        table, path, compression="none", use_dictionary=False, data_page_version="2.0"
    ),
    "delta.parquet": lambda table, path: pa.parquet.write_table(
        table.drop_columns(["city"]).append_column("city", table["city"].cast(pa.string())).select(table.column_names),
        path,
        use_dictionary=False,
        column_encoding={"age": "DELTA_BINARY_PACKED", "plan": "DELTA_BYTE_ARRAY", "score": "BYTE_STREAM_SPLIT"},
        version="2.6",
    ),
    "file.arrow": write_file,
    "stream.arrows": write_stream,
    "feather.feather": lambda table, path: pa.feather.write_feather(table, path, compression="uncompressed"),
    "lines.jsonl": write_json_lines,
}


@pytest.fixture(scope="module")
def expected(lepton, tmp_path_factory):
    folder = tmp_path_factory.mktemp("csv")
    text = TABLE.set_column(3, "city", TABLE["city"].cast(pa.string()))
    pa.csv.write_csv(text, folder / "table.csv")
    return json.loads(lepton("table", "check", "table.csv", "--json", cwd=folder))


@pytest.mark.parametrize("name", WAYS)
def test_every_format_is_the_same_table(lepton, expected, tmp_path, name):
    WAYS[name](TABLE, tmp_path / name)
    found = json.loads(lepton("table", "check", name, "--json", cwd=tmp_path))
    assert found == expected
    kinds = {column["name"]: column["type"] for column in found["columns"]}
    assert kinds == dict(age="number", plan="category", score="number", city="category", paid="number", since="category")


REFUSED = {
    "gzip.parquet": (
        lambda path: pa.parquet.write_table(TABLE, path, compression="gzip"),
        "its compression is not supported; write it with Snappy, Zstandard or none",
    ),
    "lz4.feather": (
        lambda path: pa.feather.write_feather(TABLE, path, compression="lz4"),
        "its compression is not supported; write it without compression, or as Parquet",
    ),
    "list.parquet": (
        lambda path: pa.parquet.write_table(pa.table({"a": [1], "scores": [[1, 2]]}), path),
        'column "scores": ',
    ),
    "time.arrow": (
        lambda path: write_file(pa.table({"at": pa.array([datetime.time(1, 2)])}), path),
        "a time of day",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_refused_in_words(tmp_path, name):
    write, words = REFUSED[name]
    write(tmp_path / name)
    done = subprocess.run(
        [os.environ["LEPTON_BIN"], "table", "check", name], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1 and done.stdout == "", done
    assert done.stderr.startswith(f"error: {name}") and words in done.stderr, done.stderr
