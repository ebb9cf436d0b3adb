//! A party's own work in each exchange: its integer vector from its own rows, noise included. Pure: rows, public state and a generator in,
//! integers out. Nothing here is sent before it is masked.

use lepton_crypto::{Seed, hash};
use lepton_learn::{
    Examples, LearnError, Levels, Model, Preparation, Prepared, RawColumn, ServerState, TargetPrep,
};
use lepton_ring::FixedPoint;
use rand_core::CryptoRng;

use crate::exchange::Kind;
use crate::gradients::Gradients;
use crate::job::Unit;
use crate::party::Work;
use crate::plain::plain_round;
use crate::plan::{CHANGE_BITS, LabelKind, MAGNITUDES, MAX_CHANGE, MAX_ROWS, Plan, PlanError};
use crate::privacy::NoiseAt;
use crate::public::PublicState;
use crate::trainer::{Custom, Trainer, TrainerError};
use crate::units::{Own, by_unit};

/// Exponent of the first magnitude bucket.
const FIRST_MAGNITUDE: i32 = -32;

/// A party's rows, divided once and for all (rule FT-03).
#[derive(Debug, Clone)]
pub struct PartyRows {
    /// Training rows, by column.
    pub train: Vec<RawColumn>,
    /// Hold-out rows, by column.
    pub hold_out: Vec<RawColumn>,
}

/// Why a party cannot contribute. The full text is for the data's owner; [`WorkError::public_words`] is what may leave the party.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The plan does not allow it.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// More rows than the proved bound covers.
    #[error(
        "this party has more than {MAX_ROWS} training rows, the most one exchange can take; split the party"
    )]
    TooManyRows,
    /// A column is absent.
    #[error("column `{0}` is not in this party's table")]
    NoColumn(String),
    /// Training or preparation failed.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// The program that trains a custom model failed.
    #[error("the trainer failed: {0}")]
    Trainer(#[from] TrainerError),
    /// A custom model, and nothing that trains it.
    #[error("model.kind = \"custom\" needs a trainer, and this party has none")]
    NoTrainer,
    /// The noise is out of range.
    #[error(transparent)]
    Noise(#[from] lepton_dp::DpError),
    /// The update is out of range.
    #[error("training moved a parameter by more than {MAX_CHANGE}; lower training.learning_rate")]
    TooFar,
}

impl WorkError {
    /// What the coordinator is told: one sentence for everything that may hang on values.
    #[must_use]
    pub fn public_words(&self) -> String {
        match self {
            // What does not fit a ring is a number of this party's.
            Self::Plan(problem) if !matches!(problem, PlanError::Ring(_) | PlanError::Learn(_)) => {
                self.to_string()
            }
            Self::Noise(_) | Self::NoTrainer => self.to_string(),
            Self::NoColumn(column) => format!("its table has no column `{column}`"),
            _ => {
                "its rows do not fit the job, or training diverged; its own log says why".to_owned()
            }
        }
    }
}

/// A party's worker: its rows and what it has prepared of them.
pub struct Worker {
    rows: PartyRows,
    prepared: Option<(Preparation, Examples, Examples)>,
    /// Rows of each person among the training and the hold-out examples, for a preparation (PU-11).
    persons: Option<(Preparation, [Vec<Vec<usize>>; 2])>,
    gradients: Gradients,
}

impl Worker {
    /// Takes the party's rows.
    #[must_use]
    pub fn new(rows: PartyRows) -> Self {
        Self {
            rows,
            prepared: None,
            persons: None,
            gradients: Gradients::default(),
        }
    }

    /// With a program of the party's own for custom models.
    #[must_use]
    pub fn with_trainer(rows: PartyRows, trainer: Option<Box<dyn Trainer>>) -> Self {
        let mut worker = Self::new(rows);
        worker.gradients.custom = trainer.map(Custom::new);
        worker
    }

    /// The last failure of the trainer that a privacy goal kept from everybody but the data's owner, once (rule CM-04).
    pub fn take_complaint(&mut self) -> Option<String> {
        self.gradients.custom.as_mut()?.take_complaint()
    }

    /// Computes this party's vector for `work`, noise included.
    ///
    /// # Errors
    /// [`WorkError`].
    pub fn contribute(
        &mut self,
        plan: &Plan,
        work: &Work,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<i64>, WorkError> {
        let slot = slot_function(work.slot_key.as_ref(), plan.slots());
        let mut vector = match work.exchange.kind {
            Kind::Survey => self.survey(plan, &slot)?,
            Kind::Statistics => self.statistics(plan, &work.public, &slot)?,
            Kind::Training => return self.train(plan, work, &slot, rng),
            Kind::Evaluation | Kind::FinalEvaluation => self.evaluate(plan, work, &slot)?,
        };
        if let Some(noise) = &work.exchange.noise {
            let source = &mut self.gradients.noise;
            source.add(&mut vector, noise.sigma, plan, rng)?;
        }
        Ok(vector)
    }

    /// Training and hold-out examples under the agreed preparation.
    ///
    /// # Errors
    /// [`WorkError`] when the party's columns do not fit.
    pub fn examples(
        &mut self,
        public: &PublicState,
        slot: &dyn Fn(&str, &str) -> u32,
    ) -> Result<(&Examples, &Examples), WorkError> {
        let preparation = crate::plan::preparation_of(public)?;
        if self
            .prepared
            .as_ref()
            .is_none_or(|(current, _, _)| current != preparation)
        {
            let train = prepare(preparation, &self.rows.train, slot)?;
            let hold_out = prepare(preparation, &self.rows.hold_out, slot)?;
            self.prepared = Some((preparation.clone(), train, hold_out));
        }
        match &self.prepared {
            Some((_, train, hold_out)) => Ok((train, hold_out)),
            None => Err(PlanError::Data("the preparation is missing".to_owned()).into()),
        }
    }

    /// Rows of each person among the examples; none where the unit is not a person.
    fn persons(
        &mut self,
        plan: &Plan,
        public: &PublicState,
        slot: &dyn Fn(&str, &str) -> u32,
    ) -> Result<[Vec<Vec<usize>>; 2], WorkError> {
        let Some(column) = plan.person_column() else {
            return Ok([Vec::new(), Vec::new()]);
        };
        let preparation = crate::plan::preparation_of(public)?;
        if let Some((current, persons)) = &self.persons
            && current == preparation
        {
            return Ok(persons.clone());
        }
        let of = |columns: &[RawColumn]| -> Result<Vec<Vec<usize>>, WorkError> {
            let (used, prepared) = prepared_rows(preparation, columns, slot)?;
            Ok(crate::units::persons(find(&used, column)?, &prepared.rows))
        };
        let persons = [of(&self.rows.train)?, of(&self.rows.hold_out)?];
        self.persons = Some((preparation.clone(), persons.clone()));
        Ok(persons)
    }

    /// Rules PR-03 and PR-05.
    fn survey(&self, plan: &Plan, slot: &dyn Fn(&str, &str) -> u32) -> Result<Vec<i64>, WorkError> {
        let mut vector = Vec::new();
        for name in plan.discovered() {
            let column = find(&self.rows.train, name)?;
            let mut counts = lepton_learn::category_contribution(column, plan.slots(), slot)?;
            counts.truncate(plan.slots() as usize);
            if plan.privacy().is_none() {
                counts.iter_mut().for_each(|count| *count = (*count).min(1));
            }
            vector.extend(counts);
        }
        for name in plan.unbounded() {
            let mut marks = vec![0_i64; MAGNITUDES];
            let bucket = magnitude(find(&self.rows.train, name)?);
            marks
                .iter_mut()
                .skip(bucket)
                .take(1)
                .for_each(|mark| *mark = 1);
            vector.extend(marks);
        }
        Ok(vector)
    }

    /// Rule PR-06.
    fn statistics(
        &self,
        plan: &Plan,
        public: &PublicState,
        slot: &dyn Fn(&str, &str) -> u32,
    ) -> Result<Vec<i64>, WorkError> {
        let class_of = class_of(plan, public, slot);
        let columns = match plan.label() {
            LabelKind::Number(_) => self.rows.train.clone(),
            _ => with_known_label(&self.rows.train, plan.label_name(), &|value| {
                class_of(value).is_some()
            }),
        };
        let rows = columns.first().map_or(0, RawColumn::len);
        if rows > MAX_ROWS && plan.unit() != Unit::Party {
            return Err(WorkError::TooManyRows);
        }
        let persons = match plan.person_column() {
            Some(column) => {
                let all: Vec<usize> = (0..rows).collect();
                crate::units::persons(find(&columns, column)?, &all)
            }
            None => Vec::new(),
        };
        let of = |rows: Option<&[usize]>| -> Result<Vec<i64>, WorkError> {
            let Some(rows) = rows else {
                return statistics_of(plan, public, &columns, &class_of);
            };
            let own: Vec<RawColumn> = columns.iter().map(|column| column.select(rows)).collect();
            statistics_of(plan, public, &own, &class_of)
        };
        let len = 1 + 3 * plan.numbers().len() + plan.classes(public);
        by_unit(plan, (rows, &persons), len, of)
    }

    fn evaluate(
        &mut self,
        plan: &Plan,
        work: &Work,
        slot: &dyn Fn(&str, &str) -> u32,
    ) -> Result<Vec<i64>, WorkError> {
        let mut gradients = std::mem::take(&mut self.gradients);
        let vector = self.evaluate_with(gradients.custom.as_mut(), (plan, work), slot);
        self.gradients = gradients;
        vector
    }

    fn evaluate_with(
        &mut self,
        custom: Option<&mut Custom>,
        (plan, work): (&Plan, &Work),
        slot: &dyn Fn(&str, &str) -> u32,
    ) -> Result<Vec<i64>, WorkError> {
        let model = Model::new(plan.model_spec(&work.public)?, work.parameters.clone())?;
        let mut custom = custom.filter(|_| plan.is_custom());
        let layout = plan.layout(work.exchange.kind, &work.public);
        let [_, persons] = self.persons(plan, &work.public, slot)?;
        let (_, hold_out) = self.examples(&work.public, slot)?;
        let of = |rows: Option<&[usize]>| -> Result<Vec<i64>, WorkError> {
            let own = rows.map(|rows| hold_out.subset(rows));
            let rows = own.as_ref().unwrap_or(hold_out);
            if let Some(custom) = custom.as_deref_mut() {
                let (kept, predictions) = custom.predict((plan, work), rows)?;
                let y = rows.y().subset(&kept);
                return Ok(lepton_learn::eval_contribution(&predictions, &y, &layout)?);
            }
            let predictions = model.predict(rows.x())?;
            Ok(lepton_learn::eval_contribution(
                &predictions,
                rows.y(),
                &layout,
            )?)
        };
        by_unit(plan, (hold_out.len(), &persons), layout.len(), of)
    }

    fn train(
        &mut self,
        plan: &Plan,
        work: &Work,
        slot: &dyn Fn(&str, &str) -> u32,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<i64>, WorkError> {
        let mut gradients = std::mem::take(&mut self.gradients);
        let vector = self.train_with(&mut gradients, (plan, work), slot, rng);
        // Back in place also after an error: the count of draws goes on.
        self.gradients = gradients;
        vector
    }

    fn train_with(
        &mut self,
        gradients: &mut Gradients,
        (plan, work): (&Plan, &Work),
        slot: &dyn Fn(&str, &str) -> u32,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<i64>, WorkError> {
        let [persons, _] = self.persons(plan, &work.public, slot)?;
        let (train, _) = self.examples(&work.public, slot)?;
        let own = Own {
            train,
            persons: &persons,
        };
        if train.len() > MAX_ROWS && plan.unit() != Unit::Party {
            return Err(WorkError::TooManyRows);
        }
        match plan.privacy().map(|privacy| privacy.goal.noise) {
            _ if plan.unit() == Unit::Party => {
                let custom = gradients.custom.as_mut();
                let update = crate::units::party_update(plan, work, train, custom, rng)?;
                gradients.with_noise((plan, work), update, rng)
            }
            None => plain_round(plan, work, train, gradients.custom.as_mut(), rng),
            Some(NoiseAt::Distributed) => {
                gradients.noised((plan, work), &work.parameters, &own, rng)
            }
            Some(NoiseAt::Local) => local_private_round((plan, work), &own, gradients, rng),
        }
    }
}

/// Rule PR-06, over these rows.
fn statistics_of(
    plan: &Plan,
    public: &PublicState,
    columns: &[RawColumn],
    class_of: &dyn Fn(&str) -> Option<usize>,
) -> Result<Vec<i64>, WorkError> {
    let rows = columns.first().map_or(0, RawColumn::len);
    let unit = 1_i64 << lepton_learn::NUMERIC_FRACTION_BITS;
    let mut vector = vec![i64::try_from(rows).map_err(|_| WorkError::TooManyRows)? * unit];
    for (name, _) in plan.numbers() {
        let sums =
            lepton_learn::numeric_contribution(find(columns, name)?, plan.range_of(name, public))?;
        vector.extend([sums.missing / 2, sums.sum, sums.sum_squares]);
    }
    let label = find(columns, plan.label_name())?;
    let counts = class_counts(plan.classes(public), label, class_of);
    vector.extend(counts.iter().map(|count| count * unit));
    Ok(vector)
}

/// Slots of category values (rule PR-02).
pub fn slot_function(key: Option<&Seed>, slots: u32) -> impl Fn(&str, &str) -> u32 + use<> {
    let key = key.map_or([0; 32], |key| *key.as_bytes());
    move |column, value| {
        let digest = hash("lepton slot", &[&key, column.as_bytes(), value.as_bytes()]);
        let number = digest
            .as_bytes()
            .iter()
            .take(8)
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        u32::try_from(number % u64::from(slots.max(1))).unwrap_or(0)
    }
}

/// Rule FT-06: several private steps alone; what they change, clamped, in fixed point.
fn local_private_round(
    (plan, work): (&Plan, &Work),
    own: &Own<'_>,
    gradients: &mut Gradients,
    rng: &mut impl CryptoRng,
) -> Result<Vec<i64>, WorkError> {
    let mut parameters = work.parameters.clone();
    let mut rule = ServerState::new(plan.private_step(&work.public)?, parameters.len())?;
    let divisor = public_divisor(plan, &work.public) / f64::from(plan.parties());
    for _ in 0..plan.local_steps() {
        let noised = gradients.noised((plan, work), &parameters, own, rng)?;
        let step = descent(plan, &work.public, &parameters, &noised, divisor)?;
        rule.apply(&mut parameters, &step)?;
    }
    let encoding = FixedPoint::new(CHANGE_BITS);
    let changes = parameters.iter().zip(&work.parameters);
    let encoded =
        changes.map(|(new, old)| encoding.encode((new - old).clamp(-MAX_CHANGE, MAX_CHANGE)));
    // In a group this party counts itself: who survived is known anyway.
    let count = plan.groups().map(|_| Ok(1));
    let encoded = count.into_iter().chain(encoded);
    Ok(encoded.collect::<Result<_, _>>().map_err(PlanError::from)?)
}

/// Expected number of sampled rows over all parties: the public divisor of rule FT-07.
#[must_use]
pub fn public_divisor(plan: &Plan, public: &PublicState) -> f64 {
    let rate = plan
        .privacy()
        .map_or(1.0, |privacy| privacy.goal.sampling_rate.get());
    (rate * public.rows).max(1.0)
}

/// Minus the mean gradient of a noised integer sum, the data-independent penalty included.
///
/// # Errors
/// [`PlanError`] when lengths differ.
pub fn descent(
    plan: &Plan,
    public: &PublicState,
    parameters: &[f64],
    noised: &[i64],
    divisor: f64,
) -> Result<Vec<f64>, PlanError> {
    let scale = plan.gradient_scale(parameters.len(), public) * divisor;
    let penalty = lepton_learn::l2_gradient(&plan.model_spec(public)?, parameters)?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "the noise is far larger than the rounding"
    )]
    let step = noised
        .iter()
        .zip(penalty)
        .map(|(value, penalty)| -(*value as f64 / scale + penalty))
        .collect();
    Ok(step)
}

/// Index of the smallest power of two that covers all values, clamped to the buckets.
fn magnitude(column: &RawColumn) -> usize {
    let largest = match column {
        RawColumn::Numeric { values, .. } => values
            .iter()
            .flatten()
            .fold(0.0_f64, |most, value| most.max(value.abs())),
        RawColumn::Category { .. } => 0.0,
    };
    let exponent = if largest > 0.0 {
        largest.log2().ceil()
    } else {
        f64::from(FIRST_MAGNITUDE)
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the buckets"
    )]
    let bucket =
        (exponent - f64::from(FIRST_MAGNITUDE)).clamp(0.0, (MAGNITUDES - 1) as f64) as usize;
    bucket
}

/// The range that a magnitude bucket stands for.
#[must_use]
pub fn magnitude_range(bucket: usize) -> (f64, f64) {
    let exponent = i32::try_from(bucket).unwrap_or(0) + FIRST_MAGNITUDE;
    let reach = f64::from(exponent).exp2();
    (-reach, reach)
}

fn find<'c>(columns: &'c [RawColumn], name: &str) -> Result<&'c RawColumn, WorkError> {
    columns
        .iter()
        .find(|column| column.name() == name)
        .ok_or_else(|| WorkError::NoColumn(name.to_owned()))
}

/// Position of a label's class, once the survey is done.
fn class_of<'p>(
    plan: &'p Plan,
    public: &'p PublicState,
    slot: &'p dyn Fn(&str, &str) -> u32,
) -> impl Fn(&str) -> Option<usize> + 'p {
    let name = plan.label_name();
    move |value| match plan.label() {
        LabelKind::Declared(classes) => classes.iter().position(|class| class == value),
        LabelKind::Discovered => {
            let kept = public.kept.get(name)?;
            kept.binary_search(&slot(name, value)).ok()
        }
        LabelKind::Number(_) => None,
    }
}

/// Rows whose label has a class: one held by too few parties (PR-04), or not in the dictionary, is left out without a word, since a refusal would be
/// an answer about a record (FT-02).
fn with_known_label(
    columns: &[RawColumn],
    label: &str,
    known: &dyn Fn(&str) -> bool,
) -> Vec<RawColumn> {
    let found = columns.iter().find(|column| column.name() == label);
    let rows: Vec<usize> = found.map_or_else(Vec::new, |column| {
        let known = |row: &usize| column.category(*row).is_some_and(|value| known(&value));
        (0..column.len()).filter(known).collect()
    });
    columns.iter().map(|column| column.select(&rows)).collect()
}

fn prepare(
    preparation: &Preparation,
    columns: &[RawColumn],
    slot: &dyn Fn(&str, &str) -> u32,
) -> Result<Examples, LearnError> {
    Ok(prepared_rows(preparation, columns, slot)?.1.data)
}

/// The rows whose label is known, and the examples made of them.
fn prepared_rows(
    preparation: &Preparation,
    columns: &[RawColumn],
    slot: &dyn Fn(&str, &str) -> u32,
) -> Result<(Vec<RawColumn>, Prepared<Examples>), LearnError> {
    let TargetPrep::Classes { name, levels } = &preparation.target else {
        let prepared = preparation.examples(columns, slot)?;
        return Ok((columns.to_vec(), prepared));
    };
    let known = |value: &str| match levels {
        Levels::Slots { kept, .. } => kept.binary_search(&slot(name, value)).is_ok(),
        Levels::Declared(classes) => classes.iter().any(|class| class == value),
    };
    let rows = with_known_label(columns, name, &known);
    let prepared = preparation.examples(&rows, slot)?;
    Ok((rows, prepared))
}

fn class_counts(
    classes: usize,
    label: &RawColumn,
    class_of: &dyn Fn(&str) -> Option<usize>,
) -> Vec<i64> {
    let mut counts = vec![0_i64; classes];
    let values = (0..label.len()).filter_map(|row| label.category(row));
    for class in values.filter_map(|value| class_of(&value)) {
        counts
            .iter_mut()
            .skip(class)
            .take(1)
            .for_each(|count| *count += 1);
    }
    counts
}
