//! Arrow IPC in: a stream of messages, or a file, which is such a stream between two marks and with an index behind it.

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::ArrowError;

use crate::batches::check_types;
use crate::file::{check_cells, contained};
use crate::{Format, ReadOptions, Table, TableError};

/// What a file begins with, and ends with but for the last two bytes.
pub(crate) const MAGIC: &[u8; 8] = b"ARROW1\0\0";

/// Bytes behind the index: its length and the mark.
const TAIL: usize = 10;

/// Reads a whole file.
pub(crate) fn read(name: &str, bytes: Vec<u8>, options: &ReadOptions) -> Result<Table, TableError> {
    if bytes.is_empty() {
        return Err(TableError::Empty {
            table: name.to_owned(),
        });
    }
    contained(name, Format::ArrowIpc, || decode(name, bytes, options))
}

fn decode(name: &str, bytes: Vec<u8>, options: &ReadOptions) -> Result<Table, TableError> {
    let stream = if bytes.starts_with(MAGIC) {
        messages_of_file(&bytes).ok_or_else(|| malformed(name, "it is cut short"))?
    } else {
        0..bytes.len()
    };
    let mut stream = Buffer::from(bytes).slice_with_length(stream.start, stream.len());
    let mut decoder = StreamDecoder::new();
    let (mut batches, mut rows) = (Vec::new(), 0);
    let mut checked = false;
    while !stream.is_empty() {
        let batch = decoder
            .decode(&mut stream)
            .map_err(|error| refused(name, &error))?;
        if let Some(schema) = decoder.schema().filter(|_| !checked) {
            check_types(name, &schema, options)?;
            checked = true;
        }
        let Some(batch): Option<RecordBatch> = batch else {
            break;
        };
        rows += batch.num_rows();
        check_cells(name, (batch.num_columns(), rows), options.most_cells)?;
        batches.push(batch);
    }
    decoder.finish().map_err(|error| refused(name, &error))?;
    let schema = decoder
        .schema()
        .ok_or_else(|| malformed(name, "it names no columns"))?;
    Table::from_batches(name, &schema, batches.into_iter().map(Ok), options)
}

/// Where a file's messages are.
fn messages_of_file(bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let index_ends = bytes.len().checked_sub(TAIL)?;
    let (length, mark) = bytes.get(index_ends..)?.split_at_checked(4)?;
    let length = u32::from_le_bytes(length.try_into().ok()?);
    let ends = index_ends.checked_sub(usize::try_from(length).ok()?)?;
    let messages = bytes.get(MAGIC.len()..ends)?;
    // Some writers leave more than the mark's two zeros, to begin where a cache line does.
    let zeros = messages.iter().take_while(|byte| **byte == 0).count();
    MAGIC
        .starts_with(mark)
        .then_some(MAGIC.len() + zeros / 8 * 8..ends)
}

fn refused(name: &str, error: &ArrowError) -> TableError {
    let problem = error.to_string();
    if problem.contains("compression") {
        return TableError::Compressed {
            table: name.to_owned(),
            remedy: "without compression, or as Parquet",
        };
    }
    malformed(name, &problem)
}

fn malformed(name: &str, problem: &str) -> TableError {
    TableError::Malformed {
        table: name.to_owned(),
        format: Format::ArrowIpc,
        problem: problem.chars().take(200).collect(),
    }
}
