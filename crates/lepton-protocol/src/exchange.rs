//! Exchanges: what each masked sum of a job carries, as every party derives it by itself (rule FT-02).

use std::sync::Arc;

use lepton_crypto::hash;
use lepton_learn::EvalLayout;
use lepton_ring::{Modulus, RingError};
use lepton_secagg::{Grouping, SumSpec, VectorSpec};
use serde::{Deserialize, Serialize};

use crate::ledger::{Charge, Side};
use crate::plan::Plan;
use crate::privacy::{Noise, NoiseAt};
use crate::public::PublicState;
use crate::wire::pack_parameters;

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

/// Ring for `parties` vectors whose entries stay within `bound` before noise of standard deviation `sigma`.
///
/// Sixty-four standard deviations are left for noise; a larger draw (probability below 2^-2900) wraps, which harms the
/// result and not the guarantee: noise is never cut off.
///
/// # Errors
/// [`RingError`] when 64 bits are too few.
pub fn modulus_for(parties: u16, bound: u128, sigma: u64) -> Result<Modulus, RingError> {
    Modulus::for_sum_bound(u128::from(parties) * (bound + 64 * u128::from(sigma)))
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
    // Adding zero makes both zeros one.
    let parameters: Vec<f64> = parameters.iter().map(|value| value + 0.0).collect();
    let parts: [&[u8]; 4] = [
        kind.words().as_bytes(),
        &state,
        &pack_parameters(&parameters),
        slot_commitment,
    ];
    *hash("lepton purpose", &parts).as_bytes()
}
