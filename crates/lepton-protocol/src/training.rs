//! A training job's course at the coordinator: which exchange comes next, and what its sum changes. Serialised as the checkpoint.

use lepton_dp::rdp::Accountant;
use lepton_learn::{EarlyStopping, Goal, Metrics, Model, NumericSummary, ServerState, kept_slots};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::exchange::Kind;
use crate::job::Metric;
use crate::ledger::{Charge, Side, accountant_of};
use crate::plan::{CHANGE_BITS, LabelKind, MAGNITUDES, Plan, PlanError};
use crate::privacy::{NoiseAt, affordable_steps};
use crate::progress::Progress;
use crate::public::PublicState;
use crate::report::CurvePoint;
use crate::work::{descent, magnitude_range, public_divisor};

/// Times an exchange that cannot be left out is tried before the job stops.
const MAX_ATTEMPTS: u32 = 5;

/// Most kept categories of one column.
const MAX_LEVELS: usize = 1024;

/// Standard deviations above one row that a noised slot count must reach (rule PR-04).
const SLOT_DEVIATIONS: f64 = 4.5;

/// Under a privacy goal a column's deviation is taken as at least this fraction of its range.
const SMALLEST_DEVIATION: f64 = 20.0;

/// The exchange that comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// What for.
    pub kind: Kind,
    /// Training round it belongs to; 0 before training.
    pub training_round: u32,
    /// Number of the exchange within the job; never used twice.
    pub number: u64,
    /// Attempt at the same exchange.
    pub attempt: u32,
}

/// Where the job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Survey,
    Statistics,
    Round,
    Evaluation,
    FinalEvaluation,
    Over,
}

/// The course of one job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Training {
    stage: Stage,
    number: u64,
    tries: u32,
    public: PublicState,
    parameters: Vec<f64>,
    start: Option<StartModel>,
    server: Option<ServerState>,
    /// Rounds begun, lost ones included.
    begun: u32,
    done: u32,
    allowed: u32,
    curve: Vec<CurvePoint>,
    stopping: Option<EarlyStopping>,
    stopped_early: bool,
    best: Option<(u32, Vec<f64>)>,
    average: Option<Average>,
    metrics: Option<Metrics>,
    charges: Vec<Charge>,
    public_charges: Vec<Charge>,
    sums: u64,
    abandoned: u64,
    notes: Vec<String>,
}

/// Running mean of the parameters over the second half of the rounds (rule FT-16).
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Average {
    count: u32,
    mean: Vec<f64>,
}

impl Average {
    fn include(&mut self, parameters: &[f64]) {
        self.count += 1;
        let share = 1.0 / f64::from(self.count);
        for (mean, value) in self.mean.iter_mut().zip(parameters) {
            *mean += (value - *mean) * share;
        }
    }
}

/// A checkpoint as stored.
#[derive(Serialize, Deserialize)]
struct Checkpoint<T> {
    format: String,
    epoch: u64,
    training: T,
}

/// Parameters to start from, with the inputs they were trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartModel {
    /// Parameters.
    pub parameters: Vec<f64>,
    /// Names of the model's inputs.
    pub inputs: Vec<String>,
}

impl Training {
    /// The beginning of a job.
    #[must_use]
    pub fn new(plan: &Plan, start: Option<StartModel>) -> Self {
        let stage = if plan.needs_survey() {
            Stage::Survey
        } else {
            Stage::Statistics
        };
        let stopping = plan.job().evaluation().early_stop.map(|early| {
            let goal = if early.metric.larger_is_better() {
                Goal::Higher
            } else {
                Goal::Lower
            };
            EarlyStopping::new(goal, early.patience.get(), 0.0)
        });
        Self {
            stage,
            number: 0,
            tries: 0,
            public: PublicState::default(),
            parameters: Vec::new(),
            start,
            server: None,
            begun: 0,
            done: 0,
            allowed: plan.rounds(),
            curve: Vec::new(),
            stopping,
            stopped_early: false,
            best: None,
            average: None,
            metrics: None,
            charges: Vec::new(),
            public_charges: Vec::new(),
            sums: 0,
            abandoned: 0,
            notes: Vec::new(),
        }
    }

    /// Reads a checkpoint; gives the epoch it was written in.
    ///
    /// # Errors
    /// What is wrong with the file, in words.
    pub fn from_bytes(bytes: &[u8]) -> Result<(u64, Self), String> {
        let checkpoint: Checkpoint<Self> = serde_json::from_slice(bytes)
            .map_err(|error| format!("the checkpoint cannot be read: {error}"))?;
        if checkpoint.format != "lepton-checkpoint/1" {
            return Err(format!(
                "the checkpoint has format {}, which this version does not know",
                checkpoint.format
            ));
        }
        Ok((checkpoint.epoch, checkpoint.training))
    }

    /// Writes a checkpoint.
    ///
    /// # Errors
    /// Never in practice; what failed, in words.
    pub fn to_bytes(&self, epoch: u64) -> Result<Vec<u8>, String> {
        let checkpoint = Checkpoint {
            format: "lepton-checkpoint/1".to_owned(),
            epoch,
            training: self,
        };
        serde_json::to_vec(&checkpoint)
            .map_err(|error| format!("the checkpoint cannot be written: {error}"))
    }

    /// What is publicly known.
    #[must_use]
    pub fn public(&self) -> &PublicState {
        &self.public
    }

    /// Parameters that the next round starts from.
    #[must_use]
    pub fn parameters(&self) -> &[f64] {
        &self.parameters
    }

    /// The model as it would be released now: under a privacy goal the mean over the second half of the rounds (rule FT-16).
    #[must_use]
    pub fn released(&self) -> Vec<f64> {
        match &self.average {
            Some(average) if self.stage != Stage::Over => {
                let mut mean = average.mean.clone();
                round_to_f32(&mut mean);
                mean
            }
            _ => self.parameters.clone(),
        }
    }

    /// Rounds that went into the model.
    #[must_use]
    pub fn rounds_done(&self) -> u32 {
        self.done
    }

    /// Rounds still to begin.
    #[must_use]
    pub fn rounds_left(&self) -> u32 {
        self.allowed.saturating_sub(self.begun)
    }

    /// Whether early stopping ended the rounds.
    #[must_use]
    pub fn stopped_early(&self) -> bool {
        self.stopped_early
    }

    /// Learning curves.
    #[must_use]
    pub fn curve(&self) -> &[CurvePoint] {
        &self.curve
    }

    /// Metrics of the final model.
    #[must_use]
    pub fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_ref()
    }

    /// Everything charged, as the coordinator with its colluders sees it.
    #[must_use]
    pub fn charges(&self) -> &[Charge] {
        &self.charges
    }

    /// The same, as the public sees it.
    #[must_use]
    pub fn public_charges(&self) -> &[Charge] {
        &self.public_charges
    }

    /// Masked sums completed, and attempts abandoned.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.sums, self.abandoned)
    }

    /// What the reader should know.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether everything is done.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// The next exchange, or `None` at the end. Charges it in the coordinator's own account, so that a resumed job knows what was begun (FT-08).
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn next(
        &mut self,
        plan: &Plan,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<Next>, PlanError> {
        if self.stage == Stage::Round && self.parameters.is_empty() {
            self.first_parameters(plan, rng)?;
        }
        if self.stage == Stage::Round && self.begun >= self.allowed {
            self.stage = Stage::FinalEvaluation;
        }
        let kind = match self.stage {
            Stage::Survey => Kind::Survey,
            Stage::Statistics => Kind::Statistics,
            Stage::Round => Kind::Training,
            Stage::Evaluation => Kind::Evaluation,
            Stage::FinalEvaluation => Kind::FinalEvaluation,
            Stage::Over => return Ok(None),
        };
        if kind == Kind::Training {
            self.begun += 1;
        }
        if kind == Kind::FinalEvaluation && self.tries == 0 {
            self.choose_final();
        }
        self.tries += 1;
        self.number += 1;
        self.charge(plan, kind)?;
        Ok(Some(Next {
            kind,
            training_round: self.begun,
            number: self.number,
            attempt: 1,
        }))
    }

    /// Takes an opened sum.
    ///
    /// # Errors
    /// [`PlanError`] when nothing can be learnt from it.
    pub fn absorb(
        &mut self,
        plan: &Plan,
        next: &Next,
        sum: &[i64],
        survivors: usize,
    ) -> Result<Vec<Progress>, PlanError> {
        self.sums += 1;
        self.tries = 0;
        match next.kind {
            Kind::Survey => self.absorb_survey(plan, sum),
            Kind::Statistics => self.absorb_statistics(plan, sum),
            Kind::Training => self.absorb_round(plan, sum, survivors),
            Kind::Evaluation | Kind::FinalEvaluation => {
                self.absorb_evaluation(plan, next.kind, sum)
            }
        }
    }

    /// An attempt was lost. It stays charged; a training round is left out, everything else is tried again (FT-10).
    ///
    /// # Errors
    /// [`PlanError::Data`] when there is no point in going on.
    pub fn lost(&mut self, plan: &Plan, next: &Next, reason: &str) -> Result<(), PlanError> {
        self.abandoned += 1;
        match next.kind {
            Kind::Training if self.tries < MAX_ATTEMPTS => {
                self.notes
                    .push(format!("round {} was lost: {reason}", next.training_round));
            }
            Kind::Evaluation => {
                self.tries = 0;
                self.stage = Stage::Round;
            }
            _ if self.tries >= MAX_ATTEMPTS => {
                return Err(PlanError::Data(format!(
                    "the {} failed {MAX_ATTEMPTS} times in a row; the last time: {reason}",
                    next.kind.words()
                )));
            }
            _ => {}
        }
        self.reduce_rounds(plan)
    }

    /// After a resume: whatever was begun and not absorbed is lost.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn resumed(&mut self, plan: &Plan) -> Result<(), PlanError> {
        if self.tries > 0 {
            self.abandoned += 1;
            match self.stage {
                Stage::Round => self
                    .notes
                    .push(format!("round {} was interrupted and left out", self.begun)),
                Stage::Evaluation => self.stage = Stage::Round,
                _ => {}
            }
            self.tries = 0;
        }
        self.reduce_rounds(plan)
    }

    /// Epsilon spent on `side` so far, against the coordinator with its colluders.
    ///
    /// # Errors
    /// [`PlanError`] when the accountant refuses.
    pub fn epsilon(&self, plan: &Plan, side: Side) -> Result<Option<f64>, PlanError> {
        let Some(privacy) = plan.privacy() else {
            return Ok(None);
        };
        let spent = self.spent(side)?;
        Ok(Some(spent.epsilon(privacy.goal.delta)?.0.get()))
    }

    fn spent(&self, side: Side) -> Result<Accountant, PlanError> {
        accountant_of(&self.charges, side).map_err(|error| PlanError::Data(error.to_string()))
    }

    fn charge(&mut self, plan: &Plan, kind: Kind) -> Result<(), PlanError> {
        let exchange = plan.exchange(kind, &self.public)?;
        let Some(noise) = exchange.noise else {
            return Ok(());
        };
        let charge = |event| Charge {
            side: kind.side(),
            kind: kind.words().to_owned(),
            epoch: 0,
            round: self.number,
            attempt: 1,
            event,
            count: exchange.steps,
        };
        let (seen, public) = (charge(noise.event), charge(noise.public_event));
        self.charges.push(seen);
        self.public_charges.push(public);
        Ok(())
    }

    /// Rounds that the goal still affords after what was lost (FT-10). In a run without losses this changes nothing.
    fn reduce_rounds(&mut self, plan: &Plan) -> Result<(), PlanError> {
        let Some(privacy) = plan.privacy() else {
            return Ok(());
        };
        if self.public.preparation.is_none() || self.rounds_left() == 0 {
            return Ok(());
        }
        let exchange = plan.exchange(Kind::Training, &self.public)?;
        let Some(noise) = exchange.noise else {
            return Ok(());
        };
        let wanted = u64::from(self.rounds_left()) * exchange.steps;
        let steps = affordable_steps(
            &self.spent(Side::Training)?,
            &noise.event,
            &privacy.goal,
            wanted,
        )?;
        let rounds = u32::try_from(steps / exchange.steps.max(1)).unwrap_or(u32::MAX);
        if rounds < self.rounds_left() {
            self.notes.push(format!(
                "lost attempts stay charged, so {rounds} instead of {} more rounds fit the privacy goal",
                self.rounds_left()
            ));
            self.allowed = self.begun + rounds;
        }
        Ok(())
    }

    fn first_parameters(&mut self, plan: &Plan, rng: &mut impl CryptoRng) -> Result<(), PlanError> {
        let spec = plan.model_spec(&self.public)?;
        let inputs = crate::plan::preparation_of(&self.public)?.feature_names();
        self.parameters = match self.start.take() {
            Some(start) if start.inputs == inputs => {
                Model::new(spec, start.parameters)?.params().to_vec()
            }
            Some(_) => {
                return Err(PlanError::Job {
                    place: plan.job().origin_of("model.start"),
                    problem: "the model to start from has other inputs than this job; use the same columns, and public dictionaries ([prepare.values]) for categories".to_owned(),
                });
            }
            None => Model::init(spec, rng)?.params().to_vec(),
        };
        round_to_f32(&mut self.parameters);
        self.server = Some(ServerState::new(
            plan.server_optimiser(),
            self.parameters.len(),
        )?);
        Ok(())
    }

    fn absorb_survey(&mut self, plan: &Plan, sum: &[i64]) -> Result<Vec<Progress>, PlanError> {
        let slots = plan.slots() as usize;
        let exchange = plan.exchange(Kind::Survey, &self.public)?;
        let least = match exchange.noise {
            None => f64::from(plan.job().prepare().min_parties.get()),
            Some(noise) => 1.0 + SLOT_DEVIATIONS * total_deviation(noise.sigma, plan.parties()),
        };
        let mut rest = sum;
        for name in plan.discovered() {
            let (counts, after) = rest.split_at_checked(slots).unwrap_or((rest, &[]));
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
            let counts: Vec<f64> = counts.iter().map(|count| *count as f64).collect();
            self.public
                .kept
                .insert(name.to_owned(), kept_slots(&counts, least, MAX_LEVELS));
            rest = after;
        }
        for name in plan.unbounded() {
            let (marks, after) = rest.split_at_checked(MAGNITUDES).unwrap_or((rest, &[]));
            let largest = marks.iter().rposition(|mark| *mark > 0).unwrap_or(0);
            self.public
                .ranges
                .insert(name.to_owned(), magnitude_range(largest));
            rest = after;
        }
        self.check_classes(plan)?;
        self.stage = Stage::Statistics;
        Ok(Vec::new())
    }

    fn check_classes(&self, plan: &Plan) -> Result<(), PlanError> {
        if plan.classes(&self.public) == 1
            || (*plan.label() == LabelKind::Discovered && plan.classes(&self.public) == 0)
        {
            return Err(PlanError::Data(format!(
                "fewer than two classes of `{}` are held by at least {} parties (or stand out of the noise); name the classes in data.classes if they are public knowledge",
                plan.label_name(),
                plan.job().prepare().min_parties
            )));
        }
        Ok(())
    }

    fn absorb_statistics(&mut self, plan: &Plan, sum: &[i64]) -> Result<Vec<Progress>, PlanError> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "rounding of the last bits does not matter to means"
        )]
        let values: Vec<f64> = sum.iter().map(|value| *value as f64).collect();
        let mut rest = values.iter().copied();
        let rows = rest.next().unwrap_or(0.0);
        let mut summaries = std::collections::BTreeMap::new();
        for (name, _) in plan.numbers() {
            let mut take = || rest.next().unwrap_or(0.0);
            let sums = [rows, 2.0 * take(), take(), take()];
            summaries.insert(
                name.to_owned(),
                NumericSummary::from_sums(sums, plan.range_of(name, &self.public)),
            );
        }
        let unit = f64::from(1_u32 << lepton_learn::NUMERIC_FRACTION_BITS);
        self.public.rows = (rows / unit).max(1.0);
        self.public.class_counts = rest.map(|count| (count / unit).max(0.0)).collect();
        if plan.privacy().is_none()
            && self
                .public
                .class_counts
                .iter()
                .filter(|count| **count > 0.0)
                .count()
                == 1
        {
            return Err(PlanError::Data(format!(
                "all training rows have the same class of `{}`; there is nothing to learn",
                plan.label_name()
            )));
        }
        let noised = plan.privacy().is_some();
        let summary_of = |name: &str| {
            let summary = summaries.get(name).copied();
            let mut summary =
                summary.unwrap_or_else(|| NumericSummary::from_sums([0.0; 4], (-1.0, 1.0)));
            if noised {
                // Noise can make a deviation far too small, and the column would then drown all others before clipping.
                summary.std = summary
                    .std
                    .max((summary.hi - summary.lo) / SMALLEST_DEVIATION);
            }
            summary
        };
        self.public.preparation = Some(plan.preparation(&self.public, &summary_of));
        self.stage = Stage::Round;
        self.reduce_rounds(plan)?;
        let inputs = crate::plan::preparation_of(&self.public)?.width();
        if inputs == 0 {
            return Err(PlanError::Data(
                "no input is left after preparation; check [prepare] and data.features".to_owned(),
            ));
        }
        Ok(vec![Progress::Prepared {
            inputs,
            classes: plan.classes(&self.public),
            rows: self.public.rows,
        }])
    }

    fn absorb_round(
        &mut self,
        plan: &Plan,
        sum: &[i64],
        survivors: usize,
    ) -> Result<Vec<Progress>, PlanError> {
        let change = self.change(plan, sum, survivors)?;
        let server = self
            .server
            .as_mut()
            .ok_or_else(|| PlanError::Data("the optimiser's state is missing".to_owned()))?;
        server.apply(&mut self.parameters, &change)?;
        round_to_f32(&mut self.parameters);
        self.done += 1;
        if plan.privacy().is_some() && 2 * self.begun > self.allowed {
            let empty = || Average {
                count: 0,
                mean: vec![0.0; self.parameters.len()],
            };
            self.average
                .get_or_insert_with(empty)
                .include(&self.parameters);
        }
        if plan.evaluates_after(self.begun) {
            self.stage = Stage::Evaluation;
        }
        let epsilon = self.epsilon(plan, Side::Training)?;
        Ok(vec![Progress::Trained {
            round: self.begun,
            rounds: self.allowed,
            epsilon,
        }])
    }

    /// What a training sum says the parameters should change by.
    fn change(&self, plan: &Plan, sum: &[i64], survivors: usize) -> Result<Vec<f64>, PlanError> {
        let unit = f64::from(1_u32 << CHANGE_BITS);
        #[expect(
            clippy::cast_precision_loss,
            reason = "rounding of the last bits does not matter to a step"
        )]
        let scaled = |values: &[i64], divisor: f64| {
            values
                .iter()
                .map(|value| *value as f64 / (unit * divisor))
                .collect()
        };
        match plan.privacy().map(|privacy| privacy.goal.noise) {
            None => {
                let (weight, weighted) = sum
                    .split_first()
                    .ok_or_else(|| PlanError::Data("an empty sum".to_owned()))?;
                #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
                let weight = (*weight as f64).max(1.0);
                Ok(scaled(weighted, weight))
            }
            Some(NoiseAt::Distributed) => {
                let spec = plan.model_spec(&self.public)?;
                Ok(descent(
                    plan,
                    &spec,
                    &self.parameters,
                    sum,
                    public_divisor(plan, &self.public),
                )?)
            }
            #[expect(
                clippy::cast_precision_loss,
                reason = "there are far fewer than 2^52 parties"
            )]
            Some(NoiseAt::Local) => Ok(scaled(sum, survivors.max(1) as f64)),
        }
    }

    fn absorb_evaluation(
        &mut self,
        plan: &Plan,
        kind: Kind,
        sum: &[i64],
    ) -> Result<Vec<Progress>, PlanError> {
        let layout = plan.layout(kind, &self.public);
        #[expect(
            clippy::cast_precision_loss,
            reason = "rounding of the last bits does not matter to metrics"
        )]
        let sums: Vec<f64> = sum.iter().map(|value| *value as f64).collect();
        let metrics = Metrics::from_sums(&layout, &sums)?;
        let point = CurvePoint {
            round: if kind == Kind::FinalEvaluation {
                self.final_round()
            } else {
                self.begun
            },
            loss: metrics.loss,
            accuracy: metrics.accuracy,
            auc: metrics.auc,
            epsilon: self.epsilon(plan, Side::Training)?,
        };
        let mut progress = vec![Progress::Evaluated { point }];
        if kind == Kind::FinalEvaluation {
            if self.best.is_none() {
                self.curve.push(point);
            }
            self.metrics = Some(metrics);
            self.stage = Stage::Over;
            return Ok(progress);
        }
        self.curve.push(point);
        self.stage = Stage::Round;
        progress.extend(self.early_stop(plan, &metrics));
        Ok(progress)
    }

    fn early_stop(&mut self, plan: &Plan, metrics: &Metrics) -> Option<Progress> {
        let metric = plan.job().evaluation().early_stop?.metric;
        let value = value_of(metrics, metric)?;
        match self.stopping.as_mut()?.observe(value) {
            lepton_learn::Progress::Best => {
                self.best = Some((self.begun, self.released()));
                None
            }
            lepton_learn::Progress::Waiting => None,
            lepton_learn::Progress::Stop => {
                self.stopped_early = true;
                self.stage = Stage::FinalEvaluation;
                let best = self.final_round();
                Some(Progress::StoppedEarly {
                    round: self.begun,
                    best,
                })
            }
        }
    }

    /// With early stopping the best evaluated model is kept, else the last one (under a goal: the mean of FT-16).
    fn choose_final(&mut self) {
        let best = self.best.as_ref().filter(|_| self.stopped_early);
        self.parameters =
            best.map_or_else(|| self.released(), |(_, parameters)| parameters.clone());
        self.average = None;
    }

    fn final_round(&self) -> u32 {
        self.best
            .as_ref()
            .filter(|_| self.stopped_early)
            .map_or(self.begun, |(round, _)| *round)
    }
}

fn value_of(metrics: &Metrics, metric: Metric) -> Option<f64> {
    match metric {
        Metric::Accuracy => metrics.accuracy,
        Metric::BalancedAccuracy => metrics.balanced_accuracy,
        Metric::Auc => metrics.auc,
        Metric::Loss => metrics.loss,
        Metric::Rmse => metrics.rmse,
        Metric::Mae => metrics.mae,
        Metric::R2 => metrics.r2,
        Metric::Confusion | Metric::Calibration => None,
    }
}

/// Parameters travel as `f32`; the coordinator keeps what it sends.
fn round_to_f32(parameters: &mut [f64]) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the rounding is the purpose"
    )]
    parameters
        .iter_mut()
        .for_each(|value| *value = f64::from(*value as f32));
}

/// Standard deviation of the sum of all parties' noise.
fn total_deviation(sigma: u64, parties: u16) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "sigma is below 2^40")]
    let sigma = sigma as f64;
    sigma * f64::from(parties).sqrt()
}
