//! A training job's course at the coordinator: which exchange comes next, and what its sum changes. Serialised as the checkpoint.

mod absorb;
mod grown;
mod notes;
mod start;
mod stored;

use lepton_dp::rdp::Accountant;
use lepton_learn::{EarlyStopping, Goal, Metrics, Model, ServerState, packed};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::exchange::Kind;
use crate::ledger::{Charge, Side, accountant_of, admit};
use crate::plan::{Plan, PlanError};
use crate::privacy::affordable_steps;
use crate::public::PublicState;
use crate::report::CurvePoint;

pub use grown::Joined;
pub use start::StartModel;
pub use stored::CHECKPOINT;

/// Times an exchange that cannot be left out is tried before the job stops.
const MAX_ATTEMPTS: u32 = 5;

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

impl Stage {
    fn kind(self) -> Option<Kind> {
        match self {
            Self::Survey => Some(Kind::Survey),
            Self::Statistics => Some(Kind::Statistics),
            Self::Round => Some(Kind::Training),
            Self::Evaluation => Some(Kind::Evaluation),
            Self::FinalEvaluation => Some(Kind::FinalEvaluation),
            Self::Over => None,
        }
    }
}

/// The course of one job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Training {
    stage: Stage,
    number: u64,
    tries: u32,
    public: PublicState,
    #[serde(with = "packed")]
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
    /// The best evaluated model, and the rounds in it.
    best: Option<(u32, Evaluated)>,
    /// The last model that was evaluated between rounds.
    evaluated: Option<Evaluated>,
    /// Without a privacy goal: the set of parties that signed the running exchange; a new attempt at the same inputs takes exactly these (FT-11).
    signed: Option<(Kind, Vec<u16>)>,
    /// Commitment to the slot key that the kept slots belong to.
    slot_commitment: Option<[u8; 32]>,
    average: Option<Average>,
    metrics: Option<Metrics>,
    charges: Vec<Charge>,
    public_charges: Vec<Charge>,
    sums: u64,
    abandoned: u64,
    notes: Vec<String>,
    #[serde(default)]
    growth: grown::Growth,
}

/// A model and what was measured of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Evaluated {
    #[serde(with = "packed")]
    parameters: Vec<f64>,
    metrics: Metrics,
}

/// Running mean of the parameters over the second half of the rounds (rule FT-16).
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Average {
    count: u32,
    #[serde(with = "packed")]
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
            evaluated: None,
            signed: None,
            slot_commitment: None,
            average: None,
            metrics: None,
            charges: Vec::new(),
            public_charges: Vec::new(),
            sums: 0,
            abandoned: 0,
            notes: notes::of(plan),
            growth: grown::Growth::of(plan),
        }
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

    /// Rounds whose sums were absorbed.
    #[must_use]
    pub fn rounds_done(&self) -> u32 {
        self.done
    }

    /// Rounds that went into the model that is kept: with early stopping those up to the best evaluated one.
    #[must_use]
    pub fn rounds_in_model(&self) -> u32 {
        let best = self.best.as_ref().filter(|_| self.stopped_early);
        best.map_or(self.done, |(round, ..)| self.done.min(*round))
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
        self.skip_unaffordable(plan)?;
        self.reuse_metrics(plan);
        let Some(kind) = self.stage.kind() else {
            return Ok(None);
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

    /// Without a goal the final model is not evaluated twice: a second sum of the same inputs over other parties would tell the difference (FT-11).
    fn reuse_metrics(&mut self, plan: &Plan) {
        if plan.privacy().is_some() || self.stage != Stage::FinalEvaluation {
            return;
        }
        self.choose_final();
        let best = self.best.as_ref().filter(|_| self.stopped_early);
        let known = match best {
            Some((_, model)) => Some(model.metrics.clone()),
            None => {
                let last = self.evaluated.as_ref();
                last.filter(|model| model.parameters == self.parameters)
                    .map(|model| model.metrics.clone())
            }
        };
        if known.is_some() {
            self.metrics = known;
            self.stage = Stage::Over;
        }
    }

    /// Forgets a set that nobody signed.
    pub(crate) fn unsigned(&mut self) {
        self.signed = None;
    }

    /// Who alone may be asked in an exchange of this kind, since they signed one with the same inputs.
    pub(crate) fn only(&self, kind: Kind) -> Option<&[u16]> {
        self.signed
            .as_ref()
            .filter(|(signed, _)| *signed == kind)
            .map(|(_, parties)| parties.as_slice())
    }

    /// Without whom the next exchange cannot be summed: those who signed one with the same inputs.
    pub(crate) fn needed(&self) -> &[u16] {
        let rounds_over = self.stage == Stage::Round && self.begun >= self.allowed;
        let stage = if rounds_over {
            Stage::FinalEvaluation
        } else {
            self.stage
        };
        let signed = stage.kind().and_then(|kind| self.only(kind));
        signed.unwrap_or_default()
    }

    /// Holds the slot key's commitment against the one that the kept slots belong to.
    pub(crate) fn accept_slot_key(&mut self, commitment: [u8; 32]) -> Result<(), String> {
        match self.slot_commitment {
            Some(earlier) if earlier != commitment && !self.public.kept.is_empty() => Err(
                "party 0 has another slot key than the one that the categories of this job were found with; restore its store, or start a new run".to_owned(),
            ),
            _ => {
                self.slot_commitment = Some(commitment);
                Ok(())
            }
        }
    }

    /// An evaluation that no longer fits the goal after a lost one is left out: every ledger would refuse it (FT-09, FT-10).
    fn skip_unaffordable(&mut self, plan: &Plan) -> Result<(), PlanError> {
        let Some(privacy) = plan.privacy() else {
            return Ok(());
        };
        let Some(kind @ (Kind::Evaluation | Kind::FinalEvaluation)) = self.stage.kind() else {
            return Ok(());
        };
        let exchange = plan.exchange(kind, &self.public)?;
        let Some(charge) = exchange.charge(0, self.number, 1) else {
            return Ok(());
        };
        if admit(&self.spent(charge.side)?, &charge, &privacy.limit).is_ok() {
            return Ok(());
        }
        self.leave_out(
            kind,
            "a lost one stays charged, and another does not fit the privacy goal",
        );
        if self.stage == Stage::Round && self.begun >= self.allowed {
            self.stage = Stage::FinalEvaluation;
            return self.skip_unaffordable(plan);
        }
        Ok(())
    }

    /// Goes on without an evaluation; without the final one the job ends with the model it has.
    fn leave_out(&mut self, kind: Kind, why: &str) {
        self.notes
            .push(format!("the {} was left out: {why}", kind.words()));
        self.tries = 0;
        if kind == Kind::FinalEvaluation {
            self.choose_final();
            self.stage = Stage::Over;
        } else {
            self.stage = Stage::Round;
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
            Kind::FinalEvaluation if self.tries >= MAX_ATTEMPTS => {
                self.leave_out(next.kind, reason);
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
        self.public.derive(plan).map_err(PlanError::Data)?;
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
        Ok(Some(spent.epsilon(privacy.limit.delta)?.0.get()))
    }

    /// What rounds cannot have: what was spent, and the evaluations still to come where they are charged to the same side (PU-02).
    fn spoken_for(&self, plan: &Plan) -> Result<Accountant, PlanError> {
        let mut total = self.spent(Side::Training)?;
        let left = (self.begun + 1..plan.rounds()).filter(|round| plan.evaluates_after(*round));
        let to_come = [
            (Kind::Evaluation, left.count() as u64),
            (Kind::FinalEvaluation, 1),
        ];
        for (kind, count) in to_come {
            if plan.side(kind) == Side::Training && count > 0 {
                let noise = plan.exchange(kind, &self.public)?.noise;
                let events = noise.iter().map(|noise| &noise.event);
                for event in events {
                    total.add(event, count)?;
                }
            }
        }
        Ok(total)
    }

    fn spent(&self, side: Side) -> Result<Accountant, PlanError> {
        accountant_of(&self.charges, side).map_err(|error| PlanError::Data(error.to_string()))
    }

    fn charge(&mut self, plan: &Plan, kind: Kind) -> Result<(), PlanError> {
        let exchange = plan.exchange(kind, &self.public)?;
        let Some((noise, seen)) = exchange
            .noise
            .as_ref()
            .zip(exchange.charge(0, self.number, 1))
        else {
            return Ok(());
        };
        let public = Charge {
            event: noise.public_event,
            ..seen.clone()
        };
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
            &self.spoken_for(plan)?,
            &noise.event,
            &privacy.limit,
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
        let inputs = crate::plan::preparation_of(&self.public)?.input_parts();
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
            plan.server_optimiser(&self.public)?,
            self.parameters.len(),
        )?);
        Ok(())
    }

    /// With early stopping the best evaluated model is kept, else the last one (under a goal: the mean of FT-16).
    fn choose_final(&mut self) {
        let best = self.best.as_ref().filter(|_| self.stopped_early);
        self.parameters =
            best.map_or_else(|| self.released(), |(_, model)| model.parameters.clone());
        self.average = None;
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
