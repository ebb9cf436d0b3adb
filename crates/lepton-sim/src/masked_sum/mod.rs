//! Masked sums among two to thousands of simulated parties: `lepton-secagg` alone, without jobs, frames and stores.
//!
//! A [`MaskedSumSim`] drives the very machines of the product through the rounds of one epoch over a virtual clock. All randomness comes from one seed, so
//! a run repeats itself to the byte ([`MaskedSumOutcome::digest`]). The network delays, loses, doubles and reorders messages; parties are slow, leave
//! at any step and come back in a later round without a new set-up, or are killed; the coordinator has deadlines and tries again in a new attempt. A
//! malicious coordinator and malicious parties are a [`MessageInterceptor`], of which [`Attack`] has ready-made ones.
//!
//! Stated simplifications:
//! - Set-up is in lockstep and loses nothing but what an interceptor takes: a message lost there means another epoch, and no sum is at stake.
//! - A message's place (attempt, sender, kind) is taken as authenticated, as the frames of `lepton-protocol` make it. Honest parties and an honest
//!   coordinator ignore what is out of place; an interceptor puts its messages wherever it wants.
//! - Every attempt has fresh inputs, as under a privacy goal (SA-20): what callers do with retries of the same inputs is the round protocol's matter.
//! - Parties outside a committee are shown the survivors together with the signatures, one after the other: so thousands fit into one process.
//!
//! What is checked after every step is written at [`MaskedSumOutcome::violations`].

mod agenda;
mod attack;
mod bodies;
mod checker;
mod config;
mod coordinator;
mod intercept;
mod knowledge;
mod links;
mod outcome;
mod party;
mod scenario;
mod setup;
mod sim;
#[cfg(test)]
mod tests;

pub use attack::{Attack, Side};
pub use config::{MaskedSumConfig, Mishap, MishapKind, SetUp};
pub use intercept::{Kind, MessageInterceptor, Parcel, Passing, Scene, SetUpScene};
pub use outcome::{AttemptEnd, MaskedSumOutcome, PartyFault, RoundOutcome};
pub use scenario::{Family, Scenario};
pub use sim::MaskedSumSim;
