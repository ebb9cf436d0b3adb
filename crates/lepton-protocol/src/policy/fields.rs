//! Every key of `policy.toml` in one table: checks, defaults and `docs/policy.md` read it.

use super::words::{Approval, Role, Weekday};
use crate::job::field_parts::{POSITIVE, open, plain as key, worded as words};
use crate::job::{Absent, Aggregation, Field, Kind, Task, Unit};

/// Every key of a policy, tables before their keys.
pub static FIELDS: &[Field] = &[
    key(
        "submit",
        Kind::Table,
        Absent::Required,
        "Who may submit a job. Every list that is given must hold the submitter, and at least one must be given (PO-02).",
    ),
    key(
        "submit.members",
        Kind::Texts(1),
        Absent::Says("any member"),
        "Members of the federation, by the name in their certificate.",
    ),
    key(
        "submit.serials",
        Kind::Texts(1),
        Absent::Says("any certificate"),
        "Certificates, by serial number in hexadecimal digits; colons and the case of letters do not matter.",
    ),
    words::<Role>(
        "submit.roles",
        Kind::Choices,
        Absent::Says("any role"),
        "Roles, as the certificate states them.",
    ),
    key(
        "tables",
        Kind::Named,
        Absent::Says("no table is open"),
        "The tables that jobs may use, by the name that the party's configuration gives them. A table that is not here is closed (PO-03).",
    ),
    words::<Task>(
        "tables.*.tasks",
        Kind::Choices,
        Absent::Value("[\"train\"]"),
        "What jobs may do with the table.",
    ),
    key(
        "tables.*.columns",
        Kind::Texts(1),
        Absent::Says("every column but the closed ones"),
        "Columns that jobs may read, the label included (PO-04).",
    ),
    key(
        "tables.*.closed_columns",
        Kind::Texts(0),
        Absent::Value("[]"),
        "Columns that no job may read.",
    ),
    key(
        "tables.*.min_rows",
        Kind::Integer(1, 1_000_000_000),
        Absent::Value("100"),
        "Fewest rows at this party for the table to be used. A table with fewer is refused as if it were closed (PO-05).",
    ),
    key(
        "parties",
        Kind::Table,
        Absent::Says("every key at its default"),
        "How many parties a job must have (PO-06).",
    ),
    key(
        "parties.least",
        Kind::Integer(2, 1000),
        Absent::Value("3"),
        "Fewest parties. Without a privacy goal no fewer may join a running job at a time either (LJ-04).",
    ),
    key(
        "parties.most",
        Kind::Integer(2, 1000),
        Absent::Says("no such limit"),
        "Most parties, those included that join while the job runs (`training.late_join`).",
    ),
    key(
        "protection",
        Kind::Table,
        Absent::Says("every key at its default"),
        "Least protection of the sums (PO-07, PO-08). The numbers are those that the party derives itself from the job and the number of parties.",
    ),
    words::<Aggregation>(
        "protection.aggregation",
        Kind::Choices,
        Absent::Value("[\"masked\"]"),
        "Ways of summing that are allowed.",
    ),
    key(
        "protection.colluders",
        Kind::Integer(0, 1000),
        Absent::Value("1"),
        "Fewest parties that may collude with the coordinator and still learn nothing but the sum.",
    ),
    key(
        "protection.threshold",
        Kind::Integer(1, 1000),
        Absent::Value("2"),
        "Smallest number of shares that open a mask.",
    ),
    key(
        "protection.quorum",
        Kind::Integer(1, 1000),
        Absent::Value("2"),
        "Smallest number of parties that must sign one list of survivors.",
    ),
    key(
        "protection.group_sums",
        Kind::Flag,
        Absent::Value("false"),
        "Whether the coordinator may see one sum for each group of parties (`training.combine` other than `mean`) in place of one sum over all.",
    ),
    key(
        "privacy",
        Kind::Table,
        Absent::Says("every key at its default"),
        "What a job's result may say about one protected unit (PO-09 to PO-12).",
    ),
    key(
        "privacy.required",
        Kind::Flag,
        Absent::Value("true"),
        "Whether a job must have a privacy goal. Without one its sums are exact.",
    ),
    key(
        "privacy.exact_start",
        Kind::Flag,
        Absent::Value("false"),
        "Whether a job without a privacy goal may begin from a model that its submitter gives (`model.start`): exact sums at parameters of the submitter's choice can be made to tell of few rows (PO-18).",
    ),
    words::<Unit>(
        "privacy.unit",
        Kind::Choice,
        Absent::Value("\"record\""),
        "Weakest unit that a job's guarantee may protect: a record, a person (all rows here that share an id) or the whole party. Epsilon is counted for the job's own unit (PO-10).",
    ),
    key(
        "privacy.epsilon",
        POSITIVE,
        Absent::Value("3.0"),
        "Largest epsilon of one job.",
    ),
    key(
        "privacy.delta",
        open(0.0, 1.0),
        Absent::Value("1e-5"),
        "Largest delta of one job.",
    ),
    key(
        "privacy.period_days",
        Kind::Integer(1, 36_500),
        Absent::Value("365"),
        "Length of the period, in days before the job, for the next two keys.",
    ),
    key(
        "privacy.period_epsilon",
        POSITIVE,
        Absent::Value("10.0"),
        "Largest sum of the epsilons of the jobs accepted on one table in a period.",
    ),
    key(
        "privacy.period_delta",
        open(0.0, 1.0),
        Absent::Value("1e-4"),
        "Largest sum of their deltas.",
    ),
    key(
        "model",
        Kind::Table,
        Absent::Says("every key at its default"),
        "How large a job may be (PO-13).",
    ),
    key(
        "model.parameters",
        Kind::Integer(1, 1_000_000_000),
        Absent::Value("1000000"),
        "Most numbers that are trained. Looked at when the job is submitted, as far as it is known, and again before the first round.",
    ),
    key(
        "model.rounds",
        Kind::Integer(1, 10_000),
        Absent::Value("1000"),
        "Most rounds.",
    ),
    key(
        "hours",
        Kind::Table,
        Absent::Says("any time"),
        "When jobs may begin, in UTC (PO-14). A job that began goes on.",
    ),
    words::<Weekday>(
        "hours.days",
        Kind::Choices,
        Absent::Says("every day"),
        "Days of the week.",
    ),
    key(
        "hours.from",
        Kind::Text,
        Absent::Value("\"00:00\""),
        "Begin, `HH:MM`.",
    ),
    key(
        "hours.to",
        Kind::Text,
        Absent::Value("\"24:00\""),
        "End, `HH:MM`, not included. Before `from`: on the next day.",
    ),
    key(
        "approval",
        Kind::Table,
        Absent::Says("every key at its default"),
        "When a person at the party has to approve a job before it runs (PO-15).",
    ),
    words::<Approval>(
        "approval.person",
        Kind::Choice,
        Absent::Value("\"always\""),
        "`always`: every job. `without_goal`: jobs without a privacy goal. `never`: none.",
    ),
    key(
        "approval.above_epsilon",
        POSITIVE,
        Absent::Says("no such limit"),
        "Jobs with a larger epsilon need approval too.",
    ),
    key(
        "attempts",
        Kind::Table,
        Absent::Says("every key at its default"),
        "How often work may be repeated (PO-16).",
    ),
    key(
        "attempts.per_round",
        Kind::Integer(1, 100),
        Absent::Value("3"),
        "Most attempts at one round. Each has fresh masks, sample and noise, and is charged.",
    ),
];
