//! A link as a program holds it: messages out, events in.

use bytes::Bytes;
use lepton_crypto::IdentityPublic;
use tokio::sync::{mpsc, oneshot};

use super::NetError;
use super::pki::{Leaf, Member, Serial};

/// Events that wait for the program, at most.
const EVENTS: usize = 4;
/// Parts of a long message that wait, at most.
const PARTS: usize = 4;

/// Who is at the other end, by its certificate (TR-03).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Name and role.
    pub member: Member,
    /// The key that signs its frames.
    pub key: IdentityPublic,
    /// Serial number of its certificate.
    pub serial: Serial,
}

impl From<Leaf> for PeerIdentity {
    fn from(leaf: Leaf) -> Self {
        Self {
            member: leaf.member,
            key: leaf.key,
            serial: leaf.serial,
        }
    }
}

/// What happens on a link.
#[derive(Debug)]
pub enum Event {
    /// A new session. Of an earlier one nothing more comes, and what was sent in it may or may not have arrived: send again what your state says.
    Connected(PeerIdentity),
    /// A message.
    Message(Vec<u8>),
    /// A message over the `stream_above` of the configuration: in parts, none of which wait in memory.
    Stream(IncomingStream),
    /// The connection is gone, with the reason. The session waits: nothing is lost if it comes back.
    Lost(String),
    /// The same session again; everything sent meanwhile arrives once, in order.
    Back,
    /// No connection could be made, with the reason; it is tried again. Said once for each reason in turn.
    Waiting(String),
    /// The session is over for good, with the reason. Nothing follows. A dialler never says so: it begins another one.
    Closed(String),
}

/// A link: [`LinkSender`] and [`LinkReceiver`] together. Dropping it ends the session.
pub struct Link {
    sender: LinkSender,
    receiver: LinkReceiver,
}

/// The sending side. May be cloned; messages of one clone keep their order.
#[derive(Clone)]
pub struct LinkSender {
    commands: mpsc::Sender<Command>,
}

/// The receiving side. Dropping it ends the session.
pub struct LinkReceiver {
    events: mpsc::Receiver<Event>,
}

/// What a program asks of a link's task.
pub(super) enum Command {
    Whole(Bytes, oneshot::Sender<Result<(), NetError>>),
    Stream(
        u64,
        mpsc::Receiver<Bytes>,
        oneshot::Sender<Result<(), NetError>>,
    ),
    Flush(oneshot::Sender<()>),
}

/// The task's ends of a link's channels.
pub(super) struct Ends {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) events: mpsc::Sender<Event>,
}

/// A new link and the ends its task holds.
pub(super) fn link() -> (Link, Ends) {
    let (to_task, commands) = mpsc::channel(1);
    let (events, from_task) = mpsc::channel(EVENTS);
    let link = Link {
        sender: LinkSender { commands: to_task },
        receiver: LinkReceiver { events: from_task },
    };
    (link, Ends { commands, events })
}

impl Link {
    /// See [`LinkSender::send`].
    ///
    /// # Errors
    /// As there.
    pub async fn send(&self, message: impl Into<Bytes>) -> Result<(), NetError> {
        self.sender.send(message).await
    }

    /// See [`LinkReceiver::recv`].
    pub async fn recv(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }

    /// The sending side, for another task.
    #[must_use]
    pub fn sender(&self) -> LinkSender {
        self.sender.clone()
    }

    /// Both sides, for two tasks.
    #[must_use]
    pub fn split(self) -> (LinkSender, LinkReceiver) {
        (self.sender, self.receiver)
    }
}

impl LinkSender {
    /// Sends a message, shared and not copied. Returns when all of it is in the window of at most 4 MiB, so a slow receiver slows the sender (TR-08);
    /// waits while there is no connection. Receive meanwhile: two programs that only send wait for each other.
    ///
    /// # Errors
    /// [`NetError::TooLong`] over the receiver's limit; [`NetError::SessionLost`] when the session ended.
    pub async fn send(&self, message: impl Into<Bytes>) -> Result<(), NetError> {
        let (done, result) = oneshot::channel();
        let command = Command::Whole(message.into(), done);
        self.commands
            .send(command)
            .await
            .map_err(|_| NetError::SessionLost)?;
        result.await.unwrap_or(Err(NetError::SessionLost))
    }

    /// Begins a message of `length` bytes that is not in memory. Other messages wait until it is complete or its [`Upload`] dropped.
    ///
    /// # Errors
    /// [`NetError::SessionLost`] when the link is over.
    pub async fn stream(&self, length: u64) -> Result<Upload, NetError> {
        let (parts, source) = mpsc::channel(PARTS);
        let (done, result) = oneshot::channel();
        let command = Command::Stream(length, source, done);
        self.commands
            .send(command)
            .await
            .map_err(|_| NetError::SessionLost)?;
        Ok(Upload { parts, result })
    }

    /// Waits until the receiver took over everything sent before.
    ///
    /// # Errors
    /// [`NetError::SessionLost`].
    pub async fn flush(&self) -> Result<(), NetError> {
        let (done, result) = oneshot::channel();
        let command = Command::Flush(done);
        self.commands
            .send(command)
            .await
            .map_err(|_| NetError::SessionLost)?;
        result.await.map_err(|_| NetError::SessionLost)
    }
}

impl LinkReceiver {
    /// What happens next; `None` after [`Event::Closed`].
    pub async fn recv(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

/// A message on its way out, part by part.
pub struct Upload {
    parts: mpsc::Sender<Bytes>,
    result: oneshot::Receiver<Result<(), NetError>>,
}

impl Upload {
    /// Adds a part; waits while the window is full.
    ///
    /// # Errors
    /// The reason why the message was refused, or [`NetError::SessionLost`].
    pub async fn write(&mut self, part: impl Into<Bytes>) -> Result<(), NetError> {
        if self.parts.send(part.into()).await.is_ok() {
            return Ok(());
        }
        let refused = (&mut self.result)
            .await
            .unwrap_or(Err(NetError::SessionLost));
        refused.and(Err(NetError::Use(
            "more of a message than was announced".to_owned(),
        )))
    }

    /// Ends the message: all `length` bytes must have been written. Dropping an upload before gives the message up; the receiver is told.
    ///
    /// # Errors
    /// As [`Upload::write`].
    pub async fn finish(self) -> Result<(), NetError> {
        drop(self.parts);
        self.result.await.unwrap_or(Err(NetError::SessionLost))
    }
}

/// A long message on its way in, part by part.
#[derive(Debug)]
pub struct IncomingStream {
    length: u64,
    left: u64,
    parts: mpsc::Receiver<Bytes>,
}

impl IncomingStream {
    pub(super) fn new(length: u64) -> (mpsc::Sender<Bytes>, Self) {
        let (sender, parts) = mpsc::channel(PARTS);
        let stream = Self {
            length,
            left: length,
            parts,
        };
        (sender, stream)
    }

    /// Length of the whole message.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The next part; `None` at the end of the message.
    ///
    /// # Errors
    /// [`NetError::SessionLost`] when the rest never comes.
    pub async fn part(&mut self) -> Result<Option<Bytes>, NetError> {
        if self.left == 0 {
            return Ok(None);
        }
        let part = self.parts.recv().await.ok_or(NetError::SessionLost)?;
        self.left = self.left.saturating_sub(part.len() as u64);
        Ok(Some(part))
    }
}
