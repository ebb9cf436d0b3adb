//! What a schema file says of a table's columns, as settings of a job: only where the job is silent.

use std::path::Path;

use lepton_table::{ColumnSchema, Role, Schema};
use toml_edit::{DocumentMut, Item, Key, Table, Value};

use crate::error::NodeError;
use crate::tables::read_text;

/// Settings as after `--set`, which say for `job` what the schema says and neither its file nor `set` does: types, bounds and values of the columns
/// it uses; and, where it lists no features, that identifiers and sensitive columns are none.
///
/// # Errors
/// [`NodeError`] when a file cannot be read, or the job's features include an identifier.
pub fn settings(job: &Path, set: &[String], schema: &Path) -> Result<Vec<String>, NodeError> {
    let described = Schema::from_path(schema)?;
    let said = Said::new(&read_text(job)?, set);
    let features = said.texts("data", "features");
    for name in features.iter().flatten() {
        let role = described.column(name).map(|about| about.role);
        if role == Some(Role::Identifier) {
            return Err(NodeError::Use(format!(
                "{}: data.features has {name:?}, which {} calls an identifier; leave it out, or correct its role",
                job.display(),
                schema.display()
            )));
        }
    }
    let mut settings = Vec::new();
    let special = said.special();
    let mut excluded = said.texts("data", "exclude").unwrap_or_default();
    if features.is_none() {
        let kept_back = |(name, about): (&String, &ColumnSchema)| {
            let apart = matches!(about.role, Role::Identifier | Role::Sensitive);
            (apart && !special.contains(name) && !excluded.contains(name)).then(|| name.clone())
        };
        let more: Vec<String> = described.columns().iter().filter_map(kept_back).collect();
        if !more.is_empty() {
            excluded.extend(more);
            settings.push(format!("data.exclude={}", list(&excluded)));
        }
    }
    for (name, about) in described.columns() {
        let listed = features.as_ref().is_none_or(|listed| listed.contains(name));
        let used = special.first() == Some(name) || (listed && !excluded.contains(name));
        if used {
            settings.extend(said.lacking(name, about, special.first() == Some(name)));
        }
    }
    Ok(settings)
}

/// A job file with `--set`, as far as it can be read: what is wrong in it, its own reader says.
struct Said(DocumentMut);

impl Said {
    fn new(text: &str, set: &[String]) -> Self {
        let mut said = text.parse::<DocumentMut>().unwrap_or_default();
        for setting in set {
            // Bare words are a text.
            let quoted = || {
                let (key, value) = setting.split_once('=')?;
                format!("{key}={}", Value::from(value)).parse().ok()
            };
            if let Some(one) = setting.parse::<DocumentMut>().ok().or_else(quoted) {
                merge(said.as_table_mut(), one.as_table());
            }
        }
        Self(said)
    }

    fn item(&self, table: &str, key: &str) -> Option<&Item> {
        self.0.get(table)?.as_table_like()?.get(key)
    }

    fn texts(&self, table: &str, key: &str) -> Option<Vec<String>> {
        let list = self.item(table, key)?.as_array()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some(list.iter().filter_map(text).collect())
    }

    /// The label, then the other columns with a part of their own.
    fn special(&self) -> Vec<String> {
        let text = |item: &Item| item.as_str().map(str::to_owned);
        let split = self.item("data", "split").and_then(Item::as_table_like);
        let columns = [
            self.item("data", "label"),
            self.item("data", "person"),
            split.and_then(|split| split.get("column")),
        ];
        let name = |item: Option<&Item>| item.and_then(text).unwrap_or_default();
        columns.into_iter().map(name).collect()
    }

    fn has(&self, table: &str, key: &str, column: &str) -> bool {
        let of = self.item(table, key).and_then(Item::as_table_like);
        of.is_some_and(|columns| columns.contains_key(column))
    }

    /// What the schema says of a column and the job does not.
    fn lacking(&self, name: &str, about: &ColumnSchema, is_label: bool) -> Vec<String> {
        let key = Key::new(name).to_string();
        let mut settings = Vec::new();
        if let Some(kind) = about.kind.filter(|_| !self.has("data", "types", name)) {
            settings.push(format!("data.types.{key}=\"{kind}\""));
        }
        if let Some((low, high)) = about
            .bounds
            .filter(|_| !self.has("prepare", "bounds", name))
        {
            settings.push(format!("prepare.bounds.{key}=[{low:?}, {high:?}]"));
        }
        if let Some(values) = &about.values {
            if !is_label && !self.has("prepare", "values", name) {
                settings.push(format!("prepare.values.{key}={}", list(values)));
            }
            if is_label && self.item("data", "classes").is_none() {
                settings.push(format!("data.classes={}", list(values)));
            }
        }
        settings
    }
}

/// What `from` says in place of what `into` says, key by key.
fn merge(into: &mut Table, from: &Table) {
    for (key, item) in from {
        match (into.get_mut(key), item) {
            (Some(Item::Table(old)), Item::Table(new)) => merge(old, new),
            (Some(Item::Value(Value::InlineTable(old))), Item::Table(new)) => {
                let values = new
                    .iter()
                    .filter_map(|(key, item)| Some((key, item.as_value()?)));
                old.extend(values.map(|(key, value)| (key, value.clone())));
            }
            _ => drop(into.insert(key, item.clone())),
        }
    }
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts
        .iter()
        .map(|text| Value::from(text.as_str()).to_string())
        .collect();
    format!("[{}]", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"
[columns.id]
role = "identifier"
[columns.religion]
role = "sensitive"
type = "category"
[columns."body mass"]
type = "number"
bounds = [10, 80.5]
[columns.sex]
values = ["f", "m"]
[columns.ill]
role = "label"
values = ["no", "yes"]
"#;

    fn of(job: &str, set: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let (job_path, schema) = (folder.path().join("j"), folder.path().join("s"));
        std::fs::write(&job_path, job).unwrap();
        std::fs::write(&schema, SCHEMA).unwrap();
        let set: Vec<String> = set.iter().map(|text| (*text).to_owned()).collect();
        settings(&job_path, &set, &schema).map_err(|error| error.to_string())
    }

    #[test]
    fn a_silent_job_gets_all_that_is_said() {
        let all = of("[data]\nlabel = \"ill\"\n", &[]).unwrap();
        let expected = [
            "data.exclude=[\"id\", \"religion\"]",
            "data.types.\"body mass\"=\"number\"",
            "prepare.bounds.\"body mass\"=[10.0, 80.5]",
            "data.classes=[\"no\", \"yes\"]",
            "prepare.values.sex=[\"f\", \"m\"]",
        ];
        assert_eq!(all, expected);
        for setting in all {
            lepton_protocol::job::Override::parse(&setting).unwrap();
        }
    }

    #[test]
    fn what_the_job_says_stays() {
        let job = "[data]\nlabel = \"ill\"\nexclude = [\"x\"]\nperson = \"id\"\nclasses = [\"yes\", \"no\"]\n\
            types = { \"body mass\" = \"category\" }\n[prepare.bounds]\n\"body mass\" = [0, 1]\n";
        let set = ["prepare.values.sex=[\"f\"]"];
        assert_eq!(
            of(job, &set).unwrap(),
            ["data.exclude=[\"x\", \"religion\"]"]
        );
        // An inline table and a setting beside it.
        let job =
            "[data]\nlabel = \"ill\"\nfeatures = [\"sex\"]\n[prepare]\nvalues = { a = [\"b\"] }\n";
        let all = of(
            job,
            &["prepare.values.sex=[\"f\"]", "data.classes=[\"a\", \"b\"]"],
        );
        assert_eq!(all.unwrap(), [""; 0]);
    }

    #[test]
    fn listed_features_are_taken_as_they_are_but_for_identifiers() {
        let job = |features: &str| format!("[data]\nlabel = \"ill\"\nfeatures = [{features}]\n");
        let all = of(&job("\"religion\""), &["data.label=other"]).unwrap();
        assert_eq!(all, ["data.types.religion=\"category\""]);
        let refused = of(&job("\"id\""), &[]).unwrap_err();
        assert!(
            refused.contains("\"id\"") && refused.contains("calls an identifier"),
            "{refused}"
        );
    }
}
