//! One message frame for every protocol (rule FT-01 of `docs/protocols/federated-training.md`).
//!
//! A frame is a versioned header, a body that only the protocol named in the header understands, and the sender's
//! signature over both. Bytes from outside become a [`FrameIn`]; only [`FrameIn::verify`] makes a [`Frame`].

use std::fmt;

use bytes::Bytes;
use lepton_crypto::{IdentityKey, IdentityPublic, Signature, long_hash};
use prost::Message;

/// Version of the frame and of the bodies inside it.
pub const VERSION: u32 = 1;

/// Largest frame accepted, in bytes; a frame carries at most one vector of 2^24 entries of 8 bytes and some shares.
pub const MAX_FRAME_BYTES: usize = (1 << 27) + (1 << 22);

const DOMAIN: &str = "lepton frame 1";

/// Context of the hash that is signed.
const SIGNED: &str = "lepton 2026-11 frame 1";

/// Who sends or receives a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// The coordinator.
    Coordinator,
    /// The party with this position in the roster, counted from 0.
    Party(u16),
}

impl Address {
    fn to_wire(self) -> u32 {
        match self {
            Self::Coordinator => 0,
            Self::Party(index) => u32::from(index) + 1,
        }
    }

    fn from_wire(value: u32) -> Result<Self, FrameError> {
        match value.checked_sub(1) {
            None => Ok(Self::Coordinator),
            Some(index) => u16::try_from(index)
                .map(Self::Party)
                .map_err(|_| FrameError::Malformed("an address is out of range")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coordinator => f.write_str("the coordinator"),
            Self::Party(index) => write!(f, "party {index}"),
        }
    }
}

/// What a frame's body is. The numbers are part of the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Step {
    /// Coordinator to party: the job and the roster.
    Invite = 1,
    /// Party to coordinator: signed key-agreement key.
    Advert = 2,
    /// Coordinator to party: everybody's adverts.
    Adverts = 3,
    /// Party to coordinator: its part of the graph's seed (sparse graphs only).
    Reveal = 7,
    /// Coordinator to party: everybody's parts.
    Reveals = 8,
    /// Party to coordinator: the slot key, sealed once per receiver.
    SlotKeys = 4,
    /// Coordinator to party: the slot key sealed for it.
    SlotKey = 5,
    /// Party to coordinator: ready for exchanges.
    Ready = 6,
    /// Coordinator to party: an exchange begins.
    Begin = 10,
    /// Party to coordinator: masked input, exchange (a).
    Input = 11,
    /// Coordinator to party: the survivors and their sealed bundles.
    View = 12,
    /// Party to coordinator: signature of the survivor set, exchange (b).
    Agree = 13,
    /// Coordinator to party: the signatures.
    Bundle = 14,
    /// Party to coordinator: openings, exchange (c).
    Open = 15,
    /// Party to coordinator: declined, with the reason in words that carry nothing from its data.
    Decline = 20,
    /// Coordinator to party: the job is over.
    Finish = 21,
}

impl Step {
    const ALL: [Self; 16] = [
        Self::Invite,
        Self::Advert,
        Self::Adverts,
        Self::Reveal,
        Self::Reveals,
        Self::SlotKeys,
        Self::SlotKey,
        Self::Ready,
        Self::Begin,
        Self::Input,
        Self::View,
        Self::Agree,
        Self::Bundle,
        Self::Open,
        Self::Decline,
        Self::Finish,
    ];

    fn from_wire(value: u32) -> Result<Self, FrameError> {
        Self::ALL
            .into_iter()
            .find(|step| *step as u32 == value)
            .ok_or(FrameError::Malformed("an unknown step"))
    }
}

/// Which exchange of which epoch of which job a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// SHA-256 of the effective job file.
    pub job: [u8; 32],
    /// Epoch: a set-up of keys; a resumed job opens a new one.
    pub epoch: u64,
    /// Number of the exchange within the job; 0 during set-up.
    pub round: u64,
    /// Attempt at that exchange.
    pub attempt: u32,
}

/// A verified frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Where in the job it belongs.
    pub place: Place,
    /// What the body is.
    pub step: Step,
    /// Sender.
    pub from: Address,
    /// Receiver.
    pub to: Address,
    /// The body's bytes, still unverified by the protocol they belong to.
    pub body: Bytes,
}

impl Frame {
    /// Signs the frame with the sender's identity and encodes it for the wire.
    #[must_use]
    pub fn seal(self, identity: &IdentityKey) -> Vec<u8> {
        let mut wire = FrameIn {
            version: VERSION,
            job: self.place.job.to_vec(),
            epoch: self.place.epoch,
            round: self.place.round,
            attempt: self.place.attempt,
            step: self.step as u32,
            from: self.from.to_wire(),
            to: self.to.to_wire(),
            body: self.body,
            signature: Vec::new(),
        };
        wire.signature = identity
            .sign(DOMAIN, &wire.signed_bytes())
            .to_bytes()
            .to_vec();
        wire.encode_to_vec()
    }
}

/// A frame as it came from outside: nothing in it may be believed before [`FrameIn::verify`].
#[derive(Clone, PartialEq, Message)]
pub struct FrameIn {
    /// Format version.
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// Job digest.
    #[prost(bytes = "vec", tag = "2")]
    pub job: Vec<u8>,
    /// Epoch.
    #[prost(uint64, tag = "3")]
    pub epoch: u64,
    /// Exchange number.
    #[prost(uint64, tag = "4")]
    pub round: u64,
    /// Attempt.
    #[prost(uint32, tag = "5")]
    pub attempt: u32,
    /// Step number.
    #[prost(uint32, tag = "6")]
    pub step: u32,
    /// Sender: 0 the coordinator, k the party with index k − 1.
    #[prost(uint32, tag = "7")]
    pub from: u32,
    /// Receiver, numbered likewise.
    #[prost(uint32, tag = "8")]
    pub to: u32,
    /// Body.
    #[prost(bytes = "bytes", tag = "9")]
    pub body: Bytes,
    /// Ed25519 signature over all other fields.
    #[prost(bytes = "vec", tag = "15")]
    pub signature: Vec<u8>,
}

impl FrameIn {
    /// Reads a frame without believing it; its body is a part of `bytes`, not a copy.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`] and [`FrameError::Malformed`].
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, FrameError> {
        let bytes = bytes.into();
        if bytes.len() > MAX_FRAME_BYTES {
            return Err(FrameError::TooLarge(bytes.len()));
        }
        Self::decode(bytes).map_err(|_| FrameError::Malformed("the bytes are not a frame"))
    }

    /// Checks version, receiver and signature; `key_of` names the enrolled key of a sender.
    ///
    /// # Errors
    /// The [`FrameError`] that says what is wrong; [`FrameError::Unsigned`] names the pretended sender.
    pub fn verify<'k>(
        self,
        me: Address,
        key_of: impl Fn(Address) -> Option<&'k IdentityPublic>,
    ) -> Result<Frame, FrameError> {
        if self.version != VERSION {
            return Err(FrameError::Version(self.version));
        }
        let to = Address::from_wire(self.to)?;
        if to != me {
            return Err(FrameError::NotForMe { to, me });
        }
        let from = Address::from_wire(self.from)?;
        let key = key_of(from).ok_or(FrameError::Unknown(from))?;
        let signature = <[u8; 64]>::try_from(self.signature.as_slice())
            .map_err(|_| FrameError::Unsigned(from))?;
        key.verify(
            DOMAIN,
            &self.signed_bytes(),
            &Signature::from_bytes(signature),
        )
        .map_err(|_| FrameError::Unsigned(from))?;
        let job = <[u8; 32]>::try_from(self.job.as_slice())
            .map_err(|_| FrameError::Malformed("the job digest has a wrong length"))?;
        Ok(Frame {
            place: Place {
                job,
                epoch: self.epoch,
                round: self.round,
                attempt: self.attempt,
            },
            step: Step::from_wire(self.step)?,
            from,
            to,
            body: self.body,
        })
    }

    /// What is signed: a hash (BLAKE3) over all other fields, each with its length. Hashed once here rather than twice inside Ed25519.
    fn signed_bytes(&self) -> [u8; 32] {
        let numbers =
            [self.version, self.attempt, self.step, self.from, self.to].map(u32::to_be_bytes);
        let counters = [self.epoch, self.round].map(u64::to_be_bytes);
        let [version, attempt, step, from, to] = &numbers;
        let [epoch, round] = &counters;
        let parts: [&[u8]; 9] = [
            version, &self.job, epoch, round, attempt, step, from, to, &self.body,
        ];
        *long_hash(SIGNED, &parts).as_bytes()
    }
}

/// Why a frame was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than any frame of this version.
    #[error("a frame of {0} bytes is larger than the {MAX_FRAME_BYTES} bytes a frame may have")]
    TooLarge(usize),
    /// Not a frame.
    #[error("malformed frame: {0}")]
    Malformed(&'static str),
    /// From another version of the program.
    #[error(
        "frame version {0} is not understood (this program speaks version {VERSION}); use the same release everywhere"
    )]
    Version(u32),
    /// Delivered to the wrong place.
    #[error("a frame for {to} was delivered to {me}")]
    NotForMe {
        /// Whom it names.
        to: Address,
        /// Who got it.
        me: Address,
    },
    /// The sender is not in the roster.
    #[error("{0} is not a member of this federation")]
    Unknown(Address),
    /// The signature does not verify.
    #[error("a frame that claims to come from {0} is not signed by it")]
    Unsigned(Address),
}
