//! What can go wrong, and what to do about it.

use thiserror::Error;

/// Why a learning step was refused. Every variant says what the caller has to change.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum LearnError {
    /// The model description contradicts itself.
    #[error("the model is not valid: {0}")]
    Spec(String),
    /// Two arrays that belong together differ in size.
    #[error("{what}: expected {expected}, got {got}")]
    Shape {
        /// What was measured.
        what: &'static str,
        /// The size it should have.
        expected: usize,
        /// The size it has.
        got: usize,
    },
    /// A feature, target or parameter is NaN or infinite.
    #[error("{what} number {index} is not a finite number; clean or impute the data first")]
    NotFinite {
        /// Which array.
        what: &'static str,
        /// Position in that array.
        index: usize,
    },
    /// A class label is outside the declared classes.
    #[error("row {row} has class {label}, but only {classes} classes are declared")]
    Label {
        /// Row number, from 0.
        row: usize,
        /// The offending label.
        label: u32,
        /// Number of declared classes.
        classes: usize,
    },
    /// Training produced numbers that are not finite.
    #[error("training diverged: lower the learning rate")]
    Diverged,
    /// A setting is out of range.
    #[error("{name} must be {must}, got {got}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// The range it must lie in.
        must: &'static str,
        /// What it was.
        got: String,
    },
    /// There are no rows to learn from.
    #[error("{0} needs at least one row")]
    Empty(&'static str),
    /// The rows of one private step are not strictly increasing, or too many.
    #[error("the sampled rows are not usable: {0}")]
    Rows(String),
    /// A table column does not fit the preparation.
    #[error("column '{column}': {problem}")]
    Column {
        /// The column's name.
        column: String,
        /// What is wrong and what to do.
        problem: String,
    },
}

impl LearnError {
    pub(crate) fn setting(name: &'static str, must: &'static str, got: impl ToString) -> Self {
        Self::Setting {
            name,
            must,
            got: got.to_string(),
        }
    }

    pub(crate) fn column(column: &str, problem: impl Into<String>) -> Self {
        Self::Column {
            column: column.to_owned(),
            problem: problem.into(),
        }
    }
}

/// Refuses a size that is not the expected one.
pub(crate) fn expect_len(
    what: &'static str,
    expected: usize,
    got: usize,
) -> Result<(), LearnError> {
    if expected == got {
        Ok(())
    } else {
        Err(LearnError::Shape {
            what,
            expected,
            got,
        })
    }
}
