//! What a daemon writes down about itself: its audit log, and figures for monitoring.

use std::sync::Arc;

use lepton_protocol::control::{Control, JobDigest};
use lepton_protocol::ledger::Charge;

use crate::audit_log::{AuditLog, Direction, Event, Verdict};
use crate::error::NodeError;
use crate::hex::hex;
use crate::metrics::{JobState, Metrics, Way};

/// Audit log and figures of one daemon (rule JC-15). Whatever cannot be written down must not be done: every error here ends what was under way.
#[derive(Clone)]
pub struct Trail {
    audit: AuditLog,
    metrics: Arc<Metrics>,
}

/// Who decided what about a job.
pub(crate) struct Decided<'a> {
    pub(crate) job: &'a JobDigest,
    pub(crate) by: &'a str,
    pub(crate) submitter: &'a str,
    pub(crate) verdict: Verdict,
    pub(crate) rule: Option<String>,
}

impl Trail {
    /// Writes to both.
    #[must_use]
    pub fn new(audit: AuditLog, metrics: Arc<Metrics>) -> Self {
        Self { audit, metrics }
    }

    /// The figures.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn shared_metrics(&self) -> Arc<Metrics> {
        self.metrics.clone()
    }

    pub(crate) fn sent(
        &self,
        peer: &str,
        message: &Control,
        bytes: usize,
    ) -> Result<(), NodeError> {
        self.metrics.message(Way::Sent, bytes as u64);
        self.message(Direction::Sent, (peer, message, bytes))
    }

    pub(crate) fn received(
        &self,
        peer: &str,
        message: &Control,
        bytes: usize,
    ) -> Result<(), NodeError> {
        self.metrics.message(Way::Received, bytes as u64);
        self.message(Direction::Received, (peer, message, bytes))
    }

    fn message(
        &self,
        direction: Direction,
        (peer, message, bytes): (&str, &Control, usize),
    ) -> Result<(), NodeError> {
        self.audit.append(Event::Message {
            direction,
            peer: peer.to_owned(),
            job: (message.job != [0; 32]).then(|| hex(&message.job)),
            kind: message.body.kind().to_owned(),
            bytes: bytes as u64,
        })
    }

    pub(crate) fn connection(
        &self,
        peer: &str,
        state: &str,
        reason: Option<String>,
    ) -> Result<(), NodeError> {
        self.audit.append(Event::Connection {
            peer: peer.to_owned(),
            state: state.to_owned(),
            reason,
        })
    }

    pub(crate) fn decided(&self, decided: Decided<'_>) -> Result<(), NodeError> {
        if matches!(decided.verdict, Verdict::Refused | Verdict::Denied) {
            self.metrics.job(JobState::Refused);
        }
        self.audit.append(Event::Decision {
            job: hex(decided.job),
            by: decided.by.to_owned(),
            submitter: decided.submitter.to_owned(),
            verdict: decided.verdict,
            rule: decided.rule,
        })
    }

    pub(crate) fn charged(
        &self,
        job: &JobDigest,
        (entry, charge): (u64, &Charge),
    ) -> Result<(), NodeError> {
        self.audit.append(Event::Charge {
            job: hex(job),
            entry,
            kind: charge.kind.clone(),
            round: charge.round,
            attempt: charge.attempt,
        })
    }

    pub(crate) fn job(&self, job: &JobDigest, state: &str) -> Result<(), NodeError> {
        self.audit.append(Event::Job {
            job: hex(job),
            state: state.to_owned(),
        })
    }

    /// The program started, stopped, or found its store restored.
    ///
    /// # Errors
    /// [`NodeError`] when it could not be written.
    pub fn program(&self, state: &str) -> Result<(), NodeError> {
        self.audit.append(Event::Program {
            state: state.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// Signs the segment of the audit log that was begun.
    ///
    /// # Errors
    /// [`NodeError`] when it could not be written.
    pub fn seal(&self) -> Result<(), NodeError> {
        self.audit.seal()
    }
}
