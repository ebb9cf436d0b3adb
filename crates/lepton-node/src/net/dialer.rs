//! Everybody else's one connection: outwards, again and again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt;

use super::driver::{Connection, Connector, Driver, Elsewhere, Ended, Joined, Stand};
use super::enrol::server_name;
use super::link::{Link, PeerIdentity, link};
use super::pki::{Name, Usage, now};
use super::segment::{Hello, Kind, NEWEST, Nothing, OLDEST, Segment, Welcome, agree};
use super::service::AbortOnDrop;
use super::shown::{Shown, reached};
use super::{Credentials, Limits, NetError, Proxy, service, tls};

/// A connection that lasted this long was a good one: the next attempt follows at once.
const STEADY: Duration = Duration::from_secs(5);

/// How to reach the coordinator.
#[derive(Clone)]
pub struct DialConfig {
    /// `host:port`.
    pub address: String,
    /// This member's certificate, and whom it trusts.
    pub credentials: Credentials,
    /// The only coordinator to talk to; any of the federation's if absent.
    pub coordinator: Option<Name>,
    /// The way out.
    pub proxy: Option<Proxy>,
    /// What is allowed. Those on numbers of connections do not apply.
    pub limits: Limits,
    /// Shortest and longest pause before another attempt.
    pub pause: (Duration, Duration),
    /// How often the member's folder is looked at for a certificate or revocation list that was put there by hand.
    pub look: Duration,
}

impl DialConfig {
    /// The usual: pauses of 0.5 to 30 seconds, a look every 30 seconds.
    #[must_use]
    pub fn new(address: String, credentials: Credentials) -> Self {
        Self {
            address,
            credentials,
            coordinator: None,
            proxy: None,
            limits: Limits::default(),
            pause: (Duration::from_millis(500), Duration::from_secs(30)),
            look: Duration::from_secs(30),
        }
    }
}

/// Makes outgoing links.
pub struct Dialer;

impl Dialer {
    /// Begins to dial, and dials again whenever the connection is lost, until the link is dropped. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`NetError::Use`] for an address that is none.
    pub fn connect(config: DialConfig) -> Result<Link, NetError> {
        server_name(&config.address)?;
        let (link, ends) = link();
        let stand = Stand::new(config.limits.longest_message, config.limits.stream_above);
        let looking = tokio::spawn(look(config.credentials.clone(), config.look));
        let connector = DialConnector {
            ask_at: config.credentials.leaf().renew_at(),
            shown: None,
            _looking: AbortOnDrop(looking),
            config,
            session: Bytes::new(),
            failures: 0,
            joined: None,
            renewed: false,
        };
        tokio::spawn(Driver::new(ends, stand).run(connector));
        Ok(link)
    }
}

/// A session's source of connections.
struct DialConnector {
    config: DialConfig,
    session: Bytes,
    failures: u32,
    /// When the present connection was made.
    joined: Option<Instant>,
    /// When to ask for the next certificate.
    ask_at: u64,
    /// There is a new certificate: the connection should show it.
    renewed: bool,
    /// The coordinator's certificate on the present connection, with the changes of lists since it was verified.
    shown: Option<(Shown, watch::Receiver<u64>)>,
    _looking: AbortOnDrop,
}

impl Connector for DialConnector {
    async fn join(&mut self, stand: &mut Stand) -> Result<Joined, Ended> {
        if self.joined.is_some_and(|at| at.elapsed() >= STEADY) {
            self.failures = 0;
        }
        self.joined = None;
        if self.failures > 0 {
            sleep(pause(self.config.pause, self.failures)).await;
        }
        self.failures = self.failures.saturating_add(1);
        self.renewed = false;
        self.shown = None;
        // One put there by hand is not asked for again.
        let renew_at = self.config.credentials.leaf().renew_at();
        self.ask_at = self.ask_at.max(renew_at);
        let limit = self.config.limits.handshake;
        match timeout(limit, self.dial(stand)).await {
            Ok(Ok(joined)) => {
                self.joined = Some(Instant::now());
                Ok(joined)
            }
            Ok(Err(error)) => Err(Ended::Waiting(error.to_string())),
            Err(_) => Err(Ended::Waiting(format!(
                "{} does not answer",
                self.config.address
            ))),
        }
    }

    /// Leaves a coordinator whose certificate holds no more (EN-07); asks for this member's next certificate in time, and again if no answer comes (EN-06).
    async fn elsewhere(&mut self, room: bool) -> Elsewhere {
        if self.renewed {
            return Elsewhere::Leave("the renewed certificate is shown".to_owned());
        }
        let Some((shown, changes)) = &mut self.shown else {
            return std::future::pending().await;
        };
        tokio::select! {
            biased;
            error = shown.fails(self.config.credentials.trust(), changes) => {
                return Elsewhere::Leave(format!("{}: {error}", shown.leaf.member));
            }
            () = reached(self.ask_at), if room => {}
        }
        let not_after = self.config.credentials.leaf().not_after;
        let left = not_after.saturating_sub(now());
        self.ask_at = now() + (left / 8).clamp(2, 600);
        Elsewhere::Send(Kind::Renew(Nothing {}).into())
    }

    fn starts_over(&mut self) -> bool {
        self.session = Bytes::new();
        true
    }

    fn hear(&mut self, kind: Kind) -> Result<(), NetError> {
        let credentials = &self.config.credentials;
        match kind {
            Kind::Revoked(list) => credentials.hear_list(&list),
            Kind::Renewed(credential) => {
                credentials.install(&credential.into())?;
                self.ask_at = credentials.leaf().renew_at();
                self.renewed = true;
                Ok(())
            }
            _ => Err(NetError::Breach("a segment that only a dialler sends")),
        }
    }
}

impl DialConnector {
    async fn dial(&mut self, stand: &mut Stand) -> Result<Joined, NetError> {
        let (mut connection, identity) = self.open().await?;
        let hello = Hello {
            oldest: OLDEST,
            newest: NEWEST,
            session: self.session.clone(),
            received: stand.inbox.received(),
            limit: self.config.limits.longest_message,
        };
        let broken = |reason: &str| NetError::Connection(reason.to_owned());
        let sent = connection.outbound.send(Kind::Hello(hello).into()).await;
        sent.map_err(|_| broken("the connection broke"))?;
        let welcome = match connection.inbound.next().await {
            Some(Ok(Segment {
                kind: Some(Kind::Welcome(welcome)),
            })) => welcome,
            Some(Ok(Segment {
                kind: Some(Kind::Close(reason)),
            })) => {
                // Whatever the session was, the other side has it no more.
                self.session = Bytes::new();
                return Err(NetError::Connection(reason));
            }
            Some(Ok(_)) => return Err(NetError::Breach("no welcome")),
            Some(Err(reason)) => return Err(NetError::Connection(reason)),
            None => return Err(broken("the other side ended the connection")),
        };
        let resumed = self.welcomed(&welcome, stand)?;
        Ok(Joined {
            connection,
            new: (!resumed).then_some(identity),
            limit: welcome.limit,
        })
    }

    /// Whether the session goes on.
    fn welcomed(&mut self, welcome: &Welcome, stand: &mut Stand) -> Result<bool, NetError> {
        let ours = (OLDEST, NEWEST);
        if welcome.refused {
            let theirs = (welcome.oldest, welcome.version);
            return Err(match agree(ours, theirs) {
                Ok(_) => NetError::Breach("a refused version that is good"),
                Err(error) => error,
            });
        }
        agree(ours, (welcome.version, welcome.version))?;
        let resumed = welcome.resumed && !self.session.is_empty();
        if resumed {
            let stood = stand.resume(welcome.received);
            if stood.is_err() || welcome.session != self.session {
                self.session = Bytes::new();
                return Err(NetError::Breach("a session resumed at an impossible place"));
            }
        }
        self.session = welcome.session.clone();
        Ok(resumed)
    }

    /// An encrypted connection to a coordinator, and who it is.
    async fn open(&mut self) -> Result<(Connection, PeerIdentity), NetError> {
        let config = &self.config;
        let failed =
            |error: std::io::Error| NetError::Connection(format!("{}: {error}", config.address));
        let socket = match &config.proxy {
            Some(proxy) => proxy.connect(&config.address).await?,
            None => TcpStream::connect(&config.address).await.map_err(failed)?,
        };
        socket.set_nodelay(true).map_err(failed)?;
        let client = config.credentials.client(config.coordinator.clone())?;
        let tls = TlsConnector::from(Arc::new(client))
            .connect(server_name(&config.address)?, socket)
            .await
            .map_err(failed)?;
        tls::check_exchange(tls.get_ref().1)?;
        let (trust, shown) = (
            config.credentials.trust(),
            Shown::on(tls.get_ref().1, Usage::Server)?,
        );
        // Before it is verified, so that no change is missed.
        let changes = trust.changes();
        shown.verify(trust)?;
        let connection = service::open(tls, &config.limits).await?;
        let identity = shown.leaf.clone().into();
        self.shown = Some((shown, changes));
        Ok((connection, identity))
    }
}

/// Takes over what was put into the member's folder.
async fn look(credentials: Credentials, every: Duration) {
    loop {
        sleep(every).await;
        let credentials = credentials.clone();
        let looked = tokio::task::spawn_blocking(move || credentials.refresh()).await;
        if let Ok(Err(error)) = looked {
            tracing::warn!("what is in the member's folder is not taken over: {error}");
        }
    }
}

/// Twice as long after every failure, up to a limit, and never the same for everybody.
fn pause((shortest, longest): (Duration, Duration), failures: u32) -> Duration {
    let doubled = shortest.saturating_mul(1 << (failures - 1).min(16));
    let mut random = [0];
    // Without randomness everybody comes back at once: bad luck, no danger.
    let _ = getrandom::fill(&mut random);
    let [byte] = random;
    doubled.min(longest).mul_f64(0.5 + f64::from(byte) / 510.0)
}
