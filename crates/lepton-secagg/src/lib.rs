//! Masked sums with dropout tolerance: the coordinator learns the sum of the parties' vectors and nothing else, even if it cheats.
//!
//! The protocol, its numbered rules (`SA-nn`, cited throughout), its guarantees and its limits are in `docs/protocols/masked-sum.md`. The
//! machines do no input or output: bytes and randomness come in, bytes go out, and each state is a type that the next one consumes.
//!
//! - A party: [`PartySetup`] → [`PartyFrozen`] → [`PartyEpoch`] (many rounds) → [`Masked`] → [`Signed`] → its openings.
//! - The coordinator: [`EpochKeys`] → [`Collecting`] → [`Signing`] → [`Opening`] → [`Summed`].
//!
//! The caller persists what a state exposes ([`Masked::digest`], [`Signed::survivor_hash`]) before it sends what came with it.

mod chain;
mod context;
mod coordinator;
mod deal;
mod fault;
mod graph;
mod grouping;
mod keys;
mod neighbourhood;
mod opening;
mod params;
mod party;
mod setup;
mod signing;
mod survivors;
mod wire;

pub use context::{Attempt, EpochContext, VectorSpec};
pub use coordinator::{Addressed, Collecting};
pub use fault::{CallerReason, CoordinatorReason, Fault, PeerReason, Step};
pub use graph::{Nearest, NoGraph};
pub use grouping::{Grouping, GroupingError, SumSpec};
pub use keys::{EpochKeys, Roster};
pub use opening::{Opening, Summed};
pub use params::{MAX_COMPLETE, ParameterError, Parameters, PartyIndex, Topology};
pub use party::{Masked, Signed};
pub use setup::{KeyAdvert, PartyEpoch, PartyFrozen, PartySetup};
pub use signing::Signing;

#[cfg(test)]
mod tests;
