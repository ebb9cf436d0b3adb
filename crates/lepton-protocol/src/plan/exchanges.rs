//! Length, ring, sensitivity and noise of each exchange (rules FT-02, FT-05, PR-06).

use std::sync::Arc;

use lepton_learn::{ClipNorm, EvalLayout, TargetPrep};

use super::{CHANGE_BITS, MAGNITUDES, MAX_CHANGE, MAX_ROWS, Plan, PlanError, ROW_UNIT};
use crate::exchange::{Exchange, Kind, modulus_for};
use crate::job::Unit;
use crate::privacy::{Noise, NoiseAt, Shape};
use crate::public::PublicState;
use crate::robust::Groups;

impl Plan {
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

    pub(super) fn survey(&self) -> Result<Exchange, PlanError> {
        let discovered = self.discovered().len();
        let len = discovered * self.slots() as usize + self.unbounded().len() * MAGNITUDES;
        #[expect(
            clippy::cast_precision_loss,
            reason = "a table has far fewer than 2^52 columns"
        )]
        let sensitivity = (discovered as f64).sqrt();
        let noise = self.whole_sum(Kind::Survey, Shape { sensitivity, len })?;
        self.exchange_of(Kind::Survey, len, MAX_ROWS as u128, noise)
    }

    pub(super) fn statistics(&self, public: &PublicState) -> Result<Exchange, PlanError> {
        let numbers = self.numbers().len();
        let classes = self.classes(public);
        // The rows of a party are not counted (PU-06).
        let counted = if self.unit() == Unit::Party { 0.0 } else { 1.0 };
        #[expect(
            clippy::cast_precision_loss,
            reason = "a table has far fewer than 2^52 columns"
        )]
        let squared = counted + if classes > 0 { 1.0 } else { 0.0 } + 0.3125 * numbers as f64;
        let len = 1 + 3 * numbers + classes;
        let sensitivity = ROW_UNIT * squared.sqrt();
        let noise = self.whole_sum(Kind::Statistics, Shape { sensitivity, len })?;
        self.exchange_of(Kind::Statistics, len, self.most_rows() << 20, noise)
    }

    /// With groups, what each of them sums: the noise and what it costs are those of a group's sum, since a record moves no other (FT-20).
    pub(super) fn training(&self, public: &PublicState) -> Result<Exchange, PlanError> {
        let len = self.model_len(public)?;
        let Some(privacy) = &self.privacy else {
            let bound = MAX_ROWS as u128 * self.change_bound();
            return self.exchange_of(Kind::Training, 1 + len, bound, None);
        };
        if privacy.goal.unit == Unit::Party {
            return self.party_training(len, privacy);
        }
        let sensitivity = self.contribution_sensitivity(public, len)?;
        let shape = self.counted(Shape { sensitivity, len });
        let noise = privacy.training_step(shape)?;
        if privacy.goal.noise == NoiseAt::Local {
            // Where a group's survivors have to be counted, they count themselves.
            let len = len + usize::from(self.groups.is_some());
            let bound = self.change_bound();
            let mut exchange = self.exchange_of(Kind::Training, len, bound, None)?;
            exchange.steps = u64::from(self.local_steps());
            exchange.noise = Some(noise);
            return Ok(exchange);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a bound far below 2^127, rounded up"
        )]
        let bound = (shape.sensitivity.ceil() as u128) * MAX_ROWS as u128;
        self.exchange_of(Kind::Training, shape.len, bound, Some(noise))
    }

    pub(super) fn evaluation(
        &self,
        kind: Kind,
        public: &PublicState,
    ) -> Result<Exchange, PlanError> {
        let layout = self.layout(kind, public);
        let shape = Shape {
            sensitivity: self.evaluation_sensitivity(&layout),
            len: layout.len(),
        };
        let noise = self.whole_sum(kind, shape)?;
        let bound = self.most_rows() << lepton_learn::EVAL_FRACTION_BITS;
        let mut exchange = self.exchange_of(kind, layout.len(), bound, noise)?;
        exchange.evaluation = Some(layout);
        Ok(exchange)
    }

    pub(super) fn exchange_of(
        &self,
        kind: Kind,
        len: usize,
        bound: u128,
        noise: Option<Noise>,
    ) -> Result<Exchange, PlanError> {
        let sigma = noise.as_ref().map_or(0, |noise| noise.sigma);
        let groups = self.groups_in(kind);
        let meeting = groups.map_or(self.parties, Groups::largest);
        let modulus = modulus_for(meeting, (len, bound), sigma)?;
        Ok(Exchange {
            kind,
            side: self.side(kind),
            len,
            grouping: groups.map(|groups| Arc::clone(groups.grouping())),
            modulus,
            noise,
            steps: 1,
            evaluation: None,
        })
    }

    /// Largest change of one parameter in integer units, rounded up: all that the encoding has room for (FT-21).
    fn change_bound(&self) -> u128 {
        let largest = self
            .clip_update()
            .map_or(MAX_CHANGE, |norm| norm.min(MAX_CHANGE));
        let unit = f64::from(1_u32 << CHANGE_BITS);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and 2^22"
        )]
        let units = (largest * unit).ceil().max(1.0) as u128;
        units
    }

    /// Norm that a party cuts its update to; none under a privacy goal, where records are clipped.
    #[must_use]
    pub fn clip_update(&self) -> Option<f64> {
        let norm = self.job.training().clip_update?;
        self.privacy.is_none().then_some(norm.get())
    }

    pub(super) fn whole_sum(&self, kind: Kind, shape: Shape) -> Result<Option<Noise>, PlanError> {
        let Some(privacy) = &self.privacy else {
            return Ok(None);
        };
        let z = match kind {
            Kind::Evaluation => privacy.evaluation,
            Kind::FinalEvaluation => privacy.last_evaluation,
            Kind::Survey | Kind::Statistics | Kind::Training => privacy.prepare,
        };
        Ok(Some(privacy.whole_sum(z, shape)?))
    }

    /// Integer units per unit of gradient: the smallest power of two for which rounding adds less than one part in 128 to the sensitivity.
    #[must_use]
    pub fn gradient_scale(&self, len: usize, public: &PublicState) -> f64 {
        let clip = self.clip(public).map_or(1.0, ClipNorm::get);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a model has fewer than 2^52 parameters"
        )]
        let wanted = 128.0 * (len as f64).sqrt() / clip;
        libm::exp2(libm::ceil(libm::log2(wanted)).max(0.0))
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
}
