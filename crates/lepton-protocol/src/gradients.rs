//! A party's clipped and noised gradient sums, with the buffers that its steps share (rules FT-05 and FT-06).

use std::borrow::Cow;

use lepton_learn::{AdaptiveClip, GradientSum, GradientWorkspace, ModelSpec, Precision};
use lepton_ring::FixedPoint;
use rand_core::CryptoRng;

use crate::job::Unit;
use crate::noise::NoiseSource;
use crate::party::Work;
use crate::plan::{Plan, PlanError};
use crate::trainer::Custom;
use crate::units::Own;
use crate::work::WorkError;

/// What steps share: buffers of the clipped sums, the source of noise, the trainer of a custom model.
#[derive(Default)]
pub(crate) struct Gradients {
    workspace: Option<(ModelSpec, GradientWorkspace)>,
    pub(crate) noise: NoiseSource,
    pub(crate) custom: Option<Custom>,
}

impl Gradients {
    /// Rule FT-05: one Poisson-sampled, clipped gradient step in integers, with this party's noise.
    pub(crate) fn noised(
        &mut self,
        (plan, work): (&Plan, &Work),
        parameters: &[f64],
        own: &Own<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<i64>, WorkError> {
        let gradient = self.sum((plan, work), parameters, own, rng)?;
        let scale = plan.gradient_scale(parameters.len(), &work.public);
        let unit = FixedPoint::new(0);
        let encoded = gradient.sum.iter().map(|value| unit.encode(value * scale));
        let count = AdaptiveClip::contribution(gradient.rows, gradient.clipped);
        let vector = plan
            .count_entry(&work.public, parameters.len(), count)?
            .into_iter()
            .map(Ok)
            .chain(encoded)
            .collect::<Result<Vec<i64>, _>>()
            .map_err(PlanError::from)?;
        self.with_noise((plan, work), vector, rng)
    }

    /// The vector with the noise of its exchange.
    pub(crate) fn with_noise(
        &mut self,
        (plan, work): (&Plan, &Work),
        mut vector: Vec<i64>,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<i64>, WorkError> {
        if let Some(noise) = &work.exchange.noise {
            self.noise.add(&mut vector, noise.sigma, plan, rng)?;
        }
        Ok(vector)
    }

    /// The clipped sum over a fresh sample of records, or of persons (PU-12).
    fn sum(
        &mut self,
        (plan, work): (&Plan, &Work),
        parameters: &[f64],
        own: &Own<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Cow<'_, GradientSum>, WorkError> {
        let spec = plan.model_spec(&work.public)?;
        let rate = plan
            .privacy()
            .map_or(1.0, |privacy| privacy.goal.sampling_rate.get());
        if plan.is_custom() {
            let sum = self.custom_sum((plan, work), parameters, (own, rate), rng)?;
            return Ok(Cow::Owned(sum));
        }
        let weights = plan.class_weights(&work.public);
        let clip = plan.clip(&work.public)?;
        if plan.unit() == Unit::Person {
            let sampled = lepton_learn::poisson_sample(own.persons.len(), rate, rng)?;
            let rows: Vec<&[usize]> = sampled
                .iter()
                .filter_map(|person| own.persons.get(*person).map(Vec::as_slice))
                .collect();
            let set = (own.train, rows.as_slice());
            let sum =
                lepton_learn::clipped_person_sum(&spec, parameters, set, clip, weights.as_deref());
            return Ok(Cow::Owned(sum?));
        }
        let rows = lepton_learn::poisson_sample(own.train.len(), rate, rng)?;
        let set = (own.train, rows.as_slice());
        let workspace = self.workspace(spec)?;
        let sum = workspace.clipped_gradient_sum(parameters, set, clip, weights.as_deref())?;
        Ok(Cow::Borrowed(sum))
    }

    /// The same of a custom model, a record at a time (rule CM-05).
    fn custom_sum(
        &mut self,
        (plan, work): (&Plan, &Work),
        parameters: &[f64],
        (own, rate): (&Own<'_>, f64),
        rng: &mut impl CryptoRng,
    ) -> Result<GradientSum, WorkError> {
        let custom = self.custom.as_mut().ok_or(WorkError::NoTrainer)?;
        let person = plan.unit() == Unit::Person;
        let units = if person {
            own.persons.len()
        } else {
            own.train.len()
        };
        let sampled = lepton_learn::poisson_sample(units, rate, rng)?;
        let means = sampled.iter().map(|unit| {
            let rows = match own.persons.get(*unit) {
                Some(rows) if person => rows.as_slice(),
                _ => std::slice::from_ref(unit),
            };
            let mut mean = vec![0.0; parameters.len()];
            for row in rows {
                let record = own.train.subset(std::slice::from_ref(row));
                let gradient = custom.gradient(plan, parameters, &record)?;
                #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
                let share = 1.0 / rows.len() as f64;
                mean.iter_mut()
                    .zip(gradient)
                    .for_each(|(mean, value)| *mean += value * share);
            }
            Ok(mean)
        });
        lepton_learn::clipped_vector_sum(parameters.len(), means, plan.clip(&work.public)?)
    }

    /// Buffers for `spec`, made once a model.
    fn workspace(&mut self, spec: ModelSpec) -> Result<&mut GradientWorkspace, WorkError> {
        let kept = self.workspace.take().filter(|(kept, _)| *kept == spec);
        let (_, workspace) = self.workspace.insert(match kept {
            Some(kept) => kept,
            None => {
                let workspace = GradientWorkspace::new(&spec, Precision::Single)?;
                (spec, workspace)
            }
        });
        Ok(workspace)
    }
}
