//! Commitments, coins and the check of MACs (AS-05, AS-07).

use std::collections::BTreeMap;

use lepton_crypto::{Digest, Seed, hash};

use super::field::{Element, Elements, expand};
use super::table::Shares;
use crate::{PartyIndex, Sender, Session};

/// Which of the two checks: of openings on the way, or of outputs (AS-08).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    OnTheWay,
    Outputs,
}

/// A party's secrets for both checks: parts of coins and what hides its commitments, all from one seed.
pub(crate) struct Secrets(Seed);

impl Secrets {
    pub(crate) const fn new(seed: Seed) -> Self {
        Self(seed)
    }

    /// This party's part of the coins: random for others until it is shown.
    pub(crate) fn coin(&self, which: Which) -> Seed {
        self.0.derive("coin", &[which as u8])
    }

    /// What hides the commitment to this party's part of the sum.
    pub(crate) fn blind(&self, which: Which) -> Seed {
        self.0.derive("blind", &[which as u8])
    }
}

/// A commitment of `party` to `value`, hidden by what is random in it.
pub(crate) fn commitment(
    session: &Session,
    party: PartyIndex,
    which: Which,
    value: &[u8],
) -> Digest {
    let maker = session.binding(Sender::Party(party), party);
    hash(
        "lepton/mpc/commitment/v1",
        &[maker.as_ref(), &[which as u8], value],
    )
}

/// The coefficients that all parties' coins give together.
pub(crate) fn coefficients(coins: &BTreeMap<PartyIndex, Vec<u8>>, len: usize) -> Elements {
    let parts: Vec<&[u8]> = coins.values().map(Vec::as_slice).collect();
    let mut seed = [0; 32];
    seed.copy_from_slice(hash("lepton/mpc/coins/v1", &parts).as_ref());
    expand(&Seed::from_bytes(seed), len)
}

/// Words that were opened since the last check, with this party's shares of their MACs.
#[derive(Default)]
pub(crate) struct Unchecked {
    words: Vec<Element>,
    macs: Shares,
}

impl Unchecked {
    pub(crate) fn push(&mut self, words: &[Element], shares: &Shares) {
        self.words.extend_from_slice(words);
        self.macs.extend_from_slice(shares);
    }

    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    /// This party's part of the sum that is 0 if nobody cheated (AS-07).
    pub(crate) fn part(&self, key: Element, coefficients: &[Element]) -> Element {
        let (mut macs, mut words) = (Element::ZERO, Element::ZERO);
        for ((factor, word), share) in coefficients.iter().zip(&self.words).zip(self.macs.iter()) {
            macs = macs.plus(factor.times(share.mac));
            words = words.plus(factor.times(*word));
        }
        macs.minus(key.times(words))
    }
}
