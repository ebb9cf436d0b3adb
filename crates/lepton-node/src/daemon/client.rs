//! What a scientist's or an operator's command does over its link to the coordinator.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use lepton_crypto::sha256;
use lepton_protocol::control::{
    Body, Control, FileLine, JobDigest, JobEvent, JobLine, MAX_PART_BYTES, MAX_START_BYTES,
    SignedJob, StartPart,
};

use super::Connection;
use crate::checkpoint::CheckpointDoc;
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
        self.submit_from(job, None).await
    }

    /// The same for a job that starts from the model whose file has these bytes: they are sent where the coordinator wants them (rule JC-33).
    ///
    /// # Errors
    /// [`NodeError::Refused`] with the rule.
    pub async fn submit_from(
        &mut self,
        job: SignedJob,
        start: Option<Bytes>,
    ) -> Result<String, NodeError> {
        let digest = job.digest();
        let mut answer = self.ask(digest, Body::Submit(job)).await?;
        let mut due = 0;
        loop {
            match answer {
                Body::Wanted(from) if from == due => {
                    let Some(start) = &start else {
                        let words = "model.start names a model by its digest; name its folder, so that it can be sent";
                        return Err(NodeError::Use(words.to_owned()));
                    };
                    let part = StartPart::cut(start, from, MAX_PART_BYTES);
                    let part = part.ok_or_else(unexpected)?;
                    due += part.bytes.len() as u64;
                    answer = self.ask(digest, Body::Start(part)).await?;
                }
                other => return words(other),
            }
        }
    }

    /// What is said of the checkpoints that a job keeps, the earliest round first.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn checkpoints(&mut self, job: JobDigest) -> Result<Vec<CheckpointDoc>, NodeError> {
        let said = |file: &FileLine| file.name.ends_with("/checkpoint.json");
        let mut all = Vec::new();
        for file in self.kept(job).await?.iter().filter(|file| said(file)) {
            let bytes = self.whole(job, file).await?;
            all.push(serde_json::from_slice(&bytes).map_err(|error| {
                NodeError::Data(format!(
                    "the coordinator sent a checkpoint's account that cannot be read: {error}"
                ))
            })?);
        }
        Ok(all)
    }

    /// Fetches a checkpoint into a new folder, which is there only once all of it has come whole.
    ///
    /// # Errors
    /// As [`Client::pull`]; [`NodeError::Use`] when there is none of this round.
    pub async fn pull_checkpoint(
        &mut self,
        job: JobDigest,
        round: u32,
        folder: &Path,
    ) -> Result<(), NodeError> {
        let files = self.of_round(job, round).await?;
        self.pull_files(job, (files, &beside(round)), folder).await
    }

    /// The file of the model of a checkpoint.
    ///
    /// # Errors
    /// As [`Client::pull_checkpoint`].
    pub async fn checkpoint_model(
        &mut self,
        job: JobDigest,
        round: u32,
    ) -> Result<Vec<u8>, NodeError> {
        let files = self.of_round(job, round).await?;
        let model = files.iter().find(|file| !file.name.ends_with(".json"));
        let model = model.ok_or_else(unexpected)?;
        self.whole(job, model).await
    }

    async fn kept(&mut self, job: JobDigest) -> Result<Vec<FileLine>, NodeError> {
        match self.ask(job, Body::Kept).await? {
            Body::Files(files) => Ok(files),
            _ => Err(unexpected()),
        }
    }

    async fn of_round(&mut self, job: JobDigest, round: u32) -> Result<Vec<FileLine>, NodeError> {
        let mut files = self.kept(job).await?;
        let prefix = beside(round);
        files.retain(|file| file.name.starts_with(&prefix));
        if files.is_empty() {
            return Err(NodeError::Use(format!(
                "the job keeps no checkpoint of round {round}; `lepton job` lists them with `checkpoints`"
            )));
        }
        Ok(files)
    }

    /// A file in memory.
    async fn whole(&mut self, job: JobDigest, file: &FileLine) -> Result<Vec<u8>, NodeError> {
        if file.bytes > MAX_START_BYTES {
            return Err(unexpected());
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < file.bytes {
            bytes.extend(self.part(job, file, bytes.len() as u64).await?);
        }
        if *sha256(&bytes).as_bytes() != file.sha256 {
            return Err(torn(file));
        }
        Ok(bytes)
    }

    async fn part(
        &mut self,
        job: JobDigest,
        file: &FileLine,
        from: u64,
    ) -> Result<Vec<u8>, NodeError> {
        let name = file.name.clone();
        match self.ask(job, Body::Fetch { name, from }).await? {
            Body::Part(part) if !part.is_empty() => Ok(part),
            _ => Err(unexpected()),
        }
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
        free(folder)?;
        let Body::Files(files) = self.ask(job, Body::Pull).await? else {
            return Err(unexpected());
        };
        self.pull_files(job, (files, ""), folder).await
    }

    /// Fetches files, whose names begin with `prefix`, into a new folder.
    async fn pull_files(
        &mut self,
        job: JobDigest,
        (files, prefix): (Vec<FileLine>, &str),
        folder: &Path,
    ) -> Result<(), NodeError> {
        free(folder)?;
        let mut name = folder.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = folder.with_file_name(name);
        let failed = |error: &std::io::Error| NodeError::file(&partial, error);
        if partial.exists() {
            // Of an earlier try.
            std::fs::remove_dir_all(&partial).map_err(|error| failed(&error))?;
        }
        for file in &files {
            let place = file.name.strip_prefix(prefix).unwrap_or(&file.name);
            self.fetch(job, file, &partial.join(place)).await?;
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
            let part = self.part(job, file, from).await?;
            from += part.len() as u64;
            out.write_all(&part).map_err(|error| failed(&error))?;
        }
        drop(out);
        let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
        if *sha256(&bytes).as_bytes() != file.sha256 {
            return Err(torn(file));
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

/// Where the files of a checkpoint are.
fn beside(round: u32) -> String {
    format!("checkpoints/{round}/")
}

fn free(folder: &Path) -> Result<(), NodeError> {
    if folder.exists() {
        let words = format!("{} exists; name another folder", folder.display());
        return Err(NodeError::Use(words));
    }
    Ok(())
}

fn torn(file: &FileLine) -> NodeError {
    let name = &file.name;
    NodeError::Data(format!("{name} did not come whole; pull again"))
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
