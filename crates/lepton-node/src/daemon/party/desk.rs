//! What a party decides and keeps: answers, rosters, reservations. Blocking: called from threads that may wait for the disk.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use lepton_crypto::IdentityPublic;
use lepton_protocol::control::{Answer, Body, Ended, JobDigest, Refusal, SignedJob};
use lepton_protocol::job::Job;
use lepton_protocol::late::roster_digest;
use lepton_protocol::party::Seat;
use lepton_protocol::plan::Plan;
use lepton_protocol::trainer::TrainerError;
use lepton_protocol::work::{PartyRows, Worker};

use super::PartySetup;
use super::budgets::Budgets;
use super::jobs::{EndedAs, PartyJob, Record, StoredAnswer, Submitted, view};
use super::late::Growth;
use super::machine::{JobMachine, Parts};
use super::owner::{Asked, Grants, No, Word, failed, granted};
use crate::audit_log::Verdict;
use crate::daemon::record::{
    Documents, Place, StoredJob, actor, job_of, keys, load, make_folder, save,
};
use crate::daemon::trail::Decided;
use crate::daemon::{Member, Role, effective, own_table, short};
use crate::error::NodeError;
use crate::federation::Left;
use crate::files::{Durability, FileLedger};
use crate::hex::hex;
use crate::ledger::Door;
use crate::tables::rows_digest;

/// File in which a person finds a job.
pub(super) const VIEW: &str = "job.json";

pub(super) struct Desk {
    setup: PartySetup,
    records: Documents,
    grants: Grants,
    budgets: Budgets,
    /// Jobs whose record says that they were invited: looked at for every frame.
    pub(super) invited: Mutex<BTreeSet<JobDigest>>,
    /// Jobs join one at a time: what one takes of the period or of a budget, the next one sees.
    joining: Mutex<()>,
}

/// A roster that was found good.
pub(super) struct Joined {
    /// Whether it is another one than before.
    pub(super) changed: bool,
    /// Last epoch of the job.
    pub(super) epoch: u64,
    /// What stands for the roster (rule LJ-07).
    pub(super) roster: [u8; 32],
}

impl Desk {
    pub(super) fn open(setup: PartySetup) -> Result<Self, NodeError> {
        make_folder(&setup.folder)?;
        let this = Self {
            records: Documents::new(&setup.database, "jobs"),
            grants: Grants::new(&setup.database),
            budgets: Budgets::open(setup.ledger.clone(), &setup.database)?,
            setup,
            invited: Mutex::default(),
            joining: Mutex::default(),
        };
        this.after_a_restore()?;
        this.show_again()?;
        Ok(this)
    }

    /// What people read is written after the record: a crash may have come between the two.
    fn show_again(&self) -> Result<(), NodeError> {
        for (name, record) in self.records.all::<Record>()? {
            let job = job_of(&name)?;
            let folder = self.folder(&job);
            let shown = load::<PartyJob>(&folder.join(VIEW))?;
            let due = view(&job, &record, (folder, String::new()));
            if shown.is_none_or(|shown| (shown.state, shown.words) != (due.state, due.words)) {
                self.show(&job, &record)?;
            }
        }
        Ok(())
    }

    /// Rule JC-14: what a backup does not know of cannot be continued without a privacy goal.
    fn after_a_restore(&self) -> Result<(), NodeError> {
        let database = &self.setup.database;
        let Some(why) = database.restored() else {
            return Ok(());
        };
        tracing::warn!("the store was restored: {why}");
        self.setup.trail.program("restored")?;
        for (name, mut record) in self.records.all::<Record>()? {
            let exact =
                effective::admit(record.submission.text()).is_ok_and(|job| job.privacy().is_none());
            if exact {
                record.given_up = true;
                self.keep(&job_of(&name)?, &record)?;
            }
        }
        Ok(database.acknowledge()?)
    }

    pub(super) fn setup(&self) -> &PartySetup {
        &self.setup
    }

    pub(super) fn hello(&self, boot: [u8; 16]) -> Body {
        let certificate = self.setup.own.certificate();
        Body::Hello { boot, certificate }
    }

    /// The answer to an offer, durable before it is given (rule JC-04).
    pub(super) fn consider(&self, job: JobDigest, offer: &SignedJob) -> Answer {
        match self.answer(job, offer) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(job = short(&job), "the offer was not answered: {error}");
                Answer::Refused(failed())
            }
        }
    }

    fn answer(&self, job: JobDigest, offer: &SignedJob) -> Result<Answer, NodeError> {
        let known = self.record(&job)?;
        let submitter = match self.genuine(job, offer) {
            Ok(member) => member,
            // Nothing is kept of what nobody signed, but for that it came.
            Err(refusal) => {
                self.log(&job, "?", (Verdict::Refused, Some("JC-02".to_owned())))?;
                return Ok(Answer::Refused(refusal));
            }
        };
        if let Some(record) = &known
            && let Some(answer) = self.known(&job, record, (offer, &submitter))?
        {
            return Ok(answer);
        }
        let turn = known.map_or(0, |known| known.turn);
        let judged = self.judge((&job, turn), offer, &submitter);
        let (verdict, rule, answer, own_words) = match judged {
            Ok(Word::Accept) => (Verdict::Accepted, None, StoredAnswer::Accepted, None),
            Ok(Word::Ask(why)) => (
                Verdict::Asked,
                None,
                StoredAnswer::AwaitingApproval,
                Some(why),
            ),
            Err(no) => (
                Verdict::Refused,
                no.rule.or(Some(no.refusal.rule.clone())),
                no.refusal.into(),
                Some(no.own),
            ),
        };
        let name = Job::parse("the offer", &offer.text, &[])
            .map_or_else(|_| "?".to_owned(), |job| job.name().to_string());
        let record = Record {
            format: "lepton-party-job/1".to_owned(),
            submission: StoredJob::new(offer),
            name,
            submitter: Submitted::of(&submitter),
            offered: (self.setup.clock)(),
            answer,
            own_words,
            approved: false,
            given_up: false,
            denied: false,
            rows: None,
            roster: Vec::new(),
            invited: false,
            growth: Growth::default(),
            turn,
            ended: None,
        };
        tracing::info!(
            job = short(&job), name = record.name, submitter = submitter.name, answer = ?record.answer,
            own = record.own_words, "a job was offered"
        );
        self.log(&job, &submitter.name, (verdict, rule))?;
        self.keep(&job, &record)?;
        Ok(record.answer.message())
    }

    /// The answer to a job that was offered before; `None` for one that is considered anew, since it was refused.
    fn known(
        &self,
        job: &JobDigest,
        record: &Record,
        (offer, submitter): (&SignedJob, &Member),
    ) -> Result<Option<Answer>, NodeError> {
        if record.given_up {
            return Ok(Some(Answer::Refused(restored())));
        }
        // A person's word stands until a person takes it back.
        if record.denied {
            return Ok(Some(record.answer.message()));
        }
        if matches!(record.answer, StoredAnswer::Refused { .. }) {
            return Ok(None);
        }
        let first = record.submitter.member();
        if !first.is_some_and(|first| first.is(submitter)) {
            let words = "another member submitted this very text before; change job.name";
            return Ok(Some(Answer::Refused(Refusal::new("submitter", words))));
        }
        let mut next = record.clone();
        next.submission = StoredJob::new(offer);
        next.submitter = Submitted::of(submitter);
        if next.answer == StoredAnswer::AwaitingApproval {
            next.ended = None;
        }
        self.keep(job, &next)?;
        Ok(Some(next.answer.message()))
    }

    pub(super) fn log(
        &self,
        job: &JobDigest,
        submitter: &str,
        (verdict, rule): (Verdict, Option<String>),
    ) -> Result<(), NodeError> {
        self.setup.trail.decided(Decided {
            job,
            by: &self.setup.owner.name,
            submitter,
            verdict,
            rule,
        })
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
                submitter.role
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

    fn judge(
        &self,
        (digest, turn): (&JobDigest, u32),
        offer: &SignedJob,
        submitter: &Member,
    ) -> Result<Word, No> {
        let job = effective::admit(&offer.text)?;
        let asked = Asked {
            job: digest,
            submitter,
            approved: false,
            begun: false,
            parties: None,
        };
        let (word, plan, _) = self.setup.owner.decide(&asked, (&self.grants, turn), job)?;
        // Whether there is a trainer is told to those only who may ask.
        let trained = self.setup.trainers.admit(plan.job());
        trained.map_err(untrained)?;
        Ok(word)
    }

    /// Whether one more job may run here.
    fn room_for_one(&self, job: &JobDigest) -> Result<(), No> {
        let own = hex(job);
        let all = self.records.all::<Record>()?;
        let runs = |(name, record): &&(String, Record)| {
            *name != own && record.is_open() && !record.roster.is_empty()
        };
        if all.iter().filter(runs).count() < self.setup.most_jobs {
            return Ok(());
        }
        let words = "it takes part in as many jobs as it may; try again when one of them has ended";
        Err(Refusal::new("limits.jobs", words).into())
    }

    /// Checks a roster and keeps it (rule JC-05).
    pub(super) fn join(&self, job: JobDigest, certificates: &[Vec<u8>]) -> Result<Joined, Refusal> {
        let not_kept = |error: NodeError| {
            tracing::error!(job = short(&job), "the roster was not kept: {error}");
            failed()
        };
        let mut record = self
            .record(&job)
            .map_err(not_kept)?
            .filter(|record| record.answer == StoredAnswer::Accepted)
            .ok_or_else(|| Refusal::new("roster", "this party has not accepted the job"))?;
        if record.given_up {
            return Err(restored());
        }
        if record.ended.as_ref().is_some_and(|ended| ended.finished) {
            return Err(Refusal::new("roster", "the job has finished here"));
        }
        let roster = self.check_roster(certificates)?;
        let changed = record.roster != roster;
        if changed && record.invited {
            self.may_change(&job, &record, &roster)?;
            self.will_bind(&job);
        }
        if changed || record.ended.is_some() {
            record.take(roster);
            record.ended = None;
            self.keep(&job, &record).map_err(not_kept)?;
        }
        Ok(Joined {
            changed,
            epoch: self.epoch(&job).map_err(not_kept)?,
            roster: roster_digest(&keys(&record.roster).map_err(not_kept)?),
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
            own |= member.name == self.setup.owner.name
                && member.key == self.setup.own.identity().public();
            roster.push(Place::new(&member.name, &member.key));
        }
        if !own {
            return Err(wrong("this party does not stand in it".to_owned()));
        }
        Ok(roster)
    }

    /// Decides once more, now that the roster is known, reads the rows, sets the job's cost aside, and builds its machine.
    pub(super) fn machine(
        &self,
        job: JobDigest,
        coordinator: IdentityPublic,
    ) -> Result<JobMachine, Refusal> {
        // A panic elsewhere left no record half-written.
        let _one = self.joining.lock().unwrap_or_else(PoisonError::into_inner);
        self.make(job, coordinator).map_err(|no| {
            tracing::error!(job = short(&job), rule = no.refusal.rule, "{}", no.own);
            if let Err(error) = self.not_joined(&job, &no) {
                tracing::error!(job = short(&job), "the refusal was not kept: {error}");
            }
            no.refusal
        })
    }

    /// What stands for the roster on record (rule LJ-07).
    pub(super) fn roster_digest(&self, job: &JobDigest) -> Result<[u8; 32], NodeError> {
        let record = self.record(job)?;
        let roster = record.map(|record| record.roster).unwrap_or_default();
        Ok(roster_digest(&keys(&roster)?))
    }

    fn not_joined(&self, job: &JobDigest, no: &No) -> Result<(), NodeError> {
        let Some(mut record) = self.record(job)? else {
            return Ok(());
        };
        let rule = no.rule.clone().or(Some(no.refusal.rule.clone()));
        self.log(job, &record.submitter.name, (Verdict::Refused, rule))?;
        record.own_words = Some(no.own.clone());
        record.give_back();
        self.keep(job, &record)
    }

    /// The folder of the job, and what of its charges is kept there.
    fn made_folder(
        &self,
        job: &JobDigest,
        plan: &Plan,
    ) -> Result<(PathBuf, FileLedger), NodeError> {
        let folder = self.folder(job);
        make_folder(&folder)?;
        let limit = plan.privacy().map(|privacy| privacy.limit);
        let file = FileLedger::open(&folder.join("ledger.jsonl"), limit, Durability::Machine)?;
        Ok((folder, file))
    }

    fn make(&self, job: JobDigest, coordinator: IdentityPublic) -> Result<JobMachine, No> {
        let gone = || NodeError::Internal("the job is not in the store".to_owned());
        let mut record = self.record(&job)?.ok_or_else(gone)?;
        let roster = keys(&record.roster)?;
        let own = &self.setup.owner.name;
        let index = index_in(&record.roster, own).ok_or_else(gone)?;
        let submitter = record.submitter.member().ok_or_else(gone)?;
        self.room_for_one(&job)?;
        let turn = self.budgets.open_turn(&job, record.turn)?;
        if turn != record.turn {
            record.turn = turn;
            self.keep(&job, &record)?;
        }
        let asked = Asked {
            job: &job,
            submitter: &submitter,
            approved: record.approved,
            begun: record.invited,
            parties: Some(roster.len()),
        };
        let parsed = effective::admit(record.submission.text())?;
        let decided = self
            .setup
            .owner
            .decide(&asked, (&self.grants, record.turn), parsed)?;
        let (Word::Accept, plan, part) = decided else {
            let words = "the policy was changed: a person has to approve it first";
            return Err(Refusal::new("PO-15", words).into());
        };
        let trainer = self.setup.trainers.of(&plan, own).map_err(untrained)?;
        let rows = own_table::rows(&plan, &part)?;
        let start = self.start(&job, &plan)?;
        self.setup.trail.job(&job, "joining")?;
        // What an earlier try was refused for is no longer so; who approved it is.
        if !record.approved && record.own_words.take().is_some() {
            self.keep(&job, &record)?;
        }
        self.same_rows(&job, &record, (&plan, &rows))?;
        let identity = self.setup.own.identity();
        let seat = (own.as_str(), &identity);
        let durable = self
            .budgets
            .reserve((&job, turn), seat, (&plan, &part.table))?;
        if let Some(granted) = granted(&plan, (self.setup.owner.now)()) {
            self.grants.add((&job, record.turn), &granted)?;
        }
        let (folder, file) = self.made_folder(&job, &plan)?;
        let store = self.setup.database.store(&actor(&job));
        let seat = Seat {
            index,
            identity,
            roster,
            coordinator,
            job,
            signed_sets: store.signed_sets()?,
            slot_key: store.slot_key()?,
            last_epoch: store.last_epoch()?,
        };
        Ok(JobMachine::new(Parts {
            seat,
            start,
            worker: Worker::with_trainer(rows, trainer),
            store,
            ledger: Door::new(file, durable, own),
            entropy: self.setup.entropy,
            owner: self.setup.owner.clone(),
            trail: self.setup.trail.clone(),
            folder,
        })?)
    }

    /// Rule JC-18: an exact job goes on with the rows that it began with, for good; one with a goal does so within a turn, which is what was set aside for.
    fn same_rows(
        &self,
        job: &JobDigest,
        record: &Record,
        (plan, rows): (&Plan, &PartyRows),
    ) -> Result<(), No> {
        let now = rows_digest(rows);
        let turn = if plan.privacy().is_some() {
            record.turn
        } else {
            0
        };
        let kept = record.rows.as_ref().filter(|(of, _)| *of == turn);
        match kept {
            Some((_, then)) if *then == now => Ok(()),
            Some(_) => Err(No {
                refusal: failed(),
                rule: None,
                own: "the table changed since the job began; restore it, or have the job submitted under another job.name".to_owned(),
            }),
            None => {
                let mut next = record.clone();
                next.rows = Some((turn, now));
                Ok(self.keep(job, &next)?)
            }
        }
    }

    /// The coordinator says that the job is over: what was set aside and not charged is free again (rule JC-12).
    pub(super) fn ended(&self, job: &JobDigest, ended: &Ended) -> Result<(), NodeError> {
        let Some(mut record) = self.record(job)?.filter(|record| record.ended.is_none()) else {
            return Ok(());
        };
        let state = if ended.finished {
            "finished"
        } else {
            "stopped"
        };
        self.setup.trail.job(job, state)?;
        let identity = self.setup.own.identity();
        self.budgets.close((job, record.turn), &identity)?;
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

    /// Answers to jobs of which no end is known.
    pub(super) fn open_jobs(&self) -> Result<Vec<(JobDigest, Answer)>, NodeError> {
        let mut open = Vec::new();
        for (name, record) in self.records.all::<Record>()? {
            // What was refused is considered anew when it is offered again.
            if record.is_open() && !matches!(record.answer, StoredAnswer::Refused { .. }) {
                open.push((job_of(&name)?, record.answer.message()));
            }
        }
        Ok(open)
    }

    /// The last epoch of the job that this party answered.
    fn epoch(&self, job: &JobDigest) -> Result<u64, NodeError> {
        self.setup.database.store(&actor(job)).last_epoch()
    }

    pub(super) fn folder(&self, job: &JobDigest) -> PathBuf {
        self.setup.folder.join(hex(job))
    }

    pub(super) fn record(&self, job: &JobDigest) -> Result<Option<Record>, NodeError> {
        self.records.load(&hex(job))
    }

    /// Durable when it returns; then also for people to read.
    pub(super) fn keep(&self, job: &JobDigest, record: &Record) -> Result<(), NodeError> {
        self.records.save(&hex(job), record)?;
        self.show(job, record)
    }

    fn show(&self, job: &JobDigest, record: &Record) -> Result<(), NodeError> {
        let parties = (!record.roster.is_empty()).then_some(record.roster.len());
        let explained = self
            .setup
            .owner
            .explain(record.submission.text(), parties)
            .unwrap_or_else(|error| format!("It cannot be explained: {error}\n"));
        let folder = self.folder(job);
        save(&folder.join(VIEW), &view(job, record, (folder, explained)))
    }
}

/// A custom model that nothing here trains (rule CM-01); the words for the owner stay here.
fn untrained(error: TrainerError) -> No {
    let words = "the model is custom, and this party runs no trainer that suffices for the job";
    No {
        own: error.0,
        ..No::from(Refusal::new("party.trainer", words))
    }
}

/// Why a job is not gone on with (rule JC-14).
fn restored() -> Refusal {
    let words = "its store was restored from a backup, and without a privacy goal it cannot go on with what the backup may not know; change job.name to begin anew";
    Refusal::new("party.restored", words)
}

/// Where the party `own` stands in the roster.
fn index_in(roster: &[Place], own: &str) -> Option<u16> {
    let place = roster.iter().position(|place| place.name == own)?;
    u16::try_from(place).ok()
}
