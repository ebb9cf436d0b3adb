//! A party's set-up and the epoch it opens.

use std::sync::Arc;

use lepton_crypto::{AgreementKey, IdentityKey, IdentityPublic, Seed};
use lepton_ring::RingVec;
use prost::Message;
use rand_core::CryptoRng;

use crate::chain::Chains;
use crate::context::Binding;
use crate::keys::{ADVERT_DOMAIN, EpochStatement, check_roster};
use crate::party::{self, Masked};
use crate::wire::KeyAdvertIn;
use crate::{
    Attempt, CallerReason, CoordinatorReason, EpochContext, EpochKeys, Fault, Parameters,
    PartyIndex, PeerReason, VectorSpec,
};

/// A party that sent its key and waits for the others'.
pub struct PartySetup {
    index: PartyIndex,
    params: Parameters,
    context: EpochContext,
    roster: Vec<IdentityPublic>,
    key: AgreementKey,
}

/// The signed key that opens an epoch: sent to all other parties through the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAdvert {
    /// The encoded body.
    pub bytes: Vec<u8>,
}

/// A party in an epoch: holds the pair secrets of all rounds to come, in memory only.
pub struct PartyEpoch {
    index: PartyIndex,
    keys: Arc<EpochKeys>,
    chains: Chains,
    side: Vec<Option<Seed>>,
}

impl PartySetup {
    /// Makes the epoch's fresh key and its advert. Refuses a roster or identity that does not fit (SA-01).
    pub fn begin(
        index: PartyIndex,
        identity: &IdentityKey,
        roster: &[IdentityPublic],
        params: Parameters,
        context: EpochContext,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, KeyAdvert), Fault> {
        check_roster(&params, roster)?;
        if roster.get(index.at()) != Some(&identity.public()) {
            return Err(CallerReason::Identity.into());
        }
        let key = AgreementKey::generate(rng);
        let statement = EpochStatement::new(&params, roster, &context).advert(index, &key.public());
        let advert = KeyAdvertIn {
            key: key.public().to_bytes().to_vec(),
            signature: identity.sign(ADVERT_DOMAIN, &statement).to_bytes().to_vec(),
        };
        let setup = Self {
            index,
            params,
            context,
            roster: roster.to_vec(),
            key,
        };
        Ok((
            setup,
            KeyAdvert {
                bytes: advert.encode_to_vec(),
            },
        ))
    }

    /// Verifies all parties' adverts, its own among them, and derives the pair roots; the private key is dropped.
    ///
    /// Refuses what [`EpochKeys::verify`] refuses, and another key than its own at its own position (SA-04).
    pub fn finish(self, adverts: &[(PartyIndex, Vec<u8>)]) -> Result<PartyEpoch, Fault> {
        let keys = EpochKeys::verify(self.params, &self.roster, self.context, adverts)?;
        if keys.key(self.index) != Some(&self.key.public()) {
            return Err(CoordinatorReason::OwnKey.into());
        }
        let epoch = keys.digest();
        let (mut roots, mut side) = (Vec::new(), Vec::new());
        for peer in self.params.everyone() {
            let public = keys.key(peer).filter(|_| peer != self.index);
            let agreed = public
                .map(|public| {
                    self.key
                        .agree(public)
                        .map_err(|_| Fault::Peer(peer, PeerReason::Key))
                })
                .transpose()?;
            roots.push(
                agreed
                    .as_ref()
                    .map(|root| root.derive("masked-sum rounds", epoch.as_ref())),
            );
            side.push(
                agreed
                    .as_ref()
                    .map(|root| root.derive("masked-sum side", epoch.as_ref())),
            );
        }
        Ok(PartyEpoch {
            index: self.index,
            keys: Arc::new(keys),
            chains: Chains::new(roots),
            side,
        })
    }
}

impl PartyEpoch {
    /// A secret that only this party and `peer` know, the same on both sides and for the whole epoch, of a derivation leaf of its own (SA-05):
    /// for messages between two parties that the coordinator must not read. Whoever seals with it derives one key per direction and message.
    pub fn pair_secret(&self, peer: PartyIndex, label: &str) -> Result<Seed, Fault> {
        let root = self
            .side
            .get(peer.at())
            .and_then(Option::as_ref)
            .ok_or(CallerReason::Peer(peer))?;
        Ok(root.derive(label, b""))
    }

    /// This party's position.
    #[must_use]
    pub fn index(&self) -> PartyIndex {
        self.index
    }

    /// The epoch's verified keys, roster and parameters.
    #[must_use]
    pub fn keys(&self) -> &EpochKeys {
        &self.keys
    }

    /// Masks `input` for `attempt` and deals the shares: the state to come, and message (a).
    ///
    /// Refuses an input of another modulus or length, and an attempt that is not later than every one before (SA-06); the attempt is used up
    /// only when the message is made. Persist the attempt and what the input was before the message leaves.
    pub fn mask(
        &mut self,
        attempt: Attempt,
        spec: VectorSpec,
        input: RingVec,
        rng: &mut impl CryptoRng,
    ) -> Result<(Masked, Vec<u8>), Fault> {
        if input.modulus() != spec.modulus || input.len() != spec.len {
            return Err(CallerReason::Input.into());
        }
        let secrets = self.chains.take(attempt)?;
        let binding = Binding::new(&self.keys.digest(), attempt, spec);
        let place = party::Place {
            index: self.index,
            keys: Arc::clone(&self.keys),
            attempt,
            binding,
        };
        Ok(party::mask(place, &secrets, input, rng))
    }
}
