//! What is trained and how: model, optimisers, preparation.

use lepton_learn::{
    ClipNorm, ColumnPrep, Levels, LocalConfig, ModelSpec, Optimiser, Outputs, Preparation, Scaling,
    ServerOptimiser, Span, TargetPrep,
};

use super::{FeatureKind, LabelKind, Plan, PlanError, preparation_of};
use crate::job;
use crate::public::PublicState;

impl Plan {
    /// The clipping norm of the present round.
    ///
    /// # Errors
    /// [`PlanError`] when it is out of range.
    pub fn clip(&self, public: &PublicState) -> Result<ClipNorm, PlanError> {
        let first = self
            .job
            .privacy()
            .map_or(1.0, |privacy| privacy.clip.first());
        Ok(ClipNorm::new(public.clip.unwrap_or(first))?)
    }

    /// Private steps a party runs alone in one round with local noise.
    #[must_use]
    pub fn local_steps(&self) -> u32 {
        match self.job.training().local {
            job::LocalWork::Steps(steps) => steps.get(),
            // A pass over the rows at the public rate.
            job::LocalWork::Epochs(epochs) => {
                let rate = self
                    .job
                    .privacy()
                    .map_or(1.0, |privacy| privacy.sampling_rate.get());
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "clamped to a small range"
                )]
                let steps = (f64::from(epochs.get()) / rate)
                    .round()
                    .clamp(1.0, 100_000.0) as u32;
                steps
            }
        }
    }

    /// The model, once the preparation is known.
    ///
    /// # Errors
    /// [`PlanError::Data`] before the statistics.
    pub fn model_spec(&self, public: &PublicState) -> Result<ModelSpec, PlanError> {
        let preparation = preparation_of(public)?;
        let tables = super::embed::tables(&self.job, preparation.embedded());
        let kind = super::family::model_kind(&self.job, tables);
        let outputs = match self.classes(public) {
            0 => Outputs::Regression,
            classes => Outputs::Classes(classes),
        };
        let spec = ModelSpec {
            kind,
            inputs: preparation.width(),
            outputs,
            l2: self.job.model().l2.get(),
        };
        spec.validate()?;
        Ok(spec)
    }

    /// Number of trained numbers.
    ///
    /// # Errors
    /// [`PlanError::Data`] before the statistics.
    pub fn model_len(&self, public: &PublicState) -> Result<usize, PlanError> {
        Ok(lepton_learn::param_len(&self.model_spec(public)?)?)
    }

    /// How a party trains without a privacy goal.
    #[must_use]
    pub fn local_config(&self, public: &PublicState) -> LocalConfig {
        let training = self.job.training();
        LocalConfig {
            span: match training.local {
                job::LocalWork::Epochs(epochs) => Span::Epochs(epochs.get()),
                job::LocalWork::Steps(steps) => Span::Steps(steps.get()),
            },
            batch: training.batch.get() as usize,
            optimiser: match training.optimiser {
                job::LocalOptimiser::Sgd { momentum } => Optimiser::Sgd {
                    momentum: momentum.get(),
                },
                job::LocalOptimiser::Adam => Optimiser::Adam {
                    beta1: 0.9,
                    beta2: 0.999,
                    eps: 1e-8,
                },
            },
            learning_rate: training.learning_rate.get(),
            proximal: training.proximal.get(),
            class_weights: self.class_weights(public),
            precision: lepton_learn::Precision::Single,
        }
    }

    /// Class weights the job asks for.
    #[must_use]
    pub fn class_weights(&self, public: &PublicState) -> Option<Vec<f64>> {
        let balanced = self.job.training().class_weights == job::ClassWeights::Balanced;
        (balanced && !public.class_counts.is_empty())
            .then(|| lepton_learn::balanced_class_weights(&public.class_counts))
    }

    /// How the released sums move the parameters.
    ///
    /// # Errors
    /// [`PlanError::Data`] before the statistics.
    pub fn server_optimiser(&self, public: &PublicState) -> Result<ServerOptimiser, PlanError> {
        match self.job.privacy() {
            Some(privacy) if privacy.unit == job::Unit::Party => Ok(self.plain_server_optimiser()),
            Some(privacy) if privacy.noise == job::Noise::Distributed => self.private_step(public),
            Some(_) => Ok(ServerOptimiser::Average { learning_rate: 1.0 }),
            None => Ok(self.plain_server_optimiser()),
        }
    }

    /// The same without a privacy goal.
    #[must_use]
    pub fn plain_server_optimiser(&self) -> ServerOptimiser {
        let training = self.job.training();
        let learning_rate = training.server_learning_rate.get();
        match training.server_optimiser {
            job::ServerOptimiser::FedAvg => ServerOptimiser::Average { learning_rate },
            job::ServerOptimiser::FedAdam => adam(learning_rate),
        }
    }

    /// Preparation from the summed statistics (PR-05, PR-07, PR-09).
    #[must_use]
    pub fn preparation(
        &self,
        public: &PublicState,
        summary_of: &dyn Fn(&str) -> lepton_learn::NumericSummary,
    ) -> Preparation {
        let prepare = self.job.prepare();
        let scaling = match prepare.scale {
            job::Scale::Standard => Scaling::Standard,
            job::Scale::Minmax => Scaling::MinMax,
            job::Scale::None => Scaling::None,
        };
        let missing = self.missing();
        let category = |name: &str, levels| {
            let encoding = super::embed::encoding(&self.job, name);
            ColumnPrep::category(name, levels, missing).encoded(encoding)
        };
        let columns = self
            .features
            .iter()
            .map(|feature| match &feature.kind {
                FeatureKind::Number(_) => {
                    ColumnPrep::numeric(&feature.name, scaling, missing, &summary_of(&feature.name))
                }
                FeatureKind::Declared(values) => {
                    category(&feature.name, Levels::Declared(values.clone()))
                }
                FeatureKind::Discovered => {
                    category(&feature.name, self.kept_levels(&feature.name, public))
                }
            })
            .collect();
        let name = self.label_name().to_owned();
        let target = match &self.label {
            LabelKind::Declared(classes) => TargetPrep::Classes {
                name,
                levels: Levels::Declared(classes.clone()),
            },
            LabelKind::Discovered => {
                let levels = self.kept_levels(&name, public);
                TargetPrep::Classes { name, levels }
            }
            LabelKind::Number(_) => {
                let summary = summary_of(&name);
                TargetPrep::Value {
                    name,
                    bounds: Some((summary.lo, summary.hi)),
                    mean: summary.mean,
                    std: summary.std,
                }
            }
        };
        Preparation { columns, target }
    }

    /// What happens to missing values.
    #[must_use]
    pub fn missing(&self) -> lepton_learn::Missing {
        match self.job.prepare().missing {
            job::Missing::Mean => lepton_learn::Missing::Mean,
            job::Missing::Indicator => lepton_learn::Missing::Indicator,
            job::Missing::Drop => lepton_learn::Missing::Drop,
            job::Missing::Refuse => lepton_learn::Missing::Refuse,
        }
    }

    pub(super) fn kept_levels(&self, column: &str, public: &PublicState) -> Levels {
        Levels::Slots {
            slots: self.slots(),
            kept: public.kept.get(column).cloned().unwrap_or_default(),
        }
    }
}

pub(super) fn adam(learning_rate: f64) -> ServerOptimiser {
    ServerOptimiser::Adam {
        learning_rate,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
    }
}
