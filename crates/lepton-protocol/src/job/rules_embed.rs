//! Rules between `model.embeddings` and the other keys.

use super::entries::Entries;
use super::errors::{Place, Problems};
use super::rules::{Rule, at, declared_type, named, refuse};
use super::tree::{Node, quote};
use super::words::{Categories, ColumnType, ModelName};

pub(super) const RULES: [Rule; 3] = [model, categories, columns];

const KEY: &str = "model.embeddings";

/// Most embedding tables of a model.
const MOST: usize = 64;

fn model(entries: &Entries, problems: &mut Problems) {
    match entries.word::<ModelName>("model.kind") {
        None | Some(ModelName::Mlp) => {}
        Some(kind) => {
            let place = at(entries, "model.kind");
            let because = format!("model.kind = \"{kind}\" ({place}), which embeds nothing");
            let remedy = "remove it, or write kind = \"mlp\"";
            refuse(entries, problems, KEY, &because, remedy);
        }
    }
    let count = entries.columns(KEY).len();
    if count > MOST {
        let what = format!("{KEY} names {count} columns");
        let remedy = format!("name at most {MOST}; the others become one input for each category");
        problems.add(&entries.place_or_table(KEY), what, remedy);
    }
}

fn categories(entries: &Entries, problems: &mut Problems) {
    let key = "prepare.categories";
    if entries.word(key) == Some(Categories::Drop) && !entries.columns(KEY).is_empty() {
        let because = format!(
            "prepare.categories = \"drop\" ({}), which leaves category columns out",
            at(entries, key)
        );
        refuse(entries, problems, KEY, &because, "remove one of the two");
    }
}

/// What is embedded is an input, and holds categories as far as the job says.
fn columns(entries: &Entries, problems: &mut Problems) {
    for (column, node) in entries.columns(KEY) {
        let mut wrong = |why: String, remedy: &str| {
            let what = format!("{KEY} lists column {}, {why}", quote(&column));
            problems.add(&node.place, what, remedy);
        };
        let numbers = declared_type(entries, &column);
        if let Some((_, place)) = numbers.filter(|(kind, _)| *kind == ColumnType::Number) {
            let why = format!("called a number at {}", place.mention());
            let remedy = "only a category is embedded: remove it here, or change data.types";
            wrong(why, remedy);
        }
        let parts = other_parts(entries, &column);
        for (place, part) in &parts {
            let why = format!("which is {part} ({})", place.mention());
            wrong(
                why,
                "only columns to predict from are embedded: remove it here",
            );
        }
        let features = entries.node("data.features");
        if parts.is_empty() && features.is_some() && !names(features, &column) {
            let why = format!(
                "which is not among data.features ({})",
                at(entries, "data.features")
            );
            wrong(why, "add it there, or remove it here");
        }
    }
}

/// The parts that a column plays beside that of an input.
fn other_parts(entries: &Entries, column: &str) -> Vec<(Place, &'static str)> {
    let keys = [("data.label", "the label"), ("data.person", "data.person")];
    let mut parts: Vec<(Place, &str)> = keys
        .iter()
        .filter(|(key, _)| entries.text(key).as_deref() == Some(column))
        .map(|(key, part)| (entries.place_or_table(key), *part))
        .collect();
    if names(entries.node("data.exclude"), column) {
        parts.push((entries.place_or_table("data.exclude"), "excluded"));
    }
    parts
}

fn names(list: Option<&Node>, column: &str) -> bool {
    named(list).iter().any(|(name, _)| *name == column)
}
