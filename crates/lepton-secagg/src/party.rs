//! A party in an attempt: masked, then signed, then opened.

use std::collections::BTreeSet;
use std::sync::Arc;

use lepton_crypto::{Digest, IdentityKey, Seed, Signature, open, seal};
use lepton_ring::{MaskStream, RingVec};
use prost::Message;
use rand_core::CryptoRng;

use crate::context::{Binding, secrets_digest, vector_digest};
use crate::deal::{Column, deal};
use crate::wire::{
    self, DealerIn, MaskedInputIn, OpeningsIn, SignatureBundleIn, SignatureIn, SignerIn,
    SurvivorViewIn, WORD,
};
use crate::{
    Attempt, CallerReason, CoordinatorReason, EpochKeys, Fault, Parameters, PartyIndex, PeerReason,
};

pub(crate) const SURVIVOR_DOMAIN: &str = "lepton/masked-sum/survivors/v1";

/// Where a party stands.
pub(crate) struct Place {
    pub(crate) index: PartyIndex,
    pub(crate) keys: Arc<EpochKeys>,
    pub(crate) attempt: Attempt,
    pub(crate) binding: Binding,
}

/// A party that made its message (a) and waits for the survivor set.
///
/// Dropping it makes the party a drop of this attempt.
pub struct Masked {
    place: Place,
    digest: Digest,
    own: Column,
    openers: Vec<Option<Seed>>,
}

/// A party that signed a survivor set and waits for the others' signatures.
pub struct Signed {
    place: Place,
    hash: Digest,
    survivors: Vec<PartyIndex>,
    columns: Vec<Column>,
}

/// Masks and deals (SA-07 to SA-09). `secrets` are the attempt's pair secrets by roster position, the party's own absent.
pub(crate) fn mask(
    place: Place,
    secrets: &[Option<Seed>],
    input: RingVec,
    rng: &mut impl CryptoRng,
) -> (Masked, Vec<u8>) {
    let Place { index, binding, .. } = place;
    let params = *place.keys.parameters();
    let seeds: Vec<Seed> = secrets
        .iter()
        .map(|secret| {
            secret.as_ref().map_or_else(
                || Seed::random(rng),
                |s| s.derive("mask", &binding.to_vec()),
            )
        })
        .collect();
    let vector = masked(index, input, &seeds).pack();
    let mut dealt = deal(&binding, index, &params, &seeds, rng);
    let vector_digest = vector_digest(&vector);
    let secrets_digest = secrets_digest(&dealt.secrets);
    let digest = binding.input_digest(
        index,
        vector_digest.as_ref(),
        secrets_digest.as_ref(),
        &dealt.digests,
    );
    let key = |secret: &Seed, from, to| secret.derive("seal", &binding.directed(from, to));
    let sealed = dealt
        .columns
        .iter()
        .zip(secrets)
        .zip(params.everyone())
        .map(|((column, secret), holder)| {
            let aad = bundle_context(&binding, index, holder, &digest);
            secret
                .as_ref()
                .map(|s| seal(&key(s, index, holder), &aad, column.bytes()))
                .unwrap_or_default()
        });
    let body = MaskedInputIn {
        binding: binding.to_vec(),
        vector,
        sealed: sealed.collect(),
        shares: dealt.shares,
        secrets: dealt.secrets,
        proof: Vec::new(),
    };
    let openers = secrets.iter().zip(params.everyone());
    let openers = openers
        .map(|(secret, peer)| secret.as_ref().map(|s| key(s, peer, index)))
        .collect();
    let own = dealt.columns.swap_remove(index.at());
    (
        Masked {
            place,
            digest,
            own,
            openers,
        },
        body.encode_to_vec(),
    )
}

impl Masked {
    /// The digest of this party's message (a): the vector, the commitments, the attempt.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The attempt.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        self.place.attempt
    }

    /// Checks the coordinator's view and signs it: the state to come, and message (b). Consumes the only state that can sign in this attempt
    /// (SA-14), also when it refuses: the party is then a drop of this attempt.
    ///
    /// Refuses (SA-12) survivors out of order, below the floor, without this party or with another message than it sent; (SA-13) bundles
    /// that do not open or do not match. Persist [`Signed::survivor_hash`] before the message leaves (SA-20).
    pub fn sign(
        self,
        survivors: &[u8],
        identity: &IdentityKey,
    ) -> Result<(Signed, Vec<u8>), Fault> {
        let Place {
            index,
            keys,
            binding,
            ..
        } = &self.place;
        if keys.identity(*index) != Some(&identity.public()) {
            return Err(CallerReason::Identity.into());
        }
        let params = keys.parameters();
        let view: SurvivorViewIn = wire::decode(survivors, wire::view_limit(params))
            .ok_or(CoordinatorReason::Malformed)?;
        if !binding.matches(&view.binding) {
            return Err(CoordinatorReason::Foreign.into());
        }
        let survivors = survivor_list(params, &view)?;
        let (mut inputs, mut columns) = (Vec::new(), Vec::new());
        let mut own = Some(&self.own);
        for (dealer, shown) in survivors.iter().zip(&view.dealers) {
            let digest = shown_digest(binding, params, *dealer, shown)?;
            inputs.push((*dealer, digest));
            if dealer == index {
                own.take_if(|_| digest == self.digest)
                    .ok_or(CoordinatorReason::OwnInput)?;
            } else {
                columns.push((*dealer, self.open_bundle(*dealer, &digest, shown)?));
            }
        }
        if own.is_some() {
            return Err(CoordinatorReason::OwnInput.into());
        }
        let hash = binding.survivor_hash(&inputs);
        let signature = identity.sign(SURVIVOR_DOMAIN, hash.as_ref());
        let body = SignatureIn {
            binding: binding.to_vec(),
            signature: signature.to_bytes().to_vec(),
        };
        Ok((
            self.into_signed(hash, survivors, columns),
            body.encode_to_vec(),
        ))
    }

    fn open_bundle(
        &self,
        dealer: PartyIndex,
        digest: &Digest,
        shown: &DealerIn,
    ) -> Result<Column, Fault> {
        let Place {
            index,
            keys,
            binding,
            ..
        } = &self.place;
        let unopened = CoordinatorReason::Bundle { dealer };
        let key = self
            .openers
            .get(dealer.at())
            .and_then(Option::as_ref)
            .ok_or(unopened)?;
        let aad = bundle_context(binding, dealer, *index, digest);
        let plain = open(key, &aad, &shown.sealed).map_err(|_| unopened)?;
        let refused = Fault::Peer(dealer, PeerReason::Dealt);
        let column = Column::new(plain, keys.parameters()).ok_or(refused.clone())?;
        let committed = shown.columns.chunks_exact(WORD).nth(index.at());
        let dealt = column.digest(binding, dealer, *index);
        if committed == Some(dealt.as_ref()) {
            Ok(column)
        } else {
            Err(refused)
        }
    }

    fn into_signed(
        self,
        hash: Digest,
        survivors: Vec<PartyIndex>,
        others: Vec<(PartyIndex, Column)>,
    ) -> Signed {
        let own = (self.place.index, self.own);
        let mut columns: Vec<_> = others.into_iter().chain([own]).collect();
        columns.sort_by_key(|(dealer, _)| *dealer);
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        Signed {
            place: self.place,
            hash,
            survivors,
            columns,
        }
    }
}

impl Signed {
    /// The hash that was signed: the attempt, who survived and what each survivor sent.
    #[must_use]
    pub fn survivor_hash(&self) -> Digest {
        self.hash
    }

    /// The attempt.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        self.place.attempt
    }

    /// The survivors that were signed, ascending.
    #[must_use]
    pub fn survivors(&self) -> &[PartyIndex] {
        &self.survivors
    }

    /// Checks the quorum's signatures and opens this party's shares: message (c), the last of the attempt.
    ///
    /// Refuses (SA-16) fewer than `Q` signers, signers that repeat or are no survivors, and signatures over another hash than this party
    /// signed. What is opened follows from the survivor set alone (SA-17).
    pub fn open(self, bundle: &[u8]) -> Result<Vec<u8>, Fault> {
        let Place { keys, binding, .. } = &self.place;
        let params = keys.parameters();
        let bundle: SignatureBundleIn =
            wire::decode(bundle, wire::bundle_limit(params)).ok_or(CoordinatorReason::Malformed)?;
        if !binding.matches(&bundle.binding) {
            return Err(CoordinatorReason::Foreign.into());
        }
        let need = usize::from(params.quorum());
        let quorum = bundle.signers.get(..need);
        let quorum = quorum.ok_or(CoordinatorReason::BelowQuorum {
            have: bundle.signers.len(),
            need,
        })?;
        let mut seen = BTreeSet::new();
        for signer in quorum {
            self.check_signer(signer, &mut seen)?;
        }
        let body = OpeningsIn {
            survivor_hash: self.hash.as_ref().to_vec(),
            shares: self.shares(),
        };
        Ok(body.encode_to_vec())
    }

    fn check_signer(
        &self,
        shown: &SignerIn,
        seen: &mut BTreeSet<PartyIndex>,
    ) -> Result<(), CoordinatorReason> {
        let signer = u16::try_from(shown.party)
            .map(PartyIndex::new)
            .map_err(|_| CoordinatorReason::Malformed)?;
        let identity = self
            .place
            .keys
            .identity(signer)
            .filter(|_| self.survivors.binary_search(&signer).is_ok());
        let identity = identity
            .filter(|_| seen.insert(signer))
            .ok_or(CoordinatorReason::Signer { signer })?;
        let invalid = CoordinatorReason::Signature { signer };
        let signature = Signature::try_from(shown.signature.as_slice()).map_err(|_| invalid)?;
        identity
            .verify(SURVIVOR_DOMAIN, self.hash.as_ref(), &signature)
            .map_err(|_| invalid)
    }

    fn shares(&self) -> Vec<u8> {
        let dropped = dropped(self.place.keys.parameters(), &self.survivors);
        let dealt = || self.survivors.iter().zip(&self.columns);
        let selves = dealt().map(|(dealer, column)| column.share(*dealer));
        let pairs =
            dealt().flat_map(|(_, column)| dropped.iter().map(|target| column.share(*target)));
        selves.chain(pairs).collect::<Vec<_>>().concat()
    }
}

/// What only a dishonest party would do, for the tests that do it.
#[cfg(test)]
impl Masked {
    /// The key under which `peer` seals for this party.
    pub(crate) fn opener(&self, peer: PartyIndex) -> &Seed {
        self.openers[peer.at()].as_ref().unwrap()
    }

    pub(crate) fn bundle_context_from(&self, dealer: PartyIndex, digest: &Digest) -> Vec<u8> {
        bundle_context(&self.place.binding, dealer, self.place.index, digest)
    }

    pub(crate) fn opener_index(&self) -> PartyIndex {
        self.place.index
    }

    pub(crate) fn binding(&self) -> Binding {
        self.place.binding
    }

    pub(crate) fn set_digest(&mut self, digest: Digest) {
        self.digest = digest;
    }
}

/// The roster members that are not survivors, ascending.
pub(crate) fn dropped(params: &Parameters, survivors: &[PartyIndex]) -> Vec<PartyIndex> {
    params
        .everyone()
        .filter(|party| survivors.binary_search(party).is_err())
        .collect()
}

fn masked(index: PartyIndex, mut vector: RingVec, seeds: &[Seed]) -> RingVec {
    for (seed, peer) in seeds.iter().zip((0..).map(PartyIndex::new)) {
        let stream = MaskStream::new(seed.as_bytes());
        if peer < index {
            stream.sub_from(&mut vector)
        } else {
            stream.add_to(&mut vector)
        }
    }
    vector
}

fn bundle_context(
    binding: &Binding,
    dealer: PartyIndex,
    holder: PartyIndex,
    digest: &Digest,
) -> Vec<u8> {
    [binding.directed(dealer, holder).as_slice(), digest.as_ref()].concat()
}

fn survivor_list(
    params: &Parameters,
    view: &SurvivorViewIn,
) -> Result<Vec<PartyIndex>, CoordinatorReason> {
    let (have, need) = (view.dealers.len(), usize::from(params.survivor_floor()));
    if have < need {
        return Err(CoordinatorReason::BelowFloor { have, need });
    }
    let parties = view
        .dealers
        .iter()
        .map(|dealer| u16::try_from(dealer.party).map(PartyIndex::new));
    let parties: Vec<_> = parties
        .collect::<Result<_, _>>()
        .map_err(|_| CoordinatorReason::Survivors)?;
    let ascending = parties.is_sorted_by(|a, b| a < b);
    let known = parties.last().is_none_or(|last| last.at() < params.n());
    if ascending && known {
        Ok(parties)
    } else {
        Err(CoordinatorReason::Survivors)
    }
}

fn shown_digest(
    binding: &Binding,
    params: &Parameters,
    dealer: PartyIndex,
    shown: &DealerIn,
) -> Result<Digest, CoordinatorReason> {
    let lengths = [shown.vector.len(), shown.secrets.len(), shown.columns.len()];
    if lengths != [WORD, WORD, WORD * params.n()] {
        return Err(CoordinatorReason::Malformed);
    }
    Ok(binding.input_digest(dealer, &shown.vector, &shown.secrets, &shown.columns))
}
