//! Certificates: who is a member, in which role, with which key (`docs/protocols/enrolment.md`).

mod authority;
mod certificate;
mod folder;
mod invitation;
mod key;
mod name;
mod registry;
mod request;
mod trust;

pub use authority::{Authority, Import, Issued, MemberRow};
pub use certificate::{Leaf, Serial, chain_from_pem, fingerprint};
pub use folder::MemberFolder;
pub use invitation::Invitation;
pub use key::IdentityFile;
pub use name::{Member, Name, Role};
pub use request::signing_request;
pub(crate) use trust::{LONGEST_LIST, Refusal};
pub use trust::{Trust, Usage};

/// Seconds since 1970 by this machine's clock.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
