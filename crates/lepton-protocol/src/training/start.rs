//! A model that a job begins from, and what every party holds it against (rules JC-33 to JC-35).

use std::collections::BTreeMap;

use lepton_learn::{
    ColumnPrep, ModelSpec, NumericMissing, NumericScale, Preparation, TargetPrep, packed, param_len,
};
use serde::{Deserialize, Serialize};

use crate::exchange::Kind;
use crate::plan::{Plan, PlanError};
use crate::public::{Moments, PublicState};

/// Parameters to start from, with the preparation they were trained behind: its ranges, means and deviations stay theirs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartModel {
    /// Parameters.
    #[serde(with = "packed")]
    pub(super) parameters: Vec<f64>,
    /// What its first numbers belong to: [`Preparation::input_parts`].
    pub(super) inputs: Vec<String>,
    /// How columns became its inputs; absent in states of earlier versions.
    #[serde(default)]
    preparation: Option<Preparation>,
}

/// What a preparation says of one number column.
#[derive(Default)]
struct Known {
    range: Option<(f64, f64)>,
    mean: Option<f64>,
    std: Option<f64>,
}

impl StartModel {
    /// Parameters that were trained behind this preparation.
    #[must_use]
    pub fn new(parameters: Vec<f64>, preparation: Preparation) -> Self {
        Self {
            parameters,
            inputs: preparation.input_parts(),
            preparation: Some(preparation),
        }
    }

    /// The model of this job, as far as the job alone tells it: all of it, where it can begin from a given one.
    ///
    /// # Errors
    /// [`PlanError::Job`] for a job that can begin from none.
    pub fn spec(plan: &Plan) -> Result<ModelSpec, PlanError> {
        known_columns(plan)?;
        let mut public = at_rest();
        public.derive(plan).map_err(PlanError::Data)?;
        plan.model_spec(&public)
    }

    /// Whether a job may begin from it, found before anything is summed or charged: the job must read the same columns in the same way, its public dictionaries
    /// and bounds included, and train the same kind and sizes of model, which `spec` says of this one.
    ///
    /// # Errors
    /// [`PlanError::Job`] naming the column that differs.
    pub fn check(&self, plan: &Plan, spec: &ModelSpec) -> Result<(), PlanError> {
        known_columns(plan)?;
        let wrong = |problem: String| other_inputs(plan, &problem);
        let mut public = at_rest();
        self.give_ranges(plan, &mut public);
        self.give_moments(plan, &mut public);
        public.derive(plan).map_err(&wrong)?;
        let own = crate::plan::preparation_of(&public)?;
        if let Some(theirs) = &self.preparation
            && let Some(problem) = difference(own, theirs)
        {
            return Err(wrong(problem));
        }
        let wanted = plan.model_spec(&public)?;
        // How large weights may grow is a setting of training, not of the model.
        let same = (&wanted.kind, wanted.inputs, wanted.outputs)
            == (&spec.kind, spec.inputs, spec.outputs);
        if !same || self.parameters.len() != param_len(&wanted)? {
            return Err(wrong(
                "it is another kind of model, or one of other sizes; use the same [model]"
                    .to_owned(),
            ));
        }
        if !self.parameters.iter().all(|number| number.is_finite()) {
            return Err(wrong("not all of its numbers are finite".to_owned()));
        }
        Ok(())
    }

    /// What a party holds the coordinator's word against: the start's own ranges, the start's own scaling, and in the first round its parameters (rule JC-34).
    pub(crate) fn holds(
        &self,
        plan: &Plan,
        (kind, round): (Kind, u32),
        (public, parameters): (&PublicState, &[f64]),
    ) -> Result<(), &'static str> {
        let mut own = public.clone();
        match kind {
            Kind::Survey => return Ok(()),
            Kind::Statistics => self.give_ranges(plan, &mut own),
            Kind::Training | Kind::Evaluation | Kind::FinalEvaluation => {
                if self.preparation.is_some() && public.preparation != self.preparation {
                    return Err("another preparation than that of the model to start from");
                }
            }
        }
        if own.ranges != public.ranges {
            return Err("other ranges than those of the model to start from");
        }
        if kind == Kind::Training && round <= 1 && parameters != self.parameters {
            return Err("other parameters than those of the model to start from");
        }
        Ok(())
    }

    /// Ranges that the job leaves open.
    pub(crate) fn give_ranges(&self, plan: &Plan, public: &mut PublicState) {
        for name in plan.unbounded() {
            if let Some(range) = self.known(name).range {
                public.ranges.insert(name.to_owned(), range);
            }
        }
    }

    /// Means and deviations, in place of those that the job's own statistics gave.
    pub(crate) fn give_moments(&self, plan: &Plan, public: &mut PublicState) {
        for (name, _) in plan.numbers() {
            let Known { mean, std, .. } = self.known(name);
            let (lo, hi) = plan.range_of(name, public);
            let Some(moments) = &mut public.moments else {
                return;
            };
            let measured = moments.entry(name.to_owned()).or_insert(Moments {
                mean: f64::midpoint(lo, hi),
                std: hi - lo,
            });
            measured.mean = mean.unwrap_or(measured.mean);
            measured.std = std.unwrap_or(measured.std);
        }
    }

    fn known(&self, column: &str) -> Known {
        let Some(preparation) = &self.preparation else {
            return Known::default();
        };
        if let TargetPrep::Value {
            name,
            bounds,
            mean,
            std,
        } = &preparation.target
            && name == column
        {
            return Known {
                range: *bounds,
                mean: Some(*mean),
                std: Some(*std),
            };
        }
        let found = preparation.columns.iter().find(|one| one.name() == column);
        found.map_or_else(Known::default, known_of)
    }
}

/// Nothing is known but that there were statistics.
fn at_rest() -> PublicState {
    PublicState {
        rows: 1.0,
        moments: Some(BTreeMap::new()),
        ..PublicState::default()
    }
}

fn other_inputs(plan: &Plan, problem: &str) -> PlanError {
    PlanError::Job {
        place: plan.job().origin_of("model.start"),
        problem: format!("the model to start from has other inputs than this job: {problem}"),
    }
}

/// Slots are numbered by a key of one job alone.
fn known_columns(plan: &Plan) -> Result<(), PlanError> {
    match plan.discovered().first() {
        None => Ok(()),
        Some(found) => Err(other_inputs(
            plan,
            &format!(
                "the categories of `{found}` would be found by a survey of this job alone; list them under [prepare.values], or in data.classes"
            ),
        )),
    }
}

fn known_of(column: &ColumnPrep) -> Known {
    let ColumnPrep::Numeric {
        bounds,
        scale,
        missing,
        ..
    } = column
    else {
        return Known::default();
    };
    let fill = match missing {
        NumericMissing::Fill(mean) | NumericMissing::Indicator(mean) => Some(*mean),
        NumericMissing::Drop | NumericMissing::Refuse => None,
    };
    let (mean, std) = match scale {
        NumericScale::Standard { mean, std } => (Some(*mean), Some(*std)),
        NumericScale::MinMax { .. } | NumericScale::None => (fill, None),
    };
    Known {
        range: *bounds,
        mean,
        std,
    }
}

/// The first thing in which two preparations differ, in words.
fn difference(own: &Preparation, theirs: &Preparation) -> Option<String> {
    let names = |preparation: &Preparation| -> Vec<String> {
        let columns = preparation.columns.iter();
        columns.map(|column| column.name().to_owned()).collect()
    };
    let (ours, others) = (names(own), names(theirs));
    if ours != others {
        return Some(format!(
            "it reads the columns {}, and this job reads {}; use the same columns in the same order",
            others.join(", "),
            ours.join(", ")
        ));
    }
    let mut pairs = own.columns.iter().zip(&theirs.columns);
    if let Some((column, _)) = pairs.find(|(own, theirs)| own != theirs) {
        return Some(format!(
            "it reads the column `{}` in another way; use the same type, bounds, categories and [prepare]",
            column.name()
        ));
    }
    (own.target != theirs.target).then(|| {
        format!(
            "it predicts `{}` in another way; use the same label, classes and bounds",
            theirs.target.name()
        )
    })
}
