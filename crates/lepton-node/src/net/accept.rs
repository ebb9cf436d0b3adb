//! Sessions at the listener: which connection goes on with which one.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::driver::{Connection, Connector, Driver, Elsewhere, Ended, Joined, Stand};
use super::enrol::EnrolConfig;
use super::link::link;
use super::listener::{Limits, ListenConfig, Observer, Peer};
use super::pki::{Leaf, Role};
use super::segment::{Hello, Kind, NEWEST, OLDEST, Segment, Welcome, agree};
use super::service::random_id;
use super::{Credentials, NetError};

/// A renewal is answered this often for each session.
const RENEWAL_PAUSE: Duration = Duration::from_secs(1);

/// All sessions.
#[derive(Clone)]
pub(super) struct Sessions(Arc<Inner>);

struct Inner {
    limits: Limits,
    credentials: Credentials,
    enrolment: Option<EnrolConfig>,
    observer: Option<Observer>,
    accepted: mpsc::Sender<Peer>,
    table: Mutex<HashMap<Bytes, Entry>>,
}

/// A session, as connections find it.
struct Entry {
    leaf: Leaf,
    began: Instant,
    attach: mpsc::Sender<ToSession>,
    controls: mpsc::Sender<Segment>,
}

/// What a session's task is told.
enum ToSession {
    Attached(Box<Attached>),
    End(String),
}

struct Attached {
    hello: Hello,
    version: u32,
    leaf: Leaf,
    connection: Connection,
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

    /// Gives a connection to the session it asks for, or to a new one. Sessions are found by their number *and* the member's key (TR-06).
    pub(super) async fn attach(
        &self,
        (leaf, address): (Leaf, SocketAddr),
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
        let known = self
            .table()
            .get(&hello.session)
            .filter(|entry| entry.leaf.key == leaf.key && entry.leaf.member == leaf.member)
            .map(|entry| entry.attach.clone());
        let attached = Box::new(Attached {
            hello,
            version,
            leaf: leaf.clone(),
            connection,
        });
        let attached = match known {
            Some(session) => match session.send(ToSession::Attached(attached)).await {
                Ok(()) => return Ok(()),
                Err(mpsc::error::SendError(ToSession::Attached(attached))) => attached,
                Err(_) => return Ok(()),
            },
            None => attached,
        };
        self.begin(leaf, address, attached).await
    }

    async fn begin(
        &self,
        leaf: Leaf,
        address: SocketAddr,
        attached: Box<Attached>,
    ) -> Result<(), NetError> {
        self.make_room(&leaf);
        let (id, limits) = (random_id()?, &self.0.limits);
        let (attach, attaching) = mpsc::channel(1);
        let (controls, controlling) = mpsc::channel(4);
        let (link, ends) = link();
        let connector = AcceptConnector {
            sessions: self.clone(),
            id: id.clone(),
            fresh: true,
            attach: attaching,
            pending: Some(ToSession::Attached(attached)),
            controls: controlling,
            answers: controls.clone(),
            leaf: leaf.clone(),
            renewed: None,
        };
        let entry = Entry {
            leaf: leaf.clone(),
            began: Instant::now(),
            attach,
            controls,
        };
        self.table().insert(id, entry);
        let stand = Stand::new(limits.longest_message, limits.stream_above);
        let peer = Peer {
            identity: leaf.into(),
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

    /// Ends the party's older session, or the oldest of too many of another member's.
    fn make_room(&self, leaf: &Leaf) {
        let most = match leaf.member.role {
            Role::Party => 1,
            _ => self.0.limits.sessions_per_member,
        };
        let mut table = self.table();
        let mut same: Vec<_> = table
            .iter()
            .filter(|(_, entry)| entry.leaf.member == leaf.member)
            .map(|(id, entry)| (entry.began, id.clone()))
            .collect();
        same.sort();
        let excess = (same.len() + 1).saturating_sub(most);
        for (_, id) in same.into_iter().take(excess) {
            if let Some(entry) = table.remove(&id) {
                entry.end("a newer session of the same member began".to_owned());
            }
        }
    }

    /// Ends every session of a certificate's owner.
    pub(super) fn end(&self, leaf: &Leaf, reason: &str) {
        self.table().retain(|_, entry| {
            let same = entry.leaf.member == leaf.member && entry.leaf.key == leaf.key;
            if same {
                entry.end(reason.to_owned());
            }
            !same
        });
    }

    pub(super) fn end_all(&self, reason: &str) {
        for (_, entry) in self.table().drain() {
            entry.end(reason.to_owned());
        }
    }

    /// Sends revocation lists to everybody who is connected; who is not gets them when it is (EN-07).
    pub(super) fn tell_lists(&self, lists: &[Vec<u8>]) {
        for entry in self.table().values() {
            for list in lists {
                let segment = Kind::Revoked(Bytes::copy_from_slice(list)).into();
                // One whose queue is full gets the list with its next connection.
                let _ = entry.controls.try_send(segment);
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Bytes, Entry>> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn end(&self, reason: String) {
        let attach = self.attach.clone();
        // The channel may hold a connection just now; the end follows it.
        tokio::spawn(async move {
            let _ = attach.send(ToSession::End(reason)).await;
        });
    }
}

/// A session's source of connections.
struct AcceptConnector {
    sessions: Sessions,
    id: Bytes,
    fresh: bool,
    attach: mpsc::Receiver<ToSession>,
    pending: Option<ToSession>,
    controls: mpsc::Receiver<Segment>,
    answers: mpsc::Sender<Segment>,
    leaf: Leaf,
    renewed: Option<Instant>,
}

impl Drop for AcceptConnector {
    fn drop(&mut self) {
        self.sessions.table().remove(&self.id);
    }
}

impl Connector for AcceptConnector {
    async fn join(&mut self, stand: &mut Stand) -> Result<Joined, Ended> {
        let patience = self.sessions.0.limits.session;
        loop {
            let next = match self.pending.take() {
                Some(next) => Some(next),
                None => timeout(patience, self.attach.recv())
                    .await
                    .map_err(|_| Ended::Closed("it did not come back".to_owned()))?,
            };
            match next {
                Some(ToSession::Attached(attached)) => {
                    if let Some(joined) = self.welcome(attached, stand).await? {
                        return Ok(joined);
                    }
                }
                Some(ToSession::End(reason)) => return Err(Ended::Closed(reason)),
                None => return Err(Ended::Closed("the listener was closed".to_owned())),
            }
        }
    }

    async fn elsewhere(&mut self, room: bool) -> Elsewhere {
        if self.pending.is_some() {
            return Elsewhere::Leave;
        }
        tokio::select! {
            next = self.attach.recv() => {
                let gone = || ToSession::End("the listener was closed".to_owned());
                self.pending = Some(next.unwrap_or_else(gone));
                Elsewhere::Leave
            }
            Some(segment) = self.controls.recv(), if room => Elsewhere::Send(segment),
        }
    }

    fn starts_over(&mut self) -> bool {
        false
    }

    fn hear(&mut self, kind: Kind) -> Result<(), NetError> {
        match kind {
            Kind::Renew(_) => {
                self.renew();
                Ok(())
            }
            _ => Err(NetError::Breach("a segment that only a listener sends")),
        }
    }
}

impl AcceptConnector {
    /// Answers a greeting; `None` when the connection broke meanwhile.
    async fn welcome(
        &mut self,
        attached: Box<Attached>,
        stand: &mut Stand,
    ) -> Result<Option<Joined>, Ended> {
        let Attached {
            hello,
            version,
            leaf,
            connection,
        } = *attached;
        if !self.fresh
            && let Err(error) = stand.resume(hello.received)
        {
            let close = Kind::Close(error.to_string()).into();
            let _ = connection.outbound.try_send(close);
            return Err(Ended::Closed(error.to_string()));
        }
        let welcome = Welcome {
            version,
            session: self.id.clone(),
            resumed: !self.fresh,
            received: if self.fresh {
                0
            } else {
                stand.inbox.received()
            },
            limit: self.sessions.0.limits.longest_message,
            refused: false,
            oldest: OLDEST,
        };
        let lists = self.sessions.0.credentials.trust().lists_der();
        let lists = lists.into_iter().map(|list| Kind::Revoked(list.into()));
        for kind in std::iter::once(Kind::Welcome(welcome)).chain(lists) {
            let wait = self.sessions.0.limits.handshake;
            let sent = timeout(wait, connection.outbound.send(kind.into())).await;
            if !matches!(sent, Ok(Ok(()))) {
                return Ok(None);
            }
        }
        self.leaf = leaf;
        let new = self.fresh.then(|| self.leaf.clone().into());
        self.fresh = false;
        Ok(Some(Joined {
            connection,
            new,
            limit: hello.limit,
        }))
    }

    /// Has the next certificate made, off this task (EN-06).
    fn renew(&mut self) {
        let recent = self.renewed.is_some_and(|at| at.elapsed() < RENEWAL_PAUSE);
        let Some(enrolment) = self.sessions.0.enrolment.clone().filter(|_| !recent) else {
            return;
        };
        self.renewed = Some(Instant::now());
        let (leaf, answers) = (self.leaf.clone(), self.answers.clone());
        let observer = self.sessions.0.observer.clone();
        tokio::task::spawn_blocking(move || match enrolment.registrar.renew(&leaf) {
            // Gone meanwhile, or it does not read: it asks again. Waiting for it would hold a thread that others need.
            Ok(issued) => drop(answers.try_send(Kind::Renewed(issued.into()).into())),
            Err(error) => {
                if let Some(observer) = observer {
                    let text = format!("renewal for {}: {error}", leaf.member);
                    observer(super::listener::Notice {
                        address: None,
                        text,
                    });
                }
            }
        });
    }
}
