//! The coordinator while it opens the sum.

use std::collections::BTreeMap;

use lepton_crypto::{Digest, Seed, Zeroizing, ct_eq, shamir};
use lepton_ring::{MaskStream, RingVec};

use crate::coordinator::{Input, Round};
use crate::party::dropped;
use crate::wire::{self, OpeningsIn, WORD};
use crate::{Fault, PartyIndex, PeerReason, Step};

/// A coordinator that collects openings.
pub struct Opening {
    round: Round,
    hash: Digest,
    /// What each opener opens, in order: dealer and secret (SA-17).
    order: Vec<(PartyIndex, PartyIndex)>,
    openings: BTreeMap<PartyIndex, Zeroizing<Vec<u8>>>,
}

/// An opened sum.
#[derive(Debug, PartialEq, Eq)]
pub struct Summed {
    /// The sum of the survivors' vectors modulo `2^bits`.
    pub sum: RingVec,
    /// Whose vectors it sums, ascending.
    pub survivors: Vec<PartyIndex>,
}

impl Opening {
    pub(crate) fn new(round: Round, hash: Digest) -> Self {
        let survivors: Vec<_> = round.inputs.keys().copied().collect();
        let dropped = dropped(round.keys.parameters(), &survivors);
        let selves = survivors.iter().map(|i| (*i, *i));
        let pairs = survivors
            .iter()
            .flat_map(|i| dropped.iter().map(|j| (*i, *j)));
        let order = selves.chain(pairs).collect();
        Self {
            round,
            hash,
            order,
            openings: BTreeMap::new(),
        }
    }

    /// Takes a party's message (c). Refuses (SA-18) parties that are no survivors, second and foreign messages, wrong lengths, and any share
    /// that its dealer did not commit to.
    pub fn accept(&mut self, from: PartyIndex, body: &[u8]) -> Result<(), Fault> {
        let shares = self
            .verify(from, body)
            .map_err(|reason| Fault::Peer(from, reason))?;
        self.openings.insert(from, shares);
        Ok(())
    }

    /// Whether the threshold is reached, for every secret at once: each opening holds a share of all of them.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.openings.len() >= self.threshold()
    }

    /// Combines the shares, checks each secret and takes its mask off the sum. Refuses fewer openings than the threshold (SA-19), and a dealer
    /// whose shares do not combine to the secret it committed to (SA-18).
    pub fn finish(self) -> Result<Summed, Fault> {
        let (have, need) = (self.openings.len(), self.threshold());
        if have < need {
            return Err(Fault::TooFew {
                have,
                need,
                step: Step::Opening,
            });
        }
        let seeds = self
            .order
            .iter()
            .enumerate()
            .map(|(place, (dealer, target))| self.combine(place, *dealer, *target));
        let seeds: Vec<Seed> = seeds.collect::<Result<_, _>>()?;
        let mut sum = self.round.sum;
        for (seed, (dealer, target)) in seeds.iter().zip(&self.order) {
            let stream = MaskStream::new(seed.as_bytes());
            // The dealer added its self mask and the masks with later parties, and subtracted those with earlier ones (SA-07).
            if target < dealer {
                stream.add_to(&mut sum)
            } else {
                stream.sub_from(&mut sum)
            }
        }
        Ok(Summed {
            sum,
            survivors: self.round.inputs.into_keys().collect(),
        })
    }

    fn threshold(&self) -> usize {
        self.round.keys.parameters().threshold().into()
    }

    fn verify(&self, from: PartyIndex, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, PeerReason> {
        let params = self.round.keys.parameters();
        if !self.round.inputs.contains_key(&from) {
            return Err(PeerReason::Unexpected);
        }
        if self.openings.contains_key(&from) {
            return Err(PeerReason::Duplicate);
        }
        let message: OpeningsIn =
            wire::decode(body, wire::openings_limit(params)).ok_or(PeerReason::Malformed)?;
        let shares = Zeroizing::new(message.shares);
        if message.survivor_hash != self.hash.as_ref() {
            return Err(PeerReason::Foreign);
        }
        if shares.len() != self.order.len() * WORD {
            return Err(PeerReason::Length("shares"));
        }
        for (share, (dealer, target)) in shares.chunks_exact(WORD).zip(&self.order) {
            let opened = self
                .round
                .binding
                .share_commitment([*dealer, *target, from], share);
            let committed = self
                .round
                .inputs
                .get(dealer)
                .map(|input| input.share(params.n(), from, *target));
            if committed != Some(opened.as_ref()) {
                return Err(PeerReason::Opened { dealer: *dealer });
            }
        }
        Ok(shares)
    }

    fn combine(&self, place: usize, dealer: PartyIndex, target: PartyIndex) -> Result<Seed, Fault> {
        let fault = Fault::Peer(dealer, PeerReason::Sharing);
        let threshold = self.round.keys.parameters().sharing_threshold();
        let shares = self
            .openings
            .iter()
            .take(usize::from(threshold))
            .filter_map(|(holder, shares)| {
                let bytes = shares.chunks_exact(WORD).nth(place)?.try_into().ok()?;
                Some(shamir::Share {
                    index: u8::try_from(holder.get() + 1).ok()?,
                    bytes,
                })
            });
        let shares: Vec<_> = shares.collect();
        let seed = shamir::combine(threshold, &shares).map_err(|_| fault.clone())?;
        let found = self
            .round
            .binding
            .secret_commitment(dealer, target, seed.as_bytes());
        let committed = self
            .round
            .inputs
            .get(&dealer)
            .map(|input| input.secret(target))
            .unwrap_or_default();
        if ct_eq(found.as_ref(), committed) {
            Ok(seed)
        } else {
            Err(fault)
        }
    }
}

impl Input {
    fn share(&self, parties: usize, holder: PartyIndex, target: PartyIndex) -> &[u8] {
        self.shares
            .chunks_exact(WORD)
            .nth(holder.at() * parties + target.at())
            .unwrap_or_default()
    }
}
