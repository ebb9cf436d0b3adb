//! What is seen across columns.

use std::collections::HashSet;

use super::{Finding, Severity};
use crate::error::nearest;
use crate::{Schema, Table, TableError};

/// Columns that the schema describes and the table lacks.
pub(super) fn absent(table: &Table, schema: &Schema) -> Vec<Finding> {
    let names = table.column_names();
    let lacking = schema.columns().keys().filter(|name| !names.contains(name));
    let finding = |name: &String| {
        let hint = nearest(name, &names)
            .map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
        Finding::error(
            "absent",
            name,
            format!("is in the schema and not in the table{hint}"),
        )
    };
    lacking.map(finding).collect()
}

/// Rows that say the same as one before them.
pub(super) fn duplicates(table: &Table) -> Result<usize, TableError> {
    let columns: Result<Vec<_>, _> = table
        .column_names()
        .iter()
        .map(|name| table.texts(name))
        .collect();
    let mut columns: Vec<_> = columns?.into_iter().map(Vec::into_iter).collect();
    let mut seen = HashSet::new();
    let mut again = 0;
    for _ in 0..table.rows() {
        let row: Vec<Option<String>> = columns.iter_mut().filter_map(Iterator::next).collect();
        again += usize::from(!seen.insert(row));
    }
    Ok(again)
}

pub(super) fn about_duplicates(duplicates: usize) -> Option<Finding> {
    (duplicates > 0).then(|| Finding {
        severity: Severity::Warning,
        kind: "duplicates",
        column: None,
        words: format!(
            "{} nothing that one before does not; if they came in twice, `prepare.duplicates = \"drop\"` in a job leaves them out",
            if duplicates == 1 { "1 row says".to_owned() } else { format!("{duplicates} rows say") }
        ),
    })
}
