//! Work and sums where the unit of privacy is not a record (docs/protocols/privacy-units.md). The rest of the work is `work`'s.

use lepton_learn::{Examples, LearnError};
use lepton_ring::Rounding;
use rand_core::CryptoRng;

use crate::exchange::Kind;
use crate::job::Unit;
use crate::party::Work;
use crate::plan::{Plan, PlanError};
use crate::work::WorkError;

/// The mean of vectors whose sum over `rows` rows this is, each entry towards zero, the row count left out (PU-06, PU-07).
pub(crate) fn party_mean(sums: &mut [i64], rows: usize) {
    let rows = i64::try_from(rows).unwrap_or(i64::MAX).max(1);
    sums.iter_mut().for_each(|sum| *sum /= rows);
    sums.iter_mut().take(1).for_each(|count| *count = 0);
}

/// Puts the public number of parties where the row count would be (PU-06, PU-07).
pub(crate) fn with_party_count(plan: &Plan, kind: Kind, sums: &mut [f64], survivors: usize) {
    if plan.unit() != Unit::Party || kind == Kind::Training {
        return;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "there are far fewer than 2^52 parties"
    )]
    let counted = survivors as f64 * f64::from(1_u32 << lepton_learn::EVAL_FRACTION_BITS);
    sums.iter_mut().take(1).for_each(|count| *count = counted);
}

/// A party's whole change of parameters, cut and rounded to integers of bounded norm (PU-03); without noise.
pub(crate) fn party_update(
    plan: &Plan,
    work: &Work,
    train: &Examples,
    rng: &mut impl CryptoRng,
) -> Result<Vec<i64>, WorkError> {
    let len = work.parameters.len();
    if train.is_empty() {
        return Ok(vec![0; len]);
    }
    let steps = plan.update_steps(len)?;
    let unit = steps.get() / plan.clip()?.get();
    let mut update: Vec<f64> = trained(plan, work, train, rng)?
        .iter()
        .zip(&work.parameters)
        .map(|(new, old)| (new - old) * unit)
        .collect();
    lepton_learn::clip_update(&mut update, steps);
    let rounding = Rounding::Conditional {
        norm: plan.update_norm(len)?,
    };
    Ok(rounding.round(&update, rng).map_err(PlanError::from)?)
}

/// Parameters after local training; those it began with where it diverged, since declining would be an answer about the rows (PU-01).
fn trained(
    plan: &Plan,
    work: &Work,
    train: &Examples,
    rng: &mut impl CryptoRng,
) -> Result<Vec<f64>, WorkError> {
    let spec = plan.model_spec(&work.public)?;
    let config = plan.local_config(&work.public);
    match lepton_learn::train_local(&spec, &work.parameters, train, &config, rng) {
        Err(LearnError::Diverged) => Ok(work.parameters.clone()),
        trained => Ok(trained?),
    }
}

/// The mean change that a sum of updates over `parties` says (PU-05).
pub(crate) fn mean_update(plan: &Plan, sum: &[i64], parties: f64) -> Result<Vec<f64>, PlanError> {
    let unit = plan.update_steps(sum.len())?.get() / plan.clip()?.get() * parties.max(1.0);
    #[expect(
        clippy::cast_precision_loss,
        reason = "the noise is far larger than the rounding"
    )]
    let change = sum.iter().map(|value| *value as f64 / unit).collect();
    Ok(change)
}
