//! Adjacency and the sensitivity of what is summed (rules AC-02 and AC-03), and of common queries (rules ME-09 to ME-12).

pub(crate) mod outward;
mod query;

use serde::{Deserialize, Serialize};

pub use query::{Bounds, Contribution, Neighbours, Sensitivity, Unit};

/// Which two data sets count as neighbours.
///
/// [`crate::Accountant`] states its guarantee for add-remove; the stand-alone accountants ([`crate::compose`]) take the adjacency from the plan. Who needs replace-one (the
/// number of records is public) of a release accounted by the former calibrates noise *without sampling* to the sensitivity under replace-one, and has to state so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Adjacency {
    /// One data set is the other plus one unit of privacy (a record, a person, a party).
    #[default]
    AddRemove,
    /// One unit of privacy has other values in one data set than in the other.
    ReplaceOne,
}

/// L2 sensitivity under replace-one, given the one under add-remove: twice as much, since a replacement is a removal
/// and an addition whose contributions may point in opposite directions.
///
/// It may be used with unsampled Gaussian events only. The accountant for Poisson-sampled events is for add-remove;
/// doubling the sensitivity is not enough to carry it over.
#[must_use]
pub fn replace_one_sensitivity(add_remove: f64) -> f64 {
    2.0 * add_remove
}

/// Upper bound on the L2 sensitivity, in grid steps, of an integer vector obtained by rounding a sum of clipped vectors
/// once: `scale_times_clip * (1 + eta) + sqrt(dims)`, rounded up.
///
/// `scale_times_clip` is the clipping norm times the grid's steps per unit; `eta` bounds the relative error by which a
/// clipped vector computed in floating point may exceed the clip, and by which one record changes the float sum beyond it. Adding or removing a
/// record moves the real sum by at most `scale_times_clip * (1 + eta)`; rounding each coordinate of both sums to nearest (or both
/// down, both up, or as `floor(v + u)` with the same data-independent `u`) adds at most 1 per coordinate in total, hence `sqrt(dims)`.
/// Independent random rounding of the two sums is not covered.
///
/// Returns infinity, which no noise hides, when an argument is negative or not a number.
#[must_use]
pub fn round_sensitivity(scale_times_clip: f64, eta: f64, dims: usize) -> f64 {
    if !(scale_times_clip >= 0.0 && eta >= 0.0) {
        return f64::INFINITY;
    }
    let clipped = (scale_times_clip * (1.0 + eta).next_up()).next_up();
    let rounding = (dims as f64).next_up().sqrt().next_up();
    (clipped + rounding).next_up()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        let bound = round_sensitivity(1024.0, 0.0, 100);
        assert!((1034.0..1034.001).contains(&bound));
        assert_eq!(replace_one_sensitivity(1.5), 3.0);
        assert_eq!(round_sensitivity(-1.0, 0.0, 3), f64::INFINITY);
        assert_eq!(round_sensitivity(1.0, f64::NAN, 3), f64::INFINITY);
    }

    proptest! {
        /// AC-03: a rounded sum never moves by more than the bound.
        #[test]
        fn rounding_once_stays_below(rest in proptest::collection::vec(-1e6f64..1e6, 8), record in proptest::collection::vec(-1f64..1.0, 8)) {
            let norm = record.iter().map(|x| x * x).sum::<f64>().sqrt();
            let moved: f64 = rest.iter().zip(&record).map(|(a, x)| ((a + x).round_ties_even() - a.round_ties_even()).powi(2)).sum::<f64>().sqrt();
            prop_assert!(moved <= round_sensitivity(norm, 1e-9, 8));
        }
    }
}
