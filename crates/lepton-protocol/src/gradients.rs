//! A party's clipped and noised gradient sums, with the buffers that its steps share (rules FT-05 and FT-06).

use std::borrow::Cow;

use lepton_learn::{AdaptiveClip, GradientSum, GradientWorkspace, ModelSpec, Precision};
use lepton_ring::FixedPoint;
use rand_core::CryptoRng;

use crate::job::Unit;
use crate::noise::NoiseSource;
use crate::party::Work;
use crate::plan::{Plan, PlanError};
use crate::units::Own;
use crate::work::WorkError;

/// Buffers of the clipped sums and the source of noise, kept from step to step.
#[derive(Default)]
pub(crate) struct Gradients {
    workspace: Option<(ModelSpec, GradientWorkspace)>,
    pub(crate) noise: NoiseSource,
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
