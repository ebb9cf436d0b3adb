//! Messages of other times.

use std::cell::RefCell;
use std::rc::Rc;

use lepton_protocol::frame::Address;

use super::super::{Kind, MessageInterceptor, Parcel, Passing};
use super::Dice;

/// Most messages that are kept.
const KEPT: usize = 400;

/// Messages that passed by.
pub(crate) type Recording = Rc<RefCell<Vec<Parcel>>>;

/// Keeps what passes by and changes nothing.
pub(crate) struct Recorder(pub(crate) Recording);

/// Lets recorded messages stand in for present ones.
pub(crate) struct Replayer {
    dice: Dice,
    recording: Recording,
}

impl Replayer {
    pub(crate) fn new(dice: Dice, recording: Recording) -> Self {
        Self { dice, recording }
    }

    /// A recorded message for the same receiver, of the same kind where there is one.
    fn old(&mut self, message: &Passing<'_>) -> Option<Parcel> {
        let kept = self.recording.borrow();
        let fits = |parcel: &&Parcel| parcel.to == message.to && parcel.kind == message.kind;
        let likely: Vec<_> = kept.iter().filter(fits).collect();
        let place = self.dice.below(likely.len());
        let old = likely.get(place)?;
        Some(Parcel {
            // A party's message passes for another's now and then.
            from: if self.dice.below(4) == 0 {
                old.from
            } else {
                message.from
            },
            attempt: message.attempt,
            ..(*old).clone()
        })
    }
}

fn record(recording: &Recording, message: &Passing<'_>) {
    let mut kept = recording.borrow_mut();
    if message.kind < Kind::Begin {
        return;
    }
    if kept.len() < KEPT {
        kept.push(message.pass());
    } else {
        // Every so often the oldest goes.
        let place = usize::try_from(message.now).unwrap_or_default() % KEPT;
        if let Some(slot) = kept.get_mut(place) {
            *slot = message.pass();
        }
    }
}

impl MessageInterceptor for Recorder {
    fn on_message(&mut self, message: &Passing<'_>) -> Vec<Parcel> {
        record(&self.0, message);
        vec![message.pass()]
    }
}

impl MessageInterceptor for Replayer {
    fn on_message(&mut self, message: &Passing<'_>) -> Vec<Parcel> {
        let old = if self.dice.strikes() && message.kind >= Kind::Begin {
            self.old(message)
        } else {
            None
        };
        record(&self.recording, message);
        match (old, message.from) {
            (None, _) => vec![message.pass()],
            (Some(old), Address::Coordinator) if self.dice.coin() => vec![message.pass(), old],
            (Some(old), _) if self.dice.coin() => vec![old, message.pass()],
            (Some(old), _) => vec![old],
        }
    }
}
