//! Tables as Arrow batches: read from CSV, Parquet, Arrow IPC and JSON Lines with errors that say what is wrong, where and what to do; dealt to parties; kept
//! aside for evaluation; written back.
//!
//! A table has two kinds of column: numbers (`Float64`, finite) and categories (`Utf8`). Either may have missing cells (Arrow
//! nulls). Nothing here hashes, encrypts or charges a budget.
//!
//! ```
//! use lepton_table::{ColumnType, ReadOptions, Table};
//!
//! let table = Table::from_csv_bytes("people.csv", b"age,plan\n41,gold\n,basic\n", &ReadOptions::default())?;
//! assert_eq!(table.rows(), 2);
//! assert_eq!(table.column_type("age")?, ColumnType::Number);
//! assert_eq!(table.category("plan")?.value(1), "basic");
//! # Ok::<(), lepton_table::TableError>(())
//! ```

mod batches;
mod concat;
mod error;
mod file;
mod infer;
mod ipc;
mod json_lines;
mod options;
mod parquet;
pub mod quality;
mod read;
#[cfg(feature = "fuzzing")]
pub mod samples;
mod schema;
pub mod split;
mod table;
mod write;

pub use error::TableError;
pub use file::{Format, MAX_CELLS, MAX_COLUMNS, panics_are_errors};
pub use options::{ColumnType, Delimiter, ReadOptions};
pub use schema::{ColumnSchema, Role, Schema};
pub use table::Table;
pub use write::{ColumnOut, write_csv, write_csv_path};
