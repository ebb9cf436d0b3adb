//! What the unit of privacy changes about the plan (docs/protocols/privacy-units.md).

use lepton_learn::{ClipNorm, EvalLayout};
use lepton_ring::conditional_norm_bound;

use super::{MAX_ROWS, Plan, PlanError, ROW_UNIT};
use crate::exchange::{Exchange, Kind};
use crate::job::{Clip, Unit};
use crate::ledger::Side;
use crate::privacy::{PrivacyPlan, Shape};
use crate::public::PublicState;

/// How likely one try of conditional rounding may be to fail: exp(-1/2), as the paper has it.
const ROUNDING_BETA: f64 = 0.606_530_659_712_633_4;

/// Length of a contribution over that of its count (PU-10): the count costs less than one part in a hundred of the noise.
const COUNT_RATIO: f64 = 8.0;

impl Plan {
    /// What one guarantee of this job protects: a record where there is no privacy goal.
    #[must_use]
    pub fn unit(&self) -> Unit {
        self.job
            .privacy()
            .map_or(Unit::Record, |privacy| privacy.unit)
    }

    /// Whether single records or persons are protected: sampled, and cut one by one.
    #[must_use]
    pub fn samples(&self) -> bool {
        self.privacy().is_some() && self.unit() != Unit::Party
    }

    /// Column that says whose row it is, where the unit is a person.
    #[must_use]
    pub fn person_column(&self) -> Option<&str> {
        let person = self.job.data().person.as_deref();
        person.filter(|_| self.unit() == Unit::Person)
    }

    /// What an exchange is charged to: one side for all where the unit is a party, since both sides hold its rows (PU-02).
    #[must_use]
    pub fn side(&self, kind: Kind) -> Side {
        match self.unit() {
            Unit::Party => Side::Training,
            Unit::Record | Unit::Person => kind.side(),
        }
    }

    /// Length of a cut update in integer steps (PU-03).
    ///
    /// # Errors
    /// [`PlanError`] when there are too many parameters.
    pub fn update_steps(&self, len: usize) -> Result<ClipNorm, PlanError> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a model has fewer than 2^52 parameters"
        )]
        let steps = (32.0 * (len as f64).sqrt()).ceil().max(1.0);
        Ok(ClipNorm::new(steps)?)
    }

    /// Norm that conditional rounding holds an update of `len` parameters to (PU-03).
    ///
    /// # Errors
    /// As [`Plan::update_steps`].
    pub fn update_norm(&self, len: usize) -> Result<f64, PlanError> {
        let steps = self.update_steps(len)?.get();
        Ok(conditional_norm_bound(steps, len, ROUNDING_BETA))
    }

    /// Whether the clipping norm follows a count, and towards which quantile (DP-16).
    #[must_use]
    pub fn clip_quantile(&self) -> Option<f64> {
        match self.job.privacy()?.clip {
            Clip::Fixed(_) => None,
            Clip::Adaptive { quantile, .. } => Some(quantile.get()),
        }
    }

    /// Integer steps that one contribution within the norm counts for, beside a vector that one unit moves by `sensitivity` (PU-10).
    #[must_use]
    pub fn count_steps(sensitivity: f64) -> f64 {
        (sensitivity / COUNT_RATIO).ceil()
    }

    /// What stands in front of a vector of `len` numbers where the norm is adaptive: `count`, uncut contributions less cut ones, in steps (PU-10).
    ///
    /// # Errors
    /// [`PlanError`] when the vector's sensitivity is not known.
    pub fn count_entry(
        &self,
        public: &PublicState,
        len: usize,
        count: i64,
    ) -> Result<Option<i64>, PlanError> {
        if self.clip_quantile().is_none() {
            return Ok(None);
        }
        let steps = Self::count_steps(self.contribution_sensitivity(public, len)?);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number below 2^41, since the noise hides it"
        )]
        Ok(Some(count.saturating_mul(steps as i64)))
    }

    /// How far one unit moves a training vector of `len` numbers, the count aside.
    ///
    /// # Errors
    /// [`PlanError`] when the preparation is not known or the clipping norm is out of range.
    pub fn contribution_sensitivity(
        &self,
        public: &PublicState,
        len: usize,
    ) -> Result<f64, PlanError> {
        if self.unit() == Unit::Party {
            return self.update_norm(len);
        }
        let scaled = self.gradient_scale(len, public) * self.clip(public)?.get();
        let eta = match self.unit() {
            _ if self.is_custom() => lepton_learn::PERSON_ETA,
            Unit::Person => lepton_learn::PERSON_ETA,
            _ => lepton_learn::float_error_eta(&self.model_spec(public)?, MAX_ROWS)?,
        };
        Ok(lepton_dp::round_sensitivity(scaled, eta, len))
    }

    /// With a count in front, where the norm is adaptive.
    pub(super) fn counted(&self, shape: Shape) -> Shape {
        let Shape { sensitivity, len } = shape;
        match self.clip_quantile() {
            None => shape,
            Some(_) => Shape {
                sensitivity: (sensitivity.powi(2) + Self::count_steps(sensitivity).powi(2))
                    .sqrt()
                    .next_up()
                    .next_up(),
                len: len + 1,
            },
        }
    }

    /// Refuses what cannot be had at the level of a party (PU-08).
    pub(super) fn check_unit(&self) -> Result<(), PlanError> {
        let discovered = self.discovered().first().copied();
        let unit = self.unit();
        match (unit, discovered) {
            (Unit::Party | Unit::Person, Some(name)) => Err(PlanError::Job {
                place: self.job.origin_of("privacy.unit"),
                problem: format!(
                    "the categories of column `{name}` cannot be discovered with unit = \"{unit}\": how often a {unit} holds each is not bounded; list them as `{name} = [\"…\", \"…\"]` under [prepare.values], leave the column out with data.exclude, or write prepare.categories = \"drop\""
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Most rows that a party's statistics stand for: one, where it contributes their mean.
    pub(super) fn most_rows(&self) -> u128 {
        match self.unit() {
            Unit::Party => 1,
            Unit::Record | Unit::Person => MAX_ROWS as u128,
        }
    }

    /// How far one unit moves an evaluation, in integer steps. Rows of a party are not counted (PU-07).
    pub(super) fn evaluation_sensitivity(&self, layout: &EvalLayout) -> f64 {
        let record = lepton_learn::eval_sensitivity(layout);
        match self.unit() {
            Unit::Record | Unit::Person => record,
            // The square of the quotient is a whole number of entries; rounding restores it exactly.
            Unit::Party => ((record / ROW_UNIT).powi(2).round() - 1.0).sqrt() * ROW_UNIT,
        }
    }

    /// A round of whole updates (PU-03, PU-04).
    pub(super) fn party_training(
        &self,
        len: usize,
        privacy: &PrivacyPlan,
    ) -> Result<Exchange, PlanError> {
        let sensitivity = self.update_norm(len)?;
        let shape = self.counted(Shape { sensitivity, len });
        let noise = privacy.training_step(shape)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a norm far below 2^63, rounded up"
        )]
        let bound = shape.sensitivity.ceil() as u128;
        self.exchange_of(Kind::Training, shape.len, bound, Some(noise))
    }
}
