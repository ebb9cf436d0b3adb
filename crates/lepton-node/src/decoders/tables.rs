//! Tables of rows, in every format.

use lepton_table::{ReadOptions, Table, samples};

use super::Decoder;

const CSV: &str =
    "age,plan,\"note, long\"\r\n41,gold,\"a \"\"b\"\"\nc\"\r\n,basic,?\r\n1e3,basic,ü\r\n";

const JSON_LINES: &str = "{\"age\":41,\"plan\":\"gold\"}\n{\"plan\":\"b\\u00fcsic\",\"open\":true}\n{\"age\":1e3,\"plan\":null}\n";

pub(super) fn decoders() -> Vec<Decoder> {
    let parquet = samples::parquet().expect("a small table");
    let file = samples::arrow_file().expect("a small table");
    let stream = samples::arrow_stream().expect("a small table");
    vec![
        table("csv", "a.csv", vec![CSV.into()]).taking(200, 1 << 16),
        // Every line may add a column, which every line then has.
        table("json-lines", "a.jsonl", vec![JSON_LINES.into()]).taking(4000, 1 << 16),
        // Their libraries believe lengths.
        table("parquet", "a.parquet", vec![parquet]).taking(4000, 1 << 28),
        table("arrow-ipc", "a.arrow", vec![file, stream]).taking(4000, 1 << 28),
    ]
}

fn table(decoder: &'static str, file: &'static str, valid: Vec<Vec<u8>>) -> Decoder {
    Decoder::of_bytes(decoder, valid, move |bytes| {
        let options = ReadOptions {
            most_cells: 1 << 18,
            ..ReadOptions::default()
        };
        Table::from_bytes(file, bytes.to_vec(), &options).is_ok()
    })
}
