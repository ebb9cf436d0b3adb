//! The programs themselves: a party, a coordinator and a scientist's command, made from their configuration files.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lepton_protocol::control::SignedJob;
use lepton_protocol::policy::Moment;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::client::Client;
use super::coordinator::{CoordinatorDaemon, CoordinatorSetup, Times};
use super::party::{LINK, Owner, PartyDaemon, PartySetup};
use super::wired::{Enrolled, Trouble, dial, listen};
use super::{Clock, Own, Trail};
use crate::audit_log::AuditLog;
use crate::config::{
    AuditConfig, CoordinatorConfig, DialSection, FederationConfig, IdentityConfig, PartyConfig,
};
use crate::error::NodeError;
use crate::ledger::DurableLedger;
use crate::metrics::{Metrics, Readiness, Server, serve};
use crate::net::pki::{Authority, MemberFolder, Role};
use crate::net::{
    Credentials, DialConfig, EnrolConfig, Limits, ListenConfig, Listener, NetError, Notice,
    Observer, Proxy,
};
use crate::random::Entropy;
use crate::store::Database;
use crate::trainers::Trainers;

/// How long a command waits for the coordinator.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often the end of the certificate is looked at.
const LOOK: Duration = Duration::from_secs(30);

/// Refused connections that wait to be written down; more are counted only.
const NOTICES: usize = 256;

/// The wall clock, in both its forms.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    /// RFC 3339 in UTC.
    pub text: Clock,
    /// For the policy.
    pub moment: fn() -> Moment,
}

/// Runs a party until `stop` is true.
///
/// # Errors
/// [`NodeError`] when something that the configuration names cannot be used, or the store, the ledger or the audit log fails.
pub async fn party(
    config: &PartyConfig,
    clocks: Clocks,
    trainers: Trainers,
    stop: watch::Receiver<bool>,
) -> Result<(), NodeError> {
    let me = Me::open(&config.identity, &[Role::Party])?;
    let database = Database::open(&config.store, &me.name)?;
    let trail = me.trail(&config.audit, ("party", clocks.text))?;
    let readiness = Readiness::new();
    readiness.waiting(LINK, "no connection yet");
    let background = Background::start(&me, &trail, (config.metrics, &readiness)).await?;
    trail.metrics().store_restores(database.restores());
    let ledger = DurableLedger::open_or_create(&config.ledger, clocks.text)?;
    let mut dialled = dial_config(&config.coordinator, me.credentials.clone())?;
    dialled.limits.longest_message = config.limits.message_bytes;
    dialled.limits.keep_alive = config.patience.keep_alive;
    dialled.limits.handshake = config.patience.connect;
    dialled.pause.1 = config.patience.retry;
    let page = readiness.clone();
    let trouble: Trouble = Arc::new(move |why| {
        page.waiting(LINK, why);
        tracing::warn!("no connection to the coordinator: {why}");
    });
    let daemon = PartyDaemon::open(PartySetup {
        own: Arc::new(me.enrolled()),
        database,
        folder: config.jobs.clone(),
        authority: Arc::new(me.credentials.trust().clone()),
        owner: Owner {
            name: me.name.clone(),
            policy: config.policy.clone(),
            tables: config.tables.clone(),
            now: clocks.moment,
        },
        ledger: Some(Arc::new(ledger)),
        trainers,
        trail: trail.clone(),
        readiness,
        most_jobs: config.limits.jobs,
        entropy: Entropy::System,
        clock: clocks.text,
    })?;
    trail.program("started")?;
    tracing::info!(party = me.name, coordinator = %config.coordinator.address, "started");
    let served = daemon.serve(dial(dialled, trouble)?, stop).await;
    background.end(&trail, served)
}

/// Runs a coordinator until `stop` is true.
///
/// # Errors
/// [`NodeError`] when something that the configuration names cannot be used, or the store or the audit log fails.
pub async fn coordinator(
    config: &CoordinatorConfig,
    clocks: Clocks,
    stop: watch::Receiver<bool>,
) -> Result<(), NodeError> {
    let me = Me::open(&config.identity, &[Role::Coordinator])?;
    let database = Database::open(&config.store, &me.name)?;
    let trail = me.trail(&config.audit, ("coordinator", clocks.text))?;
    let mut background =
        Background::start(&me, &trail, (config.metrics, &Readiness::new())).await?;
    trail.metrics().store_restores(database.restores());
    let listener = bind(config, &me, background.observer(&trail)).await?;
    let address = listener.address();
    let daemon = CoordinatorDaemon::open(CoordinatorSetup {
        own: Arc::new(me.enrolled()),
        database,
        folder: config.jobs.clone(),
        authority: Arc::new(me.credentials.trust().clone()),
        min_parties: config.least_parties,
        expected: config.expected.clone(),
        times: Times {
            joining: config.join,
            patience: config.deadline,
            waiting: config.gather,
        },
        most_jobs: config.limits.jobs,
        trail: trail.clone(),
        entropy: Entropy::System,
        clock: clocks.text,
    })?;
    trail.program("started")?;
    tracing::info!(coordinator = me.name, %address, "listening");
    let served = daemon.serve(listen(listener), stop).await;
    background.end(&trail, served)
}

async fn bind(
    config: &CoordinatorConfig,
    me: &Me,
    observer: Observer,
) -> Result<Listener, NodeError> {
    let limits = Limits {
        longest_message: config.limits.message_bytes,
        keep_alive: config.keep_alive,
        handshake: config.limits.handshake,
        connections: config.limits.connections,
        ..Limits::default()
    };
    let enrolment = match &config.authority {
        Some(folder) => Some(EnrolConfig {
            registrar: Arc::new(Authority::open(folder)?),
        }),
        None => None,
    };
    Ok(Listener::bind(ListenConfig {
        address: config.listen,
        credentials: me.credentials.clone(),
        limits,
        enrolment,
        observer: Some(observer),
    })
    .await?)
}

/// A member of a federation who asks its coordinator for something.
pub struct Asking {
    /// The link.
    pub client: Client,
    enrolled: Enrolled,
}

impl Asking {
    /// A job under this member's name.
    #[must_use]
    pub fn sign(&self, text: String) -> SignedJob {
        SignedJob::sign(text, self.enrolled.certificate(), &self.enrolled.identity())
    }
}

/// Connects to the coordinator that a `federation.toml` names.
///
/// # Errors
/// [`NodeError`] when it cannot be reached in time, with the reason.
pub async fn ask(config: &FederationConfig) -> Result<Asking, NodeError> {
    let me = Me::open(
        &config.identity,
        &[Role::Scientist, Role::Operator, Role::Auditor],
    )?;
    let last = Arc::new(Mutex::new("it does not answer".to_owned()));
    let heard = last.clone();
    let trouble: Trouble = Arc::new(move |why| {
        why.clone_into(&mut heard.lock().unwrap_or_else(PoisonError::into_inner));
    });
    let dialled = dial_config(&config.coordinator, me.credentials.clone())?;
    let mut links = dial(dialled, trouble)?;
    match tokio::time::timeout(PATIENCE, links.recv()).await {
        Ok(Some(link)) => Ok(Asking {
            client: Client::new(link),
            enrolled: me.enrolled(),
        }),
        _ => {
            let why = last.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let address = &config.coordinator.address;
            Err(NetError::Connection(format!("the coordinator at {address}: {why}")).into())
        }
    }
}

/// Who the program is.
struct Me {
    name: String,
    folder: MemberFolder,
    credentials: Credentials,
}

impl Me {
    fn open(config: &IdentityConfig, roles: &[Role]) -> Result<Self, NodeError> {
        let folder = MemberFolder::open(&config.folder)?;
        let member = folder.member();
        if !roles.contains(&member.role) {
            let wanted: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            return Err(NodeError::Use(format!(
                "{} belongs to {member}, and a {} is wanted here; name another folder in identity.folder",
                config.folder.display(),
                wanted.join(" or ")
            )));
        }
        Ok(Self {
            name: member.name.to_string(),
            credentials: Credentials::open(&folder)?,
            folder,
        })
    }

    fn enrolled(&self) -> Enrolled {
        Enrolled::new(self.credentials.clone(), &self.folder)
    }

    fn trail(
        &self,
        config: &AuditConfig,
        (program, clock): (&str, Clock),
    ) -> Result<Trail, NodeError> {
        let signer = Arc::new(self.credentials.identity());
        let audit = AuditLog::open(
            &config.folder,
            config.segment_entries,
            (&self.name, signer),
            clock,
        )?;
        let metrics = Arc::new(Metrics::new(program, env!("CARGO_PKG_VERSION")));
        Ok(Trail::new(audit, metrics))
    }
}

/// What runs beside a daemon and ends with it.
struct Background {
    _page: Option<Server>,
    tasks: JoinSet<()>,
}

impl Background {
    async fn start(
        me: &Me,
        trail: &Trail,
        (listen, readiness): (Option<SocketAddr>, &Readiness),
    ) -> Result<Self, NodeError> {
        let page = match listen {
            Some(listen) => {
                let page = serve(listen, trail.shared_metrics(), readiness.clone()).await?;
                tracing::info!(address = %page.address(), "figures are served");
                Some(page)
            }
            None => None,
        };
        let (credentials, metrics) = (me.credentials.clone(), trail.shared_metrics());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                metrics.certificate_ends(credentials.leaf().not_after);
                tokio::time::sleep(LOOK).await;
            }
        });
        Ok(Self { _page: page, tasks })
    }

    /// Who writes refused connections down, beside the tasks that refuse them.
    fn observer(&mut self, trail: &Trail) -> Observer {
        let (notices, mut inbox) = mpsc::channel::<Notice>(NOTICES);
        let written = trail.clone();
        self.tasks.spawn(async move {
            while let Some(notice) = inbox.recv().await {
                let peer = notice
                    .address
                    .map_or_else(|| "?".to_owned(), |address| address.to_string());
                tracing::warn!(peer, "{}", notice.text);
                // Where the log cannot be written, the daemon ends with its next message.
                if written
                    .connection(&peer, "refused", Some(notice.text))
                    .is_err()
                {
                    return;
                }
            }
        });
        let counted = trail.shared_metrics();
        Arc::new(move |notice| {
            counted.connection_refused();
            // A flood of them is counted, not written down one by one.
            let _ = notices.try_send(notice);
        })
    }

    fn end(self, trail: &Trail, served: Result<(), NodeError>) -> Result<(), NodeError> {
        drop(self);
        served?;
        trail.program("stopped")?;
        trail.seal()?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Where a section says to dial, and through what.
pub(crate) fn dial_config(
    section: &DialSection,
    credentials: Credentials,
) -> Result<DialConfig, NodeError> {
    let mut config = DialConfig::new(section.address.to_string(), credentials);
    if let Some(proxy) = &section.proxy {
        let address = proxy.address.to_string();
        config.proxy = Some(match &proxy.user {
            Some((user, Some(secret))) => Proxy::with_password(&address, user, &secret.read()?)?,
            Some((user, None)) => Proxy::with_password(&address, user, "")?,
            None => address.parse()?,
        });
    }
    Ok(config)
}
