//! Metrics of predictions that are at hand, without binning.

use crate::data::Target;
use crate::error::{LearnError, expect_len};
use crate::metrics::{Metrics, accuracies, calibrate, mean, scored_classes};
use crate::model::{Predictions, mean_loss};

impl Metrics {
    /// Exact metrics; the area under the curve counts tied pairs half.
    ///
    /// # Errors
    /// When predictions and target do not fit together.
    pub fn exact(predictions: &Predictions, target: &Target) -> Result<Self, LearnError> {
        expect_len("target rows", predictions.len(), target.len())?;
        if predictions.is_empty() {
            return Ok(Self::default());
        }
        let loss = mean_loss(predictions, target);
        let metrics = match (predictions, target) {
            (Predictions::Probabilities { classes, data }, Target::Classes { labels, .. }) => {
                if let Some((row, &label)) = labels
                    .iter()
                    .enumerate()
                    .find(|&(_, &l)| l as usize >= *classes)
                {
                    return Err(LearnError::Label {
                        row,
                        label,
                        classes: *classes,
                    });
                }
                class_metrics(&predictions.classes(), data, labels, *classes)
            }
            (Predictions::Values(values), Target::Values(y)) => value_metrics(values, y),
            _ => {
                return Err(LearnError::Spec(
                    "predictions and target are of different kinds".into(),
                ));
            }
        };
        Ok(Self {
            rows: predictions.len() as f64,
            loss: Some(loss),
            ..metrics
        })
    }
}

fn class_metrics(predicted: &[u32], data: &[f64], labels: &[u32], classes: usize) -> Metrics {
    let mut confusion = vec![vec![0.0; classes]; classes];
    for (&p, &label) in predicted.iter().zip(labels) {
        if let Some(cell) = confusion
            .get_mut(label as usize)
            .and_then(|row| row.get_mut(p as usize))
        {
            *cell += 1.0;
        }
    }
    let (accuracy, balanced_accuracy) = accuracies(&confusion);
    let (mut areas, mut cells) = (Vec::new(), Vec::new());
    for class in scored_classes(classes) {
        let scores = data.iter().skip(class).step_by(classes).copied();
        let own = labels.iter().map(|&l| l as usize == class);
        let mut scored: Vec<(f64, bool)> = scores.zip(own).collect();
        cells.extend(
            scored
                .iter()
                .map(|&(p, own)| (p, 1.0, f64::from(u8::from(own)))),
        );
        areas.extend(rank_auc(&mut scored));
    }
    Metrics {
        accuracy,
        balanced_accuracy,
        auc: mean(&areas),
        calibration: calibrate(cells.into_iter()),
        confusion,
        ..Metrics::default()
    }
}

/// Mann-Whitney statistic over pairs; `None` without both kinds of rows.
fn rank_auc(scored: &mut [(f64, bool)]) -> Option<f64> {
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut total, mut area) = (0.0, 0.0, 0.0);
    for tied in scored.chunk_by(|a, b| a.0 == b.0) {
        let own = tied.iter().filter(|s| s.1).count() as f64;
        let other = tied.len() as f64 - own;
        area += own * (below + other / 2.0);
        below += other;
        total += own;
    }
    (below > 0.0 && total > 0.0).then(|| area / (below * total))
}

fn value_metrics(values: &[f64], y: &[f32]) -> Metrics {
    let n = y.len() as f64;
    let errors = || values.iter().zip(y).map(|(z, &y)| z - f64::from(y));
    let squared: f64 = errors().map(|e| e * e).sum();
    let middle = y.iter().map(|&y| f64::from(y)).sum::<f64>() / n;
    let spread: f64 = y.iter().map(|&y| (f64::from(y) - middle).powi(2)).sum();
    Metrics {
        rmse: Some((squared / n).sqrt()),
        mae: Some(errors().map(f64::abs).sum::<f64>() / n),
        r2: (spread > 0.0).then(|| 1.0 - squared / spread),
        ..Metrics::default()
    }
}
