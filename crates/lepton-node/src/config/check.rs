//! What can be known to be wrong before a daemon starts.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::path::Path;

use lepton_protocol::policy::Policy;

use super::{
    CoordinatorConfig, IdentityConfig, PartyConfig, SecretSource, StoreConfig, TableConfig,
};
use crate::error::NodeError;
use crate::files::only_owner_reads;

/// One thing that would keep a daemon from working, with its remedy in the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The key it is about.
    pub key: String,
    /// What is wrong, and what to do.
    pub words: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.words)
    }
}

impl PartyConfig {
    /// Looks at everything the configuration names; opens no connection and changes nothing. Empty when all is well.
    #[must_use]
    pub fn check(&self) -> Vec<Finding> {
        let mut found = Findings::default();
        found.identity(&self.identity);
        found.store(&self.store);
        found.parent("audit.folder", &self.audit.folder);
        found.parent("ledger.file", &self.ledger);
        found.parent("jobs.folder", &self.jobs);
        if let Some(proxy) = &self.coordinator.proxy
            && let Some((_, Some(secret))) = &proxy.user
        {
            found.secret("coordinator.proxy_password", secret);
        }
        for (name, table) in &self.tables {
            found.table(&format!("tables.{name}"), table);
        }
        found.policy(self);
        found.0
    }
}

impl CoordinatorConfig {
    /// Looks at everything the configuration names; opens no connection and changes nothing. Empty when all is well.
    #[must_use]
    pub fn check(&self) -> Vec<Finding> {
        let mut found = Findings::default();
        found.identity(&self.identity);
        found.store(&self.store);
        found.parent("audit.folder", &self.audit.folder);
        found.parent("jobs.folder", &self.jobs);
        if let Some(folder) = &self.authority {
            found.folder("authority.folder", folder);
        }
        found.0
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, key: &str, words: impl Into<String>) {
        self.0.push(Finding {
            key: key.to_owned(),
            words: words.into(),
        });
    }

    fn readable(&mut self, key: &str, path: &Path) {
        let opened = File::open(path).and_then(|file| file.metadata());
        match opened {
            Ok(about) if about.is_dir() => {
                self.add(key, format!("{} is a folder; name a file", path.display()));
            }
            Ok(_) => {}
            Err(error) => self.add(key, NodeError::file(path, &error).to_string()),
        }
    }

    /// A file, or a table of a vault that its key opens.
    fn table(&mut self, key: &str, table: &TableConfig) {
        match table.sealed() {
            Ok(Some(_)) => {}
            Err(error) => self.add(&format!("{key}.path"), error.to_string()),
            Ok(None) if table.key.is_some() => self.add(
                &format!("{key}.key_file"),
                "the path is no table of a vault; name it as VAULT/TABLE, or remove the key_file",
            ),
            Ok(None) => self.readable(&format!("{key}.path"), &table.path),
        }
    }

    fn folder(&mut self, key: &str, path: &Path) {
        match std::fs::metadata(path) {
            Ok(about) if about.is_dir() => {}
            Ok(_) => self.add(key, format!("{} is a file; name a folder", path.display())),
            Err(error) => self.add(key, NodeError::file(path, &error).to_string()),
        }
    }

    /// What is made at the first start needs a folder to be made in.
    fn parent(&mut self, key: &str, path: &Path) {
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => self.folder(key, parent),
            _ => {}
        }
    }

    fn owned(&mut self, key: &str, path: &Path) {
        if let Err(error) = only_owner_reads(path) {
            self.add(key, error.to_string());
        }
    }

    fn identity(&mut self, identity: &IdentityConfig) {
        self.folder("identity.folder", &identity.folder);
    }

    fn secret(&mut self, key: &str, source: &SecretSource) {
        if let Err(error) = source.read() {
            self.add(key, error.to_string());
        }
    }

    fn store(&mut self, store: &StoreConfig) {
        if let Some(path) = store.url.strip_prefix("sqlite:") {
            self.parent("store.url", Path::new(path));
        }
        self.parent("store.key_file", &store.key_file);
        self.parent("store.anchor", &store.anchor);
        if store.key_file.exists() {
            self.owned("store.key_file", &store.key_file);
        }
        if let Some(secret) = &store.password {
            self.secret("store.password", secret);
        }
    }

    fn policy(&mut self, config: &PartyConfig) {
        let path = &config.policy;
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                return self.add("policy.file", NodeError::file(path, &error).to_string());
            }
        };
        match Policy::parse(&path.display().to_string(), &text) {
            Err(errors) => self.add("policy.file", errors.to_string()),
            Ok(policy) => {
                let open: BTreeSet<&str> = policy.tables().collect();
                for name in open
                    .iter()
                    .filter(|name| !config.tables.contains_key(**name))
                {
                    let words = format!(
                        "the policy opens the table \"{name}\", which [tables] does not have; add [tables.{name}] or remove it from the policy"
                    );
                    self.add("tables", words);
                }
            }
        }
    }
}
