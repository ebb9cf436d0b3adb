//! Whoever stands between the actors, and the keys that make a bystander a malicious actor.

use lepton_crypto::IdentityKey;
use lepton_protocol::frame::{self, Address, FrameIn, Place, Step};

use crate::random::generator;

const STEPS: [Step; 14] = [
    Step::Invite,
    Step::Advert,
    Step::Adverts,
    Step::SlotKeys,
    Step::SlotKey,
    Step::Ready,
    Step::Begin,
    Step::Input,
    Step::View,
    Step::Agree,
    Step::Bundle,
    Step::Open,
    Step::Decline,
    Step::Finish,
];

/// A frame laid open, to be read and changed.
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
    /// The body's bytes.
    pub body: Vec<u8>,
}

impl Frame {
    fn seal(self, key: &IdentityKey) -> Vec<u8> {
        let frame = frame::Frame {
            place: self.place,
            step: self.step,
            from: self.from,
            to: self.to,
            body: self.body.into(),
        };
        frame.seal(key)
    }
}

/// A frame on its way.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'f> {
    /// Virtual time.
    pub now: u64,
    /// The actor whose connection it comes from.
    pub from: Address,
    /// The actor it is bound for.
    pub to: Address,
    /// The frame.
    pub bytes: &'f [u8],
}

/// A frame to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// To whom.
    pub to: Address,
    /// What.
    pub bytes: Vec<u8>,
    /// How much later than the network would.
    pub later: u64,
}

/// Sees every frame before the network does. The answer is what travels instead: nothing drops the frame, other bytes change it, more of them replay it,
/// another receiver redirects it.
pub trait Interceptor {
    /// What travels instead of `seen`.
    fn on_frame(&mut self, seen: Seen<'_>) -> Vec<Delivery>;
}

impl Seen<'_> {
    /// The frame as it is.
    #[must_use]
    pub fn pass(&self) -> Delivery {
        self.with(self.bytes.to_vec())
    }

    /// Other bytes on the same way.
    #[must_use]
    pub fn with(&self, bytes: Vec<u8>) -> Delivery {
        Delivery {
            to: self.to,
            bytes,
            later: 0,
        }
    }

    /// What the frame says, whoever wrote it.
    #[must_use]
    pub fn read(&self) -> Option<Frame> {
        unverified(self.bytes)
    }
}

/// The identity that `actor` has in every simulation with this seed: whoever calls this holds its key.
#[must_use]
pub fn identity_of(seed: u64, actor: Address) -> IdentityKey {
    IdentityKey::generate(&mut generator(seed, &format!("identity of {actor}")))
}

/// Changes a frame and signs it with `key`. Bytes that are no frame come back as they are.
#[must_use]
pub fn reseal(bytes: &[u8], key: &IdentityKey, change: impl FnOnce(&mut Frame)) -> Vec<u8> {
    match unverified(bytes) {
        Some(mut frame) => {
            change(&mut frame);
            frame.seal(key)
        }
        None => bytes.to_vec(),
    }
}

/// Reads a frame without checking its signature.
fn unverified(bytes: &[u8]) -> Option<Frame> {
    let wire = FrameIn::parse(bytes.to_vec()).ok()?;
    Some(Frame {
        place: Place {
            job: wire.job.as_slice().try_into().ok()?,
            epoch: wire.epoch,
            round: wire.round,
            attempt: wire.attempt,
        },
        step: STEPS.into_iter().find(|step| *step as u32 == wire.step)?,
        from: address(wire.from)?,
        to: address(wire.to)?,
        body: wire.body.into(),
    })
}

fn address(wire: u32) -> Option<Address> {
    match wire.checked_sub(1) {
        None => Some(Address::Coordinator),
        Some(index) => u16::try_from(index).ok().map(Address::Party),
    }
}
