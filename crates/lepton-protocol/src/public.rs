//! What everybody in a job knows: the results of preparation. Treated as untrusted when it arrives (rule FT-02).

use std::collections::BTreeMap;

use lepton_learn::{NumericSummary, Preparation};
use serde::{Deserialize, Serialize};

use crate::plan::Plan;

/// Largest encoding accepted, in bytes.
const MAX_BYTES: usize = 1 << 24;

/// Mean and deviation of a numeric column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moments {
    /// Mean, within the column's range.
    pub mean: f64,
    /// Standard deviation, above 0.
    pub std: f64,
}

/// Results of the survey and the statistics: numbers only. How columns become inputs follows from them and the plan; it is never taken from a
/// message, so that no setting of it can be bent to ask a question about a record (rule FT-02).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicState {
    /// Kept slots of each discovered column, the label included (PR-04).
    pub kept: BTreeMap<String, Vec<u32>>,
    /// Ranges found for numeric columns without declared bounds (PR-05).
    pub ranges: BTreeMap<String, (f64, f64)>,
    /// Moments of each numeric column; absent before the statistics.
    pub moments: Option<BTreeMap<String, Moments>>,
    /// How columns become inputs; absent before the statistics. Derived, not sent.
    #[serde(skip)]
    pub preparation: Option<Preparation>,
    /// Training rows of all parties, at least 1; noised under a privacy goal.
    pub rows: f64,
    /// Class counts in class order; noised under a privacy goal; empty for regression.
    pub class_counts: Vec<f64>,
    /// Clipping norm of the next round, once it differs from the job's (DP-16).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
}

impl PublicState {
    /// As it travels.
    #[must_use]
    pub fn to_wire(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads and checks it against the plan, and derives the preparation.
    ///
    /// # Errors
    /// What the coordinator sent, in words.
    pub fn from_wire(bytes: &[u8], plan: &Plan) -> Result<Self, String> {
        if bytes.len() > MAX_BYTES {
            return Err("a preparation that is too large".to_owned());
        }
        let mut state: Self = serde_json::from_slice(bytes)
            .map_err(|_| "a preparation that cannot be read".to_owned())?;
        state.check(plan)?;
        state.derive(plan)?;
        Ok(state)
    }

    /// Derives the preparation from the numbers and the plan.
    ///
    /// # Errors
    /// What is wrong with the numbers, in words.
    pub fn derive(&mut self, plan: &Plan) -> Result<(), String> {
        let Some(moments) = &self.moments else {
            self.preparation = None;
            return Ok(());
        };
        let summary_of = |name: &str| {
            let (lo, hi) = plan.range_of(name, self);
            let Moments { mean, std } = moments.get(name).copied().unwrap_or(Moments {
                mean: f64::midpoint(lo, hi),
                std: hi - lo,
            });
            NumericSummary {
                lo,
                hi,
                mean,
                std,
                missing: 0.0,
            }
        };
        let preparation = plan.preparation(self, &summary_of);
        let checked = preparation.validate();
        checked.map_err(|error| format!("an unusable preparation: {error}"))?;
        self.preparation = Some(preparation);
        Ok(())
    }

    fn check(&self, plan: &Plan) -> Result<(), String> {
        let discovered = plan.discovered();
        let unbounded = plan.unbounded();
        let numbers: Vec<&str> = plan.numbers().into_iter().map(|(name, _)| name).collect();
        let slots = plan.slots();
        let ordered = |kept: &Vec<u32>| {
            kept.iter().all(|slot| *slot < slots)
                && kept.iter().zip(kept.iter().skip(1)).all(|(a, b)| a < b)
        };
        let kept = self
            .kept
            .iter()
            .all(|(name, kept)| discovered.contains(&name.as_str()) && ordered(kept));
        let ranges = self.ranges.iter().all(|(name, (low, high))| {
            unbounded.contains(&name.as_str()) && (high - low).is_finite() && low < high
        });
        let moments = self.moments.iter().flatten().all(|(name, moments)| {
            let usable = moments.mean.is_finite() && moments.std.is_finite() && moments.std > 0.0;
            numbers.contains(&name.as_str()) && usable
        });
        let counts = self.class_counts.is_empty() || self.class_counts.len() == plan.classes(self);
        let finite =
            self.rows.is_finite() && self.class_counts.iter().all(|count| count.is_finite());
        let clip = self.clip.is_none_or(|norm| {
            plan.clip_quantile().is_some() && lepton_learn::ClipNorm::new(norm).is_ok()
        });
        if kept && ranges && moments && counts && finite && clip {
            Ok(())
        } else {
            Err(
                "a preparation with impossible numbers or of other columns than the job names"
                    .to_owned(),
            )
        }
    }
}
