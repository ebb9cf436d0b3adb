//! The coordinator's one port.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::server::Acceptor;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use super::accept::Sessions;
use super::driver::{Connection, Inbound};
use super::enrol::{self, EnrolConfig};
use super::link::{Link, PeerIdentity};
use super::pki::{Leaf, Usage, now};
use super::segment::{Kind, Segment};
use super::service::{AbortOnDrop, Release, answer, http_server};
use super::{Credentials, NetError, tls};

/// How often files are looked at for a newer certificate or revocation list.
const LOOK: Duration = Duration::from_secs(2);
/// How long a connection that is being closed may take to send what is left.
const LINGER: Duration = Duration::from_secs(5);

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
    /// The link. Its first event is [`super::Event::Connected`].
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
        let socket = TcpListener::bind(config.address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let (accepted, peers) = mpsc::channel(64);
        let shared = Arc::new(Shared {
            links: Arc::new(config.credentials.server()?),
            enrolments: Arc::new(config.credentials.enrolment_server()?),
            slots: Arc::new(Semaphore::new(config.limits.connections)),
            strangers: Arc::new(Semaphore::new(config.limits.handshakes)),
            addresses: Mutex::default(),
            live: Mutex::default(),
            number: AtomicU64::new(0),
            sessions: Sessions::new(&config, accepted),
            gate: enrol::Gate::default(),
            config,
        });
        let accepting = tokio::spawn(accept(socket, shared.clone()));
        let watching = tokio::spawn(watch(shared.clone()));
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
    links: Arc<rustls::ServerConfig>,
    enrolments: Arc<rustls::ServerConfig>,
    slots: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    live: Mutex<HashMap<u64, Live>>,
    number: AtomicU64,
    sessions: Sessions,
    pub(super) gate: enrol::Gate,
}

/// An open connection of a known member.
struct Live {
    leaf: Leaf,
    chain: Vec<CertificateDer<'static>>,
    kill: Arc<Notify>,
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

    fn live(&self) -> MutexGuard<'_, HashMap<u64, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection, if there is one (TR-10).
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let slot = self.slots.clone().try_acquire_owned().ok()?;
        let stranger = self.strangers.clone().try_acquire_owned().ok()?;
        let mut addresses = self.addresses();
        let count = addresses.entry(address).or_default();
        if *count >= self.config.limits.per_address {
            return None;
        }
        *count += 1;
        drop(addresses);
        Some(Place {
            address,
            shared: self.clone(),
            stranger: Some(stranger),
            _slot: slot,
        })
    }

    /// Closes what a newer revocation list forbids, and tells the others (EN-07).
    fn revoke(&self) {
        let trust = self.config.credentials.trust();
        for live in self.live().values() {
            if let Err(error) = trust.verify(&live.chain, Usage::Client) {
                let reason = format!("{}: {error}", live.leaf.member);
                self.note(None, &reason);
                self.sessions.end(&live.leaf, &reason);
                live.kill.notify_one();
            }
        }
        self.sessions.tell_lists(&trust.lists_der());
    }
}

/// A connection's place among the others.
struct Place {
    address: IpAddr,
    shared: Arc<Shared>,
    stranger: Option<OwnedSemaphorePermit>,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = self.shared.addresses();
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

async fn accept(socket: TcpListener, shared: Arc<Shared>) {
    loop {
        match socket.accept().await {
            Ok((stream, address)) => match shared.enter(address.ip()) {
                Some(place) => drop(tokio::spawn(serve(stream, address, place))),
                None => shared.note(Some(address), "refused: too many connections"),
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
async fn watch(shared: Arc<Shared>) {
    let credentials = &shared.config.credentials;
    let mut changes = credentials.trust().changes();
    loop {
        tokio::select! {
            changed = changes.changed() => if changed.is_ok() { shared.revoke() },
            () = sleep(LOOK) => {
                if let Err(error) = look(&shared).await {
                    shared.note(None, error);
                }
            }
        }
    }
}

async fn look(shared: &Arc<Shared>) -> Result<(), NetError> {
    let (credentials, enrolment) = (
        shared.config.credentials.clone(),
        shared.config.enrolment.clone(),
    );
    let looked = tokio::task::spawn_blocking(move || {
        credentials.refresh()?;
        let Some(enrolment) = enrolment else {
            return Ok(());
        };
        if let Some(list) = enrolment.registrar.list() {
            credentials.hear_list(&list)?;
        }
        let leaf = credentials.leaf();
        if now() >= leaf.renew_at() {
            credentials.install(&enrolment.registrar.renew(&leaf)?)?;
        }
        Ok(())
    });
    looked
        .await
        .unwrap_or_else(|error| Err(NetError::Connection(error.to_string())))
}

async fn serve(stream: TcpStream, address: SocketAddr, place: Place) {
    let shared = place.shared.clone();
    let deadline = Instant::now() + shared.config.limits.handshake;
    if let Err(error) = serve_until(stream, address, place, deadline).await {
        shared.note(Some(address), error);
    }
}

async fn serve_until(
    stream: TcpStream,
    address: SocketAddr,
    place: Place,
    deadline: Instant,
) -> Result<(), NetError> {
    let shared = place.shared.clone();
    let late = |_| NetError::Connection("the handshake took too long".to_owned());
    let broken = |error: std::io::Error| NetError::Connection(format!("handshake: {error}"));
    // Small segments, such as acknowledgements, must not wait for more.
    stream.set_nodelay(true).map_err(broken)?;
    let handshake = async {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream)
            .await
            .map_err(broken)?;
        let enrols = start
            .client_hello()
            .alpn()
            .is_some_and(|mut names| names.any(|name| name == tls::ALPN_ENROL));
        let config = if enrols {
            &shared.enrolments
        } else {
            &shared.links
        };
        let tls = start.into_stream(config.clone()).await.map_err(broken)?;
        tls::check_exchange(tls.get_ref().1)?;
        Ok::<_, NetError>((tls, enrols))
    };
    let (tls, enrols) = tokio::time::timeout_at(deadline, handshake)
        .await
        .map_err(late)??;
    if enrols {
        return tokio::time::timeout_at(deadline, enrol::serve(tls, address, &shared))
            .await
            .map_err(late)?;
    }
    serve_member(tls, address, place, deadline).await
}

async fn serve_member(
    tls: TlsStream<TcpStream>,
    address: SocketAddr,
    mut place: Place,
    deadline: Instant,
) -> Result<(), NetError> {
    let shared = place.shared.clone();
    let chain: Vec<CertificateDer<'static>> = tls
        .get_ref()
        .1
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .map(|certificate| certificate.clone().into_owned())
        .collect();
    // Once more: the list may have changed during the handshake.
    let trust = shared.config.credentials.trust();
    let leaf = trust.verify(&chain, Usage::Client)?;
    place.stranger = None;
    let connection = Served::register(&shared, leaf.clone(), chain);
    let attached = Arc::new(AtomicBool::new(false));
    let visit = Visit {
        shared: shared.clone(),
        leaf: leaf.clone(),
        address,
        deadline,
        attached: attached.clone(),
        release: connection.release.clone(),
    };
    let service = service_fn(move |request| {
        let visit = visit.clone();
        answer(request, move |inbound, outbound| {
            visit.attach(inbound, outbound)
        })
    });
    let http = http_server(&shared.config.limits).serve_connection(TokioIo::new(tls), service);
    let mut http = std::pin::pin!(http);
    // Its last second is a good one.
    let expiry = Duration::from_secs((leaf.not_after + 1).saturating_sub(now()));
    tokio::select! {
        // Its end shows on the stream.
        _ = http.as_mut() => return Ok(()),
        () = connection.kill.notified() => return Ok(()),
        () = connection.release.notified() => {}
        () = sleep(expiry) => return Err(NetError::certificate("the certificate", format!("that of {} expired", leaf.member))),
        () = never_attached(deadline, &attached) => return Err(NetError::Breach("a connection without a stream")),
    }
    http.as_mut().graceful_shutdown();
    // What is left is sent; who does not take it has had its time.
    let _ = timeout(LINGER, http).await;
    Ok(())
}

async fn never_attached(deadline: Instant, attached: &AtomicBool) {
    sleep_until(deadline).await;
    if attached.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// An entry among the open connections.
struct Served {
    number: u64,
    shared: Arc<Shared>,
    kill: Arc<Notify>,
    release: Arc<Notify>,
}

impl Served {
    fn register(shared: &Arc<Shared>, leaf: Leaf, chain: Vec<CertificateDer<'static>>) -> Self {
        let number = shared.number.fetch_add(1, Ordering::Relaxed);
        let kill = Arc::new(Notify::new());
        let live = Live {
            leaf,
            chain,
            kill: kill.clone(),
        };
        shared.live().insert(number, live);
        Self {
            number,
            shared: shared.clone(),
            kill,
            release: Arc::new(Notify::new()),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.shared.live().remove(&self.number);
    }
}

/// A member's connection before it has a session.
#[derive(Clone)]
struct Visit {
    shared: Arc<Shared>,
    leaf: Leaf,
    address: SocketAddr,
    deadline: Instant,
    attached: Arc<AtomicBool>,
    release: Arc<Notify>,
}

impl Visit {
    /// Takes the connection's one stream.
    fn attach(self, inbound: Inbound, outbound: mpsc::Sender<Segment>) -> bool {
        if self.attached.swap(true, Ordering::Relaxed) {
            return false;
        }
        let connection = Connection {
            inbound,
            outbound,
            _guard: Box::new(Release(self.release.clone())),
        };
        tokio::spawn(self.greet(connection));
        true
    }

    async fn greet(self, mut connection: Connection) {
        use tokio_stream::StreamExt;
        let first = tokio::time::timeout_at(self.deadline, connection.inbound.next()).await;
        let hello = match first {
            Ok(Some(Ok(Segment {
                kind: Some(Kind::Hello(hello)),
            }))) => hello,
            Ok(Some(Ok(_))) => return self.shared.note(Some(self.address), "no greeting"),
            Ok(_) => return,
            Err(_) => {
                return self
                    .shared
                    .note(Some(self.address), "the greeting took too long");
            }
        };
        let (shared, address) = (self.shared, self.address);
        let attached = shared
            .sessions
            .attach((self.leaf, address), hello, connection);
        if let Err(error) = attached.await {
            shared.note(Some(address), error);
        }
    }
}
