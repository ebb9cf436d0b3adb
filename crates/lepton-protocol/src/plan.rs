//! The plan of a training job: everything a party or a coordinator derives from the job file and the roster alone (rule FT-02).

use lepton_dp::{DpError, SamplingRate};
use lepton_learn::{
    ClipNorm, ColumnPrep, EvalLayout, LearnError, Levels, LocalConfig, MAX_ROWS_PER_STEP,
    ModelKind, ModelSpec, Optimiser, Outputs, Preparation, Scaling, ServerOptimiser, Span,
    TargetPrep,
};
use lepton_ring::RingError;
use lepton_secagg::{ParameterError, Parameters};

use crate::exchange::{Exchange, Kind, modulus_for};
use crate::job::{self, Job};
use crate::privacy::{Goal, Noise, NoiseAt, NoiseShares, PrivacyPlan, Schedule};
use crate::public::PublicState;

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
    privacy: Option<PrivacyPlan>,
}

impl Plan {
    /// Plans `job`, whose columns must be explicit (`data.features` and `data.types`), for `parties` parties.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn new(job: Job, parties: u16) -> Result<Self, PlanError> {
        let parameters = protection(&job, parties)?;
        let features = features_of(&job)?;
        let label = label_of(&job);
        let mut plan = Self {
            job,
            parties,
            parameters,
            features,
            label,
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

    /// Everything about one exchange.
    ///
    /// # Errors
    /// [`PlanError`] when the public state does not suffice or numbers do not fit.
    pub fn exchange(&self, kind: Kind, public: &PublicState) -> Result<Exchange, PlanError> {
        match kind {
            Kind::Survey => self.survey(),
            Kind::Statistics => self.statistics(public),
            Kind::Training => self.training(public),
            Kind::Evaluation | Kind::FinalEvaluation => self.evaluation(kind, public),
        }
    }

    fn survey(&self) -> Result<Exchange, PlanError> {
        let discovered = self.discovered().len();
        let len = discovered * self.slots() as usize + self.unbounded().len() * MAGNITUDES;
        #[expect(
            clippy::cast_precision_loss,
            reason = "a table has far fewer than 2^52 columns"
        )]
        let sensitivity = (discovered as f64).sqrt();
        let noise = self.whole_sum(Kind::Survey, sensitivity)?;
        self.exchange_of(Kind::Survey, len, MAX_ROWS as u128, noise)
    }

    fn statistics(&self, public: &PublicState) -> Result<Exchange, PlanError> {
        let numbers = self.numbers().len();
        let classes = self.classes(public);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a table has far fewer than 2^52 columns"
        )]
        let squared = 1.0 + if classes > 0 { 1.0 } else { 0.0 } + 0.3125 * numbers as f64;
        let noise = self.whole_sum(Kind::Statistics, ROW_UNIT * squared.sqrt())?;
        self.exchange_of(
            Kind::Statistics,
            1 + 3 * numbers + classes,
            (MAX_ROWS as u128) << 20,
            noise,
        )
    }

    fn training(&self, public: &PublicState) -> Result<Exchange, PlanError> {
        let len = self.model_len(public)?;
        let change_bound = 64_u128 << CHANGE_BITS;
        let Some(privacy) = &self.privacy else {
            return self.exchange_of(
                Kind::Training,
                1 + len,
                MAX_ROWS as u128 * change_bound,
                None,
            );
        };
        let scale = self.gradient_scale(len);
        let eta = lepton_learn::float_error_eta(&self.model_spec(public)?, MAX_ROWS)?;
        let sensitivity = lepton_dp::round_sensitivity(scale * self.clip()?.get(), eta, len);
        let noise = privacy.training_step(sensitivity)?;
        if privacy.goal.noise == NoiseAt::Local {
            let mut exchange = self.exchange_of(Kind::Training, len, change_bound, None)?;
            exchange.steps = u64::from(self.local_steps());
            exchange.noise = Some(noise);
            return Ok(exchange);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a bound far below 2^127, rounded up"
        )]
        let bound = (sensitivity.ceil() as u128) * MAX_ROWS as u128;
        self.exchange_of(Kind::Training, len, bound, Some(noise))
    }

    fn evaluation(&self, kind: Kind, public: &PublicState) -> Result<Exchange, PlanError> {
        let layout = self.layout(kind, public);
        let noise = self.whole_sum(kind, lepton_learn::eval_sensitivity(&layout))?;
        let bound = (MAX_ROWS as u128) << lepton_learn::EVAL_FRACTION_BITS;
        let mut exchange = self.exchange_of(kind, layout.len(), bound, noise)?;
        exchange.evaluation = Some(layout);
        Ok(exchange)
    }

    fn exchange_of(
        &self,
        kind: Kind,
        len: usize,
        bound: u128,
        noise: Option<Noise>,
    ) -> Result<Exchange, PlanError> {
        let sigma = noise.as_ref().map_or(0, |noise| noise.sigma);
        let modulus = modulus_for(self.parties, bound, sigma)?;
        Ok(Exchange {
            kind,
            len,
            modulus,
            noise,
            steps: 1,
            evaluation: None,
        })
    }

    fn whole_sum(&self, kind: Kind, sensitivity: f64) -> Result<Option<Noise>, PlanError> {
        let Some(privacy) = &self.privacy else {
            return Ok(None);
        };
        let z = match kind {
            Kind::Evaluation => privacy.evaluation,
            Kind::FinalEvaluation => privacy.last_evaluation,
            Kind::Survey | Kind::Statistics | Kind::Training => privacy.prepare,
        };
        Ok(Some(privacy.whole_sum(z, sensitivity)?))
    }

    /// Integer units per unit of gradient: the smallest power of two for which rounding adds less than one part in 128 to the sensitivity.
    #[must_use]
    pub fn gradient_scale(&self, len: usize) -> f64 {
        let clip = self.job.privacy().map_or(1.0, |privacy| privacy.clip.get());
        #[expect(
            clippy::cast_precision_loss,
            reason = "a model has fewer than 2^52 parameters"
        )]
        let wanted = 128.0 * (len as f64).sqrt() / clip;
        libm::exp2(libm::ceil(libm::log2(wanted)).max(0.0))
    }

    /// The clipping norm.
    ///
    /// # Errors
    /// [`PlanError`] when it is out of range.
    pub fn clip(&self) -> Result<ClipNorm, PlanError> {
        Ok(ClipNorm::new(
            self.job.privacy().map_or(1.0, |privacy| privacy.clip.get()),
        )?)
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
        let kind = match &self.job.model().kind {
            job::ModelKind::Linear => ModelKind::Linear,
            job::ModelKind::Logistic => ModelKind::Logistic,
            job::ModelKind::Mlp { hidden, activation } => ModelKind::Mlp {
                hidden: hidden.iter().map(|width| width.get() as usize).collect(),
                activation: match activation {
                    job::Activation::Relu => lepton_learn::Activation::Relu,
                    job::Activation::Tanh => lepton_learn::Activation::Tanh,
                },
            },
        };
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
    #[must_use]
    pub fn server_optimiser(&self) -> ServerOptimiser {
        match self.job.privacy() {
            Some(privacy) if privacy.noise == job::Noise::Distributed => self.private_step(),
            Some(_) => ServerOptimiser::Average { learning_rate: 1.0 },
            None => self.plain_server_optimiser(),
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

    /// The step taken along a noised gradient: at the coordinator with distributed noise, at the party with local noise.
    #[must_use]
    pub fn private_step(&self) -> ServerOptimiser {
        let (name, learning_rate) = self
            .job
            .privacy()
            .map_or((job::OptimiserName::Adam, 0.1), |privacy| {
                (privacy.optimiser, privacy.learning_rate.get())
            });
        match name {
            job::OptimiserName::Adam => adam(learning_rate),
            job::OptimiserName::Sgd => ServerOptimiser::Average { learning_rate },
        }
    }

    /// Whether the model is evaluated after `round`, before the end.
    #[must_use]
    pub fn evaluates_after(&self, round: u32) -> bool {
        round < self.rounds() && round.is_multiple_of(self.job.evaluation().every.get())
    }

    /// Layout of an evaluation.
    #[must_use]
    pub fn layout(&self, kind: Kind, public: &PublicState) -> EvalLayout {
        let bins = match (kind, &self.privacy) {
            (_, None) => 1024,
            (Kind::FinalEvaluation, Some(_)) => 32,
            // Every bin takes its own noise: between rounds fewer of them carry more.
            (_, Some(_)) => 12,
        };
        let loss_cap = if self.privacy.is_some() { 4.0 } else { 16.0 };
        match (
            self.classes(public),
            public
                .preparation
                .as_ref()
                .map(|preparation| &preparation.target),
        ) {
            (
                0,
                Some(TargetPrep::Value {
                    bounds: Some((low, high)),
                    mean,
                    std,
                    ..
                }),
            ) => EvalLayout::Values {
                lo: (low - mean) / std,
                hi: (high - mean) / std,
            },
            (0, _) => EvalLayout::Values { lo: -1.0, hi: 1.0 },
            (2, _) => EvalLayout::Classes {
                classes: 2,
                bins,
                loss_cap,
            },
            (classes, _) => EvalLayout::Classes {
                classes,
                bins: bins.min(128),
                loss_cap,
            },
        }
    }

    /// Preparation from the summed statistics (PR-05, PR-07).
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
        let columns = self
            .features
            .iter()
            .map(|feature| match &feature.kind {
                FeatureKind::Number(_) => {
                    ColumnPrep::numeric(&feature.name, scaling, missing, &summary_of(&feature.name))
                }
                FeatureKind::Declared(values) => {
                    ColumnPrep::category(&feature.name, Levels::Declared(values.clone()), missing)
                }
                FeatureKind::Discovered => ColumnPrep::category(
                    &feature.name,
                    self.kept_levels(&feature.name, public),
                    missing,
                ),
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

    fn kept_levels(&self, column: &str, public: &PublicState) -> Levels {
        Levels::Slots {
            slots: self.slots(),
            kept: public.kept.get(column).cloned().unwrap_or_default(),
        }
    }

    fn check_columns(&self) -> Result<(), PlanError> {
        let under_goal = self.job.privacy().is_some();
        let problem = |key: &str, problem: String| {
            Err(PlanError::Job {
                place: self.job.origin_of(key),
                problem,
            })
        };
        if self.features.is_empty() {
            return problem(
                "data",
                "no input column is left; name some in data.features".to_owned(),
            );
        }
        if under_goal && self.label == LabelKind::Discovered {
            return problem(
                "privacy",
                format!(
                    "the classes of `{}` must be public under a privacy goal; list them as data.classes = [\"…\", \"…\"]",
                    self.label_name()
                ),
            );
        }
        let Some(name) = self.unbounded().first().copied() else {
            return Ok(());
        };
        if under_goal {
            return problem(
                "privacy",
                format!(
                    "column `{name}` has no public bounds, and a range taken from the data would itself be a release; add `{name} = [low, high]` under [prepare.bounds], or leave the column out with data.exclude"
                ),
            );
        }
        if self.job.prepare().scale == job::Scale::Minmax {
            return problem(
                "prepare.scale",
                format!(
                    "scale = \"minmax\" needs the range of column `{name}`; add `{name} = [low, high]` under [prepare.bounds], or use scale = \"standard\""
                ),
            );
        }
        Ok(())
    }

    fn privacy_plan(&self) -> Result<Option<PrivacyPlan>, PlanError> {
        let Some(privacy) = self.job.privacy() else {
            return Ok(None);
        };
        let place = self.job.origin_of("privacy.epsilon");
        let noise = match privacy.noise {
            job::Noise::Distributed => NoiseAt::Distributed,
            job::Noise::Local => NoiseAt::Local,
        };
        let goal = Goal {
            epsilon: lepton_dp::Epsilon::new(privacy.epsilon.get())?,
            delta: lepton_dp::Delta::new(privacy.delta.get())?,
            sampling_rate: SamplingRate::new(lepton_learn::effective_rate(
                privacy.sampling_rate.get(),
            )?)?,
            noise,
            prepare_share: privacy.prepare_share.get(),
        };
        let floor = u32::from(self.parameters.survivor_floor());
        let shares = NoiseShares {
            floor,
            honest: floor - u32::from(self.parameters.colluders()),
        };
        let steps_per_round = match noise {
            NoiseAt::Distributed => 1,
            NoiseAt::Local => u64::from(self.local_steps()),
        };
        let evaluations = (1..self.rounds())
            .filter(|round| self.evaluates_after(*round))
            .count();
        let schedule = Schedule {
            preparations: 1 + u32::from(self.needs_survey()),
            steps: u64::from(self.rounds()) * steps_per_round,
            evaluations: u32::try_from(evaluations).unwrap_or(u32::MAX),
        };
        PrivacyPlan::new(goal, shares, schedule)
            .map(Some)
            .map_err(|error| PlanError::Goal { place, error })
    }
}

fn adam(learning_rate: f64) -> ServerOptimiser {
    ServerOptimiser::Adam {
        learning_rate,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
    }
}

/// The preparation, or what is missing.
pub(crate) fn preparation_of(public: &PublicState) -> Result<&Preparation, PlanError> {
    public.preparation.as_ref().ok_or_else(|| {
        PlanError::Data("training was asked for before the preparation was known".to_owned())
    })
}

/// Defaults for what the job leaves open: as many drops and colluders (at most one each) as the inequalities allow.
fn protection(job: &Job, parties: u16) -> Result<Parameters, PlanError> {
    let wanted = job.protection();
    let narrow = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    let threshold = wanted.threshold.map(|value| narrow(value.get()));
    let quorum = wanted.quorum.map(|value| narrow(value.get()));
    let candidates = |given: Option<u32>| given.map_or(vec![1, 0], |value| vec![narrow(value)]);
    let mut refusal = None;
    for colluders in candidates(wanted.colluders) {
        for drops in candidates(wanted.drops) {
            match Parameters::new(parties, colluders, drops, threshold, quorum) {
                Ok(parameters) => return Ok(parameters),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
    }
    Err(refusal.map_or_else(
        || PlanError::Data("no protection was asked for".to_owned()),
        PlanError::Protection,
    ))
}

fn features_of(job: &Job) -> Result<Vec<Feature>, PlanError> {
    let data = job.data();
    let names = data
        .features
        .as_ref()
        .ok_or_else(|| unresolved(job, "data.features"))?;
    names
        .iter()
        .map(|name| {
            let kind = match data.types.get(name) {
                Some(job::ColumnType::Number) => FeatureKind::Number(bounds_of(job, name)),
                Some(job::ColumnType::Category) => match job.prepare().values.get(name) {
                    Some(values) => FeatureKind::Declared(values.clone()),
                    None => FeatureKind::Discovered,
                },
                None => return Err(unresolved(job, "data.types")),
            };
            Ok(Feature {
                name: name.clone(),
                kind,
            })
        })
        .collect()
}

fn label_of(job: &Job) -> LabelKind {
    let data = job.data();
    match (job.objective(), &data.classes) {
        (job::Objective::Number, _) => LabelKind::Number(bounds_of(job, &data.label)),
        (job::Objective::Classes, Some(classes)) => LabelKind::Declared(classes.clone()),
        (job::Objective::Classes, None) => LabelKind::Discovered,
    }
}

fn bounds_of(job: &Job, name: &str) -> Option<(f64, f64)> {
    job.prepare()
        .bounds
        .get(name)
        .map(|bounds| (bounds.low(), bounds.high()))
}

fn unresolved(job: &Job, key: &str) -> PlanError {
    PlanError::Job {
        place: job.origin_of(key),
        problem: format!("{key} must name every column before a job can be planned"),
    }
}
