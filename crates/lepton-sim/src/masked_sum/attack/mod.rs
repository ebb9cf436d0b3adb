//! Ready-made adversaries.

mod dealer;
mod edits;
mod insiders;
mod keys;
mod replay;
mod split;

use chacha20::ChaCha20Rng;
use rand_core::Rng;

use super::MessageInterceptor;
use crate::random::generator;

pub(crate) use replay::{Recorder, Recording};

/// What an adversary does. How often, and to whom, follows from the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attack {
    /// Two survivor sets in one attempt: each honest party is shown one of two, colluders sign both, and whichever gets a quorum is opened. Some parties
    /// get the other set's signatures.
    SplitViews,
    /// Views whose list of survivors was changed.
    ForgedSurvivors,
    /// Messages to or from parties are lost.
    Dropped,
    /// Messages of earlier attempts and rounds stand in for present ones, or come beside them.
    Replayed,
    /// The same with messages of another epoch of the same parties.
    CrossEpoch,
    /// Sealed bundles change places within a view.
    SwappedBundles,
    /// A bit is flipped somewhere.
    BitFlips,
    /// Bodies are cut or grow; fields are cut.
    WrongLengths,
    /// Signatures that are too few, repeat, or come from elsewhere.
    ForgedQuorum,
    /// Parties are told different purposes.
    MixedPurposes,
    /// In the set-up: adverts of two parties change places for some readers, or a colluder has a second advert for them.
    SwappedAdverts,
    /// In the set-up: reveals and adverts are withheld from some.
    WithheldReveals,
    /// Colluders open altered shares.
    AlteredOpenings,
    /// Colluders deal altered bundles, commitments to shares, or commitments to pair seeds.
    AlteredDealing,
    /// Colluders deal shares that are not those committed to, or that are and do not combine, in bundles that open.
    CrookedDealing,
    /// Colluders sign nothing or something else, and send whatever they like.
    BadSignatures,
}

/// Whose messages an adversary changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Everybody's: the coordinator is malicious.
    Coordinator,
    /// Those of colluders.
    Colluders,
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::SplitViews,
        Self::ForgedSurvivors,
        Self::Dropped,
        Self::Replayed,
        Self::CrossEpoch,
        Self::SwappedBundles,
        Self::BitFlips,
        Self::WrongLengths,
        Self::ForgedQuorum,
        Self::MixedPurposes,
        Self::SwappedAdverts,
        Self::WithheldReveals,
        Self::AlteredOpenings,
        Self::AlteredDealing,
        Self::CrookedDealing,
        Self::BadSignatures,
    ];

    /// Whose messages it changes.
    #[must_use]
    pub fn side(self) -> Side {
        match self {
            Self::AlteredOpenings
            | Self::AlteredDealing
            | Self::CrookedDealing
            | Self::BadSignatures => Side::Colluders,
            _ => Side::Coordinator,
        }
    }

    /// Whether it needs to see the messages of the set-up ([`SetUp::Each`](super::SetUp::Each)).
    #[must_use]
    pub fn needs_set_up(self) -> bool {
        matches!(
            self,
            Self::SwappedAdverts | Self::WithheldReveals | Self::CrookedDealing
        )
    }

    /// The adversary of this seed. [`Attack::CrossEpoch`] has nothing to replay but what it sees; [`Scenario`](super::Scenario) gives it another epoch.
    #[must_use]
    pub fn adversary(self, seed: u64) -> Box<dyn MessageInterceptor> {
        self.interceptor(seed, Recording::default())
    }

    /// The same. What [`Attack::CrossEpoch`] replays is in its recording; others replay what they see.
    pub(crate) fn interceptor(
        self,
        seed: u64,
        recording: Recording,
    ) -> Box<dyn MessageInterceptor> {
        let dice = Dice::new(seed, self);
        match self {
            Self::CrookedDealing => Box::new(dealer::CrookedDealer::new(dice)),
            Self::SplitViews => Box::new(split::SplitViews::new(dice)),
            Self::Replayed | Self::CrossEpoch => Box::new(replay::Replayer::new(dice, recording)),
            Self::SwappedAdverts | Self::WithheldReveals => {
                Box::new(keys::KeyThief::new(dice, self))
            }
            Self::AlteredOpenings | Self::AlteredDealing | Self::BadSignatures => {
                Box::new(insiders::Insiders::new(dice, self))
            }
            _ => Box::new(edits::Editor::new(dice, self)),
        }
    }
}

/// An adversary's choices.
pub(crate) struct Dice {
    rng: ChaCha20Rng,
    /// One message in this many is attacked.
    rarity: u64,
}

impl Dice {
    fn new(seed: u64, attack: Attack) -> Self {
        let mut dice = Self {
            rng: generator(seed, &format!("adversary {attack:?}")),
            rarity: 1,
        };
        dice.rarity = [1, 3, 10, 40].get(dice.below(4)).copied().unwrap_or(1);
        dice
    }

    /// Whether to attack this message.
    fn strikes(&mut self) -> bool {
        self.rng.next_u64().is_multiple_of(self.rarity)
    }

    fn coin(&mut self) -> bool {
        self.rng.next_u64().is_multiple_of(2)
    }

    /// Below `limit`; 0 when that is 0.
    fn below(&mut self, limit: usize) -> usize {
        let limit = limit.max(1) as u64;
        usize::try_from(self.rng.next_u64() % limit).unwrap_or_default()
    }

    /// Flips one bit.
    fn flip(&mut self, bytes: &mut [u8]) {
        let at = self.below(bytes.len());
        let bit = self.below(8);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << bit;
        }
    }
}
