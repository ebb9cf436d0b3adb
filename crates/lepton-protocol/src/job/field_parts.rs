//! Parts that tables of keys are made of.

use super::fields::{Absent, Field, Interval, Kind};
use super::words::Word;

/// Numbers above zero.
pub(crate) const POSITIVE: Kind = open(0.0, f64::INFINITY);
/// Numbers from zero.
pub(crate) const NON_NEGATIVE: Kind = Kind::Number(Interval {
    low: 0.0,
    low_included: true,
    high: f64::INFINITY,
    high_included: false,
});

/// Numbers between the two, without them.
pub(crate) const fn open(low: f64, high: f64) -> Kind {
    Kind::Number(Interval {
        low,
        low_included: false,
        high,
        high_included: false,
    })
}

/// Numbers from the one to the other.
pub(crate) const fn closed(low: f64, high: f64) -> Kind {
    Kind::Number(Interval {
        low,
        low_included: true,
        high,
        high_included: true,
    })
}

/// A key without fixed words.
#[must_use]
pub const fn plain(path: &'static str, kind: Kind, default: Absent, doc: &'static str) -> Field {
    Field {
        path,
        kind,
        default,
        choices: &[],
        later: &[],
        doc,
    }
}

/// A key whose values are words of `W`, one or several as `kind` says.
#[must_use]
pub const fn worded<W: Word>(
    path: &'static str,
    kind: Kind,
    default: Absent,
    doc: &'static str,
) -> Field {
    Field {
        path,
        kind,
        default,
        choices: W::WORDS,
        later: &[],
        doc,
    }
}

/// A table.
pub(crate) const fn table(path: &'static str, default: Absent, doc: &'static str) -> Field {
    plain(path, Kind::Table, default, doc)
}

/// A key with one of the words of `W`.
pub(crate) const fn choice<W: Word>(
    path: &'static str,
    default: &'static str,
    later: &'static [&'static str],
    doc: &'static str,
) -> Field {
    Field {
        path,
        kind: Kind::Choice,
        default: Absent::Value(default),
        choices: W::WORDS,
        later,
        doc,
    }
}
