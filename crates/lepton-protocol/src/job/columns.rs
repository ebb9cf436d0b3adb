//! The job held against the columns of a table.

use super::Job;
use super::errors::{JobErrors, Place, Problems, nearest};
use super::sections::{DataSource, Split};
use super::tree::{quote, quote_key};
use super::words::{Categories, ColumnType, Objective, Scale};

/// A column of a table: its name, and what its values look like; `[data] types` and `[prepare.values]` overrule it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name in the header.
    pub name: String,
    /// What the values look like.
    pub kind: ColumnType,
}

impl Job {
    /// Checks that the columns the job names exist, and that what it says of them can be so.
    ///
    /// # Errors
    /// [`JobErrors`] with every misfit, at the line of the job file.
    pub fn check_columns(&self, columns: &[Column]) -> Result<(), JobErrors> {
        let mut problems = Problems::default();
        self.check_names(columns, &mut problems);
        self.check_kinds(columns, &mut problems);
        self.check_embedded(columns, &mut problems);
        self.check_declared(columns, &mut problems);
        self.check_bounded(columns, &mut problems);
        if self.data().features.is_none() && self.feature_columns(columns).is_empty() {
            let what = "no column is left to predict from";
            problems.add(
                &self.place_near("data.label"),
                what,
                "exclude fewer columns, or use another table",
            );
        }
        problems.finish(&self.source_name)
    }

    /// The columns to predict from, in the order of the table, with the kinds the job gives them.
    ///
    /// Without `features`: all but the label, the excluded ones, the column of the split, and with
    /// `categories = "drop"` the category columns.
    #[must_use]
    pub fn feature_columns(&self, columns: &[Column]) -> Vec<Column> {
        let data = self.data();
        let drop = self.prepare().categories == Categories::Drop;
        let split = match &data.source {
            DataSource::Dealt {
                split: Split::Column { column, .. },
                ..
            } => Some(column),
            _ => None,
        };
        let wanted = |column: &Column| match &data.features {
            Some(features) => features.contains(&column.name),
            None => {
                column.name != data.label
                    && !data.exclude.contains(&column.name)
                    && Some(&column.name) != data.person.as_ref()
                    && Some(&column.name) != split
            }
        };
        let typed = |column: &Column| Column {
            name: column.name.clone(),
            kind: self.kind_of(column),
        };
        let kept = columns.iter().filter(|column| wanted(column)).map(typed);
        kept.filter(|column| !(drop && column.kind == ColumnType::Category))
            .collect()
    }

    // A column with listed categories is one of categories, also where they look like numbers.
    fn kind_of(&self, column: &Column) -> ColumnType {
        let listed = self.prepare().values.contains_key(&column.name);
        let seen = if listed {
            ColumnType::Category
        } else {
            column.kind
        };
        self.data().types.get(&column.name).copied().unwrap_or(seen)
    }

    fn named_columns(&self) -> Vec<(String, String)> {
        let (data, prepare) = (self.data(), self.prepare());
        let mut named = vec![("data.label".to_owned(), data.label.clone())];
        named.extend(
            data.features
                .iter()
                .flatten()
                .map(|column| ("data.features".to_owned(), column.clone())),
        );
        named.extend(
            data.exclude
                .iter()
                .map(|column| ("data.exclude".to_owned(), column.clone())),
        );
        named.extend(
            data.person
                .iter()
                .map(|column| ("data.person".to_owned(), column.clone())),
        );
        if let DataSource::Dealt {
            split: Split::Column { column, .. },
            ..
        } = &data.source
        {
            named.push(("data.split.column".to_owned(), column.clone()));
        }
        let tables = [
            ("data.types", data.types.keys().collect::<Vec<_>>()),
            ("prepare.bounds", prepare.bounds.keys().collect()),
            ("prepare.values", prepare.values.keys().collect()),
            (
                "model.embeddings",
                self.model().embeddings().keys().collect(),
            ),
        ];
        for (table, columns) in tables {
            named.extend(
                columns
                    .into_iter()
                    .map(|column| (format!("{table}.{column}"), column.clone())),
            );
        }
        named
    }

    fn check_names(&self, columns: &[Column], problems: &mut Problems) {
        for (path, name) in self.named_columns() {
            if columns.iter().any(|column| column.name == name) {
                continue;
            }
            let near = nearest(&name, columns.iter().map(|column| column.name.as_str()))
                .unwrap_or_default();
            let key = path.strip_suffix(&format!(".{name}")).unwrap_or(&path);
            let what = format!("{key}: the table has no column {}", quote(&name));
            problems.add(
                &self.place_near(&path),
                what,
                format!("the nearest column is {}", quote(near)),
            );
        }
    }

    fn check_kinds(&self, columns: &[Column], problems: &mut Problems) {
        let bounded = |column: &&Column| self.prepare().bounds.contains_key(&column.name);
        for column in columns.iter().filter(bounded) {
            if self.kind_of(column) == ColumnType::Category && !self.is_number_label(&column.name) {
                let what = format!(
                    "prepare.bounds: column {} holds categories",
                    quote(&column.name)
                );
                let remedy = "remove it here, or call it a number in data.types";
                problems.add(
                    &self.place_near(&format!("prepare.bounds.{}", column.name)),
                    what,
                    remedy,
                );
            }
        }
    }

    /// What is embedded is an input, and its values are categories.
    fn check_embedded(&self, columns: &[Column], problems: &mut Problems) {
        let features = self.feature_columns(columns);
        for name in self.model().embeddings().keys() {
            let (what, remedy) = match features.iter().find(|column| column.name == *name) {
                Some(column) if column.kind == ColumnType::Category => continue,
                Some(_) => (
                    "holds numbers",
                    "remove it here, or call it a category in data.types",
                ),
                // A column that does not exist has its own message.
                None if !columns.iter().any(|column| column.name == *name) => continue,
                None => ("is no input", "remove it here"),
            };
            let place = self.place_near(&format!("model.embeddings.{name}"));
            let what = format!("model.embeddings: column {} {what}", quote(name));
            problems.add(&place, what, remedy);
        }
    }

    fn is_number_label(&self, name: &str) -> bool {
        self.objective() == Objective::Number && self.data().label == name
    }

    fn check_declared(&self, columns: &[Column], problems: &mut Problems) {
        if self.prepare().categories != Categories::Declared {
            return;
        }
        for column in self.feature_columns(columns) {
            if column.kind == ColumnType::Category
                && !self.prepare().values.contains_key(&column.name)
            {
                let name = quote(&column.name);
                let what =
                    format!("prepare.categories = \"declared\", and column {name} has no values");
                let remedy = format!(
                    "list them in [prepare.values] as {} = [...], or exclude the column",
                    quote_key(&column.name)
                );
                problems.add(&self.place_near("prepare.categories"), what, remedy);
            }
        }
    }

    // Noise for a sum is sized by what one record can add to it, which only a public range limits.
    fn check_bounded(&self, columns: &[Column], problems: &mut Problems) {
        let minmax = self.prepare().scale == Scale::Minmax;
        let (why, key) = match self.privacy() {
            Some(_) => ("[privacy]", "privacy"),
            None if minmax => ("prepare.scale = \"minmax\"", "prepare.scale"),
            None => return,
        };
        let features = self.feature_columns(columns).into_iter();
        let numbers = features
            .filter(|column| column.kind == ColumnType::Number)
            .map(|column| column.name);
        let label = self
            .privacy()
            .map(|_| self.data().label.clone())
            .filter(|label| self.is_number_label(label));
        for name in numbers
            .chain(label)
            .filter(|name| !self.prepare().bounds.contains_key(name))
        {
            let what = format!("{why} needs the public range of column {}", quote(&name));
            let remedy = format!(
                "add it to [prepare.bounds] as {} = [low, high], or leave the column out",
                quote_key(&name)
            );
            problems.add(&self.place_near(key), what, remedy);
        }
    }

    fn place_near(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return place.clone();
            }
            match path.rsplit_once('.') {
                Some((table, _)) => path = table,
                None => return Place::Line(1),
            }
        }
    }
}
