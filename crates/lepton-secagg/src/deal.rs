//! Dealing: shares of an attempt's secrets, and commitments to them (SA-08, SA-09).

use lepton_crypto::sharing::Sharing;
use lepton_crypto::{Digest, Seed, Zeroizing};
use rand_core::CryptoRng;

use crate::PartyIndex;
use crate::context::{Binding, column_digest};
use crate::neighbourhood::Neighbourhood;
use crate::wire::WORD;

/// One holder's shares from one dealer, by rank of the secret.
pub(crate) struct Column(Zeroizing<Vec<u8>>);

impl Column {
    /// `None` unless there is one share for each member of the dealer's closed neighbourhood.
    pub(crate) fn new(shares: Zeroizing<Vec<u8>>, dealer: &Neighbourhood) -> Option<Self> {
        (shares.len() == dealer.len() * WORD).then_some(Self(shares))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn shares(&self) -> impl Iterator<Item = &[u8]> {
        self.0.chunks_exact(WORD)
    }

    /// The commitments to all shares, concatenated.
    pub(crate) fn commitments(
        &self,
        binding: &Binding,
        dealer: PartyIndex,
        holder: PartyIndex,
    ) -> Vec<u8> {
        let commit = ShareCommitments::new(binding, dealer, holder);
        let mut all = Vec::with_capacity(self.0.len());
        for (rank, share) in (0..).zip(self.shares()) {
            all.extend_from_slice(commit.to(rank, share).as_ref());
        }
        all
    }

    /// The digest of the commitments: what message (a) binds for this holder.
    pub(crate) fn digest(
        &self,
        binding: &Binding,
        dealer: PartyIndex,
        holder: PartyIndex,
    ) -> Digest {
        column_digest(&self.commitments(binding, dealer, holder))
    }
}

/// Commitments to the shares that one dealer gives one holder.
pub(crate) struct ShareCommitments(lepton_crypto::HashPrefix);

impl ShareCommitments {
    pub(crate) fn new(binding: &Binding, dealer: PartyIndex, holder: PartyIndex) -> Self {
        Self(binding.column(dealer, holder))
    }

    /// To the share of the secret of this rank in the dealer's closed neighbourhood.
    pub(crate) fn to(&self, rank: u8, share: &[u8]) -> Digest {
        let mut tail = Zeroizing::new([0; WORD + 1]);
        if let Some((first, rest)) = tail.split_first_mut() {
            *first = rank;
            rest.iter_mut()
                .zip(share)
                .for_each(|(to, from)| *to = *from);
        }
        self.0.finish(tail.as_slice())
    }
}

/// What one party deals in one attempt.
pub(crate) struct Dealt {
    /// By rank of the holder.
    pub(crate) columns: Vec<Column>,
    /// Commitments to secrets, by rank.
    pub(crate) secrets: Vec<u8>,
    /// Digests of the commitments to shares, by rank of the holder.
    pub(crate) digests: Vec<u8>,
}

/// Shares every secret (`secrets` by rank, the dealer's self mask at its own) among its closed neighbourhood, so that `threshold` of it give them back.
pub(crate) fn deal(
    binding: &Binding,
    dealer: &Neighbourhood,
    threshold: u8,
    secrets: &[Seed],
    rng: &mut impl CryptoRng,
) -> Dealt {
    let mut plain = Zeroizing::new(Vec::with_capacity(secrets.len() * WORD));
    for secret in secrets {
        plain.extend_from_slice(secret.as_bytes());
    }
    let holders =
        u8::try_from(dealer.len()).expect("a closed neighbourhood has at most 255 members (SA-01)");
    let sharing = Sharing::new(threshold, holders)
        .expect("2 <= t <= size of every closed neighbourhood (SA-01, checked with the graph; SA-27 within groups)");
    let columns: Vec<_> = sharing.deal(&plain, rng).into_iter().map(Column).collect();
    let party = dealer.party();
    let mut digests = Vec::with_capacity(columns.len() * WORD);
    for (column, holder) in columns.iter().zip(dealer.members()) {
        digests.extend_from_slice(column.digest(binding, party, *holder).as_ref());
    }
    let mut committed = Vec::with_capacity(columns.len() * WORD);
    for (secret, target) in secrets.iter().zip(dealer.members()) {
        let commitment = binding.secret_commitment(party, *target, secret.as_bytes());
        committed.extend_from_slice(commitment.as_ref());
    }
    Dealt {
        columns,
        secrets: committed,
        digests,
    }
}
