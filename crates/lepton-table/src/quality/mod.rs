//! What is wrong, odd or missing in a table. For its owner's eyes: figures of single columns are derived from the rows and stay with them.

mod columns;
mod rows;

use serde::Serialize;

use crate::{Role, Schema, Table, TableError};

/// A table's quality.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Rows.
    pub rows: usize,
    /// Rows that say the same as one before them, in every column.
    pub duplicates: usize,
    /// Every column, in the file's order.
    pub columns: Vec<ColumnQuality>,
    /// What stands out, the gravest first.
    pub findings: Vec<Finding>,
}

/// One column's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnQuality {
    /// Its name.
    pub name: String,
    /// What it was read as: `number` or `category`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What the schema says it is for.
    pub role: Option<Role>,
    /// What its numbers count, says the schema.
    pub unit: Option<String>,
    /// Cells without a value.
    pub missing: usize,
    /// Different values.
    pub distinct: usize,
    /// The least and the greatest number.
    pub range: Option<(f64, f64)>,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The table is not what its schema says.
    Error,
    /// Worth a look.
    Warning,
}

/// One thing that stands out. Its words quote no cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// What it is: `absent`, `out-of-bounds`, `unlisted`, `undescribed`, `missing`, `constant`, `duplicates`, `mixed`, `spelling`, `identifier`,
    /// `imbalance`.
    pub kind: &'static str,
    /// Where.
    pub column: Option<String>,
    /// In words, with what to do.
    pub words: String,
}

impl Finding {
    fn new(severity: Severity, kind: &'static str, column: &str, words: String) -> Self {
        Self {
            severity,
            kind,
            column: Some(column.to_owned()),
            words,
        }
    }

    fn warning(kind: &'static str, column: &str, words: String) -> Self {
        Self::new(Severity::Warning, kind, column, words)
    }

    fn error(kind: &'static str, column: &str, words: String) -> Self {
        Self::new(Severity::Error, kind, column, words)
    }
}

impl Quality {
    /// Looks at a table, and holds it against a schema; `label` is the column to predict, where it is not the schema's.
    ///
    /// # Errors
    /// `UnknownColumn` for a label that the table lacks.
    pub fn of(table: &Table, schema: &Schema, label: Option<&str>) -> Result<Self, TableError> {
        if let Some(label) = label {
            table.column_type(label)?;
        }
        let mut findings = rows::absent(table, schema);
        let mut columns = Vec::new();
        for (name, kind) in table.columns() {
            let about = schema.column(&name);
            let values = table.distinct_values(&name)?;
            let view = columns::View {
                name: &name,
                kind,
                about,
                rows: table.rows(),
                values: &values,
                is_label: label.map_or_else(
                    || about.is_some_and(|about| about.role == Role::Label),
                    |label| label == name,
                ),
            };
            if about.is_none() && !schema.columns().is_empty() {
                let words = "is not in the schema; describe it, or leave it out of the file";
                findings.push(Finding::warning("undescribed", &name, words.to_owned()));
            }
            findings.extend(view.findings());
            columns.push(view.figures());
        }
        let duplicates = rows::duplicates(table)?;
        findings.extend(rows::about_duplicates(duplicates));
        findings.sort_by_key(|finding| finding.severity);
        Ok(Self {
            rows: table.rows(),
            duplicates,
            columns,
            findings,
        })
    }

    /// Whether the table is what its schema says.
    #[must_use]
    pub fn fits(&self) -> bool {
        let grave = |finding: &Finding| finding.severity == Severity::Error;
        !self.findings.iter().any(grave)
    }
}
