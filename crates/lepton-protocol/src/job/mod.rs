//! The job file: one TOML text that says what is computed, on which columns, under which protection.
//!
//! [`Job::parse`] reads a text and overrides, reports every problem at once, and gives a typed job of which every
//! key is valid, alone and together with the others. It touches no file; paths in a job stay text.

mod build;
mod canonical;
mod check;
mod columns;
mod entries;
mod errors;
pub(crate) mod field_parts;
mod field_table;
mod fields;
mod inactive;
mod numbers;
mod open;
mod overrides;
mod reference;
mod rules;
mod rules_data;
mod rules_embed;
mod rules_image;
mod sections;
mod settings;
mod tree;
mod value_check;
pub(crate) mod words;

pub use columns::Column;
pub use errors::{JobErrors, Place, Problem};
pub use field_parts::{plain as plain_key, worded as worded_key};
pub use fields::{Absent, FIELDS, Field, Interval, Kind, field};
pub use numbers::{Bounds, JobName, Momentum, NonNegative, Positive, Share};
pub use overrides::{Override, OverrideError};
pub use reference::{reference_markdown, tables_markdown};
pub use sections::{
    Checkpoints, Clip, Combine, DataSection, DataSource, EarlyStop, EvaluationSection, ImageShape,
    JobSection, LocalOptimiser, LocalWork, ModelKind, ModelSection, PrepareSection, PrivacySection,
    ProtectionSection, Split, TrainingSection, Window,
};
pub use settings::Settings;
pub use words::{
    Activation, Aggregation, Categories, ClassWeights, ColumnType, CombineName, DataKind,
    Duplicates, GraphChoice, Metric, Missing, ModelName, Noise, Normalisation, Objective,
    OptimiserName, Pooling, PrivateOptimiser, Scale, ServerOptimiser, SplitBy, Task, Topology,
    Unit, Word,
};

use build::Sections;
use errors::Problems;
use std::collections::BTreeMap;
use tree::Table;

/// A valid job. Two jobs are equal if they compute the same, wherever their keys were written.
#[derive(Debug, Clone)]
pub struct Job {
    source_name: String,
    places: BTreeMap<String, Place>,
    sections: Sections,
    objective: Objective,
    inactive: Vec<(&'static str, &'static str)>,
    open: Vec<&'static str>,
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        (&self.sections, &self.inactive, &self.open)
            == (&other.sections, &other.inactive, &other.open)
    }
}

impl Job {
    /// Reads a job from a text, with overrides applied in order; `source_name` is how messages call the text.
    ///
    /// # Errors
    /// [`JobErrors`] with every problem found, each with its place and what to do.
    pub fn parse(source_name: &str, text: &str, overrides: &[Override]) -> Result<Self, JobErrors> {
        let mut problems = Problems::default();
        let Some(mut root) = Table::parse(text, &mut problems) else {
            return Err(problems.into_errors(source_name));
        };
        for change in overrides {
            change.apply(&mut root);
        }
        let entries = check::check(&root, FIELDS, &mut problems);
        rules::check_rules(&entries, &mut problems);
        problems.finish(source_name)?;
        let (Some(sections), Some(objective)) =
            (build::build(&entries), rules::objective(&entries))
        else {
            let mut problems = Problems::default();
            problems.add(
                &Place::Line(1),
                "the job passed every check and could not be read",
                "report this file as a bug",
            );
            return Err(problems.into_errors(source_name));
        };
        let mut inactive = inactive::without_effect(&sections, objective);
        inactive.retain(|(key, _)| entries.written(key));
        Ok(Self {
            source_name: source_name.to_owned(),
            places: entries.places(),
            sections,
            objective,
            inactive,
            open: open::open_keys(&entries),
        })
    }

    /// The name of the job.
    #[must_use]
    pub fn name(&self) -> &JobName {
        &self.sections.job.name
    }

    /// `[job]`.
    #[must_use]
    pub fn job(&self) -> &JobSection {
        &self.sections.job
    }

    /// `[data]`.
    #[must_use]
    pub fn data(&self) -> &DataSection {
        &self.sections.data
    }

    /// `[prepare]`.
    #[must_use]
    pub fn prepare(&self) -> &PrepareSection {
        &self.sections.prepare
    }

    /// `[model]`.
    #[must_use]
    pub fn model(&self) -> &ModelSection {
        &self.sections.model
    }

    /// `[training]`.
    #[must_use]
    pub fn training(&self) -> &TrainingSection {
        &self.sections.training
    }

    /// `[evaluation]`.
    #[must_use]
    pub fn evaluation(&self) -> &EvaluationSection {
        &self.sections.evaluation
    }

    /// `[protection]`.
    #[must_use]
    pub fn protection(&self) -> &ProtectionSection {
        &self.sections.protection
    }

    /// `[privacy]`; `None` means that the sums are exact.
    #[must_use]
    pub fn privacy(&self) -> Option<&PrivacySection> {
        self.sections.privacy.as_ref()
    }

    /// What the model predicts.
    #[must_use]
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// The line a key was written on, counted from 1; `None` for defaults and overrides.
    #[must_use]
    pub fn line_of(&self, path: &str) -> Option<usize> {
        match self.places.get(path)? {
            Place::Line(line) => Some(*line),
            Place::Set(_) => None,
        }
    }

    /// Where a key comes from, for messages: `job.toml:12`, `--set privacy.delta`, or `job.toml` for a default.
    #[must_use]
    pub fn origin_of(&self, path: &str) -> String {
        self.places.get(path).map_or_else(
            || self.source_name.clone(),
            |place| place.show(&self.source_name),
        )
    }

    /// The keys that were written and have no effect in the mode of this job, each with the reason.
    #[must_use]
    pub fn inactive_keys(&self) -> &[(&'static str, &'static str)] {
        &self.inactive
    }

    /// The settings of private training that the job leaves to the rule of `privacy.population`: chosen before it is planned (rule FT-23).
    #[must_use]
    pub fn open_keys(&self) -> &[&'static str] {
        &self.open
    }

    /// The effective job: every key that has an effect, defaults included, and the inactive ones that were written.
    ///
    /// Parses back to an equal job; equal jobs have equal texts.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let hidden = inactive::without_effect(&self.sections, self.objective);
        let written = |key: &str| self.inactive.iter().any(|(written, _)| *written == key);
        canonical::canonical(&self.sections, |key| {
            self.open.contains(&key)
                || hidden.iter().any(|(hidden, _)| *hidden == key) && !written(key)
        })
    }

    /// The bytes that identify the job when it is hashed or signed: those of [`Job::to_toml`].
    #[must_use]
    pub fn digest_bytes(&self) -> Vec<u8> {
        self.to_toml().into_bytes()
    }
}
