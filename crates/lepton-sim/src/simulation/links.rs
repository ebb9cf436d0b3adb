//! Connections: what they do to frames, and what faults do to them.

use lepton_protocol::coordinator;
use lepton_protocol::frame::Address;

use super::Simulation;
use crate::config::{FaultKind, When};
use crate::intercept::{Delivery, Seen};
use crate::outcome::Sent;
use crate::queue::Happening;
use crate::random::{chance, within};

/// One party's connection.
#[derive(Default)]
pub(super) struct Link {
    /// Grows when the connection breaks: what was on the way is gone.
    generation: u64,
    /// Reasons for being down.
    down: u32,
    /// What is added to every frame of the party.
    slow: u64,
    /// Frames sent in the exchange under way.
    sent: u8,
    /// Latest arrival scheduled each way: order is kept.
    last: [u64; 2],
}

impl Simulation {
    /// A frame leaves its sender: first through the interceptor, then into the network.
    pub(super) fn send(&mut self, from: Address, to: Address, bytes: Vec<u8>) {
        let seen = Seen {
            now: self.now,
            from,
            to,
            bytes: &bytes,
        };
        let read = seen.read();
        let deliveries = match &mut self.config.intercept {
            Some(interceptor) => interceptor.on_frame(seen),
            None => vec![seen.pass()],
        };
        self.log.frames.push(Sent {
            at: self.now,
            from,
            to,
            step: read.as_ref().map(|frame| frame.step),
            exchange: read.map_or(0, |frame| frame.place.round),
            bytes,
        });
        for delivery in deliveries {
            self.travel(from, delivery);
        }
        if let Address::Party(party) = from {
            self.sent_one(party);
        }
    }

    fn travel(&mut self, from: Address, delivery: Delivery) {
        let index = match (from, delivery.to) {
            (_, Address::Party(index)) | (Address::Party(index), Address::Coordinator) => index,
            (Address::Coordinator, Address::Coordinator) => return,
        };
        let network = &self.config.network;
        let lost = chance(network.loss, &mut self.network);
        let overtakes = chance(network.reorder, &mut self.network);
        let copies = 1 + u8::from(chance(network.duplication, &mut self.network));
        let (delay, outage) = (network.delay.clone(), network.outage.clone());
        let Some(link) = self.links.get(usize::from(index)) else {
            return;
        };
        if link.down > 0 {
            return;
        }
        if lost {
            let back = self.now + within(&outage, &mut self.network);
            self.disconnect(index);
            self.queue.push(back, Happening::Reconnected(index));
            return;
        }
        for _ in 0..copies {
            let slow = link_slow(&self.links, index, from);
            let at = self.now + delivery.later + slow + within(&delay, &mut self.network);
            self.schedule(index, at, overtakes, &delivery);
        }
    }

    fn schedule(&mut self, index: u16, mut at: u64, overtakes: bool, delivery: &Delivery) {
        let Some(link) = self.links.get_mut(usize::from(index)) else {
            return;
        };
        let [up, down] = &mut link.last;
        let to_party = matches!(delivery.to, Address::Party(_));
        let last = if to_party { down } else { up };
        if !overtakes {
            at = at.max(*last);
            *last = at;
        }
        let bytes = delivery.bytes.clone();
        let happening = if to_party {
            Happening::ToParty(index, link.generation, bytes)
        } else {
            Happening::FromParty(index, link.generation, bytes)
        };
        self.queue.push(at, happening);
    }

    pub(super) fn stands(&self, party: u16, generation: u64) -> bool {
        self.links
            .get(usize::from(party))
            .is_some_and(|link| link.down == 0 && link.generation == generation)
    }

    fn disconnect(&mut self, party: u16) {
        let Some(link) = self.links.get_mut(usize::from(party)) else {
            return;
        };
        link.down += 1;
        link.generation += 1;
        if link.down == 1 {
            let event = coordinator::Event::Gone(party);
            self.queue.push(self.now, Happening::Coordinator(event));
        }
    }

    pub(super) fn reconnect(&mut self, party: u16) {
        let Some(link) = self.links.get_mut(usize::from(party)) else {
            return;
        };
        link.down = link.down.saturating_sub(1);
        if link.down == 0 {
            let event = coordinator::Event::Back(party);
            self.queue.push(self.now, Happening::Coordinator(event));
        }
    }

    pub(super) fn exchange_begins(&mut self, number: u64) {
        self.exchange = number;
        self.links.iter_mut().for_each(|link| link.sent = 0);
        for (index, fault) in self.config.faults.clone().iter().enumerate() {
            if let When::Exchange { from, after, until } = fault.when {
                if (from..until).contains(&number) && (after == 0 || number > from) {
                    self.fault(index, true);
                } else if number >= until {
                    self.fault(index, false);
                }
            }
        }
    }

    /// A party sent a frame: faults that wait for it begin once it has travelled.
    fn sent_one(&mut self, party: u16) {
        let Some(link) = self.links.get_mut(usize::from(party)) else {
            return;
        };
        link.sent = link.sent.saturating_add(1);
        let (sent, last) = (link.sent, link.last[0]);
        for (number, fault) in self.config.faults.iter().enumerate() {
            if let When::Exchange { from, after, .. } = fault.when
                && (fault.party, from, after) == (party, self.exchange, sent)
            {
                self.queue.push(last, Happening::FaultBegins(number));
            }
        }
    }

    pub(super) fn fault(&mut self, number: usize, begins: bool) {
        let (Some(fault), Some(active)) = (
            self.config.faults.get(number).cloned(),
            self.active.get_mut(number),
        ) else {
            return;
        };
        if *active == begins {
            return;
        }
        *active = begins;
        match (fault.kind, begins) {
            (FaultKind::Slow(by), _) => {
                if let Some(link) = self.links.get_mut(usize::from(fault.party)) {
                    link.slow = if begins { by } else { 0 };
                }
            }
            (FaultKind::Drop, true) => self.disconnect(fault.party),
            (FaultKind::Drop | FaultKind::Crash, false) => self.reconnect(fault.party),
            (FaultKind::Crash, true) => {
                if let Some(party) = self.parties.get_mut(usize::from(fault.party)) {
                    party.restart(&self.shared);
                }
                self.disconnect(fault.party);
            }
        }
    }
}

fn link_slow(links: &[Link], index: u16, from: Address) -> u64 {
    match from {
        Address::Party(_) => links.get(usize::from(index)).map_or(0, |link| link.slow),
        Address::Coordinator => 0,
    }
}
