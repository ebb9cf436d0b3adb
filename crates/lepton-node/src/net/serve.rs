//! One connection at the listener: from its first byte to its place in a session, and to its end.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use super::driver::{Connection, Inbound};
use super::listener::Shared;
use super::pki::Usage;
use super::segment::{Kind, Segment};
use super::service::{Release, answer, http_server};
use super::shown::{Shown, reached};
use super::strangers::Stranger;
use super::{NetError, enrol, tls};

/// How long a connection that is being closed may take to send what is left.
const LINGER: Duration = Duration::from_secs(5);

/// A connection's place among the others.
pub(super) struct Place {
    address: IpAddr,
    shared: Arc<Shared>,
    stranger: Option<Stranger>,
    _slot: OwnedSemaphorePermit,
}

impl Place {
    /// A place for a connection, if there is one (TR-10).
    pub(super) fn enter(shared: &Arc<Shared>, address: IpAddr) -> Option<Self> {
        let slot = shared.slots.clone().try_acquire_owned().ok()?;
        let mut addresses = addresses(shared);
        let count = addresses.get(&address).copied().unwrap_or(0);
        if count >= shared.config.limits.per_address {
            return None;
        }
        let stranger = shared.strangers.enter(address)?;
        addresses.insert(address, count + 1);
        drop(addresses);
        Some(Self {
            address,
            shared: shared.clone(),
            stranger: Some(stranger),
            _slot: slot,
        })
    }
}

fn addresses(shared: &Shared) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    shared
        .addresses
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = addresses(&self.shared);
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, address: SocketAddr, place: Place) {
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
    let known = async {
        let (tls, enrols) = handshake.await?;
        if enrols {
            enrol::serve(tls, address, &shared).await?;
            return Ok::<_, NetError>(None);
        }
        Ok(Some(tls))
    };
    let tls = tokio::select! {
        known = tokio::time::timeout_at(deadline, known) => known.map_err(late)??,
        () = crowded_out(place.stranger.as_ref()) => {
            return Err(NetError::Connection("its place among the handshakes went to another address".to_owned()));
        }
    };
    match tls {
        Some(tls) => serve_member(tls, address, place, deadline).await,
        None => Ok(()),
    }
}

async fn crowded_out(stranger: Option<&Stranger>) {
    match stranger {
        Some(stranger) => stranger.crowded_out().await,
        None => std::future::pending().await,
    }
}

async fn serve_member(
    tls: TlsStream<TcpStream>,
    address: SocketAddr,
    mut place: Place,
    deadline: Instant,
) -> Result<(), NetError> {
    let shared = place.shared.clone();
    let shown = Shown::on(tls.get_ref().1, Usage::Client)?;
    place.stranger = None;
    let connection = Served::admit(&shared, shown.clone())?;
    let attached = Arc::new(AtomicBool::new(false));
    let visit = Visit {
        shared: shared.clone(),
        shown: shown.clone(),
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
    tokio::select! {
        // Its end shows on the stream.
        _ = http.as_mut() => return Ok(()),
        () = connection.kill.notified() => return Ok(()),
        () = connection.release.notified() => {}
        // Its last second is a good one.
        () = reached(shown.leaf.not_after.saturating_add(1)) => {
            return Err(NetError::certificate("the certificate", format!("that of {} expired", shown.leaf.member)));
        }
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

/// An open connection of a known member.
pub(super) struct Live {
    pub(super) shown: Shown,
    pub(super) kill: Arc<Notify>,
}

/// An entry among the open connections.
struct Served {
    number: u64,
    shared: Arc<Shared>,
    kill: Arc<Notify>,
    release: Arc<Notify>,
}

impl Served {
    /// Enters a connection, and then verifies its certificate: a list that comes in before is seen here, one that comes later finds the entry (EN-07).
    fn admit(shared: &Arc<Shared>, shown: Shown) -> Result<Self, NetError> {
        let kill = Arc::new(Notify::new());
        let entered = Self {
            number: shared.number.fetch_add(1, Ordering::Relaxed),
            shared: shared.clone(),
            kill: kill.clone(),
            release: Arc::new(Notify::new()),
        };
        let live = Live {
            shown: shown.clone(),
            kill,
        };
        shared.live().insert(entered.number, live);
        shown.verify(shared.config.credentials.trust())?;
        Ok(entered)
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
    shown: Shown,
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
            .attach((self.shown, address), hello, connection);
        if let Err(error) = attached.await {
            shared.note(Some(address), error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::net::Listener;
    use crate::net::pki::Role;
    use crate::net::tests::federation::{Federation, name};

    /// A list that comes in while a connection is being entered: the connection is refused, or found by whoever acts on the list.
    #[tokio::test]
    async fn no_revocation_falls_between_entry_and_verification() {
        let federation = Federation::new();
        let party = federation.member(Role::Party, "a");
        let shown = Shown::of(&party, Usage::Client);
        let mut config = federation.listen_config();
        // Nobody else takes the list over.
        config.enrolment = None;
        let listener = Listener::bind(config).await.unwrap();
        let shared = listener.shared();
        drop(Served::admit(shared, shown.clone()).unwrap());
        assert_eq!(listener.connections(), 0);
        let held = shared.live();
        let (done, admitted) = mpsc::channel();
        let other = shared.clone();
        let entering = std::thread::spawn(move || {
            let admitted = Served::admit(&other, shown).map(|_| ());
            done.send(admitted).unwrap();
        });
        // It waits for the table now; if it does not yet, it verifies later still.
        std::thread::sleep(Duration::from_millis(100));
        federation
            .authority
            .revoke(Role::Party, &name("a"))
            .unwrap();
        let list = std::fs::read(federation.authority.list_path()).unwrap();
        let trust = shared.config.credentials.trust();
        assert!(trust.update(&list).unwrap());
        drop(held);
        let admitted = admitted.recv().unwrap();
        assert!(admitted.unwrap_err().to_string().contains("revoked"));
        entering.join().unwrap();
        assert_eq!(listener.connections(), 0);
    }
}
