//! How far one unit of privacy moves a query whose contributions are bounded (ME-09 to ME-12).

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::Adjacency;
use super::outward::{difference_up, product_up, root_up};
use crate::DpError;

/// What one guarantee protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// One record.
    Record,
    /// All records of one person.
    Person {
        /// The most records a person may have. The product must enforce it (by dropping the rest), not assume it.
        max_records: NonZeroU32,
    },
    /// A whole party, which contributes once: bounds are on its contribution, however many records went into it.
    Party,
}

/// Which data sets count as neighbours: by how much of what they differ.
///
/// * Add-remove: one has a unit more, that is one record, one party, or a person with up to `max_records` records.
/// * Replace-one: a record, or a party's contribution, has other values (their number is the same); a person's records, from none to
///   `max_records` of them, are any others, from none to `max_records`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbours {
    /// What is protected.
    pub unit: Unit,
    /// How neighbours differ.
    pub adjacency: Adjacency,
}

/// The interval every record's value is clamped to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    lower: f64,
    upper: f64,
}

/// Bounds on the vector that one record contributes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contribution {
    l0: u32,
    linf: f64,
    l1: f64,
    l2: f64,
}

/// Upper bounds on the norms of the difference of a query's answers on neighbours. Each is attained (to the rounding of `f64`) unless the method that made it
/// says otherwise; all at once they need not be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sensitivity {
    /// Coordinates that change.
    pub l0: u64,
    /// Sum of the absolute changes.
    pub l1: f64,
    /// Euclidean norm of the change.
    pub l2: f64,
    /// Largest change of a coordinate.
    pub linf: f64,
}

impl Bounds {
    /// An interval.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] unless both ends are finite and `lower <= upper`.
    pub fn new(lower: f64, upper: f64) -> Result<Self, DpError> {
        let refuse = |what, range, value| Err(DpError::OutOfRange { what, range, value });
        if !lower.is_finite() {
            return refuse("the lower bound", "finite", lower);
        }
        if !(upper.is_finite() && upper >= lower) {
            return refuse("the upper bound", "finite and not below the lower", upper);
        }
        Ok(Self { lower, upper })
    }

    /// The value, or the end nearest to it; what is not a number becomes the upper end.
    #[must_use]
    pub fn clamp(self, value: f64) -> f64 {
        value.min(self.upper).max(self.lower)
    }

    /// Bounds of the squares, rounded outwards.
    fn squared(self) -> Self {
        let largest = self.lower.abs().max(self.upper.abs());
        let straddles = self.lower <= 0.0 && self.upper >= 0.0;
        let smallest = self.lower.abs().min(self.upper.abs());
        let below = (smallest * smallest).next_down().max(0.0);
        let exact = smallest.mul_add(smallest, -(smallest * smallest)) == 0.0;
        Self {
            lower: match (straddles, exact) {
                (true, _) => 0.0,
                (false, true) => smallest * smallest,
                (false, false) => below,
            },
            upper: product_up(largest, largest),
        }
    }
}

impl Contribution {
    /// A vector with at most `l0` coordinates that are not zero, each at most `linf` in magnitude.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for a negative or infinite `linf`.
    pub fn sparse(l0: u32, linf: f64) -> Result<Self, DpError> {
        let linf = norm(linf)?;
        Ok(Self {
            l0,
            linf,
            l1: product_up(f64::from(l0), linf),
            l2: product_up(root_up(f64::from(l0)), linf),
        })
    }

    /// A vector of `dims` coordinates clipped to the Euclidean norm `l2`.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for a negative or infinite norm.
    pub fn clipped(dims: u32, l2: f64) -> Result<Self, DpError> {
        let l2 = norm(l2)?;
        Ok(Self {
            l0: dims,
            linf: l2,
            l1: product_up(root_up(f64::from(dims)), l2),
            l2,
        })
    }

    /// A vector of `dims` coordinates clipped to the sum `l1` of its magnitudes.
    ///
    /// # Errors
    /// [`DpError::OutOfRange`] for a negative or infinite norm.
    pub fn clipped_l1(dims: u32, l1: f64) -> Result<Self, DpError> {
        let l1 = norm(l1)?;
        Ok(Self {
            l0: dims,
            linf: l1,
            l1,
            l2: l1,
        })
    }
}

impl Sensitivity {
    /// Of one number that moves by at most `change`.
    fn scalar(change: f64) -> Self {
        Self {
            l0: u64::from(change > 0.0),
            l1: change,
            l2: change,
            linf: change,
        }
    }

    /// Of several queries answered together with one vector of noise: an upper bound, attained when one unit can move all of them most at once.
    #[must_use]
    pub fn joint(parts: &[Self]) -> Self {
        let none = Self::scalar(0.0);
        let joined = parts.iter().fold(none, |all, part| Self {
            l0: all.l0 + part.l0,
            l1: add_up(all.l1, part.l1),
            l2: add_up(all.l2, product_up(part.l2, part.l2)),
            linf: all.linf.max(part.linf),
        });
        Self {
            l2: root_up(joined.l2),
            ..joined
        }
    }
}

impl Neighbours {
    /// Of a sum of clamped values (ME-10).
    #[must_use]
    pub fn sum(self, bounds: Bounds) -> Sensitivity {
        let Bounds { lower, upper } = bounds;
        let change = match (self.adjacency, self.unit) {
            (Adjacency::AddRemove, _) => product_up(self.records(), lower.abs().max(upper.abs())),
            (Adjacency::ReplaceOne, Unit::Record | Unit::Party) => difference_up(upper, lower),
            (Adjacency::ReplaceOne, Unit::Person { .. }) => {
                let range = difference_up(upper.max(0.0), lower.min(0.0));
                product_up(self.records(), range)
            }
        };
        Sensitivity::scalar(change)
    }

    /// Of the number of records (of parties, where the unit is a party): 0 where replace-one makes it public (ME-10).
    #[must_use]
    pub fn count(self) -> Sensitivity {
        self.sum(Bounds {
            lower: 1.0,
            upper: 1.0,
        })
    }

    /// Of the two numbers that make a mean, sum and count: both get noise, and the quotient is taken after it (ME-11).
    #[must_use]
    pub fn mean(self, bounds: Bounds) -> [Sensitivity; 2] {
        [self.sum(bounds), self.count()]
    }

    /// Of the three numbers that make a variance, the sum, the sum of squares and the count: all get noise, and the variance is computed after it (ME-11).
    #[must_use]
    pub fn variance(self, bounds: Bounds) -> [Sensitivity; 3] {
        [self.sum(bounds), self.sum(bounds.squared()), self.count()]
    }

    /// Of the counts of records in each of `bins` bins, every record in one of them (ME-12).
    #[must_use]
    pub fn histogram(self, bins: NonZeroU32) -> Sensitivity {
        let records = self.records();
        let most = |bins_touched: u64| u64::from(bins.get()).min(bins_touched);
        let m = u64::from(self.max_records());
        let alone = Sensitivity {
            l0: most(m),
            l1: records,
            l2: records,
            linf: records,
        };
        match (self.adjacency, self.unit) {
            (Adjacency::AddRemove, _) => alone,
            (Adjacency::ReplaceOne, Unit::Record | Unit::Party) if bins.get() == 1 => {
                Sensitivity::scalar(0.0)
            }
            (Adjacency::ReplaceOne, _) if bins.get() == 1 => alone,
            // All records leave one bin for another; or, for l0, each leaves and enters a bin of its own.
            (Adjacency::ReplaceOne, _) => Sensitivity {
                l0: most(2 * m),
                l1: 2.0 * records,
                l2: product_up(root_up(2.0), records),
                linf: records,
            },
        }
    }

    /// Of a sum of vectors, each bounded by `contribution` (ME-12): as often as a neighbour's records may leave and enter.
    #[must_use]
    pub fn vector_sum(self, contribution: Contribution, dims: u32) -> Sensitivity {
        let sides = match self.adjacency {
            Adjacency::AddRemove => 1,
            Adjacency::ReplaceOne => 2,
        };
        let times = sides * u64::from(self.max_records());
        let scaled = |norm| product_up(times as f64, norm);
        Sensitivity {
            l0: u64::from(dims).min(times * u64::from(contribution.l0)),
            l1: scaled(contribution.l1),
            l2: scaled(contribution.l2),
            linf: scaled(contribution.linf),
        }
    }

    fn max_records(self) -> u32 {
        match self.unit {
            Unit::Record | Unit::Party => 1,
            Unit::Person { max_records } => max_records.get(),
        }
    }

    fn records(self) -> f64 {
        f64::from(self.max_records())
    }
}

/// A sum of numbers that are not negative, rounded up.
fn add_up(left: f64, right: f64) -> f64 {
    difference_up(left, -right)
}

fn norm(value: f64) -> Result<f64, DpError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(value);
    }
    Err(DpError::OutOfRange {
        what: "a norm",
        range: "finite and at least 0",
        value,
    })
}
