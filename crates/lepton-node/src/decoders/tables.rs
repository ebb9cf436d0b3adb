//! Tables of rows.

use lepton_table::{ReadOptions, Table};

use super::Decoder;

const CSV: &str =
    "age,plan,\"note, long\"\r\n41,gold,\"a \"\"b\"\"\nc\"\r\n,basic,?\r\n1e3,basic,ü\r\n";

pub(super) fn decoders() -> Vec<Decoder> {
    vec![
        Decoder::of_bytes("csv", vec![CSV.as_bytes().to_vec()], |bytes| {
            Table::from_csv_bytes("a.csv", bytes, &ReadOptions::default()).is_ok()
        })
        .taking(200, 1 << 16),
    ]
}
