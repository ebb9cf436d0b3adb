//! The plan of a training job: everything a party or a coordinator derives from the job file and the roster alone (rule FT-02).

mod automatic;
mod build;
mod embed;
mod exchanges;
mod family;
mod model;
mod private_step;
mod unit;

use lepton_dp::DpError;
use lepton_learn::{LearnError, MAX_ROWS_PER_STEP, Preparation};
use lepton_ring::RingError;
use lepton_secagg::{ParameterError, Parameters};

use crate::exchange::Kind;
use crate::job::{self, Job};
use crate::privacy::PrivacyPlan;
use crate::public::PublicState;
use crate::robust::Groups;
pub use automatic::choose;

/// Most training rows of one party (the bound in `docs/protocols/dp-sgd.md`).
pub const MAX_ROWS: usize = MAX_ROWS_PER_STEP;

/// Fraction bits of weighted parameter changes without a privacy goal.
pub const CHANGE_BITS: u8 = 16;

/// Largest change of one parameter in one round; a larger one is an error without a goal and clamped with local noise.
pub const MAX_CHANGE: f64 = 64.0;

/// Buckets of the survey for the magnitude of numbers: bucket e stands for 2^(e − 32).
pub const MAGNITUDES: usize = 96;

/// Units of the statistics: one row is 2^20.
const ROW_UNIT: f64 = 1_048_576.0;

/// One input column.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: FeatureKind,
}

/// What an input column holds.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureKind {
    /// Numbers, with declared bounds or none.
    Number(Option<(f64, f64)>),
    /// Categories of a public dictionary.
    Declared(Vec<String>),
    /// Categories found by the survey.
    Discovered,
}

/// What is predicted.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelKind {
    /// Classes of a public dictionary.
    Declared(Vec<String>),
    /// Classes found by the survey.
    Discovered,
    /// A number, with declared bounds or none.
    Number(Option<(f64, f64)>),
}

/// Why a job cannot be planned. Every message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The masked sum's inequalities do not hold.
    #[error("[protection]: {0}")]
    Protection(#[from] ParameterError),
    /// No noise meets the goal.
    #[error("{place}: this privacy goal cannot be met: {error}")]
    Goal {
        /// Place in the job file.
        place: String,
        /// Why.
        error: DpError,
    },
    /// Something in the job does not go together.
    #[error("{place}: {problem}")]
    Job {
        /// Place in the job file.
        place: String,
        /// What, and what to do.
        problem: String,
    },
    /// Preparation found nothing to learn from.
    #[error("{0}")]
    Data(String),
    /// The model refuses.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// Numbers do not fit the ring.
    #[error("the sums of this job do not fit 64 bits: {0}; use fewer parties or a smaller model")]
    Ring(#[from] RingError),
    /// The accountant refuses.
    #[error(transparent)]
    Privacy(#[from] DpError),
}

/// The plan.
#[derive(Debug, Clone)]
pub struct Plan {
    job: Job,
    parties: u16,
    parameters: Parameters,
    features: Vec<Feature>,
    label: LabelKind,
    groups: Option<Groups>,
    privacy: Option<PrivacyPlan>,
}

impl Plan {
    /// Plans `job`, whose columns must be explicit (`data.features` and `data.types`), for `parties` parties.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn new(job: Job, parties: u16) -> Result<Self, PlanError> {
        let parameters = build::protection(&job, parties)?;
        let features = build::features_of(&job)?;
        let label = build::label_of(&job);
        let groups = build::groups_of(&job, &parameters)?;
        let mut plan = Self {
            job,
            parties,
            parameters,
            features,
            label,
            groups,
            privacy: None,
        };
        plan.check_columns()?;
        plan.privacy = plan.privacy_plan()?;
        Ok(plan)
    }

    /// The job.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Number of parties.
    #[must_use]
    pub fn parties(&self) -> u16 {
        self.parties
    }

    /// Numbers of the masked sums.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Whether a program of each party's own trains (docs/protocols/custom-models.md).
    #[must_use]
    pub fn is_custom(&self) -> bool {
        matches!(self.job.model().kind, job::ModelKind::Custom { .. })
    }

    /// Input columns in order.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The label column.
    #[must_use]
    pub fn label_name(&self) -> &str {
        &self.job.data().label
    }

    /// What the label holds.
    #[must_use]
    pub fn label(&self) -> &LabelKind {
        &self.label
    }

    /// Groups of parties, where updates are combined robustly (rule FT-17).
    #[must_use]
    pub fn groups(&self) -> Option<&Groups> {
        self.groups.as_ref()
    }

    /// The groups that an exchange of this kind is summed by: only training is (rule FT-17).
    pub(crate) fn groups_in(&self, kind: Kind) -> Option<&Groups> {
        self.groups().filter(|_| kind == Kind::Training)
    }

    /// Noise of every exchange, under a goal.
    #[must_use]
    pub fn privacy(&self) -> Option<&PrivacyPlan> {
        self.privacy.as_ref()
    }

    /// Slots of a discovered column.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.job.prepare().slots.get()
    }

    /// Parties that must hold a discovered value without a privacy goal (rule PR-04): with c of them colluding, it still stands for two honest ones.
    #[must_use]
    pub fn least_holders(&self) -> u32 {
        let asked = self.job.prepare().min_parties.get();
        asked.max(u32::from(self.parameters.colluders()) + 2)
    }

    /// Rounds the job asks for.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.job.training().rounds.get()
    }

    /// Names of discovered columns, the label last.
    #[must_use]
    pub fn discovered(&self) -> Vec<&str> {
        let features = self
            .features
            .iter()
            .filter(|feature| feature.kind == FeatureKind::Discovered);
        let mut names: Vec<&str> = features.map(|feature| feature.name.as_str()).collect();
        if self.label == LabelKind::Discovered {
            names.push(self.label_name());
        }
        names
    }

    /// Names of numeric columns, the label last, with their declared bounds.
    #[must_use]
    pub fn numbers(&self) -> Vec<(&str, Option<(f64, f64)>)> {
        let mut all: Vec<_> = self
            .features
            .iter()
            .filter_map(|feature| match feature.kind {
                FeatureKind::Number(bounds) => Some((feature.name.as_str(), bounds)),
                _ => None,
            })
            .collect();
        if let LabelKind::Number(bounds) = self.label {
            all.push((self.label_name(), bounds));
        }
        all
    }

    /// Numeric columns whose range the survey has to find.
    #[must_use]
    pub fn unbounded(&self) -> Vec<&str> {
        self.numbers()
            .into_iter()
            .filter(|(_, bounds)| bounds.is_none())
            .map(|(name, _)| name)
            .collect()
    }

    /// Whether a survey is needed.
    #[must_use]
    pub fn needs_survey(&self) -> bool {
        !self.discovered().is_empty() || !self.unbounded().is_empty()
    }

    /// The range a numeric column is summed on.
    #[must_use]
    pub fn range_of(&self, name: &str, public: &PublicState) -> (f64, f64) {
        let declared = self
            .numbers()
            .into_iter()
            .find(|(column, _)| *column == name)
            .and_then(|(_, bounds)| bounds);
        declared
            .or_else(|| public.ranges.get(name).copied())
            .unwrap_or((-1.0, 1.0))
    }

    /// Number of classes once the survey is done; 0 for regression.
    #[must_use]
    pub fn classes(&self, public: &PublicState) -> usize {
        match &self.label {
            LabelKind::Declared(classes) => classes.len(),
            LabelKind::Discovered => public.kept.get(self.label_name()).map_or(0, Vec::len),
            LabelKind::Number(_) => 0,
        }
    }

    /// Whether the model is evaluated after `round`, before the end.
    #[must_use]
    pub fn evaluates_after(&self, round: u32) -> bool {
        round < self.rounds() && round.is_multiple_of(self.job.evaluation().every.get())
    }
}

/// The preparation, or what is missing.
pub(crate) fn preparation_of(public: &PublicState) -> Result<&Preparation, PlanError> {
    public.preparation.as_ref().ok_or_else(|| {
        PlanError::Data("training was asked for before the preparation was known".to_owned())
    })
}
