//! Every key of the three configuration files, in one table each: checks, defaults and `docs/configuration.md` read them.

use std::sync::LazyLock;

use lepton_protocol::job::{
    Absent, ColumnType, Field, Kind, plain_key as key, worded_key as words,
};

use super::words::{LogFormat, LogLevel};

const IDENTITY: [Field; 2] = [
    key(
        "identity",
        Kind::Table,
        Absent::Required,
        "Who this program is.",
    ),
    key(
        "identity.folder",
        Kind::Text,
        Absent::Required,
        "Folder with the certificate, its key and the federation's authority, as enrolment leaves it. Nobody but this program's user may read the key.",
    ),
];

const STORE: [Field; 6] = [
    key(
        "store",
        Kind::Table,
        Absent::Says("every key at its default"),
        "Where what must survive a crash is kept (`docs/store.md`).",
    ),
    key(
        "store.url",
        Kind::Text,
        Absent::Value("\"sqlite:lepton.db\""),
        "`sqlite:PATH`, or `postgres://USER@HOST:PORT/DATABASE` without a password.",
    ),
    key(
        "store.key_file",
        Kind::Text,
        Absent::Value("\"store.key\""),
        "File with the key that values are encrypted under. Made at the first start; keep a copy apart from the backups of the store.",
    ),
    key(
        "store.anchor",
        Kind::Text,
        Absent::Value("\"store.anchor\""),
        "File that remembers how far the store has come, so that a store restored from a backup is noticed. Leave it out of backups.",
    ),
    key(
        "store.password_file",
        Kind::Text,
        Absent::Says("no password"),
        "File with the password of the PostgreSQL user. Excludes `password_env`.",
    ),
    key(
        "store.password_env",
        Kind::Text,
        Absent::Says("no password"),
        "Name of the environment variable with that password.",
    ),
];

const AUDIT: [Field; 3] = [
    key(
        "audit",
        Kind::Table,
        Absent::Says("every key at its default"),
        "The audit log (`docs/audit-log.md`).",
    ),
    key(
        "audit.folder",
        Kind::Text,
        Absent::Value("\"audit\""),
        "Folder of the log.",
    ),
    key(
        "audit.segment_entries",
        Kind::Integer(1, 10_000_000),
        Absent::Value("10000"),
        "Entries after which a segment is signed and the next begun.",
    ),
];

const LOG: [Field; 3] = [
    key(
        "log",
        Kind::Table,
        Absent::Says("every key at its default"),
        "What the program writes to its standard error stream.",
    ),
    words::<LogLevel>(
        "log.level",
        Kind::Choice,
        Absent::Value("\"info\""),
        "How much is written.",
    ),
    words::<LogFormat>(
        "log.format",
        Kind::Choice,
        Absent::Value("\"text\""),
        "Lines for people, or one JSON object a line.",
    ),
];

const METRICS: [Field; 2] = [
    key(
        "metrics",
        Kind::Table,
        Absent::Says("every key at its default"),
        "Figures for monitoring, in OpenMetrics, with `/health` and `/ready`. No figure comes from rows.",
    ),
    key(
        "metrics.listen",
        Kind::Text,
        Absent::Value("\"127.0.0.1:9464\""),
        "Address and port, or `off`. The page has no access control: beyond this machine, put it behind one.",
    ),
];

const DIAL: [Field; 6] = [
    key(
        "coordinator",
        Kind::Table,
        Absent::Required,
        "Where the coordinator is. Everybody else only dials out.",
    ),
    key(
        "coordinator.address",
        Kind::Text,
        Absent::Required,
        "`HOST:PORT`.",
    ),
    key(
        "coordinator.proxy",
        Kind::Text,
        Absent::Says("no proxy"),
        "`HOST:PORT` of an HTTP proxy that opens tunnels.",
    ),
    key(
        "coordinator.proxy_user",
        Kind::Text,
        Absent::Says("no user"),
        "User name at the proxy.",
    ),
    key(
        "coordinator.proxy_password_file",
        Kind::Text,
        Absent::Says("no password"),
        "File with the password at the proxy. Excludes `proxy_password_env`.",
    ),
    key(
        "coordinator.proxy_password_env",
        Kind::Text,
        Absent::Says("no password"),
        "Name of the environment variable with that password.",
    ),
];

const PARTY_ONLY: [Field; 14] = [
    key(
        "tables",
        Kind::Named,
        Absent::Says("this party has no tables"),
        "The tables of this party. The names are those that policies and jobs use.",
    ),
    key(
        "tables.*.path",
        Kind::Text,
        Absent::Required,
        "File of the table (CSV, Parquet, Arrow IPC or JSON Lines), or a table of a vault as `VAULT/TABLE` (`docs/vault.md`).",
    ),
    key(
        "tables.*.key_file",
        Kind::Text,
        Absent::Says("the table is not in a vault"),
        "Key file that opens the table in its vault; best one of a grant, so that this program can read the granted columns only. Nobody but this program's user may read it.",
    ),
    words::<ColumnType>(
        "tables.*.types",
        Kind::ColumnChoices,
        Absent::Says("what the values look like"),
        "What single columns hold, where the values would be misread: `{ postcode = \"category\" }`.",
    ),
    key(
        "policy",
        Kind::Table,
        Absent::Says("every key at its default"),
        "Which jobs this party takes part in.",
    ),
    key(
        "policy.file",
        Kind::Text,
        Absent::Value("\"policy.toml\""),
        "The policy (`docs/policy.md`).",
    ),
    key(
        "ledger",
        Kind::Table,
        Absent::Says("every key at its default"),
        "What was spent on these tables for life.",
    ),
    key(
        "ledger.file",
        Kind::Text,
        Absent::Value("\"ledger.db\""),
        "The ledger (`docs/ledger.md`).",
    ),
    key(
        "jobs",
        Kind::Table,
        Absent::Says("every key at its default"),
        "Where people find the jobs that this party was offered.",
    ),
    key(
        "jobs.folder",
        Kind::Text,
        Absent::Value("\"jobs\""),
        "Folder with a folder for each job: what was asked and answered, what it did here, the model it ended with. Decisions are left there for the daemon: whoever may write to it may approve jobs.",
    ),
    key(
        "patience",
        Kind::Table,
        Absent::Says("every key at its default"),
        "How long this program waits.",
    ),
    key(
        "patience.connect_seconds",
        Kind::Integer(1, 3600),
        Absent::Value("20"),
        "For a connection.",
    ),
    key(
        "patience.keep_alive_seconds",
        Kind::Integer(1, 3600),
        Absent::Value("20"),
        "Between signs of life on an idle connection; below what a firewall on the way forgets connections after.",
    ),
    key(
        "patience.retry_seconds",
        Kind::Integer(1, 3600),
        Absent::Value("60"),
        "Longest pause between two attempts to connect; the first ones follow faster.",
    ),
];

const PARTY_LIMITS: [Field; 3] = [
    key(
        "limits",
        Kind::Table,
        Absent::Says("every key at its default"),
        "What this program takes at most.",
    ),
    key(
        "limits.message_mebibytes",
        Kind::Integer(1, 148),
        Absent::Value("148"),
        "Largest message, in MiB.",
    ),
    key(
        "limits.jobs",
        Kind::Integer(1, 1000),
        Absent::Value("4"),
        "Jobs at a time.",
    ),
];

const COORDINATOR_ONLY: [Field; 20] = [
    key(
        "listen",
        Kind::Table,
        Absent::Says("every key at its default"),
        "Where parties find this coordinator.",
    ),
    key(
        "listen.address",
        Kind::Text,
        Absent::Value("\"0.0.0.0:8443\""),
        "Address and port.",
    ),
    key(
        "rounds",
        Kind::Table,
        Absent::Says("every key at its default"),
        "How long rounds wait for stragglers.",
    ),
    key(
        "rounds.deadline_seconds",
        Kind::Integer(1, 86_400),
        Absent::Value("300"),
        "For every step of a round: parties that have not answered by then are left out of it.",
    ),
    key(
        "rounds.join_seconds",
        Kind::Integer(1, 86_400),
        Absent::Value("60"),
        "For parties to answer an offer: then a job begins with those that accepted, if they are enough and nobody waits for a person's approval.",
    ),
    key(
        "rounds.gather_seconds",
        Kind::Integer(1, 604_800),
        Absent::Value("86400"),
        "For persons to approve a job, and for parties that have joined a job and are not there: then it begins without them, or fails.",
    ),
    key(
        "parties",
        Kind::Table,
        Absent::Says("every key at its default"),
        "Who takes part in jobs.",
    ),
    key(
        "parties.expected",
        Kind::Texts(0),
        Absent::Says("nobody in particular"),
        "Names of the parties that are waited for: a job begins as soon as all of them have answered.",
    ),
    key(
        "parties.least",
        Kind::Integer(2, 10_000),
        Absent::Value("2"),
        "Fewest parties of a job.",
    ),
    key(
        "authority",
        Kind::Table,
        Absent::Says("enrolment and renewal happen elsewhere"),
        "The federation's certificate authority, if it lives on this machine: then this coordinator answers invitations and renews certificates.",
    ),
    key(
        "authority.folder",
        Kind::Text,
        Absent::Says("none here"),
        "Its folder.",
    ),
    key(
        "jobs",
        Kind::Table,
        Absent::Says("every key at its default"),
        "Where events and results of jobs are kept.",
    ),
    key(
        "jobs.folder",
        Kind::Text,
        Absent::Value("\"jobs\""),
        "Folder with a folder for each job.",
    ),
    key(
        "patience",
        Kind::Table,
        Absent::Says("every key at its default"),
        "How long this program waits.",
    ),
    key(
        "patience.keep_alive_seconds",
        Kind::Integer(1, 3600),
        Absent::Value("20"),
        "Between signs of life on an idle connection.",
    ),
    key(
        "limits",
        Kind::Table,
        Absent::Says("every key at its default"),
        "What this program takes at most.",
    ),
    key(
        "limits.connections",
        Kind::Integer(1, 100_000),
        Absent::Value("2000"),
        "Connections at a time.",
    ),
    key(
        "limits.message_mebibytes",
        Kind::Integer(1, 148),
        Absent::Value("148"),
        "Largest message, in MiB.",
    ),
    key(
        "limits.jobs",
        Kind::Integer(1, 1000),
        Absent::Value("16"),
        "Jobs at a time.",
    ),
    key(
        "limits.handshake_seconds",
        Kind::Integer(1, 600),
        Absent::Value("10"),
        "For a new connection to show who it is.",
    ),
];

/// Every key of `party.toml`, tables before their keys.
#[must_use]
pub fn party_fields() -> &'static [Field] {
    static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
        [
            &IDENTITY[..],
            &DIAL,
            &PARTY_ONLY,
            &PARTY_LIMITS,
            &STORE,
            &AUDIT,
            &LOG,
            &METRICS,
        ]
        .concat()
    });
    &FIELDS
}

/// Every key of `coordinator.toml`, tables before their keys.
#[must_use]
pub fn coordinator_fields() -> &'static [Field] {
    static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
        [
            &IDENTITY[..],
            &COORDINATOR_ONLY,
            &STORE,
            &AUDIT,
            &LOG,
            &METRICS,
        ]
        .concat()
    });
    &FIELDS
}

/// Every key of `federation.toml`, tables before their keys.
#[must_use]
pub fn federation_fields() -> &'static [Field] {
    static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| [&IDENTITY[..], &DIAL].concat());
    &FIELDS
}
