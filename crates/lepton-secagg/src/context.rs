//! What every derivation, commitment, hash and signature is bound to (SA-02).

use core::fmt;

use lepton_crypto::{Digest, HashPrefix, Seed, hash, long_hash};
use lepton_ring::{Modulus, RingVec};

use crate::PartyIndex;
use crate::grouping::Scope;
use crate::survivors::Survivors;

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
    /// Covers the grouping too, where there is one (SA-25).
    pub(crate) fn of(scope: &Scope, attempt: Attempt, spec: VectorSpec) -> Self {
        let whole = Self::new(&scope.keys.digest(), attempt, spec);
        match scope.grouping() {
            None => whole,
            Some(grouping) => Self(hash(
                "lepton/masked-sum/grouped-binding/v1",
                &[whole.0.as_ref(), grouping.digest().as_ref()],
            )),
        }
    }

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

    /// The key of the one bundle that `from` seals for `to` in this attempt, from the attempt's secret of the two.
    pub(crate) fn sealing_key(&self, secret: &Seed, from: PartyIndex, to: PartyIndex) -> Seed {
        secret.derive("seal", &self.directed(from, to))
    }

    /// What commitments to the shares that `dealer` gives `holder` start from.
    pub(crate) fn column(&self, dealer: PartyIndex, holder: PartyIndex) -> HashPrefix {
        HashPrefix::new(
            "lepton/masked-sum/share/v2",
            &[self.0.as_ref(), &dealer.bytes(), &holder.bytes()],
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

    /// The hash that the committee signs (SA-14): who survived and, by the root of a hash tree, what each of them sent.
    pub(crate) fn survivor_hash(&self, survivors: &Survivors, root: &Digest) -> Digest {
        hash(
            "lepton/masked-sum/survivors/v2",
            &[self.0.as_ref(), survivors.bits(), root.as_ref()],
        )
    }
}

/// The digest of a packed vector: long, hence BLAKE3.
pub(crate) fn vector_digest(packed: &[u8]) -> Digest {
    long_hash("lepton masked-sum vector v2", &[packed])
}

/// The digest of all commitments to secrets in a message (a).
pub(crate) fn secrets_digest(commitments: &[u8]) -> Digest {
    hash("lepton/masked-sum/secrets/v1", &[commitments])
}

/// The digest of the commitments to one holder's shares.
pub(crate) fn column_digest(commitments: &[u8]) -> Digest {
    hash("lepton/masked-sum/column/v1", &[commitments])
}
