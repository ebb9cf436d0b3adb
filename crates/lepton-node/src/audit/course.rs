//! A job's whole course over given rows, the masks left out: what everybody sees who sees all sums.

use lepton_protocol::exchange::Kind;
use lepton_protocol::frame::Place;
use lepton_protocol::party::Work;
use lepton_protocol::training::Training;
use lepton_protocol::work::{PartyRows, WorkError, Worker};
use rand_core::CryptoRng;

use super::directions::Directions;
use crate::error::NodeError;
use crate::tables::Federation;

/// What was released on the way.
pub(super) struct Course {
    /// The coordinator's state at the end.
    pub(super) training: Training,
    /// Every training sum.
    pub(super) rounds: Vec<Round>,
}

/// A training exchange.
pub(super) struct Round {
    /// Parameters that it started from.
    pub(super) parameters: Vec<f64>,
    /// The opened sum, noise included.
    pub(super) sum: Vec<i64>,
}

impl Course {
    /// Runs the job with these rows in the parties' places.
    pub(super) fn run(
        federation: &Federation,
        rows: Vec<PartyRows>,
        planted: Option<&Directions>,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, NodeError> {
        let plan = &federation.plan;
        let mut workers: Vec<Worker> = rows.into_iter().map(Worker::new).collect();
        let mut training = Training::new(plan, None);
        let mut rounds = Vec::new();
        while let Some(next) = training.next(plan, rng)? {
            let exchange = plan.exchange(next.kind, training.public())?;
            let work = Work {
                place: Place {
                    job: federation.job_digest,
                    epoch: 1,
                    round: next.number,
                    attempt: next.attempt,
                },
                exchange,
                training_round: next.training_round,
                public: training.public().clone(),
                parameters: match next.kind {
                    Kind::Survey | Kind::Statistics => Vec::new(),
                    Kind::Training => training.parameters().to_vec(),
                    Kind::Evaluation | Kind::FinalEvaluation => training.released(),
                },
                slot_key: None,
            };
            let mut sum = vec![0_i64; work.exchange.len];
            for worker in &mut workers {
                let vector = worker.contribute(plan, &work, rng).map_err(failed)?;
                for (total, value) in sum.iter_mut().zip(vector) {
                    *total = total.wrapping_add(value);
                }
            }
            if next.kind == Kind::Training {
                if let Some(planted) = planted {
                    planted.join((plan, &work.public), &mut sum, rng)?;
                }
                rounds.push(Round {
                    parameters: work.parameters,
                    sum: sum.clone(),
                });
            }
            training.absorb(plan, &next, &sum, workers.len())?;
        }
        Ok(Self { training, rounds })
    }
}

pub(super) fn failed(error: WorkError) -> NodeError {
    NodeError::Data(error.to_string())
}
