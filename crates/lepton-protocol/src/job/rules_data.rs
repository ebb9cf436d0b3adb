//! Rules between the keys of `[data]`, and between them and `[prepare]` and `[model]`.

use super::entries::Entries;
use super::errors::{Problems, nearest};
use super::rules::{Rule, at, declared_type, named, objective, refuse};
use super::tree::quote;
use super::words::{ColumnType, Objective, SplitBy, Unit};

pub(super) const RULES: [Rule; 9] = [
    data_source,
    split_keys,
    column_lists,
    person,
    positive_class,
    label_fits_model,
    column_facts,
    label_values,
    party_counts,
];

fn data_source(entries: &Entries, problems: &mut Problems) {
    let (table, tables) = (
        entries.written("data.table"),
        entries.written("data.tables"),
    );
    if table && tables {
        let because = format!("data.table ({})", at(entries, "data.table"));
        refuse(
            entries,
            problems,
            "data.tables",
            &because,
            "keep one: table for one table that is split, tables for one per party",
        );
    }
    if tables && entries.written("data.split") {
        let because = format!("data.tables ({})", at(entries, "data.tables"));
        refuse(
            entries,
            problems,
            "data.split",
            &because,
            "remove split: every table of tables is a party already",
        );
    }
    let silent = ["data", "data.table", "data.tables"]
        .iter()
        .any(|path| entries.is_bad(path));
    if !table && !tables && !silent && entries.written("data") {
        let place = entries.place_or_table("data.table");
        problems.add(
            &place,
            "[data] has neither table nor tables",
            "add table = \"rows.csv\", or tables with one path per party",
        );
    }
}

fn split_keys(entries: &Entries, problems: &mut Problems) {
    let Some(by) = entries.word::<SplitBy>("data.split.by") else {
        return;
    };
    for (key, owner) in [
        ("data.split.column", SplitBy::Column),
        ("data.split.alpha", SplitBy::Dirichlet),
    ] {
        let name = key.rsplit('.').next().unwrap_or(key);
        if by != owner {
            let because = format!("split by = \"{by}\" ({})", at(entries, "data.split.by"));
            refuse(
                entries,
                problems,
                key,
                &because,
                &format!("remove {name}, or write by = \"{owner}\""),
            );
        } else if !entries.written(key) && !entries.is_bad(key) {
            let place = entries.place_or_table("data.split.by");
            let what = format!("data.split by = \"{by}\" has no {name}");
            let example = if owner == SplitBy::Column {
                "column = \"hospital\""
            } else {
                "alpha = 0.5"
            };
            problems.add(&place, what, format!("add {name}, for example {example}"));
        }
    }
}

fn column_lists(entries: &Entries, problems: &mut Problems) {
    let features = named(entries.node("data.features"));
    let exclude = named(entries.node("data.exclude"));
    for (column, place) in &exclude {
        if let Some((_, other)) = features.iter().find(|(name, _)| name == column) {
            let what = format!(
                "column {} is excluded here and a feature at {}",
                quote(column),
                other.mention()
            );
            problems.add(place, what, "remove it from one of the two");
        }
    }
    let Some(label) = entries.text("data.label") else {
        return;
    };
    for (list, verb) in [(&features, "a feature"), (&exclude, "excluded")] {
        if let Some((_, place)) = list.iter().find(|(name, _)| *name == label) {
            let what = format!(
                "column {} is {verb} here and the label at {}",
                quote(&label),
                at(entries, "data.label")
            );
            problems.add(place, what, "remove it here, or choose another label");
        }
    }
}

/// The column that says whose row it is has no other part to play, and a person's rows stay together.
fn person(entries: &Entries, problems: &mut Problems) {
    let by_person = entries.word::<Unit>("privacy.unit") == Some(Unit::Person);
    let Some(column) = entries.text("data.person") else {
        if by_person && !entries.is_bad("data.person") {
            problems.add(
                &entries.place_or_table("privacy.unit"),
                "unit = \"person\" needs to know whose row is whose",
                "name the column of ids as person = \"…\" under [data]",
            );
        }
        return;
    };
    let others = [
        (named(entries.node("data.features")), "a feature"),
        (named(entries.node("data.exclude")), "excluded"),
    ];
    let place = entries.place_or_table("data.person");
    for (list, verb) in others {
        if list.iter().any(|(name, _)| *name == column) {
            let what = format!("column {} is data.person and {verb}", quote(&column));
            problems.add(&place, what, "name it in one place only");
        }
    }
    if entries.text("data.label").as_ref() == Some(&column) {
        let what = format!("column {} is data.person and the label", quote(&column));
        problems.add(&place, what, "name another column");
    }
    let by = entries.word::<SplitBy>("data.split.by");
    let together = [Some(SplitBy::Column), Some(SplitBy::Hash)].contains(&by);
    let apart = !entries.written("data.tables") && !together;
    if by_person && apart && !entries.is_bad("data.split") {
        problems.add(
            &entries.place_or_table("privacy.unit"),
            "unit = \"person\", and rows are dealt to parties one by one: a person's would be dealt apart",
            "write split = { by = \"hash\" } or { by = \"column\", column = \"…\" }, or tables with one path per party",
        );
    }
}

fn positive_class(entries: &Entries, problems: &mut Problems) {
    let (Some(classes), Some(positive)) =
        (entries.texts("data.classes"), entries.text("data.positive"))
    else {
        return;
    };
    if !classes.contains(&positive) {
        let near = nearest(&positive, classes.iter().map(String::as_str)).unwrap_or_default();
        let listed = at(entries, "data.classes");
        let what = format!(
            "data.positive = {} is not among data.classes ({listed})",
            quote(&positive)
        );
        let remedy = format!("the nearest class is {}", quote(near));
        problems.add(&entries.place_or_table("data.positive"), what, remedy);
    }
}

fn label_fits_model(entries: &Entries, problems: &mut Problems) {
    let (Some(objective), Some(label)) = (objective(entries), entries.text("data.label")) else {
        return;
    };
    let kind = entries.text("model.kind").unwrap_or_default();
    let model = format!("model.kind = \"{kind}\" ({})", at(entries, "model.kind"));
    let (wrong, predicts, other) = match objective {
        Objective::Number => (ColumnType::Category, "a number", "logistic"),
        Objective::Classes => (ColumnType::Number, "classes", "linear"),
    };
    let remedy = format!("remove it, or write kind = \"{other}\"");
    if objective == Objective::Number {
        for key in ["data.classes", "data.positive"] {
            refuse(
                entries,
                problems,
                key,
                &format!("{model}, which predicts a number"),
                &remedy,
            );
        }
    }
    if let Some((_, place)) = declared_type(entries, &label).filter(|(kind, _)| *kind == wrong) {
        let label = quote(&label);
        let what = format!(
            "label {label} called a {wrong} contradicts {model}, which predicts {predicts}"
        );
        problems.add(&place, what, remedy);
    }
}

fn column_facts(entries: &Entries, problems: &mut Problems) {
    let bounds = (
        "prepare.bounds",
        ColumnType::Category,
        "only a number has bounds",
    );
    let values = (
        "prepare.values",
        ColumnType::Number,
        "only a category has values",
    );
    for (table, wrong, why) in [bounds, values] {
        for (column, node) in entries.columns(table) {
            let Some((_, place)) =
                declared_type(entries, &column).filter(|(kind, _)| *kind == wrong)
            else {
                continue;
            };
            let (column, place) = (quote(&column), place.mention());
            let what = format!("{table} lists column {column}, called a {wrong} at {place}");
            problems.add(
                &node.place,
                what,
                format!("{why}: remove it here, or change data.types"),
            );
        }
    }
}

fn label_values(entries: &Entries, problems: &mut Problems) {
    let Some(label) = entries.text("data.label") else {
        return;
    };
    for (_, node) in entries
        .columns("prepare.values")
        .into_iter()
        .filter(|(column, _)| *column == label)
    {
        let what = format!(
            "prepare.values lists the label {} ({})",
            quote(&label),
            at(entries, "data.label")
        );
        problems.add(
            &node.place,
            what,
            "list its classes in data.classes instead",
        );
    }
}

fn party_counts(entries: &Entries, problems: &mut Problems) {
    let Some(least) = entries.integer("prepare.min_parties") else {
        return;
    };
    let tables = entries
        .list("data.tables")
        .and_then(|tables| i64::try_from(tables.len()).ok());
    let (parties, key) = match (tables, entries.integer("data.split.parties")) {
        (Some(count), _) => (count, "data.tables"),
        (None, Some(count)) => (count, "data.split.parties"),
        (None, None) => match entries.word::<SplitBy>("data.split.by") {
            Some(SplitBy::Even | SplitBy::Dirichlet) if !entries.is_bad("data.split.parties") => {
                (3, "data.split")
            }
            _ => return,
        },
    };
    if least > parties {
        let because = format!("the {parties} parties of {key} ({})", at(entries, key));
        refuse(
            entries,
            problems,
            "prepare.min_parties",
            &because,
            &format!("write at most {parties}"),
        );
    }
}
