//! A lifetime budget and why something does not fit it (LG-01, LG-02).

use std::fmt;

use lepton_dp::{Delta, Epsilon};
use serde::{Deserialize, Serialize};

use super::amount::{Amount, best_order};
use super::pace::{Pace, Paced, Plan};
use crate::job::Unit;
use crate::noise::lifetime_delta;

/// What may be lost about a block of records, ever. The order that decides is fixed with it (Feldman & Zrnic 2021).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    unit: Unit,
    epsilon: Epsilon,
    delta: Delta,
    order: u32,
    capacity: Amount,
    warn_at: f64,
    #[serde(default, skip_serializing_if = "Plan::is_none")]
    plan: Plan,
}

impl Budget {
    /// Part of a budget that may be spent before its owner is warned.
    pub const WARN_AT: f64 = 0.8;

    /// A budget of `epsilon` at `delta`; a warning is due when `warn_at` of it is spent.
    ///
    /// # Errors
    /// [`BudgetError::Hopeless`] when no order of the accountant shows so small an epsilon; [`BudgetError::Use`] for a `warn_at` outside of 0 to 1.
    pub fn new(
        unit: Unit,
        (epsilon, delta): (Epsilon, Delta),
        warn_at: f64,
    ) -> Result<Self, BudgetError> {
        let warn_at = warning(warn_at)?;
        let found = best_order(epsilon, lifetime_delta(epsilon, delta));
        let (order, capacity) = found.ok_or(BudgetError::Hopeless {
            epsilon: epsilon.get(),
            delta: delta.get(),
        })?;
        Ok(Self {
            unit,
            epsilon,
            delta,
            order,
            capacity,
            warn_at,
            plan: Plan::default(),
        })
    }

    /// The same budget, spent as planned: never more than the budget, and never faster than the plan, which takes the place of any before (LG-13). Its owner
    /// is warned at another part of it, where one is given.
    ///
    /// # Errors
    /// [`BudgetError::Use`] for a part that is not above 0 and at most 1, or a period of no days.
    pub fn with_plan(mut self, wanted: &[Pace], warn_at: Option<f64>) -> Result<Self, BudgetError> {
        self.plan = Plan::default();
        self.warn_at = warning(warn_at.unwrap_or(self.warn_at))?;
        for pace in wanted {
            let part = match pace {
                Pace::Job { part } | Pace::Period { part, .. } => *part,
            };
            let amount = self.part(part)?;
            match pace {
                Pace::Job { .. } => self.plan.job = Some(amount),
                Pace::Period { days: 0, .. } => {
                    return Err(BudgetError::Use("a period has at least one day".to_owned()));
                }
                Pace::Period { days, .. } => self.plan.period = Some((amount, *days)),
            }
        }
        Ok(self)
    }

    /// A budget of other numbers, for the same unit, with the same warnings and the plan in proportion.
    ///
    /// # Errors
    /// As [`Budget::new`].
    pub fn resized(&self, numbers: (Epsilon, Delta)) -> Result<Self, BudgetError> {
        let new = Self::new(self.unit, numbers, self.warn_at)?;
        let scaled = |amount: Amount| {
            let product = u128::from(amount.units()) * u128::from(new.capacity.units());
            let units = product / u128::from(self.capacity.units().max(1));
            Amount::from_units(u64::try_from(units).unwrap_or(u64::MAX))
        };
        let plan = Plan {
            job: self.plan.job.map(scaled),
            period: self
                .plan
                .period
                .map(|(amount, days)| (scaled(amount), days)),
        };
        Ok(Self { plan, ..new })
    }

    /// Part of it that may be spent before its owner is warned.
    #[must_use]
    pub const fn warn_at(&self) -> f64 {
        self.warn_at
    }

    /// A part of the capacity, rounded down.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "below 2^53, and between nothing and the whole"
    )]
    fn part(&self, part: f64) -> Result<Amount, BudgetError> {
        if part > 0.0 && part <= 1.0 {
            let units = self.capacity.units() as f64 * part;
            return Ok(Amount::from_units(units.floor() as u64));
        }
        Err(BudgetError::Use(format!(
            "a plan spends a part of the budget above 0 and at most 1, and {part} is not"
        )))
    }

    /// How fast it may be spent.
    #[must_use]
    pub const fn plan(&self) -> Plan {
        self.plan
    }

    /// What is protected.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// Largest epsilon.
    #[must_use]
    pub const fn epsilon(&self) -> Epsilon {
        self.epsilon
    }

    /// At this delta.
    #[must_use]
    pub const fn delta(&self) -> Delta {
        self.delta
    }

    /// Order that decides.
    #[must_use]
    pub const fn order(&self) -> u32 {
        self.order
    }

    /// Divergence of that order that may be spent: epsilon at delta less the share of 2^56 draws from tables, or half of delta where that is less; beyond it (epsilon above 22 at delta 1e-5) epsilon and delta are those of noise of the exact law (FT-22).
    #[must_use]
    pub const fn capacity(&self) -> Amount {
        self.capacity
    }

    /// Whether the owner is to be warned when this much is spent.
    #[must_use]
    pub fn is_low(&self, spent: Amount) -> bool {
        self.is_near(spent, self.capacity)
    }

    /// Whether `spent` is as near to `limit` as its owner wants to be warned at.
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    pub(super) fn is_near(&self, spent: Amount, limit: Amount) -> bool {
        spent.units() as f64 >= limit.units() as f64 * self.warn_at
    }

    /// Whether the numbers follow from epsilon and delta: a stored budget was not given another capacity by hand.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let exact = lifetime_delta(self.epsilon, self.delta);
        self.capacity.epsilon(self.order, exact) <= self.epsilon.get()
    }
}

fn warning(at: f64) -> Result<f64, BudgetError> {
    if (0.0..=1.0).contains(&at) {
        return Ok(at);
    }
    Err(BudgetError::Use(format!(
        "a warning at {at} of a budget makes no sense; give a part from 0 to 1, such as 0.8"
    )))
}

/// What a request lacked.
#[derive(Debug, Clone, PartialEq)]
pub struct Shortfall {
    /// The data set, by its names.
    pub data: String,
    /// What was asked for.
    pub what: String,
    /// Its budget.
    pub budget: Budget,
    /// Spent and reserved before.
    pub spent: Amount,
    /// What the request costs.
    pub needed: Amount,
    /// The largest epsilon that a job like the one asked for may have, at the delta it asked for; zero where none fits.
    pub largest_epsilon: Option<f64>,
}

impl Shortfall {
    /// What is left.
    #[must_use]
    pub fn remaining(&self) -> Amount {
        self.budget.capacity.minus(self.spent)
    }

    /// How many requests of this cost would still fit.
    #[must_use]
    pub fn further(&self) -> u64 {
        self.remaining().units() / self.needed.units().max(1)
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let budget = &self.budget;
        write!(
            f,
            "the privacy budget of {} refuses {}: {} of its {} (epsilon {} at delta {}) is left and this needs {}",
            self.data,
            self.what,
            percent(self.remaining(), budget.capacity, Round::Down),
            percent(budget.capacity, budget.capacity, Round::Down),
            budget.epsilon.get(),
            budget.delta.get(),
            percent(self.needed, budget.capacity, Round::Up),
        )?;
        match self.largest_epsilon {
            Some(largest) if largest > 0.0 => write!(
                f,
                "; the largest privacy.epsilon of this job that still fits is {largest}"
            ),
            Some(_) => write!(f, "; no epsilon of this job fits any more"),
            None => write!(f, "; {} such requests still fit", self.further()),
        }
    }
}

/// Which way a shown figure is rounded: what is left down, what is spent up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// What is left.
    Down,
    /// What is spent or needed.
    Up,
}

/// A part of a budget in per cent with one decimal.
#[must_use]
pub fn percent(part: Amount, whole: Amount, round: Round) -> String {
    if part == Amount::UNBOUNDED {
        return "more than any budget".to_owned();
    }
    let (part, whole) = (
        u128::from(part.units()) * 1000,
        u128::from(whole.units().max(1)),
    );
    let tenths = match round {
        Round::Down => part / whole,
        Round::Up => part.div_ceil(whole),
    };
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// Why the ledger refuses. Nothing was changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BudgetError {
    /// The budget would be passed.
    #[error("{0}")]
    Exceeded(Box<Shortfall>),
    /// Exact sums.
    #[error(
        "job `{0}` has no privacy goal: its exact sums cost more than any budget; give it a [privacy] table, or run it without a ledger"
    )]
    NoGoal(String),
    /// Nobody set a budget.
    #[error(
        "no privacy budget covers {0}; its owner sets one with `lepton budget set --ledger {1} --data NAME --table {2} --epsilon 10 --delta 1e-5`"
    )]
    NoBudget(String, String, String),
    /// The rows have a budget already.
    #[error(
        "{shared} of the {rows} rows are in data set `{data}` already, which has its budget; under any name they are charged to it. New rows get a block of their own with `lepton budget renew --data {data}`"
    )]
    Known {
        /// The data set that holds them.
        data: String,
        /// Rows in common.
        shared: usize,
        /// Rows of the table.
        rows: usize,
    },
    /// Nothing to renew.
    #[error(
        "all {0} rows are in this ledger already; a budget is renewed only for rows that are new to it"
    )]
    NoNewRows(usize),
    /// The name is not known.
    #[error("there is no data set `{name}` in this ledger{}", nearest_words(.nearest))]
    NoSuchData {
        /// As asked for.
        name: String,
        /// The nearest known name.
        nearest: Option<String>,
    },
    /// The name is taken.
    #[error(
        "data set `{0}` has a budget already, which is for life; new rows get a block of their own with `lepton budget renew --data {0}`"
    )]
    Taken(String),
    /// No order shows so small an epsilon.
    #[error(
        "no accountant can show an epsilon of {epsilon} at delta {delta}; give a larger epsilon or a larger delta"
    )]
    Hopeless {
        /// Epsilon.
        epsilon: f64,
        /// Delta.
        delta: f64,
    },
    /// The same release again, or one of a job that has ended.
    #[error(
        "the ledger refuses {0}: {1}; a release is charged once, before it is sampled, and a new attempt is a new release"
    )]
    Repeated(String, &'static str),
    /// Noise that can be computed is no noise.
    #[error(
        "job `{0}` draws masks and noise from job.insecure_seed, so that whoever knows the job can take the noise off again: no budget covers it; leave insecure_seed out, or run without --ledger"
    )]
    Seeded(String),
    /// A run that goes on with other rows.
    #[error(
        "the rows of {0} now lie in data sets that it set nothing aside on; start a new run, or restore the table"
    )]
    Moved(String),
    /// What others hear of a refusal: how much is left is the owner's business (LG-11).
    #[error("its lifetime privacy budget does not cover this")]
    Withheld,
    /// The job protects less than the budget's owner asked for.
    #[error(
        "{title} protects each {}, and the budget of `{data}` is for each {}: a guarantee for the smaller says nothing about the larger (a person may have many records); give the job privacy.unit = \"{}\"", .has, .wants, .wants
    )]
    Unit {
        /// The job.
        title: String,
        /// The data set.
        data: String,
        /// What the job protects.
        has: Unit,
        /// What the budget protects.
        wants: Unit,
    },
    /// What a unit of the budget has is at several parties of the job.
    #[error("{0}")]
    Spread(String),
    /// The plan is to spend no faster.
    #[error(transparent)]
    Paced(Box<Paced>),
    /// Wrong use.
    #[error("{0}")]
    Use(String),
}

impl BudgetError {
    /// Whether a budget forbade what was asked, as opposed to a wrong name or number.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::Use(_) | Self::NoSuchData { .. } | Self::Hopeless { .. } | Self::Taken(_)
        )
    }
}

fn nearest_words(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(
        || "; `lepton budget show` lists them".to_owned(),
        |name| format!("; did you mean `{name}`?"),
    )
}
