//! A party's clipped and noised gradient sums, with the buffers that its steps share (rules FT-05 and FT-06).

use lepton_learn::{Examples, GradientWorkspace, ModelSpec, Precision};
use lepton_ring::FixedPoint;
use rand_core::CryptoRng;

use crate::noise::NoiseSource;
use crate::party::Work;
use crate::plan::{Plan, PlanError};
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
        train: &Examples,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<i64>, WorkError> {
        let spec = plan.model_spec(&work.public)?;
        let rate = plan
            .privacy()
            .map_or(1.0, |privacy| privacy.goal.sampling_rate.get());
        let rows = lepton_learn::poisson_sample(train.len(), rate, rng)?;
        let weights = plan.class_weights(&work.public);
        let clip = plan.clip()?;
        let workspace = self.workspace(spec)?;
        let gradient =
            workspace.clipped_gradient_sum(parameters, (train, &rows), clip, weights.as_deref())?;
        let scale = plan.gradient_scale(parameters.len());
        let unit = FixedPoint::new(0);
        let mut vector = gradient
            .sum
            .iter()
            .map(|value| unit.encode(value * scale))
            .collect::<Result<Vec<i64>, _>>()
            .map_err(PlanError::from)?;
        if let Some(noise) = &work.exchange.noise {
            self.noise.add(&mut vector, noise.sigma, plan, rng)?;
        }
        Ok(vector)
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
