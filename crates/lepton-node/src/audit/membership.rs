//! Membership inference against the released model: LiRA (Carlini et al. 2022, section V, with a Gaussian fit of each record's confidence under shadow
//! models) and the plain threshold on the loss (Yeom et al. 2018).

use lepton_dp::audit::proportion_interval;
use lepton_learn::{Examples, Model, Predictions};
use lepton_protocol::work::{PartyRows, Worker, slot_function};
use rand_core::CryptoRng;
use serde::Serialize;

use super::canaries::label_of;
use super::course::{Course, failed};
use crate::error::NodeError;
use crate::tables::Federation;

/// Share of false alarms at which true alarms are counted.
const FALSE_ALARMS: f64 = 0.01;

/// Confidences are fitted with at least this standard deviation: with few shadow models a fit can be too narrow by chance.
const LEAST_SPREAD: f64 = 0.05;

/// What the interval presumes, for whoever reads it.
pub(super) const INTERVAL_NOTE: &str = "The interval of members found is taken as if rows were independent; they share one model, so it may be too narrow.";

/// What membership inference shows.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Membership {
    /// Shadow models, each trained on a random half of the training rows.
    pub shadow_models: u32,
    /// Training rows attacked; half of them were in the attacked model's training.
    pub rows: u32,
    /// Area under the curve of LiRA: 0.5 is guessing.
    pub lira_auc: f64,
    /// Members found by LiRA when one per cent of non-members are taken for members.
    pub lira_true_positives_at_1_percent: f64,
    /// Its interval at the audit's confidence (Clopper and Pearson), as if rows were independent; they share one model, so it may be too narrow.
    pub lira_interval: (f64, f64),
    /// Area under the curve of the threshold on the loss.
    pub loss_auc: f64,
}

/// One trained model over a random half of the rows, and its confidence in every row.
struct Trial {
    member: Vec<bool>,
    confidence: Vec<f64>,
}

/// Trains the attacked model and the shadow models, and attacks.
///
/// # Errors
/// [`NodeError::Use`] for a job that predicts numbers or has fewer than two shadow models.
pub(super) fn infer(
    federation: &Federation,
    models: u32,
    confidence: f64,
    rng: &mut impl CryptoRng,
) -> Result<Membership, NodeError> {
    if models < 2 {
        return Err(NodeError::Use(
            "membership inference needs at least 2 shadow models".to_owned(),
        ));
    }
    let attacked = Trial::run(federation, rng)?;
    let shadows = (0..models)
        .map(|_| Trial::run(federation, rng))
        .collect::<Result<Vec<_>, _>>()?;
    let lira: Vec<f64> = (0..attacked.member.len())
        .map(|row| likelihood_ratio(&attacked, &shadows, row))
        .collect();
    let (inside, outside) = parted(&lira, &attacked.member);
    let found = true_positives(&inside, &outside);
    let (low, high) = proportion_interval(found, count(&inside), confidence);
    let (loss_in, loss_out) = parted(&attacked.confidence, &attacked.member);
    Ok(Membership {
        shadow_models: models,
        rows: count(&lira),
        lira_auc: auc(&inside, &outside),
        lira_true_positives_at_1_percent: f64::from(found) / f64::from(count(&inside).max(1)),
        lira_interval: (low, high),
        loss_auc: auc(&loss_in, &loss_out),
    })
}

impl Trial {
    fn run(federation: &Federation, rng: &mut impl CryptoRng) -> Result<Self, NodeError> {
        let mut member = Vec::new();
        let halves: Vec<PartyRows> = federation
            .parties
            .iter()
            .map(|party| {
                let rows = party
                    .rows
                    .train
                    .first()
                    .map_or(0, lepton_learn::RawColumn::len);
                let coins: Vec<bool> = (0..rows).map(|_| rng.next_u32() & 1 == 1).collect();
                let chosen: Vec<usize> = (0..rows)
                    .filter(|row| coins.get(*row).copied().unwrap_or_default())
                    .collect();
                member.extend(coins);
                let train = party.rows.train.iter();
                PartyRows {
                    train: train.map(|column| column.select(&chosen)).collect(),
                    hold_out: party.rows.hold_out.clone(),
                }
            })
            .collect();
        let course = Course::run(federation, halves, None, rng)?;
        let public = course.training.public();
        let parameters = course.training.released();
        let model = Model::new(federation.plan.model_spec(public)?, parameters)?;
        let slot = slot_function(None, federation.plan.slots());
        let mut confidence = Vec::new();
        for party in &federation.parties {
            let mut worker = Worker::new(party.rows.clone());
            let (examples, _) = worker.examples(public, &slot).map_err(failed)?;
            confidence.extend(confidences(&model, examples)?);
        }
        // Rows with a class that the preparation does not know are no examples: then rows and coins do not match.
        if confidence.len() != member.len() {
            return Err(NodeError::Use(
                "membership inference needs all classes declared in data.classes".to_owned(),
            ));
        }
        Ok(Self { member, confidence })
    }
}

/// `ln(p / (1 - p))` of each row's own class.
fn confidences(model: &Model, examples: &Examples) -> Result<Vec<f64>, NodeError> {
    let Predictions::Probabilities { classes, data } = model.predict(examples.x())? else {
        return Err(NodeError::Use(
            "membership inference is for models that predict classes; set --shadow-models 0"
                .to_owned(),
        ));
    };
    let rows = data.chunks(classes.max(1)).enumerate();
    Ok(rows
        .map(|(row, probabilities)| {
            let class = label_of(examples.y(), row).unwrap_or_default();
            let p = probabilities.get(class).copied().unwrap_or_default();
            let p = p.clamp(1e-9, 1.0 - 1e-9);
            (p / (1.0 - p)).ln()
        })
        .collect())
}

/// How much likelier the attacked model's confidence is had the row been in than out; one spread for all shadow models of the row.
fn likelihood_ratio(attacked: &Trial, shadows: &[Trial], row: usize) -> f64 {
    let at = |trial: &Trial| trial.confidence.get(row).copied().unwrap_or_default();
    let of = |member: bool| -> Vec<f64> {
        let trials = shadows.iter();
        trials
            .filter(|trial| trial.member.get(row) == Some(&member))
            .map(at)
            .collect()
    };
    let (inside, outside) = (of(true), of(false));
    if inside.is_empty() || outside.is_empty() {
        return 0.0;
    }
    let (mean_in, mean_out) = (mean(&inside), mean(&outside));
    let squares: f64 = inside.iter().map(|v| (v - mean_in).powi(2)).sum::<f64>()
        + outside.iter().map(|v| (v - mean_out).powi(2)).sum::<f64>();
    let spread = (squares / f64::from(count(&inside) + count(&outside))).sqrt();
    let spread = spread.max(LEAST_SPREAD);
    let seen = at(attacked);
    ((seen - mean_out).powi(2) - (seen - mean_in).powi(2)) / (2.0 * spread * spread)
}

fn parted(scores: &[f64], member: &[bool]) -> (Vec<f64>, Vec<f64>) {
    let pick = |wanted: bool| {
        let rows = scores.iter().zip(member);
        rows.filter(|(_, member)| **member == wanted)
            .map(|(score, _)| *score)
            .collect()
    };
    (pick(true), pick(false))
}

/// Members above the score that one per cent of non-members pass.
fn true_positives(inside: &[f64], outside: &[f64]) -> u32 {
    let mut ordered = outside.to_vec();
    ordered.sort_by(|a, b| b.total_cmp(a));
    let allowed = f64::from(count(outside)) * FALSE_ALARMS;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small share of a count"
    )]
    let threshold = ordered.get(allowed.floor() as usize).copied();
    let threshold = threshold.unwrap_or(f64::NEG_INFINITY);
    let above: Vec<f64> = inside.iter().copied().filter(|s| *s > threshold).collect();
    count(&above)
}

/// Chance that a member scores above a non-member, ties half.
fn auc(inside: &[f64], outside: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = inside
        .iter()
        .map(|score| (*score, true))
        .chain(outside.iter().map(|score| (*score, false)))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut wins) = (0.0, 0.0);
    for group in all.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let members = f64::from(u32::try_from(group.iter().filter(|g| g.1).count()).unwrap_or(0));
        let others = f64::from(u32::try_from(group.len()).unwrap_or(0)) - members;
        wins += members * (below + 0.5 * others);
        below += others;
    }
    wins / (f64::from(count(inside)) * f64::from(count(outside))).max(1.0)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / f64::from(count(values).max(1))
}

fn count(values: &[f64]) -> u32 {
    u32::try_from(values.len()).unwrap_or(u32::MAX)
}
