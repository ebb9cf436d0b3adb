//! The epoch's verified public keys.

use std::collections::{BTreeMap, BTreeSet};

use lepton_crypto::{AgreementPublic, Digest, IdentityPublic, Signature, hash};

use crate::wire::{self, KeyAdvertIn};
use crate::{CallerReason, EpochContext, Fault, Parameters, PartyIndex, PeerReason, Step};

pub(crate) const ADVERT_DOMAIN: &str = "lepton/masked-sum/advert/v1";

/// All parties' key adverts of one epoch, verified (SA-03), with the roster, parameters and context that they are bound to.
pub struct EpochKeys {
    params: Parameters,
    context: EpochContext,
    roster: Vec<IdentityPublic>,
    keys: Vec<AgreementPublic>,
    digest: Digest,
}

impl EpochKeys {
    /// Verifies the adverts of all parties of the roster.
    ///
    /// Refuses (SA-01) a roster of another size or with repeated identities; (SA-03) adverts that are missing, repeated, from nobody in the
    /// roster, malformed, not signed by the roster's identity for this epoch, of small order or shared by two parties.
    pub fn verify(
        params: Parameters,
        roster: &[IdentityPublic],
        context: EpochContext,
        adverts: &[(PartyIndex, Vec<u8>)],
    ) -> Result<Self, Fault> {
        check_roster(&params, roster)?;
        let statement = EpochStatement::new(&params, roster, &context);
        let mut found = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (party, bytes) in adverts {
            let refuse = |reason| Fault::Peer(*party, reason);
            let identity = roster
                .get(party.at())
                .ok_or(refuse(PeerReason::Unexpected))?;
            let key = statement.verify(*party, identity, bytes).map_err(refuse)?;
            if found.insert(*party, key).is_some() {
                return Err(refuse(PeerReason::Duplicate));
            }
            if !seen.insert(key) {
                return Err(refuse(PeerReason::Key));
            }
        }
        if found.len() < params.n() {
            return Err(Fault::TooFew {
                have: found.len(),
                need: params.n(),
                step: Step::Setup,
            });
        }
        let keys: Vec<_> = found.into_values().collect();
        let digest = statement.epoch_digest(&keys);
        Ok(Self {
            params,
            context,
            roster: roster.to_vec(),
            keys,
            digest,
        })
    }

    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.params
    }

    /// The job and epoch.
    #[must_use]
    pub fn context(&self) -> EpochContext {
        self.context
    }

    /// The parties' identities by position.
    #[must_use]
    pub fn roster(&self) -> &[IdentityPublic] {
        &self.roster
    }

    /// The digest that stands for job, epoch, parameters, roster and all keys (SA-02).
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    pub(crate) fn key(&self, party: PartyIndex) -> Option<&AgreementPublic> {
        self.keys.get(party.at())
    }

    pub(crate) fn identity(&self, party: PartyIndex) -> Option<&IdentityPublic> {
        self.roster.get(party.at())
    }
}

/// What an advert's signature covers beside the party and its key.
pub(crate) struct EpochStatement(Digest);

impl EpochStatement {
    pub(crate) fn new(
        params: &Parameters,
        roster: &[IdentityPublic],
        context: &EpochContext,
    ) -> Self {
        let members: Vec<u8> = roster
            .iter()
            .flat_map(|identity| identity.to_bytes())
            .collect();
        Self(hash(
            "lepton/masked-sum/epoch/v1",
            &[&context.bytes(), &params.bytes(), &members],
        ))
    }

    pub(crate) fn advert(&self, party: PartyIndex, key: &AgreementPublic) -> Vec<u8> {
        [self.0.as_ref(), &party.bytes(), &key.to_bytes()].concat()
    }

    fn verify(
        &self,
        party: PartyIndex,
        identity: &IdentityPublic,
        bytes: &[u8],
    ) -> Result<AgreementPublic, PeerReason> {
        let advert: KeyAdvertIn =
            wire::decode(bytes, wire::ADVERT_LIMIT).ok_or(PeerReason::Malformed)?;
        let key = AgreementPublic::try_from(advert.key.as_slice())
            .map_err(|_| PeerReason::Length("key"))?;
        let signature = Signature::try_from(advert.signature.as_slice())
            .map_err(|_| PeerReason::Length("signature"))?;
        identity
            .verify(ADVERT_DOMAIN, &self.advert(party, &key), &signature)
            .map_err(|_| PeerReason::Signature)?;
        key.check().map_err(|_| PeerReason::Key)?;
        Ok(key)
    }

    fn epoch_digest(&self, keys: &[AgreementPublic]) -> Digest {
        let all: Vec<u8> = keys.iter().flat_map(|key| key.to_bytes()).collect();
        hash("lepton/masked-sum/keys/v1", &[self.0.as_ref(), &all])
    }
}

pub(crate) fn check_roster(
    params: &Parameters,
    roster: &[IdentityPublic],
) -> Result<(), CallerReason> {
    if roster.len() != params.n() {
        return Err(CallerReason::RosterSize {
            have: roster.len(),
            need: params.n(),
        });
    }
    if roster.iter().collect::<BTreeSet<_>>().len() != roster.len() {
        return Err(CallerReason::RepeatedIdentity);
    }
    Ok(())
}
