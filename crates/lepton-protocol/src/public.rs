//! What everybody in a job knows: the results of preparation. Treated as untrusted when it arrives (rule FT-02).

use std::collections::BTreeMap;

use lepton_learn::Preparation;
use serde::{Deserialize, Serialize};

use crate::plan::Plan;

/// Largest encoding accepted, in bytes.
const MAX_BYTES: usize = 1 << 24;

/// Results of the survey and the statistics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicState {
    /// Kept slots of each discovered column, the label included (PR-04).
    pub kept: BTreeMap<String, Vec<u32>>,
    /// Ranges found for numeric columns without declared bounds (PR-05).
    pub ranges: BTreeMap<String, (f64, f64)>,
    /// How columns become inputs; absent before the statistics.
    pub preparation: Option<Preparation>,
    /// Training rows of all parties, at least 1; noised under a privacy goal.
    pub rows: f64,
    /// Class counts in class order; noised under a privacy goal; empty for regression.
    pub class_counts: Vec<f64>,
}

impl PublicState {
    /// As it travels.
    #[must_use]
    pub fn to_wire(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads and checks it against the plan.
    ///
    /// # Errors
    /// What the coordinator sent, in words.
    pub fn from_wire(bytes: &[u8], plan: &Plan) -> Result<Self, String> {
        if bytes.len() > MAX_BYTES {
            return Err("a preparation that is too large".to_owned());
        }
        let state: Self = serde_json::from_slice(bytes)
            .map_err(|_| "a preparation that cannot be read".to_owned())?;
        state.check(plan)?;
        Ok(state)
    }

    fn check(&self, plan: &Plan) -> Result<(), String> {
        let slots = plan.slots();
        let kept = self.kept.values().flatten().all(|slot| *slot < slots);
        let ranges = self
            .ranges
            .values()
            .all(|(low, high)| low.is_finite() && high.is_finite() && low < high);
        let counts =
            self.rows.is_finite() && self.class_counts.iter().all(|count| count.is_finite());
        if !(kept && ranges && counts) {
            return Err("a preparation with impossible numbers".to_owned());
        }
        let Some(preparation) = &self.preparation else {
            return Ok(());
        };
        preparation
            .validate()
            .map_err(|error| format!("an unusable preparation: {error}"))?;
        let names: Vec<&str> = preparation
            .columns
            .iter()
            .map(lepton_learn::ColumnPrep::name)
            .collect();
        let agreed: Vec<&str> = plan
            .features()
            .iter()
            .map(|feature| feature.name.as_str())
            .collect();
        if names != agreed || preparation.target.name() != plan.label_name() {
            return Err("a preparation of other columns than the job names".to_owned());
        }
        Ok(())
    }
}
