//! The protocol machines under a seeded network with faults and malicious actors, for tests and studies.
//!
//! A [`Simulation`] drives the very [`Party`](lepton_protocol::party::Party), [`Coordinator`](lepton_protocol::coordinator::Coordinator) and
//! [`Worker`](lepton_protocol::work::Worker) of the product over a virtual clock: no thread, no socket, no real time. All randomness comes from one seed, so
//! a run repeats itself to the byte ([`SimOutcome::digest`]); a failing study prints its seed, and the seed is the reproduction.
//!
//! What the network does: each direction between a party and the coordinator keeps its order, as TCP does, unless [`Network::reorder`] breaks it.
//! A single lost frame does not exist on such a transport. A loss is therefore the loss of the connection: the frame and everything on the way are gone, the
//! coordinator sees `Gone`, and after [`Network::outage`] `Back`. Delays beyond the coordinator's patience are the other way a frame is lost. Duplicates and
//! reordering do not exist in production either; they stand for a relay that replays what it recorded.
//!
//! Beside the network, [`SimFault`]s hit one party, and an [`Interceptor`] sees, changes, redirects, replays or drops every frame. A malicious
//! coordinator or party is an interceptor that holds its key ([`identity_of`]) and signs what it changed ([`reseal`]).
//!
//! Every sum is checked: the vectors that workers handed in are added in the clear, and the coordinator's state after the sum must be, byte for byte, what
//! follows from that plain sum ([`SimOutcome::violations`]).

mod checks;
mod config;
mod intercept;
pub mod masked_sum;
mod memory;
mod outcome;
mod party_node;
mod queue;
mod random;
mod simulation;

pub use config::{FaultKind, Network, SimConfig, SimError, SimFault, SimParty, Stop, When};
pub use intercept::{Delivery, Frame, Interceptor, Seen, identity_of, reseal};
pub use memory::{MemoryLedger, MemoryStore};
pub use outcome::{CheckedSum, Durable, End, Finale, Sent, SimOutcome};
pub use simulation::Simulation;
