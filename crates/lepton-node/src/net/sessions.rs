//! Sessions at the listener: which connection goes on with which one.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::accept::{AcceptConnector, Arrivals};
use super::driver::{Connection, Driver, Stand};
use super::enrol::EnrolConfig;
use super::link::link;
use super::listener::{Limits, ListenConfig, Observer, Peer};
use super::pki::{Role, Trust};
use super::segment::{Hello, Kind, NEWEST, OLDEST, Segment, Welcome, agree};
use super::service::random_id;
use super::shown::Shown;
use super::{Credentials, NetError};

/// All sessions.
#[derive(Clone)]
pub(super) struct Sessions(Arc<Inner>);

struct Inner {
    limits: Limits,
    credentials: Credentials,
    enrolment: Option<EnrolConfig>,
    observer: Option<Observer>,
    accepted: mpsc::Sender<Peer>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table(HashMap<Bytes, Entry>);

/// A session, as connections find it.
struct Entry {
    /// The certificate of its newest connection.
    shown: Shown,
    began: Instant,
    attach: mpsc::Sender<Box<Attached>>,
    controls: mpsc::Sender<Segment>,
    ending: oneshot::Sender<String>,
}

/// A connection for a session.
pub(super) struct Attached {
    pub(super) hello: Hello,
    pub(super) version: u32,
    pub(super) shown: Shown,
    pub(super) connection: Connection,
}

impl Sessions {
    pub(super) fn new(config: &ListenConfig, accepted: mpsc::Sender<Peer>) -> Self {
        Self(Arc::new(Inner {
            limits: config.limits.clone(),
            credentials: config.credentials.clone(),
            enrolment: config.enrolment.clone(),
            observer: config.observer.clone(),
            accepted,
            table: Mutex::default(),
        }))
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.0.credentials
    }

    pub(super) fn enrolment(&self) -> Option<EnrolConfig> {
        self.0.enrolment.clone()
    }

    pub(super) fn observer(&self) -> Option<Observer> {
        self.0.observer.clone()
    }

    /// Gives a connection to the session it asks for, or to a new one. Sessions are found by their number *and* the member's key (TR-06).
    pub(super) async fn attach(
        &self,
        (shown, address): (Shown, SocketAddr),
        hello: Hello,
        connection: Connection,
    ) -> Result<(), NetError> {
        let ours = (OLDEST, NEWEST);
        let version = match agree(ours, (hello.oldest, hello.newest)) {
            Ok(version) => version,
            Err(error) => {
                let refusal = Welcome {
                    version: ours.1,
                    oldest: ours.0,
                    refused: true,
                    ..Welcome::default()
                };
                // A courtesy to whoever leaves anyway.
                let _ = connection.outbound.try_send(Kind::Welcome(refusal).into());
                // Who speaks no version at all only asks for ours (TR-12).
                return if hello.newest == 0 {
                    Ok(())
                } else {
                    Err(error)
                };
            }
        };
        let known = self.table().known(&hello.session, &shown);
        let attached = Box::new(Attached {
            hello,
            version,
            shown,
            connection,
        });
        let attached = match known {
            Some(session) => match session.send(attached).await {
                Ok(()) => return Ok(()),
                Err(mpsc::error::SendError(attached)) => attached,
            },
            None => attached,
        };
        self.begin(address, attached).await
    }

    async fn begin(&self, address: SocketAddr, attached: Box<Attached>) -> Result<(), NetError> {
        let (id, limits, shown) = (random_id()?, &self.0.limits, attached.shown.clone());
        let (attach, attaching) = mpsc::channel(1);
        let (controls, controlling) = mpsc::channel(4);
        let (ending, ended) = oneshot::channel();
        let entry = Entry {
            shown: shown.clone(),
            began: Instant::now(),
            attach,
            controls: controls.clone(),
            ending,
        };
        let most = match shown.leaf.member.role {
            Role::Party => 1,
            _ => limits.sessions_per_member,
        };
        self.table().enter(id.clone(), entry, most);
        let arrivals = Arrivals {
            pending: Some(attached),
            attach: attaching,
            controls: controlling,
            ended,
        };
        let connector = AcceptConnector::new(self.clone(), id, arrivals, controls);
        // Entered first: whoever revokes it from now on finds it.
        if let Err(error) = shown.verify(self.0.credentials.trust()) {
            connector.refuse(&error.to_string());
            return Err(error);
        }
        let (link, ends) = link();
        let stand = Stand::new(limits.longest_message, limits.stream_above);
        let peer = Peer {
            identity: shown.leaf.into(),
            address,
            link,
        };
        tokio::spawn(Driver::new(ends, stand).run(connector));
        self.0
            .accepted
            .send(peer)
            .await
            .map_err(|_| NetError::Connection("nobody accepts links any more".to_owned()))
    }

    /// Ends every session of a revoked certificate, connected or not (EN-07).
    pub(super) fn revoke(&self, trust: &Trust) {
        let table = self.table();
        let all: Vec<_> = table
            .0
            .iter()
            .map(|(id, entry)| (id.clone(), entry.shown.clone()))
            .collect();
        drop(table);
        for (id, shown) in all {
            if let Some(error) = shown.revoked(trust)
                && let Some(entry) = self.table().0.remove(&id)
            {
                entry.end(&format!("{}: {error}", shown.leaf.member));
            }
        }
    }

    pub(super) fn end_all(&self, reason: &str) {
        for (_, entry) in self.table().0.drain() {
            entry.end(reason);
        }
    }

    /// The session is over.
    pub(super) fn forget(&self, id: &Bytes) {
        self.table().0.remove(id);
    }

    /// Sends revocation lists to everybody who is connected; who is not gets them when it is (EN-07).
    pub(super) fn tell_lists(&self, lists: &[Vec<u8>]) {
        for entry in self.table().0.values() {
            for list in lists {
                let segment = Kind::Revoked(Bytes::copy_from_slice(list)).into();
                // One whose queue is full gets the list with its next connection.
                let _ = entry.controls.try_send(segment);
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// The way into a member's session, which is known by the newest certificate from now on.
    fn known(&mut self, id: &Bytes, shown: &Shown) -> Option<mpsc::Sender<Box<Attached>>> {
        let (entry, leaf) = (self.0.get_mut(id)?, &shown.leaf);
        if entry.shown.leaf.key != leaf.key || entry.shown.leaf.member != leaf.member {
            return None;
        }
        entry.shown = shown.clone();
        Some(entry.attach.clone())
    }

    /// Enters a session. Of too many of one member the oldest end, in the same step: two greetings at once leave no more sessions than one after the other.
    fn enter(&mut self, id: Bytes, entry: Entry, most: usize) {
        let member = &entry.shown.leaf.member;
        let same = self
            .0
            .iter()
            .filter(|(_, other)| other.shown.leaf.member == *member);
        let mut same: Vec<_> = same.map(|(id, other)| (other.began, id.clone())).collect();
        same.sort();
        let excess = (same.len() + 1).saturating_sub(most);
        for (_, old) in same.into_iter().take(excess) {
            if let Some(old) = self.0.remove(&old) {
                old.end("a newer session of the same member began");
            }
        }
        self.0.insert(id, entry);
    }
}

impl Entry {
    fn end(self, reason: &str) {
        // Nobody to hear it: it ends by itself just now.
        let _ = self.ending.send(reason.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::Barrier;

    use super::*;
    use crate::net::Event;
    use crate::net::pki::Usage;
    use crate::net::tests::federation::{Federation, name, next, until};

    /// A connection without a network, and what the other side hears on it.
    fn connection() -> (Connection, mpsc::Receiver<Segment>) {
        let (outbound, heard) = mpsc::channel(16);
        let connection = Connection {
            inbound: Box::pin(tokio_stream::pending()),
            outbound,
            _guard: Box::new(()),
        };
        (connection, heard)
    }

    fn hello() -> Hello {
        Hello {
            oldest: OLDEST,
            newest: NEWEST,
            limit: 1 << 20,
            ..Hello::default()
        }
    }

    /// The reason with which a connection was closed; `None` while it is open.
    async fn closed(heard: &mut mpsc::Receiver<Segment>) -> Option<String> {
        loop {
            let segment = tokio::time::timeout(Duration::from_secs(2), heard.recv()).await;
            let kind = segment.ok()?.expect("a reason before the end").kind;
            if let Some(Kind::Close(reason)) = kind {
                return Some(reason);
            }
        }
    }

    const AT_ONCE: usize = 6;

    /// Greetings of one party at the same time: one session goes on, every other one is told that it does not (TR-06).
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_greetings_at_once_one_makes_a_session() {
        let federation = Federation::new();
        let shown = Shown::of(&federation.member(Role::Party, "a"), Usage::Client);
        let (accepted, mut peers) = mpsc::channel(64);
        let sessions = Sessions::new(&federation.listen_config(), accepted);
        for round in 0..100 {
            let barrier = Arc::new(Barrier::new(AT_ONCE));
            let visits: Vec<_> = (0..AT_ONCE)
                .map(|_| {
                    let (sessions, shown, barrier) =
                        (sessions.clone(), shown.clone(), barrier.clone());
                    tokio::spawn(async move {
                        let (connection, heard) = connection();
                        barrier.wait().await;
                        let from = (shown, "127.0.0.1:1".parse().unwrap());
                        sessions.attach(from, hello(), connection).await.unwrap();
                        heard
                    })
                })
                .collect();
            let mut heard = Vec::new();
            for visit in visits {
                heard.push(visit.await.unwrap());
            }
            assert_eq!(sessions.table().0.len(), 1, "round {round}");
            let mut links = Vec::new();
            for _ in 0..AT_ONCE {
                links.push(peers.recv().await.unwrap().link);
            }
            if round % 20 == 0 {
                let mut reasons = Vec::new();
                for heard in &mut heard {
                    reasons.push(closed(heard).await);
                }
                let told = reasons.iter().flatten();
                assert!(
                    told.clone()
                        .all(|reason| reason.contains("a newer session"))
                );
                assert_eq!(told.count(), AT_ONCE - 1, "round {round}");
            }
            sessions.end_all("enough");
        }
    }

    /// Of sessions that wait for their connection those of a revoked member end too; and no session begins with a certificate that was revoked meanwhile (EN-07).
    #[tokio::test]
    async fn a_revoked_member_has_no_session_and_begins_none() {
        let federation = Federation::new();
        let config = federation.listen_config();
        let trust = config.credentials.trust().clone();
        let (accepted, mut peers) = mpsc::channel(64);
        let sessions = Sessions::new(&config, accepted);
        let mut links = Vec::new();
        let mut visitors = Vec::new();
        for member in ["a", "b"] {
            let shown = Shown::of(&federation.member(Role::Party, member), Usage::Client);
            let from = (shown, "127.0.0.1:1".parse().unwrap());
            let (connection, heard) = connection();
            sessions.attach(from, hello(), connection).await.unwrap();
            links.push(peers.recv().await.unwrap().link);
            visitors.push(heard);
        }
        for link in &mut links {
            assert!(matches!(next(link).await, Event::Connected(_)));
        }
        let late = Shown::of(&federation.member(Role::Party, "c"), Usage::Client);
        for member in ["a", "c"] {
            let revoked = federation.authority.revoke(Role::Party, &name(member));
            revoked.unwrap();
        }
        let list = std::fs::read(federation.authority.list_path()).unwrap();
        assert!(trust.update(&list).unwrap());
        // Before anybody acted on the list.
        let (connection, mut heard) = connection();
        let from = (late, "127.0.0.1:1".parse().unwrap());
        let refused = sessions.attach(from, hello(), connection).await;
        assert!(refused.unwrap_err().to_string().contains("revoked"));
        assert!(closed(&mut heard).await.unwrap().contains("revoked"));
        assert_eq!(sessions.table().0.len(), 2);
        sessions.revoke(&trust);
        let event = until(&mut links[0], |e| matches!(e, Event::Closed(_))).await;
        assert!(matches!(event, Event::Closed(reason) if reason.contains("revoked")));
        assert!(closed(&mut visitors[0]).await.unwrap().contains("revoked"));
        assert_eq!(sessions.table().0.len(), 1, "b's");
        assert!(closed(&mut visitors[1]).await.is_none());
    }
}
