//! What scientists, operators and auditors ask for (rules JC-10, JC-11).

use std::sync::Arc;

use lepton_protocol::control::{Body, Control, JobDigest, JobState, Refusal, SignedJob};
use tokio::sync::mpsc;

use super::shelf::Shelf;
use super::{CoordinatorDaemon, Input, results};
use crate::daemon::{Member, Role, effective, post};

impl CoordinatorDaemon {
    pub(super) async fn on_request(&mut self, link: u64, message: Control) {
        let Some(peer) = self.links.get(&link) else {
            return;
        };
        let (member, out) = (peer.member.clone(), peer.out.clone());
        let job = message.job;
        let answer = match message.body {
            Body::Submit(submission) => self.submit(&member, (job, &submission)),
            Body::List => Ok(Body::Jobs(
                self.jobs.values().map(|job| job.shelf.line()).collect(),
            )),
            Body::Watch(from) => match self.shelf(&job) {
                Ok(shelf) => {
                    self.readers.spawn(follow(shelf, from, out));
                    return;
                }
                Err(refusal) => Err(refusal),
            },
            Body::Stop => self.stop(&member, &job),
            Body::Pull => self.pull(&member, &job).await,
            _ => Err(Refusal::new(
                "role",
                "only parties and coordinators send this",
            )),
        };
        let body = answer.unwrap_or_else(Body::Refused);
        if !post(&out, &Control { job, body }) {
            tracing::warn!(peer = member.name, "the answer could not be sent");
        }
    }

    fn shelf(&self, job: &JobDigest) -> Result<Arc<Shelf>, Refusal> {
        let found = self.jobs.get(job).map(|job| job.shelf.clone());
        found.ok_or_else(|| Refusal::new("job", "there is no such job here"))
    }

    fn submit(
        &mut self,
        member: &Member,
        (job, submission): (JobDigest, &SignedJob),
    ) -> Result<Body, Refusal> {
        if !matches!(member.role, Role::Scientist | Role::Operator) {
            return Err(not_your_role(member, "submits no jobs"));
        }
        // Rule JC-02: nobody submits in another's name.
        let genuine = self
            .desk
            .setup
            .authority
            .member(&submission.certificate)
            .as_ref()
            == Ok(member)
            && submission.digest() == job
            && submission.is_signed_by(&member.key);
        if !genuine {
            let words = "the job is not signed by the member that submits it";
            return Err(Refusal::new("submitter", words));
        }
        let parsed = effective::admit(&submission.text)?;
        let name = parsed.name().to_string();
        if let Some(known) = self.jobs.get(&job) {
            let shelf = known.shelf.clone();
            return self.again(&shelf);
        }
        let setup = &self.desk.setup;
        let shelf = Shelf::create(&setup.home, (submission, name), member, setup.clock);
        let shelf = shelf.map_err(|error| {
            tracing::error!("a submission was not kept: {error}");
            Refusal::new(
                "coordinator.failed",
                "the coordinator failed; its log says why",
            )
        })?;
        self.begin(shelf);
        Ok(Body::Done("submitted".to_owned()))
    }

    /// The same text is the same job (rule JC-11).
    fn again(&mut self, shelf: &Arc<Shelf>) -> Result<Body, Refusal> {
        let record = shelf.record();
        if !matches!(record.state, JobState::Failed | JobState::Stopped) {
            return Ok(Body::Done(format!(
                "it is known already: {}",
                record.state.words()
            )));
        }
        let again = if record.roster.is_empty() {
            JobState::Joining
        } else {
            JobState::Waiting
        };
        shelf.enter(again, "submitted again").map_err(|error| {
            tracing::error!("a submission was not kept: {error}");
            Refusal::new(
                "coordinator.failed",
                "the coordinator failed; its log says why",
            )
        })?;
        self.begin(shelf.clone());
        Ok(Body::Done("it goes on from where it stood".to_owned()))
    }

    fn stop(&self, member: &Member, job: &JobDigest) -> Result<Body, Refusal> {
        let shelf = self.shelf(job)?;
        concerned(member, &shelf)?;
        let state = shelf.record().state;
        if state.is_over() {
            return Ok(Body::Done(format!("it is {} already", state.words())));
        }
        if let Some(job) = self.jobs.get(job) {
            // A job's task lives as long as the daemon.
            let _ = job.inputs.send(Input::Stop(format!("by {}", member.name)));
        }
        Ok(Body::Done("it is being stopped".to_owned()))
    }

    async fn pull(&self, member: &Member, job: &JobDigest) -> Result<Body, Refusal> {
        let shelf = self.shelf(job)?;
        concerned(member, &shelf)?;
        let record = shelf.record();
        if record.state != JobState::Finished {
            let words = format!(
                "it is {}; there is nothing to pull yet",
                record.state.words()
            );
            return Err(Refusal::new("job", words));
        }
        let folder = shelf.results();
        let read = tokio::task::spawn_blocking(move || results::read(&folder)).await;
        match read {
            Ok(Ok(files)) => Ok(Body::Files(files)),
            _ => Err(Refusal::new(
                "coordinator.failed",
                "the results cannot be read; the coordinator's log says why",
            )),
        }
    }
}

/// Rule JC-10: results and the end of a job are for its submitter and for operators.
fn concerned(member: &Member, shelf: &Shelf) -> Result<(), Refusal> {
    let own = member.role == Role::Scientist && shelf.record().submitter == member.name;
    if own || member.role == Role::Operator {
        return Ok(());
    }
    Err(Refusal::new(
        "role",
        "only the job's submitter and operators may do this",
    ))
}

fn not_your_role(member: &Member, what: &str) -> Refusal {
    Refusal::new(
        "role",
        format!("a member with the role of {} {what}", member.role.words()),
    )
}

/// Sends every event from `from` on, waiting for the link, until the job is over and all is said.
async fn follow(shelf: Arc<Shelf>, mut from: u64, out: mpsc::Sender<Vec<u8>>) {
    let mut more = shelf.journal.watch();
    loop {
        more.mark_unchanged();
        let over = shelf.record().state.is_over();
        let events = shelf.journal.since(from);
        if events.is_empty() && over {
            let record = shelf.record();
            let body = Body::Done(format!("{}: {}", record.state.words(), record.words));
            // The watcher may be gone.
            let _ = out
                .send(
                    Control {
                        job: shelf.job,
                        body,
                    }
                    .to_bytes(),
                )
                .await;
            return;
        }
        for event in events {
            from = event.number + 1;
            let body = Body::Event(Box::new(event));
            if out
                .send(
                    Control {
                        job: shelf.job,
                        body,
                    }
                    .to_bytes(),
                )
                .await
                .is_err()
            {
                return;
            }
        }
        if !over && (more.changed().await.is_err() || out.is_closed()) {
            return;
        }
    }
}
