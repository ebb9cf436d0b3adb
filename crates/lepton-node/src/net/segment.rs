//! What travels inside a connection (`docs/protocols/transport.md`, TR-04): protobuf messages of one gRPC stream in each direction.

use bytes::Bytes;

use super::NetError;
use super::pki::Issued;

/// Newest version of the link protocol that this program speaks.
pub(crate) const NEWEST: u32 = 1;
/// Oldest version it speaks: one back, as soon as there is one (TR-05).
pub(crate) const OLDEST: u32 = 1;
/// Most bytes of a message in one chunk.
pub(crate) const CHUNK: usize = 128 * 1024;
/// Most chunks on their way that the receiver has not taken over (TR-08): with [`CHUNK`], 4 MiB in each direction.
pub(crate) const WINDOW: usize = 32;
/// Longest segment: a revocation list with its frame.
pub(crate) const LONGEST: usize = super::pki::LONGEST_LIST_PEM + 64 * 1024;
/// Longest segment from whoever dials: a chunk with its frame. Lists come from the listener only.
pub(crate) const LONGEST_OF_DIALLER: usize = CHUNK + 64 * 1024;
/// Path of the one gRPC method.
pub(crate) const METHOD: &str = "/lepton.link.v1.Link/Attach";

/// One segment.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Segment {
    /// Its content.
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
    pub(crate) kind: Option<Kind>,
}

/// What a segment can be.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Kind {
    /// First from whoever dials.
    #[prost(message, tag = "1")]
    Hello(Hello),
    /// First from whoever listens.
    #[prost(message, tag = "2")]
    Welcome(Welcome),
    /// A part of a message.
    #[prost(message, tag = "3")]
    Chunk(Chunk),
    /// All chunks below this number were taken over.
    #[prost(uint64, tag = "4")]
    Ack(u64),
    /// A revocation list in DER, from whoever listens.
    #[prost(bytes = "bytes", tag = "5")]
    Revoked(Bytes),
    /// A request for the next certificate, from whoever dials.
    #[prost(message, tag = "6")]
    Renew(Nothing),
    /// The next certificate.
    #[prost(message, tag = "7")]
    Renewed(Credential),
    /// The end of the session, or the refusal of one, with its reason.
    #[prost(string, tag = "8")]
    Close(String),
}

/// Who dials says what it speaks and where it stands.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Hello {
    #[prost(uint32, tag = "1")]
    pub(crate) oldest: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) newest: u32,
    /// Session to go on with; empty for a new one.
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) session: Bytes,
    /// Chunks received in that session.
    #[prost(uint64, tag = "4")]
    pub(crate) received: u64,
    /// Longest message it accepts.
    #[prost(uint64, tag = "5")]
    pub(crate) limit: u64,
}

/// Who listens answers.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Welcome {
    #[prost(uint32, tag = "1")]
    pub(crate) version: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) session: Bytes,
    /// Whether the session asked for goes on.
    #[prost(bool, tag = "3")]
    pub(crate) resumed: bool,
    #[prost(uint64, tag = "4")]
    pub(crate) received: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) limit: u64,
    /// Whether the listener refuses, because there is no common version: then `version` is its newest and `oldest` its oldest.
    #[prost(bool, tag = "6")]
    pub(crate) refused: bool,
    #[prost(uint32, tag = "7")]
    pub(crate) oldest: u32,
}

/// A part of a message.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Chunk {
    /// Counts from 0 in each direction of a session.
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
    /// Length of the whole message: on its first chunk only.
    #[prost(uint64, optional, tag = "2")]
    pub(crate) length: Option<u64>,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) bytes: Bytes,
    /// The sender gave the message up; no more of it comes.
    #[prost(bool, tag = "4")]
    pub(crate) abandoned: bool,
}

/// Nothing.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Nothing {}

/// A certificate as the authority issued it.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Credential {
    #[prost(string, tag = "1")]
    pub(crate) certificate: String,
    #[prost(string, tag = "2")]
    pub(crate) root: String,
    #[prost(string, tag = "3")]
    pub(crate) revoked: String,
}

impl From<Issued> for Credential {
    fn from(issued: Issued) -> Self {
        Self {
            certificate: issued.certificate,
            root: issued.root,
            revoked: issued.revoked,
        }
    }
}

impl From<Credential> for Issued {
    fn from(credential: Credential) -> Self {
        Self {
            certificate: credential.certificate,
            root: credential.root,
            revoked: credential.revoked,
        }
    }
}

impl From<Kind> for Segment {
    fn from(kind: Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

/// The version two programs speak: the newest common one (TR-05).
pub(crate) fn agree(ours: (u32, u32), theirs: (u32, u32)) -> Result<u32, NetError> {
    let newest = ours.1.min(theirs.1);
    if newest >= ours.0.max(theirs.0) && newest > 0 {
        return Ok(newest);
    }
    Err(NetError::Version {
        ours_oldest: ours.0,
        ours_newest: ours.1,
        theirs_oldest: theirs.0,
        theirs_newest: theirs.1,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    #[test]
    fn versions_are_agreed_or_both_named() {
        assert_eq!(agree((1, 1), (1, 1)).unwrap(), 1);
        assert_eq!(agree((1, 2), (2, 3)).unwrap(), 2);
        assert_eq!(agree((2, 3), (1, 2)).unwrap(), 2);
        assert_eq!(agree((2, 3), (2, 3)).unwrap(), 3);
        for (ours, theirs) in [((1, 1), (2, 3)), ((3, 4), (1, 2)), ((1, 1), (0, 0))] {
            let text = agree(ours, theirs).unwrap_err().to_string();
            assert!(
                text.contains(&format!("{} to {}", ours.0, ours.1)),
                "{text}"
            );
            assert!(
                text.contains(&format!("{} to {}", theirs.0, theirs.1)),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn garbage_is_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(segment) = Segment::decode(bytes.as_slice()) {
                let again = Segment::decode(segment.encode_to_vec().as_slice());
                prop_assert_eq!(again.unwrap(), segment);
            }
        }
    }
}
