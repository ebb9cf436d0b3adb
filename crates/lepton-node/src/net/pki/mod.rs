//! Certificates: who is a member, in which role, with which key (`docs/protocols/enrolment.md`).

mod authority;
mod certificate;
mod folder;
mod invitation;
mod issued;
mod key;
mod name;
mod registry;
mod request;
mod root;
mod trust;

pub use authority::{Authority, MemberRow};
pub use certificate::{Fingerprint, Leaf, Serial, chain_from_pem};
pub use folder::MemberFolder;
pub use invitation::Invitation;
pub use issued::Issued;
pub use key::IdentityFile;
pub use name::{Member, Name, Role};
pub use request::signing_request;
pub use root::Import;
pub(crate) use trust::{LONGEST_LIST_PEM, Refusal, list_der};
pub use trust::{Trust, Usage};

/// Seconds since 1970 by this machine's clock.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Whether a decoder takes a text.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) type Takes = fn(&str) -> bool;

/// Decoders that only this module calls, for the list of all.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) const INNER: [(&str, Takes); 4] = [
    ("signing-request", |text| {
        request::Request::verify(text).is_ok()
    }),
    ("registry", |text| {
        registry::Registry::from_json(text).is_ok()
    }),
    ("member", |text| folder::About::from_json(text).is_ok()),
    ("identity-key", |text| {
        key::IdentityFile::from_pem(text).is_ok()
    }),
];
