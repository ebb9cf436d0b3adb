//! One job from its submission to its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use lepton_protocol::control::{Body, Control, Ended, JobState, Refusal};
use lepton_protocol::plan::Plan;
use lepton_protocol::training::Training;
use tokio::sync::mpsc;

use super::epoch::{EpochEnd, Tally};
use super::shelf::Shelf;
use super::{Desk, Input, results};
use crate::daemon::{effective, short};
use crate::error::NodeError;

/// Epochs in a row without a single sum before a job fails.
const MAX_BARREN: u32 = 5;

/// The task of one job.
pub(super) struct Course {
    pub(super) desk: Arc<Desk>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) inbox: mpsc::UnboundedReceiver<Input>,
    /// Parties whose machine is there: under which boot number, and the last epoch they saw.
    pub(super) joined: BTreeMap<String, ([u8; 16], u64)>,
    /// Traffic and times since the daemon started.
    pub(super) tally: Tally,
}

/// Why a job is over without a result.
pub(super) enum Ending {
    Failed(String),
    Stopped(String),
    /// The daemon stops: nothing is recorded, and the job goes on when it is back.
    Interrupted,
}

impl From<NodeError> for Ending {
    fn from(error: NodeError) -> Self {
        Self::Failed(format!("at the coordinator: {error}"))
    }
}

impl Course {
    pub(super) fn new(
        desk: Arc<Desk>,
        shelf: Arc<Shelf>,
        inbox: mpsc::UnboundedReceiver<Input>,
    ) -> Self {
        Self {
            desk,
            shelf,
            inbox,
            joined: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    /// Runs the job to its end, then answers parties that missed it.
    pub(super) async fn run(mut self) {
        if !self.shelf.record().state.is_over() {
            let (state, words) = match self.drive().await {
                Ok(words) => (JobState::Finished, words),
                Err(Ending::Failed(words)) => (JobState::Failed, words),
                Err(Ending::Stopped(words)) => (JobState::Stopped, words),
                Err(Ending::Interrupted) => return,
            };
            if let Err(error) = self.shelf.enter(state, &words) {
                // Restarted, the coordinator comes to the same end again.
                tracing::error!(
                    job = short(&self.shelf.job),
                    "the end was not kept: {error}"
                );
                return;
            }
            for name in self.desk.parties().keys() {
                self.tell_end(name);
            }
        }
        while let Some(input) = self.inbox.recv().await {
            if let Input::Answer(name, _) = input {
                self.tell_end(&name);
            }
        }
    }

    fn tell_end(&self, party: &str) {
        let record = self.shelf.record();
        self.desk.send(
            party,
            &Control {
                job: self.shelf.job,
                body: Body::Ended(Ended {
                    finished: record.state == JobState::Finished,
                    words: Refusal::new("", record.words).words,
                }),
            },
        );
    }

    async fn drive(&mut self) -> Result<String, Ending> {
        let began = Instant::now();
        if self.shelf.record().roster.is_empty() {
            self.gather().await?;
        }
        let mut barren = 0;
        loop {
            self.assemble().await?;
            let plan = self.plan()?;
            match self.epoch(&plan).await? {
                EpochEnd::Over(training) => {
                    return self.finish(plan, *training, began).await;
                }
                EpochEnd::Paused => barren = 0,
                EpochEnd::Lost { words, sums } => {
                    barren = if sums { 0 } else { barren + 1 };
                    if barren >= MAX_BARREN {
                        return Err(Ending::Failed(words));
                    }
                    self.shelf.note(words)?;
                }
            }
        }
    }

    /// The plan for the roster as it stands.
    pub(super) fn plan(&self) -> Result<Plan, Ending> {
        let record = self.shelf.record();
        self.plan_for(record.roster.len()).map_err(Ending::Failed)
    }

    pub(super) fn plan_for(&self, parties: usize) -> Result<Plan, String> {
        let record = self.shelf.record();
        let job = effective::admit(record.submission.text()).map_err(|refusal| refusal.words)?;
        effective::plan(job, parties)
    }

    /// The next thing that happens to the job; a wish to stop ends it.
    pub(super) async fn next(&mut self) -> Result<Input, Ending> {
        match self.inbox.recv().await {
            Some(Input::Stop(words)) => Err(Ending::Stopped(words)),
            Some(input) => Ok(input),
            None => Err(Ending::Interrupted),
        }
    }

    /// Model, card and report are on the disk before the job is called finished (rule JC-12).
    async fn finish(
        &mut self,
        plan: Plan,
        training: Training,
        began: Instant,
    ) -> Result<String, Ending> {
        let record = self.shelf.record();
        let facts = results::Facts {
            folder: self.shelf.results(),
            job_text: record.submission.text().to_owned(),
            job: self.shelf.job,
            names: record
                .roster
                .iter()
                .map(|place| place.name.clone())
                .collect(),
            started: record.submitted.clone(),
            epoch: record.epoch,
            tally: std::mem::take(&mut self.tally),
            plan,
            training,
            identity: self.desk.setup.own.identity(),
            began,
        };
        let written = tokio::task::spawn_blocking(move || results::write(facts)).await;
        let report = written.map_err(|error| Ending::Failed(error.to_string()))??;
        Ok(format!(
            "{} of {} rounds are in the model",
            report.rounds, report.rounds_planned
        ))
    }
}
