//! Where the trainers of custom models come from: whoever starts the program gives them (rule CM-01).

use std::fmt;
use std::sync::Arc;

use lepton_protocol::job::{Job, ModelKind};
use lepton_protocol::plan::Plan;
use lepton_protocol::trainer::{Trainer, TrainerError, unfit};

type Make = dyn Fn(&str) -> Result<Box<dyn Trainer>, TrainerError> + Send + Sync;

/// Makes the trainer of a party; by default there is none, and jobs with custom models are refused.
#[derive(Clone, Default)]
pub struct Trainers(Option<Arc<Make>>);

impl fmt::Debug for Trainers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Trainers(some)"
        } else {
            "Trainers(none)"
        })
    }
}

impl Trainers {
    /// `make` is given a party's name, once for every job that it takes part in and every start of the program.
    #[must_use]
    pub fn new(
        make: impl Fn(&str) -> Result<Box<dyn Trainer>, TrainerError> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(make)))
    }

    /// Why the job cannot be had here at all; nothing is made.
    ///
    /// # Errors
    /// [`TrainerError`] in words for whoever started the program.
    pub(crate) fn admit(&self, job: &Job) -> Result<(), TrainerError> {
        let custom = matches!(job.model().kind, ModelKind::Custom { .. });
        if custom && self.0.is_none() {
            return Err(missing());
        }
        Ok(())
    }

    /// The trainer that a plan needs at a party; `None` where Lepton trains itself.
    ///
    /// # Errors
    /// [`TrainerError`] when there is none, it cannot be made or does not suffice for the plan.
    pub(crate) fn of(
        &self,
        plan: &Plan,
        party: &str,
    ) -> Result<Option<Box<dyn Trainer>>, TrainerError> {
        if !plan.is_custom() {
            return Ok(None);
        }
        let trainer = self.0.as_ref().ok_or_else(missing)?(party)?;
        match unfit(plan, trainer.as_ref()) {
            Some(words) => Err(TrainerError(words)),
            None => Ok(Some(trainer)),
        }
    }
}

fn missing() -> TrainerError {
    TrainerError(
        "model.kind = \"custom\" needs a trainer at every party: start it from Python, with lepton_ai.run(job, party=...) or lepton party run --python".to_owned(),
    )
}
