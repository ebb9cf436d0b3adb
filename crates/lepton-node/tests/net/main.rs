//! Enrolment and transport over loopback, with real sockets (EN and TR rules).

mod federation;
mod talk;
