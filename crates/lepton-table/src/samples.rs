//! One small table in the formats that this crate reads and does not write, as valid inputs of their decoders.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array,
    RecordBatch, StringArray,
};
use arrow_schema::ArrowError;
use parquet::arrow::ArrowWriter;

fn batch() -> Result<RecordBatch, ArrowError> {
    let words = || vec![Some("gold"), Some("basic"), None];
    let keys: DictionaryArray<Int32Type> = words().into_iter().collect();
    let decimals = Decimal128Array::from(vec![Some(-12_345), None, Some(1)]);
    RecordBatch::try_from_iter_with_nullable([
        (
            "whole",
            Arc::new(Int64Array::from(vec![Some(41), None, Some(-3)])) as _,
            true,
        ),
        (
            "number",
            Arc::new(Float64Array::from(vec![0.1, 1e300, -0.0])) as _,
            true,
        ),
        ("text", Arc::new(StringArray::from(words())) as _, true),
        ("key", Arc::new(keys) as _, true),
        (
            "truth",
            Arc::new(BooleanArray::from(vec![true, false, true])) as _,
            true,
        ),
        (
            "day",
            Arc::new(Date32Array::from(vec![20_778, 0, -1])) as _,
            true,
        ),
        ("decimal", Arc::new(decimals) as _, true),
    ])
}

/// As Parquet.
///
/// # Errors
/// Never in practice.
pub fn parquet() -> Result<Vec<u8>, ArrowError> {
    let (batch, mut bytes) = (batch()?, Vec::new());
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(bytes)
}

/// As an Arrow IPC file.
///
/// # Errors
/// Never in practice.
pub fn arrow_file() -> Result<Vec<u8>, ArrowError> {
    let (batch, mut bytes) = (batch()?, Vec::new());
    let mut writer = arrow_ipc::writer::FileWriter::try_new(&mut bytes, &batch.schema())?;
    writer.write(&batch)?;
    writer.finish()?;
    drop(writer);
    Ok(bytes)
}

/// As an Arrow IPC stream.
///
/// # Errors
/// Never in practice.
pub fn arrow_stream() -> Result<Vec<u8>, ArrowError> {
    let (batch, mut bytes) = (batch()?, Vec::new());
    let mut writer = arrow_ipc::writer::StreamWriter::try_new(&mut bytes, &batch.schema())?;
    writer.write(&batch)?;
    writer.finish()?;
    drop(writer);
    Ok(bytes)
}
