//! The configuration of the programs: `party.toml`, `coordinator.toml` and `federation.toml`, every key in `docs/configuration.md`.
//!
//! Paths are taken from the folder of the file they are written in. Secrets are never in the file: it names files or environment variables that hold them.

mod address;
mod check;
mod fields;
mod parts;
mod reference;
mod secret;
mod words;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use address::Address;
pub use check::Finding;
pub use fields::{coordinator_fields, federation_fields, party_fields};
pub use reference::reference_markdown;
pub use secret::SecretSource;
pub use words::{LogFormat, LogLevel};

use lepton_protocol::job::{ColumnType, JobErrors, Settings};

use crate::error::NodeError;
use parts::Reader;

/// `party.toml`.
#[derive(Debug, Clone)]
pub struct PartyConfig {
    /// Where it was read from.
    pub file: PathBuf,
    /// `[identity]`.
    pub identity: IdentityConfig,
    /// `[coordinator]`.
    pub coordinator: DialSection,
    /// `[tables]`, by name.
    pub tables: BTreeMap<String, TableConfig>,
    /// `policy.file`.
    pub policy: PathBuf,
    /// `ledger.file`.
    pub ledger: PathBuf,
    /// `jobs.folder`.
    pub jobs: PathBuf,
    /// `[store]`.
    pub store: StoreConfig,
    /// `[audit]`.
    pub audit: AuditConfig,
    /// `[log]`.
    pub log: LogConfig,
    /// `metrics.listen`; none for `off`.
    pub metrics: Option<SocketAddr>,
    /// `[patience]`.
    pub patience: PartyPatience,
    /// `[limits]`.
    pub limits: PartyLimits,
}

/// `coordinator.toml`.
#[derive(Debug, Clone)]
pub struct CoordinatorConfig {
    /// Where it was read from.
    pub file: PathBuf,
    /// `[identity]`.
    pub identity: IdentityConfig,
    /// `listen.address`.
    pub listen: SocketAddr,
    /// `[store]`.
    pub store: StoreConfig,
    /// `[audit]`.
    pub audit: AuditConfig,
    /// `[log]`.
    pub log: LogConfig,
    /// `metrics.listen`; none for `off`.
    pub metrics: Option<SocketAddr>,
    /// `rounds.deadline_seconds`.
    pub deadline: Duration,
    /// `rounds.join_seconds`.
    pub join: Duration,
    /// `rounds.gather_seconds`.
    pub gather: Duration,
    /// `parties.expected`.
    pub expected: Vec<String>,
    /// `parties.least`.
    pub least_parties: usize,
    /// `authority.folder`.
    pub authority: Option<PathBuf>,
    /// `jobs.folder`.
    pub jobs: PathBuf,
    /// `patience.keep_alive_seconds`.
    pub keep_alive: Duration,
    /// `[limits]`.
    pub limits: CoordinatorLimits,
}

/// `federation.toml`: what a scientist's, an operator's or an auditor's commands need to reach the coordinator.
#[derive(Debug, Clone)]
pub struct FederationConfig {
    /// Where it was read from.
    pub file: PathBuf,
    /// `[identity]`.
    pub identity: IdentityConfig,
    /// `[coordinator]`.
    pub coordinator: DialSection,
}

/// Who the program is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityConfig {
    /// Folder that enrolment filled.
    pub folder: PathBuf,
}

/// Where a party dials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialSection {
    /// The coordinator.
    pub address: Address,
    /// A proxy on the way.
    pub proxy: Option<ProxyConfig>,
}

/// A proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyConfig {
    /// Where it is.
    pub address: Address,
    /// User name and where the password is.
    pub user: Option<(String, Option<SecretSource>)>,
}

/// One table of a party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableConfig {
    /// Its file, or `VAULT/TABLE`.
    pub path: PathBuf,
    /// Key file that opens it, if it is in a vault.
    pub key: Option<PathBuf>,
    /// Types that the owner states.
    pub types: BTreeMap<String, ColumnType>,
}

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// `sqlite:PATH`, the path from the working folder or absolute, or `postgres://…` without a password.
    pub url: String,
    /// The key that values are encrypted under.
    pub key_file: PathBuf,
    /// What remembers how far the store has come.
    pub anchor: PathBuf,
    /// Where the password is.
    pub password: Option<SecretSource>,
}

/// Where the audit log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// Its folder.
    pub folder: PathBuf,
    /// Entries of a segment.
    pub segment_entries: u64,
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// How much.
    pub level: LogLevel,
    /// How lines look.
    pub format: LogFormat,
}

/// How long a party waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartyPatience {
    /// For a connection.
    pub connect: Duration,
    /// Between signs of life.
    pub keep_alive: Duration,
    /// Longest pause between attempts to connect.
    pub retry: Duration,
}

/// What a party takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartyLimits {
    /// Bytes of a message.
    pub message_bytes: u64,
    /// Jobs at a time.
    pub jobs: usize,
}

/// What a coordinator takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoordinatorLimits {
    /// Connections at a time.
    pub connections: usize,
    /// Bytes of a message.
    pub message_bytes: u64,
    /// Jobs at a time.
    pub jobs: usize,
    /// For a new connection to show who it is.
    pub handshake: Duration,
}

impl PartyConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// [`NodeError::File`] when it cannot be read, [`NodeError::Job`] with every problem in it.
    pub fn load(path: &Path) -> Result<Self, NodeError> {
        Ok(Self::parse(path, &read(path)?)?)
    }

    /// Reads a text as the file at `path`.
    ///
    /// # Errors
    /// [`JobErrors`] with every problem found.
    pub fn parse(path: &Path, text: &str) -> Result<Self, JobErrors> {
        let settings = Settings::read(&path.display().to_string(), text, party_fields())?;
        let mut reader = Reader::new(&settings, path);
        let config = Self {
            file: path.to_owned(),
            identity: reader.identity(),
            coordinator: reader.dial(),
            tables: reader.tables(),
            policy: reader.path("policy.file"),
            ledger: reader.path("ledger.file"),
            jobs: reader.path("jobs.folder"),
            store: reader.store(),
            audit: reader.audit(),
            log: reader.log(),
            metrics: reader.metrics(),
            patience: PartyPatience {
                connect: reader.seconds("patience.connect_seconds"),
                keep_alive: reader.seconds("patience.keep_alive_seconds"),
                retry: reader.seconds("patience.retry_seconds"),
            },
            limits: PartyLimits {
                message_bytes: reader.whole("limits.message_mebibytes") << 20,
                jobs: reader.count("limits.jobs"),
            },
        };
        reader.finish()?;
        Ok(config)
    }
}

impl CoordinatorConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// [`NodeError::File`] when it cannot be read, [`NodeError::Job`] with every problem in it.
    pub fn load(path: &Path) -> Result<Self, NodeError> {
        Ok(Self::parse(path, &read(path)?)?)
    }

    /// Reads a text as the file at `path`.
    ///
    /// # Errors
    /// [`JobErrors`] with every problem found.
    pub fn parse(path: &Path, text: &str) -> Result<Self, JobErrors> {
        let settings = Settings::read(&path.display().to_string(), text, coordinator_fields())?;
        let mut reader = Reader::new(&settings, path);
        let config = Self {
            file: path.to_owned(),
            identity: reader.identity(),
            listen: reader.socket("listen.address"),
            store: reader.store(),
            audit: reader.audit(),
            log: reader.log(),
            metrics: reader.metrics(),
            deadline: reader.seconds("rounds.deadline_seconds"),
            join: reader.seconds("rounds.join_seconds"),
            gather: reader.seconds("rounds.gather_seconds"),
            expected: reader.texts("parties.expected"),
            least_parties: reader.count("parties.least"),
            authority: reader.optional_path("authority.folder"),
            jobs: reader.path("jobs.folder"),
            keep_alive: reader.seconds("patience.keep_alive_seconds"),
            limits: CoordinatorLimits {
                connections: reader.count("limits.connections"),
                message_bytes: reader.whole("limits.message_mebibytes") << 20,
                jobs: reader.count("limits.jobs"),
                handshake: reader.seconds("limits.handshake_seconds"),
            },
        };
        reader.finish()?;
        Ok(config)
    }
}

impl FederationConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// [`NodeError::File`] when it cannot be read, [`NodeError::Job`] with every problem in it.
    pub fn load(path: &Path) -> Result<Self, NodeError> {
        Ok(Self::parse(path, &read(path)?)?)
    }

    /// Reads a text as the file at `path`.
    ///
    /// # Errors
    /// [`JobErrors`] with every problem found.
    pub fn parse(path: &Path, text: &str) -> Result<Self, JobErrors> {
        let settings = Settings::read(&path.display().to_string(), text, federation_fields())?;
        let mut reader = Reader::new(&settings, path);
        let config = Self {
            file: path.to_owned(),
            identity: reader.identity(),
            coordinator: reader.dial(),
        };
        reader.finish()?;
        Ok(config)
    }
}

fn read(path: &Path) -> Result<String, NodeError> {
    std::fs::read_to_string(path).map_err(|error| NodeError::file(path, &error))
}
