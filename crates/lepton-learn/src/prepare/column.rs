//! How one column becomes features, and the target.

use serde::{Deserialize, Serialize};

use crate::error::LearnError;
use crate::prepare::raw::RawColumn;
use crate::prepare::statistics::{NumericSummary, check_range};

/// Name of the level that takes every category not kept; in brackets, since tables have categories called "other".
pub const OTHER_LEVEL: &str = "(other)";
/// Name of the level and suffix of the indicator for missing values.
pub const MISSING_LEVEL: &str = "(missing)";

/// What a job may ask to do with missing values, for every column kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// Numbers: the mean. Categories: the level "other".
    #[default]
    Mean,
    /// As `Mean`, plus a feature that says so; categories get a level "missing" of their own.
    Indicator,
    /// Leave the row out.
    Drop,
    /// Stop with an error.
    Refuse,
}

/// How a job may ask to scale numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scaling {
    /// Zero mean, unit deviation.
    #[default]
    Standard,
    /// To `[0, 1]` by the public bounds.
    MinMax,
    /// As they are.
    None,
}

/// Scaling with its figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NumericScale {
    /// `(x - mean) / std`.
    Standard {
        /// Mean.
        mean: f64,
        /// Deviation, above 0.
        std: f64,
    },
    /// `(x - lo) / (hi - lo)`.
    MinMax {
        /// Becomes 0.
        lo: f64,
        /// Becomes 1.
        hi: f64,
    },
    /// `x`.
    None,
}

/// What happens to a missing number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NumericMissing {
    /// Replaced by this value (before scaling).
    Fill(f64),
    /// Replaced by this value, and a feature `name=(missing)` is 1.
    Indicator(f64),
    /// The row is left out.
    Drop,
    /// An error.
    Refuse,
}

/// What happens to a missing category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CategoryMissing {
    /// Counts as "other".
    Other,
    /// A level of its own.
    Level,
    /// The row is left out.
    Drop,
    /// An error.
    Refuse,
}

/// Which categories have a level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Levels {
    /// These values, in this order, known to everybody.
    Declared(Vec<String>),
    /// Slots of a keyed hash, so that no value is ever sent.
    Slots {
        /// Number of slots.
        slots: u32,
        /// Slots with a level of their own, increasing.
        kept: Vec<u32>,
    },
}

impl Levels {
    /// Number of levels without "other" and "missing".
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Declared(values) => values.len(),
            Self::Slots { kept, .. } => kept.len(),
        }
    }

    /// Whether no category has a level.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The levels' names: the value, or `slot-17`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Declared(values) => values.clone(),
            Self::Slots { kept, .. } => kept.iter().map(|s| format!("slot-{s}")).collect(),
        }
    }

    /// Position of a value's level.
    pub(crate) fn position(
        &self,
        column: &str,
        value: &str,
        slot_of: &dyn Fn(&str, &str) -> u32,
    ) -> Option<usize> {
        match self {
            Self::Declared(values) => values.iter().position(|v| v == value),
            Self::Slots { kept, .. } => kept.binary_search(&slot_of(column, value)).ok(),
        }
    }

    pub(crate) fn check(&self, column: &str) -> Result<(), LearnError> {
        let sound = match self {
            Self::Declared(values) => {
                let mut sorted: Vec<_> = values.iter().collect();
                sorted.sort_unstable();
                sorted
                    .iter()
                    .zip(sorted.iter().skip(1))
                    .all(|(a, b)| a != b)
            }
            Self::Slots { slots, kept } => {
                kept.iter().zip(kept.iter().skip(1)).all(|(a, b)| a < b)
                    && kept.last().is_none_or(|last| last < slots)
            }
        };
        if sound {
            return Ok(());
        }
        Err(LearnError::column(
            column,
            "levels must be distinct; slots increasing and below their number",
        ))
    }
}

/// How the level of a category is written as features.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CategoryEncoding {
    /// One feature for each level: 1 for the row's, 0 for the others.
    #[default]
    OneHot,
    /// One feature, the level's number from 0, which looks up an embedding table (rule PR-09).
    Index,
}

impl CategoryEncoding {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How one column becomes features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnPrep {
    /// One feature, two with an indicator.
    Numeric {
        /// Column name.
        name: String,
        /// Values are first clamped to these public bounds.
        bounds: Option<(f64, f64)>,
        /// Scaling.
        scale: NumericScale,
        /// Missing values.
        missing: NumericMissing,
    },
    /// One level for each category, one for "other" and, if asked for, one for "missing", in this order.
    Category {
        /// Column name.
        name: String,
        /// Levels.
        levels: Levels,
        /// Missing values.
        missing: CategoryMissing,
        /// Features.
        #[serde(default, skip_serializing_if = "CategoryEncoding::is_default")]
        encoding: CategoryEncoding,
    },
}

impl ColumnPrep {
    /// Resolves what the job asks for with a summary.
    #[must_use]
    pub fn numeric(
        name: &str,
        scaling: Scaling,
        missing: Missing,
        summary: &NumericSummary,
    ) -> Self {
        let &NumericSummary {
            lo, hi, mean, std, ..
        } = summary;
        Self::Numeric {
            name: name.to_owned(),
            bounds: Some((lo, hi)),
            scale: match scaling {
                Scaling::Standard => NumericScale::Standard { mean, std },
                Scaling::MinMax => NumericScale::MinMax { lo, hi },
                Scaling::None => NumericScale::None,
            },
            missing: match missing {
                Missing::Mean => NumericMissing::Fill(mean),
                Missing::Indicator => NumericMissing::Indicator(mean),
                Missing::Drop => NumericMissing::Drop,
                Missing::Refuse => NumericMissing::Refuse,
            },
        }
    }

    /// Resolves what the job asks for with the levels.
    #[must_use]
    pub fn category(name: &str, levels: Levels, missing: Missing) -> Self {
        let missing = match missing {
            Missing::Mean => CategoryMissing::Other,
            Missing::Indicator => CategoryMissing::Level,
            Missing::Drop => CategoryMissing::Drop,
            Missing::Refuse => CategoryMissing::Refuse,
        };
        Self::Category {
            name: name.to_owned(),
            levels,
            missing,
            encoding: CategoryEncoding::OneHot,
        }
    }

    /// The same column with its categories written as `encoding`; numbers stay as they are.
    #[must_use]
    pub fn encoded(mut self, encoding: CategoryEncoding) -> Self {
        if let Self::Category { encoding: own, .. } = &mut self {
            *own = encoding;
        }
        self
    }

    /// The column's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Numeric { name, .. } | Self::Category { name, .. } => name,
        }
    }

    /// Names of the features it becomes: `age`, `age=(missing)`, `colour=red`, `colour=(other)`, ...; `colour` alone where it is
    /// an index.
    #[must_use]
    pub fn feature_names(&self) -> Vec<String> {
        match self {
            Self::Numeric { name, missing, .. } => {
                let mut names = vec![name.clone()];
                if let NumericMissing::Indicator(_) = missing {
                    names.push(format!("{name}={MISSING_LEVEL}"));
                }
                names
            }
            Self::Category {
                name,
                encoding: CategoryEncoding::Index,
                ..
            } => vec![name.clone()],
            Self::Category { .. } => self.level_names(),
        }
    }

    /// `colour=red`, `colour=(other)`, ...: every level of a category in order; none of a number.
    #[must_use]
    pub fn level_names(&self) -> Vec<String> {
        let Self::Category {
            name,
            levels,
            missing,
            ..
        } = self
        else {
            return Vec::new();
        };
        let mut names = levels.names();
        names.push(OTHER_LEVEL.to_owned());
        if *missing == CategoryMissing::Level {
            names.push(MISSING_LEVEL.to_owned());
        }
        names
            .iter()
            .map(|level| format!("{name}={level}"))
            .collect()
    }

    /// Levels of a category, "other" and "missing" among them, where it is an index: the rows of its embedding table.
    #[must_use]
    pub fn table_rows(&self) -> Option<usize> {
        match self {
            Self::Category {
                levels,
                missing,
                encoding: CategoryEncoding::Index,
                ..
            } => Some(levels_of(levels, *missing)),
            _ => None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), LearnError> {
        match self {
            Self::Category { name, levels, .. } => levels.check(name),
            Self::Numeric {
                name,
                bounds,
                scale,
                missing,
            } => {
                if let Some(bounds) = bounds {
                    check_range(name, *bounds)?;
                }
                let fill = match missing {
                    NumericMissing::Fill(v) | NumericMissing::Indicator(v) => v.is_finite(),
                    NumericMissing::Drop | NumericMissing::Refuse => true,
                };
                let sound = match scale {
                    NumericScale::Standard { mean, std } => {
                        mean.is_finite() && std.is_finite() && *std > 0.0
                    }
                    NumericScale::MinMax { lo, hi } => check_range(name, (*lo, *hi)).is_ok(),
                    NumericScale::None => true,
                };
                if fill && sound {
                    return Ok(());
                }
                Err(LearnError::column(
                    name,
                    "its scaling or fill value is not a usable number",
                ))
            }
        }
    }

    /// Appends the features of one row. `Ok(false)`: the row is to be left out (what was appended is to be dropped).
    pub(crate) fn encode(
        &self,
        column: &RawColumn,
        row: usize,
        slot_of: &dyn Fn(&str, &str) -> u32,
        out: &mut Vec<f32>,
    ) -> Result<bool, LearnError> {
        match self {
            Self::Numeric {
                name,
                bounds,
                scale,
                missing,
            } => {
                let value = column.number(row);
                let used = match (value, missing) {
                    (Some(v), _) => v,
                    (None, NumericMissing::Fill(v) | NumericMissing::Indicator(v)) => *v,
                    (None, NumericMissing::Drop) => return Ok(false),
                    (None, NumericMissing::Refuse) => return Err(refused(name, row)),
                };
                out.push(scaled(used, *bounds, *scale));
                if let NumericMissing::Indicator(_) = missing {
                    out.push(if value.is_none() { 1.0 } else { 0.0 });
                }
            }
            Self::Category {
                name,
                levels,
                missing,
                encoding,
            } => {
                let value = column.category(row);
                let others = levels.len();
                let hot = match (&value, missing) {
                    (Some(value), _) => levels.position(name, value, slot_of).unwrap_or(others),
                    (None, CategoryMissing::Other) => others,
                    (None, CategoryMissing::Level) => others + 1,
                    (None, CategoryMissing::Drop) => return Ok(false),
                    (None, CategoryMissing::Refuse) => return Err(refused(name, row)),
                };
                let width = levels_of(levels, *missing);
                match encoding {
                    CategoryEncoding::OneHot => {
                        out.extend((0..width).map(|i| if i == hot { 1.0_f32 } else { 0.0 }));
                    }
                    // Exact: a table has at most 2^20 rows.
                    CategoryEncoding::Index => out.push(hot as f32),
                }
            }
        }
        Ok(true)
    }
}

/// Levels of a category, "other" and "missing" among them.
fn levels_of(levels: &Levels, missing: CategoryMissing) -> usize {
    levels.len() + 1 + usize::from(missing == CategoryMissing::Level)
}

fn refused(name: &str, row: usize) -> LearnError {
    LearnError::column(
        name,
        format!(
            "row {} has no value; set missing = \"mean\", \"indicator\" or \"drop\", or fill it",
            row + 1
        ),
    )
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "features are stored in single precision; clamped to its range"
)]
fn scaled(x: f64, bounds: Option<(f64, f64)>, scale: NumericScale) -> f32 {
    let x = bounds.map_or(x, |(lo, hi)| x.clamp(lo, hi));
    let x = match scale {
        NumericScale::Standard { mean, std } => (x - mean) / std,
        NumericScale::MinMax { lo, hi } => (x - lo) / (hi - lo),
        NumericScale::None => x,
    };
    x.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// How the target column is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetPrep {
    /// Class labels; class `i` is the `i`-th level.
    Classes {
        /// Column name.
        name: String,
        /// At least two levels.
        levels: Levels,
    },
    /// A number, clamped to `bounds` and learnt as `(y - mean) / std`.
    Value {
        /// Column name.
        name: String,
        /// Public bounds.
        bounds: Option<(f64, f64)>,
        /// Subtracted.
        mean: f64,
        /// Divided by, above 0.
        std: f64,
    },
}

impl TargetPrep {
    /// The column's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Classes { name, .. } | Self::Value { name, .. } => name,
        }
    }

    /// Turns a predicted value back into the column's unit; unchanged for classes.
    #[must_use]
    pub fn original(&self, value: f64) -> f64 {
        match self {
            Self::Classes { .. } => value,
            Self::Value { mean, std, .. } => value * std + mean,
        }
    }

    pub(crate) fn check(&self) -> Result<(), LearnError> {
        match self {
            Self::Classes { name, levels } if levels.len() < 2 => Err(LearnError::column(
                name,
                "a class label needs at least two levels",
            )),
            Self::Classes { name, levels } => levels.check(name),
            Self::Value {
                name,
                mean,
                std,
                bounds,
            } => {
                if let Some(bounds) = bounds {
                    check_range(name, *bounds)?;
                }
                if mean.is_finite() && std.is_finite() && *std > 0.0 {
                    return Ok(());
                }
                Err(LearnError::column(
                    name,
                    "its mean or deviation is not a usable number",
                ))
            }
        }
    }

    /// The value learnt for a raw target number.
    pub(crate) fn standardise(y: f64, bounds: Option<(f64, f64)>, mean: f64, std: f64) -> f32 {
        scaled(y, bounds, NumericScale::Standard { mean, std })
    }
}
