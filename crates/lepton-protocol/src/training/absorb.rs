//! What an opened sum changes.

use std::collections::BTreeMap;

use lepton_learn::{Metrics, NumericSummary, kept_slots};

use super::{Average, Evaluated, Next, Stage, Training, round_to_f32};
use crate::exchange::Kind;
use crate::job::{Metric, Unit};
use crate::ledger::Side;
use crate::plan::{CHANGE_BITS, LabelKind, MAGNITUDES, Plan, PlanError};
use crate::privacy::NoiseAt;
use crate::progress::Progress;
use crate::public::Moments;
use crate::report::CurvePoint;
use crate::units::{mean_update, take_counts, with_party_count};
use crate::work::{descent, magnitude_range, public_divisor};

/// Most kept categories of one column.
const MAX_LEVELS: usize = 1024;

/// Standard deviations above one row that a noised slot count must reach (rule PR-04).
const SLOT_DEVIATIONS: f64 = 4.5;

/// Under a privacy goal a column's deviation is taken as at least this fraction of its range.
const SMALLEST_DEVIATION: f64 = 20.0;

impl Training {
    /// Takes an opened sum; with groups, the groups' sums of a training exchange, one after the other.
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
        self.signed = None;
        match next.kind {
            Kind::Survey => self.absorb_survey(plan, sum),
            Kind::Statistics => self.absorb_statistics(plan, sum, survivors),
            Kind::Training => self.absorb_round(plan, sum, survivors),
            Kind::Evaluation | Kind::FinalEvaluation => {
                self.absorb_evaluation(plan, next.kind, (sum, survivors))
            }
        }
    }

    pub(super) fn absorb_survey(
        &mut self,
        plan: &Plan,
        sum: &[i64],
    ) -> Result<Vec<Progress>, PlanError> {
        let slots = plan.slots() as usize;
        let exchange = plan.exchange(Kind::Survey, &self.public)?;
        let least = match exchange.noise {
            None => f64::from(plan.least_holders()),
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
        if let Some(start) = &self.start {
            start.give_ranges(plan, &mut self.public);
        }
        self.check_classes(plan)?;
        self.stage = Stage::Statistics;
        Ok(Vec::new())
    }

    pub(super) fn check_classes(&self, plan: &Plan) -> Result<(), PlanError> {
        if plan.classes(&self.public) == 1
            || (*plan.label() == LabelKind::Discovered && plan.classes(&self.public) == 0)
        {
            return Err(PlanError::Data(format!(
                "fewer than two classes of `{}` are held by at least {} parties (or stand out of the noise); name the classes in data.classes if they are public knowledge",
                plan.label_name(),
                plan.least_holders()
            )));
        }
        Ok(())
    }

    pub(super) fn absorb_statistics(
        &mut self,
        plan: &Plan,
        sum: &[i64],
        survivors: usize,
    ) -> Result<Vec<Progress>, PlanError> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "rounding of the last bits does not matter to means"
        )]
        let mut values: Vec<f64> = sum.iter().map(|value| *value as f64).collect();
        with_party_count(plan, Kind::Statistics, &mut values, survivors);
        let mut rest = values.iter().copied();
        let rows = rest.next().unwrap_or(0.0);
        let mut moments = BTreeMap::new();
        for (name, _) in plan.numbers() {
            let mut take = || rest.next().unwrap_or(0.0);
            let sums = [rows, 2.0 * take(), take(), take()];
            let summary = NumericSummary::from_sums(sums, plan.range_of(name, &self.public));
            moments.insert(
                name.to_owned(),
                moments_of(&summary, plan.privacy().is_some()),
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
        self.public.moments = Some(moments);
        if let Some(start) = &self.start {
            start.give_moments(plan, &mut self.public);
        }
        self.public.derive(plan).map_err(PlanError::Data)?;
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

    pub(super) fn absorb_round(
        &mut self,
        plan: &Plan,
        sum: &[i64],
        survivors: usize,
    ) -> Result<Vec<Progress>, PlanError> {
        let (sum, clip) = take_counts(plan, &self.public, sum, survivors)?;
        let change = self.change(plan, &sum, survivors)?;
        self.public.clip = clip;
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
    pub(super) fn change(
        &self,
        plan: &Plan,
        sum: &[i64],
        survivors: usize,
    ) -> Result<Vec<f64>, PlanError> {
        let Some(groups) = plan.groups() else {
            return self.mean_change(plan, sum, survivors);
        };
        let part = (sum.len() / groups.count().max(1)).max(1);
        let means: Result<Vec<_>, _> = sum
            .chunks_exact(part)
            .zip(groups.sizes())
            .map(|(sum, size)| self.group_change(plan, sum, *size))
            .collect();
        Ok(groups.rule().combine(&means?))
    }

    /// The same for one group of `size` parties (rule FT-19).
    fn group_change(&self, plan: &Plan, sum: &[i64], size: u16) -> Result<Vec<f64>, PlanError> {
        if plan.unit() == Unit::Party {
            return mean_update(plan, &self.public, sum, f64::from(size));
        }
        if plan.privacy().map(|privacy| privacy.goal.noise) == Some(NoiseAt::Distributed) {
            let share = f64::from(size) / f64::from(plan.parties());
            let divisor = (public_divisor(plan, &self.public) * share).max(1.0);
            return descent(plan, &self.public, &self.parameters, sum, divisor);
        }
        let (weight, weighted) = split_weight(sum)?;
        if weight > 0.0 {
            return Ok(scaled(weighted, weight));
        }
        // A group without rows, or with a party that claims fewer than none, says: stay.
        Ok(vec![0.0; weighted.len()])
    }

    /// The same over all parties.
    fn mean_change(
        &self,
        plan: &Plan,
        sum: &[i64],
        survivors: usize,
    ) -> Result<Vec<f64>, PlanError> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "there are far fewer than 2^52 parties"
        )]
        let parties = survivors.max(1) as f64;
        if plan.unit() == Unit::Party {
            return mean_update(plan, &self.public, sum, parties);
        }
        match plan.privacy().map(|privacy| privacy.goal.noise) {
            None => {
                let (weight, weighted) = split_weight(sum)?;
                Ok(scaled(weighted, weight.max(1.0)))
            }
            Some(NoiseAt::Distributed) => {
                let divisor = public_divisor(plan, &self.public);
                descent(plan, &self.public, &self.parameters, sum, divisor)
            }
            Some(NoiseAt::Local) => Ok(scaled(sum, parties)),
        }
    }

    pub(super) fn absorb_evaluation(
        &mut self,
        plan: &Plan,
        kind: Kind,
        (sum, survivors): (&[i64], usize),
    ) -> Result<Vec<Progress>, PlanError> {
        let layout = plan.layout(kind, &self.public);
        #[expect(
            clippy::cast_precision_loss,
            reason = "rounding of the last bits does not matter to metrics"
        )]
        let mut sums: Vec<f64> = sum.iter().map(|value| *value as f64).collect();
        with_party_count(plan, kind, &mut sums, survivors);
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
        self.evaluated = Some(self.as_evaluated(&metrics));
        self.stage = Stage::Round;
        progress.extend(self.early_stop(plan, &metrics));
        Ok(progress)
    }

    pub(super) fn early_stop(&mut self, plan: &Plan, metrics: &Metrics) -> Option<Progress> {
        let metric = plan.job().evaluation().early_stop?.metric;
        let value = value_of(metrics, metric)?;
        match self.stopping.as_mut()?.observe(value) {
            lepton_learn::Progress::Best => {
                self.best = Some((self.begun, self.as_evaluated(metrics)));
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

    fn as_evaluated(&self, metrics: &Metrics) -> Evaluated {
        Evaluated {
            parameters: self.released(),
            metrics: metrics.clone(),
        }
    }

    pub(super) fn final_round(&self) -> u32 {
        self.best
            .as_ref()
            .filter(|_| self.stopped_early)
            .map_or(self.begun, |(round, ..)| *round)
    }
}

fn split_weight(sum: &[i64]) -> Result<(f64, &[i64]), PlanError> {
    let (weight, weighted) = sum
        .split_first()
        .ok_or_else(|| PlanError::Data("an empty sum".to_owned()))?;
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
    let weight = *weight as f64;
    Ok((weight, weighted))
}

fn scaled(values: &[i64], divisor: f64) -> Vec<f64> {
    let unit = f64::from(1_u32 << CHANGE_BITS);
    #[expect(
        clippy::cast_precision_loss,
        reason = "rounding of the last bits does not matter to a step"
    )]
    let scaled = values.iter().map(|value| *value as f64 / (unit * divisor));
    scaled.collect()
}

/// Noise can make a deviation far too small, and the column would then drown all others before clipping.
fn moments_of(summary: &NumericSummary, noised: bool) -> Moments {
    let range = summary.hi - summary.lo;
    let least = if noised {
        range / SMALLEST_DEVIATION
    } else {
        0.0
    };
    Moments {
        mean: summary.mean,
        std: summary.std.max(least),
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

/// Standard deviation of the sum of all parties' noise.
fn total_deviation(sigma: u64, parties: u16) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "sigma is below 2^40")]
    let sigma = sigma as f64;
    sigma * f64::from(parties).sqrt()
}
