//! The daemons of a real federation: [`party::PartyDaemon`] at each data owner, [`coordinator::CoordinatorDaemon`] between them, [`client`] for
//! whoever submits and follows jobs (docs/protocols/job-control.md).
//!
//! They know links as pairs of channels: whatever delivers whole messages to and from a proven member can carry them.

pub mod client;
pub mod coordinator;
pub mod effective;
mod own_table;
pub mod party;
pub(crate) mod record;
pub mod service;
pub(crate) mod start;
mod trail;
pub mod wired;

use lepton_crypto::{IdentityKey, IdentityPublic};
use lepton_protocol::control::Control;
use tokio::sync::{mpsc, watch};

use crate::error::NodeError;

pub use crate::net::pki::Role;
pub use trail::Trail;

/// A member of the federation, as its certificate says.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name, unique in the federation within its role.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its identity key.
    pub key: IdentityPublic,
    /// Serial number of the certificate, in hexadecimal digits.
    pub serial: String,
}

impl Member {
    /// Whether both are the same member, under this certificate or another.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        (&self.name, self.role, &self.key) == (&other.name, other.role, &other.key)
    }
}

/// The federation's root: says whose certificate is genuine.
pub trait Authority: Send + Sync {
    /// The member that a certificate belongs to, if it stems from the federation's root, is valid now and is not revoked.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    fn member(&self, certificate: &[u8]) -> Result<Member, String>;
}

/// Who the daemon is itself.
pub trait Own: Send + Sync {
    /// Its identity key; asked for by every machine that signs.
    fn identity(&self) -> IdentityKey;

    /// Its certificate as it is now, as [`Authority::member`] of the others reads it.
    fn certificate(&self) -> Vec<u8>;
}

/// The wall clock as RFC 3339 in UTC.
pub type Clock = fn() -> String;

/// A link to a member that has proved who it is. Messages arrive whole, in order and once; when [`Connection::inbox`] ends, the link is lost for good.
pub struct Connection {
    /// The other end.
    pub peer: Member,
    /// Messages to it.
    pub out: mpsc::Sender<Vec<u8>>,
    /// Messages from it.
    pub inbox: mpsc::Receiver<Vec<u8>>,
}

/// Messages that wait on one link before the other end counts as lost.
pub const QUEUE: usize = 256;

/// Both ends of a link within this process: at the left member, and at the right one.
#[must_use]
pub fn in_memory(left: Member, right: Member) -> (Connection, Connection) {
    let (to_left, left_inbox) = mpsc::channel(QUEUE);
    let (to_right, right_inbox) = mpsc::channel(QUEUE);
    let at_left = Connection {
        peer: right,
        out: to_right,
        inbox: left_inbox,
    };
    let at_right = Connection {
        peer: left,
        out: to_left,
        inbox: right_inbox,
    };
    (at_left, at_right)
}

/// Writes down that a message is sent, and sends it without waiting; `false` when the link is lost or its queue is full, which counts as lost.
fn post(
    trail: &Trail,
    (peer, out): (&str, &mpsc::Sender<Vec<u8>>),
    message: &Control,
) -> Result<bool, NodeError> {
    let bytes = message.to_bytes();
    trail.sent(peer, message, bytes.len())?;
    Ok(out.try_send(bytes).is_ok())
}

/// Reads a message and writes down that it came; what is wrong with one that is none, in words.
fn receive(
    trail: &Trail,
    peer: &str,
    bytes: Vec<u8>,
) -> Result<Result<Control, String>, NodeError> {
    let length = bytes.len();
    match Control::from_bytes(bytes) {
        Ok(message) => {
            trail.received(peer, &message, length)?;
            Ok(Ok(message))
        }
        Err(error) => {
            trail.connection(peer, "refused", Some(format!("it sent {error}")))?;
            Ok(Err(error.to_string()))
        }
    }
}

/// Returns when the daemon is to end; never when nobody can say so any more.
async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The one of `all` whose digest begins with `wanted`, or whose name it is; `of` gives both, `here` says where it was looked for.
///
/// # Errors
/// [`NodeError::Use`] when none, or more than one, is meant.
pub fn the_one<T>(
    all: Vec<T>,
    (wanted, here): (&str, &str),
    of: impl Fn(&T) -> (&str, &str),
) -> Result<T, NodeError> {
    let meant = |one: &T| {
        let (digest, name) = of(one);
        digest.starts_with(wanted) || name == wanted
    };
    let mut found: Vec<T> = all.into_iter().filter(meant).collect();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(NodeError::Use(format!(
            "{wanted:?} means several jobs; give more of the digest"
        ))),
        (None, _) => Err(NodeError::Use(format!("there is no job {wanted:?} {here}"))),
    }
}

/// First eight hexadecimal digits of a job's digest: enough for people.
#[must_use]
pub fn short(job: &[u8; 32]) -> String {
    crate::hex::hex(job).chars().take(8).collect()
}
