//! A longer roster for a job that runs (docs/protocols/late-join.md): what this party takes, and what binds it.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

use lepton_protocol::control::{JobDigest, Refusal};
use lepton_protocol::late::{MOST_CHANGES, least_newcomers, may_grow};
use lepton_protocol::plan::Plan;
use serde::{Deserialize, Serialize};

use super::desk::Desk;
use super::jobs::Record;
use crate::daemon::effective;
use crate::daemon::record::Place;
use crate::error::NodeError;

/// How the roster of a job came to be, as stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Growth {
    /// The roster of the last epoch, while a longer one was taken and no epoch over that has begun; empty otherwise.
    from: Vec<Place>,
    /// How often the roster grew.
    changes: u32,
    /// Who joined later, and when that bound this party.
    newcomers: Vec<Newcomer>,
}

/// A party that joined later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newcomer {
    /// Its name.
    pub name: String,
    /// Since when, RFC 3339.
    pub since: String,
}

impl Growth {
    /// Whether a longer roster was taken over which no epoch has begun yet.
    pub(super) fn is_open(&self) -> bool {
        !self.from.is_empty()
    }

    pub(super) fn newcomers(&self) -> &[Newcomer] {
        &self.newcomers
    }
}

impl Record {
    /// The roster of the last epoch that this party was invited to; empty before the first.
    fn bound(&self) -> &[Place] {
        match (self.invited, self.growth.is_open()) {
            (false, _) => &[],
            (true, true) => &self.growth.from,
            (true, false) => &self.roster,
        }
    }

    /// Puts another roster on the record; `true` where sums are bound to the one before it, so that the next epoch binds anew.
    pub(super) fn take(&mut self, roster: Vec<Place>) {
        let bound = self.bound().to_vec();
        self.growth.from = if bound == roster { Vec::new() } else { bound };
        self.roster = roster;
    }

    /// Back to the roster that sums are bound to, or to none (rule LJ-05).
    pub(super) fn give_back(&mut self) {
        let bound = self.bound().to_vec();
        self.growth.from.clear();
        self.roster = bound;
    }

    /// A frame of an epoch over the present roster came: there is no way back.
    pub(super) fn bind(&mut self, now: &str) {
        self.invited = true;
        if !self.growth.is_open() {
            return;
        }
        let from = std::mem::take(&mut self.growth.from).len();
        self.growth.changes += 1;
        let newcomers = self.roster.iter().skip(from).map(|place| Newcomer {
            name: place.name.clone(),
            since: now.to_owned(),
        });
        self.growth.newcomers.extend(newcomers);
    }
}

impl Desk {
    /// Whether this party takes another roster for a job whose sums have begun: the one of the last epoch, or a longer one on the same terms (rules LJ-02 to LJ-04).
    pub(super) fn may_change(
        &self,
        job: &JobDigest,
        record: &Record,
        roster: &[Place],
    ) -> Result<(), Refusal> {
        let bound = record.bound();
        if roster == bound {
            return Ok(());
        }
        let refused = |words: String| Err(Refusal::new("roster", words));
        let other =
            "it is not the one that this party has joined, and sums were begun with that one";
        let text = record.submission.text();
        let allowed = effective::admit(text)?.training().late_join.is_some();
        if !allowed || !roster.starts_with(bound) {
            return refused(other.to_owned());
        }
        if record.growth.changes >= MOST_CHANGES {
            return refused(format!(
                "parties have joined {MOST_CHANGES} times, the most there are"
            ));
        }
        let [before, after] = [bound.len(), roster.len()].map(|parties| plan(text, parties));
        let (before, after) = (before?, after?);
        may_grow(&before, &after).or_else(|unfit| refused(unfit.to_string()))?;
        self.not_alone((&before, &after)).map_err(|error| {
            tracing::error!(job = crate::daemon::short(job), "{error}");
            super::owner::failed()
        })?
    }

    /// Keeps that a frame of the job came, before the machine sees the first over its roster (rules JC-05 and LJ-05).
    pub(super) fn invited(&self, job: &JobDigest) -> Result<(), NodeError> {
        let mut known = self.bound_jobs();
        if known.contains(job) {
            return Ok(());
        }
        let binds = |record: &Record| !record.invited || record.growth.is_open();
        if let Some(mut record) = self.record(job)?.filter(binds) {
            if record.growth.is_open() {
                let state = format!("grown to {} parties", record.roster.len());
                self.setup().trail.job(job, &state)?;
            }
            record.bind(&(self.setup().clock)());
            self.keep(job, &record)?;
        }
        known.insert(*job);
        Ok(())
    }

    /// The next frame binds anew.
    pub(super) fn will_bind(&self, job: &JobDigest) {
        self.bound_jobs().remove(job);
    }

    fn bound_jobs(&self) -> MutexGuard<'_, BTreeSet<JobDigest>> {
        // Single inserts and removals: a panic elsewhere left none half-done.
        self.invited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rule LJ-04: without a goal as many newcomers as this party wants parties in a job.
    fn not_alone(&self, (before, after): (&Plan, &Plan)) -> Result<Result<(), Refusal>, NodeError> {
        let come = after.parties() - before.parties();
        let least = match after.privacy() {
            Some(_) => 1,
            None => least_newcomers(after).max(self.setup().owner.policy()?.least_parties()),
        };
        if come >= least {
            return Ok(Ok(()));
        }
        let words = format!(
            "without a privacy goal its policy wants {least} newcomers or more at a time, and these are {come}"
        );
        Ok(Err(Refusal::new("PO-06", words)))
    }
}

fn plan(text: &str, parties: usize) -> Result<Plan, Refusal> {
    let job = effective::admit(text)?;
    effective::plan(job, parties).map_err(|words| Refusal::new("job", words))
}
