//! Work and sums where the unit of privacy is not a record (docs/protocols/privacy-units.md). The rest of the work is `work`'s.

use std::collections::BTreeMap;

use lepton_learn::{AdaptiveClip, Examples, LearnError, RawColumn};
use lepton_ring::Rounding;
use rand_core::CryptoRng;

use crate::exchange::Kind;
use crate::job::Unit;
use crate::party::Work;
use crate::plain::trained;
use crate::plan::{Plan, PlanError};
use crate::public::PublicState;
use crate::trainer::Custom;
use crate::work::{WorkError, public_divisor};

/// The mean of vectors whose sum over `rows` rows this is, each entry towards zero (PU-06, PU-13).
fn mean(sums: &mut [i64], rows: usize) {
    let rows = i64::try_from(rows).unwrap_or(i64::MAX).max(1);
    sums.iter_mut().for_each(|sum| *sum /= rows);
}

/// A party's sums under the plan's unit: of all rows, of the means of each person's rows, or the mean of all without their count (PU-06, PU-07, PU-13).
/// `of` gives the sum over some rows, all of them for `None`; `len` is the length of the result.
pub(crate) fn by_unit(
    plan: &Plan,
    (rows, persons): (usize, &[Vec<usize>]),
    len: usize,
    mut of: impl FnMut(Option<&[usize]>) -> Result<Vec<i64>, WorkError>,
) -> Result<Vec<i64>, WorkError> {
    match plan.unit() {
        Unit::Record => of(None),
        Unit::Party => {
            let mut sums = of(None)?;
            mean(&mut sums, rows);
            // How many parties take part is public.
            sums.iter_mut().take(1).for_each(|count| *count = 0);
            Ok(sums)
        }
        Unit::Person => {
            let mut total = vec![0_i64; len];
            for person in persons {
                let mut sums = of(Some(person))?;
                mean(&mut sums, person.len());
                total
                    .iter_mut()
                    .zip(sums)
                    .for_each(|(total, sum)| *total += sum);
            }
            Ok(total)
        }
    }
}

/// The rows of each person, in the order of their ids; rows without an id belong to nobody (PU-11). `rows` are the raw rows that are used, and what is
/// given are positions among them.
pub(crate) fn persons(ids: &RawColumn, rows: &[usize]) -> Vec<Vec<usize>> {
    let mut found: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (position, row) in rows.iter().enumerate() {
        if let Some(id) = ids.category(*row) {
            found.entry(id.into_owned()).or_default().push(position);
        }
    }
    found.into_values().collect()
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

/// A party's training rows, and whose they are where that matters.
pub(crate) struct Own<'a> {
    pub(crate) train: &'a Examples,
    pub(crate) persons: &'a [Vec<usize>],
}

/// A party's whole change of parameters, cut and rounded to integers of bounded norm (PU-03); without noise.
pub(crate) fn party_update(
    plan: &Plan,
    work: &Work,
    train: &Examples,
    custom: Option<&mut Custom>,
    rng: &mut impl CryptoRng,
) -> Result<Vec<i64>, WorkError> {
    let len = work.parameters.len();
    if train.is_empty() {
        return Ok(vec![0; work.exchange.len]);
    }
    let steps = plan.update_steps(len)?;
    let unit = steps.get() / plan.clip(&work.public)?.get();
    let mut update: Vec<f64> = kept_when_diverged(plan, work, train, custom, rng)?
        .iter()
        .zip(&work.parameters)
        .map(|(new, old)| (new - old) * unit)
        .collect();
    let cut = lepton_learn::clip_update(&mut update, steps);
    let rounding = Rounding::Conditional {
        norm: plan.update_norm(len)?,
    };
    let count = AdaptiveClip::contribution(1, usize::from(cut));
    let mut vector = Vec::from_iter(plan.count_entry(&work.public, len, count)?);
    vector.extend(rounding.round(&update, rng).map_err(PlanError::from)?);
    Ok(vector)
}

/// Parameters after local training; those it began with where it diverged, since declining would be an answer about the rows (PU-01).
fn kept_when_diverged(
    plan: &Plan,
    work: &Work,
    train: &Examples,
    custom: Option<&mut Custom>,
    rng: &mut impl CryptoRng,
) -> Result<Vec<f64>, WorkError> {
    match trained(plan, work, train, custom, rng) {
        Err(WorkError::Learn(LearnError::Diverged)) => Ok(work.parameters.clone()),
        trained => trained,
    }
}

/// The mean change that a sum of updates over `parties` says (PU-05).
pub(crate) fn mean_update(
    plan: &Plan,
    public: &PublicState,
    sum: &[i64],
    parties: f64,
) -> Result<Vec<f64>, PlanError> {
    let norm = plan.clip(public)?.get();
    let unit = plan.update_steps(sum.len())?.get() / norm * parties.max(1.0);
    #[expect(
        clippy::cast_precision_loss,
        reason = "the noise is far larger than the rounding"
    )]
    let change = sum.iter().map(|value| *value as f64 / unit).collect();
    Ok(change)
}

/// Step length of the adaptive norm: the paper's.
const CLIP_RATE: f64 = 0.2;

/// The sums of a round without their counts, and the norm of the next round, where it is adaptive (PU-10).
pub(crate) fn take_counts(
    plan: &Plan,
    public: &PublicState,
    sum: &[i64],
    survivors: usize,
) -> Result<(Vec<i64>, Option<f64>), PlanError> {
    let Some(target_quantile) = plan.clip_quantile() else {
        return Ok((sum.to_vec(), None));
    };
    let len = plan.model_len(public)?;
    let parts = || sum.chunks_exact(len + 1);
    let count: i128 = parts()
        .flat_map(<[i64]>::first)
        .copied()
        .map(i128::from)
        .sum();
    let vectors = parts()
        .flat_map(|part| part.iter().skip(1))
        .copied()
        .collect();
    #[expect(
        clippy::cast_precision_loss,
        reason = "the noise is far larger than the rounding"
    )]
    let (count, parties) = (count as f64, survivors.max(1) as f64);
    let expected = match plan.unit() {
        Unit::Party => parties,
        Unit::Record | Unit::Person => public_divisor(plan, public),
    };
    let steps = Plan::count_steps(plan.contribution_sensitivity(public, len)?);
    let clip = AdaptiveClip {
        norm: plan.clip(public)?,
        target_quantile,
        learning_rate: CLIP_RATE,
    };
    // Noise beyond what any count can be says no more than the largest count.
    let count = (count / steps).clamp(-expected, expected);
    Ok((vectors, Some(clip.next(count, expected)?.norm.get())))
}
