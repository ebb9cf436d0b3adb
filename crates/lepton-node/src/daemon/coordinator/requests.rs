//! What scientists, operators and auditors ask for (rules JC-10, JC-11).

use std::path::PathBuf;
use std::sync::Arc;

use lepton_protocol::control::{Body, Control, JobDigest, JobState, Refusal, SignedJob};
use tokio::sync::mpsc;

use super::kept::{self, Kept};
use super::shelf::Shelf;
use super::{CoordinatorDaemon, Input, results};
use crate::daemon::record::StoredJob;
use crate::daemon::{Member, Role, Trail, effective, post, start};
use crate::error::NodeError;

impl CoordinatorDaemon {
    pub(super) fn on_request(&mut self, link: u64, message: Control) -> Result<(), NodeError> {
        let Some(peer) = self.links.get(&link) else {
            return Ok(());
        };
        let (member, out) = (peer.member.clone(), peer.out.clone());
        let job = message.job;
        let asker = Asker {
            trail: self.trail().clone(),
            name: member.name.clone(),
            out: out.clone(),
            link,
            job,
        };
        let answer = match message.body {
            Body::Submit(submission) => self.submit((&member, link), (job, &submission)).map(Some),
            Body::Start(part) => self.on_start((&member, link), job, &part).map(Some),
            Body::List => Ok(Some(Body::Jobs(
                self.jobs.values().map(|job| job.shelf.line()).collect(),
            ))),
            Body::Watch(from) => self.watch(from, asker).map(|()| None),
            Body::Log(from) => self
                .shelf(&job)
                .map(|shelf| Some(Body::Events(shelf.journal.page(from)))),
            Body::Stop => self.stop(&member, &job).map(Some),
            Body::Pull => self.results(&member, &job).map(|folder| {
                self.read(asker, move || results::list(&folder).map(Body::Files));
                None
            }),
            Body::Kept => self.kept(&member, &job).map(|kept| {
                self.read(asker, move || kept.list().map(Body::Files));
                None
            }),
            Body::Fetch { name, from } if kept::is_one(&name) => {
                self.kept(&member, &job).map(|kept| {
                    self.read(asker, move || kept.part(&name, from).map(Body::Part));
                    None
                })
            }
            Body::Fetch { name, from } => self.results(&member, &job).map(|folder| {
                self.read(asker, move || {
                    results::part(&folder, &name, from).map(Body::Part)
                });
                None
            }),
            _ => Err(Refusal::new(
                "role",
                "only parties and coordinators send this",
            )),
        };
        let body = match answer {
            Ok(Some(body)) => body,
            // A task of its own answers.
            Ok(None) => return Ok(()),
            Err(refusal) => Body::Refused(refusal),
        };
        if !post(self.trail(), (&member.name, &out), &Control { job, body })? {
            tracing::warn!(peer = member.name, "its link takes no more messages");
            return self.disconnected(link);
        }
        Ok(())
    }

    fn shelf(&self, job: &JobDigest) -> Result<Arc<Shelf>, Refusal> {
        let found = self.jobs.get(job).map(|job| job.shelf.clone());
        found.ok_or_else(|| Refusal::new("job", "there is no such job here"))
    }

    /// A link follows a job once: whoever asks again begins anew.
    fn watch(&mut self, from: u64, asker: Asker) -> Result<(), Refusal> {
        let (link, job) = (asker.link, asker.job);
        let shelf = self.shelf(&job)?;
        let task = self.readers.spawn(follow(shelf, from, asker));
        let peer = self.links.get_mut(&link);
        if let Some(old) = peer.and_then(|peer| peer.watching.insert(job, task)) {
            old.abort();
        }
        Ok(())
    }

    /// Reads results beside everything else: hashing a large model takes its time.
    fn read(
        &mut self,
        asker: Asker,
        work: impl FnOnce() -> Result<Body, NodeError> + Send + 'static,
    ) {
        let desk = self.desk.clone();
        self.readers.spawn(async move {
            let Ok(turn) = desk.reading.acquire().await else {
                return;
            };
            let read = tokio::task::spawn_blocking(work).await;
            drop(turn);
            let body = match read {
                Ok(Ok(body)) => body,
                // What was asked for is not there.
                Ok(Err(NodeError::Use(words))) => Body::Refused(Refusal::new("job", words)),
                Ok(Err(error)) => {
                    tracing::error!("results cannot be read: {error}");
                    Body::Refused(unreadable())
                }
                Err(_) => Body::Refused(unreadable()),
            };
            let message = Control {
                job: asker.job,
                body,
            };
            // Not waiting: whoever asks for more than it takes loses its link. If it cannot be written down, the next message ends the daemon.
            if let Ok(false) = post(&asker.trail, (&asker.name, &asker.out), &message) {
                let _ = desk.full.send(asker.link);
            }
        });
    }

    fn submit(
        &mut self,
        (member, link): (&Member, u64),
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
        if self.jobs.contains_key(&job) {
            return self.again(member, (job, submission));
        }
        self.room_for_one()?;
        if start::named(&parsed) {
            return self.expect_start(link, (job, submission), parsed);
        }
        self.create(member, (submission, name))
    }

    /// The same text is the same job (rule JC-11).
    pub(super) fn again(
        &mut self,
        member: &Member,
        (job, submission): (JobDigest, &SignedJob),
    ) -> Result<Body, Refusal> {
        let shelf = self.shelf(&job)?;
        let record = shelf.record();
        let dead = !record.state.is_over() && self.is_dead(&job);
        if !dead && !matches!(record.state, JobState::Failed | JobState::Stopped) {
            return Ok(Body::Done(format!(
                "it is known already: {}",
                record.state.words()
            )));
        }
        concerned(member, &shelf)?;
        if !dead {
            self.room_for_one()?;
        }
        if let Some(over) = self.jobs.get(&job) {
            // Else it would go on telling the old end.
            over.task.abort();
        }
        if record.submitter.is(member) {
            // The certificate of the first submission may not be valid any more.
            let submission = StoredJob::new(submission);
            shelf
                .change(|record| record.submission = submission)
                .map_err(not_kept)?;
        }
        let again = if record.roster.is_empty() {
            JobState::Joining
        } else {
            JobState::Waiting
        };
        shelf.enter(again, "submitted again").map_err(not_kept)?;
        self.begin(shelf);
        Ok(Body::Done("it goes on from where it stood".to_owned()))
    }

    /// Whether the job's task ended without bringing it to an end: it failed in a way that it could not record.
    fn is_dead(&self, job: &JobDigest) -> bool {
        self.jobs.get(job).is_some_and(|job| job.task.is_finished())
    }

    pub(super) fn room_for_one(&self) -> Result<(), Refusal> {
        let open = |job: &&super::Job| !job.shelf.record().state.is_over();
        let most = self.desk.setup.most_jobs;
        if self.jobs.values().filter(open).count() < most {
            return Ok(());
        }
        let words = format!("{most} jobs are under way; submit it again when one has ended");
        Err(Refusal::new("limits.jobs", words))
    }

    fn stop(&mut self, member: &Member, job: &JobDigest) -> Result<Body, Refusal> {
        let shelf = self.shelf(job)?;
        concerned(member, &shelf)?;
        let state = shelf.record().state;
        if state.is_over() {
            return Ok(Body::Done(format!("it is {} already", state.words())));
        }
        if self.is_dead(job) {
            self.begin(shelf);
        }
        self.tell(job, Input::Stop(format!("by {}", member.name)), None);
        Ok(Body::Done("it is being stopped".to_owned()))
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
            "it is {}; there is nothing to pull yet but its checkpoints, if it keeps any",
            record.state.words()
        );
        Err(Refusal::new("job", words))
    }
}

impl CoordinatorDaemon {
    /// Checkpoints, for those who may have the results, at any time (rule JC-31).
    fn kept(&self, member: &Member, job: &JobDigest) -> Result<Kept, Refusal> {
        let shelf = self.shelf(job)?;
        concerned(member, &shelf)?;
        Ok(Kept::of(&self.desk, &shelf))
    }
}

fn unreadable() -> Refusal {
    Refusal::new(
        "coordinator.failed",
        "the results cannot be read; the coordinator's log says why",
    )
}

pub(super) fn not_kept(error: NodeError) -> Refusal {
    tracing::error!("a submission was not kept: {error}");
    Refusal::new(
        "coordinator.failed",
        "the coordinator failed; its log says why",
    )
}

/// Rule JC-10: results and the end of a job are for its submitter and for operators.
fn concerned(member: &Member, shelf: &Shelf) -> Result<(), Refusal> {
    if member.role == Role::Operator || shelf.record().submitter.is(member) {
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

/// Somebody who asked about a job and is answered by a task of its own.
struct Asker {
    trail: Trail,
    name: String,
    out: mpsc::Sender<Vec<u8>>,
    link: u64,
    job: JobDigest,
}

impl Asker {
    /// Waits for the link; `false` when nothing more can be said.
    async fn tell(&self, body: Body) -> bool {
        let message = Control {
            job: self.job,
            body,
        };
        let bytes = message.to_bytes();
        let written = self.trail.sent(&self.name, &message, bytes.len());
        written.is_ok() && self.out.send(bytes).await.is_ok()
    }
}

/// Sends every event from `from` on, waiting for the link, until the job is over and all is said.
async fn follow(shelf: Arc<Shelf>, mut from: u64, asker: Asker) {
    let mut more = shelf.journal.watch();
    loop {
        more.mark_unchanged();
        let over = shelf.record().state.is_over();
        let events = shelf.journal.page(from);
        if events.is_empty() && over {
            let record = shelf.record();
            let words = format!("{}: {}", record.state.words(), record.words);
            asker.tell(Body::Done(Refusal::new("", words).words)).await;
            return;
        }
        let none = events.is_empty();
        for event in events {
            from = event.number + 1;
            if !asker.tell(Body::Event(Box::new(event))).await {
                return;
            }
        }
        if none {
            tokio::select! {
                changed = more.changed() => if changed.is_err() { return },
                () = asker.out.closed() => return,
            }
        }
    }
}
