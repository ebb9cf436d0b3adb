//! Numbers that cannot be built wrong.

use std::fmt;

// Same shape four times: a private f64, one check, one getter.
macro_rules! checked {
    ($(#[doc = $doc:literal] $name:ident($x:ident) if $check:expr;)+) => {$(
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
        pub struct $name(f64);

        impl $name {
            /// `None` for a number outside the range, an infinity or NaN.
            #[must_use]
            pub fn new($x: f64) -> Option<Self> { ($x.is_finite() && $check).then_some(Self($x + 0.0)) }

            /// The number.
            #[must_use]
            pub fn get(self) -> f64 { self.0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{:?}", self.0) }
        }
    )+};
}

checked! {
    /// A finite number greater than 0.
    Positive(x) if x > 0.0;
    /// A finite number of at least 0.
    NonNegative(x) if x >= 0.0;
    /// A number strictly between 0 and 1.
    Share(x) if x > 0.0 && x < 1.0;
    /// A number from 0 up to, not including, 1.
    Momentum(x) if (0.0..1.0).contains(&x);
}

/// The declared range of a number column: finite, low below high.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    low: f64,
    high: f64,
}

impl Bounds {
    /// `None` unless both ends are finite and `low < high`.
    #[must_use]
    pub fn new(low: f64, high: f64) -> Option<Self> {
        (low.is_finite() && high.is_finite() && low < high).then_some(Self {
            low: low + 0.0,
            high: high + 0.0,
        })
    }

    /// The lower end.
    #[must_use]
    pub fn low(self) -> f64 {
        self.low
    }

    /// The upper end.
    #[must_use]
    pub fn high(self) -> f64 {
        self.high
    }
}

/// The name of a job: a lower-case letter, then up to 62 lower-case letters, digits, `_` or `-`.
///
/// Safe as a file name and as a part of an identifier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobName(String);

impl JobName {
    /// `None` unless the text matches `^[a-z][a-z0-9_-]{0,62}$`.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(|c: char| c.is_ascii_lowercase())?;
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        (rest.len() <= 62 && rest.chars().all(good)).then(|| Self(text.to_owned()))
    }

    /// The nearest valid name, to propose for an invalid one.
    pub(super) fn nearest(text: &str) -> String {
        let mapped = text.trim().chars().map(|c| match c.to_ascii_lowercase() {
            c if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' => c,
            _ => '-',
        });
        let mut name: String = mapped
            .skip_while(|c| !c.is_ascii_lowercase())
            .take(63)
            .collect();
        while name.ends_with('-') {
            name.pop();
        }
        if name.is_empty() {
            "my-job".to_owned()
        } else {
            name
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
