//! Enrolment and transport over loopback, with real sockets.

mod asking;
mod certificates;
mod cuts;
mod decoders;
mod enrolment;
pub(crate) mod federation;
mod limits;
mod strangers;
mod talk;
