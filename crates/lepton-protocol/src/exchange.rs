//! Exchanges: what each masked sum of a job carries, as every party derives it by itself (rule FT-02).

use std::sync::Arc;

use lepton_crypto::long_hash;
use lepton_learn::EvalLayout;
use lepton_ring::{Modulus, RingError, Segment, noised_sum_bound};
use lepton_secagg::{Grouping, SumSpec, VectorSpec};
use serde::{Deserialize, Serialize};

use crate::ledger::{Charge, Side};
use crate::plan::Plan;
use crate::privacy::{Noise, NoiseAt};
use crate::public::PublicState;
use crate::wire::pack_parameters;

/// Minus the logarithm of the chance that a noised sum wraps (FT-25).
const LOG2_WRAP: u32 = 128;

/// What an exchange is for. The numbers are part of the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u32)]
pub enum Kind {
    /// Which categories exist and how large numbers are.
    Survey = 1,
    /// Row count, class counts, means and variances.
    Statistics = 2,
    /// One training round.
    Training = 3,
    /// Metrics between rounds.
    Evaluation = 4,
    /// Metrics of the final model.
    FinalEvaluation = 5,
}

impl Kind {
    /// From its wire number.
    #[must_use]
    pub fn from_wire(value: u32) -> Option<Self> {
        [
            Self::Survey,
            Self::Statistics,
            Self::Training,
            Self::Evaluation,
            Self::FinalEvaluation,
        ]
        .into_iter()
        .find(|kind| *kind as u32 == value)
    }

    /// In words, as the ledger and the report name it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Survey => "survey",
            Self::Statistics => "statistics",
            Self::Training => "training",
            Self::Evaluation => "evaluation",
            Self::FinalEvaluation => "final evaluation",
        }
    }

    /// Which records it touches (FT-03). What a job charges it to: [`Plan::side`].
    #[must_use]
    pub fn side(self) -> Side {
        match self {
            Self::Survey | Self::Statistics | Self::Training => Side::Training,
            Self::Evaluation | Self::FinalEvaluation => Side::HoldOut,
        }
    }
}

/// One masked sum, or one for each group: its vector, its noise and what it is charged as.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// What it is for.
    pub kind: Kind,
    /// What it is charged to.
    pub side: Side,
    /// Entries of a party's vector, and of each sum.
    pub len: usize,
    /// Groups that are summed apart (rule FT-17); one sum over all parties without.
    pub grouping: Option<Arc<Grouping>>,
    /// Ring of the vector, wide enough that the true sum never wraps.
    pub modulus: Modulus,
    /// Noise, under a privacy goal.
    pub noise: Option<Noise>,
    /// How many noised steps one exchange holds (several with local noise).
    pub steps: u64,
    /// Layout of an evaluation.
    pub evaluation: Option<EvalLayout>,
}

impl Exchange {
    /// What the masked sum is told, for this purpose.
    #[must_use]
    pub fn spec(&self, purpose: [u8; 32]) -> SumSpec {
        SumSpec {
            vector: VectorSpec {
                modulus: self.modulus,
                len: self.len,
                purpose,
            },
            grouping: self.grouping.clone(),
        }
    }

    /// What this exchange is charged as, against the coordinator with its colluders; `None` without noise.
    #[must_use]
    pub fn charge(&self, epoch: u64, round: u64, attempt: u32) -> Option<Charge> {
        let noise = self.noise.as_ref()?;
        Some(Charge {
            side: self.side,
            kind: self.kind.words().to_owned(),
            epoch,
            round,
            attempt,
            event: noise.event,
            count: self.steps,
        })
    }
}

/// Ring for `parties` vectors of `len` entries within `bound` before each party adds discrete Gaussian noise of parameter `sigma` to every entry (FT-25).
///
/// No entry of the noised sum wraps but with a proved chance of at most 2^-128 for the whole vector; where one does, that harms the result and not the
/// guarantee: noise is never cut off.
///
/// # Errors
/// [`RingError`] when 64 bits are too few.
pub fn modulus_for(
    parties: u16,
    (len, bound): (usize, u128),
    sigma: u64,
) -> Result<Modulus, RingError> {
    let max_abs = u64::try_from(bound).map_err(|_| RingError::SumBound(bound))?;
    let segment = Segment { len, max_abs };
    let most = noised_sum_bound(&[segment], u32::from(parties), sigma, LOG2_WRAP);
    Modulus::for_sum_bound(most.ok_or(RingError::SumBound(u128::MAX))?)
}

/// The purpose of a sum: a digest of its kind and of everything public that a party's vector depends on (rule SA-02). Every party and the coordinator compute
/// it for themselves.
#[must_use]
pub fn purpose(
    kind: Kind,
    plan: &Plan,
    public: &PublicState,
    parameters: &[f64],
    slot_commitment: &[u8; 32],
) -> [u8; 32] {
    let state = match kind {
        Kind::Survey => Vec::new(),
        Kind::Statistics => {
            let mut before = PublicState {
                ranges: public.ranges.clone(),
                ..PublicState::default()
            };
            let label = plan.label_name();
            if let Some(kept) = public.kept.get(label) {
                before.kept.insert(label.to_owned(), kept.clone());
            }
            before.to_wire()
        }
        Kind::Training | Kind::Evaluation | Kind::FinalEvaluation => {
            // Rows divide gradients at the party with local noise only.
            let local = plan
                .privacy()
                .is_some_and(|privacy| privacy.goal.noise == NoiseAt::Local);
            let rows = local.then_some(public.rows);
            let weights = plan
                .class_weights(public)
                .filter(|_| kind == Kind::Training);
            let clip = public.clip.filter(|_| kind == Kind::Training);
            let inputs = (&public.preparation, weights, rows, clip);
            serde_json::to_vec(&inputs).unwrap_or_default()
        }
    };
    let parts: [&[u8]; 4] = [
        kind.words().as_bytes(),
        &state,
        // Adding zero makes both zeros one.
        &pack_parameters(parameters.iter().map(|value| value + 0.0)),
        slot_commitment,
    ];
    *long_hash("lepton 2026-11 purpose of a sum", &parts).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FT-25: bound and tail by hand. 30 parties, 1,000 entries within 1,100, sigma 5,000: the tail is sigma sqrt(2 * 30 * ln(2 * 1000 * 2^128)) =
    /// 380,113, the bound 33,000: 2^20 holds twice their sum, 2^19 does not.
    #[test]
    fn ft_22_a_ring_holds_bound_and_tail() {
        let tail = 5_000.0 * (60.0 * (2_000.0_f64.ln() + 128.0 * 2.0_f64.ln())).sqrt();
        assert!((380_000.0..381_000.0).contains(&tail), "{tail}");
        assert_eq!(modulus_for(30, (1_000, 1_100), 5_000).unwrap().bits(), 20);
        // Without noise it is the sum of the bounds, exactly (FT-21).
        assert_eq!(modulus_for(30, (1_000, 1_100), 0).unwrap().bits(), 17);
        assert_eq!(modulus_for(2, (5, 63), 0).unwrap().bits(), 8);
        assert_eq!(modulus_for(2, (5, 64), 0).unwrap().bits(), 9);
        assert!(modulus_for(2, (5, 1 << 63), 0).is_err());
        assert!(modulus_for(2, (5, 1 << 70), 0).is_err());
    }
}
