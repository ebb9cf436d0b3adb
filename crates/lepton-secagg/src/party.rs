//! A party in an attempt: masked, then signed, then opened.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use lepton_crypto::{Digest, IdentityKey, Seed, Signature, merkle, open, seal};
use lepton_ring::{Mask, RingVec, Sign, apply_masks};
use prost::Message;
use rand_core::CryptoRng;

use crate::context::{Binding, secrets_digest, vector_digest};
use crate::deal::{Column, ShareCommitments, deal};
use crate::grouping::Scope;
use crate::neighbourhood::Neighbourhood;
use crate::survivors::Survivors;
use crate::wire::{
    self, DealerIn, MaskedInputIn, OpeningsIn, SignatureBundleIn, SignatureIn, SignerIn,
    SurvivorViewIn, WORD,
};
use crate::{Attempt, CallerReason, CoordinatorReason, Fault, PartyIndex, PeerReason};

pub(crate) const SURVIVOR_DOMAIN: &str = "lepton/masked-sum/survivors/v2";

/// Where a party stands.
pub(crate) struct Place {
    pub(crate) neighbourhood: Neighbourhood,
    pub(crate) scope: Scope,
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
    /// By neighbour.
    openers: Vec<Seed>,
}

/// A party that agreed to a survivor set and waits for the committee's signatures.
pub struct Signed {
    place: Place,
    hash: Digest,
    survivors: Survivors,
    /// By surviving dealer of the closed neighbourhood, ascending.
    columns: Vec<(PartyIndex, Column)>,
}

/// Masks and deals (SA-07 to SA-09). `secrets` are the attempt's pair secrets by neighbour.
pub(crate) fn mask(
    place: Place,
    secrets: &[Seed],
    mut vector: RingVec,
    rng: &mut impl CryptoRng,
) -> (Masked, Vec<u8>) {
    let Place {
        neighbourhood,
        binding,
        scope,
        ..
    } = &place;
    let seeds = mask_seeds(neighbourhood, binding, secrets, rng);
    let masks: Vec<_> = neighbourhood
        .members()
        .iter()
        .zip(&seeds)
        .map(|(peer, seed)| Mask {
            seed: seed.as_bytes(),
            sign: sign_of(neighbourhood.party(), *peer),
        })
        .collect();
    apply_masks(&mut vector, &masks, NonZeroUsize::MIN);
    let packed = vector.pack();
    let dealt = deal(binding, neighbourhood, scope.threshold(), &seeds, rng);
    let digest = binding.input_digest(
        neighbourhood.party(),
        vector_digest(&packed).as_ref(),
        secrets_digest(&dealt.secrets).as_ref(),
        &dealt.digests,
    );
    let mut columns = dealt.columns;
    let own = columns.remove(neighbourhood.own_rank());
    let body = MaskedInputIn {
        binding: binding.to_vec(),
        vector: packed,
        sealed: place.seal_all(&columns, secrets, &digest),
        columns: dealt.digests,
        secrets: dealt.secrets,
        proof: Vec::new(),
    };
    let openers = neighbourhood
        .others()
        .zip(secrets)
        .map(|(peer, secret)| binding.sealing_key(secret, peer, neighbourhood.party()))
        .collect();
    let masked = Masked {
        digest,
        own,
        openers,
        place,
    };
    (masked, body.encode_to_vec())
}

/// By rank: a fresh self-mask seed for the party itself, the attempt's pair seeds for its neighbours.
fn mask_seeds(
    neighbourhood: &Neighbourhood,
    binding: &Binding,
    secrets: &[Seed],
    rng: &mut impl CryptoRng,
) -> Vec<Seed> {
    let mut seeds: Vec<_> = secrets
        .iter()
        .map(|secret| secret.derive("mask", &binding.to_vec()))
        .collect();
    seeds.insert(neighbourhood.own_rank(), Seed::random(rng));
    seeds
}

/// A party adds its self mask and the masks with later parties, and subtracts those with earlier ones (SA-07).
pub(crate) fn sign_of(party: PartyIndex, peer: PartyIndex) -> Sign {
    if peer < party {
        Sign::Subtract
    } else {
        Sign::Add
    }
}

impl Place {
    /// Bundles by neighbour.
    fn seal_all(&self, columns: &[Column], secrets: &[Seed], digest: &Digest) -> Vec<Vec<u8>> {
        let party = self.neighbourhood.party();
        let holders = self.neighbourhood.others().zip(secrets).zip(columns);
        let sealed = holders.map(|((holder, secret), column)| {
            let key = self.binding.sealing_key(secret, party, holder);
            let context = bundle_context(&self.binding, party, holder, digest);
            seal(&key, &context, column.bytes())
        });
        sealed.collect()
    }

    /// What `dealer` sealed for this party, checked against what it committed to (SA-13).
    fn open_bundle(
        &self,
        dealer: PartyIndex,
        key: &Seed,
        digest: &Digest,
        shown: &DealerIn,
    ) -> Result<Column, Fault> {
        let (party, binding) = (self.neighbourhood.party(), &self.binding);
        let unopened = CoordinatorReason::Bundle { dealer };
        let context = bundle_context(binding, dealer, party, digest);
        let plain = open(key, &context, &shown.sealed).map_err(|_| unopened)?;
        let dealers = self.scope.neighbourhood(dealer);
        let refused = || Fault::Peer(dealer, PeerReason::Dealt);
        let column = Column::new(plain, &dealers).ok_or_else(refused)?;
        let rank = dealers.rank(party).ok_or(unopened)?;
        let committed = shown.columns.chunks_exact(WORD).nth(rank);
        let dealt = column.digest(binding, dealer, party);
        if committed == Some(dealt.as_ref()) {
            Ok(column)
        } else {
            Err(refused())
        }
    }
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

    /// Checks the coordinator's view and, as a member of the committee, signs it: the state to come, and message (b), which carries no signature
    /// outside the committee. Consumes the only state that can sign in this attempt (SA-14), also when it refuses: the party is then a drop of
    /// this attempt.
    ///
    /// Refuses (SA-12) survivors that are no roster members, below the floor or without this party; (SA-26) a group below its floor; (SA-13) bundles of its neighbours that do
    /// not open or do not match. Persist [`Signed::survivor_hash`] before the message leaves (SA-20).
    pub fn sign(self, view: &[u8], identity: &IdentityKey) -> Result<(Signed, Vec<u8>), Fault> {
        let (keys, party) = (&self.place.scope.keys, self.place.neighbourhood.party());
        if keys.identity(party) != Some(&identity.public()) {
            return Err(CallerReason::Identity.into());
        }
        let signs = keys.signs(party);
        let binding = self.place.binding.to_vec();
        let signed = self.check(view)?;
        let signature = signs.then(|| identity.sign(SURVIVOR_DOMAIN, signed.hash.as_ref()));
        let body = SignatureIn {
            binding,
            signature: signature.map(|s| s.to_bytes().to_vec()).unwrap_or_default(),
        };
        Ok((signed, body.encode_to_vec()))
    }

    fn check(self, view: &[u8]) -> Result<Signed, Fault> {
        let Place {
            neighbourhood,
            scope,
            binding,
            ..
        } = &self.place;
        let params = scope.parameters();
        let view: SurvivorViewIn =
            wire::decode(view, wire::view_limit(params)).ok_or(CoordinatorReason::Malformed)?;
        if !binding.matches(&view.binding) {
            return Err(CoordinatorReason::Foreign.into());
        }
        let survivors = Survivors::parse(params, &view.survivors)?;
        if !survivors.contains(neighbourhood.party()) {
            return Err(CoordinatorReason::OwnInput.into());
        }
        if let Some((group, have, need)) = scope.short(&survivors) {
            return Err(CoordinatorReason::GroupBelowFloor { group, have, need }.into());
        }
        let signs = scope.keys.signs(neighbourhood.party());
        if let Some((party, have)) = scope.stranded(&survivors).filter(|_| signs) {
            return Err(CoordinatorReason::Stranded { party, have }.into());
        }
        let dealers = neighbourhood.others().zip(&self.openers);
        let dealers: Vec<_> = dealers.filter(|(d, _)| survivors.contains(*d)).collect();
        if dealers.len() != view.dealers.len() {
            return Err(CoordinatorReason::Malformed.into());
        }
        let mut inputs = vec![(neighbourhood.party(), self.digest)];
        let mut columns = Vec::with_capacity(dealers.len() + 1);
        for ((dealer, key), shown) in dealers.into_iter().zip(&view.dealers) {
            let digest = shown_digest(&self.place, dealer, shown)?;
            inputs.push((dealer, digest));
            columns.push((dealer, self.place.open_bundle(dealer, key, &digest, shown)?));
        }
        let root = root_shown(&self.place, &survivors, &inputs, &view.tree)?;
        let hash = binding.survivor_hash(&survivors, &root);
        columns.push((neighbourhood.party(), self.own));
        columns.sort_by_key(|(dealer, _)| *dealer);
        Ok(Signed {
            place: self.place,
            hash,
            survivors,
            columns,
        })
    }
}

impl Signed {
    /// The hash that the committee signs: the attempt, who survived and what each survivor sent.
    #[must_use]
    pub fn survivor_hash(&self) -> Digest {
        self.hash
    }

    /// The attempt.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        self.place.attempt
    }

    /// The survivors agreed to, ascending.
    #[must_use]
    pub fn survivors(&self) -> Vec<PartyIndex> {
        self.survivors.list(self.place.scope.parameters())
    }

    /// Checks the quorum's signatures and opens this party's shares: message (c), the last of the attempt.
    ///
    /// Refuses (SA-16) fewer than `Q` signers, signers that repeat, are outside the committee or no survivors, and signatures over another hash
    /// than this party's. What is opened follows from the survivor set alone (SA-17).
    pub fn open(self, bundle: &[u8]) -> Result<Vec<u8>, Fault> {
        let Place { scope, binding, .. } = &self.place;
        let params = scope.parameters();
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
        Ok(self.openings())
    }

    fn check_signer(
        &self,
        shown: &SignerIn,
        seen: &mut BTreeSet<PartyIndex>,
    ) -> Result<(), CoordinatorReason> {
        let signer = u16::try_from(shown.party)
            .map(PartyIndex::new)
            .map_err(|_| CoordinatorReason::Malformed)?;
        let keys = &self.place.scope.keys;
        let may = keys.signs(signer) && self.survivors.contains(signer);
        let identity = keys.identity(signer).filter(|_| may);
        let identity = identity
            .filter(|_| seen.insert(signer))
            .ok_or(CoordinatorReason::Signer { signer })?;
        let invalid = CoordinatorReason::Signature { signer };
        let signature = Signature::try_from(shown.signature.as_slice()).map_err(|_| invalid)?;
        identity
            .verify(SURVIVOR_DOMAIN, self.hash.as_ref(), &signature)
            .map_err(|_| invalid)
    }

    /// Message (c): for each dealer the shares of what must be opened, and commitments in the place of all others (SA-17).
    fn openings(&self) -> Vec<u8> {
        let Place {
            neighbourhood,
            scope,
            binding,
            ..
        } = &self.place;
        let mut entries = Vec::new();
        for (dealer, column) in &self.columns {
            let commit = ShareCommitments::new(binding, *dealer, neighbourhood.party());
            let dealers = scope.neighbourhood(*dealer);
            let secrets = dealers.members().iter().zip(column.shares());
            for (rank, (target, share)) in (0..).zip(secrets) {
                if opened(*dealer, *target, &self.survivors) {
                    entries.extend_from_slice(share);
                } else {
                    entries.extend_from_slice(commit.to(rank, share).as_ref());
                }
            }
        }
        let body = OpeningsIn {
            survivor_hash: self.hash.as_ref().to_vec(),
            entries,
        };
        body.encode_to_vec()
    }
}

/// What a party knows, for the tests that look.
#[cfg(test)]
impl Signed {
    /// Its shares, by surviving dealer, then by rank.
    pub(crate) fn held(&self) -> Vec<Vec<Vec<u8>>> {
        let columns = self.columns.iter();
        columns
            .map(|(_, column)| column.shares().map(<[u8]>::to_vec).collect())
            .collect()
    }
}

/// What of a surviving dealer is opened: its self mask, and its pair seeds with the dropped (SA-17).
pub(crate) fn opened(dealer: PartyIndex, target: PartyIndex, survivors: &Survivors) -> bool {
    target == dealer || !survivors.contains(target)
}

/// What only a dishonest party would do, for the tests that do it.
#[cfg(test)]
impl Masked {
    /// The key under which `peer` seals for this party.
    pub(crate) fn opener(&self, peer: PartyIndex) -> &Seed {
        let others: Vec<_> = self.place.neighbourhood.others().collect();
        &self.openers[others.binary_search(&peer).unwrap()]
    }

    pub(crate) fn bundle_context_from(&self, dealer: PartyIndex, digest: &Digest) -> Vec<u8> {
        bundle_context(&self.place.binding, dealer, self.opener_index(), digest)
    }

    pub(crate) fn opener_index(&self) -> PartyIndex {
        self.place.neighbourhood.party()
    }

    pub(crate) fn binding(&self) -> Binding {
        self.place.binding
    }

    pub(crate) fn set_digest(&mut self, digest: Digest) {
        self.digest = digest;
    }

    /// A party of a protocol without the agreement step: it opens under whatever view it is shown.
    pub(crate) fn insecure_open_without_agreement(self, view: &[u8]) -> Result<Vec<u8>, Fault> {
        Ok(self.check(view)?.openings())
    }
}

fn bundle_context(
    binding: &Binding,
    dealer: PartyIndex,
    holder: PartyIndex,
    digest: &Digest,
) -> Vec<u8> {
    [binding.directed(dealer, holder).as_slice(), digest.as_ref()].concat()
}

/// The digest of a neighbour's message (a), from what the coordinator shows of it.
fn shown_digest(
    place: &Place,
    dealer: PartyIndex,
    shown: &DealerIn,
) -> Result<Digest, CoordinatorReason> {
    let members = place.scope.neighbours(dealer).len() + 1;
    let lengths = [shown.vector.len(), shown.secrets.len(), shown.columns.len()];
    if lengths != [WORD, WORD, WORD * members] {
        return Err(CoordinatorReason::Malformed);
    }
    let digest = place
        .binding
        .input_digest(dealer, &shown.vector, &shown.secrets, &shown.columns);
    Ok(digest)
}

/// The root of the hash tree over all messages (a): from those this party knows, from who dropped, and from what it is shown of the rest.
fn root_shown(
    place: &Place,
    survivors: &Survivors,
    inputs: &[(PartyIndex, Digest)],
    tree: &[u8],
) -> Result<Digest, CoordinatorReason> {
    let params = place.scope.parameters();
    let dropped = params
        .everyone()
        .filter(|party| !survivors.contains(*party));
    let mut known: Vec<_> = dropped.map(|party| (party.at(), ABSENT)).collect();
    known.extend(inputs.iter().map(|(party, digest)| (party.at(), *digest)));
    known.sort_by_key(|(position, _)| *position);
    let shown: Vec<_> = tree
        .chunks(WORD)
        .map(|word| word.try_into().map(Digest::from_bytes))
        .collect::<Result<_, _>>()
        .map_err(|_| CoordinatorReason::Malformed)?;
    merkle::root_from(params.n(), &known, &shown).map_err(|_| CoordinatorReason::Malformed)
}

/// The leaf of a party that is no survivor.
pub(crate) const ABSENT: Digest = Digest::from_bytes([0; WORD]);
