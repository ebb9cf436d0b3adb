//! The coordinator while it collects masked inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lepton_crypto::{Digest, merkle::MerkleTree};
use lepton_ring::RingVec;
use prost::Message;

use crate::context::{Binding, secrets_digest, vector_digest};
use crate::grouping::Scope;
use crate::party::ABSENT;
use crate::signing::Signing;
use crate::survivors::Survivors;
use crate::wire::{self, DealerIn, MaskedInputIn, SurvivorViewIn, WORD};
use crate::{Attempt, CallerReason, EpochKeys, Fault, PartyIndex, PeerReason, Step, SumSpec};

/// A body and the party that it is for.
pub type Addressed = (PartyIndex, Vec<u8>);

/// A coordinator that adds masked inputs of one attempt as they come: one running sum, whatever the number of parties.
pub struct Collecting {
    round: Round,
    limit: usize,
    packed: usize,
}

/// What the coordinator knows of an attempt.
pub(crate) struct Round {
    pub(crate) scope: Scope,
    pub(crate) binding: Binding,
    /// One, or one for each group (SA-28).
    pub(crate) sums: Vec<RingVec>,
    pub(crate) inputs: BTreeMap<PartyIndex, Input>,
}

/// What survivors are shown in common.
pub(crate) struct Shown {
    pub(crate) survivors: Survivors,
    pub(crate) tree: MerkleTree,
}

/// What stays of a message (a) once its vector is added.
pub(crate) struct Input {
    digest: Digest,
    vector: Digest,
    /// Bundles by neighbour.
    sealed: Vec<Vec<u8>>,
    /// Digests of the commitments to shares, by rank of the holder.
    columns: Vec<u8>,
    /// Commitments to secrets, by rank.
    secrets: Vec<u8>,
}

impl Collecting {
    /// A coordinator without inputs, of one sum over all (from a [`crate::VectorSpec`]) or of one for each group. Refuses a vector whose packed size
    /// overflows the address space, and groups made for other parameters (SA-25).
    pub fn new(
        keys: Arc<EpochKeys>,
        attempt: Attempt,
        spec: impl Into<SumSpec>,
    ) -> Result<Self, Fault> {
        let SumSpec {
            vector: spec,
            grouping,
        } = spec.into();
        let limit = wire::input_limit(keys.parameters(), &spec).ok_or(CallerReason::TooLong)?;
        let packed = spec.packed_len().ok_or(CallerReason::TooLong)?;
        let scope = Scope::new(keys, grouping)?;
        let binding = Binding::of(&scope, attempt, spec);
        let sums = vec![RingVec::zeros(spec.modulus, spec.len); scope.sums()];
        Ok(Self {
            round: Round {
                scope,
                binding,
                sums,
                inputs: BTreeMap::new(),
            },
            limit,
            packed,
        })
    }

    /// Adds a party's message (a), to its own group's sum only (SA-28). Refuses (SA-10) a party outside the roster, a second message, one for another attempt, of wrong lengths,
    /// with non-zero padding or a proof; then nothing changes.
    pub fn accept(&mut self, from: PartyIndex, body: &[u8]) -> Result<(), Fault> {
        let refuse = |reason| Fault::Peer(from, reason);
        let (message, vector) = self.verify(from, body).map_err(refuse)?;
        let group = self.round.scope.sum_of(from);
        let sum = self.round.sums.get_mut(group);
        sum.ok_or(refuse(PeerReason::Unexpected))?
            .add_packed(vector)
            .map_err(|e| refuse(PeerReason::Vector(e)))?;
        let input = Input::new(&self.round.binding, from, message, vector);
        self.round.inputs.insert(from, input);
        Ok(())
    }

    /// The parties whose inputs are in the sum.
    #[must_use]
    pub fn received(&self) -> BTreeSet<PartyIndex> {
        self.round.inputs.keys().copied().collect()
    }

    /// Whether the survivor floor is reached, and that of every group.
    #[must_use]
    pub fn ready(&self) -> bool {
        let Round { scope, inputs, .. } = &self.round;
        let enough = inputs.len() >= usize::from(scope.parameters().survivor_floor());
        enough && scope.short(&self.round.survivors()).is_none()
    }

    /// Fixes the survivor set: the state to come, which shows each survivor its view. Later inputs are discarded (SA-11).
    ///
    /// Refuses fewer survivors than the floor (SA-19), than a group's floor (SA-26) or than the threshold in a survivor's closed neighbourhood (SA-24), and two survivors that commit to different pair seeds, naming both (SA-15).
    pub fn close(self) -> Result<Signing, Fault> {
        let scope = &self.round.scope;
        let params = scope.parameters();
        let (have, need) = (self.round.inputs.len(), params.survivor_floor().into());
        if have < need {
            return Err(Fault::TooFew {
                have,
                need,
                step: Step::Input,
            });
        }
        self.round.check_pairs()?;
        let survivors = self.round.survivors();
        let short = scope.short(&survivors);
        let short = short.map(|(_, have, need)| (have, need));
        let stranded = scope.stranded(&survivors);
        let stranded = stranded.map(|(_, have)| (have, scope.threshold().into()));
        if let Some((have, need)) = short.or(stranded) {
            return Err(Fault::TooFew {
                have,
                need,
                step: Step::Input,
            });
        }
        let leaves = params.everyone().map(|party| {
            let input = self.round.inputs.get(&party);
            input.map_or(ABSENT, |input| input.digest)
        });
        let tree = MerkleTree::new(&leaves.collect::<Vec<_>>());
        Ok(Signing::new(self.round, survivors, tree))
    }

    fn verify<'b>(
        &self,
        from: PartyIndex,
        body: &'b [u8],
    ) -> Result<(MaskedInputIn, &'b [u8]), PeerReason> {
        let Round {
            scope,
            binding,
            inputs,
            ..
        } = &self.round;
        if from.at() >= scope.parameters().n() {
            return Err(PeerReason::Unexpected);
        }
        if inputs.contains_key(&from) {
            return Err(PeerReason::Duplicate);
        }
        let (message, vector) =
            wire::decode_input(body, self.limit).ok_or(PeerReason::Malformed)?;
        if !binding.matches(&message.binding) {
            return Err(PeerReason::Foreign);
        }
        if !message.proof.is_empty() {
            return Err(PeerReason::Proof);
        }
        if vector.len() != self.packed {
            return Err(PeerReason::Length("vector"));
        }
        check_lengths(scope.neighbours(from).len() + 1, &message)?;
        Ok((message, vector))
    }
}

impl Input {
    fn new(binding: &Binding, from: PartyIndex, message: MaskedInputIn, vector: &[u8]) -> Self {
        let vector = vector_digest(vector);
        let secrets = secrets_digest(&message.secrets);
        let MaskedInputIn {
            sealed,
            columns,
            secrets: commitments,
            ..
        } = message;
        Self {
            digest: binding.input_digest(from, vector.as_ref(), secrets.as_ref(), &columns),
            vector,
            sealed,
            columns,
            secrets: commitments,
        }
    }

    /// The commitment to the secret of this rank.
    pub(crate) fn secret(&self, rank: usize) -> &[u8] {
        self.secrets
            .chunks_exact(WORD)
            .nth(rank)
            .unwrap_or_default()
    }

    /// The digest of the commitments to the shares of the holder of this rank.
    pub(crate) fn column(&self, rank: usize) -> &[u8] {
        self.columns
            .chunks_exact(WORD)
            .nth(rank)
            .unwrap_or_default()
    }

    /// As shown to the neighbour of this place among the neighbours.
    pub(crate) fn shown_to(&self, neighbour: usize) -> DealerIn {
        DealerIn {
            vector: self.vector.as_ref().to_vec(),
            secrets: secrets_digest(&self.secrets).as_ref().to_vec(),
            columns: self.columns.clone(),
            sealed: self.sealed.get(neighbour).cloned().unwrap_or_default(),
        }
    }
}

impl Round {
    fn survivors(&self) -> Survivors {
        Survivors::of(self.scope.parameters(), self.inputs.keys().copied())
    }

    /// The view of a survivor; `None` for others.
    pub(crate) fn view(&self, shown: &Shown, reader: PartyIndex) -> Option<Vec<u8>> {
        self.inputs.get(&reader)?;
        let neighbours = self.scope.neighbours(reader);
        let known = self.scope.parameters().everyone().filter(|party| {
            *party == reader
                || !shown.survivors.contains(*party)
                || neighbours.binary_search(party).is_ok()
        });
        let known: Vec<_> = known.map(PartyIndex::at).collect();
        let dealers = neighbours.iter().filter_map(|dealer| {
            let input = self.inputs.get(dealer)?;
            let place = self.scope.neighbours(*dealer).binary_search(&reader).ok()?;
            Some(input.shown_to(place))
        });
        let tree = shown.tree.proof(&known);
        let view = SurvivorViewIn {
            binding: self.binding.to_vec(),
            survivors: shown.survivors.bits().to_vec(),
            dealers: dealers.collect(),
            tree: tree.iter().flat_map(|digest| *digest.as_bytes()).collect(),
        };
        Some(view.encode_to_vec())
    }

    fn check_pairs(&self) -> Result<(), Fault> {
        for (a, input) in &self.inputs {
            let members = self.scope.neighbourhood(*a);
            for (rank, b) in members.members().iter().enumerate() {
                let Some(other) = self.inputs.get(b).filter(|_| b < a) else {
                    continue;
                };
                let back = self.scope.neighbourhood(*b).rank(*a);
                if back.is_none_or(|back| input.secret(rank) != other.secret(back)) {
                    return Err(Fault::Pair(*b, *a));
                }
            }
        }
        Ok(())
    }
}

fn check_lengths(members: usize, message: &MaskedInputIn) -> Result<(), PeerReason> {
    let sealed = wire::sealed_len(members);
    let checks = [
        (message.columns.len() == members * WORD, "share commitments"),
        (
            message.secrets.len() == members * WORD,
            "secret commitments",
        ),
        (message.sealed.len() == members - 1, "sealed bundles"),
        (
            message.sealed.iter().all(|bundle| bundle.len() == sealed),
            "sealed bundle",
        ),
    ];
    checks
        .iter()
        .find(|(ok, _)| !ok)
        .map_or(Ok(()), |(_, field)| Err(PeerReason::Length(field)))
}
