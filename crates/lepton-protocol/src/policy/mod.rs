//! The policy of a data owner: which jobs may use which tables, under which protection (docs/protocols/policy.md).
//!
//! [`Policy::parse`] reads `policy.toml`; [`Policy::decide`] answers a [`Request`]; [`explain`] says in plain words what a job takes out of the party.
//! Nothing here reads a clock or a file.

mod decide;
mod explain;
mod fields;
mod request;
mod time;
mod words;

use std::collections::BTreeMap;

use lepton_dp::{Delta, Epsilon};

pub use explain::explain;
pub use fields::FIELDS;
pub use request::{Decision, Figures, Granted, Refusal, Request, Rule, Submitter};
pub use time::Moment;
pub use words::{Approval, Role, Weekday};

use crate::job::{Aggregation, JobErrors, Settings, Task, Unit, Word, tables_markdown};
use time::{Hours, minute_of};

/// A valid policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    submit: Submit,
    tables: BTreeMap<String, TableRule>,
    least_parties: u16,
    most_parties: Option<u16>,
    colluders: u16,
    threshold: u16,
    quorum: u16,
    aggregation: Vec<Aggregation>,
    group_sums: bool,
    exact_start: bool,
    goal_required: bool,
    unit: Unit,
    epsilon: Epsilon,
    delta: Delta,
    period_days: u32,
    period_epsilon: Epsilon,
    period_delta: Delta,
    parameters: u64,
    rounds: u32,
    hours: Hours,
    approval: Approval,
    above_epsilon: Option<Epsilon>,
    attempts: u32,
}

/// Who may submit: every list that is there must hold the submitter.
#[derive(Debug, Clone, PartialEq)]
struct Submit {
    members: Option<Vec<String>>,
    serials: Option<Vec<String>>,
    roles: Option<Vec<Role>>,
}

/// What jobs may do with one table.
#[derive(Debug, Clone, PartialEq)]
struct TableRule {
    tasks: Vec<Task>,
    columns: Option<Vec<String>>,
    closed_columns: Vec<String>,
    min_rows: u64,
}

impl Policy {
    /// Reads a policy; `source_name` is how messages call the text.
    ///
    /// # Errors
    /// [`JobErrors`] with every problem found, each with its place and what to do.
    pub fn parse(source_name: &str, text: &str) -> Result<Self, JobErrors> {
        let settings = Settings::read(source_name, text, FIELDS)?;
        settings.refuse(&together(&settings))?;
        build(&settings).map_or_else(
            || {
                let what = "the policy passed every check and could not be read";
                let found = ("submit", what, "report this file as a bug");
                let found = [(found.0.into(), found.1.into(), found.2.into())];
                Err(settings
                    .refuse(&found)
                    .expect_err("a list with one problem is refused"))
            },
            Ok,
        )
    }

    /// Names of the tables that are open to some job.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// Fewest parties of a job (PO-06). Before it is known who takes part, a job is planned for so many; it is decided about again with all of them.
    #[must_use]
    pub fn least_parties(&self) -> u16 {
        self.least_parties
    }

    /// Days that accepted jobs have to be remembered for [`Request::granted`].
    #[must_use]
    pub fn period_days(&self) -> u32 {
        self.period_days
    }
}

/// The text of `docs/policy.md`.
#[must_use]
pub fn reference_markdown() -> String {
    format!("{HEAD}{}", tables_markdown(FIELDS))
}

const HEAD: &str = "\
# The policy file

One TOML file at every party says which jobs may use which tables, and under which protection. What it does not open is closed, and unknown keys are errors.
The rules are numbered in `docs/protocols/policy.md`; a refusal names the one that was broken.

This page is written from the table of fields in `crates/lepton-protocol/src/policy/fields.rs`; a test compares the two.

## Example

```toml
[submit]
roles = [\"scientist\"]

[tables.patients]
closed_columns = [\"name\", \"insurance_number\"]
min_rows = 200

[parties]
least = 5

[privacy]
epsilon = 2.0
period_epsilon = 6.0

[hours]
days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]
from = \"07:00\"
to = \"19:00\"

[approval]
person = \"always\"
```
";

/// Problems of keys that are valid alone.
fn together(settings: &Settings) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let mut add = |path: &str, what: &str, remedy: &str| {
        found.push((path.to_owned(), what.to_owned(), remedy.to_owned()));
    };
    let lists = ["submit.members", "submit.serials", "submit.roles"];
    if !lists.iter().any(|path| settings.written(path)) {
        let remedy = "add roles = [\"scientist\"], or members or serials";
        add("submit", "[submit] opens the party to nobody", remedy);
    }
    for serial in settings.texts("submit.serials").unwrap_or_default() {
        let plain = plain_serial(&serial);
        if plain.is_empty() || !plain.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let what = format!("submit.serials: \"{serial}\" is no serial number");
            add("submit.serials", &what, "write hexadecimal digits");
        }
    }
    let [least, most] = ["parties.least", "parties.most"].map(|path| settings.integer(path));
    if most.is_some_and(|most| least.is_some_and(|least| most < least)) {
        let remedy = "raise parties.most, or lower parties.least";
        add(
            "parties.most",
            "parties.most is below parties.least",
            remedy,
        );
    }
    for path in ["hours.from", "hours.to"] {
        let text = settings.text(path).unwrap_or_default();
        if minute_of(&text).is_none() {
            let what = format!("{path} = \"{text}\" is no time of day");
            add(path, &what, "write HH:MM, as \"07:30\"");
        }
    }
    for name in settings.names("tables") {
        let (open, closed) = (
            format!("tables.{name}.columns"),
            format!("tables.{name}.closed_columns"),
        );
        let closed_columns = settings.texts(&closed).unwrap_or_default();
        let both = |column: &&String| closed_columns.contains(column);
        if let Some(column) = settings.texts(&open).unwrap_or_default().iter().find(both) {
            let what = format!("{open} opens \"{column}\", which {closed} closes");
            add(&closed, &what, "keep it in one of the two");
        }
    }
    found
}

/// Serial numbers are compared without colons, case and leading zeros.
fn plain_serial(serial: &str) -> String {
    let digits: String = serial.chars().filter(|c| *c != ':').collect();
    digits.trim().trim_start_matches('0').to_ascii_lowercase()
}

fn build(settings: &Settings) -> Option<Policy> {
    let whole = |path: &str| settings.integer(path);
    let small = |path: &str| u16::try_from(whole(path)?).ok();
    let medium = |path: &str| u32::try_from(whole(path)?).ok();
    let epsilon = |path: &str| Epsilon::new(settings.number(path)?).ok();
    let delta = |path: &str| Delta::new(settings.number(path)?).ok();
    Some(Policy {
        submit: submit(settings),
        tables: settings
            .names("tables")
            .into_iter()
            .map(|name| Some((name.clone(), table(settings, &name)?)))
            .collect::<Option<_>>()?,
        least_parties: small("parties.least")?,
        most_parties: small("parties.most"),
        colluders: small("protection.colluders")?,
        threshold: small("protection.threshold")?,
        quorum: small("protection.quorum")?,
        aggregation: settings.words("protection.aggregation")?,
        group_sums: settings.flag("protection.group_sums")?,
        exact_start: settings.flag("privacy.exact_start")?,
        goal_required: settings.flag("privacy.required")?,
        unit: settings.word("privacy.unit")?,
        epsilon: epsilon("privacy.epsilon")?,
        delta: delta("privacy.delta")?,
        period_days: medium("privacy.period_days")?,
        period_epsilon: epsilon("privacy.period_epsilon")?,
        period_delta: delta("privacy.period_delta")?,
        parameters: u64::try_from(whole("model.parameters")?).ok()?,
        rounds: medium("model.rounds")?,
        hours: hours(settings)?,
        approval: settings.word("approval.person")?,
        above_epsilon: match settings.number("approval.above_epsilon") {
            Some(most) => Some(Epsilon::new(most).ok()?),
            None => None,
        },
        attempts: medium("attempts.per_round")?,
    })
}

fn submit(settings: &Settings) -> Submit {
    let serials = settings.texts("submit.serials");
    Submit {
        members: settings.texts("submit.members"),
        serials: serials.map(|all| all.iter().map(|serial| plain_serial(serial)).collect()),
        roles: settings.words("submit.roles"),
    }
}

fn table(settings: &Settings, name: &str) -> Option<TableRule> {
    let key = |key: &str| format!("tables.{name}.{key}");
    Some(TableRule {
        tasks: settings.words(&key("tasks"))?,
        columns: settings.texts(&key("columns")),
        closed_columns: settings.texts(&key("closed_columns"))?,
        min_rows: u64::try_from(settings.integer(&key("min_rows"))?).ok()?,
    })
}

fn hours(settings: &Settings) -> Option<Hours> {
    let all = || {
        Weekday::WORDS
            .iter()
            .filter_map(|word| Weekday::from_word(word))
    };
    let days = settings.words("hours.days");
    Some(Hours {
        days: days.unwrap_or_else(|| all().collect()),
        from: minute_of(&settings.text("hours.from")?)?,
        to: minute_of(&settings.text("hours.to")?)?,
    })
}
