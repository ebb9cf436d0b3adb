//! A round without a privacy goal: local training, the weighted change in fixed point.

use lepton_learn::Examples;
use lepton_ring::FixedPoint;
use rand_core::CryptoRng;

use crate::party::Work;
use crate::plan::{CHANGE_BITS, MAX_CHANGE, Plan, PlanError};
use crate::trainer::Custom;
use crate::work::WorkError;

/// Rule FT-12: the weight, then the weighted change.
pub(crate) fn plain_round(
    plan: &Plan,
    work: &Work,
    train: &Examples,
    custom: Option<&mut Custom>,
    rng: &mut impl CryptoRng,
) -> Result<Vec<i64>, WorkError> {
    let weight = i64::try_from(train.len()).map_err(|_| WorkError::TooManyRows)?;
    if weight == 0 {
        return Ok(vec![0; work.exchange.len]);
    }
    let trained = trained(plan, work, train, custom, rng)?;
    let mut changes: Vec<f64> = trained
        .iter()
        .zip(&work.parameters)
        .map(|(new, old)| new - old)
        .collect();
    if let Some(norm) = plan.clip_update() {
        clip(&mut changes, norm)?;
    }
    let encoding = FixedPoint::new(CHANGE_BITS);
    let mut vector = vec![weight];
    for change in changes {
        if change.abs() > MAX_CHANGE {
            return Err(WorkError::TooFar);
        }
        #[expect(clippy::cast_precision_loss, reason = "a weight is at most 2^20")]
        let weighted = change * weight as f64;
        vector.push(encoding.encode(weighted).map_err(PlanError::from)?);
    }
    Ok(vector)
}

/// Parameters after training on these rows: by Lepton, or by the party's own program (CM-06).
pub(crate) fn trained(
    plan: &Plan,
    work: &Work,
    train: &Examples,
    custom: Option<&mut Custom>,
    rng: &mut impl CryptoRng,
) -> Result<Vec<f64>, WorkError> {
    if plan.is_custom() {
        let custom = custom.ok_or(WorkError::NoTrainer)?;
        return custom.fit(plan, work, train);
    }
    let spec = plan.model_spec(&work.public)?;
    let config = plan.local_config(&work.public);
    Ok(lepton_learn::train_local(
        &spec,
        &work.parameters,
        train,
        &config,
        rng,
    )?)
}

/// Rule FT-21: shortens an update to the Euclidean norm `limit`.
fn clip(changes: &mut [f64], limit: f64) -> Result<(), WorkError> {
    // Scaled by the largest, so that no square overflows.
    let largest = changes
        .iter()
        .fold(0.0_f64, |most, change| most.max(change.abs()));
    if !largest.is_finite() || changes.iter().any(|change| change.is_nan()) {
        return Err(WorkError::TooFar);
    }
    if largest > 0.0 {
        let squares = changes.iter().map(|change| (change / largest).powi(2));
        let norm = largest * libm::sqrt(squares.sum());
        let factor = (limit / norm).min(1.0);
        changes.iter_mut().for_each(|change| *change *= factor);
    }
    Ok(())
}
