//! The coordinator's one port.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep};

use super::enrol::{self, EnrolConfig};
use super::link::{Link, PeerIdentity};
use super::pki::now;
use super::serve::{Live, Place, serve};
use super::service::AbortOnDrop;
use super::sessions::Sessions;
use super::strangers::Strangers;
use super::{Credentials, NetError};

/// How often files are looked at for a newer certificate or revocation list.
const LOOK: Duration = Duration::from_secs(2);
const SECOND: Duration = Duration::from_secs(1);

/// What either side of a link allows (TR-09, TR-10).
#[derive(Debug, Clone)]
pub struct Limits {
    /// Longest message accepted, bytes.
    pub longest_message: u64,
    /// Messages over this many bytes are delivered in parts ([`super::Event::Stream`]).
    pub stream_above: u64,
    /// From the first byte of a connection to its place in a session.
    pub handshake: Duration,
    /// How long a session waits for its connection to come back.
    pub session: Duration,
    /// How often an idle connection is tried, so that NAT does not forget it.
    pub keep_alive: Duration,
    /// How long such a trial may take.
    pub keep_alive_timeout: Duration,
    /// Connections at a time.
    pub connections: usize,
    /// Connections of one address at a time.
    pub per_address: usize,
    /// Connections whose peer is not known yet at a time.
    pub handshakes: usize,
    /// Sessions of one member at a time; a party has one.
    pub sessions_per_member: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            longest_message: 256 << 20,
            stream_above: u64::MAX,
            handshake: Duration::from_secs(10),
            session: Duration::from_secs(600),
            keep_alive: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(20),
            connections: 4096,
            per_address: 256,
            handshakes: 256,
            sessions_per_member: 16,
        }
    }
}

/// Something worth a line in the log that belongs to no link.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Whose connection it was.
    pub address: Option<SocketAddr>,
    /// What happened.
    pub text: String,
}

/// Who is told of [`Notice`]s; must not block.
pub type Observer = Arc<dyn Fn(Notice) + Send + Sync>;

/// How to listen.
#[derive(Clone)]
pub struct ListenConfig {
    /// Address and port.
    pub address: SocketAddr,
    /// The coordinator's certificate, and whom it trusts.
    pub credentials: Credentials,
    /// What is allowed.
    pub limits: Limits,
    /// Who answers invitations and renewals, if anybody does here.
    pub enrolment: Option<EnrolConfig>,
    /// Who is told of refused connections.
    pub observer: Option<Observer>,
}

/// A member that connected.
pub struct Peer {
    /// Who it is, by its certificate.
    pub identity: PeerIdentity,
    /// Where its first connection came from.
    pub address: SocketAddr,
    /// The link. Its first event is [`super::Event::Connected`], or [`super::Event::Closed`] when the session was over before it began.
    pub link: Link,
}

/// A port that members connect to. Dropping it ends every link.
pub struct Listener {
    peers: mpsc::Receiver<Peer>,
    address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: [AbortOnDrop; 2],
}

impl Listener {
    /// Opens the port.
    ///
    /// # Errors
    /// [`NetError`] when the port is taken or TLS cannot be set up.
    pub async fn bind(config: ListenConfig) -> Result<Self, NetError> {
        let failed = |error: std::io::Error| {
            NetError::Connection(format!("cannot listen on {}: {error}", config.address))
        };
        // Before anybody can connect: somebody may have been revoked while nothing listened.
        newest_list(&config)?;
        let socket = TcpListener::bind(config.address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let (accepted, peers) = mpsc::channel(64);
        let changes = config.credentials.trust().changes();
        let shared = Arc::new(Shared {
            links: Arc::new(config.credentials.server()?),
            enrolments: Arc::new(config.credentials.enrolment_server()?),
            slots: Arc::new(Semaphore::new(config.limits.connections)),
            strangers: Strangers::new(config.limits.handshakes),
            addresses: Mutex::default(),
            live: Mutex::default(),
            number: AtomicU64::new(0),
            turned_away: Mutex::default(),
            sessions: Sessions::new(&config, accepted),
            gate: enrol::Gate::default(),
            config,
        });
        let accepting = tokio::spawn(accept(socket, shared.clone()));
        let watching = tokio::spawn(watch(shared.clone(), changes));
        Ok(Self {
            peers,
            address,
            shared,
            _tasks: [AbortOnDrop(accepting), AbortOnDrop(watching)],
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next member with a new session.
    pub async fn accept(&mut self) -> Option<Peer> {
        self.peers.recv().await
    }

    #[cfg(test)]
    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.live().len()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.sessions.end_all("the listener was closed");
        for (_, live) in self.shared.live().drain() {
            live.kill.notify_one();
        }
    }
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) config: ListenConfig,
    pub(super) links: Arc<rustls::ServerConfig>,
    pub(super) enrolments: Arc<rustls::ServerConfig>,
    pub(super) slots: Arc<Semaphore>,
    pub(super) strangers: Arc<Strangers>,
    pub(super) addresses: Mutex<HashMap<IpAddr, usize>>,
    pub(super) live: Mutex<HashMap<u64, Live>>,
    pub(super) number: AtomicU64,
    turned_away: Mutex<TurnedAway>,
    pub(super) sessions: Sessions,
    pub(super) gate: enrol::Gate,
}

impl Shared {
    pub(super) fn note(&self, address: Option<SocketAddr>, text: impl ToString) {
        if let Some(observer) = &self.config.observer {
            observer(Notice {
                address,
                text: text.to_string(),
            });
        }
    }

    pub(super) fn live(&self) -> MutexGuard<'_, HashMap<u64, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes what a newer revocation list forbids, and tells the others (EN-07).
    fn revoke(&self) {
        let trust = self.config.credentials.trust();
        self.sessions.revoke(trust);
        let live = self.live();
        let all: Vec<_> = live
            .iter()
            .map(|(number, live)| (*number, live.shown.clone()))
            .collect();
        drop(live);
        for (number, shown) in all {
            if let Err(error) = shown.verify(trust) {
                self.note(None, format!("{}: {error}", shown.leaf.member));
                if let Some(live) = self.live().get(&number) {
                    live.kill.notify_one();
                }
            }
        }
        self.sessions.tell_lists(&trust.lists_der());
    }

    /// Counts a connection that there is no place for; says so at most once a second.
    fn turn_away(&self, address: SocketAddr) {
        let mut turned_away = self
            .turned_away
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        turned_away.count += 1;
        let now = Instant::now();
        if turned_away.said.is_some_and(|said| now - said < SECOND) {
            return;
        }
        turned_away.said = Some(now);
        let count = std::mem::take(&mut turned_away.count);
        drop(turned_away);
        self.note(
            Some(address),
            format!("refused: too many connections ({count} refused since the last line)"),
        );
    }
}

/// Connections there was no place for.
#[derive(Default)]
struct TurnedAway {
    count: u64,
    said: Option<Instant>,
}

async fn accept(socket: TcpListener, shared: Arc<Shared>) {
    loop {
        match socket.accept().await {
            Ok((stream, address)) => match Place::enter(&shared, address.ip()) {
                Some(place) => drop(tokio::spawn(serve(stream, address, place))),
                None => shared.turn_away(address),
            },
            // Too many open files, for example: what is open goes on.
            Err(error) => {
                shared.note(None, format!("cannot accept: {error}"));
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Looks for newer files, and acts on newer lists.
async fn watch(shared: Arc<Shared>, mut changes: watch::Receiver<u64>) {
    loop {
        let done = tokio::select! {
            changed = changes.changed() => match changed {
                Ok(()) => blocking(&shared, |shared| { shared.revoke(); Ok(()) }).await,
                Err(_) => return,
            },
            () = sleep(LOOK) => blocking(&shared, look).await,
        };
        if let Err(error) = done {
            shared.note(None, error);
        }
    }
}

/// Does what reads files or computes for long off the tasks that serve connections.
async fn blocking(
    shared: &Arc<Shared>,
    what: fn(&Shared) -> Result<(), NetError>,
) -> Result<(), NetError> {
    let shared = shared.clone();
    let done = tokio::task::spawn_blocking(move || what(&shared)).await;
    done.unwrap_or_else(|error| Err(NetError::Connection(error.to_string())))
}

/// Takes over newer lists, then a newer certificate.
fn look(shared: &Shared) -> Result<(), NetError> {
    let (credentials, enrolment) = (&shared.config.credentials, &shared.config.enrolment);
    // The authority's list is the newest; what is wrong with the folder must not keep it away.
    let listed = newest_list(&shared.config);
    credentials.refresh()?;
    let leaf = credentials.leaf();
    if let Some(enrolment) = enrolment
        && now() >= leaf.renew_at()
    {
        credentials.install(&enrolment.registrar.renew(&leaf)?)?;
    }
    listed
}

/// Takes over the authority's own list, if the authority is here.
fn newest_list(config: &ListenConfig) -> Result<(), NetError> {
    let list = config
        .enrolment
        .as_ref()
        .and_then(|enrolment| enrolment.registrar.list());
    list.map_or(Ok(()), |list| config.credentials.hear_list(&list))
}
