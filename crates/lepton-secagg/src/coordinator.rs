//! The coordinator while it collects masked inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lepton_crypto::Digest;
use lepton_ring::RingVec;
use prost::Message;

use crate::context::{Binding, column_digest, secrets_digest, vector_digest};
use crate::signing::Signing;
use crate::wire::{self, DealerIn, MaskedInputIn, SurvivorViewIn, WORD};
use crate::{
    Attempt, CallerReason, EpochKeys, Fault, Parameters, PartyIndex, PeerReason, Step, VectorSpec,
};

/// A body and the party that it is for.
pub type Addressed = (PartyIndex, Vec<u8>);

/// A coordinator that adds masked inputs of one attempt as they come: one running sum, whatever the number of parties.
pub struct Collecting {
    round: Round,
    spec: VectorSpec,
    limit: usize,
    packed: usize,
}

/// What the coordinator knows of an attempt.
pub(crate) struct Round {
    pub(crate) keys: Arc<EpochKeys>,
    pub(crate) binding: Binding,
    pub(crate) sum: RingVec,
    pub(crate) inputs: BTreeMap<PartyIndex, Input>,
}

/// What stays of a message (a) once its vector is added.
pub(crate) struct Input {
    digest: Digest,
    vector: Digest,
    columns: Vec<u8>,
    sealed: Vec<Vec<u8>>,
    /// Commitments to shares, by holder, then by secret.
    pub(crate) shares: Vec<u8>,
    /// Commitments to secrets.
    pub(crate) secrets: Vec<u8>,
}

impl Collecting {
    /// A coordinator without inputs. Refuses a vector whose packed size overflows the address space.
    pub fn new(keys: Arc<EpochKeys>, attempt: Attempt, spec: VectorSpec) -> Result<Self, Fault> {
        let limit = wire::input_limit(keys.parameters(), &spec).ok_or(CallerReason::TooLong)?;
        let packed = spec.packed_len().ok_or(CallerReason::TooLong)?;
        let binding = Binding::new(&keys.digest(), attempt, spec);
        let sum = RingVec::zeros(spec.modulus, spec.len);
        Ok(Self {
            round: Round {
                keys,
                binding,
                sum,
                inputs: BTreeMap::new(),
            },
            spec,
            limit,
            packed,
        })
    }

    /// Adds a party's message (a). Refuses (SA-10) a party outside the roster, a second message, one for another attempt, of wrong lengths,
    /// with non-zero padding or a proof; then nothing changes.
    pub fn accept(&mut self, from: PartyIndex, body: &[u8]) -> Result<(), Fault> {
        let (vector, input) = self
            .verify(from, body)
            .map_err(|reason| Fault::Peer(from, reason))?;
        self.round
            .sum
            .add_assign(&vector)
            .map_err(|e| Fault::Peer(from, PeerReason::Vector(e)))?;
        self.round.inputs.insert(from, input);
        Ok(())
    }

    /// The parties whose inputs are in the sum.
    #[must_use]
    pub fn received(&self) -> BTreeSet<PartyIndex> {
        self.round.inputs.keys().copied().collect()
    }

    /// Whether the survivor floor is reached.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.round.inputs.len() >= usize::from(self.round.keys.parameters().survivor_floor())
    }

    /// Fixes the survivor set: the state to come, and for each survivor its view. Later inputs are discarded (SA-11).
    ///
    /// Refuses fewer survivors than the floor (SA-19), and two survivors that commit to different pair seeds, naming both (SA-15).
    pub fn close(self) -> Result<(Signing, Vec<Addressed>), Fault> {
        let (have, need) = (
            self.round.inputs.len(),
            self.round.keys.parameters().survivor_floor().into(),
        );
        if have < need {
            return Err(Fault::TooFew {
                have,
                need,
                step: Step::Input,
            });
        }
        self.round.check_pairs()?;
        let views = self.round.views();
        let list: Vec<_> = self
            .round
            .inputs
            .iter()
            .map(|(party, input)| (*party, input.digest))
            .collect();
        let hash = self.round.binding.survivor_hash(&list);
        Ok((Signing::new(self.round, hash), views))
    }

    fn verify(&self, from: PartyIndex, body: &[u8]) -> Result<(RingVec, Input), PeerReason> {
        let Round {
            keys,
            binding,
            inputs,
            ..
        } = &self.round;
        let params = keys.parameters();
        if from.at() >= params.n() {
            return Err(PeerReason::Unexpected);
        }
        if inputs.contains_key(&from) {
            return Err(PeerReason::Duplicate);
        }
        let message: MaskedInputIn = wire::decode(body, self.limit).ok_or(PeerReason::Malformed)?;
        if !binding.matches(&message.binding) {
            return Err(PeerReason::Foreign);
        }
        if !message.proof.is_empty() {
            return Err(PeerReason::Proof);
        }
        check_lengths(from, params, self.packed, &message)?;
        let vector = RingVec::unpack(self.spec.modulus, self.spec.len, &message.vector)
            .map_err(PeerReason::Vector)?;
        Ok((vector, Input::new(binding, from, params, message)))
    }
}

impl Input {
    fn new(
        binding: &Binding,
        from: PartyIndex,
        params: &Parameters,
        message: MaskedInputIn,
    ) -> Self {
        let columns: Vec<u8> = message
            .shares
            .chunks_exact(WORD * params.n())
            .flat_map(|c| *column_digest(c).as_bytes())
            .collect();
        let vector = vector_digest(&message.vector);
        let secrets = secrets_digest(&message.secrets);
        let digest = binding.input_digest(from, vector.as_ref(), secrets.as_ref(), &columns);
        let MaskedInputIn {
            sealed,
            shares,
            secrets,
            ..
        } = message;
        Self {
            digest,
            vector,
            columns,
            sealed,
            shares,
            secrets,
        }
    }

    /// The commitment to the secret with `target`.
    pub(crate) fn secret(&self, target: PartyIndex) -> &[u8] {
        self.secrets
            .chunks_exact(WORD)
            .nth(target.at())
            .unwrap_or_default()
    }

    fn shown_to(&self, reader: PartyIndex, dealer: PartyIndex) -> DealerIn {
        DealerIn {
            party: dealer.get().into(),
            vector: self.vector.as_ref().to_vec(),
            secrets: secrets_digest(&self.secrets).as_ref().to_vec(),
            columns: self.columns.clone(),
            sealed: self.sealed.get(reader.at()).cloned().unwrap_or_default(),
        }
    }
}

impl Round {
    fn check_pairs(&self) -> Result<(), Fault> {
        for (a, input) in &self.inputs {
            for (b, other) in self.inputs.range(..*a) {
                if input.secret(*b) != other.secret(*a) {
                    return Err(Fault::Pair(*b, *a));
                }
            }
        }
        Ok(())
    }

    fn views(&self) -> Vec<Addressed> {
        let view = |reader: PartyIndex| SurvivorViewIn {
            binding: self.binding.to_vec(),
            dealers: self
                .inputs
                .iter()
                .map(|(dealer, input)| input.shown_to(reader, *dealer))
                .collect(),
        };
        self.inputs
            .keys()
            .map(|reader| (*reader, view(*reader).encode_to_vec()))
            .collect()
    }
}

fn check_lengths(
    from: PartyIndex,
    params: &Parameters,
    packed: usize,
    message: &MaskedInputIn,
) -> Result<(), PeerReason> {
    let n = params.n();
    let sealed = wire::sealed_len(params);
    let bundle_ok = |(holder, bundle): (PartyIndex, &Vec<u8>)| {
        bundle.len() == if holder == from { 0 } else { sealed }
    };
    let checks = [
        (message.vector.len() == packed, "vector"),
        (message.shares.len() == n * n * WORD, "share commitments"),
        (message.secrets.len() == n * WORD, "secret commitments"),
        (message.sealed.len() == n, "sealed bundles"),
        (
            params.everyone().zip(&message.sealed).all(bundle_ok),
            "sealed bundle",
        ),
    ];
    checks
        .iter()
        .find(|(ok, _)| !ok)
        .map_or(Ok(()), |(_, field)| Err(PeerReason::Length(field)))
}
