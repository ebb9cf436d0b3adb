//! Looks at the way to the coordinator, step by step, and begins no session (TR-12): what `lepton doctor` reports.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::StreamExt;

use super::enrol::server_name;
use super::pki::{Leaf, Usage};
use super::segment::{Hello, Kind, NEWEST, OLDEST, Segment, agree};
use super::{DialConfig, NetError, service, tls};

/// Where the way ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The host's name has no address.
    Name,
    /// The proxy does not open a tunnel.
    Proxy,
    /// Nobody answers at the port.
    Port,
    /// No encrypted connection of the required kind (TR-01, TR-02).
    Encryption,
    /// The coordinator's certificate does not hold.
    Certificate,
    /// The coordinator does not take this member's certificate.
    Admission,
    /// No common version of the link protocol (TR-05), or no greeting at all.
    Greeting,
}

/// What kept the look from going on.
#[derive(Debug, Clone)]
pub struct Obstacle {
    /// Where.
    pub stage: Stage,
    /// What happened.
    pub problem: String,
}

/// The coordinator's clock, between two looks at ours. Milliseconds since 1970, but for `theirs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Ours before it was asked.
    pub before: u64,
    /// Its own, in whole seconds since 1970, rounded down.
    pub theirs: u64,
    /// Ours after it answered.
    pub after: u64,
}

/// What was seen on the way, as far as it went.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    /// Addresses of the coordinator's name; none where a proxy looks the name up.
    pub addresses: Vec<SocketAddr>,
    /// Whether there is a connection, through the proxy if there is one.
    pub connected: bool,
    /// TLS version and key exchange.
    pub exchange: Option<String>,
    /// The coordinator's certificate, checked.
    pub coordinator: Option<Leaf>,
    /// Whether the coordinator took ours.
    pub admitted: bool,
    /// Its clock, if it says it.
    pub clocks: Option<Clocks>,
    /// The version of the link protocol that both speak.
    pub version: Option<u32>,
    /// Why it went no further.
    pub obstacle: Option<Obstacle>,
}

/// Goes the way of [`super::Dialer`] up to the greeting, and asks there for versions only (TR-12): a session that this member has goes on undisturbed.
pub async fn look(config: &DialConfig) -> Sight {
    let mut sight = Sight::default();
    sight.obstacle = go(config, &mut sight).await.err();
    sight
}

async fn go(config: &DialConfig, sight: &mut Sight) -> Result<(), Obstacle> {
    let socket = reach(config, sight).await?;
    sight.connected = true;
    let tls = encrypt(config, sight, socket).await?;
    let before = milliseconds();
    let opened = within(config, service::open_dated(tls, &config.limits)).await;
    let (mut connection, date) = opened.map_err(|problem| at(Stage::Admission, problem))?;
    sight.admitted = true;
    sight.clocks = date.as_deref().and_then(seconds).map(|theirs| Clocks {
        before,
        theirs,
        after: milliseconds(),
    });
    let question = Kind::Hello(Hello::default()).into();
    let greeting = async {
        let gone = || NetError::Connection("the other side ended the connection".to_owned());
        let asked = connection.outbound.send(question).await;
        asked.map_err(|_| gone())?;
        match connection.inbound.next().await {
            Some(Ok(Segment {
                kind: Some(Kind::Welcome(welcome)),
            })) => agree((OLDEST, NEWEST), (welcome.oldest, welcome.version)),
            Some(Ok(Segment {
                kind: Some(Kind::Close(reason)),
            }))
            | Some(Err(reason)) => Err(NetError::Connection(reason)),
            Some(Ok(_)) => Err(NetError::Breach("no welcome")),
            None => Err(gone()),
        }
    };
    let version = within(config, greeting).await;
    sight.version = Some(version.map_err(|problem| at(Stage::Greeting, problem))?);
    Ok(())
}

/// A connection, straight or through the proxy.
async fn reach(config: &DialConfig, sight: &mut Sight) -> Result<TcpStream, Obstacle> {
    if let Some(proxy) = &config.proxy {
        let tunnel = within(config, proxy.connect(&config.address)).await;
        return tunnel.map_err(|problem| at(Stage::Proxy, problem));
    }
    let named = |error: std::io::Error| NetError::Connection(error.to_string());
    let found = async {
        let found = tokio::net::lookup_host(&config.address).await;
        found.map_err(named).map(Iterator::collect::<Vec<_>>)
    };
    let addresses = within(config, found).await;
    sight.addresses = addresses.map_err(|problem| at(Stage::Name, problem))?;
    if sight.addresses.is_empty() {
        return Err(at(Stage::Name, "the name has no address".to_owned()));
    }
    let connect = async {
        let socket = TcpStream::connect(sight.addresses.as_slice()).await;
        socket.map_err(named)
    };
    let socket = within(config, connect).await;
    socket.map_err(|problem| at(Stage::Port, problem))
}

/// TLS, and the coordinator's certificate under the federation's root.
async fn encrypt(
    config: &DialConfig,
    sight: &mut Sight,
    socket: TcpStream,
) -> Result<TlsStream<TcpStream>, Obstacle> {
    let plain = |error: NetError| at(Stage::Encryption, error.to_string());
    let client = config.credentials.client(config.coordinator.clone());
    let client = TlsConnector::from(Arc::new(client.map_err(plain)?));
    let name = server_name(&config.address).map_err(plain)?;
    let connected = timeout(config.limits.handshake, client.connect(name, socket)).await;
    let tls = match connected {
        Ok(connected) => connected.map_err(|error| refused(&error))?,
        Err(_) => return Err(at(Stage::Encryption, silence(config))),
    };
    let session = tls.get_ref().1;
    tls::check_exchange(session).map_err(plain)?;
    sight.exchange = Some("TLS 1.3, X25519MLKEM768".to_owned());
    let chain = session.peer_certificates().unwrap_or_default();
    let leaf = config.credentials.trust().verify(chain, Usage::Server);
    let leaf = leaf.map_err(|error| at(Stage::Certificate, error.to_string()))?;
    sight.coordinator = Some(leaf);
    Ok(tls)
}

fn refused(error: &std::io::Error) -> Obstacle {
    let cause = error.get_ref();
    let cause = cause.and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let stage = match cause {
        Some(rustls::Error::InvalidCertificate(_)) => Stage::Certificate,
        _ => Stage::Encryption,
    };
    at(stage, error.to_string())
}

/// Every step has the time that a whole handshake has.
async fn within<T>(
    config: &DialConfig,
    step: impl Future<Output = Result<T, NetError>>,
) -> Result<T, String> {
    match timeout(config.limits.handshake, step).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(silence(config)),
    }
}

fn silence(config: &DialConfig) -> String {
    let seconds = config.limits.handshake.as_secs();
    format!("no answer in {seconds} seconds")
}

fn at(stage: Stage, problem: String) -> Obstacle {
    Obstacle { stage, problem }
}

/// A date as HTTP writes it, in seconds since 1970.
fn seconds(date: &str) -> Option<u64> {
    let date = httpdate::parse_http_date(date).ok()?;
    Some(since(date)?.as_secs())
}

fn milliseconds() -> u64 {
    let since = since(SystemTime::now()).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn since(time: SystemTime) -> Option<Duration> {
    time.duration_since(UNIX_EPOCH).ok()
}
