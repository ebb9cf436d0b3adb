//! The reference of the job file, written from the table of fields.

use super::fields::{Absent, FIELDS, Field, Kind};
use std::fmt::Write as _;

const HEAD: &str = "\
# The job file

One TOML file says what is computed, on which columns, under which protection. Unknown keys are errors.
Any key can be set from the command line: `--set privacy.epsilon=1`. A table that is missing is made by it; a value
that is no TOML is taken as a text.

Every problem is reported at once, each as `file:line: what is wrong; what to do`.

This page is written from the table of fields in `crates/lepton-protocol/src/job/fields.rs`; a test compares the two.

## Example

```toml
[job]
name = \"heart\"

[data]
table = \"heart.csv\"
label = \"disease\"
split = { by = \"column\", column = \"hospital\" }

[model]
kind = \"logistic\"

[training]
rounds = 50
sampling_rate = 0.2

[privacy]
epsilon = 3.0
```
";

/// The text of `docs/job.md`.
#[must_use]
pub fn reference_markdown() -> String {
    let mut text = HEAD.to_owned();
    for table in FIELDS.iter().filter(|field| field.kind == Kind::Table) {
        let title = if table.path.contains('.') {
            format!("### `{}`", table.path)
        } else {
            format!("## `[{}]`", table.path)
        };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n{title}\n\n{} {}\n\n",
            table.doc,
            absent_table(table)
        );
        text.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
        for field in FIELDS.iter().filter(|field| is_key_of(table.path, field)) {
            text.push_str(&row(field));
        }
    }
    text
}

fn is_key_of(table: &str, field: &Field) -> bool {
    field
        .path
        .rsplit_once('.')
        .is_some_and(|(parent, _)| parent == table)
}

fn absent_table(field: &Field) -> String {
    match field.default {
        Absent::Required => "Required.".to_owned(),
        Absent::Value(words) | Absent::Says(words) => format!("If absent: {words}."),
    }
}

fn row(field: &Field) -> String {
    let key = field.path.rsplit('.').next().unwrap_or(field.path);
    let default = match field.default {
        Absent::Required => "required".to_owned(),
        Absent::Value(literal) => format!("`{literal}`"),
        Absent::Says(words) => words.to_owned(),
    };
    let meaning = match field.kind {
        Kind::Table => format!("{} Keys below.", field.doc),
        _ => field.doc.to_owned(),
    };
    format!("| `{key}` | {} | {default} | {meaning} |\n", value(field))
}

fn value(field: &Field) -> String {
    let choices = field
        .choices
        .iter()
        .map(|word| format!("`\"{word}\"`"))
        .collect::<Vec<_>>()
        .join(", ");
    let mut text = match field.kind {
        Kind::Choice => choices,
        Kind::Choices => format!("a list among {choices}"),
        Kind::ColumnChoices => format!("a table of column = {choices}"),
        Kind::Number(_) if !choices.is_empty() => format!("{}, or {choices}", field.kind.words()),
        kind => kind.words(),
    };
    if !field.later.is_empty() {
        let later = field
            .later
            .iter()
            .map(|word| format!("`\"{word}\"`"))
            .collect::<Vec<_>>()
            .join(", ");
        let _ = write!(text, " (not in this version: {later})");
    }
    text
}
