//! The daemons' links over the network: certificates of the federation's root, sessions that survive lost connections.
//!
//! A lost connection ends a daemon's [`Connection`], and the same session's return begins another: who lost what is then said anew (rule JC-08).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lepton_crypto::IdentityKey;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Authority, Connection, Member, Own, QUEUE};
use crate::net::pki::{MemberFolder, Trust, Usage, chain_from_pem};
use crate::net::{
    Credentials, DialConfig, Dialer, Event, IncomingStream, Link, Listener, NetError, PeerIdentity,
};

/// A member who has enrolled.
pub struct Enrolled {
    credentials: Credentials,
    certificate: PathBuf,
}

impl Enrolled {
    /// With what stands in a member's folder.
    #[must_use]
    pub fn new(credentials: Credentials, folder: &MemberFolder) -> Self {
        Self {
            credentials,
            certificate: folder.certificate_path(),
        }
    }
}

impl Own for Enrolled {
    fn identity(&self) -> IdentityKey {
        self.credentials.identity()
    }

    fn certificate(&self) -> Vec<u8> {
        // Read anew: it is renewed now and then. Without it nobody takes this member for itself, and says so.
        std::fs::read(&self.certificate).unwrap_or_default()
    }
}

impl Authority for Trust {
    fn member(&self, certificate: &[u8]) -> Result<Member, String> {
        let text = std::str::from_utf8(certificate).map_err(|_| "it is not PEM".to_owned())?;
        let words = |error: NetError| error.to_string();
        let chain = chain_from_pem(text).map_err(words)?;
        let leaf = self.verify(&chain, Usage::Client).map_err(words)?;
        Ok(Member {
            name: leaf.member.name.to_string(),
            role: leaf.member.role,
            key: leaf.key,
            serial: leaf.serial.to_string(),
        })
    }
}

/// Before another link is made in place of one that was given up.
const AGAIN: Duration = Duration::from_secs(1);

/// Told, in words, why there is no connection.
pub type Trouble = Arc<dyn Fn(&str) + Send + Sync>;

/// Keeps one link to the coordinator; a connection comes out each time it is up. A link that the daemon gave up is ended, and another one made.
///
/// # Errors
/// [`NetError::Use`] for an address that is none.
pub fn dial(config: DialConfig, trouble: Trouble) -> Result<mpsc::Receiver<Connection>, NetError> {
    let mut link = Dialer::connect(config.clone())?;
    let (connections, inbox) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            pump(link, connections.clone(), trouble.clone()).await;
            if connections.is_closed() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
            link = match Dialer::connect(config.clone()) {
                Ok(link) => link,
                // The address was good before.
                Err(error) => return trouble(&error.to_string()),
            };
        }
    });
    Ok(inbox)
}

/// Every member that connects.
#[must_use]
pub fn listen(mut listener: Listener) -> mpsc::Receiver<Connection> {
    let (connections, inbox) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        while let Some(peer) = listener.accept().await {
            let name = peer.identity.member.name.to_string();
            let trouble: Trouble =
                Arc::new(move |why| tracing::info!(peer = name, "no connection: {why}"));
            tokio::spawn(pump(peer.link, connections.clone(), trouble));
            if connections.is_closed() {
                return;
            }
        }
    });
    inbox
}

/// The daemon's end of the link as it is now.
struct Up {
    to_daemon: mpsc::Sender<Vec<u8>>,
    writer: JoinHandle<()>,
}

impl Drop for Up {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

async fn pump(mut link: Link, connections: mpsc::Sender<Connection>, trouble: Trouble) {
    let mut up: Option<Up> = None;
    let mut peer: Option<PeerIdentity> = None;
    loop {
        let event = tokio::select! {
            event = link.recv() => event,
            () = given_up(up.as_ref()) => return,
        };
        let Some(event) = event else { return };
        let message = match event {
            Event::Connected(identity) => {
                peer = Some(identity);
                None
            }
            Event::Back => None,
            Event::Message(bytes) => Some(bytes),
            Event::Stream(stream) => match collect(stream).await {
                Some(bytes) => Some(bytes),
                None => continue,
            },
            Event::Lost(reason) => {
                trouble(&reason);
                up = None;
                continue;
            }
            Event::Waiting(reason) => {
                trouble(&reason);
                continue;
            }
            Event::Closed(reason) => {
                trouble(&reason);
                return;
            }
        };
        let delivered = match (message, &up, &peer) {
            (Some(bytes), Some(up), _) => up.to_daemon.send(bytes).await.is_ok(),
            (Some(_), None, _) | (None, _, None) => true,
            (None, _, Some(peer)) => match open(&link, peer, &connections).await {
                Some(opened) => {
                    up = Some(opened);
                    true
                }
                None => false,
            },
        };
        if !delivered {
            // The daemon has closed it: what came over it was refused, or it stops.
            return;
        }
    }
}

/// Returns when the daemon has closed its end; never while it has none.
async fn given_up(up: Option<&Up>) {
    match up {
        Some(up) => up.to_daemon.closed().await,
        None => std::future::pending().await,
    }
}

async fn open(
    link: &Link,
    peer: &PeerIdentity,
    connections: &mpsc::Sender<Connection>,
) -> Option<Up> {
    let (to_daemon, inbox) = mpsc::channel(QUEUE);
    let (out, mut from_daemon) = mpsc::channel::<Vec<u8>>(QUEUE);
    let sender = link.sender();
    let writer = tokio::spawn(async move {
        while let Some(bytes) = from_daemon.recv().await {
            if let Err(error) = sender.send(bytes).await {
                tracing::warn!("not sent: {error}");
                // What follows would come without it: the daemon finds the link closed.
                return;
            }
        }
    });
    let peer = Member {
        name: peer.member.name.to_string(),
        role: peer.member.role,
        key: peer.key,
        serial: peer.serial.to_string(),
    };
    let connection = Connection { peer, out, inbox };
    let up = Up { to_daemon, writer };
    connections.send(connection).await.ok().map(|()| up)
}

/// A long message whole; `None` where its rest never came.
async fn collect(mut stream: IncomingStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Ok(Some(part)) = stream.part().await {
        bytes.extend_from_slice(&part);
    }
    (bytes.len() as u64 == stream.length()).then_some(bytes)
}
