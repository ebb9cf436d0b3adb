//! Evaluation by integer sums that parties can add, and the metrics computed from them.

mod exact;
mod sums;

use serde::{Deserialize, Serialize};

pub use sums::{EVAL_FRACTION_BITS, EvalLayout, eval_contribution, eval_sensitivity};

/// One group of similar predicted probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Smallest probability of the group.
    pub lower: f64,
    /// Largest probability of the group.
    pub upper: f64,
    /// Rows (for more than two classes: row and class pairs).
    pub count: f64,
    /// Mean predicted probability.
    pub predicted: f64,
    /// Observed share.
    pub observed: f64,
}

/// How good predictions are. Figures that the task does not have, or that the (noisy) counts do not support, are absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows evaluated; may be noisy.
    pub rows: f64,
    /// Mean cross-entropy in nats, or mean of half the squared error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Share of rows whose most probable class is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Mean over the classes that occur of the share found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balanced_accuracy: Option<f64>,
    /// Area under the receiver operating curve of class 1, or the mean over classes, each against the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// `confusion[actual][predicted]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<f64>>,
    /// Predicted against observed shares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calibration: Vec<CalibrationBin>,
    /// Root of the mean squared error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rmse: Option<f64>,
    /// Mean absolute error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mae: Option<f64>,
    /// Share of the target's variance explained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2: Option<f64>,
}

/// Number of calibration groups, equally wide in probability.
const CALIBRATION_GROUPS: usize = 10;

/// Adds up `(probability, count, positive count)` triples into calibration groups; empty groups are left out.
fn calibrate(entries: impl Iterator<Item = (f64, f64, f64)>) -> Vec<CalibrationBin> {
    let mut groups = [(0.0, 0.0, 0.0); CALIBRATION_GROUPS];
    for (p, count, positive) in entries {
        let group = ((1..CALIBRATION_GROUPS).take_while(|&g| p >= edge(g))).count();
        if let Some((n, sum, hits)) = groups.get_mut(group) {
            *n += count;
            *sum += p * count;
            *hits += positive;
        }
    }
    let bin = |(g, &(n, sum, hits)): (usize, &(f64, f64, f64))| CalibrationBin {
        lower: edge(g),
        upper: edge(g + 1),
        count: n,
        predicted: sum / n,
        observed: (hits / n).clamp(0.0, 1.0),
    };
    groups
        .iter()
        .enumerate()
        .filter(|(_, g)| g.0 > 0.0)
        .map(bin)
        .collect()
}

fn edge(group: usize) -> f64 {
    group as f64 / CALIBRATION_GROUPS as f64
}

/// Accuracy and balanced accuracy of a confusion matrix of non-negative counts.
fn accuracies(confusion: &[Vec<f64>]) -> (Option<f64>, Option<f64>) {
    let (mut total, mut right, mut recalls) = (0.0, 0.0, Vec::new());
    for (class, row) in confusion.iter().enumerate() {
        let count: f64 = row.iter().sum();
        let hit = row.get(class).copied().unwrap_or(0.0);
        total += count;
        right += hit;
        if count > 0.0 {
            recalls.push(hit / count);
        }
    }
    ((total > 0.0).then(|| right / total), mean(&recalls))
}

/// Mean, or nothing of nothing.
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Classes that get a score of their own: only class 1 of two, else all.
fn scored_classes(classes: usize) -> std::ops::Range<usize> {
    if classes == 2 { 1..2 } else { 0..classes }
}
