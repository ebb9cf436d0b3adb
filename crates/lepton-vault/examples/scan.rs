//! Processor time of a scan of a sealed table beside a scan of the same rows in plain Parquet, and of sealing: `cargo run --release -p lepton-vault --example scan -- 10000000`.
#![expect(
    clippy::disallowed_methods,
    reason = "a measurement writes the file that it compares with"
)]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{Float64Array, RecordBatch, StringArray};
use lepton_table::Table;
use lepton_vault::{KeyFile, Scan, SealedTable, Vault};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

type Failure = Box<dyn std::error::Error>;

/// Scans of each kind, in turn.
const TIMES: usize = 7;

fn main() -> Result<(), Failure> {
    let rows = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |text| text.parse())?;
    let folder = std::env::temp_dir().join(format!("lepton-scan-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = measure(&folder, rows);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &Path, rows: usize) -> Result<(), Failure> {
    let table = table(rows)?;
    let plain = folder.join("plain.parquet");
    let start = now();
    write_plain(&plain, &table)?;
    let written = now() - start;
    let root = KeyFile::create(&folder.join("root.key"))?;
    let mut vault = Vault::init(&folder.join("vault"), &root)?;
    let start = now();
    vault.seal("scan", &table, "now", None)?;
    let sealed = now() - start;
    drop(vault);
    drop(table);
    let path = folder.join("vault").join("scan");
    let one = Some(vec!["x1".to_owned()]);
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..TIMES {
        let [a, b, c, d] = &mut times;
        a.push(scan_plain(&plain, false, rows)?);
        b.push(scan_sealed(
            &path,
            &root,
            &Scan {
                batch_rows: 8192,
                ..Scan::default()
            },
            rows,
        )?);
        c.push(scan_plain(&plain, true, rows)?);
        d.push(scan_sealed(
            &path,
            &root,
            &Scan {
                columns: one.clone(),
                batch_rows: 8192,
                ..Scan::default()
            },
            rows,
        )?);
    }
    let [a, b, c, d] = times.map(median);
    println!(
        "{rows} rows, 4 columns of numbers and 2 of texts, {} MB; processor time, medians of {TIMES}",
        std::fs::metadata(&plain)?.len() / 1_000_000
    );
    println!("write: plain {written:.2?}, sealed with hashes and Merkle roots {sealed:.2?}");
    println!(
        "scan of all columns: plain {a:.3?}, sealed {b:.3?}, ratio {:.3}",
        b.as_secs_f64() / a.as_secs_f64()
    );
    println!(
        "scan of one column: plain {c:.3?}, sealed {d:.3?}, ratio {:.3}",
        d.as_secs_f64() / c.as_secs_f64()
    );
    Ok(())
}

/// Numbers that do not compress well, and few texts.
fn table(rows: usize) -> Result<Table, Failure> {
    let number = |salt: u64| {
        let cell = move |row: usize| {
            let mixed = (row as u64 ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed >> 40) as f64 / 1024.0
        };
        Arc::new(Float64Array::from_iter_values((0..rows).map(cell))) as _
    };
    let text = |count: usize| {
        Arc::new(StringArray::from_iter_values(
            (0..rows).map(|row| format!("kind-{}", row * 31 % count)),
        )) as _
    };
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("x1", number(1), true),
        ("x2", number(2), true),
        ("x3", number(3), true),
        ("x4", number(4), true),
        ("few", text(7), true),
        ("more", text(500), true),
    ])?;
    Ok(Table::from_batch("scan", batch)?)
}

/// As sealing writes, without encryption.
fn write_plain(path: &Path, table: &Table) -> Result<(), Failure> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(1 << 18))
        .build();
    let file = File::create(path)?;
    let mut writer = ArrowWriter::try_new(file, table.batch().schema(), Some(properties))?;
    writer.write(table.batch())?;
    writer.into_inner()?.sync_all()?;
    Ok(())
}

fn scan_plain(path: &Path, one: bool, rows: usize) -> Result<Duration, Failure> {
    let start = now();
    let mut builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    if one {
        let mask = parquet::arrow::ProjectionMask::leaves(builder.parquet_schema(), [0]);
        builder = builder.with_projection(mask);
    }
    let mut seen = 0;
    for batch in builder.with_batch_size(8192).build()? {
        seen += batch?.num_rows();
    }
    assert_eq!(seen, rows);
    Ok(now() - start)
}

fn scan_sealed(path: &Path, root: &KeyFile, scan: &Scan, rows: usize) -> Result<Duration, Failure> {
    let start = now();
    let sealed = SealedTable::open_with(path, root)?;
    let mut seen = 0;
    for batch in sealed.batches(scan)? {
        seen += batch?.num_rows();
    }
    assert_eq!(seen, rows);
    Ok(now() - start)
}

/// Processor time of this process so far: other programs on the machine do not count.
fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
