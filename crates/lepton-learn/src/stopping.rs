//! Early stopping on a metric.

use serde::{Deserialize, Serialize};

/// Which direction of a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// Losses and errors.
    Lower,
    /// Accuracy, AUC.
    Higher,
}

/// What one observation says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The best value so far: keep this model.
    Best,
    /// No better, but patience is left.
    Waiting,
    /// No better for `patience` observations in a row: stop.
    Stop,
}

/// Stops after `patience` observations without an improvement of more than `min_change`. Serialise it into the checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    goal: Goal,
    patience: u32,
    min_change: f64,
    best: Option<f64>,
    since: u32,
}

impl EarlyStopping {
    /// A fresh state. A patience of 0 counts as 1.
    #[must_use]
    pub fn new(goal: Goal, patience: u32, min_change: f64) -> Self {
        Self {
            goal,
            patience: patience.max(1),
            min_change,
            best: None,
            since: 0,
        }
    }

    /// The best value seen.
    #[must_use]
    pub fn best(&self) -> Option<f64> {
        self.best
    }

    /// Takes the next value of the metric; NaN counts as no improvement.
    pub fn observe(&mut self, value: f64) -> Progress {
        let better = match (self.best, self.goal) {
            (None, _) => !value.is_nan(),
            (Some(best), Goal::Lower) => value < best - self.min_change,
            (Some(best), Goal::Higher) => value > best + self.min_change,
        };
        if better {
            self.best = Some(value);
            self.since = 0;
            return Progress::Best;
        }
        self.since += 1;
        if self.since >= self.patience {
            Progress::Stop
        } else {
            Progress::Waiting
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_after_patience_runs_out() {
        let mut stop = EarlyStopping::new(Goal::Higher, 2, 0.01);
        let seen: Vec<_> = [0.5, 0.6, 0.605, 0.7, f64::NAN, 0.7]
            .map(|v| stop.observe(v))
            .into();
        use Progress::{Best, Stop, Waiting};
        assert_eq!(seen, [Best, Best, Waiting, Best, Waiting, Stop]);
        assert_eq!(stop.best(), Some(0.7));
    }
}
