//! What scientists, operators and auditors ask for (rules JC-10, JC-11).

use std::path::PathBuf;
use std::sync::Arc;

use lepton_protocol::control::{Body, Control, JobDigest, JobState, Refusal, SignedJob};
use tokio::sync::mpsc;

use super::shelf::Shelf;
use super::{CoordinatorDaemon, Input, results};
use crate::daemon::{Member, Role, Trail, effective, post};
use crate::error::NodeError;

impl CoordinatorDaemon {
    pub(super) async fn on_request(
        &mut self,
        link: u64,
        message: Control,
    ) -> Result<(), NodeError> {
        let Some(peer) = self.links.get(&link) else {
            return Ok(());
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
                    let watcher = Watcher {
                        trail: self.trail().clone(),
                        name: member.name,
                        out,
                    };
                    self.readers.spawn(follow(shelf, from, watcher));
                    return Ok(());
                }
                Err(refusal) => Err(refusal),
            },
            Body::Log => self
                .shelf(&job)
                .map(|shelf| Body::Events(shelf.journal.since(0))),
            Body::Stop => self.stop(&member, &job),
            Body::Pull => self.pull(&member, &job).await,
            Body::Fetch { name, from } => self.fetch(&member, &job, (name, from)).await,
            _ => Err(Refusal::new(
                "role",
                "only parties and coordinators send this",
            )),
        };
        let body = answer.unwrap_or_else(Body::Refused);
        if !post(self.trail(), (&member.name, &out), &Control { job, body })? {
            tracing::warn!(peer = member.name, "the answer could not be sent");
        }
        Ok(())
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
        let shown = self.desk.setup.authority.member(&submission.certificate);
        let genuine = shown.is_ok_and(|shown| shown.is(member))
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
        self.room_for_one()?;
        let shelf = Shelf::create(&self.desk, (submission, name), member).map_err(not_kept)?;
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
        self.room_for_one()?;
        shelf.enter(again, "submitted again").map_err(not_kept)?;
        self.begin(shelf.clone());
        Ok(Body::Done("it goes on from where it stood".to_owned()))
    }

    fn room_for_one(&self) -> Result<(), Refusal> {
        let open = |job: &&super::Job| !job.shelf.record().state.is_over();
        let most = self.desk.setup.most_jobs;
        if self.jobs.values().filter(open).count() < most {
            return Ok(());
        }
        let words = format!("{most} jobs are under way; submit it again when one has ended");
        Err(Refusal::new("limits.jobs", words))
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
        let folder = self.results(member, job)?;
        let read = tokio::task::spawn_blocking(move || results::list(&folder)).await;
        match read {
            Ok(Ok(files)) => Ok(Body::Files(files)),
            _ => Err(unreadable()),
        }
    }

    async fn fetch(
        &self,
        member: &Member,
        job: &JobDigest,
        (name, from): (String, u64),
    ) -> Result<Body, Refusal> {
        let folder = self.results(member, job)?;
        let read = tokio::task::spawn_blocking(move || results::part(&folder, &name, from)).await;
        match read {
            Ok(Ok(part)) => Ok(Body::Part(part)),
            _ => Err(unreadable()),
        }
    }

    /// Folder of the results, for those who may have them.
    fn results(&self, member: &Member, job: &JobDigest) -> Result<PathBuf, Refusal> {
        let shelf = self.shelf(job)?;
        concerned(member, &shelf)?;
        let record = shelf.record();
        if record.state == JobState::Finished {
            return Ok(shelf.results());
        }
        let words = format!(
            "it is {}; there is nothing to pull yet",
            record.state.words()
        );
        Err(Refusal::new("job", words))
    }
}

fn unreadable() -> Refusal {
    Refusal::new(
        "coordinator.failed",
        "the results cannot be read; the coordinator's log says why",
    )
}

fn not_kept(error: NodeError) -> Refusal {
    tracing::error!("a submission was not kept: {error}");
    Refusal::new(
        "coordinator.failed",
        "the coordinator failed; its log says why",
    )
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
        format!("a member with the role of {} {what}", member.role),
    )
}

/// Somebody who follows a job.
struct Watcher {
    trail: Trail,
    name: String,
    out: mpsc::Sender<Vec<u8>>,
}

impl Watcher {
    /// Waits for the link; `false` when nothing more can be said.
    async fn tell(&self, job: JobDigest, body: Body) -> bool {
        let message = Control { job, body };
        let bytes = message.to_bytes();
        let written = self.trail.sent(&self.name, &message, bytes.len());
        written.is_ok() && self.out.send(bytes).await.is_ok()
    }
}

/// Sends every event from `from` on, waiting for the link, until the job is over and all is said.
async fn follow(shelf: Arc<Shelf>, mut from: u64, watcher: Watcher) {
    let mut more = shelf.journal.watch();
    loop {
        more.mark_unchanged();
        let over = shelf.record().state.is_over();
        let events = shelf.journal.since(from);
        if events.is_empty() && over {
            let record = shelf.record();
            let body = Body::Done(format!("{}: {}", record.state.words(), record.words));
            watcher.tell(shelf.job, body).await;
            return;
        }
        for event in events {
            from = event.number + 1;
            if !watcher.tell(shelf.job, Body::Event(Box::new(event))).await {
                return;
            }
        }
        if !over && (more.changed().await.is_err() || watcher.out.is_closed()) {
            return;
        }
    }
}
