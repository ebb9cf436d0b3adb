//! Every command that the documents cite exists: verbs of `cargo xtask` and of `lepton`.

use std::collections::BTreeMap;

use super::markdown::{Piece, pieces};
use super::source::{split, words};
use super::{Finding, Tree};
use crate::VERBS;

const LEPTON: &str = "crates/lepton/src/";

/// Checks every Markdown file.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let grammar = Grammar::read(tree);
    let mut findings = Vec::new();
    for (path, text) in tree.texts(".md") {
        for (line, piece) in pieces(text) {
            let Piece::Code(code) = piece else { continue };
            if let Some((wrong, fix)) = check_code(code, &grammar) {
                findings.push(Finding::new(
                    path,
                    line,
                    format!("there is no command `{wrong}`"),
                    fix,
                ));
            }
        }
    }
    findings
}

/// The first command in a code span or shell line that does not exist, and what to do.
fn check_code(code: &str, grammar: &Grammar) -> Option<(String, String)> {
    let all: Vec<&str> = code.split_whitespace().collect();
    (0..all.len())
        .filter_map(|at| all.get(at..))
        .find_map(|rest| match rest {
            ["cargo", "xtask", verb, ..] if is_verb(verb) => {
                let known = VERBS.iter().any(|(name, _)| name == verb);
                (!known).then(|| {
                    (
                        format!("cargo xtask {verb}"),
                        "cite one that `cargo xtask help` lists".to_owned(),
                    )
                })
            }
            [program, verb, more @ ..] if is_lepton(program) && is_verb(verb) => {
                let named = grammar.missing(verb, more.first().copied())?;
                Some((
                    format!("lepton {named}"),
                    format!("cite one of: {}", grammar.verbs()),
                ))
            }
            _ => None,
        })
}

fn is_lepton(program: &str) -> bool {
    program == "lepton" || program.ends_with("/lepton")
}

fn is_verb(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase())
        && chars.all(|c| c.is_ascii_lowercase() || c == '-')
}

/// The verbs that the command line's source declares with clap's derive macros.
#[derive(Default)]
struct Grammar {
    /// Verbs by the enum that declares them, with the enum of their own verbs if they have any.
    enums: BTreeMap<String, BTreeMap<String, Option<String>>>,
    /// The enum of the first verbs.
    top: Option<String>,
}

impl Grammar {
    fn read(tree: &Tree) -> Self {
        let mut grammar = Self::default();
        let mut nested = BTreeMap::new();
        for (_, text) in tree.rust().filter(|(path, _)| path.starts_with(LEPTON)) {
            for item in derived(&split(text).code) {
                match item.derives {
                    Derived::Subcommand => {
                        grammar.enums.insert(item.name, variants(&item.body));
                    }
                    Derived::Parser => grammar.top = subcommand_field(&item.body).or(grammar.top),
                    Derived::Args => {
                        nested.extend(subcommand_field(&item.body).map(|inner| (item.name, inner)));
                    }
                }
            }
        }
        for inner in grammar
            .enums
            .values_mut()
            .flat_map(BTreeMap::values_mut)
            .flatten()
        {
            if let Some(through) = nested.get(inner) {
                inner.clone_from(through);
            }
        }
        grammar
    }

    fn first(&self) -> Option<&BTreeMap<String, Option<String>>> {
        self.enums.get(self.top.as_ref()?)
    }

    /// The verbs as cited, if they do not exist.
    fn missing(&self, verb: &str, next: Option<&str>) -> Option<String> {
        let Some(inner) = self.first().and_then(|verbs| verbs.get(verb)) else {
            return (verb != "help").then(|| verb.to_owned());
        };
        let inner = self.enums.get(inner.as_ref()?)?;
        let next = next.filter(|next| is_verb(next))?;
        (!inner.contains_key(next)).then(|| format!("{verb} {next}"))
    }

    fn verbs(&self) -> String {
        let names = self
            .first()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str());
        names.collect::<Vec<_>>().join(", ")
    }
}

enum Derived {
    Parser,
    Subcommand,
    Args,
}

struct DerivedItem {
    derives: Derived,
    name: String,
    body: String,
}

/// Structs and enums with one of clap's derives, and what stands between their braces.
fn derived(code: &str) -> Vec<DerivedItem> {
    let mut items = Vec::new();
    for (at, mark) in code.match_indices("#[derive(") {
        let rest = code.get(at + mark.len()..).unwrap_or_default();
        let Some((list, after)) = rest.split_once(")]") else {
            continue;
        };
        let has = |name: &str| words(list).any(|(_, word)| word == name);
        let derives = match () {
            () if has("Parser") => Derived::Parser,
            () if has("Subcommand") => Derived::Subcommand,
            () if has("Args") => Derived::Args,
            () => continue,
        };
        let mut tokens = words(after)
            .skip_while(|(_, word)| !matches!(*word, "struct" | "enum"))
            .skip(1);
        let Some((name_at, name)) = tokens.next() else {
            continue;
        };
        let body = after
            .get(name_at..)
            .and_then(|rest| Some(rest.split_once('{')?.1))
            .unwrap_or_default();
        items.push(DerivedItem {
            derives,
            name: name.to_owned(),
            body: until_closed(body).to_owned(),
        });
    }
    items
}

/// The text up to the brace that closes what was opened before it.
fn until_closed(text: &str) -> &str {
    let mut open = 1_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return text.get(..at).unwrap_or(text);
        }
    }
    text
}

/// The type of the field that is marked as holding the verbs.
fn subcommand_field(body: &str) -> Option<String> {
    let after = body.split("#[command(subcommand)]").nth(1)?;
    let (_, kind) = after.split_once(':')?;
    words(kind)
        .map(|(_, word)| word)
        .find(|word| *word != "Option")
        .map(str::to_owned)
}

/// Verbs of an enum body, with the type of their own verbs: `Model { #[command(subcommand)] what: ModelVerb }`
/// or, for `Model(ModelArgs)`, that type.
fn variants(body: &str) -> BTreeMap<String, Option<String>> {
    let mut found = BTreeMap::new();
    for part in top_level_parts(body) {
        let mut rest = part.trim_start();
        while let Some(after) = rest.strip_prefix("#[") {
            rest = after
                .split_once(']')
                .map_or("", |(_, next)| next.trim_start());
        }
        let Some((at, name)) = words(rest).next() else {
            continue;
        };
        let content = rest.get(at + name.len()..).unwrap_or_default();
        let inner = match content.trim_start().strip_prefix('(') {
            Some(held) => words(held)
                .map(|(_, word)| word)
                .find(|word| *word != "Box")
                .map(str::to_owned),
            None => subcommand_field(content),
        };
        found.insert(kebab(name), inner);
    }
    found
}

/// Splits at the commas that stand in no bracket.
fn top_level_parts(body: &str) -> Vec<&str> {
    let mut open = 0_usize;
    body.split(|c: char| {
        match c {
            '{' | '(' | '[' => open += 1,
            '}' | ')' | ']' => open = open.saturating_sub(1),
            _ => {}
        }
        c == ',' && open == 0
    })
    .collect()
}

fn kebab(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(c.to_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = "#[derive(Debug, Parser)]\n#[command(version)]\nstruct Cli {\n #[command(subcommand)]\n verb: Verb,\n}\n\
        #[derive(Subcommand)]\nenum Verb {\n /// Runs, a job.\n Run(RunArgs),\n\
        #[command(about = \"x, ]\")]\n Model { #[command(subcommand)] what: ModelVerb }, Doctor,\n NewThing { name: String } }\n\
        #[derive(clap::Subcommand)] enum ModelVerb { Show { dir: String } }\n#[derive(Args)] struct RunArgs { job: String }";

    fn found(document: &str) -> usize {
        check(&Tree::of([
            ("crates/lepton/src/main.rs", MAIN),
            ("a.md", document),
        ]))
        .len()
    }

    #[test]
    fn commands_that_exist_pass() {
        let good = "`cargo xtask tidy` `lepton run job.toml` `lepton new-thing` `lepton model show DIR` `lepton --help`\n\
            `lepton VERB` `lepton model` and lepton flies `lepton help`\n```sh\ntarget/release/lepton doctor\n```\n";
        assert_eq!(found(good), 0);
    }

    #[test]
    fn commands_that_do_not_exist_are_found() {
        for bad in [
            "`cargo xtask fly`",
            "`lepton fly`",
            "`lepton model fly`",
            "```\n$ ./lepton train x\n```",
        ] {
            assert_eq!(found(bad), 1, "{bad}");
        }
    }
}
