//! What is seen in one column.

use std::collections::BTreeMap;

use super::{ColumnQuality, Finding};
use crate::{ColumnSchema, ColumnType, Role};

/// So few rows prove nothing about a column.
const FEW: usize = 20;

/// A label with more numbers than this is no class.
const MOST_CLASSES: usize = 20;

/// A column, its schema and its values with how often each comes.
pub(super) struct View<'a> {
    pub(super) name: &'a str,
    pub(super) kind: ColumnType,
    pub(super) about: Option<&'a ColumnSchema>,
    pub(super) rows: usize,
    pub(super) values: &'a [(String, usize)],
    pub(super) is_label: bool,
}

impl View<'_> {
    pub(super) fn figures(&self) -> ColumnQuality {
        ColumnQuality {
            name: self.name.to_owned(),
            kind: self.kind.word(),
            role: self.about.map(|about| about.role),
            unit: self.about.and_then(|about| about.unit.clone()),
            missing: self.rows - self.present(),
            distinct: self.values.len(),
            range: self.range(),
        }
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        let checks = [
            self.out_of_bounds(),
            self.unlisted(),
            self.missing(),
            self.constant(),
            self.mixed(),
            self.spelling(),
            self.identifier(),
            self.imbalance(),
        ];
        checks.into_iter().flatten().collect()
    }

    fn present(&self) -> usize {
        self.values.iter().map(|(_, count)| count).sum()
    }

    /// Rows whose value is so.
    fn rows_where(&self, holds: impl Fn(&str) -> bool) -> usize {
        let held = self.values.iter().filter(|(value, _)| holds(value));
        held.map(|(_, count)| count).sum()
    }

    fn range(&self) -> Option<(f64, f64)> {
        let number = |entry: Option<&(String, usize)>| number(&entry?.0);
        match self.kind {
            ColumnType::Number => number(self.values.first()).zip(number(self.values.last())),
            ColumnType::Category => None,
        }
    }

    fn out_of_bounds(&self) -> Option<Finding> {
        let (low, high) = self.about?.bounds?;
        let out = self.rows_where(|value| {
            number(value).is_some_and(|number| !(low..=high).contains(&number))
        });
        (out > 0).then(|| {
            let words = format!(
                "{out} of {} values lie outside of [{low}, {high}]; correct them, or the bounds where those are wrong",
                self.present()
            );
            Finding::error("out-of-bounds", self.name, words)
        })
    }

    fn unlisted(&self) -> Option<Finding> {
        let listed = self.about?.values.as_ref()?;
        let out = self.rows_where(|value| !listed.iter().any(|one| one == value));
        (out > 0).then(|| {
            let words = format!(
                "{out} of {} values are none of the schema's {}; correct them, or list them",
                self.present(),
                listed.len()
            );
            Finding::error("unlisted", self.name, words)
        })
    }

    fn missing(&self) -> Option<Finding> {
        let missing = self.rows - self.present();
        let words = if missing == self.rows {
            "has no value at all; leave it out".to_owned()
        } else if self.is_label && missing > 0 {
            format!("has no value in {missing} rows, which a job leaves out: it is the label")
        } else if missing * 2 > self.rows {
            format!("has no value in {missing} of {} rows", self.rows)
        } else {
            return None;
        };
        Some(Finding::warning("missing", self.name, words))
    }

    fn constant(&self) -> Option<Finding> {
        let words = if self.is_label {
            "has one class only: there is nothing to tell apart"
        } else {
            "says the same of every row; leave it out"
        };
        (self.values.len() == 1 && self.rows > 1)
            .then(|| Finding::warning("constant", self.name, words.to_owned()))
    }

    /// Numbers among words: an entry of its own for what is missing, as a rule, or two columns in one.
    fn mixed(&self) -> Option<Finding> {
        let numbers = self.rows_where(|value| number(value).is_some());
        let others = self.present() - numbers;
        let both = self.kind == ColumnType::Category && numbers > 0 && others > 0;
        both.then(|| {
            let words = format!(
                "holds {numbers} numbers and {others} words; correct it, or leave those cells empty that stand for no value"
            );
            Finding::warning("mixed", self.name, words)
        })
    }

    /// Categories that differ in capitals and spaces only.
    fn spelling(&self) -> Option<Finding> {
        if self.kind != ColumnType::Category {
            return None;
        }
        let mut spellings: BTreeMap<String, usize> = BTreeMap::new();
        for (value, _) in self.values {
            let plain = value.split_whitespace().collect::<Vec<_>>().join(" ");
            *spellings.entry(plain.to_lowercase()).or_default() += 1;
        }
        let several = spellings.values().filter(|count| **count > 1).count();
        (several > 0).then(|| {
            let words = format!(
                "spells {several} of its categories in several ways (capitals, spaces); write each one way"
            );
            Finding::warning("spelling", self.name, words)
        })
    }

    /// A column that looks as if it named people or records, and is not said to.
    fn identifier(&self) -> Option<Finding> {
        let role = self.about.map(|about| about.role);
        let measured = self.about.is_some_and(|about| about.bounds.is_some());
        let known = matches!(role, Some(Role::Identifier | Role::Sensitive));
        if self.is_label || measured || known {
            return None;
        }
        let looks = if self.rows_where(is_address) * 2 > self.present() {
            "holds e-mail addresses"
        } else if self.is_key() {
            "has another value in every row"
        } else if names_an_id(self.name) && self.values.len() > MOST_CLASSES {
            "is named like an identifier"
        } else {
            return None;
        };
        let words = format!(
            "{looks}; if it names people or records, give it role = \"identifier\" and train on other columns"
        );
        Some(Finding::warning("identifier", self.name, words))
    }

    /// Nearly every row another text or whole number. Measured numbers are that as well, and no keys.
    fn is_key(&self) -> bool {
        let whole = |value: &str| number(value).is_some_and(|number| number.fract() == 0.0);
        let keys = match self.kind {
            ColumnType::Category => true,
            ColumnType::Number => self.values.iter().all(|(value, _)| whole(value)),
        };
        self.present() >= FEW && keys && self.values.len() * 20 >= self.present() * 19
    }

    fn imbalance(&self) -> Option<Finding> {
        let classes = self.is_label && (2..=MOST_CLASSES).contains(&self.values.len());
        let (least, present) = (
            self.values.iter().map(|(_, count)| *count).min()?,
            self.present(),
        );
        (classes && least * 10 < present).then(|| {
            let words = format!(
                "its rarest of {} classes has {least} of {present} rows; accuracy will say little, balanced accuracy and AUC more",
                self.values.len()
            );
            Finding::warning("imbalance", self.name, words)
        })
    }
}

fn number(value: &str) -> Option<f64> {
    value.parse().ok().filter(|number: &f64| number.is_finite())
}

fn is_address(value: &str) -> bool {
    value.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !value.contains(char::is_whitespace)
    })
}

/// `id`, `user_id`, `PatientID`, `ssn`: whole words only.
fn names_an_id(name: &str) -> bool {
    const WORDS: [&str; 8] = [
        "id", "uuid", "guid", "ssn", "iban", "email", "phone", "passport",
    ];
    let lower = name.to_lowercase();
    let mut words = lower.split(|letter: char| !letter.is_alphanumeric());
    words.any(|word| WORDS.contains(&word)) || name.ends_with("ID") || name.ends_with("Id")
}
