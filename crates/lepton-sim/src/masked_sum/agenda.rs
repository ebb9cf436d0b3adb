//! What is to happen, by virtual time, and within one instant in the order of scheduling.

use std::collections::BTreeMap;

use lepton_protocol::frame::Address;
use lepton_secagg::Attempt;

use super::Kind;

/// A message on its way.
pub(crate) struct Envelope {
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) kind: Kind,
    pub(crate) attempt: Attempt,
    pub(crate) body: Body,
}

/// What it carries.
#[derive(Clone)]
pub(crate) enum Body {
    Bytes(Vec<u8>),
    /// What the coordinator makes when it arrives: all views together would not fit into memory.
    OnArrival,
    /// An interceptor has seen it.
    Seen(Vec<u8>),
}

/// What happens.
pub(crate) enum Event {
    Arrives(Envelope),
    /// A party has computed its vector; by its life.
    Computed(u16, Attempt, [u8; 32]),
    /// The coordinator's patience ends, unless it moved on.
    Deadline(u64),
    /// The coordinator turns to a party outside the committee, unless it moved on.
    Turn(u16, Attempt),
}

#[derive(Default)]
pub(crate) struct Agenda {
    events: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
}

impl Agenda {
    pub(crate) fn at(&mut self, time: u64, event: Event) {
        self.scheduled += 1;
        self.events.insert((time, self.scheduled), event);
    }

    pub(crate) fn next(&mut self) -> Option<(u64, Event)> {
        let ((time, _), event) = self.events.pop_first()?;
        Some((time, event))
    }
}
