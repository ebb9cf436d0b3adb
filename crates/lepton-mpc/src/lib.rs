//! Secret-shared computation: parties learn the outputs of an agreed [`Circuit`] over their vectors, and nothing else.
//!
//! The protocol, its numbered rules (`MP-nn`, cited throughout), what it guarantees and what it does not are in
//! `docs/protocols/secret-sharing.md`: additive shares modulo `2^64`, semi-honest parties of which all but one may pool what they know, a trusted
//! dealer for products and truncations, outputs without noise. The machines do no input or output: bytes and randomness come in, bytes go out,
//! and each state is a type that the next one consumes.
//!
//! - A party: [`Sharing`] → [`Opening`], once for each exchange → [`Outputs`].
//! - The dealer: [`deal`], where [`Circuit::needs_dealer`].
//!
//! [`authenticated`] has the same for parties that may cheat.
//!
//! The caller carries messages over private, authenticated channels and records a session durably before its first message leaves (MP-13).
//! [`local`] runs all parties in one place, for programs that show what the protocol computes.

pub mod authenticated;
mod builder;
mod circuit;
mod dealer;
mod encoding;
mod evaluate;
mod fault;
pub mod local;
mod party;
mod range;
mod session;
mod shares;
mod wire;

pub use builder::CircuitBuilder;
pub use circuit::{Circuit, CircuitError, Wire};
pub use dealer::deal;
pub use encoding::Encoding;
pub use fault::{CallerReason, Fault, MessageReason};
pub use party::{Next, Opening, Output, Outputs, Sharing};
pub use session::{Message, Parties, PartyIndex, Sender, Session};

#[cfg(test)]
pub(crate) mod tests;
