//! What a scientist's or an operator's command does over its link to the coordinator.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use lepton_crypto::sha256;
use lepton_protocol::control::{Body, Control, FileLine, JobDigest, JobEvent, JobLine, SignedJob};

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

    /// Everything that a job has said so far.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn events(&mut self, job: JobDigest) -> Result<Vec<JobEvent>, NodeError> {
        let mut all: Vec<JobEvent> = Vec::new();
        loop {
            let from = all.len() as u64;
            let Body::Events(page) = self.ask(job, Body::Log(from)).await? else {
                return Err(unexpected());
            };
            if page.is_empty() {
                return Ok(all);
            }
            // Numbers count from 0 without gaps.
            if !(from..)
                .zip(&page)
                .all(|(number, event)| event.number == number)
            {
                return Err(unexpected());
            }
            all.extend(page);
        }
    }

    /// Ends a job.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn stop(&mut self, job: JobDigest) -> Result<String, NodeError> {
        self.ask(job, Body::Stop).await.and_then(words)
    }

    /// Fetches the results into a new folder, which is there only once every file of it has come whole (rule JC-16).
    ///
    /// # Errors
    /// [`NodeError::Use`] when the folder exists; [`NodeError`] when a file did not come as it was announced.
    pub async fn pull(&mut self, job: JobDigest, folder: &Path) -> Result<(), NodeError> {
        if folder.exists() {
            let words = format!("{} exists; name another folder", folder.display());
            return Err(NodeError::Use(words));
        }
        let Body::Files(files) = self.ask(job, Body::Pull).await? else {
            return Err(unexpected());
        };
        let mut name = folder.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = folder.with_file_name(name);
        let failed = |error: &std::io::Error| NodeError::file(&partial, error);
        if partial.exists() {
            // Of an earlier try.
            std::fs::remove_dir_all(&partial).map_err(|error| failed(&error))?;
        }
        for file in &files {
            self.fetch(job, file, &partial.join(&file.name)).await?;
        }
        std::fs::rename(&partial, folder).map_err(|error| failed(&error))
    }

    async fn fetch(
        &mut self,
        job: JobDigest,
        file: &FileLine,
        path: &Path,
    ) -> Result<(), NodeError> {
        let failed = |error: &std::io::Error| NodeError::file(path, error);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| failed(&error))?;
        }
        let mut out = File::create_new(path).map_err(|error| failed(&error))?;
        let mut from = 0;
        while from < file.bytes {
            let body = Body::Fetch {
                name: file.name.clone(),
                from,
            };
            let part = match self.ask(job, body).await? {
                Body::Part(part) if !part.is_empty() => part,
                _ => return Err(unexpected()),
            };
            from += part.len() as u64;
            out.write_all(&part).map_err(|error| failed(&error))?;
        }
        drop(out);
        let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
        if *sha256(&bytes).as_bytes() != file.sha256 {
            let name = &file.name;
            return Err(NodeError::Data(format!(
                "{name} did not come whole; pull again"
            )));
        }
        Ok(())
    }

    async fn ask(&mut self, job: JobDigest, body: Body) -> Result<Body, NodeError> {
        let bytes = Control { job, body }.to_bytes();
        self.link.out.send(bytes).await.map_err(|_| lost())?;
        self.answer(job).await
    }

    async fn answer(&mut self, job: JobDigest) -> Result<Body, NodeError> {
        let bytes = self.link.inbox.recv().await.ok_or_else(lost)?;
        let message = Control::from_bytes(bytes)
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
