//! Enrolment (`docs/protocols/enrolment.md`) and transport (`docs/protocols/transport.md`).
//!
//! A [`Listener`] is the coordinator's one port; a [`Dialer`] is everybody else's one connection to it. Both give a [`Link`]: messages of
//! bytes that are neither lost nor doubled when the connection breaks, to and from a member whom the certificate names.

mod accept;
mod dialer;
mod driver;
mod enrol;
pub mod error;
mod link;
mod listener;
pub mod pki;
pub mod probe;
mod proxy;
mod segment;
mod serve;
mod service;
mod session;
mod sessions;
mod shown;
mod strangers;
mod tls;

pub use dialer::{DialConfig, Dialer};
pub use enrol::{EnrolConfig, Registrar, redeem};
pub use error::NetError;
pub use link::{Event, IncomingStream, Link, LinkReceiver, LinkSender, PeerIdentity, Upload};
pub use listener::{Limits, ListenConfig, Listener, Notice, Observer, Peer};
pub use proxy::Proxy;
pub use tls::Credentials;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod decoders;
#[cfg(test)]
pub(crate) mod tests;
