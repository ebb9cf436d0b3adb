//! What a scientist's or an operator's command does over its link to the coordinator.

use lepton_protocol::control::{Body, Control, JobDigest, JobEvent, JobLine, SignedJob};

use super::Connection;
use crate::error::NodeError;

/// One link's worth of requests, one after the other.
pub struct Client {
    link: Connection,
}

impl Client {
    /// Over this link.
    #[must_use]
    pub fn new(link: Connection) -> Self {
        Self { link }
    }

    /// Submits a job; gives what became of it, in words.
    ///
    /// # Errors
    /// [`NodeError::Refused`] with the rule.
    pub async fn submit(&mut self, job: SignedJob) -> Result<String, NodeError> {
        self.ask(job.digest(), Body::Submit(job))
            .await
            .and_then(words)
    }

    /// All jobs.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn list(&mut self) -> Result<Vec<JobLine>, NodeError> {
        match self.ask([0; 32], Body::List).await? {
            Body::Jobs(jobs) => Ok(jobs),
            _ => Err(unexpected()),
        }
    }

    /// Follows a job from event `from` on until it is over; gives how it ended, in words.
    ///
    /// # Errors
    /// [`NodeError`], also when the link is lost.
    pub async fn watch(
        &mut self,
        job: JobDigest,
        from: u64,
        mut each: impl FnMut(JobEvent),
    ) -> Result<String, NodeError> {
        let mut answer = self.ask(job, Body::Watch(from)).await?;
        loop {
            match answer {
                Body::Event(event) => each(*event),
                other => return words(other),
            }
            answer = self.answer(job).await?;
        }
    }

    /// Ends a job.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn stop(&mut self, job: JobDigest) -> Result<String, NodeError> {
        self.ask(job, Body::Stop).await.and_then(words)
    }

    /// Results by name.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn pull(&mut self, job: JobDigest) -> Result<Vec<(String, Vec<u8>)>, NodeError> {
        match self.ask(job, Body::Pull).await? {
            Body::Files(files) => Ok(files),
            _ => Err(unexpected()),
        }
    }

    async fn ask(&mut self, job: JobDigest, body: Body) -> Result<Body, NodeError> {
        let bytes = Control { job, body }.to_bytes();
        self.link.out.send(bytes).await.map_err(|_| lost())?;
        self.answer(job).await
    }

    async fn answer(&mut self, job: JobDigest) -> Result<Body, NodeError> {
        let bytes = self.link.inbox.recv().await.ok_or_else(lost)?;
        let message = Control::from_bytes(&bytes)
            .map_err(|error| NodeError::Data(format!("the coordinator sent {error}")))?;
        match message.body {
            Body::Refused(refusal) => Err(NodeError::Refused(format!(
                "refused ({}): {}",
                refusal.rule, refusal.words
            ))),
            _ if message.job != job => Err(unexpected()),
            body => Ok(body),
        }
    }
}

fn words(body: Body) -> Result<String, NodeError> {
    match body {
        Body::Done(words) => Ok(words),
        _ => Err(unexpected()),
    }
}

fn lost() -> NodeError {
    NodeError::Data("the link to the coordinator is lost; a submitted job goes on without it, see `lepton job list`".to_owned())
}

fn unexpected() -> NodeError {
    NodeError::Data("the coordinator answered something else than was asked".to_owned())
}
