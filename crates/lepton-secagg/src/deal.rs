//! Dealing: shares of an attempt's secrets, and commitments to them (SA-08, SA-09).

use lepton_crypto::{Digest, Seed, Zeroizing, shamir};
use rand_core::CryptoRng;

use crate::context::{Binding, column_digest};
use crate::wire::WORD;
use crate::{Parameters, PartyIndex};

/// One holder's shares from one dealer, by secret.
pub(crate) struct Column(Zeroizing<Vec<u8>>);

impl Column {
    /// `None` unless there are exactly `n` shares.
    pub(crate) fn new(shares: Zeroizing<Vec<u8>>, params: &Parameters) -> Option<Self> {
        (shares.len() == params.n() * WORD).then_some(Self(shares))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The share of the secret that the dealer has with `target`.
    pub(crate) fn share(&self, target: PartyIndex) -> &[u8] {
        self.0
            .chunks_exact(WORD)
            .nth(target.at())
            .unwrap_or_default()
    }

    /// The commitments to all shares, concatenated.
    pub(crate) fn commitments(
        &self,
        binding: &Binding,
        dealer: PartyIndex,
        holder: PartyIndex,
    ) -> Vec<u8> {
        let targets = (0..).map(PartyIndex::new);
        let shares = self.0.chunks_exact(WORD).zip(targets);
        shares
            .flat_map(|(share, target)| {
                *binding
                    .share_commitment([dealer, target, holder], share)
                    .as_bytes()
            })
            .collect()
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

/// What one party deals in one attempt.
pub(crate) struct Dealt {
    /// By holder.
    pub(crate) columns: Vec<Column>,
    /// Commitments to shares, by holder, then by secret.
    pub(crate) shares: Vec<u8>,
    /// Commitments to secrets.
    pub(crate) secrets: Vec<u8>,
    /// Per holder, the digest of its commitments.
    pub(crate) digests: Vec<u8>,
}

/// Shares every secret (`secrets` by roster position, the dealer's self mask at its own) among all parties.
pub(crate) fn deal(
    binding: &Binding,
    dealer: PartyIndex,
    params: &Parameters,
    secrets: &[Seed],
    rng: &mut impl CryptoRng,
) -> Dealt {
    let width = params.n() * WORD;
    let mut columns: Vec<_> = params
        .everyone()
        .map(|_| Zeroizing::new(Vec::with_capacity(width)))
        .collect();
    for secret in secrets {
        let shares = shamir::split(secret, params.sharing_threshold(), params.shares(), rng)
            .expect("parameters hold 2 <= t <= n <= 255 (SA-01)");
        for (column, share) in columns.iter_mut().zip(&shares) {
            column.extend_from_slice(&share.bytes);
        }
    }
    let columns: Vec<_> = columns.into_iter().map(Column).collect();
    let by_holder: Vec<_> = columns
        .iter()
        .zip(params.everyone())
        .map(|(c, holder)| c.commitments(binding, dealer, holder))
        .collect();
    let digests = by_holder
        .iter()
        .flat_map(|commitments| *column_digest(commitments).as_bytes())
        .collect();
    let committed = secrets.iter().zip(params.everyone());
    let committed = committed
        .flat_map(|(secret, target)| {
            *binding
                .secret_commitment(dealer, target, secret.as_bytes())
                .as_bytes()
        })
        .collect();
    Dealt {
        columns,
        shares: by_holder.concat(),
        secrets: committed,
        digests,
    }
}
