//! The seam for models of which Lepton knows no more than the shapes: a program of the party's own trains and predicts
//! (docs/protocols/custom-models.md).

use lepton_learn::{Examples, LocalConfig, Matrix, Predictions};

use crate::party::Work;
use crate::plan::Plan;
use crate::work::WorkError;

/// How far the shares of a row's classes may add up to anything but 1.
const SHARES: f64 = 1e-3;

/// What a trainer is told about the round it trains in (rule CM-02).
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// Number of the round, from 1.
    pub number: u32,
    /// The settings of `[training]`.
    pub settings: LocalConfig,
}

/// Why a trainer could not do what it was asked to: for the data's owner alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TrainerError(pub String);

/// Trains and applies a custom model at one party. Parameters are the tensors of `model.shapes`, row-major, one after the other.
pub trait Trainer: Send + Sync {
    /// New parameters after training on `train`, from `parameters` on; as many of them.
    ///
    /// # Errors
    /// [`TrainerError`].
    fn fit(
        &mut self,
        parameters: &[f64],
        train: &Examples,
        round: &Round,
    ) -> Result<Vec<f64>, TrainerError>;

    /// Shares of the classes, or values, one for each row of `x`; for two classes the shares of the second will do.
    ///
    /// # Errors
    /// [`TrainerError`].
    fn predict(&mut self, parameters: &[f64], x: &Matrix) -> Result<Predictions, TrainerError>;

    /// Gradient of the loss at one record, which depends on nothing but that record and the parameters (rule CM-05).
    ///
    /// # Errors
    /// [`TrainerError`].
    fn gradient(&mut self, parameters: &[f64], record: &Examples)
    -> Result<Vec<f64>, TrainerError>;

    /// Whether [`Trainer::gradient`] works: without it only the unit `party` can be had under a privacy goal.
    fn has_gradient(&self) -> bool;

    /// Whether noise in a sum would spoil the model, so that a privacy goal cannot be had (rule CM-11).
    fn exact_sums(&self) -> bool {
        false
    }
}

/// Why a trainer does not suffice for a plan; `None` where it does.
#[must_use]
pub fn unfit(plan: &Plan, trainer: &dyn Trainer) -> Option<String> {
    if plan.privacy().is_some() && trainer.exact_sums() {
        return Some("the trainer needs exact sums, and the job has a privacy goal; leave [privacy] out, or train another model".to_owned());
    }
    (plan.samples() && !trainer.has_gradient()).then(|| {
        format!(
            "with unit = \"{}\" the trainer needs a gradient for each record; give it one, or write unit = \"party\"",
            plan.unit()
        )
    })
}

/// A trainer behind the checks of CM-03 and CM-04.
pub(crate) struct Custom {
    trainer: Box<dyn Trainer>,
    complaint: Option<String>,
}

impl Custom {
    pub(crate) fn new(trainer: Box<dyn Trainer>) -> Self {
        Self {
            trainer,
            complaint: None,
        }
    }

    /// The last failure that a privacy goal kept inside, once.
    pub(crate) fn take_complaint(&mut self) -> Option<String> {
        self.complaint.take()
    }

    /// Parameters after training; the old ones after a failure under a privacy goal (CM-04).
    pub(crate) fn fit(
        &mut self,
        plan: &Plan,
        work: &Work,
        train: &Examples,
    ) -> Result<Vec<f64>, WorkError> {
        let round = Round {
            number: work.training_round,
            settings: plan.local_config(&work.public),
        };
        let fitted = self.trainer.fit(&work.parameters, train, &round);
        let checked = fitted.and_then(|new| finite(new, work.parameters.len(), "fit"));
        self.settle(plan, checked, || work.parameters.clone())
    }

    /// The gradient at one record; zero after a failure under a privacy goal.
    pub(crate) fn gradient(
        &mut self,
        plan: &Plan,
        parameters: &[f64],
        record: &Examples,
    ) -> Result<Vec<f64>, WorkError> {
        let gradient = self.trainer.gradient(parameters, record);
        let checked = gradient.and_then(|new| finite(new, parameters.len(), "gradient"));
        self.settle(plan, checked, || vec![0.0; parameters.len()])
    }

    /// The rows that predictions were made for, and these. Where rows are protected one by one they are predicted one by one (CM-07), and those left
    /// out where it failed.
    pub(crate) fn predict(
        &mut self,
        (plan, work): (&Plan, &Work),
        rows: &Examples,
    ) -> Result<(Vec<usize>, Predictions), WorkError> {
        let classes = plan.classes(&work.public);
        let step = if plan.samples() { 1 } else { rows.len().max(1) };
        let all: Vec<usize> = (0..rows.len()).collect();
        let (mut kept, mut numbers) = (Vec::new(), Vec::new());
        for chunk in all.chunks(step) {
            let x = rows.x().subset(chunk);
            let found = self.trainer.predict(&work.parameters, &x);
            let checked = found.and_then(|found| checked(found, chunk.len(), classes));
            if let Some(more) = self.settle(plan, checked.map(Some), || None)? {
                kept.extend(chunk);
                numbers.extend(more);
            }
        }
        let predictions = match classes {
            0 => Predictions::Values(numbers),
            classes => Predictions::Probabilities {
                classes,
                data: numbers,
            },
        };
        Ok((kept, predictions))
    }

    fn settle<T>(
        &mut self,
        plan: &Plan,
        result: Result<T, TrainerError>,
        instead: impl FnOnce() -> T,
    ) -> Result<T, WorkError> {
        match result {
            Err(error) if plan.privacy().is_some() => {
                self.complaint = Some(error.0);
                Ok(instead())
            }
            result => Ok(result?),
        }
    }
}

fn finite(values: Vec<f64>, len: usize, what: &str) -> Result<Vec<f64>, TrainerError> {
    if values.len() != len {
        return Err(TrainerError(format!(
            "{what} gave {} numbers, and the model has {len}",
            values.len()
        )));
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(place) => Err(TrainerError(format!(
            "{what} gave {} as number {place}: training diverged; lower training.learning_rate",
            values.get(place).copied().unwrap_or(f64::NAN)
        ))),
        None => Ok(values),
    }
}

/// The numbers of predictions for `rows` rows, of `classes` classes or none.
fn checked(found: Predictions, rows: usize, classes: usize) -> Result<Vec<f64>, TrainerError> {
    match (found, classes) {
        // The shares of the second class say those of the first.
        (Predictions::Values(values), 2) => {
            let data = values.iter().flat_map(|share| [1.0 - share, *share]);
            let data = data.collect();
            checked(Predictions::Probabilities { classes, data }, rows, classes)
        }
        (Predictions::Values(values), 0) => finite(values, rows, "predict"),
        (
            Predictions::Probabilities {
                classes: given,
                data,
            },
            classes,
        ) if given == classes && classes > 0 => {
            let data = finite(data, rows * classes, "predict")?;
            let share = |value: &f64| (-SHARES..=1.0 + SHARES).contains(value);
            let whole = |row: &[f64]| (row.iter().sum::<f64>() - 1.0).abs() <= SHARES;
            if data
                .chunks_exact(classes)
                .all(|row| row.iter().all(share) && whole(row))
            {
                return Ok(data);
            }
            Err(TrainerError(
                "predict gave shares that do not lie between 0 and 1, or do not add up to 1 in each row".to_owned(),
            ))
        }
        (_, 0) => Err(TrainerError(
            "predict must give one value for each row".to_owned(),
        )),
        (_, classes) => Err(TrainerError(format!(
            "predict must give the shares of {classes} classes for each row"
        ))),
    }
}
