//! A session's connections at the listener, one after the other.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::NetError;
use super::driver::{Connector, Elsewhere, Ended, Joined, Stand};
use super::pki::Leaf;
use super::segment::{Kind, OLDEST, Segment, Welcome};
use super::sessions::{Attached, Sessions};

/// A renewal is answered this often for each session.
const RENEWAL_PAUSE: Duration = Duration::from_secs(1);

/// A session's source of connections.
pub(super) struct AcceptConnector {
    sessions: Sessions,
    id: Bytes,
    fresh: bool,
    arrivals: Arrivals,
    answers: mpsc::Sender<Segment>,
    /// What the newest connection showed.
    leaf: Option<Leaf>,
    renewed: Option<Instant>,
}

/// What comes to a session from outside.
pub(super) struct Arrivals {
    /// A connection that waits for its welcome.
    pub(super) pending: Option<Box<Attached>>,
    pub(super) attach: mpsc::Receiver<Box<Attached>>,
    pub(super) controls: mpsc::Receiver<Segment>,
    pub(super) ended: oneshot::Receiver<String>,
}

impl Drop for AcceptConnector {
    fn drop(&mut self) {
        self.sessions.forget(&self.id);
    }
}

impl Connector for AcceptConnector {
    async fn join(&mut self, stand: &mut Stand) -> Result<Joined, Ended> {
        let patience = self.sessions.limits().session;
        loop {
            let attached = match timeout(patience, self.arrivals.next()).await {
                Ok(attached) => attached.map_err(Ended::Closed)?,
                Err(_) => return Err(Ended::Closed("it did not come back".to_owned())),
            };
            if let Some(joined) = self.welcome(attached, stand).await? {
                return Ok(joined);
            }
        }
    }

    async fn elsewhere(&mut self, room: bool) -> Elsewhere {
        if self.arrivals.pending.is_none() {
            let arrivals = &mut self.arrivals;
            tokio::select! {
                biased;
                reason = &mut arrivals.ended => return Elsewhere::End(over(reason.ok())),
                next = arrivals.attach.recv() => match next {
                    Some(next) => arrivals.pending = Some(next),
                    None => return Elsewhere::End(over(None)),
                },
                Some(segment) = arrivals.controls.recv(), if room => return Elsewhere::Send(segment),
            }
        }
        Elsewhere::Leave("a new connection takes over".to_owned())
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

impl Arrivals {
    /// The next connection; the reason when the session is over, of which a connection that came meanwhile is told.
    async fn next(&mut self) -> Result<Box<Attached>, String> {
        if self.pending.is_none() {
            tokio::select! {
                biased;
                reason = &mut self.ended => return Err(over(reason.ok())),
                next = self.attach.recv() => self.pending = next,
            }
        }
        let ended = match self.ended.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => None,
            reason => Some(over(reason.ok())),
        };
        match (self.pending.take(), ended) {
            (Some(attached), None) => Ok(attached),
            (attached, ended) => {
                let reason = ended.unwrap_or_else(|| over(None));
                if let Some(attached) = attached {
                    attached.close(&reason);
                }
                Err(reason)
            }
        }
    }
}

impl Attached {
    /// Ends a connection that was not welcomed yet, with the reason.
    fn close(&self, reason: &str) {
        let close = Kind::Close(reason.to_owned()).into();
        // A courtesy: it ends anyway.
        let _ = self.connection.outbound.try_send(close);
    }
}

/// Why a session is over: without a reason, because nobody is left to give one.
fn over(reason: Option<String>) -> String {
    reason.unwrap_or_else(|| "the listener was closed".to_owned())
}

impl AcceptConnector {
    /// For a new session with its first connection; `answers` go into the session's own controls.
    pub(super) fn new(
        sessions: Sessions,
        id: Bytes,
        arrivals: Arrivals,
        answers: mpsc::Sender<Segment>,
    ) -> Self {
        Self {
            sessions,
            id,
            fresh: true,
            arrivals,
            answers,
            leaf: None,
            renewed: None,
        }
    }

    /// Ends the session before it began, with the reason.
    pub(super) fn refuse(mut self, reason: &str) {
        if let Some(attached) = self.arrivals.pending.take() {
            attached.close(reason);
        }
    }

    /// Answers a greeting; `None` when the connection broke meanwhile.
    async fn welcome(
        &mut self,
        attached: Box<Attached>,
        stand: &mut Stand,
    ) -> Result<Option<Joined>, Ended> {
        if !self.fresh
            && let Err(error) = stand.resume(attached.hello.received)
        {
            attached.close(&error.to_string());
            return Err(Ended::Closed(error.to_string()));
        }
        let Attached {
            hello,
            version,
            shown,
            connection,
        } = *attached;
        let welcome = Welcome {
            version,
            session: self.id.clone(),
            resumed: !self.fresh,
            received: if self.fresh {
                0
            } else {
                stand.inbox.received()
            },
            limit: self.sessions.limits().longest_message,
            refused: false,
            oldest: OLDEST,
        };
        let lists = self.sessions.credentials().trust().lists_der();
        let lists = lists.into_iter().map(|list| Kind::Revoked(list.into()));
        for kind in std::iter::once(Kind::Welcome(welcome)).chain(lists) {
            let wait = self.sessions.limits().handshake;
            let sent = timeout(wait, connection.outbound.send(kind.into())).await;
            if !matches!(sent, Ok(Ok(()))) {
                return Ok(None);
            }
        }
        let new = self.fresh.then(|| shown.leaf.clone().into());
        self.leaf = Some(shown.leaf);
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
        let (Some(enrolment), Some(leaf), false) =
            (self.sessions.enrolment(), self.leaf.clone(), recent)
        else {
            return;
        };
        self.renewed = Some(Instant::now());
        let (answers, observer) = (self.answers.clone(), self.sessions.observer());
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
