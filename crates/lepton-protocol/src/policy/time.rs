//! Moments and opening hours, in UTC.

use serde::{Deserialize, Serialize};

use super::words::Weekday;

const DAY: u64 = 86_400;

/// Seconds since 1970-01-01 00:00 UTC, given by whoever has a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(u64);

impl Moment {
    /// From seconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn from_unix(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn unix(self) -> u64 {
        self.0
    }

    /// The moment so many days earlier; not before 1970.
    #[must_use]
    pub const fn days_before(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days as u64 * DAY))
    }

    fn weekday(day: u64) -> Weekday {
        // 1970-01-01 was a Thursday.
        match day % 7 {
            0 => Weekday::Thursday,
            1 => Weekday::Friday,
            2 => Weekday::Saturday,
            3 => Weekday::Sunday,
            4 => Weekday::Monday,
            5 => Weekday::Tuesday,
            _ => Weekday::Wednesday,
        }
    }
}

/// When jobs may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hours {
    pub(super) days: Vec<Weekday>,
    /// Minute of the day.
    pub(super) from: u32,
    /// Minute of the day, not included; not above `from`: on the next day.
    pub(super) to: u32,
}

impl Hours {
    pub(super) fn contain(&self, now: Moment) -> bool {
        let (day, minute) = (now.0 / DAY, now.0 % DAY / 60);
        let (from, to) = (u64::from(self.from), u64::from(self.to));
        let open = |day: u64| self.days.contains(&Moment::weekday(day));
        if from < to {
            return open(day) && (from..to).contains(&minute);
        }
        // The night belongs to the day it began on.
        let tonight = open(day) && minute >= from;
        let last_night = day.checked_sub(1).is_some_and(open) && minute < to;
        tonight || last_night
    }
}

/// Minute of the day of `HH:MM`, up to 24:00.
pub(super) fn minute_of(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let two = |digits: &str| {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse::<u32>().ok()).flatten()
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    (minute < 60 && hour * 60 + minute <= 1440).then_some(hour * 60 + minute)
}

/// A minute of the day as `HH:MM`.
pub(super) fn clock(minute: u32) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}
