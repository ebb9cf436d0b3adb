//! One link between each party and the coordinator.

use chacha20::ChaCha20Rng;
use lepton_protocol::frame::Address;

use crate::Network;
use crate::random::{chance, within};

/// When a message arrives, and when its double does.
pub(crate) type Arrivals = Vec<u64>;

#[derive(Default, Clone, Copy)]
struct Link {
    down_until: u64,
    /// The last arrival to the party, and to the coordinator.
    last: [u64; 2],
}

pub(crate) struct Links {
    network: Network,
    rng: ChaCha20Rng,
    links: Vec<Link>,
}

impl Links {
    pub(crate) fn new(network: Network, rng: ChaCha20Rng, parties: usize) -> Self {
        Self {
            network,
            rng,
            links: vec![Link::default(); parties],
        }
    }

    /// The time that a vector takes.
    pub(crate) fn compute(&mut self) -> u64 {
        within(&self.network.compute, &mut self.rng)
    }

    /// When a message that is sent now arrives at `to`: never, once or twice.
    pub(crate) fn send(&mut self, now: u64, from: Address, to: Address) -> Arrivals {
        let Self {
            network,
            rng,
            links,
        } = self;
        let (party, way) = match (from, to) {
            (_, Address::Party(party)) => (party, 0),
            (Address::Party(party), _) => (party, 1),
            _ => return Vec::new(),
        };
        let Some(link) = links.get_mut(usize::from(party)) else {
            return Vec::new();
        };
        if now < link.down_until {
            return Vec::new();
        }
        if chance(network.loss, rng) {
            link.down_until = now + within(&network.outage, rng);
            return Vec::new();
        }
        let copies = 1 + usize::from(chance(network.duplication, rng));
        let mut arrivals = Vec::new();
        for _ in 0..copies {
            let mut at = now + within(&network.delay, rng);
            if let Some(last) = link.last.get_mut(way) {
                if !chance(network.reorder, rng) {
                    at = at.max(*last);
                }
                *last = at.max(*last);
            }
            arrivals.push(at);
        }
        arrivals
    }
}
