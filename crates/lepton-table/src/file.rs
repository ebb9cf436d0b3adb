//! From a file to a table, whichever of the formats it has.
#![expect(
    clippy::disallowed_methods,
    reason = "this crate is the shell's door to table files; only this module opens them for reading"
)]

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use crate::{ReadOptions, Table, TableError};

/// Most cells of a table unless told otherwise: as many numbers take 2 GiB.
pub const MAX_CELLS: usize = 1 << 28;

/// Most columns of a table.
pub const MAX_COLUMNS: usize = 1 << 16;

/// What a file of a table is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text, a row a line (RFC 4180).
    Csv,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow IPC, as a file or as a stream; Feather version 2 is the former.
    ArrowIpc,
    /// A JSON object a line.
    JsonLines,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::Parquet => "Parquet",
            Self::ArrowIpc => "Arrow IPC",
            Self::JsonLines => "JSON Lines",
        })
    }
}

impl Format {
    /// What a file is: by its first bytes where they say so, by the ending of its name otherwise, and CSV when neither does.
    #[must_use]
    pub fn of(name: &str, bytes: &[u8]) -> Self {
        if bytes.starts_with(b"PAR1") || bytes.starts_with(b"PARE") {
            return Self::Parquet;
        }
        // The second is a stream: a continuation mark, which no text begins with.
        if bytes.starts_with(crate::ipc::MAGIC) || bytes.starts_with(&[0xff; 4]) {
            return Self::ArrowIpc;
        }
        let ending = Path::new(name).extension().unwrap_or_default();
        match ending.to_ascii_lowercase().to_str() {
            Some("parquet" | "pq") => Self::Parquet,
            Some("arrow" | "arrows" | "feather" | "ipc") => Self::ArrowIpc,
            Some("jsonl" | "ndjson" | "json") => Self::JsonLines,
            _ => Self::Csv,
        }
    }
}

impl Table {
    /// Reads a file whole, in any [`Format`]. The table's name is the path as given.
    ///
    /// # Errors
    /// `NotFound`, `IsDirectory`, `Unreadable`, and those of [`Table::from_bytes`].
    pub fn from_path(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self, TableError> {
        let (name, bytes) = read_file(path.as_ref())?;
        Self::from_bytes(&name, bytes, options)
    }

    /// Reads a file's bytes in the format that they and the name say; `name` stands for the path in errors. However a table is written,
    /// the same cells give the same table: white space around a text is not part of it, and a text spelt like a missing token is missing.
    ///
    /// # Errors
    /// Those of [`Table::from_csv_bytes`]; `Malformed`, `Compressed`, `Encrypted`, `BadLine`, `UnsupportedType`, `TooManyCells`. Where a row is
    /// no line of a file, errors count rows from 1.
    pub fn from_bytes(
        name: &str,
        bytes: Vec<u8>,
        options: &ReadOptions,
    ) -> Result<Self, TableError> {
        match Format::of(name, &bytes) {
            Format::Csv => Self::from_csv_bytes(name, &bytes, options),
            Format::Parquet => crate::parquet::read(name, bytes, options),
            Format::ArrowIpc => crate::ipc::read(name, bytes, options),
            Format::JsonLines => crate::json_lines::read(name, &bytes, options),
        }
    }
}

/// The name and all bytes of a file.
pub(crate) fn read_file(path: &Path) -> Result<(String, Vec<u8>), TableError> {
    let name = path.display().to_string();
    if path.is_dir() {
        return Err(TableError::IsDirectory { path: name });
    }
    match read_up_to_limit(path) {
        Ok(bytes) if i32::try_from(bytes.len()).is_err() => Err(TableError::TooLarge {
            table: name,
            bytes: bytes.len(),
        }),
        Ok(bytes) => Ok((name, bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(TableError::NotFound { path: name })
        }
        Err(source) => Err(TableError::Unreadable { path: name, source }),
    }
}

/// All of a file; of one larger than a table can be, just enough to see that it is.
fn read_up_to_limit(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(1 << 31)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Checks the size of a table that is about to be held.
pub(crate) fn check_cells(
    name: &str,
    (columns, rows): (usize, usize),
    most: usize,
) -> Result<(), TableError> {
    let cells = columns.saturating_mul(rows);
    if columns <= MAX_COLUMNS && cells <= most {
        return Ok(());
    }
    Err(TableError::TooManyCells {
        table: name.to_owned(),
        columns,
        cells,
        most,
    })
}

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside of a reader whose panics become errors: a program's panic hook need not speak of them.
#[must_use]
pub fn panics_are_errors() -> bool {
    CONTAINED.get()
}

/// Runs a library's reader. What it panics at is as malformed as what it refuses: those readers check much by assertion, and a broken
/// file must not end the program.
pub(crate) fn contained<T>(
    name: &str,
    format: Format,
    read: impl FnOnce() -> Result<T, TableError>,
) -> Result<T, TableError> {
    CONTAINED.set(true);
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    CONTAINED.set(false);
    done.unwrap_or_else(|_| {
        Err(TableError::Malformed {
            table: name.to_owned(),
            format,
            problem: "its parts contradict each other".to_owned(),
        })
    })
}
