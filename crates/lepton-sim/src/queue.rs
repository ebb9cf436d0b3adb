//! The event queue: by time, and within one instant in the order of scheduling.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use lepton_protocol::coordinator;
use lepton_protocol::frame::Place;

/// What happens at a virtual instant.
#[derive(Debug)]
pub(crate) enum Happening {
    /// The coordinator sees something.
    Coordinator(coordinator::Event),
    /// A party's frame reaches the coordinator, if the connection (its generation given) still stands.
    FromParty(u16, u64, Vec<u8>),
    /// A frame reaches a party, likewise.
    ToParty(u16, u64, Vec<u8>),
    /// A party's process (its generation given) has computed a vector.
    Computed(u16, u64, Place, Result<Vec<i64>, String>),
    /// A fault begins.
    FaultBegins(usize),
    /// A fault ends.
    FaultEnds(usize),
    /// A broken connection is back.
    Reconnected(u16),
}

struct Entry(u64, u64, Happening);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// The queue.
#[derive(Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: u64, happening: Happening) {
        self.sequence += 1;
        self.heap.push(Reverse(Entry(at, self.sequence, happening)));
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, Happening)> {
        let Reverse(Entry(at, _, happening)) = self.heap.pop()?;
        Some((at, happening))
    }
}
