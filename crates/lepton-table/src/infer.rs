//! What a column's text is: numbers or categories.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, StringArray};

use crate::{ColumnType, TableError};

/// A value that spoils a column of numbers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadCell {
    pub(crate) row: usize,
    pub(crate) fault: Fault,
}

impl BadCell {
    /// The error, of this cell of that table; `line` is where the value stands.
    pub(crate) fn error(
        &self,
        table: String,
        line: u64,
        column: String,
        value: String,
    ) -> TableError {
        match self.fault {
            Fault::NotFinite => TableError::NotFinite {
                table,
                line,
                column,
                value,
            },
            Fault::NotANumber {
                declared,
                numbers,
                values,
            } => TableError::NotANumber {
                table,
                line,
                column,
                value,
                declared,
                numbers,
                values,
            },
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    NotANumber {
        declared: bool,
        numbers: usize,
        values: usize,
    },
    NotFinite,
}

/// The column under its type: the declared one, or the one its values speak for.
///
/// Undeclared, a column whose values (missing ones aside) are all finite numbers is a number; one where fewer than nine in ten even
/// look like numbers is a category. In between a slip is likelier than a choice, so the first odd value is reported.
/// A column without any value is a category until something says otherwise.
pub(crate) fn typed(text: StringArray, declared: Option<ColumnType>) -> Result<ArrayRef, BadCell> {
    if declared == Some(ColumnType::Category) {
        return Ok(Arc::new(text));
    }
    let counts = Counts::of(&text);
    let is_number = declared.is_some() || (counts.values > 0 && counts.finite == counts.values);
    if !is_number && !counts.mostly_numbers() {
        return Ok(Arc::new(text));
    }
    if let Some(bad) = first_bad(&text, declared.is_some(), &counts) {
        return Err(bad);
    }
    Ok(Arc::new(
        text.iter()
            .map(|cell| cell.and_then(finite))
            .collect::<Float64Array>(),
    ))
}

/// `3,14` or `1,234,567`: a number to people, not to a program.
pub(crate) fn is_number_with_comma(value: &str) -> bool {
    value.contains(',')
        && matches!(value.replace(',', "").parse::<f64>(), Ok(number) if number.is_finite())
}

enum Look {
    Finite,
    NotFinite,
    Comma,
    Text,
}

impl Look {
    fn of(value: &str) -> Self {
        match value.parse::<f64>() {
            Ok(number) if number.is_finite() => Self::Finite,
            Ok(_) => Self::NotFinite,
            Err(_) if is_number_with_comma(value) => Self::Comma,
            Err(_) => Self::Text,
        }
    }
}

struct Counts {
    values: usize,
    finite: usize,
    numeric: usize,
}

impl Counts {
    fn of(text: &StringArray) -> Self {
        let mut counts = Self {
            values: text.len() - text.null_count(),
            finite: 0,
            numeric: 0,
        };
        for value in text.iter().flatten() {
            match Look::of(value) {
                Look::Finite => {
                    counts.finite += 1;
                    counts.numeric += 1;
                }
                Look::NotFinite | Look::Comma => counts.numeric += 1,
                Look::Text => {}
            }
        }
        counts
    }

    fn mostly_numbers(&self) -> bool {
        // Nine in ten, without rounding: numeric / values >= 9 / 10. Counts stay far below the point of overflow (2^31 bytes of text).
        self.values > 0 && self.numeric * 10 >= self.values * 9
    }
}

fn finite(value: &str) -> Option<f64> {
    value.parse().ok().filter(|number: &f64| number.is_finite())
}

fn first_bad(text: &StringArray, declared: bool, counts: &Counts) -> Option<BadCell> {
    text.iter().enumerate().find_map(|(row, cell)| {
        let fault = match Look::of(cell?) {
            Look::Finite => return None,
            Look::NotFinite => Fault::NotFinite,
            Look::Comma | Look::Text => Fault::NotANumber {
                declared,
                numbers: counts.finite,
                values: counts.values,
            },
        };
        Some(BadCell { row, fault })
    })
}
