//! The coordinator while it opens the sum.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use lepton_crypto::sharing::Combiner;
use lepton_crypto::{Digest, Seed, Zeroizing, ct_eq};
use lepton_ring::{Mask, RingVec, Sign, apply_masks};

use crate::context::column_digest;
use crate::coordinator::{Round, Shown};
use crate::deal::ShareCommitments;
use crate::neighbourhood::Neighbourhood;
use crate::party::{opened, sign_of};
use crate::survivors::Survivors;
use crate::wire::{self, OpeningsIn, WORD};
use crate::{Fault, PartyIndex, PeerReason, Step};

/// Masks that are taken off the sum in one pass over it: bounds the memory of their key schedules.
const MASKS_AT_ONCE: usize = 4096;

/// A coordinator that collects openings.
pub struct Opening {
    round: Round,
    shown: Shown,
    hash: Digest,
    dealers: Vec<Dealer>,
    opened: BTreeSet<PartyIndex>,
    /// Dealers with fewer openings than the threshold.
    wanting: usize,
}

/// A survivor and what was opened of its secrets, no more than is needed.
struct Dealer {
    neighbourhood: Neighbourhood,
    /// Ranks of the secrets that are opened (SA-17).
    secrets: Vec<u8>,
    /// Rank of an opener and its shares, secret by secret.
    shares: Vec<(u8, Zeroizing<Vec<u8>>)>,
}

/// An opened attempt.
#[derive(Debug, PartialEq, Eq)]
pub struct Summed {
    /// The sum of all survivors' vectors modulo `2^bits`; with groups one for each, in their order, of its survivors. The ring need not hold a total of those.
    pub sums: Vec<RingVec>,
    /// Whose vectors are in them, ascending.
    pub survivors: Vec<PartyIndex>,
}

impl Opening {
    pub(crate) fn new(round: Round, shown: Shown, hash: Digest) -> Self {
        let dealers: Vec<_> = round
            .inputs
            .keys()
            .map(|party| Dealer::new(round.scope.neighbourhood(*party), &shown.survivors))
            .collect();
        Self {
            round,
            shown,
            hash,
            wanting: dealers.len(),
            dealers,
            opened: BTreeSet::new(),
        }
    }

    /// Takes a party's message (c). Refuses (SA-18) parties that are no survivors, second and foreign messages, wrong lengths, and any share
    /// that its dealer did not commit to.
    pub fn accept(&mut self, from: PartyIndex, body: &[u8]) -> Result<(), Fault> {
        let found = self
            .verify(from, body)
            .map_err(|reason| Fault::Peer(from, reason))?;
        let need = self.threshold();
        for (place, rank, shares) in found {
            let Some(dealer) = self.dealers.get_mut(place) else {
                continue;
            };
            if dealer.shares.len() < need {
                dealer.shares.push((rank, shares));
                self.wanting -= usize::from(dealer.shares.len() == need);
            }
        }
        self.opened.insert(from);
        Ok(())
    }

    /// Whether the threshold is reached for every secret.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.wanting == 0
    }

    /// Combines the shares, checks each secret and takes its mask off the sum, on up to `workers` threads (the sum does not depend on how many).
    /// Refuses fewer openings than the threshold (SA-19), and a dealer whose shares do not combine to the secret it committed to (SA-18).
    pub fn finish(mut self, workers: NonZeroUsize) -> Result<Summed, Fault> {
        let need = self.threshold();
        let have = self.dealers.iter().map(|dealer| dealer.shares.len()).min();
        let have = have.unwrap_or_default();
        if have < need {
            return Err(Fault::TooFew {
                have,
                need,
                step: Step::Opening,
            });
        }
        let mut sums = std::mem::take(&mut self.round.sums);
        for (group, sum) in sums.iter_mut().enumerate() {
            for some in self.seeds(group)?.chunks(MASKS_AT_ONCE) {
                let masks: Vec<_> = some
                    .iter()
                    .map(|(sign, seed)| Mask {
                        seed: seed.as_bytes(),
                        sign: *sign,
                    })
                    .collect();
                apply_masks(sum, &masks, workers);
            }
        }
        Ok(Summed {
            sums,
            survivors: self.round.inputs.into_keys().collect(),
        })
    }

    /// All seeds that are opened of the dealers in one of the sums: of those alone, so that a dealer's lies stay in it (SA-28).
    fn seeds(&self, sum: usize) -> Result<Vec<(Sign, Seed)>, Fault> {
        let mut seeds = Vec::new();
        for dealer in &self.dealers {
            if self.round.scope.sum_of(dealer.neighbourhood.party()) == sum {
                seeds.extend(self.combine(dealer)?);
            }
        }
        Ok(seeds)
    }

    fn threshold(&self) -> usize {
        self.round.scope.threshold().into()
    }

    /// The dealer's place, the opener's rank and the opened shares, for every dealer in the opener's closed neighbourhood.
    fn verify(&self, from: PartyIndex, body: &[u8]) -> Result<Vec<Opened>, PeerReason> {
        let scope = &self.round.scope;
        if !self.round.inputs.contains_key(&from) {
            return Err(PeerReason::Unexpected);
        }
        if self.opened.contains(&from) {
            return Err(PeerReason::Duplicate);
        }
        let limit = wire::openings_limit(scope.parameters());
        let message: OpeningsIn = wire::decode(body, limit).ok_or(PeerReason::Malformed)?;
        let entries = Zeroizing::new(message.entries);
        if message.survivor_hash != self.hash.as_ref() {
            return Err(PeerReason::Foreign);
        }
        let dealers = scope.neighbourhood(from);
        let dealers: Vec<_> = dealers
            .members()
            .iter()
            .filter_map(|d| self.place(*d))
            .collect();
        let lengths = dealers
            .iter()
            .map(|(_, dealer)| dealer.neighbourhood.len() * WORD);
        if entries.len() != lengths.sum::<usize>() {
            return Err(PeerReason::Length("entries"));
        }
        let mut rest = entries.as_slice();
        let mut found = Vec::with_capacity(dealers.len());
        for (place, dealer) in dealers {
            let (own, others) = rest.split_at(dealer.neighbourhood.len() * WORD);
            rest = others;
            let (rank, shares) = self.verify_column(dealer, from, own)?;
            found.push((place, rank, shares));
        }
        Ok(found)
    }

    fn place(&self, party: PartyIndex) -> Option<(usize, &Dealer)> {
        let place = self
            .dealers
            .binary_search_by_key(&party, |dealer| dealer.neighbourhood.party())
            .ok()?;
        Some((place, self.dealers.get(place)?))
    }

    /// The opener's rank and the shares among `entries`, if those are what the dealer committed to.
    fn verify_column(
        &self,
        dealer: &Dealer,
        from: PartyIndex,
        entries: &[u8],
    ) -> Result<(u8, Zeroizing<Vec<u8>>), PeerReason> {
        let party = dealer.neighbourhood.party();
        let refused = PeerReason::Opened { dealer: party };
        let commit = ShareCommitments::new(&self.round.binding, party, from);
        let mut shares = Zeroizing::new(Vec::with_capacity(dealer.secrets.len() * WORD));
        let mut commitments = entries.to_vec();
        for (rank, entry) in (0..=u8::MAX).zip(commitments.chunks_exact_mut(WORD)) {
            if dealer.secrets.binary_search(&rank).is_ok() {
                shares.extend_from_slice(entry);
                entry.copy_from_slice(commit.to(rank, entry).as_ref());
            }
        }
        let rank = dealer.neighbourhood.rank(from).ok_or(refused)?;
        let committed = self.round.inputs.get(&party).ok_or(refused)?.column(rank);
        if column_digest(&commitments).as_ref() != committed {
            return Err(refused);
        }
        Ok((u8::try_from(rank).map_err(|_| refused)?, shares))
    }

    /// The dealer's opened seeds, each with how it is taken off the sum.
    fn combine(&self, dealer: &Dealer) -> Result<Vec<(Sign, Seed)>, Fault> {
        let party = dealer.neighbourhood.party();
        let fault = Fault::Peer(party, PeerReason::Sharing);
        let holders: Vec<_> = dealer.shares.iter().map(|(rank, _)| rank + 1).collect();
        let shares: Vec<&[u8]> = dealer.shares.iter().map(|(_, s)| s.as_slice()).collect();
        let threshold = self.round.scope.threshold();
        let plain = Combiner::new(threshold, &holders)
            .and_then(|combiner| combiner.combine(&shares))
            .map_err(|_| fault.clone())?;
        let input = self.round.inputs.get(&party).ok_or(fault.clone())?;
        let mut seeds = Vec::with_capacity(dealer.secrets.len());
        for (rank, secret) in dealer.secrets.iter().zip(plain.chunks_exact(WORD)) {
            let rank = usize::from(*rank);
            let members = dealer.neighbourhood.members();
            let target = members.get(rank).copied().ok_or(fault.clone())?;
            let found = self.round.binding.secret_commitment(party, target, secret);
            if !ct_eq(found.as_ref(), input.secret(rank)) {
                return Err(fault);
            }
            let seed = Seed::try_from(secret).map_err(|_| fault.clone())?;
            seeds.push((taken_off(sign_of(party, target)), seed));
        }
        Ok(seeds)
    }

    /// The view of a survivor that asks again; `None` for others.
    #[must_use]
    pub fn view(&self, reader: PartyIndex) -> Option<Vec<u8>> {
        self.round.view(&self.shown, reader)
    }
}

/// How a mask that was put on with this sign is taken off.
fn taken_off(sign: Sign) -> Sign {
    match sign {
        Sign::Add => Sign::Subtract,
        Sign::Subtract => Sign::Add,
    }
}

/// Place of the dealer, rank of the opener, shares.
type Opened = (usize, u8, Zeroizing<Vec<u8>>);

impl Dealer {
    fn new(neighbourhood: Neighbourhood, survivors: &Survivors) -> Self {
        let ranks = (0..=u8::MAX).zip(neighbourhood.members());
        let secrets = ranks
            .filter(|(_, target)| opened(neighbourhood.party(), **target, survivors))
            .map(|(rank, _)| rank)
            .collect();
        Self {
            neighbourhood,
            secrets,
            shares: Vec::new(),
        }
    }
}
