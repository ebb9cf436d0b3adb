//! What every derivation, commitment, hash and signature is bound to (SA-02).

use core::fmt;

use lepton_crypto::{Digest, hash};
use lepton_ring::{Modulus, RingVec};

use crate::PartyIndex;

/// One set-up of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EpochContext {
    /// The job's identifier, unique in the federation.
    pub job: [u8; 32],
    /// Counts the job's set-ups.
    pub epoch: u64,
}

impl EpochContext {
    pub(crate) fn bytes(&self) -> [u8; 40] {
        let mut out = [0; 40];
        let (job, epoch) = out.split_at_mut(32);
        job.copy_from_slice(&self.job);
        epoch.copy_from_slice(&self.epoch.to_le_bytes());
        out
    }
}

/// One try at one sum; ordered by round, then attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    /// The job's round.
    pub round: u64,
    /// Counts the tries of the round.
    pub attempt: u32,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {} attempt {}", self.round, self.attempt)
    }
}

/// The shape and the purpose of the vectors of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VectorSpec {
    /// The ring of the entries.
    pub modulus: Modulus,
    /// The number of entries.
    pub len: usize,
    /// Digest of everything public that the parties' vectors depend on. Parties that were told different things make different bindings, so
    /// their messages do not fit together (SA-02).
    pub purpose: [u8; 32],
}

impl VectorSpec {
    /// Bytes of the packed vector; `None` when that overflows.
    pub(crate) fn packed_len(&self) -> Option<usize> {
        RingVec::packed_len(self.modulus, self.len)
    }
}

/// The digest that stands for job, epoch, parameters, roster, keys, round, attempt, vector shape and purpose.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binding(Digest);

impl Binding {
    pub(crate) fn new(epoch: &Digest, attempt: Attempt, spec: VectorSpec) -> Self {
        Self(hash(
            "lepton/masked-sum/binding/v1",
            &[
                epoch.as_ref(),
                &attempt.round.to_le_bytes(),
                &attempt.attempt.to_le_bytes(),
                &[spec.modulus.bits()],
                &(spec.len as u64).to_le_bytes(),
                &spec.purpose,
            ],
        ))
    }

    pub(crate) fn matches(&self, received: &[u8]) -> bool {
        self.0.as_ref() == received
    }

    pub(crate) fn to_vec(self) -> Vec<u8> {
        self.0.as_ref().to_vec()
    }

    /// The context of what `from` makes for `to`.
    pub(crate) fn directed(&self, from: PartyIndex, to: PartyIndex) -> Vec<u8> {
        [self.0.as_ref(), &from.bytes(), &to.bytes()].concat()
    }

    /// The digest of one share that `dealer` gives `holder` of the secret it has with `target` (its self mask when that is itself).
    pub(crate) fn share_commitment(&self, path: [PartyIndex; 3], share: &[u8]) -> Digest {
        let [dealer, target, holder] = path.map(PartyIndex::bytes);
        hash(
            "lepton/masked-sum/share/v1",
            &[self.0.as_ref(), &dealer, &target, &holder, share],
        )
    }

    /// The commitment to the self-mask seed of `a` (when `a == b`) or to the pair seed of `a` and `b`, the same whoever makes it.
    pub(crate) fn secret_commitment(&self, a: PartyIndex, b: PartyIndex, secret: &[u8]) -> Digest {
        let (low, high) = (a.min(b).bytes(), a.max(b).bytes());
        hash(
            "lepton/masked-sum/secret/v1",
            &[self.0.as_ref(), &low, &high, secret],
        )
    }

    /// The digest of message (a) of `from` (SA-09).
    pub(crate) fn input_digest(
        &self,
        from: PartyIndex,
        vector: &[u8],
        secrets: &[u8],
        columns: &[u8],
    ) -> Digest {
        hash(
            "lepton/masked-sum/input/v1",
            &[self.0.as_ref(), &from.bytes(), vector, secrets, columns],
        )
    }

    /// The hash that survivors sign (SA-14): who they are and what each of them sent.
    pub(crate) fn survivor_hash(&self, inputs: &[(PartyIndex, Digest)]) -> Digest {
        let list: Vec<u8> = inputs
            .iter()
            .flat_map(|(p, d)| p.bytes().into_iter().chain(*d.as_bytes()))
            .collect();
        hash("lepton/masked-sum/survivors/v1", &[self.0.as_ref(), &list])
    }
}

/// The digest of a packed vector.
pub(crate) fn vector_digest(packed: &[u8]) -> Digest {
    hash("lepton/masked-sum/vector/v1", &[packed])
}

/// The digest of all commitments to secrets in a message (a).
pub(crate) fn secrets_digest(commitments: &[u8]) -> Digest {
    hash("lepton/masked-sum/secrets/v1", &[commitments])
}

/// The digest of the commitments to one holder's shares.
pub(crate) fn column_digest(commitments: &[u8]) -> Digest {
    hash("lepton/masked-sum/column/v1", &[commitments])
}
