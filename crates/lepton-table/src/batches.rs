//! Columns of other programs' types into the two that a table has.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowTemporalType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, DecimalType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, Float64Array, PrimitiveArray, RecordBatch, StringArray,
};
use arrow_schema::{DataType, Schema, SchemaRef, TimeUnit};

use crate::error::shown;
use crate::file::check_cells;
use crate::infer::{BadCell, Fault, typed};
use crate::write::number_text;
use crate::{ColumnType, ReadOptions, Table, TableError};

impl Table {
    /// A table over batches of any column types that have a meaning here: whole and decimal numbers become numbers; texts, truth values
    /// (`true`), dates (`2026-11-21`) and moments (`2026-11-21T10:15:00`, with a `Z` where a time zone is known) become categories;
    /// dictionaries what they stand for. `options.types` overrules: a number declared a category is its text.
    ///
    /// # Errors
    /// `UnsupportedType` for nested, binary and other columns, `NotANumber`, `NotFinite` (the line is the row's number, from 1), `NoRows`,
    /// `DuplicateHeader`, `EmptyHeader`, `TooManyCells`, `TooLarge`, and the first error of `batches`.
    pub fn from_batches(
        name: &str,
        schema: &SchemaRef,
        batches: impl IntoIterator<Item = Result<RecordBatch, TableError>>,
        options: &ReadOptions,
    ) -> Result<Self, TableError> {
        check_types(name, schema, options)?;
        let (mut all, mut rows, mut bytes) = (Vec::new(), 0, 0);
        for batch in batches {
            let batch = batch?;
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
            check_cells(name, (schema.fields().len(), rows), options.most_cells)?;
            all.push(batch);
        }
        let too_large = || TableError::TooLarge {
            table: name.to_owned(),
            bytes,
        };
        if rows == 0 {
            return Err(TableError::NoRows {
                table: name.to_owned(),
            });
        }
        let whole = arrow_select::concat::concat_batches(schema, &all).map_err(|_| too_large())?;
        drop(all);
        let mut columns = Vec::new();
        for (field, array) in schema.fields().iter().zip(whole.columns()) {
            let declared = options.types.get(field.name()).copied();
            let column = column(array, declared, options)
                .map_err(|refused| refused.of(name, field.name(), field.data_type()))?;
            columns.push((
                Arc::new(field.as_ref().clone().with_name(field.name().trim())),
                column,
            ));
        }
        let fields: Vec<_> = columns
            .iter()
            .map(|(field, column)| {
                arrow_schema::Field::new(field.name(), column.data_type().clone(), true)
            })
            .collect();
        let arrays = columns.into_iter().map(|(_, column)| column).collect();
        let batch =
            RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|_| too_large())?;
        Self::from_batch(name, batch)
    }
}

/// Refuses columns without a meaning here before any is decoded.
pub(crate) fn check_types(
    name: &str,
    schema: &Schema,
    options: &ReadOptions,
) -> Result<(), TableError> {
    check_cells(name, (schema.fields().len(), 1), options.most_cells)?;
    match schema
        .fields()
        .iter()
        .find(|field| !known(field.data_type()))
    {
        None => Ok(()),
        Some(field) => Err(TableError::UnsupportedType {
            table: name.to_owned(),
            column: field.name().clone(),
            found: in_words(field.data_type()),
        }),
    }
}

fn known(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => !values.is_nested() && known(values),
        DataType::Null
        | DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Date32
        | DataType::Date64
        | DataType::Timestamp(..) => true,
        other => other.is_numeric(),
    }
}

/// A type as people call it.
fn in_words(data_type: &DataType) -> String {
    let what = match data_type {
        DataType::Struct(_) | DataType::Map(..) | DataType::Union(..) => "a record in every cell",
        list if list.is_nested() => "a list in every cell",
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "bytes in every cell",
        DataType::Time32(_) | DataType::Time64(_) => "a time of day",
        DataType::Duration(_) | DataType::Interval(_) => "a length of time",
        _ => "something else",
    };
    format!("{data_type} ({what})")
}

/// Why a column is refused.
enum Refused {
    Cell(BadCell, String),
    Type,
}

impl Refused {
    fn of(self, name: &str, column: &str, data_type: &DataType) -> TableError {
        let (table, column) = (name.to_owned(), column.to_owned());
        let (bad, value) = match self {
            Self::Type => {
                return TableError::UnsupportedType {
                    table,
                    column,
                    found: in_words(data_type),
                };
            }
            Self::Cell(bad, value) => (bad, shown(&value)),
        };
        bad.error(table, bad.row as u64 + 1, column, value)
    }
}

fn column(
    array: &ArrayRef,
    declared: Option<ColumnType>,
    options: &ReadOptions,
) -> Result<ArrayRef, Refused> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        let values = arrow_select::take::take(dictionary.values(), dictionary.keys(), None);
        return column(&values.map_err(|_| Refused::Type)?, declared, options);
    }
    if array.data_type().is_numeric() {
        return if declared == Some(ColumnType::Category) {
            let texts = number_texts(array).ok_or(Refused::Type)?;
            Ok(Arc::new(cleaned(texts.into_iter(), options)))
        } else {
            numbers(array)
        };
    }
    let texts = cleaned(texts(array).ok_or(Refused::Type)?.into_iter(), options);
    // Texts are texts, also where they look like numbers: whoever wrote the file said so.
    let stated = declared.unwrap_or(ColumnType::Category);
    typed(texts.clone(), Some(stated)).map_err(|bad| {
        let value = texts.value(bad.row).to_owned();
        Refused::Cell(bad, value)
    })
}

/// Texts as they are read from CSV.
pub(crate) fn cleaned(
    texts: impl Iterator<Item = Option<String>>,
    options: &ReadOptions,
) -> StringArray {
    let clean = |text: String| {
        let text = text.trim();
        (!options.missing_tokens.contains(text)).then(|| text.to_owned())
    };
    texts.map(|text| text.and_then(clean)).collect()
}

/// Finite numbers; what is no number is missing.
fn numbers(array: &ArrayRef) -> Result<ArrayRef, Refused> {
    let numbers = match array.data_type() {
        // Exact: every number of these types is one of 64 bits, or is rounded to the nearest.
        DataType::Float64 => array.as_primitive::<Float64Type>().iter().collect(),
        DataType::Float32 => widened::<Float32Type>(array, f64::from),
        DataType::Float16 => widened::<Float16Type>(array, f64::from),
        _ => {
            let texts = number_texts(array).ok_or(Refused::Type)?;
            let parse = |text: String| text.parse::<f64>().ok();
            texts.into_iter().map(|text| text.and_then(parse)).collect()
        }
    };
    let defined: Float64Array = numbers
        .iter()
        .map(|cell: Option<f64>| cell.filter(|number| !number.is_nan()))
        .collect();
    let infinite = |cell: Option<f64>| cell.is_some_and(f64::is_infinite);
    match defined.iter().position(infinite) {
        None => Ok(Arc::new(defined)),
        Some(row) => Err(Refused::Cell(
            BadCell {
                row,
                fault: Fault::NotFinite,
            },
            defined.value(row).to_string(),
        )),
    }
}

fn widened<T: ArrowPrimitiveType>(array: &ArrayRef, widen: fn(T::Native) -> f64) -> Float64Array {
    let narrow = array.as_primitive::<T>().iter();
    narrow.map(|cell| cell.map(widen)).collect()
}

type Texts = Vec<Option<String>>;

/// Numbers in digits, all of them.
fn number_texts(array: &ArrayRef) -> Option<Texts> {
    Some(match array.data_type() {
        DataType::Int8 => digits::<Int8Type>(array),
        DataType::Int16 => digits::<Int16Type>(array),
        DataType::Int32 => digits::<Int32Type>(array),
        DataType::Int64 => digits::<Int64Type>(array),
        DataType::UInt8 => digits::<UInt8Type>(array),
        DataType::UInt16 => digits::<UInt16Type>(array),
        DataType::UInt32 => digits::<UInt32Type>(array),
        DataType::UInt64 => digits::<UInt64Type>(array),
        DataType::Decimal32(..) => decimals::<Decimal32Type>(array),
        DataType::Decimal64(..) => decimals::<Decimal64Type>(array),
        DataType::Decimal128(..) => decimals::<Decimal128Type>(array),
        DataType::Decimal256(..) => decimals::<Decimal256Type>(array),
        DataType::Float16 => floats(&widened::<Float16Type>(array, f64::from)),
        DataType::Float32 => floats(&widened::<Float32Type>(array, f64::from)),
        DataType::Float64 => floats(array.as_primitive::<Float64Type>()),
        _ => return None,
    })
}

fn digits<T: ArrowPrimitiveType>(array: &ArrayRef) -> Texts
where
    T::Native: ToString,
{
    let cells = array.as_primitive::<T>().iter();
    cells
        .map(|cell| cell.map(|number| number.to_string()))
        .collect()
}

fn decimals<T: DecimalType + ArrowPrimitiveType>(array: &ArrayRef) -> Texts {
    let array = array.as_primitive::<T>();
    present(array, |row| array.value_as_string(row))
}

fn floats(array: &Float64Array) -> Texts {
    let text = |number: f64| number_text(number + 0.0);
    array.iter().map(|cell| cell.map(text)).collect()
}

/// Everything that is no number, in words.
fn texts(array: &ArrayRef) -> Option<Texts> {
    let own = |cell: Option<&str>| cell.map(str::to_owned);
    Some(match array.data_type() {
        DataType::Null => vec![None; array.len()],
        DataType::Boolean => {
            let cells = array.as_boolean().iter();
            cells
                .map(|cell| cell.map(|truth| truth.to_string()))
                .collect()
        }
        DataType::Utf8 => array.as_string::<i32>().iter().map(own).collect(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().map(own).collect(),
        DataType::Utf8View => array.as_string_view().iter().map(own).collect(),
        DataType::Date32 => dates(array.as_primitive::<Date32Type>()),
        DataType::Date64 => dates(array.as_primitive::<Date64Type>()),
        DataType::Timestamp(unit, zone) => {
            let zone = zone.is_some();
            match unit {
                TimeUnit::Second => moments::<TimestampSecondType>(array, zone),
                TimeUnit::Millisecond => moments::<TimestampMillisecondType>(array, zone),
                TimeUnit::Microsecond => moments::<TimestampMicrosecondType>(array, zone),
                TimeUnit::Nanosecond => moments::<TimestampNanosecondType>(array, zone),
            }
        }
        _ => return None,
    })
}

/// The cells that are there, by row.
fn present<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    text: impl Fn(usize) -> String,
) -> Texts {
    (0..array.len())
        .map(|row| array.is_valid(row).then(|| text(row)))
        .collect()
}

/// A day outside of the calendar that can be written is its number of days or milliseconds since 1970.
fn dates<T: ArrowTemporalType>(array: &PrimitiveArray<T>) -> Texts
where
    i64: From<T::Native>,
{
    present(array, |row| {
        let day = array.value_as_date(row);
        day.map_or_else(
            || i64::from(array.value(row)).to_string(),
            |day| day.to_string(),
        )
    })
}

/// Likewise.
fn moments<T: ArrowTemporalType>(array: &ArrayRef, zone: bool) -> Texts
where
    i64: From<T::Native>,
{
    let array = array.as_primitive::<T>();
    present(array, |row| match array.value_as_datetime(row) {
        Some(moment) => format!("{moment:?}{}", if zone { "Z" } else { "" }),
        None => i64::from(array.value(row)).to_string(),
    })
}
