//! A party's set-up and the epoch it opens.

use std::sync::Arc;

use lepton_crypto::{AgreementKey, Digest, IdentityKey, Seed, ct_eq};
use lepton_ring::RingVec;
use prost::Message;
use rand_core::CryptoRng;

use crate::chain::Chains;
use crate::context::Binding;
use crate::grouping::Scope;
use crate::keys::{ADVERT_DOMAIN, EpochStatement, Frozen, Reliance, Roster};
use crate::neighbourhood::Neighbourhood;
use crate::party::{self, Masked};
use crate::wire::{KeyAdvertIn, RevealIn, WORD};
use crate::{
    Attempt, CallerReason, CoordinatorReason, EpochContext, EpochKeys, Fault, Parameters,
    PartyIndex, PeerReason, SumSpec,
};

/// A party that sent its key and waits for the others'.
pub struct PartySetup {
    index: PartyIndex,
    params: Parameters,
    context: EpochContext,
    roster: Roster,
    key: AgreementKey,
    part: [u8; WORD],
    commitment: Vec<u8>,
}

/// The signed key that opens an epoch: sent to all other parties through the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAdvert {
    /// The encoded body.
    pub bytes: Vec<u8>,
}

/// A party that saw the adverts of all: from now on the membership is frozen. On a sparse graph it reveals its part of the seed and waits
/// for the others'.
pub struct PartyFrozen {
    index: PartyIndex,
    key: AgreementKey,
    part: [u8; WORD],
    frozen: Frozen,
}

/// A party in an epoch: holds the pair secrets of all rounds to come, in memory only.
pub struct PartyEpoch {
    keys: Arc<EpochKeys>,
    neighbourhood: Neighbourhood,
    chains: Chains,
    side: Vec<(PartyIndex, Seed)>,
}

impl PartySetup {
    /// Makes the epoch's fresh key, its part of the graph's seed, and the advert of both. Refuses a roster or identity that does not fit (SA-01).
    pub fn begin(
        index: PartyIndex,
        identity: &IdentityKey,
        roster: &Roster,
        params: Parameters,
        context: EpochContext,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, KeyAdvert), Fault> {
        let statement = EpochStatement::new(&params, roster, &context)?;
        if roster.identities().get(index.at()) != Some(&identity.public()) {
            return Err(CallerReason::Identity.into());
        }
        let key = AgreementKey::generate(rng);
        let mut part = [0; WORD];
        rng.fill_bytes(&mut part);
        let commitment = if params.is_sparse() {
            statement.commitment(index, &part).as_ref().to_vec()
        } else {
            Vec::new()
        };
        let signed = statement.advert(index, &key.public(), &commitment);
        let advert = KeyAdvertIn {
            key: key.public().to_bytes().to_vec(),
            signature: identity.sign(ADVERT_DOMAIN, &signed).to_bytes().to_vec(),
            commitment: commitment.clone(),
        };
        let setup = Self {
            index,
            params,
            context,
            roster: roster.clone(),
            key,
            part,
            commitment,
        };
        let bytes = advert.encode_to_vec();
        Ok((setup, KeyAdvert { bytes }))
    }

    /// Takes all parties' adverts, its own among them: the membership from which the graph will be drawn.
    ///
    /// Refuses (SA-03) adverts that are missing, repeated or malformed; (SA-04) another advert than its own at its own position.
    /// Signatures are checked by [`PartyFrozen::finish`], of those adverts that this party comes to rely on.
    pub fn freeze(self, adverts: &[(PartyIndex, Vec<u8>)]) -> Result<PartyFrozen, Fault> {
        let frozen = Frozen::new(self.params, self.roster, self.context, adverts)?;
        let commitment = frozen.commitment(self.index).unwrap_or_default();
        let own = frozen.key(self.index) == Some(&self.key.public());
        if !own || !ct_eq(commitment, &self.commitment) {
            return Err(CoordinatorReason::OwnKey.into());
        }
        Ok(PartyFrozen {
            index: self.index,
            key: self.key,
            part: self.part,
            frozen,
        })
    }

    /// What this party reveals for adverts with this digest, which somebody else checked: for simulations of many parties in one process only.
    /// A party on a network uses [`PartySetup::freeze`], which checks that its own commitment is among those it reveals for.
    #[must_use]
    pub fn insecure_reveal(&self, adverts: &Digest) -> Option<Vec<u8>> {
        self.params.is_sparse().then(|| reveal(adverts, &self.part))
    }

    /// Joins an epoch whose keys were verified already by a machine in this process: a simulation of many parties verifies them once.
    /// Refuses keys of another epoch, roster or parameters, and another key than its own at its own position (SA-04).
    pub fn join(self, keys: Arc<EpochKeys>) -> Result<PartyEpoch, Fault> {
        let same = *keys.parameters() == self.params
            && keys.context() == self.context
            && keys.roster().identities() == self.roster.identities();
        if !same {
            return Err(CoordinatorReason::Foreign.into());
        }
        PartyEpoch::derive(self.index, &self.key, keys)
    }
}

impl PartyFrozen {
    /// What this party reveals once it has seen all commitments (SA-22); `None` on a complete graph, which needs no seed.
    #[must_use]
    pub fn reveal(&self) -> Option<Vec<u8>> {
        let sparse = self.frozen.parameters().is_sparse();
        sparse.then(|| reveal(self.frozen.digest(), &self.part))
    }

    /// Verifies the reveals of all (ignored on a complete graph), draws the graph, verifies the adverts relied on and derives the pair roots; the
    /// private key is dropped.
    ///
    /// Refuses (SA-22) reveals that are missing, repeated or do not open their commitments; (SA-03) adverts relied on that are not validly signed
    /// or whose key is of small order or shared by two of them.
    pub fn finish(self, reveals: &[(PartyIndex, Vec<u8>)]) -> Result<PartyEpoch, Fault> {
        let keys = self.frozen.open(reveals, &Reliance::Of(self.index))?;
        PartyEpoch::derive(self.index, &self.key, Arc::new(keys))
    }
}

fn reveal(adverts: &Digest, part: &[u8; WORD]) -> Vec<u8> {
    let reveal = RevealIn {
        adverts: adverts.as_ref().to_vec(),
        part: part.to_vec(),
    };
    reveal.encode_to_vec()
}

impl PartyEpoch {
    fn derive(index: PartyIndex, key: &AgreementKey, keys: Arc<EpochKeys>) -> Result<Self, Fault> {
        if keys.key(index) != Some(&key.public()) {
            return Err(CoordinatorReason::OwnKey.into());
        }
        let epoch = keys.digest();
        let neighbourhood = keys.neighbourhood(index);
        let (mut roots, mut side) = (Vec::new(), Vec::new());
        for peer in keys.correspondents(index) {
            let public = keys.key(peer).ok_or(CallerReason::Peer(peer))?;
            let root = key
                .agree(public)
                .map_err(|_| Fault::Peer(peer, PeerReason::Key))?;
            if neighbourhood.rank(peer).is_some() {
                roots.push(root.derive("masked-sum rounds", epoch.as_ref()));
            }
            side.push((peer, root.derive("masked-sum side", epoch.as_ref())));
        }
        Ok(Self {
            keys,
            neighbourhood,
            chains: Chains::new(&roots),
            side,
        })
    }

    /// A secret that only this party and `peer` know, the same on both sides and for the whole epoch, of a derivation leaf of its own (SA-05):
    /// for messages between two parties that the coordinator must not read. Whoever seals with it derives one key per direction and message.
    ///
    /// Refuses a peer with whom there is no agreement: on a sparse graph there is one with each neighbour, and between the first party of the
    /// roster and everybody.
    pub fn pair_secret(&self, peer: PartyIndex, label: &str) -> Result<Seed, Fault> {
        let place = self.side.binary_search_by_key(&peer, |(peer, _)| *peer);
        let (_, root) = place
            .ok()
            .and_then(|place| self.side.get(place))
            .ok_or(CallerReason::Peer(peer))?;
        Ok(root.derive(label, b""))
    }

    /// This party's position.
    #[must_use]
    pub fn index(&self) -> PartyIndex {
        self.neighbourhood.party()
    }

    /// The epoch's verified keys, roster and parameters.
    #[must_use]
    pub fn keys(&self) -> &EpochKeys {
        &self.keys
    }

    /// Masks `input` for `attempt` and deals the shares: the state to come, and message (a). For one sum over all (from a [`crate::VectorSpec`]), or for that of
    /// the party's group: then masks and shares are those of its group alone (SA-25).
    ///
    /// Refuses an input of another modulus or length, groups made for other parameters, and an attempt that is not later than every one before (SA-06); the attempt is used up
    /// only when the message is made. Persist the attempt and what the input was before the message leaves.
    pub fn mask(
        &mut self,
        attempt: Attempt,
        spec: impl Into<SumSpec>,
        input: RingVec,
        rng: &mut impl CryptoRng,
    ) -> Result<(Masked, Vec<u8>), Fault> {
        let SumSpec {
            vector: spec,
            grouping,
        } = spec.into();
        if input.modulus() != spec.modulus || input.len() != spec.len {
            return Err(CallerReason::Input.into());
        }
        let scope = Scope::new(Arc::clone(&self.keys), grouping)?;
        let all = self.chains.take(attempt)?;
        // The seeds with parties of other groups are used up with the rest (SA-06), and wiped here.
        let neighbourhood = scope.neighbourhood(self.index());
        let secrets: Vec<Seed> = self
            .neighbourhood
            .others()
            .zip(all)
            .filter(|(peer, _)| neighbourhood.rank(*peer).is_some())
            .map(|(_, secret)| secret)
            .collect();
        let place = party::Place {
            neighbourhood,
            binding: Binding::of(&scope, attempt, spec),
            scope,
            attempt,
        };
        Ok(party::mask(place, &secrets, input, rng))
    }
}
