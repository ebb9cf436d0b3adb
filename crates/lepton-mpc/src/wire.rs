//! Messages as they come from outside (MP-12).

use prost::Message as _;
use zeroize::Zeroize;

use crate::session::{PartyIndex, Sender, Session};
use crate::{Fault, MessageReason};

/// Bytes that fields beside the content may take.
const SLACK: usize = 64;

/// The step of the dealer's message.
pub(crate) const DEALING: u32 = 0;
/// The step of inputs' shares.
pub(crate) const INPUTS: u32 = 1;
/// The step of the first opening.
pub(crate) const FIRST_OPENING: u32 = 2;

#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
struct MessageIn {
    #[prost(bytes = "vec", tag = "1")]
    binding: Vec<u8>,
    #[prost(uint32, tag = "2")]
    step: u32,
    #[prost(bytes = "vec", tag = "3")]
    content: Vec<u8>,
}

impl Drop for MessageIn {
    fn drop(&mut self) {
        self.content.zeroize();
    }
}

/// The way of a message: who to whom, at which step.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) from: Sender,
    pub(crate) to: PartyIndex,
    pub(crate) step: u32,
}

impl Way {
    /// The message that carries `content`.
    pub(crate) fn write(self, session: &Session, content: Vec<u8>) -> Vec<u8> {
        MessageIn {
            binding: session.binding(self.from, self.to).as_ref().to_vec(),
            step: self.step,
            content,
        }
        .encode_to_vec()
    }

    /// Hands the content of a message of this way to `read`, which knows its length.
    pub(crate) fn read<T>(
        self,
        session: &Session,
        body: &[u8],
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, Fault> {
        let refused = |reason| Fault::Message(self.from, reason);
        if body.len() > session.longest().saturating_add(SLACK) {
            return Err(refused(MessageReason::TooLong));
        }
        let message = MessageIn::decode(body).map_err(|_| refused(MessageReason::Malformed))?;
        if session.binding(self.from, self.to).as_ref() != message.binding.as_slice() {
            return Err(refused(MessageReason::Foreign));
        }
        match message.step {
            step if step > self.step => return Err(refused(MessageReason::Early)),
            step if step < self.step => return Err(refused(MessageReason::Late)),
            _ => {}
        }
        read(&message.content).ok_or_else(|| refused(MessageReason::Length))
    }
}
