//! The integer sums of an evaluation.

#![expect(
    clippy::indexing_slicing,
    reason = "offsets are computed from the layout whose length the vectors are checked against"
)]

use serde::{Deserialize, Serialize};

use crate::data::Target;
use crate::error::{LearnError, expect_len};
use crate::metrics::{Metrics, accuracies, calibrate, mean, scored_classes};
use crate::model::{Predictions, log_loss, most_probable};
use crate::network::sigmoid;

/// Fraction bits of every entry: one row counts 2^20.
pub const EVAL_FRACTION_BITS: u8 = 20;

/// One row in fixed point.
const ONE: i64 = 1 << EVAL_FRACTION_BITS;
/// Score bins reach from -40 to 40 on the logit scale, fine near 0: position `asinh(4 logit) / asinh(160)`.
const LOGIT_SCALE: f64 = 4.0;
const LOGIT_REACH: f64 = 160.0;

/// What a contribution contains. Public and equal at all parties.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvalLayout {
    /// Rows, loss, confusion matrix, then for each scored class (class 1 of two, else all) the score histogram of the rows of
    /// other classes and of its own.
    Classes {
        /// Number of classes, at least 2.
        classes: usize,
        /// Histogram bins, at least 2; equally wide in `asinh` of the logit, so that concentrated scores stay apart.
        bins: usize,
        /// Each row's cross-entropy is cut off here (nats); the lower, the less noise on the mean loss.
        loss_cap: f64,
    },
    /// Rows, squared error, absolute error, target, squared target; errors and targets in units of the public range.
    Values {
        /// Lower bound of the target, in the unit of the predictions.
        lo: f64,
        /// Upper bound.
        hi: f64,
    },
}

impl EvalLayout {
    /// Number of integers.
    #[must_use]
    pub fn len(&self) -> usize {
        match *self {
            Self::Classes { classes, bins, .. } => {
                2 + classes * classes + scored_classes(classes).len() * 2 * bins
            }
            Self::Values { .. } => 5,
        }
    }

    /// Never empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`LearnError::Setting`].
    pub fn validate(&self) -> Result<(), LearnError> {
        match *self {
            Self::Classes { classes, .. } if !(2..=4096).contains(&classes) => Err(
                LearnError::setting("classes", "between 2 and 4096", classes),
            ),
            Self::Classes { bins, .. } if !(2..=65_536).contains(&bins) => {
                Err(LearnError::setting("bins", "between 2 and 65536", bins))
            }
            Self::Classes { loss_cap, .. } if !(loss_cap.is_finite() && loss_cap > 0.0) => Err(
                LearnError::setting("loss_cap", "a finite number above 0", loss_cap),
            ),
            Self::Values { lo, hi } if !(lo < hi && (hi - lo).is_finite()) => {
                Err(LearnError::setting(
                    "target bounds",
                    "finite and increasing",
                    format!("{lo} .. {hi}"),
                ))
            }
            _ => Ok(()),
        }
    }
}

/// L2 sensitivity (one record added or removed) of [`eval_contribution`], in its integer units. Each record adds 1 row, at
/// most 1 capped loss, 1 confusion cell and 1 histogram cell for each scored class (`sqrt(3 + scored)` rows); for real values
/// five entries of at most 1 (`sqrt(5)`). Every entry of a record is rounded to an integer not above 2^20.
#[must_use]
pub fn eval_sensitivity(layout: &EvalLayout) -> f64 {
    let entries = match *layout {
        EvalLayout::Classes { classes, .. } => 3 + scored_classes(classes).len(),
        EvalLayout::Values { .. } => 5,
    };
    (entries as f64).sqrt() * ONE as f64
}

/// One party's sums, in the order of [`EvalLayout`], all in fixed point with [`EVAL_FRACTION_BITS`].
///
/// # Errors
/// When predictions, target and layout do not fit together.
pub fn eval_contribution(
    predictions: &Predictions,
    target: &Target,
    layout: &EvalLayout,
) -> Result<Vec<i64>, LearnError> {
    layout.validate()?;
    expect_len("target rows", predictions.len(), target.len())?;
    let mut sums = vec![0_i64; layout.len()];
    match (predictions, target, *layout) {
        (
            Predictions::Probabilities { classes, data },
            Target::Classes { labels, .. },
            EvalLayout::Classes {
                classes: wanted,
                bins,
                loss_cap,
            },
        ) => {
            expect_len("classes", wanted, *classes)?;
            for (row, (probabilities, &label)) in data.chunks_exact(wanted).zip(labels).enumerate()
            {
                if label as usize >= wanted {
                    return Err(LearnError::Label {
                        row,
                        label,
                        classes: wanted,
                    });
                }
                add_class_row(probabilities, label as usize, (bins, loss_cap), &mut sums);
            }
        }
        (Predictions::Values(values), Target::Values(y), EvalLayout::Values { lo, hi }) => {
            for (&z, &y) in values.iter().zip(y) {
                add_value_row(z, f64::from(y), (lo, hi), &mut sums);
            }
        }
        _ => {
            return Err(LearnError::Spec(
                "predictions, target and layout are of different kinds".into(),
            ));
        }
    }
    Ok(sums)
}

fn add_class_row(
    probabilities: &[f64],
    label: usize,
    (bins, loss_cap): (usize, f64),
    sums: &mut [i64],
) {
    let classes = probabilities.len();
    sums[0] += ONE;
    sums[1] += fixed(log_loss(probabilities[label]) / loss_cap);
    sums[2 + label * classes + most_probable(probabilities) as usize] += ONE;
    let start = 2 + classes * classes;
    for (slot, class) in scored_classes(classes).enumerate() {
        let side = usize::from(class == label);
        sums[start + (2 * slot + side) * bins + bin_of(probabilities[class], bins)] += ONE;
    }
}

fn add_value_row(z: f64, y: f64, (lo, hi): (f64, f64), sums: &mut [i64]) {
    let y = ((y - lo) / (hi - lo)).clamp(0.0, 1.0);
    let error = ((z - lo) / (hi - lo)).clamp(0.0, 1.0) - y;
    for (sum, value) in sums
        .iter_mut()
        .zip([1.0, error * error, error.abs(), y, y * y])
    {
        *sum += fixed(value);
    }
}

/// Nearest fixed-point integer of a number brought into `[0, 1]`; NaN counts as 1, the worst.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the product is at most 2^20"
)]
fn fixed(value: f64) -> i64 {
    let value = if value.is_nan() {
        1.0
    } else {
        value.clamp(0.0, 1.0)
    };
    (value * ONE as f64).round_ties_even() as i64
}

/// Histogram bin of a probability.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the position lies in 0 ..= bins"
)]
fn bin_of(p: f64, bins: usize) -> usize {
    let p = if p.is_nan() { 0.0 } else { p }.clamp(1e-18, 1.0);
    let logit = libm::log(p) - libm::log((1.0 - p).max(1e-18));
    let position = libm::asinh(LOGIT_SCALE * logit) / libm::asinh(LOGIT_REACH);
    let place = ((position + 1.0) / 2.0 * bins as f64).max(0.0);
    (place as usize).min(bins - 1)
}

/// Probability in the middle of a bin.
fn bin_probability(bin: usize, bins: usize) -> f64 {
    let position = (2.0 * (bin as f64 + 0.5) / bins as f64) - 1.0;
    sigmoid(libm::sinh(position * libm::asinh(LOGIT_REACH)) / LOGIT_SCALE)
}

impl Metrics {
    /// Metrics from summed contributions, still in fixed point, possibly with noise: negative counts are taken as 0 except where
    /// they cancel in sums of their own (the area under the curve), and a figure without support is absent.
    ///
    /// # Errors
    /// When the length does not fit the layout or a sum is not finite.
    pub fn from_sums(layout: &EvalLayout, sums: &[f64]) -> Result<Self, LearnError> {
        layout.validate()?;
        expect_len("evaluation sums", layout.len(), sums.len())?;
        if let Some(index) = sums.iter().position(|s| !s.is_finite()) {
            return Err(LearnError::NotFinite {
                what: "evaluation sum",
                index,
            });
        }
        let noised: Vec<f64> = sums.iter().map(|s| s / ONE as f64).collect();
        let sums: Vec<f64> = noised.iter().map(|s| s.max(0.0)).collect();
        Ok(match *layout {
            EvalLayout::Classes {
                classes,
                bins,
                loss_cap,
            } => {
                let start = 2 + classes * classes;
                let areas: Vec<f64> = noised[start..]
                    .chunks_exact(2 * bins)
                    .filter_map(|h| binned_auc(&h[..bins], &h[bins..]))
                    .collect();
                Metrics {
                    auc: mean(&areas),
                    ..class_metrics(&sums, classes, bins, loss_cap)
                }
            }
            EvalLayout::Values { lo, hi } => value_metrics(&noised, hi - lo),
        })
    }
}

fn class_metrics(sums: &[f64], classes: usize, bins: usize, loss_cap: f64) -> Metrics {
    let rows = sums[0];
    let start = 2 + classes * classes;
    let confusion: Vec<Vec<f64>> = sums[2..start]
        .chunks_exact(classes)
        .map(<[f64]>::to_vec)
        .collect();
    let (accuracy, balanced_accuracy) = accuracies(&confusion);
    let histograms = || {
        sums[start..]
            .chunks_exact(2 * bins)
            .map(|h| h.split_at(bins))
    };
    let cells = histograms().flat_map(|(other, own)| {
        let cell = move |(b, (o, w)): (usize, (&f64, &f64))| (bin_probability(b, bins), o + w, *w);
        other.iter().zip(own).enumerate().map(cell)
    });
    Metrics {
        rows,
        loss: (rows >= 1.0).then(|| (sums[1] / rows).min(1.0) * loss_cap),
        accuracy,
        balanced_accuracy,
        calibration: calibrate(cells),
        confusion,
        ..Metrics::default()
    }
}

/// Area under the curve, pairs within a bin counted half; `None` without both kinds of rows. Counts may be negative from noise: cutting
/// them off would push the area towards one half.
fn binned_auc(other: &[f64], own: &[f64]) -> Option<f64> {
    let (mut below, mut area) = (0.0, 0.0);
    for (o, w) in other.iter().zip(own) {
        area += w * (below + o / 2.0);
        below += o;
    }
    let total = own.iter().sum::<f64>();
    (below > 0.0 && total > 0.0).then(|| (area / (below * total)).clamp(0.0, 1.0))
}

/// Noise can make a sum of squares negative: what hangs on it is then absent rather than flattering.
fn value_metrics(sums: &[f64], range: f64) -> Metrics {
    let rows = sums[0].max(0.0);
    let mean = |i: usize| {
        let value = sums[i] / rows.max(1.0);
        (rows >= 1.0 && value >= 0.0).then(|| value.min(1.0))
    };
    let squared = mean(1);
    let variance = mean(3).zip(mean(4)).map(|(y, y_squared)| y_squared - y * y);
    let variance = variance.filter(|variance| *variance > 1e-9);
    Metrics {
        rows,
        loss: squared.map(|squared| 0.5 * squared * range * range),
        rmse: squared.map(|squared| squared.sqrt() * range),
        mae: mean(2).map(|absolute| absolute * range),
        r2: squared
            .zip(variance)
            .map(|(squared, variance)| 1.0 - squared / variance),
        ..Metrics::default()
    }
}
