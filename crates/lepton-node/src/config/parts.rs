//! Sections that both configuration files have, and what their keys must be together.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lepton_protocol::job::{JobErrors, Settings};

use super::{
    Address, AuditConfig, DialSection, IdentityConfig, LogConfig, LogFormat, LogLevel, ProxyConfig,
    SecretSource, StoreConfig, TableConfig,
};

/// Stands for what was refused, until [`Reader::finish`] refuses the file.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Reads sections and collects what is wrong with several keys together.
pub(super) struct Reader<'a> {
    settings: &'a Settings,
    folder: PathBuf,
    problems: Vec<(String, String, String)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(settings: &'a Settings, file: &Path) -> Self {
        Self {
            settings,
            folder: file.parent().unwrap_or(Path::new("")).to_owned(),
            problems: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Result<(), JobErrors> {
        self.settings.refuse(&self.problems)
    }

    fn problem(&mut self, path: &str, what: &str, remedy: &str) {
        let what = format!("{path}{what}");
        self.problems
            .push((path.to_owned(), what, remedy.to_owned()));
    }

    fn text(&self, path: &str) -> String {
        self.settings.text(path).unwrap_or_default()
    }

    /// A path, from the folder of the file.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.folder.join(self.text(path))
    }

    /// A whole number that the table of fields holds to at least 1, or has a default for.
    pub(super) fn whole(&self, path: &str) -> u64 {
        let number = self.settings.integer(path).unwrap_or(1);
        u64::try_from(number).unwrap_or(1)
    }

    pub(super) fn count(&self, path: &str) -> usize {
        usize::try_from(self.whole(path)).unwrap_or(usize::MAX)
    }

    pub(super) fn seconds(&self, path: &str) -> Duration {
        Duration::from_secs(self.whole(path))
    }

    pub(super) fn texts(&self, path: &str) -> Vec<String> {
        self.settings.texts(path).unwrap_or_default()
    }

    pub(super) fn optional_path(&self, path: &str) -> Option<PathBuf> {
        let text = self.settings.text(path)?;
        Some(self.folder.join(text))
    }

    pub(super) fn identity(&self) -> IdentityConfig {
        IdentityConfig {
            folder: self.path("identity.folder"),
        }
    }

    fn address(&mut self, path: &str) -> Option<Address> {
        let text = self.settings.text(path)?;
        match text.parse() {
            Ok(address) => Some(address),
            // What was written is not repeated: it may hold a password.
            Err(remedy) => {
                self.problem(path, " is no host and port", remedy);
                None
            }
        }
    }

    pub(super) fn dial(&mut self) -> DialSection {
        let stand_in = || Address::from_parts("localhost", 1);
        let address = self.address("coordinator.address").unwrap_or_else(stand_in);
        let secret = self.secret("coordinator.proxy_password");
        let user = self.settings.text("coordinator.proxy_user");
        if secret.is_some() && user.is_none() {
            let path = "coordinator.proxy_user";
            self.problem(path, " is missing, and there is a password", "add it");
        }
        let proxy = self.address("coordinator.proxy");
        if proxy.is_none() && user.is_some() && !self.settings.written("coordinator.proxy") {
            let path = "coordinator.proxy_user";
            self.problem(path, " comes without coordinator.proxy", "add the proxy");
        }
        let user = user.map(|user| (user, secret));
        DialSection {
            address,
            proxy: proxy.map(|address| ProxyConfig { address, user }),
        }
    }

    /// `PATH_file` or `PATH_env`.
    fn secret(&mut self, path: &str) -> Option<SecretSource> {
        let (file, env) = (format!("{path}_file"), format!("{path}_env"));
        let from_env = self.settings.text(&env).map(SecretSource::Environment);
        let from_file = self.optional_path(&file).map(SecretSource::File);
        if from_env.is_some() && from_file.is_some() {
            self.problem(&env, &format!(" contradicts {file}"), "keep one of the two");
        }
        from_file.or(from_env)
    }

    pub(super) fn tables(&self) -> BTreeMap<String, TableConfig> {
        let table = |name: String| {
            let config = TableConfig {
                path: self.path(&format!("tables.{name}.path")),
                key: self.optional_path(&format!("tables.{name}.key_file")),
                types: self
                    .settings
                    .word_table(&format!("tables.{name}.types"))
                    .into_iter()
                    .collect(),
            };
            (name, config)
        };
        self.settings
            .names("tables")
            .into_iter()
            .map(table)
            .collect()
    }

    pub(super) fn store(&mut self) -> StoreConfig {
        let password = self.secret("store.password");
        let written = self.text("store.url");
        let url = match written.split_once(':') {
            Some(("sqlite", path)) => {
                if password.is_some() {
                    let remedy = "remove it: SQLite has no passwords";
                    self.problem("store.url", " is SQLite and has a password", remedy);
                }
                let path = path.strip_prefix("//").unwrap_or(path);
                format!("sqlite:{}", self.folder.join(path).display())
            }
            Some(("postgres" | "postgresql", rest)) => {
                if has_password(rest) {
                    let remedy = "move it to a file that store.password_file names";
                    self.problem("store.url", " holds a password", remedy);
                }
                written
            }
            _ => {
                let remedy = "write \"sqlite:PATH\" or \"postgres://USER@HOST:PORT/DATABASE\"";
                self.problem("store.url", " is no store that this program knows", remedy);
                String::new()
            }
        };
        StoreConfig {
            url,
            key_file: self.path("store.key_file"),
            anchor: self.path("store.anchor"),
            password,
        }
    }

    pub(super) fn audit(&self) -> AuditConfig {
        AuditConfig {
            folder: self.path("audit.folder"),
            segment_entries: self.whole("audit.segment_entries"),
        }
    }

    pub(super) fn log(&self) -> LogConfig {
        LogConfig {
            level: self.settings.word("log.level").unwrap_or(LogLevel::Info),
            format: self.settings.word("log.format").unwrap_or(LogFormat::Text),
        }
    }

    pub(super) fn metrics(&mut self) -> Option<SocketAddr> {
        match self.text("metrics.listen").as_str() {
            "off" => None,
            _ => Some(self.socket("metrics.listen")),
        }
    }

    pub(super) fn socket(&mut self, path: &str) -> SocketAddr {
        self.text(path).parse().unwrap_or_else(|_| {
            let remedy = "write ADDRESS:PORT, as \"127.0.0.1:9464\" or \"[::]:8443\"";
            self.problem(path, " is no address and port to listen on", remedy);
            NOWHERE
        })
    }
}

/// Whether the part of a URL after its scheme has a password: before the host, or as a parameter.
fn has_password(rest: &str) -> bool {
    let rest = rest.trim_start_matches('/');
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let before_host = address
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':'));
    before_host || query.split('&').any(|pair| pair.starts_with("password="))
}
