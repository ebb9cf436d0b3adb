//! Where a session stands: what was sent and not taken over, what came and was not delivered. No sockets, no clock (TR-06 to TR-08).

use std::collections::VecDeque;

use bytes::Bytes;

use super::NetError;
use super::segment::{CHUNK, Chunk, WINDOW};

/// Chunks the other side has not taken over.
#[derive(Default)]
pub(super) struct Outbox {
    chunks: VecDeque<Chunk>,
    /// Number of the first of them.
    first: u64,
    /// How many of them were sent over the present connection.
    sent: usize,
}

impl Outbox {
    /// Whether another chunk fits the window.
    pub(super) fn has_room(&self) -> bool {
        self.chunks.len() < WINDOW
    }

    /// Adds a chunk of at most [`CHUNK`] bytes.
    pub(super) fn push(&mut self, length: Option<u64>, bytes: Bytes, abandoned: bool) {
        let number = self.first + self.chunks.len() as u64;
        self.chunks.push_back(Chunk {
            number,
            length,
            bytes,
            abandoned,
        });
    }

    pub(super) fn has_next(&self) -> bool {
        self.sent < self.chunks.len()
    }

    /// The next chunk to send.
    pub(super) fn next(&mut self) -> Option<Chunk> {
        let chunk = self.chunks.get(self.sent)?.clone();
        self.sent += 1;
        Some(chunk)
    }

    /// Whether everything was taken over.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The other side took over all chunks below `number`.
    pub(super) fn acknowledge(&mut self, number: u64) -> Result<(), NetError> {
        let taken = number
            .checked_sub(self.first)
            .and_then(|taken| usize::try_from(taken).ok())
            .filter(|taken| *taken <= self.sent)
            .ok_or(NetError::Breach(
                "an acknowledgement of what was never sent",
            ))?;
        self.chunks.drain(..taken);
        self.first = number;
        self.sent -= taken;
        Ok(())
    }

    /// Goes on over a new connection: the other side has all chunks below `received`.
    pub(super) fn resume(&mut self, received: u64) -> Result<(), NetError> {
        let sent = received
            .checked_sub(self.first)
            .and_then(|sent| usize::try_from(sent).ok())
            .filter(|sent| *sent <= self.chunks.len());
        self.sent = sent.ok_or(NetError::Breach("a session resumed at an impossible place"))?;
        Ok(())
    }
}

/// What the inbox hands out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// A message.
    Whole(Vec<u8>),
    /// A long message begins; its parts follow.
    Begin(u64),
    /// A part of it.
    Part(Bytes),
    /// The sender gave it up.
    Abandoned,
}

/// Chunks received.
pub(super) struct Inbox {
    limit: u64,
    stream_above: u64,
    queue: VecDeque<Chunk>,
    /// Chunks received so far.
    received: u64,
    /// Chunks taken out of the queue so far.
    taken: u64,
    /// What the other side knows of `taken`.
    told: u64,
    /// Bytes still to arrive of the message that is arriving.
    arriving: Option<u64>,
    /// The message being put together.
    assembly: Assembly,
}

enum Assembly {
    None,
    Whole(Vec<u8>, u64),
    Stream(u64),
}

impl Inbox {
    /// Accepts messages of at most `limit` bytes; those over `stream_above` are handed out in parts.
    pub(super) fn new(limit: u64, stream_above: u64) -> Self {
        Self {
            limit,
            stream_above,
            queue: VecDeque::new(),
            received: 0,
            taken: 0,
            told: 0,
            arriving: None,
            assembly: Assembly::None,
        }
    }

    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    /// Takes a chunk in, if it is the next one and nothing about it is too much (TR-09). A refused chunk changes nothing.
    pub(super) fn accept(&mut self, chunk: Chunk) -> Result<(), NetError> {
        if chunk.number != self.received {
            return Err(NetError::Breach("a chunk out of turn"));
        }
        if self.queue.len() >= WINDOW || chunk.bytes.len() > CHUNK {
            return Err(NetError::Breach("more chunks, or longer ones, than agreed"));
        }
        let open = match (self.arriving, chunk.length) {
            (None, Some(length)) if length > self.limit => {
                return Err(NetError::TooLong {
                    length,
                    limit: self.limit,
                });
            }
            (None, Some(length)) => length,
            (Some(open), None) if chunk.abandoned || !chunk.bytes.is_empty() => open,
            _ => return Err(NetError::Breach("a chunk that belongs to no message")),
        };
        let left = open
            .checked_sub(chunk.bytes.len() as u64)
            .ok_or(NetError::Breach("more of a message than announced"))?;
        if chunk.length.is_some() && chunk.bytes.is_empty() && left > 0 && !chunk.abandoned {
            return Err(NetError::Breach("an empty beginning of a message"));
        }
        self.arriving = (left > 0 && !chunk.abandoned).then_some(left);
        self.received += 1;
        self.queue.push_back(chunk);
        Ok(())
    }

    /// The next thing to deliver.
    pub(super) fn take(&mut self) -> Option<Delivery> {
        loop {
            if matches!(self.assembly, Assembly::None)
                && let Some(length) = self.queue.front()?.length
                && length > self.stream_above
            {
                self.assembly = Assembly::Stream(length);
                return Some(Delivery::Begin(length));
            }
            let chunk = self.queue.pop_front()?;
            self.taken += 1;
            if let Some(delivery) = self.put_together(chunk) {
                return Some(delivery);
            }
        }
    }

    fn put_together(&mut self, chunk: Chunk) -> Option<Delivery> {
        let added = chunk.bytes.len() as u64;
        match std::mem::replace(&mut self.assembly, Assembly::None) {
            Assembly::Stream(_) if chunk.abandoned => Some(Delivery::Abandoned),
            Assembly::Stream(left) => {
                if left > added {
                    self.assembly = Assembly::Stream(left - added);
                }
                Some(Delivery::Part(chunk.bytes))
            }
            _ if chunk.abandoned => None,
            whole => {
                let (mut bytes, left) = match whole {
                    Assembly::Whole(bytes, left) => (bytes, left),
                    _ => (Vec::new(), chunk.length.unwrap_or(0)),
                };
                let left = left.saturating_sub(added);
                // Memory for what has come, for as much again, and for no more than the message: what is only announced costs nothing (TR-09).
                if bytes.capacity() - bytes.len() < chunk.bytes.len() {
                    let rest = usize::try_from(left).unwrap_or(usize::MAX);
                    let as_much = bytes.len().max(chunk.bytes.len());
                    bytes.reserve_exact(chunk.bytes.len() + rest.min(as_much));
                }
                bytes.extend_from_slice(&chunk.bytes);
                if left == 0 {
                    return Some(Delivery::Whole(bytes));
                }
                self.assembly = Assembly::Whole(bytes, left);
                None
            }
        }
    }

    /// What the other side should be told, if it is worth a segment; with `company`, another segment goes to it anyway, or this one has waited long enough.
    pub(super) fn acknowledgement(&self, company: bool) -> Option<u64> {
        let news = self.taken - self.told;
        let due = news >= WINDOW as u64 / 4 || company && self.owes();
        due.then_some(self.taken)
    }

    /// Whether nothing more is coming that an acknowledgement could wait for.
    pub(super) fn owes(&self) -> bool {
        self.taken > self.told && self.queue.is_empty() && self.arriving.is_none()
    }

    /// Over a new connection everything is said again: what was said last may not have arrived.
    pub(super) const fn resume(&mut self) {
        self.told = 0;
    }

    pub(super) const fn told(&mut self, taken: u64) {
        self.told = taken;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(outbox: &mut Outbox, message: &[u8], size: usize) {
        if message.is_empty() {
            outbox.push(Some(0), Bytes::new(), false);
        }
        for (index, part) in message.chunks(size).enumerate() {
            let length = (index == 0).then_some(message.len() as u64);
            outbox.push(length, Bytes::copy_from_slice(part), false);
        }
    }

    fn chunk(number: u64, length: Option<u64>, size: usize) -> Chunk {
        Chunk {
            number,
            length,
            bytes: vec![0; size].into(),
            abandoned: false,
        }
    }

    #[test]
    fn refuses_what_was_not_agreed() {
        let refused = |chunks: Vec<Chunk>| {
            let mut inbox = Inbox::new(1000, u64::MAX);
            let last = chunks.len() - 1;
            for (index, chunk) in chunks.into_iter().enumerate() {
                let before = inbox.received();
                let result = inbox.accept(chunk);
                assert_eq!(result.is_err(), index == last, "chunk {index}");
                assert_eq!(inbox.received() > before, index != last);
            }
        };
        refused(vec![chunk(1, Some(1), 1)]);
        refused(vec![chunk(0, None, 1)]);
        refused(vec![chunk(0, Some(1001), 1)]);
        refused(vec![chunk(0, Some(u64::MAX), 1)]);
        refused(vec![chunk(0, Some(1), 2)]);
        refused(vec![chunk(0, Some(2), 0)]);
        refused(vec![chunk(0, Some(2), 1), chunk(0, None, 1)]);
        refused(vec![chunk(0, Some(2), 1), chunk(1, None, 0)]);
        refused(vec![chunk(0, Some(2), 1), chunk(1, None, 2)]);
        refused(vec![chunk(0, Some(2), 1), chunk(1, Some(2), 1)]);
        refused(vec![chunk(0, Some(0), 0), chunk(1, None, 0)]);
        let mut inbox = Inbox::new(u64::MAX, u64::MAX);
        assert!(inbox.accept(chunk(0, Some(1 << 40), CHUNK + 1)).is_err());
        let full = (0..=WINDOW as u64).map(|number| chunk(number, Some(0), 0));
        refused(full.collect());
    }

    #[test]
    fn an_announced_message_takes_memory_as_it_comes() {
        const GIB: u64 = 1 << 30;
        let mut inbox = Inbox::new(GIB, u64::MAX);
        let used = allocation_counter::measure(|| {
            for number in 0..24 {
                let length = (number == 0).then_some(GIB);
                inbox.accept(chunk(number, length, CHUNK)).unwrap();
                assert_eq!(inbox.take(), None);
            }
        });
        // Twice what came, and once more while it is moved.
        assert!(used.bytes_max <= 4 * 24 * CHUNK as u64, "{used:?}");
        // And no more than the message in the end.
        let mut inbox = Inbox::new(GIB, u64::MAX);
        for number in 0..25 {
            let length = (number == 0).then_some(24 * CHUNK as u64 + 1);
            let size = if number < 24 { CHUNK } else { 1 };
            inbox.accept(chunk(number, length, size)).unwrap();
            if let Some(Delivery::Whole(message)) = inbox.take() {
                assert_eq!(message.capacity(), 24 * CHUNK + 1);
            }
        }
        assert!(matches!(inbox.assembly, Assembly::None));
    }

    #[test]
    fn an_abandoned_message_leaves_no_trace() {
        let mut inbox = Inbox::new(1000, 100);
        let gone = |number| Chunk {
            abandoned: true,
            ..chunk(number, None, 0)
        };
        for chunk in [
            chunk(0, Some(50), 20),
            gone(1),
            chunk(2, Some(1), 1),
            chunk(3, Some(500), 20),
            gone(4),
            chunk(5, Some(2), 2),
        ] {
            inbox.accept(chunk).unwrap();
        }
        let all: Vec<_> = std::iter::from_fn(|| inbox.take()).collect();
        let expected = [
            Delivery::Whole(vec![0]),
            Delivery::Begin(500),
            Delivery::Part(vec![0; 20].into()),
            Delivery::Abandoned,
            Delivery::Whole(vec![0; 2]),
        ];
        assert_eq!(all, expected);
    }

    proptest! {
        /// Any number of cuts, anywhere, with anything in flight lost: every message arrives once, in order (TR-06).
        #[test]
        fn cuts_lose_and_double_nothing(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..30),
            schedule in prop::collection::vec((0_u8..5, 1_usize..7), 0..400),
        ) {
            let (mut outbox, mut inbox) = (Outbox::default(), Inbox::new(1000, u64::MAX));
            let mut waiting: VecDeque<_> = messages.clone().into();
            let (mut wire, mut acks, mut arrived) = (VecDeque::new(), VecDeque::new(), Vec::new());
            let finish = std::iter::repeat_n([(0, 1), (1, 9), (2, 9), (3, 9)], 400).flatten();
            for (step, size) in schedule.into_iter().chain(finish) {
                match step {
                    0 => if outbox.chunks.len() + 20 < WINDOW && let Some(message) = waiting.pop_front() {
                        cut(&mut outbox, &message, size.max(3));
                    },
                    1 => for _ in 0..size { wire.extend(outbox.next()); },
                    2 => for _ in 0..size {
                        if let Some(chunk) = wire.pop_front() { inbox.accept(chunk).unwrap(); }
                        if let Some(number) = inbox.acknowledgement(true) { inbox.told(number); acks.push_back(number); }
                    },
                    3 => {
                        while let Some(Delivery::Whole(message)) = inbox.take() { arrived.push(message); }
                        if let Some(number) = inbox.acknowledgement(true) { inbox.told(number); acks.push_back(number); }
                        for number in acks.drain(..) { outbox.acknowledge(number).unwrap(); }
                    }
                    _ => {
                        wire.clear();
                        acks.clear();
                        outbox.resume(inbox.received()).unwrap();
                        inbox.resume();
                    }
                }
            }
            prop_assert_eq!(arrived, messages);
            prop_assert!(outbox.is_empty(), "not acknowledged");
        }

        /// No sequence of chunks and acknowledgements makes it panic or hold more than the window.
        #[test]
        fn garbage_is_refused(chunks in prop::collection::vec((0_u64..40, prop::option::of(0_u64..100), 0_usize..40, any::<bool>()), 0..80)) {
            let mut inbox = Inbox::new(64, 32);
            let mut outbox = Outbox::default();
            for (number, length, size, abandoned) in chunks {
                let number = if number < 36 { inbox.received() } else { number };
                let _ = inbox.accept(Chunk { abandoned, ..chunk(number, length, size) });
                prop_assert!(inbox.queue.len() <= WINDOW);
                if size > 20 { inbox.take(); }
                let _ = outbox.acknowledge(number);
                let _ = outbox.resume(number);
                prop_assert!(outbox.sent <= outbox.chunks.len());
            }
        }
    }
}
