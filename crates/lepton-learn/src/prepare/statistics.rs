//! Integer contributions to the statistics that preparation needs. Every record is rounded on its own and integers are added,
//! so the sums do not depend on how rows are split over parties.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::error::LearnError;
use crate::prepare::raw::RawColumn;

/// Fraction bits of the statistics: one row counts 2^20.
pub const NUMERIC_FRACTION_BITS: u8 = 20;

/// One row in fixed point.
const ONE: i64 = 1 << NUMERIC_FRACTION_BITS;

/// Sums over the rows of one numeric column, in fixed point with [`NUMERIC_FRACTION_BITS`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumericSums {
    /// All rows.
    pub rows: i64,
    /// Rows without a value.
    pub missing: i64,
    /// Sum of `u = clamp((x - lo) / (hi - lo), 0, 1) - 1/2` over rows with a value.
    pub sum: i64,
    /// Sum of `u^2`.
    pub sum_squares: i64,
}

impl NumericSums {
    /// In the order rows, missing, sum, sum of squares.
    #[must_use]
    pub fn to_vec(self) -> [i64; 4] {
        [self.rows, self.missing, self.sum, self.sum_squares]
    }
}

impl AddAssign for NumericSums {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.missing += other.missing;
        self.sum += other.sum;
        self.sum_squares += other.sum_squares;
    }
}

/// What the preparation of a numeric column needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumericSummary {
    /// Public lower bound.
    pub lo: f64,
    /// Public upper bound.
    pub hi: f64,
    /// Mean of the clamped values; the middle of the range when there are none.
    pub mean: f64,
    /// Population standard deviation of the clamped values, at least 2^-12 of the range.
    pub std: f64,
    /// Share of rows without a value, in `[0, 1]`.
    pub missing: f64,
}

impl NumericSummary {
    /// Mean and deviation from summed (possibly noisy) contributions in the order of [`NumericSums::to_vec`], still in fixed
    /// point. Noise cannot make the result unusable: every figure is brought back into its possible range.
    #[must_use]
    pub fn from_sums(sums: [f64; 4], range: (f64, f64)) -> Self {
        let (lo, hi) = range;
        let one = ONE as f64;
        let [rows, missing, sum, squares] = sums.map(|s| s / one);
        let rows = rows.max(1.0);
        let missing = (missing / rows).clamp(0.0, 1.0);
        let present = (rows * (1.0 - missing)).max(1.0);
        let mean = (sum / present).clamp(-0.5, 0.5);
        let variance = (squares / present - mean * mean).clamp(0.0, 0.25);
        let least = 1.0 / 4096.0;
        Self {
            lo,
            hi,
            mean: lo + (mean + 0.5) * (hi - lo),
            std: variance.sqrt().max(least) * (hi - lo),
            missing,
        }
    }
}

/// L2 sensitivity (one record added or removed) of one column's [`NumericSums::to_vec`], in fixed-point units: a record adds
/// one row and either one missing or `u` and `u^2`, so at most `sqrt(2) * 2^20`.
#[must_use]
pub fn numeric_sensitivity() -> f64 {
    // Rounding u and u^2 adds less than one unit each, far from the case of a missing value, which is the worst.
    std::f64::consts::SQRT_2 * ONE as f64
}

/// One party's contribution for a numeric column.
///
/// # Errors
/// [`LearnError::Column`] for a category column or a range that is not finite and increasing.
pub fn numeric_contribution(
    column: &RawColumn,
    range: (f64, f64),
) -> Result<NumericSums, LearnError> {
    let RawColumn::Numeric { name, .. } = column else {
        return Err(LearnError::column(
            column.name(),
            "holds categories; numbers are needed",
        ));
    };
    let (lo, hi) = check_range(name, range)?;
    let mut sums = NumericSums::default();
    for row in 0..column.len() {
        sums.rows += ONE;
        match column.number(row) {
            None => sums.missing += ONE,
            Some(x) => {
                let u = ((x - lo) / (hi - lo)).clamp(0.0, 1.0) - 0.5;
                sums.sum += fixed(u);
                sums.sum_squares += fixed(u * u);
            }
        }
    }
    Ok(sums)
}

/// Smallest and largest value, widened to a proper range; `None` without values. Exact, hence private: publish it only where
/// no privacy goal is set.
#[must_use]
pub fn numeric_range(column: &RawColumn) -> Option<(f64, f64)> {
    let values = (0..column.len()).filter_map(|row| column.number(row));
    let (lo, hi) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| {
        (lo.min(v), hi.max(v))
    });
    match (lo <= hi, hi > lo) {
        (false, _) => None,
        (true, true) => Some((lo, hi)),
        (true, false) => Some((lo - 0.5, hi + 0.5)),
    }
}

/// One party's count of each slot of a category column, then the count of missing values: `slots + 1` integers. A record
/// changes exactly one of them by 1.
///
/// # Errors
/// [`LearnError::Column`] when `slot_of` gives a slot that does not exist.
pub fn category_contribution(
    column: &RawColumn,
    slots: u32,
    slot_of: &dyn Fn(&str, &str) -> u32,
) -> Result<Vec<i64>, LearnError> {
    let mut counts = vec![0_i64; slots as usize + 1];
    for row in 0..column.len() {
        let slot = match column.category(row) {
            Some(value) => match slot_of(column.name(), &value) {
                slot if slot < slots => slot,
                slot => {
                    return Err(LearnError::column(
                        column.name(),
                        format!("slot {slot} is not below {slots}"),
                    ));
                }
            },
            None => slots,
        };
        if let Some(count) = counts.get_mut(slot as usize) {
            *count += 1;
        }
    }
    Ok(counts)
}

/// The slots whose (possibly noisy) count reaches `least`, at most `most` of them, the most frequent first chosen, in
/// increasing order. `counts` without the last entry of [`category_contribution`] (missing).
#[must_use]
pub fn kept_slots(counts: &[f64], least: f64, most: usize) -> Vec<u32> {
    let mut found: Vec<(u32, f64)> = (0_u32..)
        .zip(counts.iter().copied())
        .filter(|&(_, c)| c >= least)
        .collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.truncate(most);
    let mut slots: Vec<u32> = found.into_iter().map(|(slot, _)| slot).collect();
    slots.sort_unstable();
    slots
}

pub(crate) fn check_range(name: &str, (lo, hi): (f64, f64)) -> Result<(f64, f64), LearnError> {
    if lo < hi && (hi - lo).is_finite() {
        return Ok((lo, hi));
    }
    Err(LearnError::column(
        name,
        format!("the bounds {lo} .. {hi} are not an increasing finite range"),
    ))
}

/// Nearest fixed-point integer of a number in [-1, 1].
#[expect(
    clippy::cast_possible_truncation,
    reason = "|u| <= 1, so the product is far below 2^53"
)]
fn fixed(u: f64) -> i64 {
    (u * ONE as f64).round_ties_even() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: Vec<Option<f64>>) -> RawColumn {
        RawColumn::Numeric {
            name: "x".into(),
            values,
        }
    }

    #[test]
    fn summed_contributions_give_mean_and_deviation_whatever_the_partition() {
        let values: Vec<_> = (0..1000)
            .map(|i| {
                if i % 10 == 0 {
                    None
                } else {
                    Some(f64::from(i % 37))
                }
            })
            .collect();
        let whole = numeric_contribution(&column(values.clone()), (0.0, 40.0)).unwrap();
        let mut parts = NumericSums::default();
        for part in values.chunks(77) {
            parts += numeric_contribution(&column(part.to_vec()), (0.0, 40.0)).unwrap();
        }
        assert_eq!(whole, parts);
        let summary = NumericSummary::from_sums(whole.to_vec().map(|v| v as f64), (0.0, 40.0));
        let present: Vec<f64> = values.iter().copied().flatten().collect();
        let mean = present.iter().sum::<f64>() / present.len() as f64;
        let variance =
            present.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / present.len() as f64;
        assert!((summary.mean - mean).abs() < 1e-4 && (summary.std - variance.sqrt()).abs() < 1e-4);
        assert!((summary.missing - 0.1).abs() < 1e-12);
    }

    #[test]
    fn one_record_stays_within_the_sensitivity() {
        for value in [
            None,
            Some(-1e300),
            Some(1e-6),
            Some(0.3),
            Some(1e300),
            Some(f64::NAN),
        ] {
            let one = numeric_contribution(&column(vec![value]), (0.0, 1.0)).unwrap();
            let norm = one
                .to_vec()
                .iter()
                .map(|&v| (v as f64).powi(2))
                .sum::<f64>()
                .sqrt();
            assert!(norm <= numeric_sensitivity());
            // With the missing marker halved and the row count sent once for all columns: PR-06.
            let column = [one.missing / 2, one.sum, one.sum_squares];
            let squared: i64 = column.iter().map(|v| v * v).sum();
            assert!(squared <= ONE * ONE / 16 * 5);
        }
    }

    #[test]
    fn noise_cannot_break_a_summary() {
        let s = NumericSummary::from_sums([-5e6, 9e9, 1e12, -4e9], (0.0, 2.0));
        assert!(s.mean.is_finite() && s.std > 0.0 && (0.0..=1.0).contains(&s.missing));
    }

    #[test]
    fn frequent_slots_are_kept_in_order() {
        assert_eq!(kept_slots(&[3.0, 10.0, -2.0, 7.0, 10.0], 3.0, 3), [1, 3, 4]);
    }
}
