//! What a person at the party decides about a job (rules JC-04, PO-15).

use lepton_protocol::control::{Answer, JobDigest, Refusal};

use super::desk::Desk;
use super::jobs::{DECISION, Decision, Record, StoredAnswer};
use crate::audit_log::Verdict;
use crate::daemon::record::{job_folders, load};
use crate::daemon::short;
use crate::error::NodeError;

impl Desk {
    /// What persons decided since the last call. A file that says nothing is put aside.
    pub(super) fn decisions(&self) -> Result<Vec<(JobDigest, Decision)>, NodeError> {
        let mut found = Vec::new();
        for (job, folder) in job_folders(&self.setup().folder)? {
            let path = folder.join(DECISION);
            match load::<Decision>(&path) {
                Ok(None) => {}
                Ok(Some(decision)) => found.push((job, decision)),
                Err(error) => {
                    tracing::warn!(job = short(&job), "a decision cannot be read: {error}");
                    let aside = folder.join("decision.unreadable");
                    let moved = std::fs::rename(&path, &aside);
                    moved.map_err(|error| NodeError::file(&path, &error))?;
                }
            }
        }
        Ok(found)
    }

    /// Takes a person's decision over, if the job waits for one or was denied; its file goes once that is durable.
    pub(super) fn person_decided(
        &self,
        job: &JobDigest,
        decision: Decision,
    ) -> Result<Option<Answer>, NodeError> {
        let record = self.record(job)?.filter(|record| {
            let waits = record.answer == StoredAnswer::AwaitingApproval;
            waits || (record.denied && decision.approve)
        });
        let answer = match record {
            Some(record) => Some(self.take_decision(job, record, decision)?),
            None => None,
        };
        let path = self.folder(job).join(DECISION);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(NodeError::file(&path, &error))
            }
            _ => Ok(answer),
        }
    }

    fn take_decision(
        &self,
        job: &JobDigest,
        mut record: Record,
        decision: Decision,
    ) -> Result<Answer, NodeError> {
        let rule = (!decision.approve).then(|| "PO-15".to_owned());
        let verdict = match decision.approve {
            true => Verdict::Approved,
            false => Verdict::Denied,
        };
        record.approved = decision.approve;
        record.denied = !decision.approve;
        if decision.approve {
            // One that was denied has ended at the coordinator; it may be submitted again.
            record.ended = None;
        }
        record.answer = match decision.approve {
            true => StoredAnswer::Accepted,
            false => Refusal::new("PO-15", decision.words).into(),
        };
        record.own_words = Some(format!("decided by {} at {}", decision.by, decision.at));
        self.log(job, &record.submitter.name, (verdict, rule))?;
        self.keep(job, &record)?;
        tracing::info!(job = short(job), "a person decided");
        Ok(record.answer.message())
    }
}
