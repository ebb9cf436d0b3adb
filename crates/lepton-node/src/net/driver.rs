//! The task behind a link: one session over one connection after another.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::{Stream, StreamExt};

use super::NetError;
use super::link::{Command, Ends, Event, IncomingStream, PeerIdentity};
use super::segment::{CHUNK, Kind, Segment};
use super::session::{Delivery, Inbox, Outbox};

/// How long the end of a session may take to be heard.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(2);

/// How long an acknowledgement waits for a message to go with: an answer often follows soon, and each segment of its own wakes the other side.
const COMPANY: std::time::Duration = std::time::Duration::from_millis(20);

/// Segments from a connection; an error is the reason why no more come.
pub(super) type Inbound = Pin<Box<dyn Stream<Item = Result<Segment, String>> + Send>>;

/// A connection after its first segments.
pub(super) struct Connection {
    pub(super) inbound: Inbound,
    pub(super) outbound: mpsc::Sender<Segment>,
    /// Keeps the connection open.
    pub(super) _guard: Box<dyn Send>,
}

/// Where connections come from.
pub(super) trait Connector: Send {
    /// The next connection, with its first segments exchanged. Waits for it as long as it takes.
    fn join(&mut self, stand: &mut Stand) -> impl Future<Output = Result<Joined, Ended>> + Send;
    /// What comes from elsewhere: a segment to send, if there is `room` for one, or that the connection should be left. Cancelling loses nothing.
    fn elsewhere(&mut self, room: bool) -> impl Future<Output = Elsewhere> + Send;
    /// The session was ended by one side. Whether there may be another one.
    fn starts_over(&mut self) -> bool;
    /// A segment that concerns neither messages nor acknowledgements.
    fn hear(&mut self, kind: Kind) -> Result<(), NetError>;
}

/// A connection and what it means for the session.
pub(super) struct Joined {
    pub(super) connection: Connection,
    /// `None`: the session goes on.
    pub(super) new: Option<PeerIdentity>,
    /// Longest message the other side accepts.
    pub(super) limit: u64,
}

/// What a source of connections wants of the present one.
pub(super) enum Elsewhere {
    /// To send a segment.
    Send(Segment),
    /// To leave it for another one, with the reason.
    Leave(String),
    /// To end the session, with the reason, which the other side is told.
    End(String),
}

/// The session is over, or a connection could not be had.
pub(super) enum Ended {
    /// For good.
    Closed(String),
    /// Not yet: the program should know why.
    Waiting(String),
}

/// Where the session stands.
pub(super) struct Stand {
    pub(super) outbox: Outbox,
    pub(super) inbox: Inbox,
    limits: (u64, u64),
}

impl Stand {
    /// See [`Inbox::new`].
    pub(super) fn new(limit: u64, stream_above: u64) -> Self {
        Self {
            outbox: Outbox::default(),
            inbox: Inbox::new(limit, stream_above),
            limits: (limit, stream_above),
        }
    }

    /// Goes on over a new connection, at which the other side has all chunks below `received`.
    pub(super) fn resume(&mut self, received: u64) -> Result<(), NetError> {
        self.outbox.resume(received)?;
        self.inbox.resume();
        Ok(())
    }

    fn reset(&mut self) {
        *self = Self::new(self.limits.0, self.limits.1);
    }
}

/// The task's state.
pub(super) struct Driver {
    ends: Ends,
    stand: Stand,
    /// The message being cut.
    sending: Option<Sending>,
    flushes: Vec<oneshot::Sender<()>>,
    /// What waits to be delivered.
    ready: VecDeque<Ready>,
    /// Where parts of a long message go; `None` inside if nobody wants them.
    parts: Option<mpsc::Sender<Bytes>>,
    /// Longest message the other side accepts.
    limit: u64,
    commands_open: bool,
}

enum Ready {
    Event(Event),
    Part(Bytes),
    /// No more parts come.
    EndOfParts,
}

struct Sending {
    begun: bool,
    left: u64,
    length: u64,
    buffer: Bytes,
    source: Option<mpsc::Receiver<Bytes>>,
    done: oneshot::Sender<Result<(), NetError>>,
}

/// What woke the task.
enum Wake<'a> {
    Segment(Option<Result<Segment, String>>),
    Permit(mpsc::Permit<'a, Segment>),
    Elsewhere(Elsewhere),
    Command(Option<Command>),
    Part(Option<Bytes>),
    Delivered,
    /// An acknowledgement has waited long enough.
    Late,
}

/// Why a connection was left.
enum Left {
    Lost(String),
    /// The other side ended the session.
    Closed(String),
    /// This side ends the session: the other one broke the protocol (TR-09), or may have none.
    Refused(String),
    /// The program dropped the link.
    Dropped,
}

impl Driver {
    pub(super) fn new(ends: Ends, stand: Stand) -> Self {
        Self {
            ends,
            stand,
            sending: None,
            flushes: Vec::new(),
            ready: VecDeque::new(),
            parts: None,
            limit: 0,
            commands_open: true,
        }
    }

    /// Runs the link to its end.
    pub(super) async fn run(mut self, mut connector: impl Connector) {
        let mut waiting = String::new();
        let closed = loop {
            // What is ready is delivered meanwhile.
            let joined = tokio::select! {
                joined = connector.join(&mut self.stand) => joined,
                () = deliver_all(&mut self.ready, &self.ends.events, &mut self.parts) => return,
            };
            match joined {
                Ok(joined) => {
                    waiting.clear();
                    match self.connected(joined, &mut connector).await {
                        Left::Lost(reason) => {
                            self.ready.push_back(Ready::Event(Event::Lost(reason)))
                        }
                        Left::Closed(reason) | Left::Refused(reason) if connector.starts_over() => {
                            self.ready.push_back(Ready::Event(Event::Lost(reason)));
                        }
                        Left::Closed(reason) | Left::Refused(reason) => break reason,
                        Left::Dropped => return,
                    }
                }
                Err(Ended::Closed(reason)) => break reason,
                Err(Ended::Waiting(reason)) if reason != waiting => {
                    waiting.clone_from(&reason);
                    self.ready.push_back(Ready::Event(Event::Waiting(reason)));
                }
                Err(Ended::Waiting(_)) => {}
            }
        };
        self.ready.push_back(Ready::EndOfParts);
        self.ready.push_back(Ready::Event(Event::Closed(closed)));
        while !self.ready.is_empty() && !self.ends.events.is_closed() {
            deliver(&mut self.ready, &self.ends.events, &mut self.parts).await;
        }
    }

    async fn connected(&mut self, joined: Joined, connector: &mut impl Connector) -> Left {
        let mut connection = joined.connection;
        self.limit = joined.limit;
        match joined.new {
            Some(identity) => self.begin_session(identity),
            None => self.ready.push_back(Ready::Event(Event::Back)),
        }
        let left = self.talk(&mut connection, connector).await;
        match &left {
            // This side's program need not wait until the other side has heard it.
            Left::Refused(reason) => drop(tokio::spawn(say_goodbye(connection, reason.clone()))),
            Left::Dropped => {
                let reason = "the other program ended the session".to_owned();
                say_goodbye(connection, reason).await;
            }
            Left::Lost(_) | Left::Closed(_) => {}
        }
        left
    }

    /// Sends and receives until the connection is to be left.
    async fn talk(&mut self, connection: &mut Connection, connector: &mut impl Connector) -> Left {
        let mut controls = VecDeque::new();
        let mut alone = Alone::default();
        loop {
            self.prepare();
            let company = alone.look(&self.stand);
            let due = !controls.is_empty()
                || self.stand.inbox.acknowledgement(company).is_some()
                || self.stand.outbox.has_next();
            let room = self.stand.outbox.has_room();
            let idle = self.sending.is_none() && self.commands_open;
            let wake = tokio::select! {
                // First of all what says that no more may be heard or sent. What comes in is last: nothing of the rest goes on for long without it.
                biased;
                wanted = connector.elsewhere(controls.len() < 8) => Wake::Elsewhere(wanted),
                () = self.ends.events.closed() => return Left::Dropped,
                () = deliver(&mut self.ready, &self.ends.events, &mut self.parts) => Wake::Delivered,
                permit = connection.outbound.reserve(), if due => match permit {
                    Ok(permit) => Wake::Permit(permit),
                    Err(_) => Wake::Segment(None),
                },
                command = self.ends.commands.recv(), if idle => Wake::Command(command),
                part = next_part(&mut self.sending), if room => Wake::Part(part),
                () = alone.waited() => Wake::Late,
                segment = connection.inbound.next() => Wake::Segment(segment),
            };
            match wake {
                Wake::Segment(segment) => {
                    if let Err(left) = self.on_segment(segment, connector) {
                        return left;
                    }
                }
                Wake::Permit(permit) => {
                    if let Some(segment) = self.next_segment(&mut controls, company) {
                        permit.send(segment);
                    }
                }
                Wake::Elsewhere(Elsewhere::Send(segment)) => controls.push_back(segment),
                Wake::Elsewhere(Elsewhere::Leave(reason)) => return Left::Lost(reason),
                Wake::Elsewhere(Elsewhere::End(reason)) => return Left::Refused(reason),
                Wake::Command(command) => self.on_command(command),
                Wake::Part(part) => self.on_part(part),
                Wake::Late => alone.late = true,
                Wake::Delivered => {}
            }
        }
    }

    fn on_segment(
        &mut self,
        segment: Option<Result<Segment, String>>,
        connector: &mut impl Connector,
    ) -> Result<(), Left> {
        let ended = || Left::Lost("the other side ended the connection".to_owned());
        let segment = segment.ok_or_else(ended)?.map_err(Left::Lost)?;
        let unknown = || NetError::Breach("a segment of an unknown kind");
        let heard = segment.kind.ok_or_else(unknown);
        match heard.and_then(|kind| self.hear(kind, connector)) {
            Ok(None) => Ok(()),
            Ok(Some(reason)) => Err(Left::Closed(reason)),
            Err(error) => Err(Left::Refused(error.to_string())),
        }
    }

    fn begin_session(&mut self, identity: PeerIdentity) {
        self.stand.reset();
        if let Some(sending) = self.sending.take_if(|sending| sending.begun) {
            let _ = sending.done.send(Err(NetError::SessionLost));
        }
        self.flushes.clear();
        self.ready.push_back(Ready::EndOfParts);
        self.ready
            .push_back(Ready::Event(Event::Connected(identity)));
    }

    /// Does all that needs no waiting.
    fn prepare(&mut self) {
        self.cut();
        while self.ready.is_empty()
            && let Some(delivery) = self.stand.inbox.take()
        {
            match delivery {
                Delivery::Whole(message) => {
                    self.ready.push_back(Ready::Event(Event::Message(message)))
                }
                Delivery::Begin(length) => {
                    let (parts, stream) = IncomingStream::new(length);
                    self.parts = Some(parts);
                    self.ready.push_back(Ready::Event(Event::Stream(stream)));
                }
                Delivery::Part(part) => self.ready.push_back(Ready::Part(part)),
                Delivery::Abandoned => self.ready.push_back(Ready::EndOfParts),
            }
        }
        if self.sending.is_none() && self.stand.outbox.is_empty() {
            for flush in self.flushes.drain(..) {
                let _ = flush.send(());
            }
        }
    }

    /// Cuts the message at hand into chunks as far as the window goes.
    fn cut(&mut self) {
        let outbox = &mut self.stand.outbox;
        let Some(sending) = &mut self.sending else {
            return;
        };
        if !sending.begun && sending.length > self.limit {
            let (length, limit) = (sending.length, self.limit);
            self.finish(Err(NetError::TooLong { length, limit }));
            return;
        }
        while outbox.has_room() && (!sending.buffer.is_empty() || sending.length == 0) {
            let part = sending.buffer.split_to(sending.buffer.len().min(CHUNK));
            sending.left -= part.len() as u64;
            let length = (!sending.begun).then_some(sending.length);
            sending.begun = true;
            outbox.push(length, part, false);
            if sending.left == 0 {
                self.finish(Ok(()));
                return;
            }
        }
    }

    /// Answers whoever waits for the message at hand.
    fn finish(&mut self, result: Result<(), NetError>) {
        if let Some(sending) = self.sending.take() {
            // Nobody waiting is no reason to stop.
            let _ = sending.done.send(result);
        }
    }

    fn next_segment(&mut self, controls: &mut VecDeque<Segment>, company: bool) -> Option<Segment> {
        if let Some(control) = controls.pop_front() {
            return Some(control);
        }
        if let Some(taken) = self.stand.inbox.acknowledgement(company) {
            self.stand.inbox.told(taken);
            return Some(Kind::Ack(taken).into());
        }
        let chunk = self.stand.outbox.next()?;
        Some(Kind::Chunk(chunk).into())
    }

    /// A segment; a reason when it ends the session.
    fn hear(
        &mut self,
        kind: Kind,
        connector: &mut impl Connector,
    ) -> Result<Option<String>, NetError> {
        match kind {
            Kind::Chunk(chunk) => self.stand.inbox.accept(chunk)?,
            Kind::Ack(number) => self.stand.outbox.acknowledge(number)?,
            Kind::Close(reason) => return Ok(Some(reason)),
            Kind::Hello(_) | Kind::Welcome(_) => {
                return Err(NetError::Breach("a second greeting"));
            }
            kind => connector.hear(kind)?,
        }
        Ok(None)
    }

    fn on_command(&mut self, command: Option<Command>) {
        let (length, buffer, source, done) = match command {
            Some(Command::Whole(bytes, done)) => (bytes.len() as u64, bytes, None, done),
            Some(Command::Stream(length, source, done)) => {
                (length, Bytes::new(), Some(source), done)
            }
            Some(Command::Flush(done)) => return self.flushes.push(done),
            None => return self.commands_open = false,
        };
        self.sending = Some(Sending {
            begun: false,
            left: length,
            length,
            buffer,
            source,
            done,
        });
    }

    fn on_part(&mut self, part: Option<Bytes>) {
        let Some(sending) = &mut self.sending else {
            return;
        };
        match part {
            Some(part) if part.len() as u64 <= sending.left => sending.buffer = part,
            // Too much, or given up: the receiver forgets what it has.
            part => {
                if sending.begun {
                    self.stand.outbox.push(None, Bytes::new(), true);
                }
                let problem = match part {
                    Some(_) => "more of a message than was announced",
                    None => "less of a message than was announced",
                };
                self.finish(Err(NetError::Use(problem.to_owned())));
            }
        }
    }
}

/// An acknowledgement that nothing goes with yet (TR-08).
#[derive(Default)]
struct Alone {
    until: Option<tokio::time::Instant>,
    late: bool,
}

impl Alone {
    /// Whether it may go now.
    fn look(&mut self, stand: &Stand) -> bool {
        if !stand.inbox.owes() {
            *self = Self::default();
        } else if self.until.is_none() {
            self.until = Some(tokio::time::Instant::now() + COMPANY);
        }
        self.late || stand.outbox.has_next()
    }

    /// Returns when it has waited long enough; never without one.
    async fn waited(&self) {
        match self.until {
            Some(until) if !self.late => tokio::time::sleep_until(until).await,
            _ => pending().await,
        }
    }
}

/// The next part of a message that is not in memory, once the last one is cut.
async fn next_part(sending: &mut Option<Sending>) -> Option<Bytes> {
    match sending {
        Some(Sending {
            source: Some(source),
            buffer,
            ..
        }) if buffer.is_empty() => source.recv().await,
        _ => pending().await,
    }
}

/// Delivers the first thing that is ready, as soon as there is room for it. Cancelling loses nothing.
async fn deliver(
    ready: &mut VecDeque<Ready>,
    events: &mpsc::Sender<Event>,
    parts: &mut Option<mpsc::Sender<Bytes>>,
) {
    match ready.front() {
        None => pending().await,
        Some(Ready::Event(_)) => {
            let permit = events.reserve().await;
            if let (Ok(permit), Some(Ready::Event(event))) = (permit, ready.pop_front()) {
                permit.send(event);
            }
        }
        Some(Ready::EndOfParts) => {
            *parts = None;
            ready.pop_front();
        }
        Some(Ready::Part(_)) => {
            let permit = match parts {
                Some(parts) => parts.reserve().await.ok(),
                None => None,
            };
            // A message that the program dropped is read to its end for nobody.
            if let (Some(Ready::Part(part)), Some(permit)) = (ready.pop_front(), permit) {
                permit.send(part);
            }
        }
    }
}

/// Delivers while there is no connection; ends when nobody listens any more.
async fn deliver_all(
    ready: &mut VecDeque<Ready>,
    events: &mpsc::Sender<Event>,
    parts: &mut Option<mpsc::Sender<Bytes>>,
) {
    while !ready.is_empty() && !events.is_closed() {
        deliver(ready, events, parts).await;
    }
    events.closed().await;
}

/// Tells the other side why the session ends, and gives it the time to hear it.
async fn say_goodbye(connection: Connection, reason: String) {
    let Connection {
        mut inbound,
        outbound,
        _guard,
    } = connection;
    let close = Kind::Close(reason).into();
    let farewell = async {
        if outbound.send(close).await.is_ok() {
            drop(outbound);
            while let Some(Ok(_)) = inbound.next().await {}
        }
    };
    // Only a courtesy: a connection that takes nothing any more is closed anyway.
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}
