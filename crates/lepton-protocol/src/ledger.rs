//! The ledger: a party's record of privacy loss, and the one door through which every release is charged (FT-08, FT-09).
//!
//! [`Limit`] and [`admit`] keep one job within its goal; [`Book`] keeps all jobs together within the lifetime budgets of the data (docs/protocols/ledger.md).

mod amount;
mod book;
mod budget;
mod entry;
mod pace;
mod planned;

use lepton_dp::rdp::{Accountant, Event};
use lepton_dp::{Delta, Epsilon};
use serde::{Deserialize, Serialize};

pub use crate::job::Unit;
pub use amount::{Amount, Curve};
pub use book::{Block, Book, Job};
pub use budget::{Budget, BudgetError, Round, Shortfall, percent};
pub use entry::{Entry, FORMAT, Head, Reserved, Rows, What};
pub use pace::{Pace, Paced, Plan};
pub use planned::{Planned, cost as planned_cost, largest_epsilon, planned};

/// Which records of a data set a charge touches; the two sides compose in parallel (FT-03).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Training records.
    Training,
    /// Hold-out records.
    HoldOut,
}

/// One release to be charged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Charge {
    /// Which records it touches.
    pub side: Side,
    /// `survey`, `statistics`, `training`, `evaluation`, `final evaluation`.
    pub kind: String,
    /// Epoch of the job.
    pub epoch: u64,
    /// Exchange number.
    pub round: u64,
    /// Attempt.
    pub attempt: u32,
    /// The mechanism, as the coordinator with its colluders sees it.
    pub event: Event,
    /// How many times the mechanism runs (several private local steps).
    pub count: u64,
}

/// What may be spent on each side. Whoever asks for releases may choose each after seeing the ones before, so the Rényi order that decides is fixed for
/// each side beforehand (Feldman & Zrnic 2021).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Largest epsilon.
    pub epsilon: Epsilon,
    /// At this delta.
    pub delta: Delta,
    /// Order that decides for training records.
    pub training_order: u32,
    /// Order that decides for hold-out records.
    pub hold_out_order: u32,
}

impl Limit {
    fn order(&self, side: Side) -> u32 {
        match side {
            Side::Training => self.training_order,
            Side::HoldOut => self.hold_out_order,
        }
    }
}

/// A party's ledger for one data set.
pub trait Ledger: Send {
    /// Charges `charge`, durably, before anything of it is sampled. There is no way back: a crash or a lost attempt counts as spent.
    ///
    /// # Errors
    /// [`LedgerError::Exceeded`] when the limit would be passed (nothing is charged then); [`LedgerError::Store`] when it
    /// could not be made durable (nothing may be released then).
    fn reserve(&mut self, charge: &Charge) -> Result<(), LedgerError>;

    /// Everything charged so far, in order.
    fn charges(&self) -> &[Charge];
}

/// Why a charge was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LedgerError {
    /// The limit would be passed.
    #[error(
        "the privacy ledger refuses this {kind}: it would bring the epsilon of the {side} to {would_be} at delta {delta}, and the limit is {limit}; {spent} is spent"
    )]
    Exceeded {
        /// Kind of the charge.
        kind: String,
        /// `training records` or `hold-out records`.
        side: &'static str,
        /// Epsilon with the charge.
        would_be: String,
        /// Epsilon without it.
        spent: String,
        /// The limit.
        limit: String,
        /// Delta of all three.
        delta: f64,
    },
    /// The accountant cannot express it.
    #[error("the privacy loss of a {0} cannot be computed: {1}")]
    Arithmetic(String, String),
    /// A lifetime budget would be passed.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// It could not be written.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

impl Side {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Training => "training records",
            Self::HoldOut => "hold-out records",
        }
    }
}

/// Composition of all charges on one side.
///
/// # Errors
/// [`LedgerError::Arithmetic`] if an event is out of the accountant's range.
pub fn accountant_of<'c>(
    charges: impl IntoIterator<Item = &'c Charge>,
    side: Side,
) -> Result<Accountant, LedgerError> {
    let mut grouped: Vec<(&Charge, u64)> = Vec::new();
    for charge in charges.into_iter().filter(|charge| charge.side == side) {
        match grouped.last_mut() {
            // Rounds are alike: one addition for many saves most of the work.
            Some((last, count)) if last.event == charge.event => *count += charge.count,
            _ => grouped.push((charge, charge.count)),
        }
    }
    let mut total = Accountant::new();
    for (charge, count) in grouped {
        total
            .add(&charge.event, count)
            .map_err(|error| LedgerError::Arithmetic(charge.kind.clone(), error.to_string()))?;
    }
    Ok(total)
}

/// Decides whether `charge` still fits after `spent` under `limit`: the arithmetic every implementation shares.
///
/// # Errors
/// [`LedgerError::Exceeded`] or [`LedgerError::Arithmetic`].
pub fn admit(
    spent: &Accountant,
    charge: &Charge,
    limit: &Limit,
) -> Result<Accountant, LedgerError> {
    let arithmetic =
        |error: lepton_dp::DpError| LedgerError::Arithmetic(charge.kind.clone(), error.to_string());
    let mut total = spent.clone();
    total.add(&charge.event, charge.count).map_err(arithmetic)?;
    let order = limit.order(charge.side);
    let would_be = total.epsilon_by(order, limit.delta);
    if would_be > limit.epsilon.get() {
        return Err(LedgerError::Exceeded {
            kind: charge.kind.clone(),
            side: charge.side.words(),
            would_be: upward(would_be),
            spent: upward(spent.epsilon_by(order, limit.delta)),
            limit: limit.epsilon.get().to_string(),
            delta: rounded(limit.delta.get()),
        });
    }
    Ok(total)
}

/// Seven digits, for a reader: what noise from tables takes of a delta (FT-22) is far less.
fn rounded(delta: f64) -> f64 {
    format!("{delta:.6e}").parse().unwrap_or(delta)
}

/// Three digits, rounded up.
fn upward(epsilon: f64) -> String {
    Epsilon::new(epsilon).map_or_else(|_| "0".to_owned(), |epsilon| format!("{epsilon:.3}"))
}
