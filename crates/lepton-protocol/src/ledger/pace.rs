//! How fast a budget may be spent (LG-13). A plan is its owner's will and no guarantee: the budget itself holds whatever the clock says.

use serde::{Deserialize, Serialize};

use super::amount::Amount;
use super::budget::{BudgetError, Round, percent};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// One rule of a plan, in parts of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Pace {
    /// No job takes more than this.
    Job {
        /// Above 0, at most 1.
        part: f64,
    },
    /// Jobs that begin within any so many days take no more than this together.
    Period {
        /// Above 0, at most 1.
        part: f64,
        /// Length.
        days: u32,
    },
}

impl Pace {
    /// From `0.1/job` or `0.25/90d`.
    ///
    /// # Errors
    /// [`BudgetError::Use`] with both forms.
    pub fn parse(text: &str) -> Result<Self, BudgetError> {
        let wrong = || {
            BudgetError::Use(format!(
                "`{text}` is no plan; write a part of the budget for each job, such as 0.1/job, or for a number of days, such as 0.25/90d"
            ))
        };
        let (part, of) = text.split_once('/').ok_or_else(wrong)?;
        let part = part.trim().parse().map_err(|_| wrong())?;
        match of.trim() {
            "job" => Ok(Self::Job { part }),
            days => {
                let days = days.strip_suffix('d').ok_or_else(wrong)?;
                let days = days.parse().map_err(|_| wrong())?;
                Ok(Self::Period { part, days })
            }
        }
    }
}

/// How fast a budget may be spent; by default, as fast as it goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Most that one job may take.
    pub job: Option<Amount>,
    /// Most that jobs which begin within so many days may take together.
    pub period: Option<(Amount, u32)>,
}

impl Plan {
    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A request that the budget would cover and the plan does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Paced {
    /// The data set.
    pub data: String,
    /// What was asked for.
    pub what: String,
    /// What it costs, and how much of it the plan leaves.
    pub needed: Amount,
    /// What the plan leaves.
    pub left: Amount,
    /// Lifetime capacity.
    pub capacity: Amount,
    /// Length of the period in days; none where a single job is too large.
    pub days: Option<u32>,
}

impl std::error::Error for Paced {}

impl std::fmt::Display for Paced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let needed = percent(self.needed, self.capacity, Round::Up);
        let left = percent(self.left, self.capacity, Round::Down);
        write!(
            f,
            "the spending plan of `{}` refuses {}: ",
            self.data, self.what
        )?;
        match self.days {
            None => write!(
                f,
                "one job may take {left} of the budget and this needs {needed}; give it a smaller privacy.epsilon"
            ),
            Some(days) => write!(
                f,
                "{left} of the budget is left to jobs of these {days} days and this needs {needed}; wait until earlier jobs are {days} days old, or give it a smaller privacy.epsilon"
            ),
        }
    }
}

/// Whether a job that began at `began` counts with one at `now`; what is dated later than now does, so that a clock put back opens nothing.
pub(super) fn counts(began: &str, now: &str, days: u32) -> Result<bool, BudgetError> {
    Ok(seconds(began)? > seconds(now)? - i64::from(days) * DAY)
}

/// Seconds from 1970 to a time like `2026-01-02T03:04:05Z`.
fn seconds(at: &str) -> Result<i64, BudgetError> {
    let wrong = || {
        BudgetError::Use(format!(
            "a spending plan needs the time of each job, and `{at}` is none"
        ))
    };
    let plain = at.len() == 20 && at.ends_with('Z') && at.is_ascii();
    let number = |from: usize, to: usize| -> Result<i64, BudgetError> {
        let digits = at.get(from..to).filter(|_| plain).ok_or_else(wrong)?;
        digits.parse().map_err(|_| wrong())
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let of_day = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    Ok(days(year, month, day) * DAY + of_day)
}

/// Days from 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        for (at, wanted) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:01Z", 11_016 * DAY + 1),
            ("2026-11-21T23:59:59Z", 20_778 * DAY + DAY - 1),
        ] {
            assert_eq!(seconds(at).unwrap(), wanted, "{at}");
        }
        for wrong in [
            "",
            "2026-11-21",
            "2026-11-21T23:59:59+02:00",
            "2026-1x-21T23:59:59Z",
        ] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn plans_are_read() {
        assert_eq!(Pace::parse("0.1/job").unwrap(), Pace::Job { part: 0.1 });
        assert_eq!(
            Pace::parse("0.25 / 90d").unwrap(),
            Pace::Period {
                part: 0.25,
                days: 90
            }
        );
        for wrong in ["", "0.1", "job", "x/job", "0.1/90", "0.1/-3d", "0.1/d"] {
            assert!(Pace::parse(wrong).is_err(), "{wrong}");
        }
    }
}
