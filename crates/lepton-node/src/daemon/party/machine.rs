//! One joined job at a party: its machine, worker, store and door to the ledger.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chacha20::ChaCha20Rng;
use lepton_crypto::IdentityPublic;
use lepton_protocol::control::{Body, Control, JobDigest};
use lepton_protocol::exchange::Kind;
use lepton_protocol::ledger::{Charge, Ledger, LedgerError};
use lepton_protocol::party::{self, Party, Seat};
use lepton_protocol::store::{Record, Store};
use lepton_protocol::training::StartModel;
use lepton_protocol::work::Worker;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::Inner;
use super::model::save_model;
use super::owner::Owner;
use crate::daemon::{Trail, record, short};
use crate::error::NodeError;
use crate::ledger::Door;
use crate::random::{Entropy, ratchet};
use crate::store::SqlStore;

/// File in which a party reads what a job did here.
const REPORT: &str = "report.json";

/// Key under which a party counts attempts.
const ATTEMPTS: &str = "attempts";

/// What a job's machine is made of.
pub(super) struct Parts {
    pub(super) seat: Seat,
    pub(super) start: Option<StartModel>,
    pub(super) worker: Worker,
    pub(super) store: SqlStore,
    pub(super) ledger: Door,
    pub(super) entropy: Entropy,
    pub(super) owner: Owner,
    pub(super) trail: Trail,
    pub(super) folder: PathBuf,
}

pub(super) struct JobMachine {
    job: JobDigest,
    coordinator: IdentityPublic,
    last_epoch: u64,
    party: Party,
    worker: Worker,
    store: SqlStore,
    ledger: Door,
    owner: Owner,
    trail: Trail,
    attempts: Attempts,
    rng: ChaCha20Rng,
    work_rng: ChaCha20Rng,
    folder: PathBuf,
    report: OwnReport,
    /// When it was last written.
    shown: Option<Instant>,
}

/// An exchange that the owner's policy keeps this party out of.
struct Refused {
    /// For the audit log.
    state: String,
    /// For the coordinator.
    outward: String,
}

/// The report has every charge in it: written at every exchange, a long job would spend its time on it.
const OFTEN: Duration = Duration::from_secs(1);

impl Drop for JobMachine {
    fn drop(&mut self) {
        self.keep_report();
    }
}

/// How often this party was asked to work (rule PO-16): for each kind of exchange, and in the training round it was last asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Attempts {
    all: BTreeMap<String, u32>,
    kind: String,
    round: u32,
    here: u32,
}

impl Attempts {
    /// Counts one more. What the coordinator calls a round is its word alone: so it is held against how often the plan needs such an exchange in all.
    fn count(&mut self, kind: Kind, round: u32, planned: u32) -> u32 {
        let all = self.all.entry(kind.words().to_owned()).or_default();
        *all = all.saturating_add(1);
        let same = self.kind == kind.words() && self.round == round;
        self.here = if same { self.here.saturating_add(1) } else { 1 };
        (self.kind, self.round) = (kind.words().to_owned(), round);
        self.here.max(all.div_ceil(planned.max(1)))
    }
}

/// What a job did at this party: for its owner, nobody else gets it.
#[derive(Serialize)]
struct OwnReport {
    format: String,
    /// Exchanges for which this party computed a vector since its daemon started.
    exchanges: u64,
    /// Training round of the last of them.
    last_round: u32,
    /// Whether the job's end reached this party.
    finished: bool,
    /// Everything charged, earlier starts included.
    charges: Vec<Charge>,
}

impl JobMachine {
    pub(super) fn new(parts: Parts) -> Result<Self, NodeError> {
        let Parts {
            seat,
            start,
            worker,
            store,
            ledger,
            entropy,
            owner,
            trail,
            folder,
        } = parts;
        let attempts = store.get(ATTEMPTS)?;
        let attempts = attempts.and_then(|kept| serde_json::from_slice(&kept).ok());
        let last_epoch = seat.last_epoch;
        let index = seat.index;
        // A fixed seed, in tests, must not repeat what an earlier start has drawn.
        let turn = last_epoch + 1;
        Ok(Self {
            job: seat.job,
            coordinator: seat.coordinator,
            last_epoch,
            worker,
            rng: entropy.generator(&format!("keys and masks of party {index}"), turn)?,
            work_rng: entropy.generator(&format!("samples and noise of party {index}"), turn)?,
            party: Party::new(seat).starting_from(start),
            shown: None,
            report: OwnReport {
                format: "lepton-party-report/1".to_owned(),
                exchanges: 0,
                last_round: 0,
                finished: false,
                charges: ledger.charges().to_vec(),
            },
            store,
            ledger,
            owner,
            trail,
            attempts: attempts.unwrap_or_default(),
            folder,
        })
    }

    pub(super) fn last_epoch(&self) -> u64 {
        self.last_epoch
    }

    pub(super) fn coordinator(&self) -> IdentityPublic {
        self.coordinator
    }

    /// Takes a frame, and does what follows from it. A refused one changes nothing.
    ///
    /// # Errors
    /// [`NodeError`] when the store, the ledger or the audit log fails: the machine is of no more use then.
    pub(super) fn on_frame(
        &mut self,
        bytes: Bytes,
        out: &mpsc::UnboundedSender<Inner>,
    ) -> Result<(), NodeError> {
        let mut next = Some(party::Event::Frame(bytes));
        while let Some(event) = next.take() {
            let step = self.party.step(event, &mut self.rng);
            ratchet(&mut self.rng);
            match step {
                Ok(effects) => next = self.carry_out(effects, out)?,
                // The coordinator goes on without this party.
                Err(fault) => tracing::warn!(job = short(&self.job), "refused: {fault}"),
            }
        }
        Ok(())
    }

    /// Persist, look at the policy, charge, send, work: in this order (rules FT-08, FT-14).
    fn carry_out(
        &mut self,
        effects: party::Effects,
        out: &mpsc::UnboundedSender<Inner>,
    ) -> Result<Option<party::Event>, NodeError> {
        let mut persist = effects.persist;
        let refused = match &effects.work {
            Some(work) => self.admit(work, &mut persist)?,
            None => None,
        };
        self.store.put_all(&persist)?;
        if let (Some(refusal), Some(work)) = (refused, &effects.work) {
            self.trail.job(&self.job, &refusal.state)?;
            return Ok(Some(party::Event::Worked(work.place, Err(refusal.outward))));
        }
        if let Some((place, charge)) = &effects.charge {
            match self.ledger.reserve(charge) {
                Ok(()) => {
                    let entry = self.ledger.last_entry();
                    self.trail.charged(&self.job, (entry, charge))?;
                }
                Err(LedgerError::Store(error)) => return Err(error.into()),
                Err(refusal) => {
                    tracing::warn!(job = short(&self.job), "the ledger refuses: {refusal}");
                    return Ok(Some(party::Event::Refused(*place)));
                }
            }
        }
        if let Some(line) = &effects.own_log {
            tracing::warn!(job = short(&self.job), "declined: {line}");
        }
        for frame in effects.send {
            // A closed channel means that the daemon stops.
            let _ = out.send(Inner::Say(Control {
                job: self.job,
                body: Body::Frame(frame.into()),
            }));
        }
        if let Some(finished) = &effects.finished {
            self.report.finished = true;
            self.keep_report();
            let plan = self.party.plan();
            let saved = plan.map(|plan| save_model(&self.folder, (plan, &self.job), finished));
            if let Some(Err(error)) = saved {
                tracing::warn!(job = short(&self.job), "the model was not kept: {error}");
            }
        }
        match effects.work {
            Some(work) => self.work(work).map(Some),
            None => Ok(None),
        }
    }

    /// Rules PO-13, PO-16 and JC-17, asked of the policy as it is now: the exact size of the model, and how often one exchange is tried.
    fn admit(
        &mut self,
        work: &party::Work,
        persist: &mut Vec<Record>,
    ) -> Result<Option<Refused>, NodeError> {
        let lost = || NodeError::Internal("the plan is missing".to_owned());
        let plan = self.party.plan().ok_or_else(lost)?;
        let kind = work.exchange.kind;
        let attempt = self
            .attempts
            .count(kind, work.training_round, plan.planned(kind));
        let value = serde_json::to_vec(&self.attempts)
            .map_err(|error| NodeError::Internal(error.to_string()))?;
        let key = ATTEMPTS.to_owned();
        persist.push(Record { key, value });
        let policy = match self.owner.policy() {
            Ok(policy) => policy,
            Err(error) => {
                // It may be in the middle of being written: this exchange is declined, and the next one asks again.
                tracing::error!(job = short(&self.job), "declined: {error}");
                return Ok(Some(Refused {
                    state: "refused policy".to_owned(),
                    outward: "its policy cannot be read; its own log says why".to_owned(),
                }));
            }
        };
        let mut asked = policy.admit_attempt(attempt);
        if kind == Kind::Training {
            let len = plan.model_len(&work.public)? as u64;
            asked = asked.and_then(|()| policy.admit_model(len));
        }
        let Err(refusal) = asked else {
            return Ok(None);
        };
        tracing::warn!(job = short(&self.job), "the policy refuses: {refusal}");
        Ok(Some(Refused {
            state: format!("refused {}", refusal.rule.id()),
            outward: refusal.outward().to_owned(),
        }))
    }

    fn work(&mut self, work: party::Work) -> Result<party::Event, NodeError> {
        let lost = || NodeError::Internal("the plan is missing".to_owned());
        let plan = self.party.plan().ok_or_else(lost)?;
        let (place, round) = (work.place, work.training_round);
        let result = self.worker.contribute(plan, &work, &mut self.work_rng);
        ratchet(&mut self.work_rng);
        if let Some(complaint) = self.worker.take_complaint() {
            let job = short(&self.job);
            tracing::error!(
                job,
                "the trainer failed, and nothing was contributed for it: {complaint}"
            );
        }
        self.report.exchanges += 1;
        self.report.last_round = round;
        if self.shown.is_none_or(|shown| shown.elapsed() >= OFTEN) {
            self.keep_report();
        }
        let result = result.map_err(|error| {
            tracing::error!(job = short(&self.job), "{error}");
            error.public_words()
        });
        Ok(party::Event::Worked(place, result))
    }

    /// For the owner to read; nothing depends on it.
    fn keep_report(&mut self) {
        self.shown = Some(Instant::now());
        self.report.charges = self.ledger.charges().to_vec();
        if let Err(error) = record::show(&self.folder.join(REPORT), &self.report) {
            tracing::warn!(
                job = short(&self.job),
                "the report was not written: {error}"
            );
        }
    }
}
