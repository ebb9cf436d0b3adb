//! One job from its submission to its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use lepton_protocol::control::{Body, Control, Ended, JobState, Refusal};
use lepton_protocol::plan::Plan;
use lepton_protocol::training::Training;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::epoch::{EpochEnd, Tally};
use super::late::Late;
use super::shelf::{Record, Shelf};
use super::{Desk, Input, results};
use crate::daemon::record::actor;
use crate::daemon::{effective, short};
use crate::error::NodeError;
use crate::store::SqlStore;

/// Epochs in a row without a single sum before a job fails.
const MAX_BARREN: u32 = 5;

/// What happens to a job, each with its share of what may wait.
pub(super) type Inbox = mpsc::UnboundedReceiver<(Input, Option<OwnedSemaphorePermit>)>;

/// The task of one job.
pub(super) struct Course {
    pub(super) desk: Arc<Desk>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) inbox: Inbox,
    /// Parties whose machine is there: under which boot number, and the last epoch they saw.
    pub(super) joined: BTreeMap<String, ([u8; 16], u64)>,
    /// Traffic and times since the daemon started.
    pub(super) tally: Tally,
    /// Parties that want to come in.
    pub(super) late: Late,
    /// Until when newcomers in the roster are waited for.
    pub(super) hurry: Option<tokio::time::Instant>,
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
    pub(super) fn new(desk: Arc<Desk>, shelf: Arc<Shelf>, inbox: Inbox) -> Self {
        Self {
            desk,
            shelf,
            inbox,
            joined: BTreeMap::new(),
            tally: Tally::default(),
            late: Late::default(),
            hurry: None,
        }
    }

    /// Runs the job to its end, then answers parties that missed it.
    pub(super) async fn run(mut self) {
        let here = !self.shelf.record().state.is_over();
        if here {
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
        }
        // As it is now: when the job is submitted again, another task has it.
        let ended = ended(self.shelf.record());
        if here {
            for name in self.desk.parties().keys() {
                self.tell_end(name, &ended);
            }
        }
        while let Some((input, _)) = self.inbox.recv().await {
            if let Input::Answer(name, _) = input {
                self.tell_end(&name, &ended);
            }
        }
    }

    fn tell_end(&self, party: &str, ended: &Ended) {
        self.desk.send(
            party,
            &Control {
                job: self.shelf.job,
                body: Body::Ended(ended.clone()),
            },
        );
    }

    async fn drive(&mut self) -> Result<String, Ending> {
        let began = Instant::now();
        if self.shelf.record().roster.is_empty() {
            self.gather().await?;
        }
        if let Some((plan, training)) = self.over()? {
            // Only its end was not recorded: nobody is needed for that.
            return self.finish(plan, training, began).await;
        }
        self.offer_to_others()?;
        let mut barren = 0;
        loop {
            self.let_in()?;
            self.assemble().await?;
            let plan = self.plan()?;
            let (words, sums) = match self.epoch(&plan).await? {
                EpochEnd::Over(training) => {
                    return self.finish(plan, *training, began).await;
                }
                EpochEnd::Paused { sums } => {
                    (String::from("the next epoch begins, with new keys"), sums)
                }
                EpochEnd::Lost { words, sums } => (words, sums),
            };
            barren = if sums { 0 } else { barren + 1 };
            if barren >= MAX_BARREN {
                let words =
                    format!("{MAX_BARREN} epochs in a row without a sum; the last: {words}");
                return Err(Ending::Failed(words));
            }
            self.shelf.note(words);
        }
    }

    /// The job's training, if its last exchange was done before the coordinator stopped.
    fn over(&self) -> Result<Option<(Plan, Training)>, Ending> {
        let plan = self.plan()?;
        let reached = self.reached(&plan)?.filter(Training::is_over);
        Ok(reached.map(|training| (plan, training)))
    }

    /// What was reached in earlier epochs.
    pub(super) fn reached(&self, plan: &Plan) -> Result<Option<Training>, Ending> {
        let found = Training::restore(&self.store()).map_err(Ending::Failed)?;
        let Some(mut training) = found else {
            return Ok(None);
        };
        let reopened = training.reopened(plan);
        reopened.map_err(|error| Ending::Failed(error.to_string()))?;
        Ok(Some(training))
    }

    /// What the job's machine keeps.
    pub(super) fn store(&self) -> SqlStore {
        self.desk.setup.database.store(&actor(&self.shelf.job))
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
            Some((Input::Stop(words), _)) => Err(Ending::Stopped(words)),
            Some((input, _)) => Ok(input),
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
        self.release_start(&plan)?;
        self.recall_tally()?;
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
            restored: record.restored,
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

/// What parties are told: not what others refused (rule JC-12).
fn ended(record: Record) -> Ended {
    let words = match record.state {
        JobState::Finished => record.words,
        JobState::Stopped => format!("stopped {}", record.words),
        _ => "failed".to_owned(),
    };
    Ended {
        finished: record.state == JobState::Finished,
        words: Refusal::new("", words).words,
    }
}
