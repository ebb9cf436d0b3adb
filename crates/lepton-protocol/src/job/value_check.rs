//! Whether one value is what its field asks for.

use super::errors::{Place, likely, quoted_list};
use super::fields::{Field, Interval, Kind};
use super::tree::{Node, Table, Value, quote, quote_key};

/// What is wrong with a value.
pub(super) struct Complaint {
    pub(super) place: Place,
    pub(super) what: String,
    pub(super) remedy: String,
}

fn complain(node: &Node, what: String, remedy: impl Into<String>) -> Complaint {
    Complaint {
        place: node.place.clone(),
        what,
        remedy: remedy.into(),
    }
}

/// Most sides of a tensor.
const MOST_SIDES: usize = 8;

/// Everything wrong with a value by itself; empty for a valid one.
pub(super) fn check_value(field: &Field, path: &str, node: &Node) -> Vec<Complaint> {
    let result = match (field.kind, &node.value) {
        (Kind::Text, Value::Text(text)) => check_text(path, text, node),
        (Kind::Choice, Value::Text(word)) => check_word(field, path, word, node),
        (Kind::Integer(low, high), Value::Integer(number)) => {
            check_integer(path, *number, (low, high), node)
        }
        (Kind::PowerOfTwo(low, high), Value::Integer(number)) => {
            check_power(path, *number, (low, high), node)
        }
        (Kind::Flag, Value::Bool(_)) => Ok(()),
        // A number or one of a few words.
        (Kind::Number(_), Value::Text(word)) if field.choices.contains(&word.as_str()) => Ok(()),
        (Kind::Number(interval), value) => check_number((field, path), interval, value, node),
        (Kind::Texts(least), Value::List(items)) => return check_texts(path, items, least, node),
        (Kind::Choices, Value::List(items)) => return check_choices((field, path), items, node),
        (Kind::Widths(count, high), Value::List(items)) => {
            return check_widths(path, items, (count, high), node);
        }
        (Kind::Shapes(count, high), Value::List(items)) => {
            return check_shapes((field, path), items, (count, high), node);
        }
        (Kind::ColumnIntegers(low, high), Value::Table(table)) => {
            return each(table, path, |at, node| {
                column_integer(at, (low, high), node)
            });
        }
        (Kind::ColumnChoices, Value::Table(table)) => {
            return each(table, path, |at, node| column_choice(field, at, node));
        }
        (Kind::ColumnBounds, Value::Table(table)) => {
            return each(table, path, check_bounds);
        }
        (Kind::ColumnTexts, Value::Table(table)) => {
            return each(table, path, column_texts);
        }
        _ => Err(wrong_type(field, path, node)),
    };
    result.err().into_iter().collect()
}

fn each(
    table: &Table,
    path: &str,
    check: impl Fn(&str, &Node) -> Vec<Complaint>,
) -> Vec<Complaint> {
    table
        .entries
        .iter()
        .flat_map(|(column, node)| check(&format!("{path}.{}", quote_key(column)), node))
        .collect()
}

fn wrong_type(field: &Field, path: &str, node: &Node) -> Complaint {
    let mut expected = field.kind.words();
    if matches!(field.kind, Kind::Number(_)) && !field.choices.is_empty() {
        expected += &format!(" or {}", quoted_list(field.choices));
    }
    let remedy = match (&field.kind, &node.value) {
        (Kind::Integer(..) | Kind::PowerOfTwo(..), Value::Float(x)) if x.abs() < 1e15 => {
            format!("write {path} = {:.0}", x.trunc())
        }
        (Kind::Integer(..) | Kind::PowerOfTwo(..), Value::Text(text))
            if text.trim().parse::<i64>().is_ok() =>
        {
            format!("write {} without quotes", text.trim())
        }
        (Kind::Number(_), Value::Text(text))
            if text.trim().parse::<f64>().is_ok_and(f64::is_finite) =>
        {
            format!("write {} without quotes", text.trim())
        }
        (Kind::Texts(_) | Kind::Choices, Value::Text(text)) => {
            format!("write [{}]", quote_all(text))
        }
        (Kind::Widths(..), Value::Integer(number)) => format!("write [{number}]"),
        (Kind::Choice, _) => format!("write {}", quoted_list(field.choices)),
        (Kind::Text, Value::Integer(_) | Value::Float(_) | Value::Bool(_)) => {
            "put the value in double quotes".to_owned()
        }
        (Kind::Table | Kind::Named, _) => {
            format!("write [{path}] and its keys on lines of their own")
        }
        _ => format!("write {expected}"),
    };
    complain(
        node,
        format!(
            "{path}: expected {expected}, found {}",
            node.value.describe()
        ),
        remedy,
    )
}

fn quote_all(text: &str) -> String {
    text.split(',')
        .map(|part| quote(part.trim()))
        .collect::<Vec<_>>()
        .join(", ")
}

fn check_text(path: &str, text: &str, node: &Node) -> Result<(), Complaint> {
    if text.trim().is_empty() {
        return Err(complain(
            node,
            format!("{path} is empty"),
            "give it a value, or remove the key",
        ));
    }
    Ok(())
}

fn check_word(field: &Field, path: &str, word: &str, node: &Node) -> Result<(), Complaint> {
    if field.choices.contains(&word) {
        return Ok(());
    }
    if field.later.contains(&word) {
        let what = format!("{path} = {} is not in this version", quote(word));
        return Err(complain(
            node,
            what,
            format!("write {}", quoted_list(field.choices)),
        ));
    }
    let what = format!("{path} = {} is not a choice", quote(word));
    let remedy = match (field.choices, likely(word, field.choices.iter().copied())) {
        ([_, _, ..], Some(near)) => format!(
            "write {}; the nearest is \"{near}\"",
            quoted_list(field.choices)
        ),
        _ => format!("write {}", quoted_list(field.choices)),
    };
    Err(complain(node, what, remedy))
}

fn check_integer(
    path: &str,
    number: i64,
    (low, high): (i64, i64),
    node: &Node,
) -> Result<(), Complaint> {
    if (low..=high).contains(&number) {
        return Ok(());
    }
    let what = format!("{path} = {number} is out of range");
    let near = number.clamp(low, high);
    Err(complain(
        node,
        what,
        format!("write a whole number from {low} to {high}; the nearest is {near}"),
    ))
}

fn check_power(
    path: &str,
    number: i64,
    (low, high): (i64, i64),
    node: &Node,
) -> Result<(), Complaint> {
    let powers = (0..63)
        .map(|exponent| 1_i64 << exponent)
        .filter(|power| (low..=high).contains(power));
    let near = powers
        .min_by_key(|power| power.abs_diff(number))
        .unwrap_or(low);
    if near == number {
        return Ok(());
    }
    let what = format!("{path} = {number} is not a power of two from {low} to {high}");
    Err(complain(node, what, format!("the nearest is {near}")))
}

fn check_number(
    (field, path): (&Field, &str),
    interval: Interval,
    value: &Value,
    node: &Node,
) -> Result<(), Complaint> {
    let Some(number) = number(value) else {
        return match value {
            Value::Text(word) if field.later.contains(&word.as_str()) => {
                let what = format!("{path} = {} is not in this version", quote(word));
                Err(complain(node, what, format!("write {}", interval.words())))
            }
            _ => Err(wrong_type(field, path, node)),
        };
    };
    if interval.contains(number) {
        return Ok(());
    }
    let remedy = match nearest_number(interval, number) {
        Some(near) => format!("write {}; the nearest is {near}", interval.words()),
        None => format!("write {}", interval.words()),
    };
    Err(complain(
        node,
        format!("{path} = {number} is out of range"),
        remedy,
    ))
}

// Only an end that is itself valid can be proposed.
fn nearest_number(interval: Interval, number: f64) -> Option<f64> {
    [
        (interval.low, number <= interval.low),
        (interval.high, number >= interval.high),
    ]
    .into_iter()
    .find_map(|(end, beyond)| (beyond && interval.contains(end)).then_some(end))
}

/// A whole or decimal number as `f64`.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        // Exact below 2^53; above, the nearest double is what a decimal literal would have given too.
        Value::Integer(number) => Some(*number as f64),
        _ => None,
    }
}

fn check_texts(path: &str, items: &[Node], least: usize, node: &Node) -> Vec<Complaint> {
    let mut found = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for item in items {
        match &item.value {
            Value::Text(text) if text.trim().is_empty() => {
                found.push(complain(
                    item,
                    format!("{path} has an empty text"),
                    "remove it",
                ));
            }
            Value::Text(text) if seen.contains(&text.as_str()) => {
                found.push(complain(
                    item,
                    format!("{path} names {} twice", quote(text)),
                    "keep one of the two",
                ));
            }
            Value::Text(text) => seen.push(text),
            other => {
                let what = format!(
                    "{path}: expected a list of texts, found {} in it",
                    other.describe()
                );
                found.push(complain(item, what, "put every value in double quotes"));
            }
        }
    }
    if items.len() < least {
        let what = format!("{path} has {} of at least {least} values", items.len());
        found.push(complain(
            node,
            what,
            "add the missing ones, or remove the key",
        ));
    }
    found
}

fn check_choices((field, path): (&Field, &str), items: &[Node], node: &Node) -> Vec<Complaint> {
    let found = check_texts(path, items, 1, node);
    if !found.is_empty() {
        return found;
    }
    let word = |item: &Node| match &item.value {
        Value::Text(word) => check_word(field, path, word, item).err(),
        _ => None,
    };
    items.iter().filter_map(word).collect()
}

fn check_count(path: &str, items: &[Node], count: usize, node: &Node) -> Vec<Complaint> {
    if (1..=count).contains(&items.len()) {
        return Vec::new();
    }
    let what = format!("{path} has {} values", items.len());
    vec![complain(node, what, format!("give 1 to {count} of them"))]
}

fn check_shapes(
    (field, path): (&Field, &str),
    items: &[Node],
    (count, high): (usize, i64),
    node: &Node,
) -> Vec<Complaint> {
    let mut found = check_count(path, items, count, node);
    for item in items {
        found.extend(match &item.value {
            Value::List(sides) if sides.is_empty() => Vec::new(),
            Value::List(sides) => check_widths(path, sides, (MOST_SIDES, high), item),
            _ => vec![wrong_type(field, path, node)],
        });
    }
    found
}

fn check_widths(
    path: &str,
    items: &[Node],
    (count, high): (usize, i64),
    node: &Node,
) -> Vec<Complaint> {
    let mut found = check_count(path, items, count, node);
    for item in items {
        let result = match item.value {
            Value::Integer(number) => check_integer(path, number, (1, high), item).err(),
            _ => {
                let what = format!(
                    "{path}: expected whole numbers, found {} in it",
                    item.value.describe()
                );
                Some(complain(
                    item,
                    what,
                    format!("write whole numbers from 1 to {high}"),
                ))
            }
        };
        found.extend(result);
    }
    found
}

fn column_integer(path: &str, (low, high): (i64, i64), node: &Node) -> Vec<Complaint> {
    let result = match &node.value {
        Value::Integer(number) => check_integer(path, *number, (low, high), node),
        other => {
            let what = format!(
                "{path}: expected a whole number, found {}",
                other.describe()
            );
            let remedy = format!("write a whole number from {low} to {high}");
            Err(complain(node, what, remedy))
        }
    };
    result.err().into_iter().collect()
}

fn column_choice(field: &Field, path: &str, node: &Node) -> Vec<Complaint> {
    let result = match &node.value {
        Value::Text(word) => check_word(field, path, word, node),
        other => {
            let what = format!(
                "{path}: expected a word in quotes, found {}",
                other.describe()
            );
            Err(complain(
                node,
                what,
                format!("write {}", quoted_list(field.choices)),
            ))
        }
    };
    result.err().into_iter().collect()
}

fn check_bounds(path: &str, node: &Node) -> Vec<Complaint> {
    let ends = match &node.value {
        Value::List(items) => items
            .iter()
            .map(|item| number(&item.value))
            .collect::<Option<Vec<f64>>>(),
        _ => None,
    };
    let complaint = match ends.as_deref() {
        Some([low, high]) if !(low.is_finite() && high.is_finite()) => complain(
            node,
            format!("{path} = [{low}, {high}] has no end"),
            "write two finite numbers",
        ),
        Some([low, high]) if low < high => return Vec::new(),
        Some([low, high]) if low > high => complain(
            node,
            format!("{path} = [{low}, {high}] is the wrong way round"),
            format!("write [{high}, {low}]"),
        ),
        Some([low, high]) => complain(
            node,
            format!("{path} = [{low}, {high}] has no width"),
            "write the low end, then a higher one",
        ),
        _ => {
            let what = format!(
                "{path}: expected [low, high], found {}",
                node.value.describe()
            );
            complain(
                node,
                what,
                "write two numbers in brackets, the low one first",
            )
        }
    };
    vec![complaint]
}

fn column_texts(path: &str, node: &Node) -> Vec<Complaint> {
    match &node.value {
        Value::List(items) => check_texts(path, items, 1, node),
        other => {
            let what = format!(
                "{path}: expected a list of texts, found {}",
                other.describe()
            );
            vec![complain(
                node,
                what,
                "write the values in brackets, each in double quotes",
            )]
        }
    }
}
