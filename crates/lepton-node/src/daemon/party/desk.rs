//! What a party decides and keeps: answers, rosters, reservations. Blocking: called from threads that may wait for the disk.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lepton_crypto::IdentityPublic;
use lepton_protocol::control::{Answer, Body, Ended, JobDigest, Refusal, SignedJob};
use lepton_protocol::job::Job;
use lepton_protocol::party::Seat;
use lepton_protocol::plan::Plan;

use super::jobs::{DECISION, Decision, EndedAs, JOB, Record, StoredAnswer};
use super::machine::{JobMachine, Parts};
use super::{PartySetup, Verdict};
use crate::daemon::record::{Place, StoredJob, job_folders, keys, load, lock as lock_home, save};
use crate::daemon::{Member, Role, effective, own_table, short};
use crate::error::NodeError;
use crate::files::{Durability, FileLedger, FileStore};
use crate::ledger::{Door, JobLedger};
use crate::simulate::hex;

pub(super) struct Desk {
    setup: PartySetup,
    /// Jobs whose record says that they were invited: looked at for every frame.
    invited: Mutex<BTreeSet<JobDigest>>,
    /// Records change one at a time.
    writing: Mutex<()>,
    #[expect(dead_code, reason = "held for the lock on it")]
    lock: File,
}

/// A roster that was found good.
pub(super) struct Joined {
    /// Whether it is another one than before.
    pub(super) changed: bool,
    /// Last epoch of the job.
    pub(super) epoch: u64,
}

impl Desk {
    pub(super) fn open(setup: PartySetup) -> Result<Self, NodeError> {
        let lock = lock_home(&setup.home)?;
        Ok(Self {
            setup,
            invited: Mutex::default(),
            writing: Mutex::default(),
            lock,
        })
    }

    pub(super) fn hello(&self, boot: [u8; 16]) -> Body {
        let certificate = self.setup.own.certificate();
        Body::Hello { boot, certificate }
    }

    /// The answer to an offer, durable before it is given (rule JC-04).
    pub(super) fn consider(&self, job: JobDigest, offer: &SignedJob) -> Answer {
        let _one = self.one_at_a_time();
        match self.answer(job, offer) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(job = short(&job), "the offer was not answered: {error}");
                Answer::Refused(failed())
            }
        }
    }

    fn answer(&self, job: JobDigest, offer: &SignedJob) -> Result<Answer, NodeError> {
        if let Some(record) = self.record(&job)?
            && !matches!(record.answer, StoredAnswer::Refused { .. })
        {
            return Ok(record.answer.message());
        }
        let submitter = match self.genuine(job, offer) {
            Ok(member) => member,
            // Nothing is kept of what nobody signed.
            Err(refusal) => return Ok(Answer::Refused(refusal)),
        };
        let (answer, own_words) = self.judge(offer, &submitter);
        let name = Job::parse("the offer", &offer.text, &[])
            .map_or_else(|_| "?".to_owned(), |job| job.name().to_string());
        tracing::info!(
            job = short(&job), name, submitter = submitter.name, answer = ?answer, own = own_words,
            "a job was offered"
        );
        let record = Record {
            format: "lepton-party-job/1".to_owned(),
            submission: StoredJob::new(offer),
            name,
            submitter: submitter.name,
            offered: (self.setup.clock)(),
            answer,
            own_words,
            roster: Vec::new(),
            invited: false,
            turn: 0,
            ended: None,
        };
        self.keep(&job, &record)?;
        Ok(record.answer.message())
    }

    /// Rule JC-02: what the coordinator hands on is its submitter's, unchanged.
    fn genuine(&self, job: JobDigest, offer: &SignedJob) -> Result<Member, Refusal> {
        let submitter = self
            .setup
            .authority
            .member(&offer.certificate)
            .map_err(|problem| Refusal::new("submitter", format!("its certificate: {problem}")))?;
        if !matches!(submitter.role, Role::Scientist | Role::Operator) {
            let words = format!(
                "a member with the role of {} submits no jobs",
                submitter.role.words()
            );
            return Err(Refusal::new("submitter", words));
        }
        if offer.digest() != job || !offer.is_signed_by(&submitter.key) {
            return Err(Refusal::new(
                "submitter",
                "the job is not signed by its submitter",
            ));
        }
        Ok(submitter)
    }

    fn judge(&self, offer: &SignedJob, submitter: &Member) -> (StoredAnswer, Option<String>) {
        let job = match effective::admit(&offer.text) {
            Ok(job) => job,
            Err(refusal) => return (refusal.into(), None),
        };
        let ask = match self.setup.gate.judge(&job, submitter) {
            Verdict::Refuse(refusal) => return (refusal.into(), None),
            Verdict::Accept => false,
            Verdict::Ask => true,
        };
        let table = match self.table(&job) {
            Ok(table) => table,
            Err(refusal) => return (refusal.into(), None),
        };
        match own_table::read(&job, &self.setup.name, &table) {
            Err(mismatch) => (mismatch.public.into(), Some(mismatch.own)),
            Ok(_) if ask => (StoredAnswer::AwaitingApproval, None),
            Ok(_) => (StoredAnswer::Accepted, None),
        }
    }

    fn table(&self, job: &Job) -> Result<PathBuf, Refusal> {
        let name = effective::table_name(job).unwrap_or_default();
        self.setup.gate.table(&name).ok_or_else(|| {
            Refusal::new(
                "data.table",
                format!("this party lets no job read a table `{name}`"),
            )
        })
    }

    /// Checks a roster and keeps it (rule JC-05).
    pub(super) fn join(&self, job: JobDigest, certificates: &[Vec<u8>]) -> Result<Joined, Refusal> {
        let _one = self.one_at_a_time();
        let not_kept = |error: NodeError| {
            tracing::error!(job = short(&job), "the roster was not kept: {error}");
            failed()
        };
        let mut record = self
            .record(&job)
            .map_err(not_kept)?
            .filter(|record| record.answer == StoredAnswer::Accepted)
            .ok_or_else(|| Refusal::new("roster", "this party has not accepted the job"))?;
        let roster = self.check_roster(certificates)?;
        let changed = record.roster != roster;
        if changed && record.invited {
            return Err(Refusal::new(
                "roster",
                "it is not the one that this party has joined, and sums were begun with that one",
            ));
        }
        if changed || record.ended.is_some() {
            record.roster = roster;
            record.ended = None;
            self.keep(&job, &record).map_err(not_kept)?;
        }
        Ok(Joined {
            changed,
            epoch: self.epoch(&job).map_err(not_kept)?,
        })
    }

    fn check_roster(&self, certificates: &[Vec<u8>]) -> Result<Vec<Place>, Refusal> {
        let wrong = |words: String| Refusal::new("roster", words);
        let mut roster: Vec<Place> = Vec::new();
        let mut keys = BTreeSet::new();
        let mut own = false;
        for certificate in certificates {
            let member = self.setup.authority.member(certificate).map_err(&wrong)?;
            if member.role != Role::Party {
                return Err(wrong(format!("{} is no party", member.name)));
            }
            let twice = roster.iter().any(|place| place.name == member.name);
            if twice || !keys.insert(member.key) {
                return Err(wrong(format!("{} stands in it twice", member.name)));
            }
            own |=
                member.name == self.setup.name && member.key == self.setup.own.identity().public();
            roster.push(Place::new(&member.name, &member.key));
        }
        if !own {
            return Err(wrong("this party does not stand in it".to_owned()));
        }
        let least = self.setup.gate.least_parties();
        if roster.len() < least {
            return Err(Refusal::new(
                "policy.min_parties",
                format!(
                    "{} parties are fewer than the {least} that this party wants",
                    roster.len()
                ),
            ));
        }
        Ok(roster)
    }

    /// Reads the rows, sets the job's cost aside, and builds its machine.
    pub(super) fn machine(
        &self,
        job: JobDigest,
        coordinator: IdentityPublic,
    ) -> Result<JobMachine, Refusal> {
        let _one = self.one_at_a_time();
        let made = self.make(job, coordinator);
        made.map_err(|(public, own)| {
            tracing::error!(job = short(&job), rule = public.rule, "{own}");
            public
        })
    }

    fn make(
        &self,
        job: JobDigest,
        coordinator: IdentityPublic,
    ) -> Result<JobMachine, (Refusal, String)> {
        let own = |error: NodeError| (failed(), error.to_string());
        let gone = || {
            own(NodeError::Internal(
                "the job is not in the store".to_owned(),
            ))
        };
        let record = self.record(&job).map_err(own)?.ok_or_else(gone)?;
        let roster = keys(&record.roster).map_err(own)?;
        let place = record
            .roster
            .iter()
            .position(|place| place.name == self.setup.name);
        let index = place
            .and_then(|index| u16::try_from(index).ok())
            .ok_or_else(gone)?;
        let parsed = effective::admit(record.submission.text()).map_err(unsaid)?;
        let plan = effective::plan(parsed, roster.len())
            .map_err(|words| unsaid(Refusal::new("job", words)))?;
        let table = self.table(plan.job()).map_err(unsaid)?;
        let rows = own_table::read(plan.job(), &self.setup.name, &table)
            .and_then(|part| own_table::rows(&plan, &part))
            .map_err(|mismatch| (mismatch.public, mismatch.own))?;
        let durable = self.reserve(&job, &record, (&plan, &table))?;
        let folder = self.folder(&job);
        let store = FileStore::open(&folder.join("machine"), Durability::Machine)
            .map_err(|error| own(error.into()))?;
        let file = FileLedger::open(
            &folder.join("ledger.jsonl"),
            plan.privacy().map(|privacy| privacy.limit),
            Durability::Machine,
        )
        .map_err(|error| own(error.into()))?;
        let seat = Seat {
            index,
            identity: self.setup.own.identity(),
            roster,
            coordinator,
            job,
            signed_sets: store.signed_sets().map_err(own)?,
            slot_key: store.slot_key().map_err(own)?,
            last_epoch: store.last_epoch().map_err(own)?,
        };
        JobMachine::new(Parts {
            seat,
            rows,
            store,
            ledger: Door::new(file, durable, &self.setup.name),
            entropy: self.setup.entropy,
            folder,
        })
        .map_err(own)
    }

    /// The whole cost of the job, set aside before anything of it is sampled (rules FT-08, JC-05).
    fn reserve(
        &self,
        job: &JobDigest,
        record: &Record,
        (plan, table): (&Plan, &std::path::Path),
    ) -> Result<Option<JobLedger>, (Refusal, String)> {
        let Some(ledger) = &self.setup.ledger else {
            return Ok(None);
        };
        let name = ledger_name(job, record.turn);
        let reserved =
            JobLedger::of_party(Arc::clone(ledger), (&name, &self.setup.name), (plan, table));
        // What is left of a budget is the party's own business.
        reserved.map(Some).map_err(|error| {
            let words = "its privacy ledger does not cover the job";
            (Refusal::new("ledger.budget", words), error.to_string())
        })
    }

    /// Keeps that a frame of the job came, before the machine sees the first (rule JC-05).
    pub(super) fn invited(&self, job: &JobDigest) -> Result<(), NodeError> {
        let mut known = self.invited.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(job) {
            return Ok(());
        }
        let _one = self.one_at_a_time();
        if let Some(mut record) = self.record(job)?.filter(|record| !record.invited) {
            record.invited = true;
            self.keep(job, &record)?;
        }
        known.insert(*job);
        Ok(())
    }

    /// The coordinator says that the job is over: what was set aside and not charged is free again (rule JC-12).
    pub(super) fn ended(&self, job: &JobDigest, ended: &Ended) -> Result<(), NodeError> {
        let _one = self.one_at_a_time();
        let Some(mut record) = self.record(job)?.filter(|record| record.ended.is_none()) else {
            return Ok(());
        };
        if let Some(ledger) = &self.setup.ledger {
            let name = ledger_name(job, record.turn);
            if ledger
                .book()?
                .jobs()
                .get(&name)
                .is_some_and(|job| !job.closed)
            {
                ledger.close(&name)?;
            }
        }
        tracing::info!(
            job = short(job),
            finished = ended.finished,
            "ended: {}",
            ended.words
        );
        record.turn += 1;
        record.ended = Some(EndedAs {
            finished: ended.finished,
            words: ended.words.clone(),
            at: (self.setup.clock)(),
        });
        self.keep(job, &record)
    }

    /// Jobs that a person decided about since the last call, with the answers to give.
    pub(super) fn decided(&self) -> Result<Vec<(JobDigest, Answer)>, NodeError> {
        let mut answers = Vec::new();
        for (job, folder) in job_folders(&self.setup.home)? {
            let path = folder.join(DECISION);
            if !path.exists() {
                continue;
            }
            let _one = self.one_at_a_time();
            let (Some(decision), Some(mut record)) = (load::<Decision>(&path)?, self.record(&job)?)
            else {
                continue;
            };
            if record.answer == StoredAnswer::AwaitingApproval {
                record.answer = match decision.approve {
                    true => StoredAnswer::Accepted,
                    false => Refusal::new("policy.approval", decision.words).into(),
                };
                record.own_words = Some(format!("decided by {} at {}", decision.by, decision.at));
                self.keep(&job, &record)?;
                answers.push((job, record.answer.message()));
            }
            std::fs::remove_file(&path).map_err(|error| NodeError::file(&path, &error))?;
        }
        Ok(answers)
    }

    /// Answers to jobs of which no end is known.
    pub(super) fn open_jobs(&self) -> Result<Vec<(JobDigest, Answer)>, NodeError> {
        let mut open = Vec::new();
        for (job, folder) in job_folders(&self.setup.home)? {
            // What was refused is considered anew when it is offered again.
            let open_here = |record: &Record| {
                let refused = matches!(record.answer, StoredAnswer::Refused { .. });
                record.ended.is_none() && !refused
            };
            let record = load::<Record>(&folder.join(JOB))?.filter(open_here);
            open.extend(record.map(|record| (job, record.answer.message())));
        }
        Ok(open)
    }

    /// The last epoch of the job that this party answered.
    fn epoch(&self, job: &JobDigest) -> Result<u64, NodeError> {
        let store = FileStore::open(&self.folder(job).join("machine"), Durability::Machine)?;
        store.last_epoch()
    }

    fn folder(&self, job: &JobDigest) -> PathBuf {
        self.setup.home.join("jobs").join(hex(job))
    }

    fn record(&self, job: &JobDigest) -> Result<Option<Record>, NodeError> {
        load(&self.folder(job).join(JOB))
    }

    fn keep(&self, job: &JobDigest, record: &Record) -> Result<(), NodeError> {
        save(&self.folder(job).join(JOB), record)
    }

    fn one_at_a_time(&self) -> MutexGuard<'_, ()> {
        // Records are replaced in one step: a panic elsewhere left none half-written.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ledger_name(job: &JobDigest, turn: u32) -> String {
    format!("{}-{turn}", hex(job))
}

fn failed() -> Refusal {
    Refusal::new("party.failed", "it failed; its own log says why")
}

/// Words that may leave the party are words for its log as well.
fn unsaid(refusal: Refusal) -> (Refusal, String) {
    let own = refusal.words.clone();
    (refusal, own)
}
