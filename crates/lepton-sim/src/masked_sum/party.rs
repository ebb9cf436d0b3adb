//! A party around its machine.

use chacha20::ChaCha20Rng;
use lepton_crypto::{Digest, IdentityKey};
use lepton_ring::RingVec;
use lepton_secagg::{Attempt, Fault, Masked, PartyEpoch, PartyIndex, Signed, SumSpec};

use super::{Kind, Mishap, MishapKind};

/// A party: honest, whatever is done to its messages.
pub(crate) struct PartyActor {
    identity: IdentityKey,
    epoch: Option<PartyEpoch>,
    state: State,
    /// The latest attempt it heard of.
    attempt: Attempt,
    /// Messages it sent in that attempt.
    sent: u8,
    /// The first round in which it is there again.
    gone_until: u64,
    mishaps: Vec<Mishap>,
    rng: ChaCha20Rng,
    early: Option<Vec<u8>>,
}

enum State {
    Idle,
    Masked(Box<Masked>),
    Signed(Box<Signed>),
}

/// What a party does.
pub(crate) enum Act {
    /// Nothing: the message is out of place or the party gone.
    Nothing,
    /// It begins to compute, this much slower than others.
    Compute { slower: u64 },
    /// It sends (a).
    Input(Vec<u8>),
    /// It agreed to this hash for these survivors, sends (b), and perhaps at once (c).
    Agree {
        hash: Digest,
        survivors: Vec<PartyIndex>,
        body: Vec<u8>,
        then: Option<Box<Act>>,
    },
    /// It opens under this hash.
    Open { hash: Digest, body: Vec<u8> },
    /// It refuses, and the attempt is lost to it.
    Refuse(Fault),
}

impl PartyActor {
    pub(crate) fn new(
        identity: IdentityKey,
        epoch: Option<PartyEpoch>,
        mishaps: Vec<Mishap>,
        rng: ChaCha20Rng,
    ) -> Self {
        Self {
            identity,
            epoch,
            state: State::Idle,
            attempt: Attempt {
                round: 0,
                attempt: 0,
            },
            sent: 0,
            gone_until: 0,
            mishaps,
            rng,
            early: None,
        }
    }

    pub(crate) fn epoch(&self) -> Option<&PartyEpoch> {
        self.epoch.as_ref()
    }

    pub(crate) fn take(&mut self, attempt: Attempt, kind: Kind, bytes: &[u8]) -> Act {
        if self.is_gone(attempt) {
            return Act::Nothing;
        }
        match kind {
            Kind::Begin => self.begin(attempt),
            _ if attempt != self.attempt => Act::Nothing,
            Kind::View => self.agree(bytes),
            Kind::Bundle => self.open(bytes),
            _ => Act::Nothing,
        }
    }

    fn begin(&mut self, attempt: Attempt) -> Act {
        if attempt > self.attempt {
            (self.attempt, self.sent) = (attempt, 0);
            self.state = State::Idle;
            self.early = None;
        }
        self.leave_if_due();
        if self.is_gone(attempt) {
            return Act::Nothing;
        }
        let slow = |mishap: &Mishap| match mishap.kind {
            MishapKind::Slow(by) if mishap.round == attempt.round => Some(by),
            _ => None,
        };
        Act::Compute {
            slower: self.mishaps.iter().filter_map(slow).sum(),
        }
    }

    /// Its vector is ready. The machine itself refuses an attempt that is spent (SA-06).
    pub(crate) fn input(&mut self, attempt: Attempt, spec: SumSpec, vector: RingVec) -> Act {
        if self.is_gone(attempt) {
            return Act::Nothing;
        }
        let Some(epoch) = &mut self.epoch else {
            return Act::Nothing;
        };
        match epoch.mask(attempt, spec, vector, &mut self.rng) {
            Ok((masked, body)) => {
                if attempt == self.attempt {
                    self.state = State::Masked(Box::new(masked));
                    self.has_sent();
                }
                Act::Input(body)
            }
            Err(fault) => Act::Refuse(fault),
        }
    }

    fn agree(&mut self, view: &[u8]) -> Act {
        let masked = match std::mem::replace(&mut self.state, State::Idle) {
            State::Masked(masked) => masked,
            other => {
                self.state = other;
                return Act::Nothing;
            }
        };
        match masked.sign(view, &self.identity) {
            Ok((signed, body)) => {
                let (hash, survivors) = (signed.survivor_hash(), signed.survivors());
                self.state = State::Signed(Box::new(signed));
                self.has_sent();
                let early = self.early.take();
                Act::Agree {
                    hash,
                    survivors,
                    body,
                    then: early.map(|bundle| Box::new(self.open(&bundle))),
                }
            }
            Err(fault) => Act::Refuse(fault),
        }
    }

    fn open(&mut self, bundle: &[u8]) -> Act {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Signed(signed) => {
                let hash = signed.survivor_hash();
                match signed.open(bundle) {
                    Ok(body) => {
                        self.has_sent();
                        Act::Open { hash, body }
                    }
                    Err(fault) => Act::Refuse(fault),
                }
            }
            State::Masked(masked) => {
                self.state = State::Masked(masked);
                self.early = Some(bundle.to_vec());
                Act::Nothing
            }
            State::Idle => Act::Nothing,
        }
    }

    fn is_gone(&self, attempt: Attempt) -> bool {
        self.epoch.is_none() || attempt.round < self.gone_until
    }

    fn has_sent(&mut self) {
        self.sent += 1;
        self.leave_if_due();
    }

    fn leave_if_due(&mut self) {
        let round = self.attempt.round;
        for mishap in self.mishaps.iter().filter(|mishap| mishap.round == round) {
            match mishap.kind {
                MishapKind::Leaves { after, rounds } if self.sent >= after => {
                    self.gone_until = self.gone_until.max(round + rounds);
                    self.state = State::Idle;
                }
                MishapKind::Killed { after } if self.sent >= after => {
                    self.epoch = None;
                    self.state = State::Idle;
                }
                _ => {}
            }
        }
    }
}
