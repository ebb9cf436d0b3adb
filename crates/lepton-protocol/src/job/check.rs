//! First pass: every key is known, and its value alone is valid.

use super::entries::Entries;
use super::errors::{Place, Problems, likely, quoted_list};
use super::fields::{Absent, Field, Kind, find, keys_of};
use super::tree::{Node, Table, Value, quote};
use super::value_check::{Complaint, check_value};

/// Sorts the tree into entries; what is unknown or invalid becomes a problem.
pub(super) fn check(root: &Table, fields: &'static [Field], problems: &mut Problems) -> Entries {
    let mut entries = Entries::new(fields);
    check_table("", root, &mut entries, problems);
    for field in fields
        .iter()
        .filter(|field| field.default == Absent::Required)
    {
        for path in spelled_out(field.path, &entries) {
            check_required((field, &path), &mut entries, problems);
        }
    }
    entries
}

// A key that every named table must have is asked of each.
fn spelled_out(path: &str, entries: &Entries) -> Vec<String> {
    match path.split_once(".*.") {
        None => vec![path.to_owned()],
        Some((table, key)) => {
            let names = entries.names(table);
            names
                .iter()
                .map(|name| format!("{table}.{name}.{key}"))
                .collect()
        }
    }
}

fn check_table(path: &str, table: &Table, entries: &mut Entries, problems: &mut Problems) {
    for (key, node) in &table.entries {
        let inner = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        match known(entries.fields(), path, (key, &inner)) {
            Some(field) => check_field((field, &inner), node, entries, problems),
            None => {
                let remedy = unknown_remedy(path, key, entries);
                problems.add(&node.place, unknown_what(path, key, node), remedy);
            }
        }
    }
}

// A quoted key such as "job.name" at the top level has the path of a field without being one.
fn known(
    fields: &'static [Field],
    path: &str,
    (key, inner): (&str, &str),
) -> Option<&'static Field> {
    keys_of(fields, path)
        .any(|valid| valid == key)
        .then(|| find(fields, inner))
        .flatten()
}

fn check_field(
    (field, path): (&'static Field, &str),
    node: &Node,
    entries: &mut Entries,
    problems: &mut Problems,
) {
    if super::open::is_left_open(path, &node.value) {
        return entries.leave_open(path, &node.place);
    }
    entries.write(path, node);
    match (&node.value, field.kind) {
        (Value::Table(table), Kind::Table) => check_table(path, table, entries, problems),
        (Value::Table(table), Kind::Named) => check_named(path, table, entries, problems),
        _ => {
            for Complaint {
                place,
                what,
                remedy,
            } in check_value(field, path, node)
            {
                entries.spoil(path);
                problems.add(&place, what, remedy);
            }
        }
    }
}

fn check_named(path: &str, table: &Table, entries: &mut Entries, problems: &mut Problems) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    for (name, node) in &table.entries {
        let inner = format!("{path}.{name}");
        if name.is_empty() || !name.chars().all(plain) {
            let what = format!("{} is no name for a table of [{path}]", quote(name));
            problems.add(&node.place, what, "write letters, digits, _ and - only");
            entries.spoil(path);
            continue;
        }
        entries.write(&inner, node);
        match &node.value {
            Value::Table(table) => check_table(&inner, table, entries, problems),
            other => {
                let what = format!("{inner}: expected a table, found {}", other.describe());
                let remedy = format!("write [{inner}] and its keys on lines of their own");
                problems.add(&node.place, what, remedy);
                entries.spoil(&inner);
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
    let elsewhere = entries.fields().iter().find(|field| {
        !matches!(field.kind, Kind::Table | Kind::Named)
            && !field.path.contains('*')
            && field
                .path
                .rsplit_once('.')
                .is_some_and(|(table, last)| last == key && table != path)
    });
    if let Some((table, _)) = elsewhere.and_then(|field| field.path.rsplit_once('.')) {
        entries.spoil(&format!("{table}.{key}"));
        return format!("it belongs in {}", show_table(table));
    }
    let valid: Vec<&str> = keys_of(entries.fields(), path).collect();
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

fn check_required((field, path): (&Field, &str), entries: &mut Entries, problems: &mut Problems) {
    if entries.written(path) || entries.is_bad(path) {
        return;
    }
    let Some((table, key)) = path.rsplit_once('.') else {
        let wants: Vec<&str> = keys_of(entries.fields(), path)
            .filter(|key| {
                find(entries.fields(), &format!("{path}.{key}"))
                    .is_some_and(|f| f.default == Absent::Required)
            })
            .collect();
        let remedy = if wants.is_empty() {
            format!("add [{path}]")
        } else {
            format!("add [{path}] with {}", wants.join(" and "))
        };
        problems.add(
            &Place::Line(1),
            format!("the table [{path}] is missing"),
            remedy,
        );
        return entries.spoil(path);
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
        entries.spoil(path);
    }
}
