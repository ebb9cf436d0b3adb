//! The program that a configuration file is for, and everything it needs.

use std::path::{Path, PathBuf};

use super::holdings::{self, Findings};
use super::{Check, failure, member, rehearsal, way};
use crate::config::{CoordinatorConfig, FederationConfig, IdentityConfig, PartyConfig};
use crate::daemon::service::{Clocks, dial_config};
use crate::error::NodeError;
use crate::net::pki::{Authority, MemberFolder, Role};
use crate::tables::read_text;

/// A program with its configuration.
#[derive(Debug, Clone)]
pub enum Program {
    /// `lepton party run`.
    Party(Box<PartyConfig>),
    /// `lepton coordinator run`.
    Coordinator(Box<CoordinatorConfig>),
    /// The commands of scientists, operators and auditors.
    Federation(Box<FederationConfig>),
}

/// A job that is held against a party's policy and table before anybody submits it.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// The job's file.
    pub job: PathBuf,
    /// Name of the scientist who would submit it; may be empty.
    pub submitter: String,
}

impl Program {
    /// Reads a configuration file, and tells by its sections whose it is: without `[coordinator]` it is a coordinator's; with it, and any section
    /// beside `[identity]`, a party's; with these two alone, that of the member in its identity folder.
    ///
    /// # Errors
    /// [`NodeError::File`] when it cannot be read, [`NodeError::Job`] with every problem in it.
    pub fn load(path: &Path) -> Result<Self, NodeError> {
        let text = read_text(path)?;
        let document = text.parse::<toml_edit::DocumentMut>().unwrap_or_default();
        let sections: Vec<&str> = document.iter().map(|(name, _)| name).collect();
        if !sections.contains(&"coordinator") && !sections.is_empty() {
            let config = CoordinatorConfig::parse(path, &text)?;
            return Ok(Self::Coordinator(Box::new(config)));
        }
        if sections
            .iter()
            .all(|name| ["identity", "coordinator"].contains(name))
        {
            let config = FederationConfig::parse(path, &text)?;
            let member = MemberFolder::open(&config.identity.folder);
            if !member.is_ok_and(|folder| folder.member().role == Role::Party) {
                return Ok(Self::Federation(Box::new(config)));
            }
        }
        Ok(Self::Party(Box::new(PartyConfig::parse(path, &text)?)))
    }

    /// Looks at everything that the program needs; begins no session, takes no lock from a running program, writes nothing.
    pub async fn checks(&self, rehearsal: Option<&Rehearsal>, clocks: Clocks) -> Vec<Check> {
        match self {
            Self::Party(config) => party(config, rehearsal, clocks).await,
            Self::Coordinator(config) => coordinator(config, rehearsal, clocks).await,
            Self::Federation(config) => federation(config, rehearsal, clocks).await,
        }
    }
}

async fn party(config: &PartyConfig, rehearsal: Option<&Rehearsal>, clocks: Clocks) -> Vec<Check> {
    let (mut checks, now) = (Vec::new(), (clocks.moment)().unix());
    let mut findings = Findings::new(config.check());
    let who = member::look(&config.identity, (&[Role::Party], now), &mut checks);
    if let Some(who) = &who {
        match dial_config(&config.coordinator, who.credentials.clone()) {
            Ok(mut dialled) => {
                dialled.limits.handshake = config.patience.connect;
                checks.extend(way::checks(&dialled, &config.coordinator, now).await);
            }
            Err(error) => checks.push(unusable(&error)),
        }
    }
    let own = name_of(&config.identity);
    let runs = holdings::store((&config.store, &own), &mut findings, &mut checks).await;
    if let Some(address) = config.metrics {
        let key = ("metrics.listen", address);
        checks.push(holdings::port("figures' port", key, runs));
    }
    let charged = holdings::audit_log(&config.audit.folder, runs, &mut checks);
    checks.push(holdings::ledger(&config.ledger, charged, clocks.text));
    holdings::policy(config, &mut findings, &mut checks);
    for (name, table) in &config.tables {
        checks.push(holdings::table(name, table));
        findings.forget(&format!("tables.{name}.path"));
    }
    findings.rest(&mut checks);
    if let Some(rehearsal) = rehearsal {
        checks.push(rehearsal::at_party(rehearsal, (config, &own), clocks));
    }
    checks
}

async fn coordinator(
    config: &CoordinatorConfig,
    rehearsal: Option<&Rehearsal>,
    clocks: Clocks,
) -> Vec<Check> {
    let (mut checks, now) = (Vec::new(), (clocks.moment)().unix());
    let mut findings = Findings::new(config.check());
    member::look(&config.identity, (&[Role::Coordinator], now), &mut checks);
    let own = name_of(&config.identity);
    let runs = holdings::store((&config.store, &own), &mut findings, &mut checks).await;
    let key = ("listen.address", config.listen);
    checks.push(holdings::port("port", key, runs));
    if let Some(address) = config.metrics {
        let key = ("metrics.listen", address);
        checks.push(holdings::port("figures' port", key, runs));
    }
    holdings::audit_log(&config.audit.folder, runs, &mut checks);
    if let Some(folder) = &config.authority {
        findings.forget("authority.folder");
        let opened = Authority::open(folder).and_then(|authority| authority.members());
        checks.push(match opened {
            Ok(members) => Check::ok("authority", format!("{} members", members.len())),
            Err(error) => failure("authority", &error.into(), "check authority.folder"),
        });
    }
    findings.rest(&mut checks);
    checks.extend(rehearsal.map(rehearsal::submission));
    checks
}

async fn federation(
    config: &FederationConfig,
    rehearsal: Option<&Rehearsal>,
    clocks: Clocks,
) -> Vec<Check> {
    let (mut checks, now) = (Vec::new(), (clocks.moment)().unix());
    let roles = [Role::Scientist, Role::Operator, Role::Auditor];
    if let Some(who) = member::look(&config.identity, (&roles, now), &mut checks) {
        match dial_config(&config.coordinator, who.credentials) {
            Ok(dialled) => checks.extend(way::checks(&dialled, &config.coordinator, now).await),
            Err(error) => checks.push(unusable(&error)),
        }
    }
    checks.extend(rehearsal.map(rehearsal::submission));
    checks
}

fn unusable(error: &NodeError) -> Check {
    failure(
        "proxy",
        error,
        "check coordinator.proxy, its user and its password",
    )
}

/// Whose values the store holds; the store of nobody is looked for where that is not known.
fn name_of(config: &IdentityConfig) -> String {
    let folder = MemberFolder::open(&config.folder);
    folder.map_or_else(|_| String::new(), |folder| folder.member().name.to_string())
}
