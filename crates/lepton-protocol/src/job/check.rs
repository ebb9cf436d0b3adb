//! First pass: every key is known, and its value alone is valid.

use super::entries::Entries;
use super::errors::{Place, Problems, likely, quoted_list};
use super::fields::{Absent, FIELDS, Field, Kind, field, keys_of};
use super::tree::{Node, Table, Value};
use super::value_check::{Complaint, check_value};

/// Sorts the tree into entries; what is unknown or invalid becomes a problem.
pub(super) fn check(root: &Table, problems: &mut Problems) -> Entries {
    let mut entries = Entries::default();
    check_table("", root, &mut entries, problems);
    for field in FIELDS
        .iter()
        .filter(|field| field.default == Absent::Required)
    {
        check_required(field, &mut entries, problems);
    }
    entries
}

fn check_table(path: &str, table: &Table, entries: &mut Entries, problems: &mut Problems) {
    for (key, node) in &table.entries {
        let inner = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        match known(path, key, &inner) {
            Some(field) => check_field(field, node, entries, problems),
            None => {
                let remedy = unknown_remedy(path, key, entries);
                problems.add(&node.place, unknown_what(path, key, node), remedy);
            }
        }
    }
}

// A quoted key such as "job.name" at the top level has the path of a field without being one.
fn known(path: &str, key: &str, inner: &str) -> Option<&'static Field> {
    keys_of(path)
        .any(|valid| valid == key)
        .then(|| field(inner))
        .flatten()
}

fn check_field(field: &'static Field, node: &Node, entries: &mut Entries, problems: &mut Problems) {
    if super::open::is_left_open(field.path, &node.value) {
        return entries.leave_open(field.path, &node.place);
    }
    entries.write(field.path, node);
    match (&node.value, field.kind) {
        (Value::Table(table), Kind::Table) => check_table(field.path, table, entries, problems),
        _ => {
            for Complaint {
                place,
                what,
                remedy,
            } in check_value(field, node)
            {
                entries.spoil(field.path);
                problems.add(&place, what, remedy);
            }
        }
    }
}

fn unknown_what(path: &str, key: &str, node: &Node) -> String {
    match (path.is_empty(), &node.value) {
        (true, Value::Table(_)) => format!("unknown table [{key}]"),
        (true, _) => format!("unknown key \"{key}\" outside every table"),
        (false, _) => format!("unknown key \"{key}\" in {}", show_table(path)),
    }
}

// The key that was meant counts as given, so that one slip of the pen makes one problem.
fn unknown_remedy(path: &str, key: &str, entries: &mut Entries) -> String {
    let elsewhere = FIELDS.iter().find(|field| {
        field.kind != Kind::Table
            && field
                .path
                .rsplit_once('.')
                .is_some_and(|(table, last)| last == key && table != path)
    });
    if let Some((table, _)) = elsewhere.and_then(|field| field.path.rsplit_once('.')) {
        entries.spoil(&format!("{table}.{key}"));
        return format!("it belongs in {}", show_table(table));
    }
    let valid: Vec<&str> = keys_of(path).collect();
    match (likely(key, valid.iter().copied()), path.is_empty()) {
        (Some(meant), true) => {
            entries.spoil(meant);
            format!("the nearest valid table is [{meant}]")
        }
        (Some(meant), false) => {
            entries.spoil(&format!("{path}.{meant}"));
            format!("the nearest valid key is \"{meant}\"")
        }
        (None, true) => format!("write [{}]", valid.join("], [")),
        (None, false) => format!("write {}", quoted_list(&valid)),
    }
}

/// `[data]`, or `data.split` for a table inside a table.
pub(super) fn show_table(path: &str) -> String {
    if path.contains('.') {
        path.to_owned()
    } else {
        format!("[{path}]")
    }
}

fn check_required(field: &Field, entries: &mut Entries, problems: &mut Problems) {
    if entries.written(field.path) || entries.is_bad(field.path) {
        return;
    }
    let Some((table, key)) = field.path.rsplit_once('.') else {
        let wants: Vec<&str> = keys_of(field.path)
            .filter(|key| {
                super::fields::field(&format!("{}.{key}", field.path))
                    .is_some_and(|f| f.default == Absent::Required)
            })
            .collect();
        let remedy = format!("add [{}] with {}", field.path, wants.join(" and "));
        problems.add(
            &Place::Line(1),
            format!("the table [{}] is missing", field.path),
            remedy,
        );
        return entries.spoil(field.path);
    };
    // A table that is absent itself, or unreadable, has its own message or needs none.
    if let (Some(place), false) = (entries.place(table).cloned(), entries.is_bad(table)) {
        let choices = if field.choices.is_empty() {
            String::new()
        } else {
            format!(": {}", quoted_list(field.choices))
        };
        let sample = if field.kind == Kind::Text {
            "\"...\""
        } else {
            "..."
        };
        problems.add(
            &place,
            format!("{} has no {key}", show_table(table)),
            format!("add {key} = {sample}{choices}"),
        );
        entries.spoil(field.path);
    }
}
