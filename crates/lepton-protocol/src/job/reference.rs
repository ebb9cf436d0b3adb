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
    format!("{HEAD}{}", tables_markdown(FIELDS))
}

/// One section for every table of a settings file.
#[must_use]
pub fn tables_markdown(fields: &[Field]) -> String {
    let mut text = String::new();
    let tables = fields
        .iter()
        .filter(|field| matches!(field.kind, Kind::Table | Kind::Named));
    for table in tables {
        let title = if table.kind == Kind::Named {
            format!("## `[{}.NAME]`", table.path)
        } else if table.path.contains('.') {
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
        for field in fields.iter().filter(|field| is_key_of(table, field)) {
            text.push_str(&row(field));
        }
    }
    text
}

fn is_key_of(table: &Field, field: &Field) -> bool {
    let parent = field.path.rsplit_once('.').map(|(parent, _)| parent);
    match table.kind {
        Kind::Named => parent.and_then(|parent| parent.strip_suffix(".*")) == Some(table.path),
        _ => parent == Some(table.path),
    }
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
        Kind::Flag => "`true` or `false`".to_owned(),
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
