//! Preparation at the source: what statistics a party contributes, and how its raw columns become features.

mod column;
mod raw;
mod statistics;
mod transform;

pub use column::{
    CategoryEncoding, CategoryMissing, ColumnPrep, Levels, MISSING_LEVEL, Missing, NumericMissing,
    NumericScale, OTHER_LEVEL, Scaling, TargetPrep,
};
pub use raw::{RawColumn, distinct_rows, row_key};
pub use statistics::{
    NUMERIC_FRACTION_BITS, NumericSummary, NumericSums, category_contribution, kept_slots,
    numeric_contribution, numeric_range, numeric_sensitivity,
};
pub use transform::{Preparation, Prepared};
