//! The coordinator around its machine.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lepton_crypto::Digest;
use lepton_secagg::{
    Attempt, Collecting, EpochKeys, Fault, Opening, PartyIndex, Signing, SumSpec, Summed,
};

use super::Kind;

/// The coordinator: honest, whatever is done to its messages.
pub(crate) struct CoordinatorActor {
    keys: Arc<EpochKeys>,
    stage: Stage,
    survivors: Vec<PartyIndex>,
    bundle: Vec<u8>,
    hash: Option<Digest>,
}

enum Stage {
    Between,
    Collecting(Box<Collecting>),
    Signing(Box<Signing>),
    Opening(Box<Opening>),
}

/// What follows from an event.
pub(crate) enum Move {
    /// Nothing yet.
    Stay,
    /// The message came too late or too early.
    OutOfPlace,
    /// A message was refused.
    Refused(Fault),
    /// The survivors are fixed: the committee is to be shown them.
    Show,
    /// The quorum is reached: everybody is to open.
    Open,
    /// The attempt is over.
    End(Result<Summed, Fault>),
}

impl CoordinatorActor {
    pub(crate) fn new(keys: Arc<EpochKeys>) -> Self {
        Self {
            keys,
            stage: Stage::Between,
            survivors: Vec::new(),
            bundle: Vec::new(),
            hash: None,
        }
    }

    pub(crate) fn keys(&self) -> &Arc<EpochKeys> {
        &self.keys
    }

    pub(crate) fn begin(&mut self, attempt: Attempt, spec: SumSpec) -> Result<(), Fault> {
        let collecting = Collecting::new(Arc::clone(&self.keys), attempt, spec)?;
        self.stage = Stage::Collecting(Box::new(collecting));
        (self.survivors, self.bundle, self.hash) = (Vec::new(), Vec::new(), None);
        Ok(())
    }

    /// Whether it waits for (c).
    pub(crate) fn opens(&self) -> bool {
        matches!(self.stage, Stage::Opening(_))
    }

    /// The survivors it fixed in this attempt.
    pub(crate) fn survivors(&self) -> &[PartyIndex] {
        &self.survivors
    }

    /// The hash that stands for them.
    pub(crate) fn hash(&self) -> Option<Digest> {
        self.hash
    }

    /// What is made when it arrives.
    pub(crate) fn render(&self, kind: Kind, reader: PartyIndex) -> Option<Vec<u8>> {
        match (kind, &self.stage) {
            (Kind::View, Stage::Signing(signing)) => signing.view(reader),
            (Kind::View, Stage::Opening(opening)) => opening.view(reader),
            (Kind::Bundle, Stage::Opening(_)) => Some(self.bundle.clone()),
            _ => None,
        }
    }

    pub(crate) fn take(&mut self, from: PartyIndex, kind: Kind, bytes: &[u8]) -> Move {
        let everybody = usize::from(self.keys.parameters().parties());
        let (taken, ready) = match (kind, &mut self.stage) {
            (Kind::Input, Stage::Collecting(collecting)) => {
                let taken = collecting.accept(from, bytes);
                (taken, collecting.received().len() == everybody)
            }
            (Kind::Agree, Stage::Signing(signing)) => {
                (signing.accept(from, bytes), signing.ready())
            }
            (Kind::Open, Stage::Opening(opening)) => (opening.accept(from, bytes), opening.ready()),
            _ => return Move::OutOfPlace,
        };
        match taken {
            Err(fault) => Move::Refused(fault),
            Ok(()) if ready => self.advance(),
            Ok(()) => Move::Stay,
        }
    }

    /// The step is complete, or patience is at an end.
    pub(crate) fn advance(&mut self) -> Move {
        let next = match std::mem::replace(&mut self.stage, Stage::Between) {
            Stage::Between => return Move::Stay,
            Stage::Collecting(collecting) => collecting.close().map(|signing| {
                self.survivors = signing.survivors();
                self.hash = Some(signing.survivor_hash());
                (Stage::Signing(Box::new(signing)), Move::Show)
            }),
            Stage::Signing(signing) => signing.close().map(|(opening, bundle)| {
                self.bundle = bundle;
                (Stage::Opening(Box::new(opening)), Move::Open)
            }),
            Stage::Opening(opening) => return Move::End(opening.finish(NonZeroUsize::MIN)),
        };
        match next {
            Ok((stage, step)) => {
                self.stage = stage;
                step
            }
            Err(fault) => Move::End(Err(fault)),
        }
    }
}
